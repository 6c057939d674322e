"""From a classifier's raw score to a probability, by what held-out ground turned out to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

Floats = NDArray[np.float64]

# Scores are held this far from 0 and 1 before their logit is taken.
_EDGE = 1e-9
# Candidates nearer than this share of the larger one's size are one object, as in a survey.
_SAME = 0.6


@dataclass(frozen=True)
class Places:
    """Where candidates lie; arrays of one length.

    Attributes
    ----------
    picture : int array
        Only candidates of one picture can be one object.
    x_m, y_m, diameter_m : float arrays
    """

    picture: NDArray[np.int64]
    x_m: Floats
    y_m: Floats
    diameter_m: Floats


def calibrated(raw: Floats, calibration: tuple[float, float]) -> Floats:
    """Probability from a raw score (Platt 1999, Probabilistic outputs for support vector machines)."""
    slope, intercept = calibration
    return np.asarray(expit(slope * logit(np.clip(raw, _EDGE, 1 - _EDGE)) + intercept))


def platt(raw: Floats, positive: NDArray[Any], weights: Floats) -> tuple[float, float]:
    """Slope and intercept of the logistic curve from the logit of a raw score to a probability.

    Parameters
    ----------
    raw : float array, shape (n,)
        Of rows that whatever gave the score had not seen.
    positive : array of bool or 0 and 1, shape (n,)
    weights : float array, shape (n,)
    """
    curve = LogisticRegression(C=np.inf).fit(
        logit(np.clip(raw, _EDGE, 1 - _EDGE))[:, None], positive, sample_weight=weights
    )
    return float(curve.coef_[0, 0]), float(curve.intercept_[0])


def after(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Slope and intercept of one curve that does what two do, one after the other."""
    return first[0] * second[0], first[1] * second[0] + second[1]


def best_of_places(score: Floats, places: Places) -> NDArray[np.bool_]:
    """Candidates that would come out of a survey as objects: each the best of its place.

    A survey shows one object where several candidates stand on each other, and that one is the likeliest of them: a
    curve fitted to all candidates would promise too much of it.

    Parameters
    ----------
    score : float array, shape (n,)
    places : Places
    """
    kept = np.zeros(len(score), dtype=bool)
    order = np.lexsort((places.y_m, places.x_m, -score, places.picture))
    ends = np.flatnonzero(np.diff(places.picture[order])) + 1
    for mine in np.split(order, ends) if len(order) else []:
        points = np.column_stack([places.x_m[mine], places.y_m[mine]])
        size = places.diameter_m[mine]
        pairs = cKDTree(points).query_pairs(_SAME * size.max(), output_type="ndarray")
        apart = np.hypot(*(points[pairs[:, 0]] - points[pairs[:, 1]]).T)
        pairs = pairs[apart < _SAME * np.maximum(size[pairs[:, 0]], size[pairs[:, 1]])]
        worse: list[list[int]] = [[] for _ in mine]
        for better, other in np.sort(pairs, axis=1):
            worse[better].append(int(other))
        free = np.ones(len(mine), dtype=bool)
        for number in range(len(mine)):
            if free[number]:
                kept[mine[number]] = True
                free[worse[number]] = False
    return kept
