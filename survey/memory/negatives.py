"""Thin out the candidates that are nothing: keep what could be taken for an object, and a share of the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from survey.memory.committee import Committee, fit_trees

# The quick model that tells hard negatives from easy ones.
_QUICK = Committee(iterations=60, leaves=24, feature_share=0.2, networks=0)
# The hardest tenth is kept whole, one in ten of the others: a fifth of the rows for nearly all they teach.
_HARD = 0.10
_KEPT = 0.10


@dataclass(frozen=True)
class Pilot:
    """A quick model and the answer from which a negative is hard."""

    trees: HistGradientBoostingClassifier
    hard: float


def fit_pilot(features: NDArray[np.float32], positive: NDArray[np.bool_], weights: NDArray[np.float64]) -> Pilot:
    """Fit the quick model on all candidates of the first pictures.

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
    positive : bool array, shape (n,)
    weights : float array, shape (n,)
    """
    trees = fit_trees(features, positive, weights, _QUICK, seed=0)
    answers = trees.predict_proba(features[~positive])[:, 1]
    return Pilot(trees, float(np.quantile(answers, 1 - _HARD)))


def thin_negatives(
    features: NDArray[np.float32], positive: NDArray[np.bool_], pilot: Pilot, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose rows to learn from, and how many candidates each stands for.

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
    positive : bool array, shape (n,)
        Kept, all of them.
    pilot : Pilot
    seed : int

    Returns
    -------
    rows : int array
    weights : float array
        They sum to n up to the luck of the draw.
    """
    if len(features) == 0:
        return np.empty(0, np.int64), np.empty(0)
    hard = pilot.trees.predict_proba(features)[:, 1] >= pilot.hard
    drawn = np.random.default_rng([seed, 23]).random(len(features)) < _KEPT
    rows = np.flatnonzero(positive | hard | drawn)
    return rows, np.where((positive | hard)[rows], 1.0, 1.0 / _KEPT)
