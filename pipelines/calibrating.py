"""Calibrate a shipped model on drawn ground it has not learned from, and measure it on photographs of a held-out site.

The curve is fitted to drawn ground alone: there it is known what there is to find. One curve for drawn ground and
photographs together fits neither (docs/detection.md); what drawn ground cannot tell is said in the card instead.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from pipelines.grounds import detections_of, one_thread_each, survey_files, write_drawn
from pipelines.model_examples import draw_into_unseen, draw_unseen
from survey.detection.classifier import EMITTED
from survey.memory.calibration import calibrated, platt
from survey.memory.comparison import Evaluating, compare
from survey.memory.evaluation import evaluate
from survey.memory.matching import match
from survey.synthetic.scene import DrawnScene

UNSEEN_PICTURES = 80
"""Pictures that are drawn to calibrate a model on."""
DRAWN = "drawn"
"""Name of the drawn ground among the figures of a card."""
RATES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""False alarms per hectare for which a card gives a threshold, where the ground is large enough to show them."""

_SETTINGS = Evaluating(resolved_only=True, min_probability=0.0)
_IN_CARD = ("ap", "recall_max", "ece", "brier_skill", "n_truth", "hectares")


@dataclass(frozen=True)
class Shown:
    """What a survey showed of ground its model had not seen, with uncalibrated scores, and what is there."""

    name: str
    detections: gpd.GeoDataFrame
    coverage: gpd.GeoDataFrame
    truth: gpd.GeoDataFrame
    reviewed: gpd.GeoDataFrame

    def scores(self) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
        """Score of each object, whether it is a known one, and the hectares."""
        side = compare(self.detections, self.truth, self.reviewed, self.coverage, _SETTINGS, [])
        matches = match(side.found, side.known, _SETTINGS.matching)
        return side.found.probability, matches.hit | matches.part, float(side.ground.hectares.sum())

    def report(self, curve: tuple[float, float]) -> dict[str, Any]:
        """Evaluate with calibrated probabilities."""
        probability = calibrated(self.detections["probability"].to_numpy(), curve)
        table = self.detections.assign(probability=probability, emitted=probability >= 0.5)
        return evaluate(table, self.truth, self.reviewed, self.coverage, Evaluating(resolved_only=True))

    def figures(self, curve: tuple[float, float]) -> dict[str, float]:
        """Figures of that evaluation that stand in a card."""
        report = self.report(curve)
        return {key: report[key] for key in _IN_CARD} | {
            "recall": report["operating"]["recall"],
            "false_alarms_per_ha": report["operating"]["fa_per_ha"],
        }


def survey_drawn(model: Path, bands: tuple[str, ...], pictures: int = UNSEEN_PICTURES) -> Shown:
    """Survey drawn pictures with a model whose calibration is the identity."""
    with one_thread_each() as pool:
        scenes = list(pool.map(partial(draw_unseen, bands=bands), range(pictures)))
    return survey_scenes(DRAWN, model, bands, scenes)


def survey_photographs(model: Path, bands: tuple[str, ...], site: str, files: Sequence[Path]) -> Shown:
    """Survey real photographs, objects drawn into them, with a model that has not learned from their site."""
    return survey_scenes(site, model, bands, (draw_into_unseen(path, bands, n) for n, path in enumerate(files)))


def survey_scenes(name: str, model: Path | None, bands: tuple[str, ...], scenes: Iterable[DrawnScene]) -> Shown:
    """Survey pictures of a ground of this name with a model; None for the shipped one."""
    with tempfile.TemporaryDirectory() as place:
        paths, truth, reviewed = write_drawn(Path(place) / "imagery", scenes)
        detections, coverage = detections_of(survey_files(Path(place), paths, bands, model))
    return Shown(name, detections, coverage, truth, reviewed)


def calibrate(grounds: Sequence[Shown]) -> tuple[tuple[float, float], dict[str, Any]]:
    """Fit the curve, and say what it is worth on every ground.

    Parameters
    ----------
    grounds : sequence of Shown
        The curve is fitted to the first; the last gives the thresholds.

    Returns
    -------
    calibration : (slope, intercept)
    said : dict
        Parts of a card: ``metrics`` of each ground, ``threshold_at_fa_per_ha``, ``evaluation``.
    """
    score, right, drawn_ha = grounds[0].scores()
    curve = platt(score, right, np.ones(len(score)))
    overall = grounds[0].report(curve)["overall"]
    evaluation = evaluation_of("drawn ground", (calibrated(score, curve), right, drawn_ha), overall["n_truth"])
    evaluation["ap"] = overall["ap"]
    metrics = {ground.name: ground.figures(curve) for ground in grounds}
    score, right, hectares = grounds[-1].scores()
    alarms = np.sort(calibrated(score[~right], curve))[::-1]
    # A rate that the ground at hand is too small to show is not claimed.
    shown = [rate for rate in RATES if rate * hectares >= 2 and rate * hectares < len(alarms)]
    thresholds = {f"{rate:g}": float(alarms[int(rate * hectares)]) for rate in shown}
    return curve, {"metrics": metrics, "threshold_at_fa_per_ha": thresholds, "evaluation": evaluation}


def evaluation_of(
    ground: str, scores: tuple[NDArray[np.float64], NDArray[np.bool_], float], known: int
) -> dict[str, Any]:
    """Curves for the report of a survey: FROC, and reliability of what is emitted in ten bins of equal size.

    Parameters
    ----------
    ground : str
        In words.
    scores : (probability, right, hectares)
        Of the objects a survey showed on ground that was not learned from.
    known : int
        Objects that are there.
    """
    probability, right, hectares = scores
    order = np.argsort(-probability, kind="stable")
    recall, false_alarms = np.cumsum(right[order]) / known, np.cumsum(~right[order]) / hectares
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    hits = np.flatnonzero(right[order])
    shown = hits[np.unique(np.linspace(0, len(hits) - 1, min(len(hits), 60)).astype(int))]
    emitted = order[probability[order] >= EMITTED][::-1]
    bins = np.array_split(emitted, min(10, len(emitted))) if len(emitted) else []
    return {
        "ground": ground,
        "n_truth": known,
        "hectares": hectares,
        "ap": float(precision[hits].sum() / known),
        "curves": {
            "recall": [round(float(one), 4) for one in np.minimum(recall[shown], 1.0)],
            "fa_per_ha": [round(float(one), 3) for one in false_alarms[shown]],
            "reliability": [
                {"claimed": round(float(probability[one].mean()), 4), "true": round(float(right[one].mean()), 4)}
                for one in bins
            ],
        },
    }


def said_of(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """What the figures on photographs mean for who uses the model, in a sentence each."""
    return "".join(
        f" On photographs of {site}, from which the measured twin of this model had not learned, with objects drawn "
        f"into them, {figures['false_alarms_per_ha']:.1f} items a hectare were flagged where none had been drawn (and "
        f"false craters and trenches besides), and {figures['recall']:.0%} of those drawn."
        for site, figures in metrics.items()
        if site != DRAWN
    )
