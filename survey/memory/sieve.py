"""Fit the sieve: a small network that sees, by the first look at a candidate, whether it is worth measuring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from survey.memory.committee import Committee, fit_network

Floats = NDArray[np.float32]

SETTINGS = Committee(hidden=(32, 16), epochs=12, penalty=0.001)
"""Of its network; a wider one lets no fewer pass (docs/detection.md)."""
OBJECTS_KEPT = 0.93
"""Share of the object candidates of ground it has not learned from that a sieve lets pass. Of those that trees on all
measures think likely it then drops one in a hundred (docs/detection.md)."""
# Share of the sites on which it is measured how much it lets pass.
_ASIDE = 0.3
# Weight of an object against a candidate that is nothing: of one among twenty a network learns little.
_OBJECTS_WEIGH = 5.0


def fit_sieve(first: Floats, positive: NDArray[np.bool_], sites: NDArray[np.object_]) -> tuple[MLPClassifier, float]:
    """Fit on all candidates of some pictures.

    Parameters
    ----------
    first : float32 array, shape (n, k)
        The first look at each candidate.
    positive : bool array, shape (n,)
        Whether it lies on an object.
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
    weights = np.where(positive, _OBJECTS_WEIGH, 1.0)
    learned = ~aside
    sieve = fit_network(first[learned], positive[learned].astype(np.int64), weights[learned], SETTINGS, seed=0)
    answers = sieve.predict_proba(first[aside & positive])[:, 1]
    return sieve, float(np.quantile(answers, 1 - OBJECTS_KEPT))
