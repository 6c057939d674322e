"""One object where several sizes or several scenes saw one: duplicates within a scene, seams between scenes.

Ground that several scenes see belongs to the one that can assess it, then the finest, then the newest.
Objects are taken a little way past the seam, matched there one to one, and kept where nothing matches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from survey.threads import in_threads

# Two sightings in one scene are one object when their centres are nearer than this share of the larger one's size.
_SAME = 0.6
# Classes that run on: their pieces are joined into one object.
LINEAR = ("trench", "fence")
_GAP_M = 1.0
_SEAM_M = 2.0


@dataclass(frozen=True)
class Owned:
    """One scene for the order of ownership: its assessed ground on the plane, GSD, time and position error."""

    name: str
    ground: shapely.Geometry
    gsd_cm: float
    newest: float
    position_error_m: float


def without_duplicates(sightings: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Drop the less probable of sightings that are one object seen at several sizes; join pieces of linear ones.

    Parameters
    ----------
    sightings : GeoDataFrame in layers.SIGHTINGS
        Of one scene, geometry in metres.
    """
    if len(sightings) < 2:
        return sightings
    table = sightings.sort_values(["probability", "row", "col", "class_code"], ascending=[False, True, True, True])
    table = table.reset_index(drop=True)
    centre = shapely.get_coordinates(shapely.centroid(table.geometry.values))
    size = np.sqrt(table["area_m2"].to_numpy() * 4 / np.pi)
    size = np.maximum(size, np.minimum(table["length_m"].to_numpy(), 3 * size))
    kept = _best_first(centre, size, (table["family"] == "indicator").to_numpy())
    return _join_linear(table[kept].reset_index(drop=True))


def _best_first(
    centre: NDArray[np.float64], size: NDArray[np.float64], indicator: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Keep each entry with no kept entry before it too near; entries come best first."""
    kept = np.zeros(len(centre), bool)
    # By size, so that one crater does not make every small pair a far neighbour.
    pairs = []
    order = np.argsort(size, kind="stable")
    edges = np.searchsorted(size[order], [0, 0.25, 0.75, 2.5, 8, np.inf])
    tree = cKDTree(centre)
    for low, high in pairwise(edges):
        members = order[low:high]
        if len(members):
            near = cKDTree(centre[members]).sparse_distance_matrix(
                tree, _SAME * size[members].max(), output_type="coo_matrix"
            )
            pairs.append(np.column_stack([members[near.row], near.col]))
    near_pairs = np.concatenate(pairs)
    near_pairs = near_pairs[near_pairs[:, 0] != near_pairs[:, 1]]
    distance = np.hypot(*(centre[near_pairs[:, 0]] - centre[near_pairs[:, 1]]).T)
    larger = np.maximum(size[near_pairs[:, 0]], size[near_pairs[:, 1]])
    clash = (distance < _SAME * larger) & (indicator[near_pairs[:, 0]] == indicator[near_pairs[:, 1]])
    first, second = np.sort(near_pairs[clash], axis=1).T
    undecided = np.ones(len(centre), bool)
    while undecided.any():
        open_pair = undecided[first] & undecided[second]
        beaten = np.zeros(len(centre), bool)
        beaten[second[open_pair]] = True
        winners = undecided & ~beaten
        kept |= winners
        undecided &= ~winners
        undecided[second[winners[first]]] = False
    return kept


def _join_linear(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    linear = table["class_code"].isin(LINEAR).to_numpy()
    if linear.sum() < 2:
        return table
    pieces = table[linear].reset_index(drop=True)
    shape = pieces.geometry.to_numpy().copy()
    left, right = shapely.STRtree(shape).query(shape, predicate="dwithin", distance=2 * _GAP_M)
    same = pieces["class_code"].to_numpy()[left] == pieces["class_code"].to_numpy()[right]
    graph = coo_matrix((np.ones(same.sum()), (left[same], right[same])), shape=(len(pieces), len(pieces)))
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group, kind="stable")  # the table is sorted best first, and so is every group
    members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    sides = pieces[["length_m", "width_m", "area_m2"]].to_numpy(float, copy=True)
    several = [one for one in members if len(one) > 1]
    for one, joined in zip(several, _joined([shape[one] for one in several]), strict=True):
        best = one[0]
        shape[best] = joined if isinstance(joined, shapely.Polygon) else joined.convex_hull
        sides[best] = *_sides(shape[best]), shape[best].area
    pieces[["length_m", "width_m", "area_m2"]] = sides
    joined_pieces = pieces.set_geometry(shape, crs=table.crs).iloc[[one[0] for one in members]]
    both = pd.concat([table[~linear], joined_pieces])
    return gpd.GeoDataFrame(both, geometry="geometry", crs=table.crs).reset_index(drop=True)


def _joined(groups: Sequence[NDArray[np.object_]]) -> NDArray[np.object_]:
    """Pieces of each group as one, with what lies between those that are near each other."""
    if not groups:
        return np.zeros(0, dtype=object)
    of = np.repeat(np.arange(len(groups)), [len(one) for one in groups])
    grown = in_threads(shapely.buffer, np.concatenate(groups), distance=_GAP_M)
    together = in_threads(shapely.union_all, shapely.geometrycollections(grown, indices=of)[:, None], axis=1)
    return in_threads(shapely.buffer, together, distance=-_GAP_M, quad_segs=16)


def _sides(polygon: shapely.Polygon) -> tuple[float, float]:
    corner = shapely.get_coordinates(shapely.minimum_rotated_rectangle(polygon))
    sides = np.hypot(*np.diff(corner[:3], axis=0).T)
    return float(sides.max()), float(sides.min())


def across_scenes(objects: Mapping[str, gpd.GeoDataFrame], scenes: list[Owned]) -> gpd.GeoDataFrame:
    """Join the objects of overlapping scenes.

    Parameters
    ----------
    objects : mapping of scene name to GeoDataFrame
        Geometry on one metric plane.
    scenes : list of Owned
        Geometry on the same plane.

    Returns
    -------
    GeoDataFrame with the rows of all scenes that stand.
    """
    order = sorted(scenes, key=lambda scene: (scene.gsd_cm, -scene.newest, scene.name))
    tree = shapely.STRtree([scene.ground for scene in order])
    standing: list[gpd.GeoDataFrame] = []
    points: dict[int, NDArray[np.float64]] = {}
    for rank, scene in enumerate(order):
        mine = objects[scene.name]
        better = sorted(int(i) for i in tree.query(scene.ground, predicate="dwithin", distance=50.0) if i < rank)
        if len(mine) and better:
            mine = _past_the_seam(mine, scene, [order[i] for i in better], [points[i] for i in better])
        standing.append(mine)
        points[rank] = shapely.get_coordinates(shapely.centroid(mine.geometry.values))
    return gpd.GeoDataFrame(pd.concat(standing, ignore_index=True), geometry="geometry", crs=standing[0].crs)


def _past_the_seam(
    mine: gpd.GeoDataFrame, scene: Owned, better: list[Owned], theirs: list[NDArray[np.float64]]
) -> gpd.GeoDataFrame:
    error = max([scene.position_error_m, *(other.position_error_m for other in better)])
    seam = max(_SEAM_M, 3 * error)
    taken = shapely.union_all([other.ground for other in better])
    own = shapely.difference(scene.ground, taken)
    points = shapely.centroid(mine.geometry.values)
    shapely.prepare(own)
    shapely.prepare(taken)
    # On ground no scene assessed, what was seen counts as well: it lies on nobody's ground.
    stands = shapely.dwithin(points, own, seam) | ~shapely.intersects(points, taken)
    near = shapely.dwithin(points, taken, seam) & stands
    known = np.concatenate(theirs)
    if near.any() and len(known):
        at = shapely.get_coordinates(points)
        reach = np.maximum(0.5 * mine["length_m"].to_numpy(), 2 * error)
        stands[_matched(at, np.flatnonzero(near), reach, known)] = False
    return mine[stands]


def _matched(
    at: NDArray[np.float64], which: NDArray[np.int64], reach: NDArray[np.float64], known: NDArray[np.float64]
) -> list[int]:
    """Entries of ``which`` that match a known point one to one, nearest pairs first."""
    near = cKDTree(at[which]).sparse_distance_matrix(
        cKDTree(known), float(reach[which].max()), output_type="coo_matrix"
    )
    ours, others, distance = which[near.row], near.col, near.data
    order = np.lexsort((others, ours, distance))
    used_ours: set[int] = set()
    used_others: set[int] = set()
    for i in order:
        if distance[i] <= reach[ours[i]] and ours[i] not in used_ours and others[i] not in used_others:
            used_ours.add(int(ours[i]))
            used_others.add(int(others[i]))
    return sorted(used_ours)
