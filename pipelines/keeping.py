"""Levels that files lack, kept beside the journal while a scene is surveyed: full pixels are read once for all."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.engine.journal import Journal
from pipelines.opening import OpenScene

FOLDER = ".levels"


def with_levels(scenes: Sequence[OpenScene], journal: Journal) -> tuple[OpenScene, ...]:
    """Scenes as they are walked when the finest pass makes the levels that coarser ones are to read.

    Each has a folder of its own, named by all that its results depend on. A level is made of full pixels or not at all:
    means of means are rounded twice.
    """
    keys = {name: row.key for name, row in journal.scenes().items()}
    folder = journal.path.parent / FOLDER
    return tuple(keeping(place, folder / keys[place.scene.name]) for place in scenes)


def keeping(place: OpenScene, folder: Path) -> OpenScene:
    """One scene as :func:`with_levels` says; as it is where nothing is to be kept of it."""
    finest = place.finest
    lacking = tuple(
        one.level
        for one in place.passes
        # Windows are cut at multiples of so many pixels, and a block is not to be cut in two.
        if one.level >= len(place.scene.levels) and not one.finest and finest.multiple % 2**one.level == 0
    )
    if finest.level or not lacking:
        return place
    passes = tuple(replace(one, reduced=lacking) if one.finest else one for one in place.passes)
    return replace(place, scene=replace(place.scene, kept=str(folder)), passes=passes)


class Kept:
    """What is kept while tiles are surveyed; a scene's part goes with the last of its tiles.

    Parameters
    ----------
    scenes : iterable of Scene
        Of every tile that is to be surveyed.
    """

    def __init__(self, scenes: Iterable[OpenScene]) -> None:
        self._left = Counter(place.scene.kept for place in scenes if place.scene.kept is not None)

    def without(self, place: OpenScene) -> None:
        """A tile of a scene is done."""
        kept = place.scene.kept
        if kept is not None:
            self._left[kept] -= 1
            if not self._left[kept]:
                shutil.rmtree(kept, ignore_errors=True)


def clear(folder: Path) -> None:
    """Remove all that was kept beside the journal of a folder."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
