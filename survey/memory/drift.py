"""How unlike the ground a model learned from other ground is, in the features of what stands out on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST = 3.0
"""Spreads at which one feature's difference stops counting more, so that no single one decides."""
_TOLERANCE = 1.5
"""Multiple of the drift between the training grounds themselves beyond which ground is strange: no published figure."""


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
        ``mean`` and ``spread`` by feature, and ``usual``: the largest drift of one site from the others; None with
        fewer than two sites. Empty where there is no candidate.
    """
    if not len(features):
        return {}
    described: dict[str, Any] = _moments(features, weights)
    names = np.unique(groups.astype(str))
    apart = [
        drift(features[groups == name], weights[groups == name], _moments(features[rest], weights[rest]))
        for name in names
        if (rest := groups != name).any()
    ]
    return described | {"usual": max(apart) if apart else None}


def _moments(features: NDArray[np.float32], weights: NDArray[np.float64]) -> dict[str, list[float]]:
    mean = np.average(features, axis=0, weights=weights)
    spread = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
    return {"mean": [round(float(one), 4) for one in mean], "spread": [round(float(one), 4) for one in spread]}


def drift(features: NDArray[np.float32], weights: NDArray[np.float64], known: Mapping[str, Any]) -> float:
    """Mean difference of the features' means from those of known ground, in spreads of the known ground."""
    mean = np.average(features, axis=0, weights=weights)
    spread = np.asarray(known["spread"], dtype=float)
    used = spread > 0
    steps = np.abs(mean - np.asarray(known["mean"], dtype=float))[used] / spread[used]
    return float(np.minimum(steps, _MOST).mean()) if used.any() else 0.0


def is_strange(measured: float, known: Mapping[str, Any]) -> bool:
    """Whether ground lies clearly further from the training ground than the training grounds from one another."""
    usual = known.get("usual")
    return usual is not None and measured > _TOLERANCE * usual
