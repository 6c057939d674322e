"""Give candidates the class of the labelled object they lie on; what is too near to tell is left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

NOTHING = ""
"""Class of a candidate that lies on no labelled object: a negative."""
UNDECIDED = "?"
"""Class of a candidate that is neither clearly on an object nor clearly beside it: not learned from."""

# A size fits an object where it is within these multiples of the object's shorter and longer side.
_FIT = (0.55, 1.5)
# A candidate is on an object where its centre is within this share of the size of the object's centre line.
_ON = 0.5
# Objects covered more than this are not learned from: what is seen there is ground, and teaches to flag ground
# (docs/detection.md).
_MOST_OCCLUDED = 0.5


@dataclass(frozen=True)
class Labelled:
    """Labels on a metric plane: outlines, class codes, covered share, and the sizes they are looked for at."""

    outlines: NDArray[np.object_]
    codes: NDArray[np.object_]
    occlusion: NDArray[np.float64]
    sides: NDArray[np.float64]


def labelled(outlines: NDArray[np.object_], codes: NDArray[np.object_], occlusion: NDArray[np.float64]) -> Labelled:
    """Measure the sides (longer, shorter; metres) of outlines.

    Parameters
    ----------
    outlines : array of shapely polygons in metres
    codes : array of str
    occlusion : float array, 0-1; NaN counts as 0
    """
    corners = [shapely.get_coordinates(r)[:3] for r in shapely.minimum_rotated_rectangle(outlines)]
    sides = np.array([sorted(np.hypot(*np.diff(c, axis=0).T), reverse=True) for c in corners]).reshape(-1, 2)
    # A zigzag trench fills little of the rectangle around it: its width is that of the ribbon it is.
    filled = shapely.area(outlines) / np.maximum(sides.prod(axis=1), 1e-9)
    ribbon = 2 * shapely.area(outlines) / np.maximum(shapely.length(outlines), 1e-9)
    sides[:, 1] = np.where(filled < 0.55, np.minimum(ribbon, sides[:, 1]), sides[:, 1])
    return Labelled(outlines, codes, np.nan_to_num(occlusion), sides)


def label_candidates(
    x: NDArray[np.float64], y: NDArray[np.float64], diameter_m: NDArray[np.float64], labels: Labelled
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Class of each candidate, and the label it lies on.

    Parameters
    ----------
    x, y : float arrays, shape (n,)
        Centres, metres, on the plane of the labels.
    diameter_m : float array, shape (n,)
    labels : Labelled

    Returns
    -------
    codes : object array, shape (n,)
        A class code, :data:`NOTHING` or :data:`UNDECIDED`.
    index : int array, shape (n,)
        Row of the label, -1 where there is none.
    """
    codes = np.full(len(x), NOTHING, dtype=object)
    index = np.full(len(x), -1)
    if len(labels.outlines) == 0 or len(x) == 0:
        return codes, index
    points = shapely.points(x, y)
    which, near = shapely.STRtree(labels.outlines).query_nearest(points, max_distance=10.0, all_matches=False)
    outline = labels.outlines[near]
    longer, shorter = labels.sides[near].T
    size = diameter_m[which]
    # Of a long object any part of its middle line counts, of a compact one only its centre.
    long = longer > 3 * np.maximum(size, shorter)
    off_centre = shapely.distance(points[which], shapely.centroid(outline))
    inside = shapely.distance(points[which], shapely.buffer(outline, -0.2 * shorter))
    deep = np.where(long, inside, np.maximum(0, off_centre))
    tolerance = np.where(long, 0.25 * shorter, np.maximum(_ON * np.minimum(size, longer), 0.2 * longer))
    fits = (size >= _FIT[0] * shorter) & (size <= _FIT[1] * np.where(long, 2 * shorter, longer))
    visible = labels.occlusion[near] <= _MOST_OCCLUDED
    on = (deep <= tolerance) & fits & visible
    beside = shapely.distance(points[which], outline) <= 0.5 * size
    codes[which[beside]] = UNDECIDED
    codes[which[on]] = labels.codes[near[on]]
    index[which[on]] = near[on]
    return codes, index
