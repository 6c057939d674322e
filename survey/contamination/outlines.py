"""Outlines of hazard areas: what the evidence spans, grown by the fade-out of each piece of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from survey.contamination.clusters import Mesh
from survey.contamination.plane import Bools, Floats, Geometries, Ints, polygons_only
from survey.threads import in_threads

_CORNERS = 2
"""Segments to a quarter circle: eight turning points go round a single object, each a marker to set and keep."""

_OUTSIDE = 1.0 / np.cos(np.pi / (4 * _CORNERS))
"""Growth of a radius that puts the sides of the polygon, not its corners, on the circle."""

_STEP_M = 0.3
"""Turning points closer than this, metres, are one: programmes refuse vertices equal to 1e-6 degrees."""


@dataclass(frozen=True)
class Outlining:
    """How outlines are tidied: lengths in metres, areas in square metres."""

    simplify_m: float
    hole_m2: float


def outlines(
    mesh: Mesh, group: Ints, fade_m: Floats, extra: tuple[Geometries, Ints, Floats], tidy: Outlining
) -> Geometries:
    """Return the outline of each group of corners, as valid polygons that hold every corner's disc.

    Parameters
    ----------
    mesh : Mesh
    group : int array, shape (corners,)
        Group of each corner, 0 … n - 1.
    fade_m : array, shape (corners,)
        Distance the area reaches beyond the corner, metres.
    extra : shapes, their groups, their distances
        What belongs to a group besides corners: outlines of long objects, polygons of evidence, ends of rows.
    tidy : Outlining

    Returns
    -------
    array of Polygon or MultiPolygon, shape (n,)
        The triangles and edges of the group grown by its smallest distance, and every edge and corner with a
        larger distance grown by its own: a concave hull with fade-out where evidence scatters, a disc round a
        single object. Slightly outside the exact shape, never inside.
    """
    count = int(group.max()) + 1 if len(group) else 0
    triangles = mesh.triangles
    if len(triangles):
        own = group[triangles]
        triangles = triangles[(own[:, 0] == own[:, 1]) & (own[:, 0] == own[:, 2])]
    margin = tidy.simplify_m
    pieces, owners = [], []
    for level in np.unique(fade_m):
        # What reaches at least this far, in the groups in which something reaches exactly this far.
        present = np.zeros(count, dtype=bool)
        present[group[fade_m == level]] = True
        corners = (fade_m >= level) & present[group]
        shapes, owner = _spanned(mesh.xy, (corners, mesh.edges, triangles), group)
        pieces.append(_grown(shapes, np.full(len(shapes), level + margin)))
        owners.append(owner)
    shapes, owner, distance = extra
    pieces.append(_grown(shapes, distance + margin))
    owners.append(owner)
    return tidied(_united(np.concatenate(pieces), np.concatenate(owners), count), tidy)


def _spanned(xy: Floats, net: tuple[Bools, Ints, Ints], group: Ints) -> tuple[Geometries, Ints]:
    """Return what chosen corners span: their triangles as one shape a group, other edges, and corners alone."""
    chosen, edges, triangles = net
    triangles = triangles[chosen[triangles].all(axis=1)]
    edges = edges[chosen[edges].all(axis=1)]
    alone = chosen.copy()
    alone[edges.reshape(-1)] = False
    alone[triangles.reshape(-1)] = False
    filled, owner = _filled(xy, triangles, group)
    edges = edges[_times_used(edges, triangles, len(xy)) == 0]
    lines = in_threads(shapely.linestrings, xy[edges]) if len(edges) else np.zeros(0, object)
    points = shapely.points(xy[alone]) if alone.any() else np.zeros(0, object)
    return np.concatenate([filled, lines, points]), np.concatenate([owner, group[edges[:, 0]], group[alone]])


def _times_used(edges: Ints, triangles: Ints, corners: int) -> Ints:
    """Return how many triangles each edge is a side of: 2 inside the filled ground, 1 on its rim, 0 outside."""
    sides = np.sort(np.vstack([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]]), axis=1)
    keys, times = np.unique(sides[:, 0] * corners + sides[:, 1], return_counts=True)
    wanted = edges[:, 0] * corners + edges[:, 1]
    if len(keys) == 0:
        return np.zeros(len(edges), np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, times[at], 0)


def _filled(xy: Floats, triangles: Ints, group: Ints) -> tuple[Geometries, Ints]:
    """Return the triangles of each group as one shape."""
    if len(triangles) == 0:
        return np.zeros(0, object), np.zeros(0, np.int64)
    triangles = triangles[np.argsort(group[triangles[:, 0]], kind="stable")]
    owner, first = np.unique(group[triangles[:, 0]], return_index=True)
    last = np.append(first[1:], len(triangles))

    def joined(start: Ints, stop: Ints) -> Geometries:
        # A stretch of groups at a time: their triangles need a hundred times the memory of their outlines.
        rings = xy[triangles[start[0] : stop[-1]][:, [0, 1, 2, 0]]]
        offsets = np.arange(0, 4 * len(rings) + 1, 4), np.arange(len(rings) + 1), np.append(start, stop[-1]) - start[0]
        together = shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, rings.reshape(-1, 2), offsets)
        whole: Geometries = shapely.coverage_union_all(together[:, None], axis=1)
        odd = ~shapely.is_valid(whole)  # nearly flat triangles may overlap by rounding
        whole[odd] = shapely.union_all(together[odd][:, None], axis=1)
        return whole

    return in_threads(joined, first, last), owner


def _grown(shapes: Geometries, distance: Floats) -> Geometries:
    if len(shapes) == 0:
        return np.zeros(0, object)
    grown: Geometries = in_threads(shapely.buffer, shapes, distance * _OUTSIDE, quad_segs=_CORNERS)
    return grown


def _united(pieces: Geometries, owners: Ints, count: int) -> Geometries:
    """Return the union of the pieces of each group."""
    result = np.full(count, shapely.Polygon(), dtype=object)
    order = np.argsort(owners, kind="stable")
    owners, pieces = owners[order], pieces[order]
    many = np.bincount(owners, minlength=count)[owners] > 1
    result[owners[~many]] = pieces[~many]
    if many.any():
        present, dense = np.unique(owners[many], return_inverse=True)
        together = shapely.geometrycollections(pieces[many], indices=dense)
        result[present] = in_threads(shapely.union_all, together[:, None], axis=1)
    return result


def tidied(shapes: Geometries, tidy: Outlining) -> Geometries:
    """Return shapes without needless vertices and without holes too small to work around."""
    shapes = without_small_holes(shapes, tidy.hole_m2)
    shapes = polygons_only(in_threads(shapely.simplify, shapes, tolerance=tidy.simplify_m))
    return polygons_only(shapely.remove_repeated_points(shapes, _STEP_M))


def without_small_holes(shapes: Geometries, hole_m2: float) -> Geometries:
    """Return shapes whose holes are at least ``hole_m2`` square metres."""
    parts, shape_of_part = shapely.get_parts(shapes, return_index=True)
    holed = np.flatnonzero(shapely.get_num_interior_rings(parts) > 0)
    if len(holed) == 0:
        return shapes
    rings, part_of_ring = shapely.get_rings(parts[holed], return_index=True)
    first = np.diff(part_of_ring, prepend=-1) != 0
    kept = first | (shapely.area(shapely.polygons(rings)) >= hole_m2)
    rebuilt = shapely.polygons(rings[kept], indices=part_of_ring[kept])
    parts = parts.copy()
    parts[holed] = rebuilt
    touched = np.isin(shape_of_part, shape_of_part[holed])
    result = shapes.copy()
    present, dense = np.unique(shape_of_part[touched], return_inverse=True)
    together = shapely.geometrycollections(parts[touched], indices=dense)
    # A part that stood in a hole now filled lies inside its neighbour: hence a union.
    result[present] = shapely.union_all(together[:, None], axis=1)
    return result


def touching(shapes: Geometries, among: Ints) -> Ints:
    """Return the pairs of shapes that touch or overlap, one of them from ``among``, shape (k, 2)."""
    one, other = shapely.STRtree(shapes).query(shapes[among], predicate="intersects")
    pairs = np.sort(np.column_stack([among[one], other]), axis=1)
    return np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)


def regrouped(shapes: Geometries, group: Ints, tidy: Outlining) -> tuple[Geometries, Ints]:
    """Return the union of the shapes of each group, without vertices too close to each other, and which are new."""
    count = int(group.max()) + 1
    result = np.full(count, shapely.Polygon(), dtype=object)
    many = np.bincount(group, minlength=count) > 1
    single = ~many[group]
    result[group[single]] = shapes[single]
    new = np.flatnonzero(many)
    place = np.cumsum(many) - 1
    joined = polygons_only(_united(shapes[~single], place[group[~single]], len(new)))
    joined = without_small_holes(joined, tidy.hole_m2)
    result[new] = polygons_only(shapely.remove_repeated_points(joined, _STEP_M))
    return result, new
