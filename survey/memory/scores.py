"""Figures of merit from ranked detections: precision-recall, false alarms per hectare, calibration, floors.

Everything is counted by *unit* of ground (a site, or a block of one), so that the figure and its bootstrap
interval are one computation with other weights: ones for the figure, a resample of units for the interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FALSE_ALARM_RATES = (0.1, 0.5, 1.0, 2.0, 10.0)
"""False alarms per hectare at which recall is given."""
RECALLS = (0.5, 0.8, 0.9)
"""Recalls at which false alarms per hectare are given."""


@dataclass(frozen=True)
class Tally:
    """Running counts at every probability at which a hit appears, most probable first, by unit of ground.

    Recall rises nowhere else, so no figure needs the thresholds between.

    Attributes
    ----------
    threshold : (m,) ndarray
    hits, false_alarms : (m, u) ndarray
        Detections at or above the threshold in each unit.
    all_false_alarms : (u,) ndarray
        False alarms at any probability.
    truth, hectares : (u,) ndarray
        Known objects and ground of each unit.
    """

    threshold: Floats
    hits: Floats
    false_alarms: Floats
    all_false_alarms: Floats
    truth: Floats
    hectares: Floats


@dataclass(frozen=True)
class Scores:
    """Figures for each row of weights. ``inf`` where a recall is not reached, NaN where undefined."""

    ap: Floats
    recall_max: Floats
    recall_at: Floats
    false_alarms_at: Floats


def tally(probability: Floats, hit: Bools, unit: Ints, truth: Floats, hectares: Floats) -> Tally:
    """Count hits and false alarms by probability and unit.

    Parameters
    ----------
    probability, hit, unit : (n,) ndarray
        Of each detection; ``unit`` indexes ``truth`` and ``hectares``.
    truth, hectares : (u,) ndarray
        Known objects and hectares of each unit.
    """
    order = np.argsort(-probability, kind="stable")
    probability, hit, unit = probability[order], hit[order], unit[order]
    last_of_tie = np.r_[probability[1:] != probability[:-1], True] if len(probability) else np.empty(0, dtype=bool)
    tie = np.cumsum(last_of_tie) - last_of_tie
    has_hit = np.zeros(int(last_of_tie.sum()), dtype=bool)
    has_hit[tie[hit]] = True
    # A detection enters the first row at or after its own tie that holds a hit; false alarms below the
    # last hit enter none.
    row = (np.cumsum(has_hit) - has_hit)[tie] if len(tie) else tie
    m, u = int(has_hit.sum()), len(truth)
    inside = row < m
    key = (np.where(hit[inside], 0, m) + row[inside]) * u + unit[inside]
    hits, false_alarms = np.bincount(key, minlength=2 * m * u).astype(np.float64).reshape(2, m, u).cumsum(axis=1)
    everything = np.bincount(unit[~hit], minlength=u).astype(np.float64)
    threshold = probability[last_of_tie][has_hit]
    return Tally(threshold, hits, false_alarms, everything, np.asarray(truth, float), np.asarray(hectares, float))


def scores(counts: Tally, weights: Floats) -> Scores:
    """Compute the figures of merit for each row of unit weights.

    Average precision is the sum of precision times the step in recall over the distinct probabilities
    (no interpolation).

    Parameters
    ----------
    counts : Tally
    weights : (b, u) ndarray
        How often each unit counts.
    """
    parts = [
        _scores(counts, rows) for rows in np.array_split(weights, max(1, len(weights) * len(counts.hits) // 10**6))
    ]
    return Scores(*(np.concatenate([getattr(p, name) for p in parts]) for name in Scores.__dataclass_fields__))


def _scores(counts: Tally, weights: Floats) -> Scores:
    b = len(weights)
    hits = weights @ counts.hits.T
    false_alarms = weights @ counts.false_alarms.T
    truth = weights @ counts.truth
    hectares = weights @ counts.hectares
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = hits / truth[:, None]
        precision = np.where(hits > 0, hits / (hits + false_alarms), 0.0)
        rate = false_alarms / hectares[:, None]
    step = np.diff(recall, axis=1, prepend=0.0)
    ap = np.where(truth > 0, (precision * step).sum(axis=1), np.nan)
    recall_max = np.where(truth > 0, recall[:, -1] if recall.shape[1] else 0.0, np.nan)
    recall_at = np.zeros((b, len(FALSE_ALARM_RATES)))
    for column, allowed in enumerate(FALSE_ALARM_RATES):
        recall_at[:, column] = np.where(rate <= allowed, recall, 0.0).max(axis=1, initial=0.0)
    recall_at[~(truth > 0)] = np.nan
    false_alarms_at = np.full((b, len(RECALLS)), np.inf)
    for column, wanted in enumerate(RECALLS):
        enough = recall >= wanted - 1e-12
        reached = enough.any(axis=1) if enough.shape[1] else np.zeros(b, dtype=bool)
        first = enough[reached].argmax(axis=1) if reached.any() else np.empty(0, dtype=np.int64)
        false_alarms_at[reached, column] = rate[reached, first]
    false_alarms_at[~(truth > 0)] = np.nan
    return Scores(ap, recall_max, recall_at, false_alarms_at)


@dataclass(frozen=True)
class Reliability:
    """Sums in equal-mass bins of probability, by unit of ground: (bins, u) ndarrays."""

    n: Floats
    probability: Floats
    true: Floats
    squared_error: Floats


def reliability(probability: Floats, true: Floats, unit: Ints, n_units: int, bins: int) -> Reliability:
    """Sum up what was claimed and what was true, in equal-mass bins of probability.

    Equal probabilities share their mean truth before they are binned, so that the order of rows does not matter.

    Parameters
    ----------
    probability, true, unit : (n,) ndarray
        Of each emitted detection; ``true`` is 1 for a hit and 0 for a false alarm.
    n_units, bins : int
    """
    squared = (probability - true) ** 2
    order = np.argsort(probability, kind="stable")
    _, tie = np.unique(probability[order], return_inverse=True)
    share = np.bincount(tie, weights=true[order]) / np.maximum(np.bincount(tie), 1)
    bin_of = np.minimum(np.arange(len(order)) * bins // max(len(order), 1), bins - 1)
    key = bin_of * n_units + unit[order]
    size = bins * n_units

    def total(weights: Floats) -> Floats:
        sums = np.bincount(key, weights=weights, minlength=size).reshape(bins, n_units)
        return np.asarray(sums, dtype=np.float64)

    return Reliability(total(np.ones(len(order))), total(probability[order]), total(share[tie]), total(squared[order]))


def calibration(sums: Reliability, weights: Floats) -> tuple[Floats, Floats]:
    """Compute the expected calibration error and the Brier skill score for each row of unit weights.

    The skill is against always claiming the share that is true; NaN where nothing or everything is true.

    Returns
    -------
    ece, brier_skill : (b,) ndarray
    """
    n, claimed, true = (weights @ part.T for part in (sums.n, sums.probability, sums.true))
    total = n.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ece = np.where(total > 0, np.abs(claimed - true).sum(axis=1) / total, np.nan)
        brier = (weights @ sums.squared_error.T).sum(axis=1) / total
        base = true.sum(axis=1) / total
        reference = base * (1.0 - base)
        skill = np.where(reference > 1e-12, 1.0 - brier / reference, np.nan)
    return ece, skill


def blind_floor(n_guesses: int, target_m2: Floats, ground_m2: float) -> tuple[float, Floats]:
    """Compute what as many guesses, thrown blindly on the ground and ranked by lot, are expected to score.

    Analytical: a guess falls on the ground that counts as object *i* with probability q_i = target / ground,
    so the object is found by guess k with probability 1 - (1 - q_i)^k. With e_k the expected number of
    objects first hit by guess k and H_k of those hit by then, the expected average precision is
    sum of e_k (1 + H_(k-1)) / (k n), taking hits on different objects as independent.

    Parameters
    ----------
    n_guesses : int
    target_m2 : (n,) ndarray
        Ground that counts as each object, m2.
    ground_m2 : float

    Returns
    -------
    ap : float
        Expected average precision; NaN without objects.
    recall : (n_guesses + 1,) ndarray
        Expected recall after 0, 1, ... guesses.
    """
    n = len(target_m2)
    if n == 0 or ground_m2 <= 0:
        return float("nan"), np.full(n_guesses + 1, np.nan)
    chance = np.clip(np.sort(target_m2) / ground_m2, 0.0, 1.0)
    # Objects of nearly the same size are taken together: at most 64 sizes.
    groups = np.array_split(chance, min(n, 64))
    guess = np.arange(n_guesses + 1)
    found = np.zeros(n_guesses + 1)
    for group in groups:
        found += len(group) * (1.0 - (1.0 - group.mean()) ** guess)
    new = np.diff(found)
    ap = float((new * (1.0 + found[:-1] * (n - 1) / n) / guess[1:]).sum() / n) if n_guesses else 0.0
    return min(ap, 1.0), found / n
