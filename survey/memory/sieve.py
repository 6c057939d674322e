"""Fit the sieve: a small network that sees, by the first look at a candidate, whether it is worth measuring."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from survey.memory.committee import Committee, fit_network

Floats = NDArray[np.float32]

SETTINGS = Committee(hidden=(32, 16), epochs=12, penalty=0.001)
"""Of its network; a wider one lets no fewer pass (docs/detection.md)."""
OBJECTS_KEPT = 0.93
"""Share of the objects of ground it has not learned from of which a sieve lets a candidate pass, of those that have
any."""
# Share of the sites on which it is measured how much it lets pass.
_ASIDE = 0.3
# Weight of an object against a candidate that is nothing: of one among twenty a network learns little.
_OBJECTS_WEIGH = 5.0


def fit_sieve(
    first: Floats, weights: NDArray[np.float64], objects: NDArray[np.int64], sites: NDArray[np.object_]
) -> tuple[MLPClassifier, float]:
    """Fit on all candidates of some pictures: a first time without those on which it is measured what it may drop.

    Parameters
    ----------
    first : float32 array, shape (n, k)
        The first look at each candidate.
    weights : float array, shape (n,)
        Of the candidates; those of an object share what it weighs.
    objects : int array, shape (n,)
        Number of the object a candidate lies on, -1 for none.
    sites : object array, shape (n,)
        A part of the sites is set aside, to measure on.

    Returns
    -------
    sieve : MLPClassifier
    least : float
        Answer from which a candidate passes.
    """
    names = np.unique(sites.astype(str))
    aside = np.isin(sites.astype(str), np.random.default_rng(0).permutation(names)[: round(_ASIDE * len(names))])
    on = objects >= 0
    weights = np.where(on, _OBJECTS_WEIGH, 1.0) * weights
    trial = fit_network(first[~aside], on[~aside].astype(np.int64), weights[~aside], SETTINGS, seed=0)
    shown = np.flatnonzero(aside & on)
    likeliest = pd.Series(trial.predict_proba(first[shown])[:, 1]).groupby(objects[shown]).max()
    sieve = fit_network(first, on.astype(np.int64), weights, SETTINGS, seed=0)
    return sieve, float(likeliest.quantile(1 - OBJECTS_KEPT))
