"""Lines of posts: fences and rows of marker posts show from above as dots a few metres apart on a line.

A post by itself is nothing: it is the line that tells. A line is walked from every two posts that are near enough, to
both sides, post by post; what counts is how unlikely so many posts so well in line would be by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import expit

from survey.detection.classifier import EMITTED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FENCE = "fence"
"""Class of a line of posts."""
POST = "post"
"""What a sighting of one post is called until it is known whether it stands in a line; no class of hazard."""
LEAST_POST = 0.05
"""Least probability of a post that is kept."""
POST_SIZES_M = (0.17, 0.24)
"""Diameters at which posts are looked for: a post is 4 to 13 cm thick, and stands out with the foot of its shadow."""

_APART_M = (1.5, 10.0)
"""Distance between neighbouring posts (domain notes, 5: 2 to 10 m); less on slopes seen from above."""
_HALF_WIDTH_M = 0.25
"""Of the strip that stands for a fence, as its label is drawn."""
# How far posts are off the place where the ones before them say, one standard deviation, in shares of their distance
# and beside that in metres; and how many of these a post may be off.
_OFF, _OFF_M = 0.04, 0.06
_FARTHEST = 2.5
# How fast a line may turn and widen: share of each step that goes into the next.
_FOLLOWS = 0.4
_MOST_MISSING = 1
"""Posts in a row that may be missing or unseen."""
_FEWEST = 4
# No curve takes a line that is less likely than this for an object.
_LEAST_SCORE = -11.0
# Posts to one side of the two that a line is walked from: a longer fence is found in pieces, and ends in any case.
_LONGEST = 60
# Pairs of posts that are walked from at once: what bounds the memory.
_AT_ONCE = 50_000
# Every missing post makes a line as much less likely as this makes a found one (a post is seen in two of three cases).
_MISS = np.log(3.0)
# Lines that share more than this of their posts with a better one are that one.
_SHARED = 0.34


@dataclass(frozen=True)
class Line:
    """One line of posts.

    Attributes
    ----------
    posts : int array, shape (n,)
        Numbers of its posts in order along it.
    score : float
        Natural logarithm of how much more likely the posts are on a line than by chance.
    """

    posts: Ints
    score: float


def fences_of(posts: gpd.GeoDataFrame, curve: tuple[float, float]) -> gpd.GeoDataFrame:
    """Fences among sightings of posts; posts that stand in no line are left out.

    Parameters
    ----------
    posts : GeoDataFrame in layers.SIGHTINGS
        Of one scene, one sighting a post, geometry in metres.
    curve : (slope, intercept)
        From the score of a line to the logit of its probability.

    Returns
    -------
    GeoDataFrame in layers.SIGHTINGS
        A strip half a metre wide along each line of posts; row and column are those of its likeliest post.
    """
    points = shapely.get_coordinates(shapely.centroid(posts.geometry.values))
    probability = posts["probability"].to_numpy(float)
    rows, strips, chances = [], [], []
    for line in lines_of(points, probability):
        chance = float(expit(curve[0] * line.score + curve[1]))
        if chance >= EMITTED:
            rows.append(line.posts[probability[line.posts].argmax()])
            strips.append(shapely.LineString(points[line.posts]).buffer(_HALF_WIDTH_M, cap_style="flat"))
            chances.append(chance)
    fences = posts.iloc[rows].reset_index(drop=True)
    fences["class_code"], fences["probability"] = FENCE, np.array(chances, dtype=float)
    shapes = np.array(strips, dtype=object)
    fences["area_m2"] = shapely.area(shapes)
    fences["width_m"] = 2 * _HALF_WIDTH_M
    fences["length_m"] = fences["area_m2"] / (2 * _HALF_WIDTH_M)
    return fences.set_geometry(shapes, crs=posts.crs)


def lines_of(points: Floats, probability: Floats) -> list[Line]:
    """Lines among posts, best first; no post belongs to two, but where they cross.

    Parameters
    ----------
    points : float array, shape (n, 2)
        Metres, on a plane.
    probability : float array, shape (n,)
        That each is a post.
    """
    if len(points) < _FEWEST:
        return []
    tree = cKDTree(points)
    pairs = tree.query_pairs(_APART_M[1], output_type="ndarray")
    apart = np.hypot(*(points[pairs[:, 1]] - points[pairs[:, 0]]).T)
    pairs = pairs[apart >= _APART_M[0]].astype(np.int64)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    if not len(pairs):
        return []
    near = tree.query_ball_point(points, _APART_M[1], return_length=True)
    known = probability, np.asarray(near / (np.pi * _APART_M[1] ** 2))
    lines: list[Line] = []
    for start in range(0, len(pairs), _AT_ONCE):
        some = pairs[start : start + _AT_ONCE]
        ahead, ahead_gain = _walked(tree, some, known)
        back, back_gain = _walked(tree, some[:, ::-1], known)
        # The second post may be any of those around the first.
        score = np.log(probability[some]).sum(axis=1) - np.log(near[some].min(axis=1)) + ahead_gain + back_gain
        posts = np.concatenate([back[:, ::-1], some, ahead], axis=1)
        enough = np.flatnonzero(((posts >= 0).sum(axis=1) >= _FEWEST) & (score > _LEAST_SCORE))
        lines += [Line(_once(posts[number]), float(score[number])) for number in enough]
    return _best(lines)


def _walked(tree: cKDTree, pairs: Ints, known: tuple[Floats, Floats]) -> tuple[Ints, Floats]:
    """Walk on from the second post of each pair: the posts met, -1 for none, and what they add to the score."""
    points = np.asarray(tree.data)
    probability, crowd = known
    count = len(pairs)
    met: list[Ints] = []
    gain, pending = np.zeros(count), np.zeros(count)
    head, step = pairs[:, 1].copy(), points[pairs[:, 1]] - points[pairs[:, 0]]
    missing = np.zeros(count, dtype=np.int64)
    going = np.arange(count)
    for _ in range(_LONGEST):
        if not len(going):
            break
        times = 1 + missing[going]
        reach = step[going] * times[:, None]
        off = _OFF * np.hypot(*reach.T) + _OFF_M
        distance, nearest = tree.query(points[head[going]] + reach, distance_upper_bound=_FARTHEST * off.max())
        found = distance <= _FARTHEST * off
        found[found] &= nearest[found] != head[going[found]]
        column = np.full(count, -1, dtype=np.int64)
        here, which = going[found], nearest[found]
        column[here] = which
        met.append(column)
        # A post of the line is about where it should be; of others so many are in each square metre.
        there = np.exp(-0.5 * (distance[found] / off[found]) ** 2) / (2 * np.pi * off[found] ** 2)
        gain[here] += np.log(probability[which] * there / crowd[which]) - pending[here]
        step[here] += _FOLLOWS * ((points[which] - points[head[here]]) / times[found][:, None] - step[here])
        head[here], missing[here], pending[here] = which, 0, 0.0
        lost = going[~found]
        missing[lost] += 1
        pending[lost] += _MISS
        wide = np.hypot(*step[going].T) <= _APART_M[1]
        going = going[(missing[going] <= _MOST_MISSING) & wide]
    return np.stack(met, axis=1), gain


def _once(posts: Ints) -> Ints:
    """Posts in their order, each where it comes first: a line that runs all around a field meets its own again."""
    met = posts[posts >= 0]
    return met[np.sort(np.unique(met, return_index=True)[1])]


def _best(lines: list[Line]) -> list[Line]:
    """Lines none of which has much in common with a better one."""
    taken: set[int] = set()
    best = []
    for line in sorted(lines, key=lambda line: -line.score):
        own = line.posts.tolist()
        if len(own) >= _FEWEST and len(taken.intersection(own)) <= _SHARED * len(own):
            best.append(line)
            taken.update(own)
    return best
