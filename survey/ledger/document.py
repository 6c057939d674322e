"""A report as plain data: sections, tables and cells, each figure with the numbers of the notes it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from survey.ledger.figures import Figure, grouped
from survey.ledger.records import Record
from survey.ledger.vocabulary import Vocabulary

NOT_REPORTED = "not reported"
_MOST_NOTES = 4
"""A figure that rests on more records than this gets one note that lists them."""


@dataclass(frozen=True)
class Cell:
    """A text and the numbers of the notes that say where it comes from."""

    text: str
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table; the first ``text_columns`` columns hold words, the others figures.

    ``notes`` are those that every figure of the table rests on.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    text_columns: int = 1
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Section:
    """A heading with sentences and tables; ``cautions`` are sentences that limit what the figures say."""

    title: str
    lines: tuple[Cell, ...] = ()
    tables: tuple[Table, ...] = ()
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Note:
    """Where figures come from."""

    number: int
    text: str


@dataclass(frozen=True)
class Segment:
    """Work of an agency between two days, as a rate: one line of the trend chart."""

    agency: str
    first: date
    last: date
    hectares: str
    per_day: float
    basis: str
    notes: tuple[int, ...]


@dataclass(frozen=True)
class Situation:
    """A situation report.

    Attributes
    ----------
    title : str
    first, last : date
        The period.
    sections : tuple of Section
    trend : tuple of Segment
    notes : tuple of Note
    closing : tuple of str
        What the report does not say.
    """

    title: str
    first: date
    last: date
    sections: tuple[Section, ...]
    trend: tuple[Segment, ...]
    notes: tuple[Note, ...]
    closing: tuple[str, ...]


@dataclass
class Notes:
    """Numbers the notes in the order figures first rest on them."""

    records: Mapping[str, Record]
    words: Vocabulary
    _numbers: dict[str, int] = field(default_factory=dict)
    _texts: list[str] = field(default_factory=list)

    def cite(self, records: Iterable[str]) -> tuple[int, ...]:
        """Return the numbers of the notes for some records."""
        known = sorted(set(records))
        if len(known) <= _MOST_NOTES:
            return tuple(sorted(self._number(one, self.say(self.records[one])) for one in known))
        key = "\n".join(known)
        return (self._number(key, f"{len(known)} records: {', '.join(known)}"),)

    def tell(self, text: str) -> tuple[int, ...]:
        """Return the number of a note that is not about a record."""
        return (self._number(text, text),)

    def figure(self, figure: Figure | None, unit: str = "") -> Cell:
        """Return a figure with its notes."""
        if figure is None:
            return Cell(NOT_REPORTED)
        text = figure.words(unit)
        return Cell(f"{text} (disagreeing)" if figure.disagree else text, self.cite(figure.records))

    def all(self) -> tuple[Note, ...]:
        """Return the notes given so far."""
        return tuple(Note(number, text) for number, text in enumerate(self._texts, start=1))

    def _number(self, key: str, text: str) -> int:
        if key not in self._numbers:
            self._texts.append(text)
            self._numbers[key] = len(self._texts)
        return self._numbers[key]

    def say(self, record: Record) -> str:
        """Return a record in a line: identity, who, what, where, when, and its source."""
        what = [
            record.agency,
            self.words.label.get(record.activity or "", record.kind),
            record.name,
            record.basis,
            days(record.first, record.last),
            record.where if record.districts else None,
            None if record.area is None else record.area.words("ha"),
            None if record.items is None else record.items.words("items"),
            None if record.count is None else grouped(record.count),
            None if record.civilian_casualties is None else f"civilians hurt: {record.civilian_casualties}",
            None if record.military_casualties is None else f"service people hurt: {record.military_casualties}",
            record.state and record.state.replace("_", " "),
        ]
        said = ", ".join(part for part in what if part)
        place = f"row {record.row.number}"
        note = f" Note: {record.row.values['note']}" if "note" in record.row.values else ""
        return f"Record {record.record_id} ({place}): {said}. Source: {record.source}, {record.source_date}.{note}"


def day(value: date) -> str:
    """Return a day in words.

    Examples
    --------
    >>> day(date(2022, 4, 14))
    '14 April 2022'
    """
    return f"{value.day} {value:%B %Y}"


def days(first: date | None, last: date | None) -> str:
    """Return a period in words.

    Examples
    --------
    >>> days(date(2022, 4, 1), date(2022, 4, 14)), days(None, date(2022, 4, 13))
    ('1–14 April 2022', 'to 13 April 2022')
    """
    if last is None:
        return "" if first is None else f"from {day(first)}"
    if first is None:
        return f"to {day(last)}"
    if first == last:
        return day(last)
    whole_months = first.day == 1 and (last + timedelta(days=1)).day == 1
    if whole_months and (first.month, last.month) == (1, 12) and first.year == last.year:
        return str(first.year)
    if whole_months and (first.year, first.month) == (last.year, last.month):
        return f"{last:%B %Y}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{day(last)}"
    return f"{day(first)} to {day(last)}"
