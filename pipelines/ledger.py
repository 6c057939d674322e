"""``survey ledger``: records of clearance, checked and added up, against what surveys found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipelines.ledger_store import Grounds

LedgerFile = Annotated[
    Path, typer.Option("--ledger", metavar="FILE", help="The ledger: a CSV or GeoPackage.", show_default=False)
]
SurveyFolder = Annotated[
    Path | None,
    typer.Option("--survey", metavar="OUTPUT_DIR", help="Output folder of a survey: its areas and districts."),
]
DistrictsFile = Annotated[
    Path | None, typer.Option("--districts", metavar="FILE", help="District boundaries to check records against.")
]
NameField = Annotated[str | None, typer.Option("--name-field", help="Column of the districts' names.")]
NamesFile = Annotated[
    Path | None, typer.Option("--names", metavar="FILE", help="Further agencies and districts, as TOML.")
]
_DAY: Any = {"formats": ["%Y-%m-%d"], "show_default": False}


def add_command(
    batch: Annotated[Path, typer.Argument(metavar="BATCH", help="Records to add: CSV or GeoPackage.")],
    ledger: LedgerFile,
    survey: SurveyFolder = None,
    districts: DistrictsFile = None,
    name_field: NameField = None,
    names: NamesFile = None,
) -> None:
    """Add records to the ledger, all of them or none; what is wrong is told by row and column.

    The ledger only grows: a correction is a new record that names the one it corrects (column corrects).

    Example: survey ledger add april.csv --ledger ledger.csv --districts districts.geojson
    """
    from pipelines.ledger_store import add

    stored = add(batch, ledger, _grounds(survey, districts, name_field, names))
    for row in stored:
        typer.echo(f"{row.values['record_id']}  (row {row.number})")
    typer.echo(f"{len(stored)} records added to {ledger}")


def check_command(
    ledger: LedgerFile,
    batch: Annotated[
        Path | None, typer.Argument(metavar="[BATCH]", help="Records to check without adding them.")
    ] = None,
    survey: SurveyFolder = None,
    districts: DistrictsFile = None,
    name_field: NameField = None,
    names: NamesFile = None,
) -> None:
    """Check a ledger, or records against it, without storing anything.

    Example: survey ledger check april.csv --ledger ledger.csv
    """
    from pipelines.ledger_store import check_batch, read_book

    grounds = _grounds(survey, districts, name_field, names)
    if batch is not None:
        _, rows = check_batch(batch, ledger, grounds)
        typer.echo(f"{batch}: {len(rows)} records fit {ledger}; nothing was stored")
        return
    book = read_book(ledger, grounds)
    typer.echo(f"{ledger}: {len(book.records)} records in order, {len(book.in_force)} of them in force")


def report_command(
    ledger: LedgerFile,
    first: Annotated[datetime, typer.Option("--from", help="First day of the period.", **_DAY)],
    last: Annotated[datetime, typer.Option("--to", help="Last day of the period.", **_DAY)],
    output: Annotated[
        list[Path],
        typer.Option(
            "--output", metavar="FILE", help="report.md or report.html; may be given twice.", show_default=False
        ),
    ],
    survey: SurveyFolder = None,
    finish_by: Annotated[
        datetime | None,
        typer.Option("--finish-by", formats=["%Y-%m-%d"], help="Day to finish by: hectares a day needed."),
    ] = None,
    days_a_week: Annotated[int, typer.Option("--working-days", min=1, max=7, help="Working days a week.")] = 5,
    names: NamesFile = None,
) -> None:
    """Write the situation report of a period: what was done, what remains, what finishes when.

    Example: survey ledger report --ledger ledger.csv --from 2022-04-01 --to 2022-04-14 --output report.md
    """
    from dataclasses import asdict

    from pipelines.ledger_store import read_book
    from pipelines.ledger_survey import grounds_of, read_outputs, remains_of
    from survey.errors import JobError
    from survey.exports.situation import render_markdown, render_page
    from survey.exports.whole import write_text
    from survey.ledger.schedule import Plans
    from survey.ledger.situation import situation
    from survey.ledger.vocabulary import read_vocabulary

    renderers: dict[str, Callable[[Any], str]] = {
        ".md": render_markdown,
        ".html": render_page,
    }
    for path in output:
        if path.suffix.lower() not in renderers:
            raise JobError(f"{path} is no kind of report: its name ends in .md or .html. Name such a file.")
    span = (first.date(), last.date())
    if span[0] > span[1]:
        raise JobError(f"The period is reversed: --to {span[1]} lies before --from {span[0]}. Swap the two days.")
    surveyed = None if survey is None else read_outputs(survey)
    grounds = grounds_of(read_vocabulary(names), None if surveyed is None else surveyed.districts)
    book = read_book(ledger, grounds)
    remains = None if surveyed is None else remains_of(surveyed, book, grounds.words, span[1])
    plans = Plans(days_a_week, None if finish_by is None else finish_by.date())
    report = asdict(situation(book, grounds.words, span, plans, remains))
    for path in output:
        write_text(path, renderers[path.suffix.lower()](report))
        typer.echo(str(path))


def evidence_command(
    ledger: LedgerFile,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="GeoPackage to write.", show_default=False)],
    names: NamesFile = None,
) -> None:
    """Write accidents whose place is recorded as evidence for hazard areas ([evidence] path in a job file).

    Example: survey ledger evidence --ledger ledger.csv --output accidents.gpkg
    """
    from pipelines.ledger_store import read_book
    from survey.errors import JobError, LedgerError
    from survey.exports.geopackage import write_plain
    from survey.layers import ACCIDENTS
    from survey.ledger.accidents import as_evidence

    if output.suffix.lower() != ".gpkg":
        raise JobError(f"{output} is no GeoPackage: its name ends in .gpkg. Name such a file.")
    grounds = _grounds(None, None, None, names)
    book = read_book(ledger, grounds)
    table = as_evidence(book.in_force, grounds.words.family)
    accidents = len(book.of("accident"))
    if table.empty:
        raise LedgerError(
            f"{ledger} holds {accidents} accidents, none with its place recorded; evidence needs ground. Add the place "
            "as a correction with a point or polygon in column geometry."
        )
    write_plain(output, {ACCIDENTS: table})
    typer.echo(f"{output}: {len(table)} of {accidents} accidents; the others have no place on record")


COMMANDS: dict[str, Callable[..., None]] = {
    "add": add_command,
    "check": check_command,
    "report": report_command,
    "evidence": evidence_command,
}


def _grounds(survey: Path | None, districts: Path | None, name_field: str | None, names: Path | None) -> Grounds:
    """Return what records are checked against."""
    from pipelines.ledger_survey import grounds_of, read_districts, read_outputs
    from survey.ledger.vocabulary import read_vocabulary

    table = None
    if districts is not None:
        table = read_districts(districts, name_field)
    elif survey is not None:
        table = read_outputs(survey).districts
    return grounds_of(read_vocabulary(names), table)
