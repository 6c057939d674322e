"""Rows of text, and the fields of one row: words, days, figures, each understood or told what is wrong with it."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import cast

from shapely.geometry.base import BaseGeometry

from survey.ledger.figures import Figure, Qualifier, parse_number
from survey.ledger.vocabulary import Vocabulary, Words

_ITEM = re.compile(r"^(?P<kind>[^\d;]*?)[\s:=]*(?P<number>[\d][\d,.\s\u00a0]*)\s*(?P<after>[^\d;]*)$")
_NEGATIVE = re.compile(r"(^|[\s:=])[-−]\s*\d")
_AREA = re.compile(r"^(?P<number>[-−]?[\d][\d,.'’\s\u00a0\u202f]*)\s*(?P<unit>[^\d\s].*)?$")
FIGURES = ("area", "items", "count", "civilian_casualties", "military_casualties", "accuracy_m")
_SOURCE_DATE = re.compile(r"^\d{4}(-\d{2}(-\d{2})?)?$")
_SQUARE_METRES_IN_HA = Decimal(10_000)


@dataclass(frozen=True)
class Row:
    """One row as it was written.

    Attributes
    ----------
    number : int
        In its file, the header being row 1.
    values : dict of str
        Text by column of :data:`survey.layers.LEDGER`; what is empty is absent.
    geometry : BaseGeometry or None
        EPSG:4326.
    file : str
    """

    number: int
    values: Mapping[str, str]
    geometry: BaseGeometry | None = None
    file: str = ""


@dataclass(frozen=True, order=True)
class Problem:
    """What is wrong in one field of one row."""

    row: int
    column: str
    message: str

    def __str__(self) -> str:
        """Return the problem as one sentence."""
        return f"Row {self.row}, column {self.column}: {self.message}"


class Fields:
    """Reads the fields of one row and remembers what is wrong."""

    def __init__(self, row: Row, record_id: str, words: Vocabulary) -> None:
        self.row, self.record_id, self.words = row, record_id, words
        self.problems: list[Problem] = []

    def wrong(self, column: str, message: str) -> None:
        """Remember that something is wrong."""
        self.problems.append(Problem(self.row.number, column, message))

    def text(self, column: str, *, needed: bool = False) -> str | None:
        """Return the text of a field."""
        value = self.row.values.get(column)
        if value is None and needed:
            self.wrong(column, "is empty; this kind of record needs it")
        return value

    def word(self, column: str, known: Words, *, needed: bool = False) -> str | None:
        """Return the word that a field holds a spelling of."""
        text = self.text(column, needed=needed)
        if text is None:
            return None
        word = known.get(text)
        if word is None:
            self.wrong(column, known.refusal(text))
        return word

    def listed(self, column: str) -> list[str]:
        """Return the parts of a field that are joined with semicolons."""
        return [part.strip() for part in (self.text(column) or "").split(";") if part.strip()]

    def districts(self, *, needed: bool) -> frozenset[str]:
        """Return the districts by their names."""
        names = self.listed("districts")
        if needed and not names:
            self.wrong("districts", "is empty; this kind of record needs it")
        found = []
        for name in names:
            word = self.words.district.get(name)
            if word is None:
                self.wrong("districts", self.words.district.refusal(name))
            else:
                found.append(word)
        return frozenset(found)

    def day(self, column: str) -> date | None:
        """Return a day."""
        text = self.text(column)
        if text is None:
            return None
        try:
            return date.fromisoformat(text.removesuffix(" 00:00:00").removesuffix("T00:00:00"))
        except ValueError:
            self.wrong(column, f"{text!r} is no day; write it as 2022-04-14")
            return None

    def source_date(self) -> str:
        """Return the date of the source: a year, month or day."""
        text = self.text("source_date", needed=True) or ""
        if text and (not _SOURCE_DATE.match(text) or last_day(text) is None):
            self.wrong("source_date", f"{text!r} is no date; write it as 2022-04-15, 2022-04 or 2022")
        return text

    def qualifier(self, column: str) -> Qualifier:
        """Return how exact a figure is."""
        return cast(Qualifier, self.word(column, self.words.qualifier) or "exact")

    def area(self) -> Figure | None:
        """Return the ground in hectares."""
        text = self.text("area")
        qualifier = self.qualifier("area_qualifier")
        if text is None:
            return None
        match = _AREA.match(text)
        number, own = (match["number"].strip(), match["unit"]) if match else (text, None)
        given = self.text("unit")
        if own and given and self.words.unit.get(own) != self.words.unit.get(given):
            self.wrong("unit", f"{given!r} contradicts the unit in {text!r}")
            return None
        if not own and not given:
            self.wrong("unit", "is empty; write m2, ha or km2")
            return None
        unit = self.words.unit.get(own or given or "")
        if unit is None:
            self.wrong("unit", self.words.unit.refusal(own or given or ""))
            return None
        value = self._number("area", number, whole=False)
        if value is None:
            return None
        return Figure.reported(value * self.words.square_metres[unit] / _SQUARE_METRES_IN_HA, qualifier, self.record_id)

    def items(self) -> dict[str, Figure]:
        """Return items by kind; a bare number has no kind."""
        qualifier = self.qualifier("items_qualifier")
        found: dict[str, Figure] = {}
        for part in self.listed("items"):
            match = _ITEM.match(part)
            if _NEGATIVE.search(part):
                self.wrong("items", f"{part!r} is negative")
                continue
            if match is None or (match["kind"].strip() and match["after"].strip()):
                self.wrong("items", f"{part!r} is no number of items; write 595, or kinds such as 'AP 12; UXO 71'")
                continue
            name = (match["kind"].strip() or match["after"].strip()) or "unspecified"
            kind = self.words.item.get(name)
            if kind is None:
                self.wrong("items", self.words.item.refusal(name))
                continue
            value = self._number("items", match["number"].strip(), whole=True)
            if kind in found:
                self.wrong("items", f"{kind} stands there twice")
            elif value is not None:
                found[kind] = Figure.reported(value, qualifier, self.record_id)
        return found

    def assets(self) -> dict[str, int]:
        """Return the number of each kind of asset; a kind without a number counts once."""
        found: dict[str, int] = {}
        for part in self.listed("assets"):
            match = re.match(r"^(\d*)\s*[x×]?\s*(\D.*)$", part)
            word = self.words.asset.get(match[2]) if match else None
            if match is None or word is None:
                self.wrong("assets", self.words.asset.refusal(match[2] if match else part))
            else:
                found[word] = found.get(word, 0) + int(match[1] or 1)
        return found

    def whole(self, column: str) -> int | None:
        """Return a count."""
        text = self.text(column)
        value = None if text is None else self._number(column, text, whole=True)
        return None if value is None else int(value)

    def metres(self, column: str) -> float | None:
        """Return a length."""
        text = self.text(column)
        value = None if text is None else self._number(column, text, whole=False)
        return None if value is None else float(value)

    def _number(self, column: str, text: str, *, whole: bool) -> Decimal | None:
        try:
            return parse_number(text, whole=whole)
        except ValueError as error:
            self.wrong(column, str(error))
            return None


def last_day(text: str) -> date | None:
    """Return the last day of a year, month or day; None where there is none such."""
    if not _SOURCE_DATE.match(text):
        return None
    parts = [int(part) for part in text.split("-")]
    try:
        if len(parts) == 1:
            return date(parts[0], 12, 31)
        if len(parts) == 2:
            return date(parts[0], parts[1], calendar.monthrange(parts[0], parts[1])[1])
        return date(*parts)
    except (ValueError, calendar.IllegalMonthError):
        return None
