"""How unlike the ground a model learned from other ground is, in the features of what stands out on it.

A site is described by the mean and the spread of every feature over its candidates. Sites differ from one another, and
so the differences of new ground are told in units of how far the sites lie apart, not of how far candidates do: a
control chart of what is measured on it (Shewhart 1931). Features are judged in parts, those of one measure and one
channel together, or a few that are far off would be lost among hundreds that are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

_FEWEST = 100
"""Candidates below which a site is left out: a choice, no published figure."""
_STRANGE = 0.05
"""Share of the sites that lie further off than is usual."""
_MANY_SITES = 20
"""Sites from which the share above can be counted; among fewer it is reckoned."""
_LEAST_VARIANCE = 1e-3
"""Added to variances before their logarithm is taken; features are logarithms of contrasts, of a size about one."""
_ROWS = 20_000
_FIELDS = ("mean", "mean_apart", "within", "spread", "spread_apart")


@dataclass(frozen=True)
class Ground:
    """What stands out on some ground.

    Attributes
    ----------
    count : float
        Candidates; those of unlike weights count as fewer (Kish 1965: squared sum of the weights over the sum of their
        squares).
    mean, variance : float arrays, shape (number of features,)
    """

    count: float
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]

    @property
    def spread(self) -> NDArray[np.float64]:
        """Logarithm of each feature's standard deviation."""
        return np.asarray(0.5 * np.log(self.variance + _LEAST_VARIANCE))


def ground_of(features: NDArray[np.floating[Any]], weights: NDArray[np.float64]) -> Ground:
    """Describe the ground some candidates lie on.

    Parameters
    ----------
    features : float array, shape (n, number of features)
        Candidates that lie on no object, as far as is known.
    weights : float array, shape (n,)
        Positive; n is 1 at least.
    """
    total = float(weights.sum())
    count = total**2 / float(np.square(weights).sum())
    sums = np.zeros((2, features.shape[1]))
    for start in range(0, len(features), _ROWS):
        values = features[start : start + _ROWS].astype(np.float64)
        some = weights[start : start + _ROWS]
        sums += np.stack([some @ values, some @ np.square(values)])
    mean, squares = sums / total
    return Ground(count, mean, np.maximum(squares - mean**2, 0.0))


def background(
    features: NDArray[np.floating[Any]],
    weights: NDArray[np.float64],
    groups: NDArray[np.object_],
    parts: NDArray[np.int64],
) -> dict[str, Any]:
    """Describe ground that holds no object, site by site, for a model's card.

    Parameters
    ----------
    features : float array, shape (n, number of features)
        Candidates that lie on no object and that a survey with the model would measure.
    weights : float array, shape (n,)
    groups : object array, shape (n,)
        Site of each.
    parts : int array, shape (number of features,)
        Part that each feature is judged in; -1 for none.

    Returns
    -------
    dict
        As :func:`compared` gives it; empty where no site has enough candidates.
    """
    rows_of = pd.Series(groups.astype(str)).groupby(groups.astype(str)).indices
    described = (ground_of(features[rows], weights[rows]) for _, rows in sorted(rows_of.items()))
    return compared([one for one in described if one.count >= _FEWEST], parts)


def compared(grounds: list[Ground], parts: NDArray[np.int64]) -> dict[str, Any]:
    """Compare the grounds of some sites with one another.

    Parameters
    ----------
    grounds : list of Ground
        One a site.
    parts : int array, shape (number of features,)
        Part that each feature is judged in; -1 for none.

    Returns
    -------
    dict
        ``sites``: their number; by feature the ``mean`` over the sites of their means, the standard deviation of
        these (``mean_apart``), the mean standard deviation ``within`` a site, and mean and standard deviation of the
        logarithm of that (``spread``, ``spread_apart``); ``limits`` by part, of the means and then of the spreads, and
        ``usual``, the highest multiple of its limit that a part usually reaches. With twenty sites and more, limits and
        ``usual`` are what nineteen of twenty sites keep when they are compared with the others. Of fewer that cannot
        be counted, and limits are those that a normal deviate of unknown variance keeps in all parts together
        (Student's t; Bonferroni). Without two sites ``limits`` is empty. All is empty without any.
    """
    if not grounds:
        return {}
    known = _moments(grounds)
    described: dict[str, Any] = {key: [_short(one) for one in known[key]] for key in _FIELDS}
    described |= {"sites": len(grounds), "limits": [], "usual": 1.0}
    if len(grounds) < 2:
        return described
    count = 2 * (int(parts.max()) + 1)
    if len(grounds) < _MANY_SITES:
        limit = float(stdtrit(len(grounds) - 1, 1 - _STRANGE / (2 * count)))
        return described | {"limits": [_short(limit)] * count}
    left_out = [
        _differences(one, _moments([*grounds[:n], *grounds[n + 1 :]]) | {"sites": len(grounds) - 1}, parts)
        for n, one in enumerate(grounds)
    ]
    limits = np.quantile(left_out, 1 - _STRANGE, axis=0)
    usual = np.quantile((np.array(left_out) / limits).max(axis=1), 1 - _STRANGE, method="higher")
    return described | {"limits": [_short(one) for one in limits], "usual": _short(usual)}


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _moments(grounds: list[Ground]) -> dict[str, NDArray[np.float64]]:
    means, spreads = np.array([one.mean for one in grounds]), np.array([one.spread for one in grounds])
    degrees = 1 if len(grounds) > 1 else 0
    return {
        "mean": means.mean(axis=0),
        "mean_apart": means.std(axis=0, ddof=degrees),
        "within": np.sqrt(np.mean([one.variance for one in grounds], axis=0)),
        "spread": spreads.mean(axis=0),
        "spread_apart": spreads.std(axis=0, ddof=degrees),
    }


def _differences(ground: Ground, known: Mapping[str, Any], parts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Root mean square of the differences by part, of means and then of spreads, in standard deviations.

    The deviation is that of a new site from the mean of some, and of a mean, or the logarithm of a standard deviation,
    of so many candidates (normal: 1 / sqrt(2 n)) from its site's.
    """
    values = {key: np.asarray(known[key], dtype=float) for key in _FIELDS}
    more, noise = 1 + 1 / known["sites"], np.array([values["within"] ** 2, np.full(len(parts), 0.5)]) / ground.count
    apart = np.array([values["mean_apart"], values["spread_apart"]])
    off = np.array([ground.mean - values["mean"], ground.spread - values["spread"]])
    # A feature that is the same everywhere tells nothing.
    squares = off**2 / np.maximum(apart**2 * more + noise, _LEAST_VARIANCE**2)
    judged = parts >= 0
    members = np.bincount(parts[judged])
    return np.concatenate([np.sqrt(np.bincount(parts[judged], one[judged]) / members) for one in squares])


def drift(ground: Ground, known: Mapping[str, Any], parts: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Tell how far ground lies from the grounds a model learned from.

    Parameters
    ----------
    ground : Ground
    known : mapping
        From :func:`background`.
    parts : int array, shape (number of features,)
        As it was made with.

    Returns
    -------
    float array, shape (number of parts,), or None
        By part, the larger of what means and spreads reach, in multiples of what is usual: beyond 1 ground is strange.
        None where nothing is known: of fewer than two sites, or as cards of earlier versions have it.
    """
    if not _is_usable(known, len(parts), 2 * (int(parts.max()) + 1)) or len(ground.mean) != len(parts):
        return None
    limits = np.asarray(known["limits"], dtype=float) * float(known["usual"])
    return np.asarray((_differences(ground, known, parts) / limits).reshape(2, -1).max(axis=0))


def _is_usable(known: Any, features: int, limits: int) -> bool:
    """Whether a card's description of ground is one of this version, whole, and of two sites or more."""
    if not isinstance(known, Mapping):
        return False
    sizes = {**dict.fromkeys(_FIELDS, features), "limits": limits}
    try:
        tables = {key: np.asarray(known.get(key), dtype=float) for key in sizes}
        numbers = np.array([known.get("sites"), known.get("usual")], dtype=float)
    except (TypeError, ValueError):
        return False
    if not all(tables[key].shape == (size,) and np.isfinite(tables[key]).all() for key, size in sizes.items()):
        return False
    return bool(np.isfinite(numbers).all() and numbers[0] >= 2 and numbers[1] > 0 and (tables["limits"] > 0).all())
