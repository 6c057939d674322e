"""Groups that are held out together: sites where they are named, else blocks of ground, never single images."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

_BLOCK_M = 100.0
"""Side of a block of ground, metres: beyond what one drone image shows; no published figure."""
_FEWEST = 3
"""Groups below which a single site is cut into parts, so that something can be held out."""
_PARTS = 5


def footprints(clips: pd.DataFrame) -> NDArray[np.object_]:
    """Cores of clips on the ground, EPSG:4326 (x = longitude).

    Parameters
    ----------
    clips : DataFrame
        ``crs``, ``transform``, ``core``.
    """
    outlines = np.empty(len(clips), dtype=object)
    for crs, rows in clips.reset_index(drop=True).groupby("crs"):
        to = pyproj.Transformer.from_crs(pyproj.CRS(str(crs)).to_2d(), "EPSG:4326", always_xy=True)
        for number, (transform, core) in zip(
            rows.index, zip(rows["transform"], rows["core"], strict=True), strict=True
        ):
            a, b, c, d, e, f = transform
            row0, row1, col0, col1 = core
            col, row = np.array([col0, col1, col1, col0]), np.array([row0, row0, row1, row1])
            x, y = to.transform(a * col + b * row + c, d * col + e * row + f)
            outlines[number] = shapely.Polygon(np.column_stack([x, y]))
    return outlines


def groups_of(clips: pd.DataFrame, objects: NDArray[np.int64]) -> tuple[NDArray[np.object_], str]:
    """Group of each clip, and in words what the groups are.

    Parameters
    ----------
    clips : DataFrame
        ``site`` (empty: a block of ground), ``crs``, ``transform``, ``core``.
    objects : int array
        Known objects on each clip.

    Returns
    -------
    groups : object array of str
    sentence : str
    """
    outlines = footprints(clips)
    centre = shapely.centroid(outlines)
    lon, lat = shapely.get_x(centre), shapely.get_y(centre)
    metre = 1 / 111_320.0
    down = np.floor(lat / (_BLOCK_M * metre)).astype(np.int64)
    # Blocks of one row are of one width, so that the same ground is the same block in every memory.
    wide = np.array([_BLOCK_M * metre / math.cos(math.radians((one + 0.5) * _BLOCK_M * metre)) for one in down])
    across = np.floor(lon / wide).astype(np.int64)
    blocks = np.array([f"block {i} {j}" for i, j in zip(down, across, strict=True)], dtype=object)
    named = clips["site"].to_numpy(dtype=object)
    groups = np.where(named == "", blocks, named)
    holding = len({str(one) for one in groups[objects > 0]})
    if holding >= _FEWEST:
        return groups, f"{len(set(groups.tolist()))} sites or blocks of {_BLOCK_M:.0f} m"
    # Clips that show the same ground stay together, and so do neighbours.
    first, second = shapely.STRtree(outlines).query(outlines, predicate="intersects")
    shared = shapely.area(shapely.intersection(outlines[first], outlines[second])) > 0
    pairs = coo_matrix((np.ones(int(shared.sum())), (first[shared], second[shared])), shape=(len(clips), len(clips)))
    count, member = connected_components(pairs, directed=False)
    if count < 2:
        return groups, f"{holding} site"
    places = np.column_stack([lon * np.cos(np.radians(lat.mean())), lat])
    centres = np.array([places[member == one].mean(axis=0) for one in range(count)])
    spread = centres - centres.mean(axis=0)
    along = spread @ np.linalg.svd(spread, full_matrices=False)[2][0]
    order = np.argsort(along, kind="stable")
    held = np.array([objects[member == one].sum() for one in range(count)], dtype=float)[order]
    share = (np.cumsum(held) - held / 2) / max(held.sum(), 1.0)
    parts = min(_PARTS, int((held > 0).sum()) or 1)
    part = np.minimum((share * parts).astype(np.int64), parts - 1)
    of_component = np.empty(count, dtype=np.int64)
    of_component[order] = part
    groups = np.array([f"part {one + 1}" for one in of_component[member]], dtype=object)
    return (
        groups,
        f"{parts} parts of {'one site' if holding < 2 else 'two sites'}: intervals say little of other ground",
    )
