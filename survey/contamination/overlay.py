"""Cutting polygons so that the parts add up: the overlay of two layers, done where they meet and checked as it goes.

Overlay in floating point is fast and nearly always right, but where two lines run within a nanometre of each
other, as the same edge projected twice does, it can lose or double a face without a word. So every cut is
checked: the part inside and the part outside must add up to the whole. A cut that does not is done again with
all crossings rounded to a tenth of a micrometre, which cannot fail and is several times slower.

Coverage has hundreds of thousands of small holes and islands, and scenes overlap at their rims: what lies away
from the knife is set aside before a cut and put back after it.
"""

from __future__ import annotations

import numpy as np
import shapely

from survey.contamination.plane import Bools, Floats, Geometries, Ints, merged, polygons_only
from survey.threads import in_threads

GRID_M = 1e-7
"""Crossings are rounded to this, metres, where floating point fails."""

_VISIBLE_M2 = 0.01

CRUMB_M2 = 1e-3
"""Overlaps smaller than this, square metres, are two drawings of one line."""


def split(shapes: Geometries, knives: Geometries) -> tuple[Geometries, Geometries]:
    """Return what of each shape lies inside its knife, and what outside.

    Parameters
    ----------
    shapes, knives : array of Polygon or MultiPolygon, shape (n,)
        On the plane, valid.

    Returns
    -------
    inside, outside : array of geometry, shape (n,)
        Valid polygons. Where they share no more than :data:`CRUMB_M2`, the shape is left whole.
    """
    if len(shapes) == 0:
        return shapes.copy(), shapes.copy()
    near, far_parts, far_holes = _set_aside(shapes, shapely.bounds(knives))
    inside = polygons_only(in_threads(shapely.intersection, near, knives))
    whole, cut = shapely.area(near), shapely.area(inside)
    real: Bools = cut > CRUMB_M2
    rest = near.copy()
    rest[real] = polygons_only(in_threads(shapely.difference, near[real], knives[real]))
    wrong = real & (np.abs(cut + shapely.area(rest) - whole) > np.maximum(CRUMB_M2, 1e-10 * whole))
    if wrong.any():
        inside[wrong] = polygons_only(shapely.intersection(near[wrong], knives[wrong], grid_size=GRID_M))
        rest[wrong] = polygons_only(shapely.difference(near[wrong], knives[wrong], grid_size=GRID_M))
    inside[~real] = shapely.Polygon()
    outside = shapes.copy()
    outside[real] = _put_back(rest, real, far_parts, far_holes)
    return inside, outside


Aside = tuple[Geometries, Ints]
"""Polygons or rings, and the shape each belongs to."""


def _set_aside(shapes: Geometries, windows: Floats) -> tuple[Geometries, Aside, Aside]:
    """Return each shape without the parts and holes that lie away from its window, and those parts and holes."""
    parts, shape = shapely.get_parts(shapes, return_index=True)
    solid = ~shapely.is_empty(parts)
    parts, shape = parts[solid], shape[solid]
    near = _meet(shapely.bounds(parts), windows[shape])
    rings, part = shapely.get_rings(parts[near], return_index=True)
    shell = np.diff(part, prepend=-1) != 0
    kept = shell.copy()
    holes = np.flatnonzero(~shell)
    owner = shape[near][part]
    kept[holes] = _meet(shapely.bounds(rings[holes]), windows[owner[holes]])
    slim = shapely.polygons(rings[kept], indices=part[kept]) if len(rings) else np.zeros(0, object)
    return merged(slim, shape[near], len(shapes)), (parts[~near], shape[~near]), (rings[~kept], owner[~kept])


def _meet(boxes: Floats, windows: Floats) -> Bools:
    """Return which boxes touch their window (west, south, east, north)."""
    apart = (
        (boxes[:, 0] > windows[:, 2])
        | (boxes[:, 2] < windows[:, 0])
        | (boxes[:, 1] > windows[:, 3])
        | (boxes[:, 3] < windows[:, 1])
    )
    return np.asarray(~apart)


def _put_back(rest: Geometries, real: Bools, far_parts: Aside, far_holes: Aside) -> Geometries:
    """Return what is left of the shapes that were cut, with the parts and holes that were set aside."""
    number = np.cumsum(real) - 1
    parts, shape = shapely.get_parts(rest[real], return_index=True)
    solid = ~shapely.is_empty(parts)
    parts, shape = parts[solid], shape[solid]
    holes, owner = far_holes[0][real[far_holes[1]]], number[far_holes[1][real[far_holes[1]]]]
    if len(holes):
        # Away from the knife nothing changed: each hole lies in the part that lay around it.
        spots = shapely.point_on_surface(shapely.polygons(holes))
        hole, part = shapely.STRtree(parts).query(spots, predicate="intersects")
        own = shape[part] == owner[hole]
        hole, part = hole[own], part[own]
        holed = np.unique(part)
        rings, of = shapely.get_rings(parts[holed], return_index=True)
        every = np.concatenate([rings, holes[hole]])
        place = np.concatenate([of, np.searchsorted(holed, part)])
        order = np.argsort(place, kind="stable")  # shells come first: they did before
        parts = parts.copy()
        parts[holed] = shapely.polygons(every[order], indices=place[order])
    kept = real[far_parts[1]]
    together = np.concatenate([parts, far_parts[0][kept]])
    return merged(together, np.concatenate([shape, number[far_parts[1][kept]]]), int(real.sum()))


def without_crumbs(shapes: Geometries) -> Geometries:
    """Return shapes without parts and holes of less than a square decimetre, which collapse in degrees."""
    parts, shape = shapely.get_parts(shapes, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    if len(rings) == 0:
        return shapes
    shell = np.diff(part, prepend=-1) != 0
    visible = shapely.area(shapely.polygons(rings)) >= _VISIBLE_M2
    if visible.all():
        return shapes
    kept = visible & visible[np.flatnonzero(shell)[np.cumsum(shell) - 1]]
    present, dense = np.unique(part[kept], return_inverse=True)
    return merged(shapely.polygons(rings[kept], indices=dense), shape[present], len(shapes))


def outline(shapes: Geometries) -> shapely.Geometry:
    """Return the union of polygons that make up one scene: fast where they fill each other's holes exactly."""
    parts = shapely.get_parts(shapes)
    parts = parts[~shapely.is_empty(parts)]
    if len(parts) == 0:
        return shapely.MultiPolygon()
    filled = shapely.polygons(shapely.get_exterior_ring(parts))
    largest = filled[int(np.argmax(shapely.area(filled)))]
    shapely.prepare(largest)
    around = filled[~shapely.contains_properly(largest, filled)]
    whole = shapely.union_all(around)
    square_metres = float(shapely.area(shapes).sum())
    if shapely.is_valid(whole) and abs(float(shapely.area(whole)) - square_metres) <= 1e-9 * square_metres:
        return whole
    return shapely.union_all(shapes)
