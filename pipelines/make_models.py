"""Make a model that ships with the package: `python -m pipelines.make_models rgb --photos DIR`.

The examples are candidates found in drawn scenes, and in real photographs into which objects were drawn; the
photographs are only read, and never become part of a model file. What the model says of sites it has not seen is
measured on held-out sites and written into its card.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window

from survey.detection.features import FEATURE_SET
from survey.detection.scales import nearest_scale
from survey.detection.search import search_picture
from survey.hazards import classes
from survey.memory.labelling import NOTHING, UNDECIDED, label_candidates, labelled
from survey.memory.modelfile import save_model
from survey.memory.training import Training, fit
from survey.synthetic.photograph import IntoSettings, Photo, draw_into, open_ground
from survey.synthetic.scene import DrawnScene, SceneSettings, draw_scene
from survey.synthetic.site import training_sites

# Diameters (metres) at which each class is looked for: steps of the ladder around its plan size.
SCALES_M: Mapping[str, tuple[float, ...]] = {
    "mine_at": (0.24, 0.34),
    "mine_ap": (0.085, 0.12, 0.17),
    "mine_ap_fragmentation": (0.085, 0.12),
    "mine_ap_directional": (0.12, 0.17, 0.24),
    "mine_scatterable": (0.085, 0.12),
    "submunition": (0.085, 0.12, 0.17),
    "rocket": (0.17, 0.24, 0.48),
    "mortar_bomb": (0.12, 0.17, 0.24),
    "shell": (0.17, 0.24, 0.34),
    "crater": (0.68, 0.96, 1.36, 1.92, 2.72, 3.84, 5.43, 7.68, 10.86),
    "trench": (0.68, 0.96, 1.36, 1.92),
    "dugout": (2.72, 3.84, 5.43),
    "revetment": (3.84, 5.43, 7.68),
}
BAND_SETS = {"rgb": ("red", "green", "blue"), "cir": ("nir", "green", "blue"), "thermal": ("thermal",)}
# Strength from which a local maximum is a candidate: low enough to lose little, by measurement on held-out sites.
LEAST_STRENGTH = {"rgb": 3.0, "cir": 3.0, "thermal": 1.5}
# A buried mine shows as a warm, cool or dug patch of 0.2 to 0.8 m, whatever the mine's own size.
THERMAL_SCALES_M = {"mine_buried": (0.12, 0.17, 0.24, 0.34, 0.48, 0.68)}

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

_SIDE_PX = 1100
# Negatives kept of one scene; each stands for as many as were left out.
_NEGATIVES = 900


THERMAL_TRAINING = Training(iterations=120, leaves=8, leaf_samples=15, l2=5.0, feature_share=0.2, folds=6)


@dataclass(frozen=True)
class Kind:
    """A kind of drawn scene: range of GSD (metres) and the mean number of objects of each class in it."""

    share: float
    gsd_m: tuple[float, float]
    objects: Mapping[str, float]


_ANY = dict.fromkeys(SCALES_M, 2.5)
KINDS = (
    Kind(0.45, (0.012, 0.038), {**_ANY, "mine_at": 8, "crater": 2.5, "trench": 0.4, "dugout": 0.4, "revetment": 0.2}),
    Kind(
        0.35,
        (0.004, 0.012),
        {
            **_ANY, "mine_at": 1, "mine_ap": 7, "mine_scatterable": 7,
            "crater": 0.5, "trench": 0.07, "dugout": 0.07, "revetment": 0.0,
        },
    ),
    Kind(0.20, (0.04, 0.15), {"crater": 5, "trench": 0.7, "dugout": 0.7, "revetment": 0.5}),
)  # fmt: skip
_IN_PHOTOS = {**_ANY, "mine_at": 9, "crater": 2, "trench": 0.4, "dugout": 0.3, "revetment": 0.0}


@dataclass(frozen=True)
class Examples:
    """Labelled candidates of one picture."""

    features: NDArray[np.float32]
    codes: NDArray[np.object_]
    weights: NDArray[np.float64]
    site: str


@dataclass(frozen=True)
class Task:
    """One picture to be made and searched."""

    seed: int
    bands: tuple[str, ...]
    photo: str | None


def examples_of(drawn: DrawnScene, site: str, seed: int) -> Examples:
    """Candidates of a drawn scene with the class of what they lie on."""
    resolved = {code: sizes for code, sizes in SCALES_M.items() if classes()[code].resolved_at(drawn.gsd_m * 100)}
    known = {code: tuple(map(nearest_scale, sizes)) for code, sizes in resolved.items()}
    least = LEAST_STRENGTH["rgb"]
    found, x, y = search_picture(drawn.pixels, drawn.valid, drawn.gsd_m, known, least)
    inverse = ~drawn.transform

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(inverse * (points[:, 0], points[:, 1])) * drawn.gsd_m

    outlines = shapely.transform(np.asarray(drawn.labels.geometry.values, dtype=object), place)
    occlusion = drawn.labels["occlusion"].to_numpy(float)
    codes, _ = label_candidates(
        x, y, found.diameter_m, labelled(outlines, drawn.labels["class_code"].to_numpy(object), occlusion)
    )
    negatives = np.flatnonzero(codes == NOTHING)
    kept = np.random.default_rng([seed, 7]).permutation(negatives)[:_NEGATIVES]
    weights = np.ones(len(codes))
    weights[kept] = len(negatives) / max(1, len(kept))
    chosen = np.sort(np.concatenate([kept, np.flatnonzero((codes != NOTHING) & (codes != UNDECIDED))]))
    return Examples(found.features[chosen], codes[chosen], weights[chosen], site)


def draw(task: Task) -> Examples:
    """Draw one picture and search it."""
    rng = np.random.default_rng([task.seed, 9])
    if task.photo is not None:
        photo = _crop(task.photo, task.bands, rng)
        settings = IntoSettings(objects_per_ha=_per_hectare(_IN_PHOTOS, photo.gsd_m))
        drawn = draw_into(photo, settings, task.seed, open_ground(photo))
        return examples_of(drawn, str(Path(task.photo).parent.name), task.seed)
    kind = KINDS[rng.choice(len(KINDS), p=[k.share for k in KINDS])]
    gsd = float(np.exp(rng.uniform(*np.log(kind.gsd_m))))
    site = training_sites(1, first=task.seed)[0]
    scene = SceneSettings(
        width_px=_SIDE_PX,
        height_px=_SIDE_PX,
        gsd_m=gsd,
        bands=task.bands,
        objects_per_ha=_per_hectare(kind.objects, gsd),
        site=site,
    )
    return examples_of(draw_scene(scene, task.seed), site.name, task.seed)


def _per_hectare(objects: Mapping[str, float], gsd_m: float) -> dict[str, float]:
    hectares = (_SIDE_PX * gsd_m) ** 2 / 1e4
    return {code: n / hectares for code, n in objects.items() if classes()[code].resolved_at(gsd_m * 100)}


def _crop(path: str, bands: Sequence[str], rng: np.random.Generator) -> Photo:
    with rasterio.open(path) as dataset:
        row = int(rng.integers(0, dataset.height - _SIDE_PX + 1))
        col = int(rng.integers(0, dataset.width - _SIDE_PX + 1))
        window = Window(col, row, _SIDE_PX, _SIDE_PX)
        pixels = dataset.read(window=window)
        transform = dataset.window_transform(window)
        return Photo(pixels, tuple(bands), transform, dataset.crs.to_string(), abs(transform.a))


def tasks(bands: tuple[str, ...], scenes: int, photos: Sequence[Path], photo_crops: int) -> Iterator[Task]:
    """Yield the pictures a model is trained on."""
    for seed in range(scenes):
        yield Task(1000 + seed, bands, None)
    for number in range(photo_crops if photos else 0):
        yield Task(100_000 + number, bands, str(photos[number % len(photos)]))


def thermal_examples(folder: Path) -> Iterator[Examples]:
    """Candidates of real thermal frames; a frame's site is its session and zone, as its name begins.

    Parameters
    ----------
    folder : Path
        Holds ``labels.gpkg`` (layer ``labels``, everything in the frames is labelled) and ``images/*.tif``.
    """
    labels = gpd.read_file(folder / "labels.gpkg", layer="labels")
    scales = {code: tuple(map(nearest_scale, sizes)) for code, sizes in THERMAL_SCALES_M.items()}
    for path in sorted((folder / "images").glob("*.tif")):
        with rasterio.open(path) as dataset:
            pixels, transform, bounds = dataset.read(), dataset.transform, shapely.box(*dataset.bounds)
        gsd = abs(transform.a)
        here = labels[labels.intersects(bounds)]
        corner = np.array([transform.c, transform.f])
        outlines = shapely.transform(
            np.asarray(here.geometry.values, dtype=object), lambda p, corner=corner: (p - corner) * np.array([1, -1])
        )
        found, x, y = search_picture(pixels, np.ones(pixels.shape[1:], bool), gsd, scales, LEAST_STRENGTH["thermal"])
        codes, _ = label_candidates(
            x, y, found.diameter_m, labelled(outlines, here["class_code"].to_numpy(object), np.zeros(len(here)))
        )
        use = codes != UNDECIDED
        yield Examples(found.features[use], codes[use], np.ones(int(use.sum())), path.name[:6])


def make_model(name: str, folder: Path, photos: Sequence[Path], scenes: int, crops: int) -> dict[str, Any]:
    """Draw, search, fit, measure on held-out sites, and write ``folder/NAME.survey-model``."""
    bands = BAND_SETS[name]
    if name == "thermal":
        parts = [part for path in photos for part in thermal_examples(path)]
    else:
        with ProcessPoolExecutor(2) as pool:
            parts = list(pool.map(draw, tasks(bands, scenes, photos, crops), chunksize=2))
    features = np.concatenate([part.features for part in parts])
    codes = np.concatenate([part.codes for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    sites = np.concatenate([np.full(len(part.codes), part.site, dtype=object) for part in parts])
    groups = np.unique(sites.astype(str), return_inverse=True)[1]
    settings = THERMAL_TRAINING if name == "thermal" else Training()
    fitted = fit(features, codes, weights, groups, settings)
    scales_m = THERMAL_SCALES_M if name == "thermal" else SCALES_M
    known, counts = np.unique(codes[codes != NOTHING].astype(str), return_counts=True)
    card = {
        "version": f"{name}-1",
        "roles": list(bands),
        "scales_by_class": {code: [nearest_scale(s) for s in scales_m[code]] for code in known},
        "least_strength": LEAST_STRENGTH[name],
        "feature_set": FEATURE_SET,
        "calibration": list(fitted.calibration),
        "settings": settings.model_dump(),
        "data": {
            "drawn_scenes": 0 if name == "thermal" else scenes,
            "photo_crops_with_drawn_objects": crops if photos and name != "thermal" else 0,
            "photographs": sorted(
                {CREDITS.get(path.parent.name, CREDITS.get(path.name, path.name)) for path in photos}
            ),
            "candidates": len(codes),
            "object_candidates_by_class": {str(code): int(n) for code, n in zip(known, counts, strict=True)},
        },
        "metrics": held_out_metrics(codes != NOTHING, fitted.held_out, weights),
        "limits": LIMITS[name],
    }
    reference = features[np.random.default_rng(0).permutation(len(features))[:32]]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.survey-model"
    save_model(path, fitted.hazard, fitted.namer, card, reference)
    (folder / f"{name}.json").write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return card


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
    parser.add_argument("--scenes", type=int, default=400)
    parser.add_argument("--crops", type=int, default=80)
    options = parser.parse_args()
    photos = (
        options.photos
        if options.name == "thermal"
        else sorted(path for folder in options.photos for path in folder.glob("*.tif"))
    )
    card = make_model(options.name, options.folder, photos, options.scenes, options.crops)
    print(json.dumps({key: card[key] for key in ("version", "data", "metrics")}, indent=1))


if __name__ == "__main__":
    main()
