"""Give a shipped model its judge of posts: `python -m pipelines.make_posts rgb --grounds DIR --photos DIR`.

The judge learns from drawn scenes and grounds of photographic textures, and never from photographs of sites: what the
card says of those is of ground it has not seen. The rest of the model stays as it is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from sklearn.neural_network import MLPClassifier

from pipelines.calibrating import Shown, survey_scenes
from pipelines.finishing import with_posts, write_finished
from pipelines.gathering import BAND_SETS
from pipelines.grounds import one_thread_each
from pipelines.make_models import NUMBER
from pipelines.post_examples import (
    FIRST_UNSEEN,
    PostExamples,
    ground_with_fences,
    joined_examples,
    post_examples,
    scene_with_fences,
)
from survey.api import first_stage
from survey.detection.lines import FENCE
from survey.detection.networks import network_answers
from survey.detection.search import FirstStage
from survey.memory.calibration import Places, after, best_of_places, platt
from survey.memory.committee import Committee, fit_network
from survey.memory.judges import load_file
from survey.memory.modelfile import unpack, write_parts
from survey.synthetic.scene import DrawnScene

SETTINGS = Committee(hidden=(64, 32), epochs=10, penalty=0.1, batch=512)
"""Of its network (docs/detection.md)."""
SCENES, UNSEEN_SCENES = 300, 40
"""Drawn scenes that are learned from, and that probabilities of lines are calibrated on."""
# Parts of the pictures that are held out in turn.
_FOLDS = 4
# Curve that lets lines be seen that are far less likely than not, and keeps the best of them apart.
_FLAT = (0.5, 3.0)


def gather(model: Path, grounds: Sequence[Path], scenes: int = SCENES) -> PostExamples:
    """Draw and search the pictures that the judge learns from.

    Parameters
    ----------
    model : Path
        Whose first stage chooses the candidates.
    grounds : sequence of Path
        Images that fences are drawn into.
    scenes : int
        Drawn scenes besides.
    """
    pictures: list[Path | None] = [None] * scenes + list(grounds)
    with one_thread_each() as pool:
        parts = pool.map(partial(_examples, model), range(len(pictures)), pictures, chunksize=4)
        return joined_examples(list(parts))


def _examples(model: Path, number: int, ground: Path | None) -> PostExamples:
    bands = BAND_SETS[model.stem]
    # Natural colour stands for colour infrared, as where the model itself was learned.
    drawn = scene_with_fences(number, bands) if ground is None else ground_with_fences(ground, BAND_SETS["rgb"], number)
    return post_examples(drawn, _stage(model), number)


@lru_cache
def _stage(model: Path) -> FirstStage:
    return first_stage(load_file(model))


def fit_posts(examples: PostExamples) -> tuple[MLPClassifier, tuple[float, float]]:
    """Fit the judge, and the curve to a probability by what pictures say that were held out.

    Returns
    -------
    posts : MLPClassifier
    calibration : (slope, intercept)
    """
    features, on = examples.features.astype(np.float32), examples.is_post.astype(np.int64)
    weights = np.ones(len(on))
    held_out = np.empty(len(on))
    for fold in range(_FOLDS):
        aside = examples.picture % _FOLDS == fold
        network = fit_network(features[~aside], on[~aside], weights[~aside], SETTINGS, seed=fold)
        held_out[aside] = network_answers(network, features[aside])[:, 1]
    x, y, diameter = examples.place_m.T
    shown = best_of_places(held_out, Places(examples.picture, x, y, diameter))
    curve = platt(held_out[shown], examples.is_post[shown], np.ones(int(shown.sum())))
    return fit_network(features, on, weights, SETTINGS, seed=0), curve


def survey_fences(model: Path | None, name: str, scenes: Sequence[DrawnScene], bands: tuple[str, ...]) -> Shown:
    """Survey pictures with fences, and keep the fences alone of what is found and what is there."""
    shown = survey_scenes(name, model, bands, scenes)
    return replace(shown, detections=_fences(shown.detections), truth=_fences(shown.truth))


def _fences(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return table[table["class_code"] == FENCE].reset_index(drop=True)


def unseen_scenes(bands: tuple[str, ...], count: int = UNSEEN_SCENES) -> list[DrawnScene]:
    """Scenes with fences that no judge of posts has learned from."""
    with one_thread_each() as pool:
        return list(pool.map(partial(scene_with_fences, bands=bands), range(FIRST_UNSEEN, FIRST_UNSEEN + count)))


def fenced_photographs(photos: Sequence[Path], bands: tuple[str, ...]) -> list[DrawnScene]:
    """Photographs with fences drawn into them."""
    return [ground_with_fences(path, bands, FIRST_UNSEEN + number) for number, path in enumerate(photos)]


def make_posts(
    path: Path, grounds: Sequence[Path], photos: Mapping[str, Sequence[Path]], kept: Path | None = None
) -> dict[str, Any]:
    """Fit the judge of posts of a model, calibrate it, and write it into the model's file and the card beside it.

    Parameters
    ----------
    path : Path
        Model file, named as one of :data:`pipelines.gathering.BAND_SETS`.
    grounds : sequence of Path
        Grounds of textures.
    photos : mapping of site to photographs
        With the bands of the model, to measure on.
    kept : Path, optional
        File (npz) of examples: read where it is there, else written.

    Returns
    -------
    dict
        What the card says of posts.
    """
    bands, version = BAND_SETS[path.stem], f"{path.stem}-{NUMBER[path.stem]}"
    examples = gather(path, grounds) if kept is None or not kept.exists() else _read(kept)
    if kept is not None and not kept.exists():
        np.savez(kept, **vars(examples))
    posts, calibration = fit_posts(examples)
    card: dict[str, Any] = {
        "calibration": list(calibration),
        "line": list(_FLAT),
        "data": {"pictures": len(np.unique(examples.picture)), "post_candidates": int(examples.is_post.sum())},
    }
    with tempfile.TemporaryDirectory() as place:
        raw = Path(place) / path.name
        write_parts(raw, with_posts(unpack(path), posts, card, version))
        shown = [survey_fences(raw, "drawn", unseen_scenes(bands), bands)]
        for site, files in photos.items():
            shown.append(survey_fences(raw, site, fenced_photographs(files, bands), bands))
    score, right, _ = shown[0].scores()
    curve = platt(score, right, np.ones(len(score)))
    card |= {"line": list(after(_FLAT, curve)), "metrics": {ground.name: ground.figures(curve) for ground in shown}}
    write_finished(path, with_posts(unpack(path), posts, card, version))
    return card


def _read(kept: Path) -> PostExamples:
    with np.load(kept, allow_pickle=False) as file:
        return PostExamples(**{name: file[name] for name in file.files})


def main() -> None:
    """Read the options and give a model its judge of posts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(BAND_SETS))
    parser.add_argument("--folder", type=Path, default=Path("survey/models"))
    parser.add_argument("--grounds", type=Path, nargs="+", required=True, help="folders of grounds of textures")
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="folders of photographs, to measure on")
    parser.add_argument("--keep", type=Path, help="file (.npz) for the examples, to fit again without drawing")
    options = parser.parse_args()
    grounds = [path for folder in options.grounds for path in sorted(folder.glob("*.tif"))]
    photos = {folder.name: sorted(folder.glob("*.tif")) for folder in options.photos}
    path = options.folder / f"{options.name}.survey-model"
    print(json.dumps(make_posts(path, grounds, photos, options.keep), indent=1))


if __name__ == "__main__":
    main()
