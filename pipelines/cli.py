"""The command line: one command a file, registered here; errors are one paragraph."""

from __future__ import annotations

import functools
import gc
import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_type_hints

import typer

import pipelines.evaluate
import pipelines.explain
import pipelines.export
import pipelines.learn
import pipelines.ledger
import pipelines.map
import pipelines.merge
import pipelines.models
import pipelines.plan
import pipelines.report
import pipelines.run
import pipelines.sample
import pipelines.status
import pipelines.train
import survey
from survey.errors import JobError, SurveyError

app = typer.Typer(
    name="survey",
    help="Aerial survey of explosive hazards: orthomosaics in, contamination layers in hectares out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def with_verbosity(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options every command has: ``-v`` and ``-q``."""
    extra = {"verbose": Annotated[int, _VERBOSE], "quiet": Annotated[bool, _QUIET]}
    hints = get_type_hints(command, include_extras=True)
    parameters = [one.replace(annotation=hints[name]) for name, one in inspect.signature(command).parameters.items()]
    defaults = {"verbose": 0, "quiet": False}
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=annotation)
        for name, annotation in extra.items()
    ]

    @functools.wraps(command)
    def louder(**options: Any) -> None:
        verbose, quiet = options.pop("verbose"), options.pop("quiet")
        if verbose or quiet:
            _set_level(logging.ERROR if quiet else (logging.INFO, logging.DEBUG)[min(verbose, 2) - 1])
        command(**options)

    louder.__annotations__ = {**hints, **extra}
    louder.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return louder


_VERBOSE = typer.Option("--verbose", "-v", count=True, help="Say more; -vv also traces errors.", show_default=False)
_QUIET = typer.Option("--quiet", "-q", help="Say only what went wrong.")


def _set_level(level: int) -> None:
    """Set how much this product's own loggers say; the libraries' stay as they are."""
    for name in ("survey", "pipelines"):
        logging.getLogger(name).setLevel(level)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(survey.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)


for _name, _module in {
    "plan": pipelines.plan,
    "run": pipelines.run,
    "map": pipelines.map,
    "status": pipelines.status,
    "explain": pipelines.explain,
    "report": pipelines.report,
    "export": pipelines.export,
    "merge": pipelines.merge,
    "learn": pipelines.learn,
    "train": pipelines.train,
    "evaluate": pipelines.evaluate,
    "sample": pipelines.sample,
}.items():
    app.command(_name)(with_verbosity(_module.command))

_ledger = typer.Typer(
    help="Clearance records against contamination: what remains, and a situation report.", no_args_is_help=True
)
for _name, _command in pipelines.ledger.COMMANDS.items():
    _ledger.command(_name)(with_verbosity(_command))
app.add_typer(_ledger, name="ledger")
for _name, _subcommand in pipelines.models.COMMANDS.items():
    pipelines.models.app.command(_name)(with_verbosity(_subcommand))
app.add_typer(pipelines.models.app, name="models")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with the exit code of the contract."""
    _set_level(logging.NOTSET)
    try:
        app(args=None if arguments is None else list(arguments))
    except SurveyError as error:
        if logging.getLogger("pipelines").level == logging.DEBUG:
            traceback.print_exc()
        typer.echo(f"survey: {' '.join(str(error).split())}", err=True)
        sys.exit(2 if isinstance(error, JobError) else 1)
    except KeyboardInterrupt:
        typer.echo("survey: stopped at once; what was done is kept, run the same command to go on.", err=True)
        sys.exit(130)
    finally:
        if arguments is None:
            # Before it ends the interpreter would look through all there is for cycles: a fifth of a second.
            gc.freeze()


if __name__ == "__main__":
    main()
