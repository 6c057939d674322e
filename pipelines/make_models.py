"""Make a model that ships with the package: `python -m pipelines.make_models rgb --photos DIR`.

Its probabilities are calibrated on ground it has not learned from, on objects as a survey shows them, and what it is
worth there is written into its card.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.grounds import detections_of, survey_files, write_drawn
from pipelines.model_examples import (
    LEAST_STRENGTH,
    SCALES_M,
    THERMAL_SCALES_M,
    Examples,
    draw,
    draw_unseen,
    keep_examples,
    tasks,
    thermal_examples,
    thinned,
)
from survey.detection.features import FEATURE_SET
from survey.detection.scales import nearest_scale
from survey.memory.calibration import Places, calibrated, platt
from survey.memory.committee import Committee
from survey.memory.comparison import Evaluating, compare
from survey.memory.evaluation import evaluate
from survey.memory.labelling import NOTHING
from survey.memory.matching import match
from survey.memory.modelfile import save_model
from survey.memory.negatives import fit_pilot
from survey.memory.training import Fitted, Training, calibrate_on_objects, fit, fit_pair
from survey.provenance import file_identity

BAND_SETS = {"rgb": ("red", "green", "blue"), "cir": ("nir", "green", "blue"), "thermal": ("thermal",)}

# On drawn ground networks are the better part of the committee: every member has one vote (docs/detection.md).
_DRAWN_TRAINING = Training(committee=Committee(trees_share=0.25))
# Few labels: small trees and small networks, held-out groups of one session and zone each.
_THERMAL_TRAINING = Training(
    committee=Committee(
        iterations=120, leaves=8, leaf_samples=15, l2=5.0, feature_share=0.2, hidden=(48,), epochs=10, penalty=0.3
    ),
    folds=6,
)
TRAINING = {"rgb": _DRAWN_TRAINING, "cir": _DRAWN_TRAINING, "thermal": _THERMAL_TRAINING}

UNSEEN_PICTURES = 80
"""Pictures that are drawn and surveyed to calibrate a model of drawn ground on."""

# The share of the pictures that is searched in full, to fit the pilot that thins out the others.
_PILOT_SHARE = 10

CREDITS = {
    "brighton": "drone_dataset_brighton_beach, BSD 2-Clause",
    "seneca": "odm_data_seneca, CC0 1.0",
    "thermal": "Roboflow landmines_detection v1, CC BY 4.0",
}
_DRAWN = "Not validated in the field. Its objects are drawn; its probabilities on real mines are unmeasured."
LIMITS = {
    "rgb": _DRAWN,
    "cir": _DRAWN,
    "thermal": "Not validated in the field. Learned from one test site, frames of 0.3 to 0.8 cm flown at 2 to 5 m.",
}


def drawn_examples(name: str, photos: Sequence[Path], scenes: int, crops: int) -> list[Examples]:
    """Draw and search all pictures: the first in full, the others with easy negatives thinned out."""
    todo = tasks(BAND_SETS[name], scenes, photos, crops)
    first, rest = todo[: len(todo) // _PILOT_SHARE], todo[len(todo) // _PILOT_SHARE :]
    with ProcessPoolExecutor(2) as pool:
        parts = list(pool.map(partial(draw, pilot=None), first, chunksize=2))
    features = np.concatenate([part.features for part in parts]).astype(np.float32)
    positive = np.concatenate([part.codes for part in parts]) != NOTHING
    pilot = fit_pilot(features, positive, np.ones(len(positive)))
    parts = [thinned(part, pilot, number) for number, part in enumerate(parts)]
    with ProcessPoolExecutor(2) as pool:
        return parts + list(pool.map(partial(draw, pilot=pilot), rest, chunksize=2))


def fit_model(name: str, folder: Path, parts: Sequence[Examples], data: dict[str, Any]) -> dict[str, Any]:
    """Fit, calibrate on ground that was not learned from, and write ``folder/NAME.survey-model`` and its card.

    Parameters
    ----------
    name : str
        Of :data:`BAND_SETS`.
    folder : Path
    parts : sequence of Examples
    data : dict
        For the card; ``images``: SHA-256 of every image that was learned from.
    """
    features = np.concatenate([part.features for part in parts]).astype(np.float32)
    codes = np.concatenate([part.codes for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    settings = TRAINING[name]
    scales_m = THERMAL_SCALES_M if name == "thermal" else SCALES_M
    known, counts = np.unique(codes[codes != NOTHING].astype(str), return_counts=True)
    card = {
        "version": f"{name}-2",
        "roles": list(BAND_SETS[name]),
        "scales_by_class": {code: [nearest_scale(s) for s in scales_m[code]] for code in known},
        "least_strength": LEAST_STRENGTH[name],
        "feature_set": FEATURE_SET,
        "settings": settings.model_dump(mode="json"),
        "images": data.get("images", []),
        "data": {key: said for key, said in data.items() if key != "images"}
        | {
            "candidates": round(float(weights.sum())),
            "object_candidates_by_class": {str(code): int(n) for code, n in zip(known, counts, strict=True)},
        },
        "limits": LIMITS[name],
    }
    reference = features[np.random.default_rng(0).permutation(len(features))[:32]]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.survey-model"
    if name == "thermal":
        fitted = _fit_on_sites(parts, features, codes, weights, settings)
        pair = fitted.hazard, fitted.namer
        card["calibration"] = list(fitted.calibration)
        card["metrics"] = held_out_metrics(codes != NOTHING, fitted.held_out, weights)
    else:
        pair = fit_pair(features, codes, weights, settings)
        save_model(path, *pair, card | {"calibration": [1.0, 0.0]}, reference)
        card["calibration"], card["metrics"] = calibrate_on_unseen(path, BAND_SETS[name], UNSEEN_PICTURES)
    save_model(path, *pair, card, reference)
    (folder / f"{name}.json").write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return card


def _fit_on_sites(
    parts: Sequence[Examples],
    features: NDArray[np.float32],
    codes: NDArray[np.object_],
    weights: NDArray[np.float64],
    settings: Training,
) -> Fitted:
    """Fit real frames, each picture's site held out in turn, and calibrate on the objects those would show."""
    sites = np.concatenate([np.full(len(part.codes), part.site, dtype=object) for part in parts])
    fitted = fit(features, codes, weights, np.unique(sites.astype(str), return_inverse=True)[1], settings)
    x, y, diameter = np.concatenate([part.place for part in parts if part.place is not None]).T
    picture = np.concatenate([np.full(len(part.codes), number) for number, part in enumerate(parts)])
    return calibrate_on_objects(fitted, codes, weights, Places(picture, x, y, diameter))


def calibrate_on_unseen(
    model: Path, bands: tuple[str, ...], pictures: int
) -> tuple[list[float], dict[str, float | None]]:
    """Survey drawn pictures the model has not learned from; slope and intercept of its objects' probabilities.

    Parameters
    ----------
    model : Path
        Its calibration is the identity.
    bands : tuple of str
    pictures : int

    Returns
    -------
    calibration : list of two floats
    metrics : dict
        What the calibrated model is worth on these pictures (drawn); two numbers of it were fitted there.
    """
    with ProcessPoolExecutor(2) as pool:
        scenes = list(pool.map(partial(draw_unseen, bands=bands), range(pictures)))
    settings = Evaluating(resolved_only=True, min_probability=0.0)
    with tempfile.TemporaryDirectory() as place:
        paths, truth, reviewed = write_drawn(Path(place) / "imagery", scenes)
        detections, coverage = detections_of(survey_files(Path(place), paths, bands, model))
    side = compare(detections, truth, reviewed, coverage, settings, [])
    matches = match(side.found, side.known, settings.matching)
    right = matches.hit | matches.part
    curve = platt(side.found.probability, right, np.ones(len(right)))
    surely = detections.assign(probability=calibrated(detections["probability"].to_numpy(), curve))
    report = evaluate(surely, truth, reviewed, coverage, Evaluating(resolved_only=True))
    kept = ("ap", "recall_max", "ece", "brier_skill", "n_truth", "hectares")
    return list(curve), {f"unseen_drawn_{key}": report[key] for key in kept}


def make_model(
    name: str, folder: Path, photos: Sequence[Path], pictures: tuple[int, int], keep: Path | None = None
) -> dict[str, Any]:
    """Gather the examples of a model, fit it and write it.

    Parameters
    ----------
    name : str
        Of :data:`BAND_SETS`.
    folder : Path
        Where the model goes.
    photos : sequence of Path
        Photographs to draw into; for ``thermal`` the folders of labelled frames.
    pictures : (int, int)
        Drawn scenes, and crops of photographs drawn into.
    keep : Path, optional
        File for the examples.
    """
    scenes, crops = pictures
    thermal = name == "thermal"
    gathered = [part for path in photos for part in thermal_examples(path)] if thermal else None
    parts = drawn_examples(name, photos, scenes, crops) if gathered is None else gathered
    credited = {CREDITS.get(path.name, CREDITS.get(path.parent.name, path.name)) for path in photos}
    data = {
        "drawn_scenes": 0 if thermal else scenes,
        "photo_crops_with_drawn_objects": 0 if thermal or not photos else crops,
        "photographs": sorted(credited),
        "images": sorted(file_identity(image)["sha256"] for path in photos for image in _images_of(path)),
    }
    if keep is not None:
        keep_examples(keep, parts)
    return fit_model(name, folder, parts, data)


def _images_of(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted((path / "images").glob("*.tif"))


def held_out_metrics(
    positive: NDArray[np.bool_], probability: NDArray[np.float64], weights: NDArray[np.float64]
) -> dict[str, float]:
    """Average precision and Brier score of candidates from sites that were held out."""
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum((weights * positive)[order])
    shown = np.cumsum(weights[order])
    recall = hits / hits[-1]
    precision = hits / shown
    return {
        "candidate_average_precision": float(np.sum(np.diff(np.r_[0.0, recall]) * precision)),
        "candidate_prevalence": float(np.average(positive, weights=weights)),
        "brier": float(np.average((probability - positive) ** 2, weights=weights)),
    }


def main() -> None:
    """Read the options and make a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(BAND_SETS))
    parser.add_argument("--folder", type=Path, default=Path("survey/models"))
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="folders of real photographs of the bands")
    parser.add_argument("--scenes", type=int, default=1200)
    parser.add_argument("--crops", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="file (.npz) for the examples, to fit again without drawing")
    options = parser.parse_args()
    photos = (
        options.photos
        if options.name == "thermal"
        else sorted(path for folder in options.photos for path in folder.glob("*.tif"))
    )
    card = make_model(options.name, options.folder, photos, (options.scenes, options.crops), options.keep)
    print(json.dumps({key: card[key] for key in ("version", "data", "metrics")}, indent=1))


if __name__ == "__main__":
    main()
