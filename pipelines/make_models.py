"""Make a model that ships with the package: `python -m pipelines.make_models rgb --photos DIR`.

Its probabilities are calibrated on ground it has not learned from, on objects as a survey shows them, and what it is
worth there is written into its card.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.neural_network import MLPClassifier

from pipelines.calibrating import Shown, calibrate, evaluation_of, said_of, survey_drawn, survey_photographs
from pipelines.grounds import one_thread_each
from pipelines.model_examples import (
    LEAST_STRENGTH,
    SCALES_M,
    THERMAL_SCALES_M,
    Examples,
    draw,
    keep_examples,
    labelled_ground,
    numbered,
    tasks,
    thermal_examples,
    thinned,
    worth_measuring,
)
from survey.detection.features import FEATURE_SET, first_look_width, parts_of
from survey.detection.scales import nearest_scale
from survey.detection.search import FirstStage
from survey.memory.at_once import at_once
from survey.memory.calibration import Places, best_of_places
from survey.memory.committee import Committee, seated
from survey.memory.drift import background
from survey.memory.judges import Judges, save_model
from survey.memory.labelling import NOTHING
from survey.memory.negatives import fit_pilot
from survey.memory.sieve import OBJECTS_KEPT, fit_sieve
from survey.memory.table import Table
from survey.memory.training import Training, calibrate_on_objects, fit, hazard_fits, naming_fit
from survey.provenance import file_identity

BAND_SETS = {"rgb": ("red", "green", "blue"), "cir": ("nir", "green", "blue"), "thermal": ("thermal",)}

# Networks alone, one that learned hazards as they lie on a field and one that learned them in the open and in any
# paint: trees learn the drawing more than the object, and where they vote less is found of what another hand has drawn
# (docs/detection.md).
_DRAWN_TRAINING = Training(committee=Committee(iterations=0, networks=1))
# What an object weighs by its class, where not 1: of small mines and craters few are drawn. Every object weighs the
# same however many candidates it offers (a rocket fifteen, an anti-tank mine two), or what is long and thin decides
# what is found; a trench is looked for piece by piece, and weighs by the candidate (docs/detection.md).
CLASS_WEIGHTS = {"mine_ap": 2.0, "mine_ap_fragmentation": 2.0, "mine_scatterable": 2.0, "crater": 2.0}
_BY_CANDIDATE = ("trench",)
# Candidates that an anti-tank mine offers: so many negatives an object stands against.
_AN_OBJECT = 2.3
# Few labels: small trees and small networks, held-out groups of one session and zone each.
_THERMAL_TRAINING = Training(
    committee=Committee(
        iterations=120, leaves=8, leaf_samples=15, l2=5.0, feature_share=0.2, hidden=(48,), epochs=10, penalty=0.3
    ),
    folds=6,
)
TRAINING = {"rgb": _DRAWN_TRAINING, "cir": _DRAWN_TRAINING, "thermal": _THERMAL_TRAINING}

# The share of the pictures that is searched in full, to fit the pilot that thins out the others.
_PILOT_SHARE = 10

NUMBER = {"rgb": 8, "cir": 8, "thermal": 5}
"""What the models of this version are called by, after their name."""

OWN_BANDS = {"brighton": "rgb", "seneca": "cir"}
"""Sites whose photographs have the very bands of a model: it is measured on them, held out."""
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
class Gathered:
    """What a model is fitted on: examples, and the stage that chose the candidates among them."""

    parts: Sequence[Examples]
    stage: FirstStage


def drawn_examples(name: str, photos: Sequence[Path], scenes: int, crops: int) -> Gathered:
    """Draw and search all pictures: the first in full, to fit the sieve, the others through it.

    Of what passes easy negatives are thinned out.
    """
    todo = tasks(BAND_SETS[name], scenes, {path: _drawn_in(name, path.parent.name) for path in photos}, crops)
    first, rest = todo[: len(todo) // _PILOT_SHARE], todo[len(todo) // _PILOT_SHARE :]
    everything = FirstStage(LEAST_STRENGTH[name])
    with one_thread_each() as pool:
        parts = list(pool.map(partial(draw, stage=everything, pilot=None), first, chunksize=2))
    stage = FirstStage(LEAST_STRENGTH[name], *_sieve_of(name, parts))
    parts = [worth_measuring(part, stage) for part in parts]
    features = np.concatenate([part.features for part in parts]).astype(np.float32)
    positive = np.concatenate([part.codes for part in parts]) != NOTHING
    pilot = fit_pilot(features, positive, np.ones(len(positive)))
    parts = [thinned(part, pilot, number) for number, part in enumerate(parts)]
    with one_thread_each() as pool:
        return Gathered(parts + list(pool.map(partial(draw, stage=stage, pilot=pilot), rest, chunksize=2)), stage)


def _drawn_in(name: str, site: str) -> tuple[str, ...]:
    """Bands that objects are drawn into photographs of a site in, for a model of this name.

    Natural colour stands for colour infrared, red for near infrared, in ground and objects alike: a near-infrared band
    made up for the ground alone shows every object by what the two do not have in common (docs/detection.md).
    """
    return BAND_SETS[name if OWN_BANDS.get(site) == name else "rgb"]


def _sieve_of(name: str, parts: Sequence[Examples]) -> tuple[MLPClassifier, float]:
    """Fit the sieve without photographs of sites, so that none has to be held out from it."""
    drawn = [part for part in parts if part.site not in OWN_BANDS]
    width = first_look_width(len(BAND_SETS[name]))
    looks = np.concatenate([part.features[:, :width] for part in drawn]).astype(np.float32)
    codes, objects = np.concatenate([part.codes for part in drawn]), numbered(drawn)
    pictures = np.repeat(np.arange(len(drawn)), [len(part.codes) for part in drawn]).astype(object)
    return fit_sieve(looks, weighed(np.ones(len(codes)), codes, objects), objects, pictures)


def fit_model(
    name: str,
    folder: Path,
    gathered: Gathered,
    data: dict[str, Any],
    held_out: Mapping[str, Sequence[Path]] = MappingProxyType({}),
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
    held_out : mapping of site to photographs
        Sites among the examples on which a model that was fitted without them is measured. Thermal frames hold out
        their own sites.
    """
    parts, stage = gathered.parts, gathered.stage
    features = np.concatenate([part.features for part in parts]).astype(np.float32)
    codes = np.concatenate([part.codes for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    sites = np.concatenate([np.full(len(part.codes), part.site, dtype=object) for part in parts])
    varied = np.concatenate([np.full(len(part.codes), part.varied) for part in parts])
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
        judges = Judges(fitted.hazard, fitted.namer)
        card["calibration"] = list(fitted.calibration)
        card["metrics"] = held_out_metrics(codes != NOTHING, fitted.held_out, weights)
        if "known_objects" in data:
            shown = best_of_places(fitted.held_out, places)
            scores = fitted.held_out[shown], codes[shown] != NOTHING, data["hectares"]
            card["evaluation"] = evaluation_of("real frames of other sessions and zones", scores, data["known_objects"])
    else:
        weights = weighed(weights, codes, numbered(parts))
        judges = Judges(*fit_styles(features, codes, weights, varied, settings), stage.sieve)
        raw = card | {"calibration": [1.0, 0.0]}
        save_model(path, judges, raw, reference)
        table = features, codes, weights, (sites, varied), reference
        grounds = [survey_drawn(path, BAND_SETS[name]), *_fit_apart(held_out, table, raw, stage)]
        curve, said = calibrate(grounds)
        card |= said | {"calibration": list(curve)}
        card["limits"] += said_of(card["metrics"])
    save_model(path, judges, card, reference)
    (folder / f"{name}.json").write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return card


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


def weighed(
    weights: NDArray[np.float64], codes: NDArray[np.object_], objects: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Share the weight of each object out among its candidates.

    Parameters
    ----------
    weights : float array, shape (n,)
        How many candidates a row stands for.
    codes : object array, shape (n,)
    objects : int array, shape (n,)
        Number of the object a row lies on, -1 for none.
    """
    on = objects >= 0
    share = _AN_OBJECT / np.bincount(objects[on])[objects[on]]
    share[np.isin(codes[on], _BY_CANDIDATE)] = 1.0
    found = weights.copy()
    found[on] *= share * pd.Series(codes[on]).map(CLASS_WEIGHTS).fillna(1.0).to_numpy(float)
    return found


def fit_styles(
    features: NDArray[np.float32],
    codes: NDArray[np.object_],
    weights: NDArray[np.float64],
    varied: NDArray[np.bool_],
    settings: Training,
) -> tuple[VotingClassifier, HistGradientBoostingClassifier]:
    """Fit a committee in which each style of pictures has taught members of its own, and who names the classes.

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
    codes : object array, shape (n,)
    weights : float array, shape (n,)
        Of :func:`weighed`.
    varied : bool array, shape (n,)
        Whether a row is of a picture in which hazards lie in the open and in any paint.
    settings : Training
        Of each style.
    """
    styles = [rows for rows in (~varied, varied) if rows.any()]
    judging: list[Any] = []
    for seed, rows in enumerate(styles):
        own = settings.model_copy(update={"seed": settings.seed + seed})
        judging += hazard_fits(features[rows], codes[rows], weights[rows], own)
    # One style is enough to name the classes by.
    naming = naming_fit(features[styles[-1]], codes[styles[-1]], settings)
    fitted: list[Any] = at_once([*judging, naming])
    return seated(fitted[:-1], settings.committee.trees_share), fitted[-1]


def _places(parts: Sequence[Examples]) -> Places:
    x, y, diameter = np.concatenate([part.place for part in parts if part.place is not None]).T
    picture = np.concatenate([np.full(len(part.codes), number) for number, part in enumerate(parts)])
    return Places(picture, x, y, diameter)


def _fit_apart(
    held_out: Mapping[str, Sequence[Path]], table: tuple[Any, ...], card: dict[str, Any], stage: FirstStage
) -> Iterator[Shown]:
    """Fit without each site in turn, and survey its photographs with that model."""
    features, codes, weights, (sites, varied), reference = table
    for site, files in held_out.items():
        others = sites != site
        settings = Training.model_validate(card["settings"])
        pair = fit_styles(features[others], codes[others], weights[others], varied[others], settings)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"without-{site}.survey-model"
            save_model(path, Judges(*pair, stage.sieve), card, reference)
            yield survey_photographs(path, tuple(card["roles"]), site, files)


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
        Drawn scenes, and crops of photographs drawn into, of each style.
    keep : Path, optional
        File for the examples.
    """
    scenes, crops = pictures
    thermal = name == "thermal"
    if thermal:
        frames = [part for path in photos for part in thermal_examples(path)]
        gathered = Gathered(frames, FirstStage(LEAST_STRENGTH[name]))
    else:
        gathered = drawn_examples(name, photos, scenes, crops)
    credited = {CREDITS.get(path.name, CREDITS.get(path.parent.name, path.name)) for path in photos}
    data = {
        "drawn_scenes": 0 if thermal else 2 * scenes,
        "photo_crops_with_drawn_objects": 0 if thermal or not photos else 2 * crops,
        "photographs": sorted(credited),
        "images": sorted(file_identity(image)["sha256"] for path in photos for image in _images_of(path)),
    }
    if thermal:
        data |= labelled_ground(photos)
    if keep is not None:
        keep_examples(keep, gathered.parts)
    own = sorted({path.parent.name for path in photos if OWN_BANDS.get(path.parent.name) == name})
    held_out = {site: [path for path in photos if path.parent.name == site] for site in own}
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
