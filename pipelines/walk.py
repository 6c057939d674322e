"""Which tiles are to be surveyed: those of every scene and pass that the journal does not have."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.engine.executor import Outcome
from pipelines.engine.journal import Entry, Journal, SceneRow
from pipelines.engine.parcels import ModelRef, Parcel, Task
from pipelines.opening import Opened, OpenScene
from survey.api import Pass, Visibility
from survey.imagery.tiles import Tile, Tiling
from survey.provenance import digest
from survey.settings import Job

_SMALLEST_PX = 256
"""A tile that failed is tried again in quarters down to this side."""


@dataclass(frozen=True)
class Step:
    """One tile of one pass of one scene, and how large it is; ``by_block`` where it failed when read at once."""

    place: OpenScene
    a_pass: Pass
    tile: Tile
    by_block: bool = False

    @property
    def pixels(self) -> int:
        """Pixels of its core."""
        return (self.tile.row1 - self.tile.row0) * (self.tile.col1 - self.tile.col0)

    @property
    def hectares(self) -> float:
        """Ground of its core, counted in the finest pass only."""
        return self.pixels * self.a_pass.gsd_m**2 / 1e4 if self.a_pass.finest else 0.0

    def task(self, model: ModelRef, visibility: Visibility) -> Task:
        """What a worker is sent."""
        return Task(self.place.scene, self.a_pass, self.tile, model, visibility, self.by_block)

    def entries(self, outcome: Outcome[Task, Parcel]) -> tuple[Entry, ...]:
        """What the journal notes of a tile that was surveyed: the tile, and the parts of it that could not be read."""
        parcel = outcome.result
        assert parcel is not None
        content = (parcel.n_sightings, parcel.sightings, parcel.cells, parcel.sample)
        if not parcel.unread:
            return (Entry(self.tile, "done", outcome.attempts, parcel.seconds, "", *content),)
        parts = {part: one.reason for one in parcel.unread if (part := one.within(self.tile)) is not None}
        if sum((one.row1 - one.row0) * (one.col1 - one.col0) for one in parts) == self.pixels:
            reason = next(iter(parts.values()))
            return (Entry(self.tile, "failed", outcome.attempts, parcel.seconds, reason),)
        whole = Entry(self.tile, "partial", outcome.attempts, parcel.seconds, parcel.unread[0].reason, *content)
        return (whole, *(Entry(part, "unread", reason=reason) for part, reason in parts.items()))

    def quarters(self) -> tuple[Step, ...]:
        """Return the four parts of the tile, to be read at once; none where it is as small as tiles get."""
        tile = self.tile
        if max(tile.row1 - tile.row0, tile.col1 - tile.col0) <= _SMALLEST_PX:
            return ()
        rows = _halves(tile.row0, tile.row1)
        cols = _halves(tile.col0, tile.col1)
        return tuple(Step(self.place, self.a_pass, Tile(tile.level, *row, *col)) for row in rows for col in cols)


def _halves(start: int, stop: int) -> tuple[tuple[int, int], ...]:
    if stop - start <= _SMALLEST_PX:
        return ((start, stop),)
    middle = (start + stop) // 2
    return ((start, middle), (middle, stop))


@dataclass(frozen=True)
class Walk:
    """The way through a job: what is left, and what was done before.

    The journal knows what is done, so nothing is kept of the tiles themselves: a coordinator holds as much for
    thirty gigapixels as for one.

    Attributes
    ----------
    left : int
        Tiles to be done.
    done_px, done_ha : pixels and hectares that the journal has already
    total_px, total_ha : of the whole job
    """

    left: int = 0
    done_px: int = 0
    done_ha: float = 0.0
    total_px: int = 0
    total_ha: float = 0.0


def plan_walk(scenes: Sequence[OpenScene], journal: Journal) -> Walk:
    """Count the tiles that are done and those that are left."""
    left = done_px = total_px = 0
    done_ha = total_ha = 0.0
    for step, is_done in _laid(scenes, journal):
        total_px += step.pixels
        total_ha += step.hectares
        left += not is_done
        done_px += step.pixels * is_done
        done_ha += step.hectares * is_done
    return Walk(left, done_px, done_ha, total_px, total_ha)


def steps_left(scenes: Sequence[OpenScene], journal: Journal, *, by_block: bool = False) -> Iterator[Step]:
    """Yield the tiles that the journal has nothing of, scene by scene, each looked up when its turn comes."""
    for step, is_done in _laid(scenes, journal):
        if not is_done:
            yield replace(step, by_block=by_block)


def later(steps: Iterator[Step], behind: int) -> Iterator[Step]:
    """Yield tiles that are made of what others keep some tiles later than they come, so that those are done."""
    waiting: deque[tuple[int, Step]] = deque()
    count = 0
    for step in steps:
        if step.place.finest.reduced and not step.a_pass.finest:
            waiting.append((count, step))
            continue
        yield step
        count += 1
        while waiting and waiting[0][0] + behind <= count:
            yield waiting.popleft()[1]
    yield from (step for _, step in waiting)


def _laid(scenes: Sequence[OpenScene], journal: Journal) -> Iterator[tuple[Step, bool]]:
    """Every tile of a job, the quarters of one that was split in its place; and whether the journal has it."""
    rows = journal.scenes()
    for place in scenes:
        row = rows[place.scene.name]
        for a_pass, tile in place.tiles(Tiling(size=row.tile_px, origin=row.origin)):
            yield from _parts(Step(place, a_pass, tile), row.key, journal)


def _parts(step: Step, key: str, journal: Journal) -> Iterator[tuple[Step, bool]]:
    state = journal.state(key, step.tile)
    if state == "split":
        for part in step.quarters():
            yield from _parts(part, key, journal)
        return
    yield step, state is not None


def begin(job: Job, opened: Opened, journal: Journal) -> list[str]:
    """Register the scenes of a run and say, in sentences, what changed since the last one.

    Work of a scene stands as long as its imagery, the model and what is looked for are the same; how
    it was cut stays as it was begun. Tiles that failed are tried again.
    """
    known = journal.scenes()
    changed: dict[str, list[str]] = {}
    for place in opened.scenes:
        depends = depends_on(job, opened, place)
        key = digest(depends)
        before = known.get(place.scene.name)
        tiling = job.execution.tiling
        if before is not None and before.key == key:
            tiling = Tiling(size=before.tile_px, origin=before.origin)
            journal.forget_failures(key)
        elif before is not None:
            for what in depends:
                if depends[what] != before.depends.get(what):
                    changed.setdefault(what, []).append(place.scene.name)
        journal.begin_scene(SceneRow(key, place.scene.name, place.scene.path, tiling.size, tiling.origin, depends))
    return [f"The {what} changed: {_listed(names)} surveyed again." for what, names in changed.items()]


def depends_on(job: Job, opened: Opened, place: OpenScene) -> dict[str, Any]:
    """What the results of a scene's pixels depend on."""
    return {
        "imagery": digest(place.identity),
        "model": opened.model.digest,
        "detection": digest(job.detection),
        "visibility": digest(job.visibility.of_pixels),
    }


def _listed(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{len(names)} images are"
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'}"
