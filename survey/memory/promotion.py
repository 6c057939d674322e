"""Challenger against champion on objects neither has learned from, and the verdict.

Scores are of *objects*: a known object counts with the most probable candidate on it, a candidate on reviewed ground
that lies on none is as many false alarms as it stands for. Differences carry a paired bootstrap interval over units
of ground; a model is worse only where the whole interval says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Promotion(BaseModel):
    """When a challenger is promoted.

    Attributes
    ----------
    threshold : float
        Operating point: probability from which an object counts.
    resamples, level, seed
        Of the bootstrap.
    fewest : int
        Objects below which a class or a site is not judged by itself.
    tolerance : float
        Loss of average precision or recall that does not matter: no published figure.
    most_doubtful : float
        Significance at which a batch of labels is taken to disagree with the others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(default=0.5, gt=0, lt=1)
    resamples: int = Field(default=400, ge=1)
    level: float = Field(default=0.9, gt=0, lt=1)
    seed: int = 0
    fewest: int = Field(default=8, ge=1)
    tolerance: float = Field(default=0.02, ge=0, lt=1)
    most_doubtful: float = Field(default=0.005, gt=0, lt=1)


@dataclass(frozen=True)
class Truth:
    """Known objects: class, site and unit of ground of each (arrays of one length)."""

    codes: NDArray[np.object_]
    sites: NDArray[np.object_]
    units: Ints

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.codes)


@dataclass(frozen=True)
class Answers:
    """What models said of the same candidates (arrays of one length).

    Attributes
    ----------
    target : int array
        Object a candidate lies on, -1 for none.
    weights : float array
        Candidates it stands for.
    sites : object array
    units : int array
    """

    target: Ints
    weights: Floats
    sites: NDArray[np.object_]
    units: Ints


def compare(
    truth: Truth, answers: Answers, probability: dict[str, Floats], settings: Promotion
) -> dict[str, dict[str, Any]]:
    """Average precision and recall of every model overall, by class and by site, with intervals of the differences.

    Parameters
    ----------
    truth : Truth
    answers : Answers
    probability : dict of name to float array
        ``challenger`` and, where there is one, ``champion``: held-out probability of each candidate.
    settings : Promotion

    Returns
    -------
    dict of scope (``overall``, ``class CODE``, ``site NAME``) to dict
        ``n_objects``, and for each model ``ap`` and ``recall``; with a champion ``ap_difference``,
        ``recall_difference`` and their intervals, None where there are too few objects.
    """
    report: dict[str, dict[str, Any]] = {"overall": _scope(truth, answers, probability, _all(truth), None, settings)}
    for code in np.unique(truth.codes.astype(str)):
        chosen = truth.codes == code
        report[f"class {code}"] = _scope(truth, answers, probability, chosen, None, settings)
    for site in np.unique(truth.sites.astype(str)):
        chosen = truth.sites == site
        report[f"site {site}"] = _scope(truth, answers, probability, chosen, answers.sites == site, settings)
    return report


def _all(truth: Truth) -> Bools:
    return np.ones(len(truth), dtype=bool)


def _scope(
    truth: Truth,
    answers: Answers,
    probability: dict[str, Floats],
    chosen: Bools,
    where: Bools | None,
    settings: Promotion,
) -> dict[str, Any]:
    n = int(chosen.sum())
    counted = np.where(answers.target >= 0, chosen[answers.target], True if where is None else where)
    rows = np.flatnonzero(counted)
    units, inverse = np.unique(np.r_[truth.units[chosen], answers.units[rows]], return_inverse=True)
    number = np.full(len(truth), -1)
    number[chosen] = np.arange(n)
    drawn = np.ones((1, len(units)))
    if n >= settings.fewest and len(units) > 1:
        rng = np.random.default_rng(settings.seed)
        even = np.full(len(units), 1.0 / len(units))
        drawn = np.vstack([drawn, rng.multinomial(len(units), even, size=settings.resamples)])
    target = np.where(answers.target[rows] >= 0, number[answers.target[rows]], -1)
    found = {
        name: _scores(one[rows], target, answers.weights[rows], (inverse[:n], inverse[n:]), drawn, settings.threshold)
        for name, one in probability.items()
    }
    report: dict[str, Any] = {"n_objects": n}
    for name, (ap, recall) in found.items():
        report[name] = {"ap": _number(ap[0]), "recall": _number(recall[0])}
    if "champion" not in found:
        return report
    for position, key in enumerate(("ap", "recall")):
        steps = found["challenger"][position] - found["champion"][position]
        report[f"{key}_difference"] = _number(steps[0])
        report[f"{key}_interval"] = _interval(steps[1:], settings) if len(drawn) > 1 else None
    return report


def _scores(
    probability: Floats, target: Ints, weights: Floats, units: tuple[Ints, Ints], drawn: Floats, threshold: float
) -> tuple[Floats, Floats]:
    """Average precision and recall at the threshold for each row of unit weights."""
    n = len(units[0])
    best = np.zeros(n)
    np.maximum.at(best, target[target >= 0], probability[target >= 0])
    false = target < 0
    level = np.r_[best, probability[false]]
    order = np.argsort(-level, kind="stable")
    hit = np.r_[np.ones(n), np.zeros(int(false.sum()))][order]
    # An object without a candidate is never found, however low the threshold.
    hit[level[order] <= 0] = 0.0
    weight = np.r_[np.ones(n), weights[false]][order]
    unit = np.r_[units[0], units[1][false]][order]
    last = np.r_[np.diff(level[order]) != 0, True] if len(level) else np.empty(0, dtype=bool)
    aps, recalls = np.empty(len(drawn)), np.empty(len(drawn))
    for row, factor in enumerate(drawn):
        total = float(factor[units[0]].sum())
        share = factor[unit] * weight
        hits = np.cumsum(share * hit)[last]
        shown = np.cumsum(share * (hit + (level[order] > 0) * np.r_[np.zeros(n), np.ones(int(false.sum()))][order]))[
            last
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.where(shown > 0, hits / shown, 0.0)
        aps[row] = float((precision * np.diff(hits, prepend=0.0)).sum() / total) if total else np.nan
        recalls[row] = float(factor[units[0]][best >= threshold].sum() / total) if total else np.nan
    return aps, recalls


def _interval(values: Floats, settings: Promotion) -> list[float] | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    tail = (1 - settings.level) / 2
    return [float(np.quantile(values, tail)), float(np.quantile(values, 1 - tail))]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def losses(report: dict[str, dict[str, Any]], settings: Promotion) -> list[str]:
    """Sentences about everything that got worse beyond its interval; empty where nothing did."""
    sentences = []
    for scope, row in report.items():
        if row["n_objects"] < settings.fewest:
            continue
        for key, name in (("ap", "average precision"), ("recall", f"recall at {settings.threshold:g}")):
            interval = row.get(f"{key}_interval")
            if interval is not None and interval[1] < 0 and row[f"{key}_difference"] < -settings.tolerance:
                sentences.append(
                    f"{scope}: {name} falls from {row['champion'][key]:.3f} to {row['challenger'][key]:.3f} "
                    f"(difference {interval[0]:+.3f} to {interval[1]:+.3f}, {row['n_objects']} objects)"
                )
    return sentences


def remarks(report: dict[str, dict[str, Any]], settings: Promotion) -> list[str]:
    """Sentences about what the comparison says and is not judged by."""
    sentences = []
    few = [scope for scope, row in report.items() if row["n_objects"] < settings.fewest]
    if few:
        sentences.append(f"Of fewer than {settings.fewest} objects, and so not judged: {', '.join(few)}.")
    overall = report["overall"]
    before = overall.get("champion", {}).get("recall") or 0.0
    if before > 0 and overall["challenger"]["recall"] == 0:
        sentences.append(
            f"At {settings.threshold:g} the challenger shows none of the {overall['n_objects']} objects, the champion "
            f"{before:.0%} of them: look before you use it."
        )
    return sentences


def doubtful(held_out: Floats, batch: NDArray[np.object_], settings: Promotion) -> dict[str, dict[str, float]]:
    """Batches of labels that disagree with the others.

    Far more of their objects than of the others are not recognised by models that learned from the rest.

    Parameters
    ----------
    held_out : float array, shape (n,)
        Probability of each known object from a model that has not seen its site.
    batch : object array, shape (n,)
        What each object was learned with.

    Returns
    -------
    dict of batch to ``unrecognised`` (share), ``elsewhere`` (share in the other batches) and ``p_value``
    """
    from scipy.stats import fisher_exact

    found = {}
    names = np.unique(batch.astype(str))
    for name in names[1:]:
        mine = batch == name
        others = batch < name
        if mine.sum() < settings.fewest or others.sum() < settings.fewest:
            continue
        # Unrecognised: below half of what nine in ten of the earlier labels reach.
        edge = 0.5 * float(np.quantile(held_out[others], 0.1))
        table = [
            [int((held_out[mine] < edge).sum()), int((held_out[mine] >= edge).sum())],
            [int((held_out[others] < edge).sum()), int((held_out[others] >= edge).sum())],
        ]
        p_value = float(fisher_exact(table, alternative="greater").pvalue)
        shares = [row[0] / max(1, sum(row)) for row in table]
        if p_value < settings.most_doubtful:
            found[str(name)] = {"unrecognised": shares[0], "elsewhere": shares[1], "p_value": p_value}
    return found
