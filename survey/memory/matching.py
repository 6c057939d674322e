"""Which detection is which known object: one to one, most probable first, in metres.

A detection hits a compact object when its centroid lies within
``max(0.5 x the object's longer side, 2 GSD, 0.15 m)`` of the object's centroid. A further detection
of an object that is already taken is a false alarm.

Long, ribbon-like objects (trenches, fences) are the one exception: half of a 40 m trench's length says
nothing about where it is, and detectors rightly report it in pieces. A ribbon is hit by an outline that
touches it. A surplus piece is neither a hit nor a false alarm when at least half of it lies on the ribbon
and at most half of it repeats ground that an earlier piece already claimed; otherwise it is a false alarm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Matching(BaseModel):
    """When a detection counts as an object. The first three are the contract's.

    Attributes
    ----------
    side_share : float
        Share of the object's longer side within which the centroids may differ.
    gsd_multiple : float
        The same in ground sampling distances of the detection's image.
    floor_m : float
        The same in metres, whatever the size and the imagery.
    ribbon_length_m, ribbon_slenderness : float
        An object is a ribbon where it is longer than this and perimeter^2 / (4 area) is at least this
        (circle 3.1, square 4, a 6 : 1 rectangle 8.2).
    part_inside, part_repeated : float
        A surplus piece is a part of a ribbon where at least the first share of it lies on the ribbon and
        at most the second share lies on pieces counted before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    side_share: float = 0.5
    gsd_multiple: float = 2.0
    floor_m: float = 0.15
    ribbon_length_m: float = 3.0
    ribbon_slenderness: float = 8.0
    part_inside: float = 0.5
    part_repeated: float = 0.5


@dataclass(frozen=True)
class Marks:
    """Detections as arrays of one length; coordinates in metres of an equal-area plane.

    Attributes
    ----------
    outline : ndarray of shapely geometries
    x, y : ndarray of float
        Centroid, metres.
    probability : ndarray of float
    gsd_m : ndarray of float
        Ground sampling distance of the image it was seen in, metres.
    """

    outline: NDArray[np.object_]
    x: Floats
    y: Floats
    probability: Floats
    gsd_m: Floats

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.x)

    def where(self, keep: Bools) -> Marks:
        """Return those for which ``keep`` is true."""
        return Marks(self.outline[keep], self.x[keep], self.y[keep], self.probability[keep], self.gsd_m[keep])


@dataclass(frozen=True)
class Targets:
    """Known objects as arrays of one length; coordinates in metres of the same plane as the marks."""

    outline: NDArray[np.object_]
    x: Floats
    y: Floats
    length_m: Floats
    ribbon: Bools

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.x)

    def where(self, keep: Bools) -> Targets:
        """Return those for which ``keep`` is true."""
        return Targets(self.outline[keep], self.x[keep], self.y[keep], self.length_m[keep], self.ribbon[keep])

    def reach_m(self, gsd_m: float | Floats, matching: Matching) -> Floats:
        """Distance within which a detection counts, metres; for a ribbon from its outline, else its centroid."""
        side = np.where(self.ribbon, 0.0, matching.side_share * self.length_m)
        return np.asarray(np.maximum(np.maximum(side, matching.gsd_multiple * gsd_m), matching.floor_m))


@dataclass(frozen=True)
class Matches:
    """What became of each detection.

    Attributes
    ----------
    target : ndarray of int
        Index of the object it hits or is a part of, else -1.
    hit : ndarray of bool
        The first detection of an object.
    part : ndarray of bool
        A surplus piece of a ribbon: neither hit nor false alarm.
    """

    target: Ints
    hit: Bools
    part: Bools


def marks(outline: NDArray[np.object_], probability: Floats, gsd_m: Floats) -> Marks:
    """Return detections as arrays, from outlines in metres of an equal-area plane."""
    centre = shapely.centroid(outline)
    return Marks(outline, shapely.get_x(centre), shapely.get_y(centre), probability, gsd_m)


def targets(outline: NDArray[np.object_], plan_length_m: Floats, matching: Matching) -> Targets:
    """Return known objects as arrays, from outlines (or points) in metres of an equal-area plane.

    Parameters
    ----------
    outline : ndarray of shapely geometries
    plan_length_m : ndarray of float
        Longer side, metres, to be taken for an object labelled as a point.
    matching : Matching
    """
    centre = shapely.centroid(outline)
    length = _longer_side(outline)
    area = shapely.area(outline)
    slender = np.divide(shapely.length(outline) ** 2, 4.0 * area, out=np.full(len(area), np.inf), where=area > 0)
    ribbon = (length > matching.ribbon_length_m) & (slender >= matching.ribbon_slenderness)
    length = np.where(length > 0.0, length, plan_length_m)
    return Targets(outline, shapely.get_x(centre), shapely.get_y(centre), length, ribbon)


def match(found: Marks, known: Targets, matching: Matching) -> Matches:
    """Match detections with known objects, one to one, most probable first.

    A detection takes the nearest object that is still free. Equal probabilities are taken from west to
    east, then from south to north, so that the order of the rows does not matter.

    Returns
    -------
    Matches
        One entry per detection, in the order of ``found``.
    """
    n = len(found)
    target = np.full(n, -1, dtype=np.int64)
    hit = np.zeros(n, dtype=bool)
    part = np.zeros(n, dtype=bool)
    if n == 0 or len(known) == 0:
        return Matches(target, hit, part)
    rank = np.empty(n, dtype=np.int64)
    rank[np.lexsort((found.y, found.x, -found.probability))] = np.arange(n)

    mark, object_, distance = _pairs(found, known, matching)
    order = np.lexsort((object_, distance, known.ribbon[object_], rank[mark]))
    mark, object_ = mark[order], object_[order]
    starts = np.flatnonzero(np.r_[True, mark[1:] != mark[:-1]]) if len(mark) else np.empty(0, dtype=np.int64)
    ends = np.r_[starts[1:], len(mark)]

    taken = np.zeros(len(known), dtype=bool)
    claimed: dict[int, shapely.Geometry] = {}
    for start, end in zip(starts, ends, strict=False):
        which = int(mark[start])
        candidates = object_[start:end]
        free = candidates[~taken[candidates]]
        if len(free):
            one = int(free[0])
            taken[one] = hit[which] = True
        else:
            one = _part_of(found.outline[which], candidates, known, claimed, matching)
            part[which] = one >= 0
        target[which] = one
        if one >= 0 and known.ribbon[one]:
            before = claimed.get(one)
            outline = found.outline[which]
            claimed[one] = outline if before is None else shapely.union(before, outline)
    return Matches(target, hit, part)


def _pairs(found: Marks, known: Targets, matching: Matching) -> tuple[Ints, Ints, Floats]:
    """Every detection and object near enough to be one another: indices and distance, metres."""
    widest = float(np.max(found.gsd_m))
    compact = np.flatnonzero(~known.ribbon)
    reach = known.where(~known.ribbon).reach_m(widest, matching)
    tree = cKDTree(np.c_[found.x, found.y])
    near = tree.query_ball_point(np.c_[known.x, known.y][compact], reach, return_sorted=True)
    object_ = np.repeat(compact, [len(some) for some in near])
    mark = np.array([index for some in near for index in some], dtype=np.int64)
    distance = np.hypot(found.x[mark] - known.x[object_], found.y[mark] - known.y[object_])

    ribbons = np.flatnonzero(known.ribbon)
    if len(ribbons):
        across = max(matching.gsd_multiple * widest, matching.floor_m)
        long_, touching = shapely.STRtree(found.outline).query(
            known.outline[ribbons], predicate="dwithin", distance=across
        )
        gap = shapely.distance(known.outline[ribbons[long_]], found.outline[touching])
        object_ = np.r_[object_, ribbons[long_]]
        mark = np.r_[mark, touching]
        distance = np.r_[distance, gap]

    side = np.where(known.ribbon[object_], 0.0, matching.side_share * known.length_m[object_])
    reach = np.maximum(np.maximum(side, matching.gsd_multiple * found.gsd_m[mark]), matching.floor_m)
    near_enough = distance <= reach
    return mark[near_enough], object_[near_enough], distance[near_enough]


def _part_of(
    outline: shapely.Geometry,
    candidates: Ints,
    known: Targets,
    claimed: dict[int, shapely.Geometry],
    matching: Matching,
) -> int:
    """Index of the ribbon this surplus outline is a part of, or -1."""
    own = outline.area
    for one in candidates[known.ribbon[candidates]]:
        ribbon = shapely.buffer(known.outline[one], matching.floor_m)
        inside = shapely.intersection(outline, ribbon).area
        repeated = shapely.intersection(outline, claimed[int(one)]).area
        if own > 0 and inside >= matching.part_inside * own and repeated <= matching.part_repeated * own:
            return int(one)
    return -1


def _longer_side(outline: NDArray[np.object_]) -> Floats:
    """Longer side of the smallest rectangle around each outline, metres; 0 for a point."""
    if not len(outline):
        return np.empty(0)
    box = shapely.oriented_envelope(outline)
    polygonal = shapely.get_type_id(box) == shapely.GeometryType.POLYGON
    length = np.where(polygonal, 0.0, shapely.length(box))
    corners = shapely.get_coordinates(box[polygonal]).reshape(-1, 5, 2)
    sides = np.hypot(*np.moveaxis(np.diff(corners[:, :3], axis=1), -1, 0))
    length[polygonal] = sides.max(axis=1) if len(sides) else 0.0
    return np.asarray(length, dtype=np.float64)
