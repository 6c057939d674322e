"""Say which scenes are unlike the ground the model learned from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import numpy as np

from pipelines.opening import Opened, OpenScene
from survey.api import Model, first_stage
from survey.detection.search import octaves_of, search
from survey.errors import ImageryError
from survey.imagery.chips import level_grid, read_chip
from survey.imagery.scene import Role
from survey.memory.drift import drift, is_strange

_WINDOW_PX = 512
_WINDOWS = 2
_MOST_SCENES = 20
_FEWEST = 50
"""Candidates below which nothing is said."""


def strange_ground(opened: Opened) -> Iterator[str]:
    """Yield a sentence for every scene that is unlike the training ground; looks at samples of at most 20 scenes."""
    known = opened.model.card.get("background")
    if not known:
        return
    scenes = opened.scenes
    step = max(1, math.ceil(len(scenes) / _MOST_SCENES))
    strange = []
    for place in scenes[::step]:
        measured = scene_drift(place, opened.model)
        if measured is not None and is_strange(measured, known):
            strange.append((place.scene.name, measured))
    if strange:
        name, most = max(strange, key=lambda one: one[1])
        count = f"{len(strange)} of {len(scenes[::step])} images looked at, such as {name}"
        listed = name if len(strange) == 1 else count
        yield (
            f"The ground of {listed} is unlike the ground that model {opened.model.version} learned from (features "
            f"differ by {most:.2f} spreads, those of its own sites by up to {known['usual']:.2f}). Treat "
            "the probabilities with care, and have some objects verified there first."
        )


def scene_drift(place: OpenScene, model: Model) -> float | None:
    """Drift of a scene's candidates from the training ground; None where too little of it could be sampled."""
    a_pass = place.finest
    grid = level_grid(place.scene, a_pass.level)
    found = []
    for number in range(_WINDOWS):
        share = (number + 1) / (_WINDOWS + 1)
        row, col = (
            max(0, int(size * share - _WINDOW_PX / 2)) // a_pass.multiple * a_pass.multiple
            for size in (grid.height, grid.width)
        )
        side = -(-_WINDOW_PX // a_pass.multiple) * a_pass.multiple
        try:
            chip = read_chip(
                place.scene, a_pass.level, (row, row + side, col, col + side), cast("tuple[Role, ...]", model.roles)
            )
        except ImageryError:
            # Ground that cannot be read is the survey's to report.
            continue
        if not chip.valid.any():
            continue
        octaves = octaves_of(chip.pixels, chip.valid, a_pass)
        edge = side // 8
        core = (row + edge, row + side - edge, col + edge, col + side - edge)
        some = search(octaves, chip.valid, (row, col), core, a_pass, first_stage(model))
        own = {size for code in model.own_classes for size in model.scales_by_class[code]}
        found.append(some.features[np.isin(some.diameter_m, sorted(own))])
    features = np.concatenate(found) if found else np.empty((0, 0), np.float32)
    if len(features) < _FEWEST:
        return None
    return drift(features, np.ones(len(features)), model.card["background"])
