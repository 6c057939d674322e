"""How good detections are against known objects: the report behind ``survey evaluate``.

The headline counts *items* (mines, submunitions, other explosive objects, and unknown objects, which may be
items). Indicators (craters, trenches ...) are counted apart, because a hectare with ten craters found would
otherwise outweigh one mine missed; the headline falls back to them only where the truth holds nothing else.
Within a group the class does not matter for a hit; ``by_class`` demands the right class. Known harmless
clutter in the truth is no object: a detection on it is a false alarm.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from survey.hazards import classes
from survey.memory.comparison import Comparison, Evaluating, compare
from survey.memory.ground import Ground
from survey.memory.matching import Matches, match
from survey.memory.scores import (
    FALSE_ALARM_RATES,
    RECALLS,
    Reliability,
    Scores,
    Tally,
    blind_floor,
    calibration,
    reliability,
    scores,
    tally,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_PIXELS = (0.0, 6.0, 10.0, 20.0, 40.0, np.inf)
"""Edges of the classes of size, pixels across the longer side (6 to detect and 10 to classify: Johnson-type rule)."""
_OCCLUSION = (0.0, 0.05, 0.25, 0.5, 0.75, 1.01)
_CURVE_POINTS = 400


def evaluate(
    detections: gpd.GeoDataFrame,
    truth: gpd.GeoDataFrame,
    reviewed: gpd.GeoDataFrame | None,
    coverage: gpd.GeoDataFrame | None = None,
    settings: Evaluating | None = None,
) -> dict[str, Any]:
    """Compare detections with known objects.

    The tables may be in different CRSs; distances and areas are taken in an equal-area plane around them.

    Parameters
    ----------
    detections : GeoDataFrame
        ``class_code``, ``probability``, ``gsd_cm``; ``family`` where the class is not a shipped one;
        ``verification`` (rejected ones do not count); ``emitted`` (bool: at or above the operating threshold;
        absent: all).
    truth : GeoDataFrame
        Known objects (polygons or points): ``class_code``; ``occlusion`` and the site where known.
    reviewed : GeoDataFrame, optional
        Ground inside which every object is labelled. Only detections and objects whose centroid lies in it
        count. Without it: the analysed ground of ``coverage``; without that: the hull of everything.
    coverage : GeoDataFrame, optional
        Layer ``coverage`` of the result: gives the GSD over each object.
    settings : Evaluating, optional

    Returns
    -------
    dict
        The contract's keys for the headline group, and ``items``, ``indicators``, ``overall``, ``by_class``,
        ``by_size_px``, ``by_occlusion``, ``floors``, ``operating``, ``curves``, ``notes``. None stands for
        what is undefined (no objects) or not reached (false alarms at a recall).

    Raises
    ------
    LayerError
        A column is missing, a layer has no CRS, or there is nothing to compare.
    """
    settings = settings or Evaluating()
    notes: list[str] = []
    side = compare(detections, truth, reviewed, coverage, settings, notes)
    report: dict[str, Any] = {}
    groups = {
        "items": side.restrict(side.found_item, side.known_item),
        "indicators": side.restrict(~side.found_item, ~side.known_item),
        "overall": side,
    }
    for name, part in groups.items():
        report[name] = _group(part, settings)
    headline = "indicators" if not side.known_item.any() and (~side.known_item).any() else "items"
    report = {"headline_of": headline, **report[headline], **report}
    report["by_class"] = _by_class(side, settings)
    report["notes"] = notes + _notes(side, settings)
    return report


def _group(side: Comparison, settings: Evaluating) -> dict[str, Any]:
    """Every figure of one group: the contract's keys, intervals, floors, operating point, breakdowns, curves."""
    matches = match(side.found, side.known, settings.matching)
    counts = _tally(side, matches)
    units = len(side.ground.hectares)
    right = (matches.hit | matches.part).astype(np.float64)
    sums = reliability(side.found.probability, right, side.found_unit, units, settings.bins)
    one = np.ones((1, units))
    point = _figures(scores(counts, one), calibration(sums, one))
    report: dict[str, Any] = {
        **point,
        "n_truth": len(side.known),
        "n_detections": len(side.found),
        "hectares": float(side.ground.hectares.sum()),
        "n_sites": side.ground.n_sites,
        **_floors(side, settings),
        "operating": _operating(side, settings),
        "by_size_px": _by_bin(side, matches, side.pixels, _PIXELS),
        "by_occlusion": _by_bin(side, matches, side.occlusion, _OCCLUSION),
        "curves": _curves(counts, sums),
    }
    report.update(_intervals(counts, sums, side.ground, settings))
    return report


def _tally(side: Comparison, matches: Matches) -> Tally:
    truth = np.bincount(side.known_unit, minlength=len(side.ground.hectares)).astype(np.float64)
    judged = ~matches.part
    return tally(
        side.found.probability[judged], matches.hit[judged], side.found_unit[judged], truth, side.ground.hectares
    )


def _figures(points: Scores, calibrated: tuple[Floats, Floats], row: int = 0) -> dict[str, Any]:
    return {
        "ap": _number(points.ap[row]),
        "recall_max": _number(points.recall_max[row]),
        "recall_at_fa_per_ha": _named(FALSE_ALARM_RATES, points.recall_at[row]),
        "fa_per_ha_at_recall": _named(RECALLS, points.false_alarms_at[row]),
        "ece": _number(calibrated[0][row]),
        "brier_skill": _number(calibrated[1][row]),
    }


def _intervals(counts: Tally, sums: Reliability, ground: Ground, settings: Evaluating) -> dict[str, Any]:
    """Bootstrap over units of ground: the percentile interval of every headline figure."""
    drawn_from = np.flatnonzero(ground.hectares > 0)
    if len(drawn_from) < 2:
        keys = ("ap", "recall_max", "recall_at_fa_per_ha", "fa_per_ha_at_recall", "ece", "brier_skill")
        return {f"{key}_interval": None for key in keys} | {"interval_by": None}
    rng = np.random.default_rng(settings.seed)
    weights = np.zeros((settings.resamples, len(ground.hectares)))
    even = np.full(len(drawn_from), 1.0 / len(drawn_from))
    weights[:, drawn_from] = rng.multinomial(len(drawn_from), even, size=settings.resamples)
    drawn = scores(counts, weights)
    ece, skill = calibration(sums, weights)

    def interval(values: Floats) -> list[float | None] | None:
        values = values[~np.isnan(values)]
        if not len(values):
            return None
        tail = (1.0 - settings.level) / 2.0
        low = np.quantile(values, tail, method="lower")
        high = np.quantile(values, 1.0 - tail, method="higher")
        return [_number(low), _number(high)]

    return {
        "ap_interval": interval(drawn.ap),
        "recall_max_interval": interval(drawn.recall_max),
        "recall_at_fa_per_ha_interval": {
            f"{rate:g}": interval(drawn.recall_at[:, i]) for i, rate in enumerate(FALSE_ALARM_RATES)
        },
        "fa_per_ha_at_recall_interval": {
            f"{recall:g}": interval(drawn.false_alarms_at[:, i]) for i, recall in enumerate(RECALLS)
        },
        "ece_interval": interval(ece),
        "brier_skill_interval": interval(skill),
        "interval_by": "block" if ground.block_m else "site",
    }


def _floors(side: Comparison, settings: Evaluating) -> dict[str, Any]:
    """Score finding nothing and guessing blindly; a guess within reach of a ribbon counts as a hit."""
    ground_m2 = float(side.ground.hectares.sum()) * 1e4
    reach = side.known.reach_m(side.gsd_m, settings.matching)
    around = np.where(side.known.ribbon, shapely.area(shapely.buffer(side.known.outline, reach)), np.pi * reach**2)
    ap, recall = blind_floor(len(side.found), around, ground_m2)
    after = [min(int(rate * ground_m2 / 1e4), len(side.found)) for rate in FALSE_ALARM_RATES]
    blind = {
        "ap": _number(ap),
        "recall_max": _number(recall[-1]),
        "recall_at_fa_per_ha": _named(FALSE_ALARM_RATES, recall[after]),
    }
    nothing = 0.0 if len(side.known) else None
    silent = {
        "ap": nothing,
        "recall_max": nothing,
        "recall_at_fa_per_ha": {f"{rate:g}": nothing for rate in FALSE_ALARM_RATES},
    }
    return {"blind_ap": blind["ap"], "nothing_ap": nothing, "floors": {"nothing": silent, "blind": blind}}


def _operating(side: Comparison, settings: Evaluating) -> dict[str, Any]:
    """Score the emitted detections alone: those at or above the operating threshold."""
    chosen = side.restrict(side.emitted, np.ones(len(side.known), dtype=bool))
    matches = match(chosen.found, chosen.known, settings.matching)
    hits = int(matches.hit.sum())
    judged = int((~matches.part).sum())
    hectares = float(side.ground.hectares.sum())
    recall = hits / len(side.known) if len(side.known) else None
    precision = hits / judged if judged else None
    f1 = 2 * hits / (judged + len(side.known)) if judged + len(side.known) else None
    return {
        "lowest_probability": _number(chosen.found.probability.min()) if len(chosen.found) else None,
        "n_detections": len(chosen.found),
        "n_hits": hits,
        "n_false_alarms": judged - hits,
        "n_parts": int(matches.part.sum()),
        "recall": recall,
        "precision": precision,
        "f1": f1,
        "fa_per_ha": (judged - hits) / hectares if hectares else None,
    }


def _by_bin(side: Comparison, matches: Matches, values: Floats, edges: tuple[float, ...]) -> list[dict[str, Any]]:
    """Recall of the known objects by what lies in ``values``; objects without a value are left out."""
    found = np.zeros(len(side.known), dtype=bool)
    found[matches.target[matches.hit]] = True
    emitted = np.zeros(len(side.known), dtype=bool)
    emitted[matches.target[matches.hit & side.emitted]] = True
    rows = []
    for low, high in pairwise(edges):
        inside = (values >= low) & (values < high)
        n = int(inside.sum())
        if n:
            rows.append(
                {"from": low, "to": _number(min(high, 1.0) if edges is _OCCLUSION else high), "n_truth": n,
                 "recall_max": float(found[inside].mean()), "recall": float(emitted[inside].mean())}
            )  # fmt: skip
    return rows


def _by_class(side: Comparison, settings: Evaluating) -> dict[str, Any]:
    """Figures by class: the detection must name the class; ``found_as_any`` is the recall whatever it is called."""
    anyhow = {
        True: _hit_anyhow(side, side.found_item, side.known_item, settings),
        False: _hit_anyhow(side, ~side.found_item, ~side.known_item, settings),
    }
    one = np.ones((1, len(side.ground.hectares)))
    order = [code for code in classes() if code in {*side.known_class, *side.found_class}]
    order += sorted({*side.known_class, *side.found_class} - set(order))
    report: dict[str, Any] = {}
    for code in order:
        part = side.restrict(side.found_class == code, side.known_class == code)
        matches = match(part.found, part.known, settings.matching)
        figures = _figures(scores(_tally(part, matches), one), (np.array([np.nan]), np.array([np.nan])))
        del figures["ece"], figures["brier_skill"]
        n = len(part.known)
        item = bool(part.known_item[0]) if n else bool(part.found_item[0])
        report[code] = {
            "family": classes()[code].family if code in classes() else None,
            **figures,
            "n_truth": n,
            "n_detections": len(part.found),
            "blind_ap": _floors(part, settings)["blind_ap"],
            "found_as_any": float(anyhow[item][side.known_class == code].mean()) if n else None,
            "operating": _operating(part, settings),
        }
    return report


def _hit_anyhow(side: Comparison, found: Bools, known: Bools, settings: Evaluating) -> Bools:
    """Which known objects some detection of the group hits, whatever its class."""
    part = side.restrict(found, known)
    matches = match(part.found, part.known, settings.matching)
    hit = np.zeros(len(side.known), dtype=bool)
    hit[np.flatnonzero(known)[matches.target[matches.hit]]] = True
    return hit


def _curves(counts: Tally, sums: Reliability) -> dict[str, Any]:
    """Points to draw: at most 400 of the thresholds where recall rises, and the reliability bins."""
    hits, false_alarms = counts.hits.sum(axis=1), counts.false_alarms.sum(axis=1)
    keep = np.unique(np.linspace(0, max(len(hits) - 1, 0), min(len(hits), _CURVE_POINTS)).astype(np.int64))
    truth, hectares = counts.truth.sum(), counts.hectares.sum()
    n = sums.n.sum(axis=1)
    filled = n > 0
    return {
        "threshold": counts.threshold[keep].tolist(),
        "recall": (hits[keep] / truth).tolist() if truth else [],
        "precision": (hits[keep] / (hits[keep] + false_alarms[keep])).tolist(),
        "fa_per_ha": (false_alarms[keep] / hectares).tolist() if hectares else [],
        "reliability": [
            {"claimed": float(p), "true": float(t), "n": int(k)}
            for p, t, k in zip(
                sums.probability.sum(axis=1)[filled] / n[filled], sums.true.sum(axis=1)[filled] / n[filled], n[filled],
                strict=True,
            )
        ],
    }  # fmt: skip


def _notes(side: Comparison, settings: Evaluating) -> list[str]:
    ground = side.ground
    if ground.block_m:
        return [
            f"One site only: intervals are resampled from blocks of {ground.block_m:.0f} m within it, "
            "and say nothing about ground elsewhere."
        ]
    few = " Few sites: the intervals are rough." if ground.n_sites < 10 else ""
    return [f"Intervals ({settings.level:.0%}) are resampled from {ground.n_sites} sites.{few}"]


def _named(keys: tuple[float, ...], values: Floats) -> dict[str, float | None]:
    return {f"{key:g}": _number(value) for key, value in zip(keys, values, strict=True)}


def _number(value: float) -> float | None:
    """Return a JSON number, None where it is undefined or not reached."""
    return float(value) if np.isfinite(value) else None
