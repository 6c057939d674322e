"""``survey run``: from orthomosaics and districts to contamination layers."""

from __future__ import annotations

import signal
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipelines.engine.executor import Pool
    from pipelines.engine.journal import Journal
    from pipelines.engine.parcels import ModelRef
    from pipelines.map import Made
    from pipelines.opening import Opened
    from pipelines.outputs import Summary
    from pipelines.progress import Watch
    from survey.settings import Job


def command(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job file (TOML).", show_default=False)],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: the job file's, else one a core.", show_default=False)
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, e.g. tcp://host:8786.", show_default=False)
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Start over; the journal so far is kept aside.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON, one a line.")] = False,
) -> None:
    """Survey the imagery of a job, or go on where it stopped.

    Example: survey run data/sample/job.toml --workers 2
    """
    from pipelines.engine.executor import begin_loading, set_limits

    # Before the libraries that read them are loaded.
    set_limits()
    if cluster is None and (workers or _workers_asked_for(job)) != 1:
        # As survey_job does, but before what reads the job is loaded.
        begin_loading({"job": str(job)})
    from pipelines.engine.journal import set_aside
    from pipelines.progress import watch_for
    from survey.settings import read_job

    read = read_job(job)
    watch = watch_for(as_json=as_json)
    if restart:
        aside = set_aside(read.job.output)
        if aside is not None:
            watch.said(f"Starting over; the journal so far is {aside}.")
    with stop_on_signals() as stopped_by:
        summary = survey_job(read, How(workers, cluster, stopped_by), watch)
    if summary.exit_code in (130, 143):
        watch.said(f"Stopped; nothing is lost. Run the same command again to go on: survey run {job}")
    watch.finished(summary)
    raise typer.Exit(summary.exit_code)


def _workers_asked_for(job: Path) -> Any:
    """``[execution] workers`` of a job file; None where it has none, or cannot be read, which its reader tells."""
    try:
        return tomllib.loads(job.read_text(encoding="utf-8"))["execution"]["workers"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


@dataclass(frozen=True)
class How:
    """How a run works, beyond the job file; the result does not depend on it.

    Attributes
    ----------
    workers : int, optional
    cluster : str, optional
        Address of a Dask scheduler.
    stopped_by : callable
        Number of the signal that asked the run to stop, 0 while none has.
    start_method : str, optional
        Of local processes.
    """

    workers: int | None = None
    cluster: str | None = None
    stopped_by: Callable[[], int] = lambda: 0
    start_method: str | None = None


def survey_job(job: Job, how: How, watch: Watch) -> Summary:
    """Run a job, or go on where it stopped: the whole road.

    Parameters
    ----------
    job : Job
    how : How
    watch : Watch
        Is told how it goes.

    Raises
    ------
    SurveyError
        Nothing can be surveyed, or nothing written; what is done stays done.
    """
    import os

    from pipelines.engine.executor import Pool, begin_loading, set_limits

    set_limits()
    if how.cluster is None and (how.workers or job.execution.workers) != 1:
        path = job.model.path
        begin_loading({"model": None if path is None else str(path), "roles": list(job.imagery.bands or ())})
    from pipelines.drifting import strange_ground
    from pipelines.engine.journal import Journal
    from pipelines.engine.parcels import as_ref
    from pipelines.map import make_layers
    from pipelines.map_settings import check_map_settings
    from pipelines.opening import open_job, threshold_of
    from pipelines.outputs import Summary, check_room, write_outputs
    from pipelines.reopening import remember
    from pipelines.walk import begin

    check_map_settings(job)
    opened = open_job(job)
    threshold_of(job, opened.model)
    for one in opened.refused:
        watch.said(f"Left out: {one.reason}")
    pool = Pool(how.workers or job.execution.workers or os.cpu_count() or 1, how.cluster, how.start_method)
    # Of a register, the champion this run was planned with, whatever is promoted meanwhile.
    model = as_ref(None if job.model.path is None else Path(opened.model.path), opened.model)
    strange = strange_ground(opened, model, pool)
    with Journal(job.job.output, job.job.name) as journal:
        check_room(job.job.output)
        for sentence in begin(job, opened, journal):
            watch.said(sentence)
        remember(job, opened, journal)
        journal.set("strange_ground", strange)
        for sentence in strange:
            watch.said(sentence)
        survey_tiles(job, opened, journal, Work(model, pool, how.stopped_by), watch)
        if how.stopped_by():
            return Summary(128 + how.stopped_by(), None, (), (), {})
        journal.set("complete", True)
        made = with_pictures(make_layers(job, opened, journal), opened, journal)
        return write_outputs(job, opened, journal, made)


@dataclass(frozen=True)
class Work:
    """How tiles are surveyed: with what, where, asked by what to stop, and whether block by block."""

    model: ModelRef
    pool: Pool
    stopped_by: Callable[[], int]
    by_block: bool = False


def survey_tiles(job: Job, opened: Opened, journal: Journal, work: Work, watch: Watch) -> None:
    """Survey every tile that the journal does not have.

    A tile that fails is tried again block by block, and where that fails too (its worker dies), in quarters: each is
    a round of its own over what the journal lacks, and nothing is remembered of a tile but what the journal says.
    """
    from dataclasses import replace

    from pipelines.keeping import clear, with_levels
    from pipelines.walk import plan_walk
    from survey.heap import give_back

    if work.pool.cluster is None:
        # Machines of a cluster need not share a folder.
        opened = replace(opened, scenes=with_levels(opened.scenes, journal))
    walk = plan_walk(opened.scenes, journal)
    pool = replace(work.pool, workers=max(1, min(work.pool.workers, walk.left)))
    watch.begun(walk, pool.workers)
    give_back()
    by_block, left = False, walk.left > 0
    try:
        while left and not work.stopped_by():
            left = survey_round(job, opened, journal, replace(work, pool=pool, by_block=by_block), watch)
            by_block = not by_block
    finally:
        # Whoever stops a run means to go on; after a fault nobody may, and on a full disk it is in the way.
        if not work.stopped_by():
            clear(job.job.output)


def survey_round(job: Job, opened: Opened, journal: Journal, work: Work, watch: Watch) -> bool:
    """Try every tile that the journal lacks; returns whether some of it has to be tried in another way."""
    from pipelines.engine.executor import IN_FLIGHT_PER_WORKER, run_all
    from pipelines.engine.journal import Entry
    from pipelines.engine.parcels import Parcel, Task, survey_one
    from pipelines.keeping import Kept
    from pipelines.opening import threshold_of
    from pipelines.walk import Step, later, steps_left

    threshold = threshold_of(job, opened.model)
    keys = {name: row.key for name, row in journal.scenes().items()}
    in_hand: dict[Task, Step] = {}
    kept = Kept(opened.scenes, journal)
    at_once = IN_FLIGHT_PER_WORKER * work.pool.workers

    def tasks() -> Iterator[Task]:
        for step in later(steps_left(opened.scenes, journal, by_block=work.by_block), at_once):
            task = step.task(work.model, job.visibility)
            in_hand[task] = step
            yield task

    left = False
    outcomes = run_all(
        work.pool, survey_one, tasks(), retries=job.execution.retries, stop=lambda: bool(work.stopped_by())
    )
    for outcome in outcomes:
        step = in_hand.pop(outcome.task)
        kept.without(step.place)
        key = keys[step.place.scene.name]
        parcel: Parcel | None = outcome.result
        if parcel is not None:
            journal.record(key, *step.entries(outcome))
            found = sum(probability >= threshold for probability in parcel.probabilities)
            watch.advanced(step.pixels, step.hectares, found)
            continue
        if not step.by_block:
            left = True
            continue
        quarters = step.quarters()
        state: Any = "split" if quarters else "failed"
        journal.record(key, Entry(step.tile, state, outcome.attempts, reason=outcome.reason))
        left = left or bool(quarters)
        if not quarters:
            watch.advanced(step.pixels, step.hectares, 0)
    return left


def with_pictures(made: Made, opened: Opened, journal: Journal) -> Made:
    """Take pictures of objects and scenes, and keep those of the scenes in the journal."""
    from dataclasses import replace

    pictures = made.pictures.taken(made.layers["hazard_objects"], opened, journal)
    pictures.keep(journal)
    return replace(made, pictures=pictures)


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], int]]:
    """Turn SIGINT and SIGTERM into a request to stop after the tiles in hand; a second one stops at once."""
    seen: list[int] = []

    def ask(number: int, _frame: Any) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        typer.echo("Stopping after the tiles in hand; once more to stop at once.", err=True)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: seen[0] if seen else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
