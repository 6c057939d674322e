"""The situation report of a period, as plain data; ``situation`` is the whole road."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from survey.errors import LedgerError
from survey.ledger.accidents import Accident, accidents_between
from survey.ledger.book import Book
from survey.ledger.document import Cell, Notes, Section, Situation, Table, day, days
from survey.ledger.done import Activity, activities, activity_section, headline, trend
from survey.ledger.facts import Fact, facts_of, hectares_of, items_of
from survey.ledger.figures import grouped
from survey.ledger.forecast import lots
from survey.ledger.outlook import Remains, remaining_line, remaining_sections
from survey.ledger.projects import project_lines, project_sections
from survey.ledger.records import Record
from survey.ledger.schedule import Plans, schedule_sections
from survey.ledger.sums import summed
from survey.ledger.vocabulary import Vocabulary

CLOSING = (
    "Every figure is what a record says; its note names the record and the source. Nothing here was measured by this "
    "software but the ground that remains.",
    "Clearance, and the hand-over of land, are what agencies and the authority report. Ground that was looked at from "
    "the air and showed nothing is not free of explosive hazards.",
)


def situation(
    book: Book, words: Vocabulary, span: tuple[date, date], plans: Plans, remains: Remains | None = None
) -> Situation:
    """Return the situation report of a period.

    Parameters
    ----------
    book : Book
    words : Vocabulary
    span : (date, date)
        First and last day.
    plans : Plans
        What forecasts rest on.
    remains : Remains, optional
        What a survey found, and what records make of it; without it the report says that what remains is not known.

    Raises
    ------
    LedgerError
        The period is reversed.
    """
    first, last = span
    if first > last:
        raise LedgerError(f"The period is reversed: it ends on {last}, before it begins on {first}. Swap the two days.")
    notes = Notes({record.record_id: record for record in book.records}, words)
    done = activities(book.in_force, first, last, words)
    accidents = accidents_between(book.in_force, first, last)
    lines = [line for activity in done for line in headline(activity, span, words, notes)]
    lines += [*project_lines(book, last, notes), *_asset_lines(book, last, notes)]
    lines += _accident_lines(accidents, notes)
    lines.append(remaining_line(remains, notes))
    sections = [Section("In short", tuple(lines))]
    sections += [activity_section(activity, span, words, notes) for activity in done]
    rates = trend(done, words, book.in_force, last, notes)
    sections += project_sections(book, last, notes)
    sections += _assets(book, last, notes)
    sections += _accidents(accidents, notes)
    sections += remaining_sections(book, words, last, remains, notes)
    sections += schedule_sections(book, span, plans, remains, notes)
    sections += _doubts(done, accidents, notes)
    title = f"Situation report, {days(first, last)}"
    return Situation(title, first, last, tuple(sections), tuple(rates), notes.all(), CLOSING)


# --- assets, accidents ---


def _asset_state(record: Record, to: date) -> str:
    assert record.last is not None
    if record.state == "at_hand":
        return f"at hand since {day(record.last)}" if record.last <= to else f"at hand from {day(record.last)}"
    return f"expected by {day(record.last)}" if record.state == "expected" else f"withdrawn, {day(record.last)}"


def _asset_lines(book: Book, to: date, notes: Notes) -> list[Cell]:
    lines = []
    for record in lots(book.of("asset")):
        kind = next(iter(record.assets))
        several = kind if record.count == 1 else f"{kind}s"
        name = f" ({record.name})" if record.name else ""
        count = grouped(record.count or 0)
        said = f"{count} {several}{name} {_asset_state(record, to)}, {record.agency}."
        lines.append(Cell(said, notes.cite([record.record_id])))
    return lines


def _assets(book: Book, to: date, notes: Notes) -> list[Section]:
    rows = tuple(
        (
            Cell(next(iter(record.assets))),
            Cell(record.name or ""),
            Cell(str(record.agency)),
            Cell(_asset_state(record, to)),
            Cell(grouped(record.count or 0), notes.cite([record.record_id])),
        )
        for record in lots(book.of("asset"))
    )
    table = Table("Machines and teams", ("Kind", "Name", "Agency", "State", "Number"), rows, None, 4)
    return [Section("Assets", (), (table,))] if rows else []


def _accident_lines(accidents: Sequence[Accident], notes: Notes) -> list[Cell]:
    lines = []
    for one in accidents:
        said = [
            f"{who} {figure.words()}"
            for figure, who in ((one.civilians, "civilians"), (one.military, "service people"))
            if figure is not None
        ]
        doubt = " (sources disagree)" if _disagree(one) else ""
        when = days(one.record.first or one.record.last, one.record.last)
        lines.append(
            Cell(
                f"Accident in {one.record.where}, {when}, people hurt: {', '.join(said)}{doubt}.",
                notes.cite(record.record_id for record in one.records),
            )
        )
    return lines


def _disagree(one: Accident) -> bool:
    return any(figure is not None and figure.disagree for figure in (one.civilians, one.military))


def _accidents(accidents: Sequence[Accident], notes: Notes) -> list[Section]:
    rows = tuple(
        (
            Cell(days(one.record.first or one.record.last, one.record.last)),
            Cell(one.record.where),
            Cell(", ".join(dict.fromkeys(r.accident_type for r in one.records if r.accident_type)) or "not stated"),
            Cell("recorded" if any(record.geometry is not None for record in one.records) else "not recorded"),
            notes.figure(one.civilians),
            notes.figure(one.military),
        )
        for one in accidents
    )
    columns = ("Days", "Districts", "What happened", "Place", "Civilians hurt", "Service people hurt")
    table = Table("Accidents in the period", columns, rows, None, 4)
    caution = "Accidents whose place is recorded are evidence for hazard areas (survey ledger evidence)."
    return [Section("Accidents", (), (table,), (caution,))] if rows else []


# --- what does not fit together ---


def _doubts(done: Sequence[Activity], accidents: Sequence[Accident], notes: Notes) -> list[Section]:
    """Return what sources say against each other, side by side, and what was left out of sums."""
    lines: list[Cell] = []
    for activity in done:
        for records in (activity.period, activity.to_date, activity.recorded):
            for fact in facts_of(records):
                lines += _against(fact, notes)
            lines += _mixed(records, notes)
        lines += [
            Cell(
                f"{r.agency}: a record of {days(r.first, r.last)} reaches beyond the period; it is not counted in it.",
                notes.cite([r.record_id]),
            )
            for r in activity.across
        ]
        lines += [
            Cell(
                f"{r.agency}: the figure to {day(r.last)} is larger than a later one; figures to date do not fall."
                if r.last
                else "",
                notes.cite([r.record_id]),
            )
            for r in activity.fallen
        ]
    for record in (r for one in accidents if _disagree(one) for r in one.records):
        hurt = f"civilians {record.civilian_casualties}, service people {record.military_casualties}"
        said = f"Accident in {record.where}, hurt according to {record.source}: {hurt}."
        lines.append(Cell(said, notes.cite([record.record_id])))
    unique = tuple(dict.fromkeys(lines))
    return [Section("What does not agree, and what was left out", unique)] if unique else []


def _mixed(records: Sequence[Record], notes: Notes) -> list[Cell]:
    """Return which records cannot be told apart, among those of an agency and in each of its rows."""
    lines = []
    for key in sorted({(str(r.agency), tuple(sorted(r.districts))) for r in records}):
        own = [r for r in records if (str(r.agency), tuple(sorted(r.districts))) == key]
        for group in (own, [r for r in records if str(r.agency) == key[0]]):
            for measure in (hectares_of, items_of):
                mixed = {r.record_id for fact in summed(group, measure).overlapping for r in fact.records}
                if mixed:
                    said = f"{key[0]}: these records overlap and cannot be told apart; their sum is given as a range."
                    lines.append(Cell(said, notes.cite(mixed)))
    return lines


def _against(fact: Fact, notes: Notes) -> list[Cell]:
    lines = []
    for measure, unit in ((hectares_of, "ha"), (items_of, "items")):
        figure = fact.figure(measure)
        if figure is not None and figure.disagree:
            for record in fact.records:
                told = measure(record)
                if told is not None:
                    when = days(record.first, record.last)
                    said = f"{record.agency}, {when}: {told.words(unit)} according to {record.source}."
                    lines.append(Cell(said, notes.cite([record.record_id])))
    return lines
