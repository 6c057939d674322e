"""Tell people and programs how a run goes: a bar on a terminal, plain lines in a log, events as JSON."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

import typer

if TYPE_CHECKING:
    from pipelines.outputs import Summary
    from pipelines.walk import Walk

_LINE_EVERY_S = 10.0


class Watch(Protocol):
    """What is told of a run."""

    def begun(self, walk: Walk, workers: int) -> None:
        """The tiles are laid out and work begins."""

    def advanced(self, pixels: int, hectares: float, objects: int) -> None:
        """A tile is done."""

    def said(self, text: str) -> None:
        """Something is worth a sentence."""

    def finished(self, summary: Summary) -> None:
        """The run has ended, done or stopped."""


def watch_for(*, as_json: bool) -> Watch:
    """Return the watch that fits where the output goes."""
    if as_json:
        return Events()
    if logging.getLogger("pipelines").getEffectiveLevel() >= logging.ERROR:
        return Quiet()
    return Bar() if sys.stderr.isatty() else Lines()


class _Count:
    """Running totals, rate and time left."""

    def __init__(self, walk: Walk) -> None:
        self.done_px, self.total_px = walk.done_px, max(1, walk.total_px)
        self.done_ha, self.total_ha = walk.done_ha, walk.total_ha
        self.anything = walk.left > 0  # or a finished job, run again, would tell of no sightings
        self.objects, self._start, self._first_px, self._first_ha = 0, time.monotonic(), walk.done_px, walk.done_ha

    def add(self, pixels: int, hectares: float, objects: int) -> None:
        self.done_px += pixels
        self.done_ha += hectares
        self.objects += objects

    @property
    def rate_ha_h(self) -> float:
        """Hectares an hour since this run began."""
        return (self.done_ha - self._first_ha) * 3600 / max(1e-9, time.monotonic() - self._start)

    @property
    def left_s(self) -> float | None:
        """Seconds left, by pixels; None before the first tile."""
        done = self.done_px - self._first_px
        if done <= 0:
            return None
        return (self.total_px - self.done_px) * (time.monotonic() - self._start) / done

    def text(self) -> str:
        """Say it in one line."""
        left = "" if self.left_s is None else f", {clock(self.left_s)} left"
        return (
            f"{self.done_ha:.2f} of {self.total_ha:.2f} ha, {self.objects} sightings, {self.rate_ha_h:.1f} ha/h{left}"
        )


class Lines:
    """Plain lines for a log file, on stderr; the result on stdout."""

    def __init__(self) -> None:
        self._count: _Count | None = None
        self._last = 0.0

    def begun(self, walk: Walk, workers: int) -> None:
        """Say how much there is to do."""
        self._count = _Count(walk)
        self._last = time.monotonic()
        self.said(_opening(walk, workers))

    def advanced(self, pixels: int, hectares: float, objects: int) -> None:
        """Say where the run is, every ten seconds."""
        assert self._count is not None
        self._count.add(pixels, hectares, objects)
        if time.monotonic() - self._last >= _LINE_EVERY_S:
            self._last = time.monotonic()
            self.said(self._count.text())

    def said(self, text: str) -> None:
        """Print a sentence."""
        typer.echo(text, err=True)

    def finished(self, summary: Summary) -> None:
        """Print the result."""
        if self._count is not None and self._count.anything:
            self.said(self._count.text())
        show(summary)


class Quiet(Lines):
    """Says only what went wrong."""

    def said(self, text: str) -> None:
        """Say nothing."""

    def finished(self, summary: Summary) -> None:
        """Name what could not be analysed."""
        for problem in summary.problems:
            typer.echo(f"{problem['image']}: {problem['reason']}", err=True)


class Bar:
    """A progress bar on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._progress: Any = None
        self._count: _Count | None = None

    def begun(self, walk: Walk, workers: int) -> None:
        """Draw the bar."""
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self.said(_opening(walk, workers))
        self._count = _Count(walk)
        columns = (BarColumn(bar_width=24), TaskProgressColumn(), TextColumn("{task.description}"))
        self._progress = Progress(*columns, console=self._console, transient=True)
        self._task = self._progress.add_task(self._count.text(), total=self._count.total_px, completed=walk.done_px)
        self._progress.start()

    def advanced(self, pixels: int, hectares: float, objects: int) -> None:
        """Move the bar."""
        assert self._count is not None
        self._count.add(pixels, hectares, objects)
        self._progress.update(self._task, completed=self._count.done_px, description=self._count.text())

    def said(self, text: str) -> None:
        """Print a sentence above the bar."""
        self._console.print(text, markup=False, highlight=False)

    def finished(self, summary: Summary) -> None:
        """Take the bar away and print the result."""
        if self._progress is not None:
            self._progress.stop()
        if self._count is not None and self._count.anything:
            self.said(self._count.text())
        show(summary)


class Events:
    """One JSON object a line on stdout."""

    def __init__(self) -> None:
        self._count: _Count | None = None

    def begun(self, walk: Walk, workers: int) -> None:
        """Write event ``begun``."""
        self._count = _Count(walk)
        self._write("begun", tiles=walk.left, workers=workers, hectares=walk.total_ha, hectares_done=walk.done_ha)

    def advanced(self, pixels: int, hectares: float, objects: int) -> None:
        """Write event ``tile``."""
        assert self._count is not None
        self._count.add(pixels, hectares, objects)
        self._write(
            "tile",
            hectares_done=self._count.done_ha,
            objects=self._count.objects,
            fraction=self._count.done_px / self._count.total_px,
            seconds_left=self._count.left_s,
        )

    def said(self, text: str) -> None:
        """Write event ``note``."""
        self._write("note", text=text)

    def finished(self, summary: Summary) -> None:
        """Write event ``finished`` with districts, totals, problems and outputs."""
        from survey.provenance import plain

        self._write(
            "finished",
            exit_code=summary.exit_code,
            totals=plain(summary.totals),
            problems=list(summary.problems),
            outputs=[str(path) for path in summary.outputs],
            districts=[] if summary.districts is None else district_records(summary.districts),
        )

    def _write(self, event: str, **more: Any) -> None:
        typer.echo(json.dumps({"event": event, **more}, allow_nan=False))


def district_records(districts: Any) -> list[dict[str, Any]]:
    """Rows of layer ``districts`` without geometry, as JSON has them."""
    import pandas as pd

    table = pd.DataFrame(districts.drop(columns="geometry"))
    return [
        {
            str(key): None if pd.isna(value) else value.isoformat() if hasattr(value, "isoformat") else value
            for key, value in row.items()
        }
        for row in table.astype(object).to_dict("records")
    ]


def clock(seconds: float) -> str:
    """Time for people.

    Examples
    --------
    >>> clock(42), clock(372), clock(7384)
    ('42 s', '6 min 12 s', '2 h 03 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _opening(walk: Walk, workers: int) -> str:
    before = f", {walk.done_ha:.2f} ha done before" if walk.done_ha else ", some done before" if walk.done_px else ""
    return (
        f"{walk.left} tile{'s' * (walk.left != 1)} to survey, {walk.total_ha:.2f} ha{before}, "
        f"{workers} worker{'s' * (workers != 1)}."
    )


def show(summary: Summary) -> None:
    """Print the district table, what could not be analysed, and where the outputs are."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if summary.districts is None:
        return
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    table = Table(title="Districts (ha)", box=SIMPLE, pad_edge=False)
    headings = (
        "district", "analysed", "not assessable", "not analysed", "hazard areas", "objects", "class", "suggested method"
    )  # fmt: skip
    for heading in headings:
        text = heading in ("district", "class", "suggested method")
        table.add_column(heading, justify="left" if text else "right")
    for row in summary.districts.itertuples():
        table.add_row(
            escape(str(row.district_name)), f"{row.analysed_ha:,.4f}", f"{row.not_assessable_ha:,.4f}",
            f"{row.not_analysed_ha:,.4f}", f"{row.hazard_area_ha:,.4f}", str(row.n_objects),
            _word(row.contamination_class), _word(row.method_primary),
        )  # fmt: skip
    console.print(table)
    console.print(
        "A detection is an indication until a person has verified it; nothing detected does not mean no hazard.",
        style="dim",
    )
    reasons: dict[str, list[str]] = {}
    for problem in summary.problems:
        reasons.setdefault(problem["image"], []).append(problem["reason"])
    if reasons:
        console.print(f"{len(reasons)} image(s) could not be analysed, or not whole:")
    for image, texts in reasons.items():
        console.print(f"  {escape(image)}: {escape(texts[0])}" + (f" (and {len(texts) - 1} more)" if texts[1:] else ""))
    for path in summary.outputs:
        console.print(escape(str(path)), soft_wrap=True)


def _word(value: Any) -> str:
    return "-" if value is None or value != value else str(value).replace("_", " ")
