"""``survey train``: a challenger from the object memory, compared with the champion, promoted or refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FEWEST_EXAMPLES = 10
"""Objects of a class below which it is not learned: no published figure."""


def command(
    memory: Annotated[Path, typer.Option(help="Folder of the object memory.", show_default=False)],
    models: Annotated[
        Path | None, typer.Option(help="Folder of the model register; made if new.", show_default=False)
    ] = None,
    test_group: Annotated[
        list[str] | None, typer.Option(help="Site that is learned from by neither and judged on; may be given again.")
    ] = None,
    force: Annotated[str | None, typer.Option(help="Promote whatever the comparison says, for this reason.")] = None,
    bands: Annotated[
        str | None, typer.Option(help="Bands the model takes, such as red,green,blue; default: most examples'.")
    ] = None,
    champion: Annotated[
        str | None, typer.Option(help="'none': begin without the shipped model; default: the register's, or shipped.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one a core.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Train nothing; write X, y and groups to this file (.npz).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Train a challenger from the memory and promote it if nothing that matters gets worse.

    Example: survey train --memory memory --models models
    """
    import os

    from pipelines.engine.executor import set_limits
    from survey.errors import JobError

    set_limits()
    if champion not in (None, "none"):
        raise JobError(f"--champion may only be 'none' (it is {champion!r}); the register's champion is taken else.")
    request = Request(
        memory, models, tuple(test_group or ()), force, None if bands is None else tuple(bands.split(",")),
        champion is None, seed, workers or os.cpu_count() or 1,
    )  # fmt: skip
    if export is not None:
        typer.echo(export_rows(request, export))
        return
    if models is None:
        raise JobError("Name the model register with --models DIR; it is made if it is new.")
    trained = train(request, say=lambda text: typer.echo(text, err=as_json))
    if as_json:
        typer.echo(json.dumps(trained.verdict, indent=1, allow_nan=False))
    else:
        show(trained, models)


@dataclass(frozen=True)
class Request:
    """What is to be trained; the options of the command."""

    memory: Path
    models: Path | None
    test_groups: tuple[str, ...] = ()
    force: str | None = None
    bands: tuple[str, ...] | None = None
    with_shipped: bool = True
    seed: int = 0
    workers: int = 1
    training: Any = None


@dataclass(frozen=True)
class Trained:
    """What came of it.

    Attributes
    ----------
    version : str
        In the register, promoted or not.
    promoted : bool
    verdict : mapping
        ``why``, ``comparison`` by scope, ``losses``, ``doubtful`` and ``notes``.
    """

    version: str
    promoted: bool
    verdict: Mapping[str, Any]


def train(request: Request, say: Callable[[str], None] = lambda _: None) -> Trained:
    """Train, compare, and promote or refuse: the whole road.

    Raises
    ------
    SurveyError
        There is too little to learn from; the register is as it was.
    """
    from pipelines.fitting import fit_challenger
    from pipelines.remembered import gather
    from pipelines.trial import hold_trial
    from survey.memory.lock import only_writer
    from survey.memory.register import make_register

    assert request.models is not None
    register = make_register(request.models)
    with only_writer(request.models):
        for left in (register.folder / "versions").glob(".new-*"):
            # The lock is held: it is of a process that is no more.
            left.unlink(missing_ok=True)
        before = _champion(request, register)
        data = gather(request, before, say)
        say(
            f"{data.n_objects} objects ({', '.join(f'{code} {n}' for code, n in data.counts.items())}) and "
            f"{data.negatives} candidates on reviewed ground that are none; {data.groups_in_words}"
        )
        challenger = fit_challenger(data, before, request)
        verdict = hold_trial(data, challenger, before, request)
        better = known_better(verdict, data.counts)
        if better:
            champion = verdict["champion"]
            data = data.without(better, f"{', '.join(better)} stays with {champion}, which knows it better.")
            say(data.notes[-1])
            challenger = fit_challenger(data, before, request)
            verdict = hold_trial(data, challenger, before, request)
        version = register.next_version(data.name)
        promoted = not verdict["against"] or request.force is not None
        if request.force is not None:
            verdict["why"] = f"forced: {request.force}"
        verdict["promoted"], verdict["version"] = promoted, version
        path = challenger.write(register.folder / "versions", version, verdict)
        register.add(path, version)
        if promoted:
            register.promote(version, str(verdict["why"]))
    return Trained(version, promoted, verdict)


def known_better(verdict: Mapping[str, Any], counts: Mapping[str, int]) -> tuple[str, ...]:
    """Classes that the model before knows better, where some remain that it does not; else none.

    Only a model that has not learned from this memory can be kept beside a new one.
    """
    if verdict["champion_answers"] != "direct":
        return ()
    worse = tuple(code for code in counts if any(one.startswith(f"class {code}:") for one in verdict["against"]))
    return worse if len(worse) < len(counts) else ()


def _champion(request: Request, register: Any) -> Any:
    """Champion of the register, or None: then the shipped one that fits the bands is looked for."""
    from survey.memory.judges import load_file

    version = register.champion()
    return None if version is None else load_file(register.path(version))


def export_rows(request: Request, path: Path) -> str:
    """Write the memory as X, y, groups and weights for a researcher's own experiments; returns a sentence."""
    import numpy as np

    from pipelines.remembered import gather
    from survey.exports.whole import whole

    data = gather(request, None, lambda _: None)
    rows = data.rows
    if path.suffix != ".npz":
        path = path.with_name(path.name + ".npz")
    with whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file, X=rows.features, y=rows.codes.astype(str), groups=data.groups.astype(str), weights=rows.weights,
            diameter_m=rows.diameter_m, example=rows.example.astype(str), clip=rows.clip.astype(str),
        )  # fmt: skip
    return f"{path}: X {rows.features.shape}, y ('' is no object), groups, weights, diameter_m, example, clip"


def show(trained: Trained, models: Path) -> None:
    """Print the comparison, the verdict, and how the model is used."""
    import sys

    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    verdict = trained.verdict
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    table = Table(title="On ground that was held out; objects, one to one", box=SIMPLE, pad_edge=False)
    for heading in ("", "objects", "AP before", "AP now", "difference", "recall before", "recall now"):
        table.add_column(heading, justify="left" if not heading else "right")
    for scope, row in verdict["comparison"].items():
        before, now = row.get("champion", {}), row["challenger"]
        interval = row.get("ap_interval")
        table.add_row(
            escape(scope), str(row["n_objects"]), _cell(before.get("ap")), _cell(now["ap"]),
            "" if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}", _cell(before.get("recall")),
            _cell(now["recall"]),
        )  # fmt: skip
    console.print(table)
    for note in verdict["notes"]:
        typer.echo(note)
    kept = verdict.get("kept")
    if kept is not None:
        typer.echo(
            f"Of {kept['objects']} remembered objects of classes it has not learned ({kept['classes']}) it shows "
            f"{kept['challenger']}, {kept['by']} {kept['champion']}."
        )
    for sentence in verdict["against"]:
        typer.echo(f"Against it: {sentence}.")
    if trained.promoted:
        typer.echo(f"{trained.version} is promoted: {verdict['why']}.")
        typer.echo(f'A job surveys with it where its file says: [model] path = "{models.resolve().as_posix()}"')
    else:
        file = models.resolve() / "versions" / f"{trained.version}.survey-model"
        typer.echo(
            f"{trained.version} is kept but not promoted. `survey models show {trained.version} --models {models}` has "
            f'its card, a job can try it ([model] path = "{file}"), and `survey models promote {trained.version} '
            f'--models {models} --why "..."` promotes it all the same.'
        )


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
