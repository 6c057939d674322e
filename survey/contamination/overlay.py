"""Cutting polygons so that the parts add up: the overlay of two layers, checked as it goes.

Overlay in floating point is fast and nearly always right, but where two lines run within a nanometre of each
other, as the same edge projected twice does, it can lose or double a face without a word. So every cut is
checked: the part inside and the part outside must add up to the whole. A cut that does not is done again with
all crossings rounded to a tenth of a micrometre, which cannot fail and is several times slower.
"""

from __future__ import annotations

import numpy as np
import shapely

from survey.contamination.plane import Bools, Floats, Geometries, polygons_only
from survey.contamination.threads import in_threads

GRID_M = 1e-7
"""Crossings are rounded to this, metres, where floating point fails."""

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
    inside = polygons_only(in_threads(shapely.intersection, shapes, knives))
    whole, cut = shapely.area(shapes), shapely.area(inside)
    outside = shapes.copy()
    real: Bools = cut > CRUMB_M2
    outside[real] = polygons_only(in_threads(shapely.difference, shapes[real], knives[real]))
    wrong = real & (np.abs(cut + shapely.area(outside) - whole) > _allowed(whole))
    if wrong.any():
        inside[wrong] = polygons_only(shapely.intersection(shapes[wrong], knives[wrong], grid_size=GRID_M))
        outside[wrong] = polygons_only(shapely.difference(shapes[wrong], knives[wrong], grid_size=GRID_M))
    inside[~real] = shapely.Polygon()
    return inside, outside


def _allowed(square_metres: Floats) -> Floats:
    """Return the difference of areas that is rounding noise."""
    return np.maximum(CRUMB_M2, 1e-10 * square_metres)
