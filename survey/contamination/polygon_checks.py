"""The checks that programmes run on polygons before they import them, run on what leaves the map plane.

After the rules that the Geneva International Centre for Humanitarian Demining publishes for the move to IMSMA
Core (repository GICHD/geocheck): geometry valid, at least three corners, no polygon and no identity twice, no
corner twice in a row, no corners more than 5 km apart, parts that do not overlap.
"""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from survey.contamination.plane import Bools, Geometries

PASSED = "passed"

_SAME_DEGREES = 1e-6
_FAR_M = 5000.0
_OVERLAP = 0.009

_Edges = tuple[np.ndarray, np.ndarray, np.ndarray]


def check_polygons(areas: gpd.GeoDataFrame, key: str = "area_id") -> pd.Series:
    """Return ``passed``, or the checks that failed joined with ``; ``, on the areas' index.

    Parameters
    ----------
    areas : GeoDataFrame
        Polygons or multipolygons, any CRS.
    key : str
        Column with the identity.
    """
    shapes: Geometries = np.asarray(areas.geometry.to_crs(4326).values, dtype=object)
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    identity = areas[key].astype(str).str.strip()
    content = shapely.to_wkb(shapely.normalize(shapes))
    edges = _edges(shapes)
    failed = {
        "no geometry": ~there,
        "geometry not valid": there & ~shapely.is_valid(shapes),
        "fewer than three corners": _fewest_corners(shapes) < 3,
        "polygon stands there twice": pd.Series(content).duplicated(keep=False).to_numpy() & there,
        "identity stands there twice": identity.duplicated(keep=False).to_numpy(),
        "corner twice in a row": _repeated(edges, len(shapes)),
        "corners more than 5 km apart": _far_apart(edges, len(shapes)),
        "parts overlap": _overlapping(shapes),
    }
    table = np.column_stack(list(failed.values()))
    texts = np.full(len(areas), PASSED, dtype=object)
    for row in np.flatnonzero(table.any(axis=1)):
        texts[row] = "; ".join(name for name, bad in zip(failed, table[row], strict=True) if bad)
    return pd.Series(texts, index=areas.index, dtype=object)


def _fewest_corners(shapes: Geometries) -> np.ndarray:
    """Return the corners of the ring of each shape that has fewest, the closing one left out."""
    parts, shape = shapely.get_parts(shapes, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    fewest = np.full(len(shapes), np.iinfo(np.int64).max)
    np.minimum.at(fewest, shape[part], shapely.get_num_coordinates(rings) - 1)
    fewest[fewest == np.iinfo(np.int64).max] = 3  # no geometry: another check says so
    return fewest


def _edges(shapes: Geometries) -> _Edges:
    """Return start and end of each edge, and its shape."""
    parts, shape = shapely.get_parts(shapes, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    coords, ring = shapely.get_coordinates(rings, return_index=True)
    inside = ring[1:] == ring[:-1]
    return coords[:-1][inside], coords[1:][inside], shape[part[ring[:-1][inside]]]


def _repeated(edges: _Edges, count: int) -> Bools:
    """Return which shapes hold a corner that equals the next, rounded to 1e-6 degrees."""
    start, end, shape = edges
    same = (np.rint(start / _SAME_DEGREES) == np.rint(end / _SAME_DEGREES)).all(axis=1)
    found = np.zeros(count, dtype=bool)
    found[shape[same]] = True
    return found


def _far_apart(edges: _Edges, count: int) -> Bools:
    start, end, shape = edges
    found = np.zeros(count, dtype=bool)
    # A degree is at most 111.7 km: only edges that may be too long are measured on the ellipsoid.
    long = np.abs(end - start).max(axis=1) > _FAR_M / 112_000.0 / 2.0 if len(start) else np.zeros(0, bool)
    if long.any():
        geod = pyproj.Geod(ellps="WGS84")
        _, _, metres = geod.inv(start[long, 0], start[long, 1], end[long, 0], end[long, 1])
        found[shape[long][np.asarray(metres) > _FAR_M]] = True
    return found


def _overlapping(shapes: Geometries) -> Bools:
    """Return which multipolygons have parts that overlap by more than 0.9 % of the smaller one."""
    found = np.zeros(len(shapes), dtype=bool)
    for index in np.flatnonzero((shapely.get_num_geometries(shapes) > 1) & ~shapely.is_valid(shapes)):
        parts = shapely.make_valid(shapely.get_parts(shapes[index]))
        left, right = shapely.STRtree(parts).query(parts, predicate="intersects")
        pairs = left < right
        shared = shapely.area(shapely.intersection(parts[left[pairs]], parts[right[pairs]]))
        smaller = np.minimum(shapely.area(parts[left[pairs]]), shapely.area(parts[right[pairs]]))
        found[index] = bool((shared > _OVERLAP * smaller).any())
    return found
