"""What finishes when: sections of the report that set remaining work against the teams there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from survey.ledger.book import Book
from survey.ledger.document import Cell, Notes, Section, Table, day, days
from survey.ledger.facts import hectares_of
from survey.ledger.forecast import Finish, Team, bottleneck, finishes, teams_of, working_days
from survey.ledger.outlook import Remains, hectares, origin_of
from survey.ledger.projects import projects_known
from survey.ledger.sums import in_period, summed


@dataclass(frozen=True)
class Plans:
    """What forecasts rest on.

    Attributes
    ----------
    days_a_week : int
        Working days a week; no published value.
    finish_by : date or None
        Day by which everything is to be finished.
    """

    days_a_week: int = 5
    finish_by: date | None = None


def schedule_sections(
    book: Book, span: tuple[date, date], plans: Plans, remains: Remains | None, notes: Notes
) -> list[Section]:
    """Return the section on what finishes when; none without a survey, whose effort it rests on."""
    start = span[1] + timedelta(days=1)
    lines: list[Cell] = []
    tables = []
    if remains is not None:
        origin = origin_of(remains, notes)
        left = remains.work()
        done = finishes(left, teams_of(book.of("asset")), start, plans.days_a_week)
        tables.append(_finish_table("All remaining hazard areas, with everything at hand", done, origin, notes))
        lines += _slowest("All remaining hazard areas", done, notes)
        lines += _needed(book, span, plans, remains, notes)
        for project in projects_known(book, span[1]):
            if not project.area_ids or project.state not in ("planned", "under_way"):
                continue
            work = remains.work(project.area_ids)
            known = project.area_ids & set(remains.areas["area_id"])
            if not known:
                said = f"Project {project.name}: none of its areas is in this survey; no forecast."
                lines.append(Cell(said, notes.cite([project.record_id])))
                continue
            since = max(project.first or start, start)
            crew: Mapping[str, Sequence[Team]] = {
                kind: (Team(count, since, project.record_id),) for kind, count in project.assets.items()
            }
            finished = finishes(work, crew, start, plans.days_a_week)
            tables.append(
                _finish_table(f"Project {project.name}, with what is assigned to it", finished, origin, notes)
            )
            lines += _slowest(f"Project {project.name}", finished, notes)
    if not tables:
        return []
    cautions = (
        f"Team-days come from published and practice rates, fastest to slowest; the interval is theirs. "
        f"{plans.days_a_week} working days a week, no published value.",
        "Kinds of team work side by side; weather, moves, and steps that must follow one another are not scheduled, so "
        "every date is the earliest its bottleneck allows.",
    )
    return [Section("What finishes when", tuple(lines), tuple(tables), cautions)]


def _finish_table(caption: str, done: Sequence[Finish], origin: tuple[int, ...], notes: Notes) -> Table:
    rows = tuple(
        (
            Cell(one.resource),
            Cell(_teams(one.teams), notes.cite(team.record for team in one.teams)),
            *(Cell(f"{days:,.1f}") for days in one.team_days),
            *(Cell("never with this" if end is None else day(end)) for end in one.days),
        )
        for one in done
        if one.team_days[2] > 0
    )
    columns = ("Kind", "At hand", "Team-days, fast", "typical", "slow", "Done, fast", "typical", "slow")
    return Table(caption, columns, rows, None, 2, origin)


def _teams(teams: Sequence[Team]) -> str:
    return ", ".join(f"{team.count} from {day(team.since)}" for team in teams) or "none recorded"


def _slowest(what: str, done: Sequence[Finish], notes: Notes) -> list[Cell]:
    busy = [one for one in done if one.team_days[2] > 0]
    slowest = bottleneck([one for one in busy if one.teams])
    if not busy:
        return [Cell(f"{what}: no work is left.")]
    missing = ", ".join(one.resource for one in busy if not one.teams)
    lines = [Cell(f"{what}: no end in sight, for none is on record of: {missing}.")] if missing else []
    if slowest is None:
        return lines
    cited = notes.cite(team.record for team in slowest.teams)
    if slowest.days[1] is None:
        said = f"{what}: no end in sight; the bottleneck is the {slowest.resource}, {_teams(slowest.teams)}."
        return [*lines, Cell(said, cited)]
    busy = [one for one in busy if one.teams]
    if missing:
        what = f"{what}, as far as teams are on record"
    early = max(one.days[0] or date.max for one in busy)
    late = max(one.days[2] or date.max for one in busy)
    interval = f"{day(early)} to {'no end in sight' if late == date.max else day(late)}"
    said = f"{what}: done by {day(slowest.days[1])} at typical rates (interval {interval})"
    return [*lines, Cell(f"{said}; the bottleneck is the {slowest.resource}.", cited)]


def _needed(book: Book, span: tuple[date, date], plans: Plans, remains: Remains, notes: Notes) -> list[Cell]:
    if plans.finish_by is None:
        return []
    start = span[1] + timedelta(days=1)
    count = working_days(start, plans.finish_by, plans.days_a_week)
    left = float((remains.pieces["area_m2"].to_numpy() * remains.open_share).sum())
    if count == 0:
        return [Cell(f"No working day is left until {day(plans.finish_by)}.")]
    said = f"To finish by {day(plans.finish_by)}, {hectares(left / count)} ha a working day are needed"
    lines = [Cell(f"{said} ({hectares(left)} ha in {count} working days).", origin_of(remains, notes))]
    worked = [r for r in book.of("activity") if r.activity == "clearance"]
    figure = summed(in_period(worked, *span)[0], hectares_of).figure
    if figure is not None:
        length = working_days(*span, plans.days_a_week)
        if length:
            rate = float(figure.low) / length
            said = f"All agencies together reported {rate:,.2f} ha of clearance a working day in {days(*span)}"
            lines.append(Cell(f"{said}, on any ground.", notes.cite(figure.records)))
    return lines
