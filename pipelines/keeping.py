"""Levels that files lack, kept beside the journal while a scene is surveyed: full pixels are read once for all."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.engine.journal import Journal
from pipelines.opening import OpenScene
from pipelines.walk import steps_left
from survey.provenance import digest

FOLDER = ".levels"
_PROTOCOL = 1
"""Raised when pixels of a level are made in another way: what an earlier version kept is then not read."""


def with_levels(scenes: Sequence[OpenScene], journal: Journal) -> tuple[OpenScene, ...]:
    """Scenes as they are walked when the finest pass makes the levels that coarser ones are to read.

    Each has a folder of its own, named by all that its results depend on and by the journal, so that whoever starts
    over finds nothing kept. What other runs left behind goes.
    """
    begun = journal.get("started_at")
    names = {name: digest([_PROTOCOL, begun, row.key])[:16] for name, row in journal.scenes().items()}
    folder = journal.path.parent / FOLDER
    for other in folder.iterdir() if folder.is_dir() else ():
        if other.name not in names.values():
            shutil.rmtree(other, ignore_errors=True)
    return tuple(keeping(place, folder / names[place.scene.name]) for place in scenes)


def keeping(place: OpenScene, folder: Path) -> OpenScene:
    """One scene as :func:`with_levels` says; as it is where nothing is to be kept of it.

    A level is made of full pixels or not at all: means of means are rounded twice.
    """
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
    scenes : sequence of OpenScene
    journal : Journal
        Knows which of their tiles are done.
    """

    def __init__(self, scenes: Sequence[OpenScene], journal: Journal) -> None:
        keep = [place for place in scenes if place.scene.kept is not None]
        self._left = Counter(step.place.scene.kept for step in steps_left(keep, journal))

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
