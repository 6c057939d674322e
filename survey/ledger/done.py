"""What was done: sections of the report by activity, agency and district, in the period and to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from survey.ledger.document import Cell, Notes, Section, Segment, Table, days
from survey.ledger.facts import Fact, hectares_of, items_of
from survey.ledger.figures import Figure, per_hectare
from survey.ledger.records import Record
from survey.ledger.sums import Summed, in_period, items_by_kind, latest_cumulative, summed
from survey.ledger.vocabulary import Vocabulary

EVERYWHERE = "not stated"


@dataclass(frozen=True)
class Activity:
    """Records of one activity that count in a report.

    Attributes
    ----------
    name : str
    period : tuple of Record
        Done wholly between the two days of the report.
    to_date : tuple of Record
        Newest figures up to a date.
    recorded : tuple of Record
        Work of all periods up to the last day, of agencies that report no figure to date.
    across : tuple of Record
        Periods that only reach into the report's; not counted.
    fallen : tuple of Record
        Older figures to a date that are larger than the newest.
    """

    name: str
    period: tuple[Record, ...]
    to_date: tuple[Record, ...]
    recorded: tuple[Record, ...]
    across: tuple[Record, ...]
    fallen: tuple[Record, ...]


def activities(records: Sequence[Record], first: date, last: date, words: Vocabulary) -> list[Activity]:
    """Return the records by activity, in the order of the vocabulary."""
    result = []
    for name in words.activity.words:
        of = [record for record in records if record.kind == "activity" and record.activity == name]
        period, across = in_period(of, first, last)
        to_date, fallen = latest_cumulative(of, last)
        stated = {record.agency for record in to_date}
        recorded = [r for r in in_period(of, date.min, last)[0] if r.agency not in stated]
        if period or to_date or recorded or across:
            result.append(Activity(name, *map(tuple, (period, to_date, recorded, across, fallen))))
    return result


def activity_section(activity: Activity, span: tuple[date, date], words: Vocabulary, notes: Notes) -> Section:
    """Return the section of one activity: tables by agency and district, and what they leave out."""
    looked = words.stage[activity.name] == "looked"
    label = words.label[activity.name]
    tables = [
        _table(f"{label} in the period, {days(*span)}", activity.period, notes),
        _table(f"{label} to date, as reported", activity.to_date, notes),
        _table(f"{label} recorded in periods up to {days(None, span[1])[3:]}", activity.recorded, notes),
    ]
    cautions = []
    if looked:
        cautions.append(
            "Ground analysed by aerial survey was looked at. It is not cleared land, and is never added to it."
        )
    if activity.to_date:
        cautions.append("Figures to date and figures of a period are never added together.")
    missing = sorted({str(r.agency) for r in activity.to_date} - {str(r.agency) for r in activity.period})
    if missing:
        cautions.append(f"No figure for the period from: {', '.join(missing)}.")
    if activity.recorded and not looked:
        agencies = ", ".join(sorted({str(r.agency) for r in activity.recorded}))
        cautions.append(f"No figure to date from: {agencies}; what they recorded in periods stands apart.")
    title = f"{label}: ground looked at, not cleared land" if looked else label
    lines = () if looked else _by_agency(activity, span, notes)
    return Section(title, lines, tuple(table for table in tables if table.rows), tuple(cautions))


def _by_agency(activity: Activity, span: tuple[date, date], notes: Notes) -> tuple[Cell, ...]:
    """Return one sentence an agency: to date, and in the period."""
    lines = []
    for agency in sorted({str(r.agency) for r in (*activity.to_date, *activity.recorded, *activity.period)}):
        told: list[str] = []
        cited: set[int] = set()
        for records, when in (
            (activity.to_date, "to date"),
            (activity.recorded, "recorded in periods so far"),
            (activity.period, f"in {days(*span)}"),
        ):
            own = [record for record in records if record.agency == agency]
            said = _said(own, notes)
            if said is not None:
                told.append(f"{said.text} {when}")
                cited.update(said.notes)
        if told:
            lines.append(Cell(f"{agency}: {'; '.join(told)}.", tuple(sorted(cited))))
    return tuple(lines)


def _said(records: Sequence[Record], notes: Notes) -> Cell | None:
    """Return hectares and items of some records in words: ``492.06 ha and 71 UXO``."""
    hectares, items = summed(records, hectares_of), summed(records, items_of)
    kinds = items_by_kind(items)
    unit = next(iter(kinds)) if len(kinds) == 1 else "items"
    figures = [
        notes.figure(one, name)
        for one, name in ((hectares.figure, "ha"), (items.figure, "items" if unit == "unspecified" else unit))
        if one is not None
    ]
    if not figures:
        return None
    return Cell(" and ".join(cell.text for cell in figures), tuple(sorted({n for c in figures for n in c.notes})))


def _table(caption: str, records: Sequence[Record], notes: Notes) -> Table:
    columns: tuple[str, ...] = ("Agency", "Districts", "Days", "Hectares", "Items", "Of which", "Items per hectare")
    rows: list[tuple[Cell, ...]] = []
    for agency in sorted({str(record.agency) for record in records}):
        own = [record for record in records if record.agency == agency]
        where = sorted({record.districts for record in own}, key=lambda names: (len(names), sorted(names)))
        whole_row = _row(agency, own, notes)
        rows.append(whole_row if len(where) == 1 else (whole_row[0], Cell("all of these"), *whole_row[2:]))
        if len(where) > 1:
            for names in where:
                part = [record for record in own if record.districts == names]
                rows.append(_row(f"– {agency}, of which", part, notes))
    agencies = {str(record.agency) for record in records}
    whole = _row("All agencies", records, notes) if len(agencies) > 1 else None
    if whole is not None:
        whole = (whole[0], Cell(""), Cell(""), *whole[3:])
    if all(record.items is None for record in records):
        # Nothing about items: four columns say it all.
        columns, rows = columns[:4], [row[:4] for row in rows]
        whole = None if whole is None else whole[:4]
    return Table(caption, columns, tuple(rows), whole, text_columns=3)


def _row(who: str, records: Sequence[Record], notes: Notes) -> tuple[Cell, ...]:
    hectares, items = summed(records, hectares_of), summed(records, items_of)
    named = sorted({name for record in records for name in record.districts})
    first = min((r.first for r in records if r.first is not None), default=None)
    if any(r.basis == "cumulative" and r.first is None for r in records):
        first = None
    last = max((r.last for r in records if r.last is not None), default=None)
    return (
        Cell(who),
        Cell(", ".join(named) or EVERYWHERE),
        Cell(days(first, last)),
        notes.figure(hectares.figure, "ha"),
        notes.figure(items.figure),
        Cell(_kinds(items)),
        rate(hectares.figure, items.figure, notes),
    )


def _kinds(items: Summed) -> str:
    kinds = items_by_kind(items)
    return "" if set(kinds) <= {"unspecified"} else ", ".join(figure.words(kind) for kind, figure in kinds.items())


def rate(hectares: Figure | None, items: Figure | None, notes: Notes) -> Cell:
    """Return items per hectare, from the same records."""
    if hectares is None or items is None:
        return Cell("")
    text = per_hectare(items, hectares)
    return Cell("") if text is None else Cell(text, notes.cite({*hectares.records, *items.records}))


def headline(activity: Activity, span: tuple[date, date], words: Vocabulary, notes: Notes) -> list[Cell]:
    """Return the sentences about an activity that stand first in the report."""
    if words.stage[activity.name] == "looked":
        return [_looked(activity, span, notes)]
    label = words.label[activity.name]
    told: list[tuple[str, Sequence[Record]]] = [
        (f"{label} reported to date, as of {days(None, span[1])[3:]}", activity.to_date),
        (f"{label} in the period, {days(*span)}", activity.period),
        (f"{label} recorded in periods up to {days(None, span[1])[3:]}", activity.recorded),
    ]
    lines = []
    for what, records in told:
        if records:
            agencies = len({record.agency for record in records})
            who = "1 agency" if agencies == 1 else f"{agencies} agencies"
            said = _said(records, notes) or Cell("work without figures")
            lines.append(Cell(f"{what}: {said.text} ({who}).", said.notes))
    return lines


def _looked(activity: Activity, span: tuple[date, date], notes: Notes) -> Cell:
    records = activity.to_date or activity.recorded
    figure = summed(records, hectares_of).figure
    named = sorted({name for record in records for name in record.districts})
    where = f" in {len(named)} districts ({', '.join(named)})" if named else ""
    cell = notes.figure(figure, "ha")
    return Cell(
        f"{cell.text} analysed by aerial survey{where}: looked at, not cleared, and not added to it.", cell.notes
    )


def trend(
    of: Sequence[Activity], words: Vocabulary, records: Sequence[Record], to: date, notes: Notes
) -> list[Segment]:
    """Return the rates of work on the ground, each between the days its record states."""
    facts: list[Fact] = []
    for activity in of:
        if words.stage[activity.name] == "worked":
            every = [r for r in records if r.kind == "activity" and r.activity == activity.name]
            facts += summed(in_period(every, date.min, to)[0], hectares_of).counted
            facts += summed(activity.to_date, hectares_of).counted
    segments = []
    for fact in facts:
        figure = fact.figure(hectares_of)
        if fact.record.first is None or figure is None:
            continue
        per_day = float(figure.low) / ((fact.last - fact.first).days + 1)
        said = (str(fact.record.agency), fact.first, fact.last, figure.words("ha"), per_day, str(fact.record.basis))
        segments.append(Segment(*said, notes.cite(figure.records)))
    return sorted(segments, key=lambda one: (one.agency, one.first, one.last, one.hectares))
