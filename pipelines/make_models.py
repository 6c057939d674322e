"""Make a model that ships with the package: `python -m pipelines.make_models rgb --photos DIR`.

Its probabilities are calibrated on ground it has not learned from, on objects as a survey shows them, and what it is
worth there is written into its card.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier

from pipelines.calibrating import Shown, evaluation_of, survey_drawn, survey_photographs
from pipelines.finishing import with_curve, with_posts, write_finished
from pipelines.gathering import BAND_SETS, CLASS_WEIGHTS, OWN_BANDS, Gathered, Pictures, Posts, drawn_examples, weighed
from pipelines.model_examples import (
    LEAST_STRENGTH,
    SCALES_M,
    THERMAL_SCALES_M,
    Examples,
    keep_examples,
    labelled_ground,
    numbered,
    thermal_examples,
    worth_measuring,
)
from survey.detection.features import FEATURE_SET, parts_of
from survey.detection.scales import nearest_scale
from survey.detection.search import FirstStage
from survey.memory.at_once import at_once
from survey.memory.calibration import Places, best_of_places
from survey.memory.committee import Committee, seated
from survey.memory.drift import background
from survey.memory.judges import Judges, load_file, save_model
from survey.memory.labelling import NOTHING
from survey.memory.modelfile import unpack
from survey.memory.sieve import OBJECTS_KEPT
from survey.memory.table import Table
from survey.memory.training import Training, calibrate_on_objects, fit, hazard_fits, naming_fit
from survey.provenance import file_identity

# Networks alone, one that learned hazards as they lie on a field and one that learned them in the open and in any
# paint: trees learn the drawing more than the object, and where they vote less is found of what another hand has drawn
# (docs/detection.md).
_DRAWN_TRAINING = Training(committee=Committee(iterations=0, networks=1))
# Few labels: small trees and small networks, held-out groups of one session and zone each.
_THERMAL_TRAINING = Training(
    committee=Committee(
        iterations=120, leaves=8, leaf_samples=15, l2=5.0, feature_share=0.2, hidden=(48,), epochs=10, penalty=0.3
    ),
    folds=6,
)
TRAINING = {"rgb": _DRAWN_TRAINING, "cir": _DRAWN_TRAINING, "thermal": _THERMAL_TRAINING}

NUMBER = {"rgb": 9, "cir": 8, "thermal": 5}
"""What the models of this version are called by, after their name."""

LAID_TOGETHER = ("textures", "lined", "large", "worked", "grown")
"""Folders of grounds that are no photographs (``pipelines/textures.py``)."""
CREDITS = {
    "brighton": "drone_dataset_brighton_beach, BSD 2-Clause",
    "seneca": "odm_data_seneca, CC0 1.0",
    **dict.fromkeys(LAID_TOGETHER, "0 A.D. terrain textures (package 0ad-data 0.0.26), Wildfire Games, CC BY-SA 3.0"),
    "thermal": "Roboflow landmines_detection v1, CC BY 4.0",
}
_DRAWN = "Not validated in the field. Its objects are drawn; its probabilities on real mines are unmeasured."
LIMITS = {
    "rgb": _DRAWN,
    "cir": _DRAWN,
    "thermal": "Not validated in the field. Learned from one test site, frames of 0.3 to 0.8 cm flown at 2 to 5 m.",
}


@dataclass(frozen=True)
class HeldOut:
    """Sites among the examples, each with its photographs, on which a model fitted without them is measured.

    In ``folder``, where one is given, those models are kept (:func:`held_out_model`), probabilities uncalibrated.
    """

    sites: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    folder: Path | None = None


NO_SITE = HeldOut()


def held_out_model(folder: Path, name: str, site: str) -> Path:
    """Place of a model that was fitted without a site."""
    return folder / f"{name}-without-{site}.survey-model"


def fit_model(
    name: str,
    folder: Path,
    gathered: Gathered,
    data: dict[str, Any],
    held_out: HeldOut = NO_SITE,
) -> dict[str, Any]:
    """Fit, calibrate on ground that was not learned from, and write ``folder/NAME.survey-model`` and its card.

    Parameters
    ----------
    name : str
        Of :data:`BAND_SETS`.
    folder : Path
    gathered : Gathered
    data : dict
        For the card; ``images``: SHA-256 of every image that was learned from.
    held_out : HeldOut
        Thermal frames hold out their own sites.
    """
    parts, stage = gathered.parts, gathered.stage
    features = np.concatenate([part.features for part in parts]).astype(np.float32)
    codes = np.concatenate([part.codes for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    sites = np.concatenate([np.full(len(part.codes), part.site, dtype=object) for part in parts])
    varied = np.concatenate([np.full(len(part.codes), int(part.varied)) for part in parts])
    settings = TRAINING[name]
    scales_m = THERMAL_SCALES_M if name == "thermal" else SCALES_M
    known, counts = np.unique(codes[codes != NOTHING].astype(str), return_counts=True)
    card = {
        "version": f"{name}-{NUMBER[name]}",
        "roles": list(BAND_SETS[name]),
        "scales_by_class": {code: [nearest_scale(s) for s in scales_m[code]] for code in known},
        "least_strength": LEAST_STRENGTH[name],
        "feature_set": FEATURE_SET,
        "settings": settings.model_dump(mode="json"),
        "class_weights": {} if name == "thermal" else CLASS_WEIGHTS,
        "images": data.get("images", []),
        "data": {key: said for key, said in data.items() if key != "images"}
        | {
            "candidates": round(float(weights.sum())),
            "object_candidates_by_class": {str(code): int(n) for code, n in zip(known, counts, strict=True)},
        },
        "limits": LIMITS[name],
    }
    if stage.sieve is not None:
        card["sieve"] = {"least": stage.least, "objects_kept": OBJECTS_KEPT}
    card["background"] = known_ground(gathered, len(BAND_SETS[name]))
    reference = features[np.random.default_rng(0).permutation(len(features))[:32]]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.survey-model"
    if name == "thermal":
        groups = np.unique(sites.astype(str), return_inverse=True)[1]
        places = _places(parts)
        fitted = calibrate_on_objects(fit(Table(features, codes, weights, groups), settings), codes, weights, places)
        card["calibration"] = list(fitted.calibration)
        card["metrics"] = held_out_metrics(codes != NOTHING, fitted.held_out, weights)
        if "known_objects" in data:
            shown = best_of_places(fitted.held_out, places)
            scores = fitted.held_out[shown], codes[shown] != NOTHING, data["hectares"]
            card["evaluation"] = evaluation_of("real frames of other sessions and zones", scores, data["known_objects"])
        save_model(path, Judges(fitted.hazard, fitted.namer), card, reference)
        return write_finished(path, unpack(path))
    weights = weighed(weights, codes, numbered(parts))
    card["calibration"] = [1.0, 0.0]
    judges = Judges(*fit_styles(features, codes, weights, varied, settings), stage.sieve)
    save_model(path, judges, card, reference)
    table = features, codes, weights, (sites, varied), reference
    return finished(path, path, gathered.posts, list(_fit_apart(held_out, table, card, stage)))


def finished(raw: Path, path: Path, posts: Posts | None, measured_on: Sequence[Shown] = ()) -> dict[str, Any]:
    """Calibrate a model on drawn ground, give it its judge of posts, and write it; returns its card.

    Parameters
    ----------
    raw : Path
        Model whose calibration is the identity.
    path : Path
        Where the model goes; may be ``raw``.
    posts : (MLPClassifier, mapping), optional
        Judge of posts, and what the card says of it.
    measured_on : sequence of Shown
        Ground besides, shown by models that have not seen it.
    """
    model = load_file(raw)
    # Fences have a curve of their own, so the judge of posts comes when this one is fitted.
    parts = with_curve(raw, [survey_drawn(raw, model.roles), *measured_on])
    return write_finished(path, parts if posts is None else with_posts(parts, *posts, model.version))


def known_ground(gathered: Gathered, channels: int) -> dict[str, Any]:
    """Describe the sites learned from by what a survey with the model measures there on no object, for the card.

    Parameters
    ----------
    gathered : Gathered
    channels : int
        Of the model's bands.
    """
    # What has not passed the sieve as features are kept, in half precision, is left out again.
    parts = [worth_measuring(part, gathered.stage) for part in gathered.parts]
    nothing = [part.codes == NOTHING for part in parts]
    return background(
        np.concatenate([part.features[rows] for part, rows in zip(parts, nothing, strict=True)]),
        np.concatenate([part.weights[rows] for part, rows in zip(parts, nothing, strict=True)]),
        np.concatenate([np.full(rows.sum(), part.site, object) for part, rows in zip(parts, nothing, strict=True)]),
        parts_of(channels)[0],
    )


def fit_styles(
    features: NDArray[np.float32],
    codes: NDArray[np.object_],
    weights: NDArray[np.float64],
    styles: NDArray[np.int64],
    settings: Training,
) -> tuple[VotingClassifier, HistGradientBoostingClassifier]:
    """Fit a committee in which each style of pictures has taught members of its own, and who names the classes.

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
    codes : object array, shape (n,)
    weights : float array, shape (n,)
        Of :func:`weighed`.
    styles : int array, shape (n,)
        1 where a row is of a picture in which hazards lie in the open and in any paint, 0 where they lie as on a
        field, -1 where it is left out: a copy of the others would take as much memory again.
    settings : Training
        Of each style.
    """
    taught = [rows for rows in (styles == 0, styles == 1) if rows.any()]
    judging: list[Any] = []
    for seed, rows in enumerate(taught):
        own = settings.model_copy(update={"seed": settings.seed + seed})
        judging += hazard_fits(features[rows], codes[rows], weights[rows], own)
    # One style is enough to name the classes by.
    naming = naming_fit(features[taught[-1]], codes[taught[-1]], settings)
    fitted: list[Any] = at_once([*judging, naming])
    return seated(fitted[:-1], settings.committee.trees_share), fitted[-1]


def _places(parts: Sequence[Examples]) -> Places:
    x, y, diameter = np.concatenate([part.place for part in parts if part.place is not None]).T
    picture = np.concatenate([np.full(len(part.codes), number) for number, part in enumerate(parts)])
    return Places(picture, x, y, diameter)


def _fit_apart(held_out: HeldOut, table: tuple[Any, ...], card: dict[str, Any], stage: FirstStage) -> Iterator[Shown]:
    """Fit without each site in turn, and survey its photographs with that model."""
    features, codes, weights, (sites, varied), reference = table
    settings = Training.model_validate(card["settings"])
    for site, files in held_out.sites.items():
        pair = fit_styles(features, codes, weights, np.where(sites == site, -1, varied), settings)
        with tempfile.TemporaryDirectory() as place:
            path = held_out_model(held_out.folder or Path(place), card["version"].split("-")[0], site)
            save_model(path, Judges(*pair, stage.sieve), card, reference)
            yield survey_photographs(path, tuple(card["roles"]), site, files)


def make_model(
    name: str, folder: Path, photos: Sequence[Path], pictures: Pictures, keep: Path | None = None
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
    pictures : Pictures
    keep : Path, optional
        Folder for the examples (``NAME.npz``), and for models of which sites were held out.
    """
    thermal = name == "thermal"
    if thermal:
        frames = [part for path in photos for part in thermal_examples(path)]
        gathered = Gathered(frames, FirstStage(LEAST_STRENGTH[name]))
    else:
        gathered = drawn_examples(name, photos, pictures)
    credited = {CREDITS.get(path.name, CREDITS.get(path.parent.name, path.name)) for path in photos}
    data = {
        "drawn_scenes": 0 if thermal else 2 * pictures.scenes,
        "photo_crops_with_drawn_objects": 0 if thermal or not photos else 2 * pictures.crops,
        "photographs": sorted(credited),
        "images": sorted(file_identity(image)["sha256"] for path in photos for image in _images_of(path)),
    }
    if thermal:
        data |= labelled_ground(photos)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        keep_examples(keep / f"{name}.npz", gathered.parts)
    own = sorted({path.parent.name for path in photos if OWN_BANDS.get(path.parent.name) == name})
    held_out = HeldOut({site: [path for path in photos if path.parent.name == site] for site in own}, keep)
    return fit_model(name, folder, gathered, data, held_out)


def _images_of(path: Path) -> list[Path]:
    """Images that were learned from; grounds that were laid together are nobody's survey."""
    if path.parent.name in LAID_TOGETHER:
        return []
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
    parser.add_argument("--elder", type=Path, help="model whose sieve and judge of posts are taken over")
    parser.add_argument("--keep", type=Path, help="folder for the examples, and for models without each site")
    options = parser.parse_args()
    photos = (
        options.photos
        if options.name == "thermal"
        else sorted(path for folder in options.photos for path in folder.glob("*.tif"))
    )
    elder = None if options.elder is None else load_file(options.elder)
    pictures = Pictures(options.scenes, options.crops, elder)
    card = make_model(options.name, options.folder, photos, pictures, options.keep)
    print(json.dumps({key: card[key] for key in ("version", "data", "metrics")}, indent=1))


if __name__ == "__main__":
    main()
