"""How unlike the ground a model learned from other ground is, in the features of what stands out on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_MOST = 3.0
"""Spreads at which one feature's difference stops counting more, so that no single one decides."""
_USUAL = 0.95
"""Share of the sites that usually lie no further apart."""
_TOLERANCE = 1.5
"""Multiple of the drift between a few training grounds beyond which ground is strange: no published figure."""
_MANY_SITES = 20


def background(
    features: NDArray[np.float32], weights: NDArray[np.float64], groups: NDArray[np.object_]
) -> dict[str, Any]:
    """Describe ground that holds no object: mean and spread of every feature, and how far grounds usually lie apart.

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
        Candidates that lie on no object.
    weights : float array, shape (n,)
    groups : object array, shape (n,)
        Site of each.

    Returns
    -------
    dict
        ``mean`` and ``spread`` by feature, the number of ``sites``, and ``usual``: how far from the others nineteen of
        twenty sites lie at most, the largest drift where there are few; None with fewer than two. Empty where there
        is no candidate.
    """
    if not len(features):
        return {}
    rows_of = pd.Series(groups.astype(str)).groupby(groups.astype(str)).indices
    sums = {name: _sums(features[rows], weights[rows]) for name, rows in rows_of.items()}
    whole = np.sum(list(sums.values()), axis=0)
    described: dict[str, Any] = _moments(whole)
    apart = [_steps(own[1] / own[0], _moments(whole - own)) for own in sums.values()] if len(sums) > 1 else []
    return described | {
        "sites": len(sums),
        "usual": float(np.quantile(apart, _USUAL, method="higher")) if apart else None,
    }


def _sums(features: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight, weighted sums and sums of squares by feature, shape (3, number of features)."""
    values = features.astype(np.float64)
    total = np.full(values.shape[1], weights.sum())
    return np.stack([total, weights @ values, weights @ np.square(values)])


def _moments(sums: NDArray[np.float64]) -> dict[str, list[float]]:
    mean = sums[1] / sums[0]
    spread = np.sqrt(np.maximum(sums[2] / sums[0] - mean**2, 0.0))
    return {"mean": [round(float(one), 4) for one in mean], "spread": [round(float(one), 4) for one in spread]}


def drift(features: NDArray[np.float32], weights: NDArray[np.float64], known: Mapping[str, Any]) -> float:
    """Mean difference of the features' means from those of known ground, in spreads of the known ground."""
    return _steps(np.average(features, axis=0, weights=weights), known)


def _steps(mean: NDArray[np.float64], known: Mapping[str, Any]) -> float:
    spread = np.asarray(known["spread"], dtype=float)
    used = spread > 0
    steps = np.abs(mean - np.asarray(known["mean"], dtype=float))[used] / spread[used]
    return float(np.minimum(steps, _MOST).mean()) if used.any() else 0.0


def is_strange(measured: float, known: Mapping[str, Any]) -> bool:
    """Whether ground lies clearly further from the training ground than the training grounds from one another."""
    usual = known.get("usual")
    # The largest of a few is a poor estimate of what is usual; of many it is known.
    tolerance = _TOLERANCE if known.get("sites", 0) < _MANY_SITES else 1.0
    return usual is not None and measured > tolerance * usual
