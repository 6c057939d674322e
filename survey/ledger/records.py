"""One record of the ledger: read from a row of text, checked word by word and number by number."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, cast

import shapely
from shapely.geometry.base import BaseGeometry

from survey.ledger.figures import Figure, Qualifier, parse_number, total
from survey.ledger.vocabulary import Vocabulary, Words

_ITEM = re.compile(r"^(?P<kind>[^\d;]*?)[\s:=]*(?P<number>[\d][\d,.\s\u00a0]*)\s*(?P<after>[^\d;]*)$")
_NEGATIVE = re.compile(r"(^|[\s:=])[-−]\s*\d")
_AREA = re.compile(r"^(?P<number>[-−]?[\d][\d,.'’\s\u00a0\u202f]*)\s*(?P<unit>[^\d\s].*)?$")
_FIGURES = ("area", "items", "count", "civilian_casualties", "military_casualties", "accuracy_m")
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


@dataclass(frozen=True)
class Record:
    """A record whose every field is understood. Hectares and items know the record they come from.

    Attributes
    ----------
    row : Row
    record_id, kind : str
    agency : str or None
    districts : frozenset of str
        Empty where the record speaks of all ground of its agency.
    first, last : date or None
    area : Figure or None
        Hectares.
    items : Figure or None
        All kinds together.
    items_by_kind : dict of Figure
    area_ids : frozenset of str
    count : int or None
    """

    row: Row
    record_id: str
    kind: str
    corrects: str | None = None
    agency: str | None = None
    districts: frozenset[str] = frozenset()
    basis: str | None = None
    first: date | None = None
    last: date | None = None
    activity: str | None = None
    method: str | None = None
    assets: Mapping[str, int] = field(default_factory=dict)
    area: Figure | None = None
    items: Figure | None = None
    items_by_kind: Mapping[str, Figure] = field(default_factory=dict)
    name: str | None = None
    area_ids: frozenset[str] = frozenset()
    state: str | None = None
    decision: str | None = None
    count: int | None = None
    civilian_casualties: int | None = None
    military_casualties: int | None = None
    accuracy_m: float | None = None
    source: str = ""
    source_date: str = ""

    @property
    def geometry(self) -> BaseGeometry | None:
        """Ground or place, EPSG:4326."""
        return self.row.geometry

    @property
    def where(self) -> str:
        """Districts in words."""
        return ", ".join(sorted(self.districts)) or "not stated"


def parse(row: Row, record_id: str, words: Vocabulary) -> tuple[Record | None, list[Problem]]:
    """Return the record of a row, or None and everything that is wrong in it."""
    reader = _Reader(row, record_id, words)
    record = reader.record()
    return (None if reader.problems else record), sorted(reader.problems)


class _Reader:
    """Reads field after field of one row and remembers what is wrong."""

    def __init__(self, row: Row, record_id: str, words: Vocabulary) -> None:
        self.row, self.record_id, self.words = row, record_id, words
        self.problems: list[Problem] = []

    def wrong(self, column: str, message: str) -> None:
        """Remember that something is wrong."""
        self.problems.append(Problem(self.row.number, column, message))

    def record(self) -> Record:
        """Read the whole row."""
        for column, text in self.row.values.items():
            if text.startswith(("=", "+", "@", "\t")) or (text.startswith("-") and column not in _FIGURES):
                self.wrong(
                    column, f"begins with {text[0]!r}, which a spreadsheet takes for a formula; write it otherwise"
                )
        kind = self.word("kind", self.words.kind, needed=True)
        common: dict[str, Any] = {
            "row": self.row,
            "record_id": self.record_id,
            "kind": kind or "",
            "corrects": self.text("corrects", needed=kind == "withdrawal"),
            "source": self.text("source", needed=True) or "",
            "source_date": self.source_date(),
        }
        if kind is None or kind == "withdrawal":
            return Record(**common)
        first, last = self.day("date_from"), self.day("date_to")
        if first and last and first > last:
            self.wrong("date_to", f"{last} lies before date_from {first}; the period is reversed")
        items = self.items()
        common |= {
            "agency": self.word("agency", self.words.agency, needed=kind != "accident"),
            "districts": self.districts(needed=kind == "accident"),
            "basis": self.word("basis", self.words.basis),
            "first": first,
            "last": last,
            "activity": self.word("activity", self.words.activity),
            "method": self.text("method"),
            "assets": self.assets(),
            "area": self.area(),
            "items": total(items.values()),
            "items_by_kind": items,
            "name": self.text("name"),
            "area_ids": frozenset(self.listed("area_ids")),
            "state": self.word("state", self.words.state[kind]) if kind in self.words.state else None,
            "decision": self.word("decision", self.words.decision),
            "count": self.whole("count"),
            "civilian_casualties": self.whole("civilian_casualties"),
            "military_casualties": self.whole("military_casualties"),
            "accuracy_m": self.metres("accuracy_m"),
        }
        record = Record(**common)
        {"activity": self.activity, "accident": self.accident, "asset": self.asset, "project": self.project}[kind](
            record
        )
        self.shape(record)
        return record

    # --- what each kind of record needs ---

    def activity(self, record: Record) -> None:
        """Check an activity."""
        for column in ("basis", "activity", "date_to"):
            self.text(column, needed=True)
        if record.basis == "period" and record.first is None:
            self.wrong("date_from", "a period needs its first day; a figure up to a date has the basis 'cumulative'")
        if not {"area", "items", "state"} & self.row.values.keys():
            self.wrong("area", "give hectares, items or a state; the record says nothing")
        stage = self.words.stage.get(record.activity or "")
        if stage == "looked" and record.decision == "handed_over":
            self.wrong("decision", "ground that was only looked at from the air cannot be handed over")
        if record.decision is not None and record.state != "completed":
            self.wrong("decision", "the authority decides on completed ground; state the record 'completed'")
        self.not_in_the_future(record)
        self.unused(("count", "civilian_casualties", "military_casualties", "accuracy_m"), "an activity")

    def accident(self, record: Record) -> None:
        """Check an accident."""
        self.text("date_to", needed=True)
        if record.civilian_casualties is None and record.military_casualties is None:
            self.wrong("civilian_casualties", "say how many civilians and service people were hurt, 0 where none were")
        self.not_in_the_future(record)
        self.unused(("basis", "activity", "area", "items", "count", "state", "decision", "assets"), "an accident")

    def asset(self, record: Record) -> None:
        """Check an asset."""
        for column in ("state", "date_to", "count"):
            self.text(column, needed=True)
        if len(record.assets) != 1:
            self.wrong("assets", f"name the one kind of asset: {', '.join(self.words.asset.words)}")
        elif (stated := next(iter(record.assets.values()))) not in (1, record.count):
            self.wrong("count", f"{record.count} contradicts the {stated} in column assets")
        self.unused(("basis", "activity", "area", "items", "decision"), "an asset")

    def project(self, record: Record) -> None:
        """Check a project, or a count of projects."""
        for column in ("state", "date_to"):
            self.text(column, needed=True)
        if (record.name is None) == (record.count is None):
            self.wrong("name", "a project has a name; a report of how many there are has a count; give one of the two")
        self.unused(("basis", "activity", "items", "civilian_casualties", "military_casualties"), "a project")

    def unused(self, columns: tuple[str, ...], what: str) -> None:
        """Refuse fields that a kind of record has no use for, so that nothing given is silently dropped."""
        for column in columns:
            if column in self.row.values:
                self.wrong(column, f"{what} has no {column}; leave it empty, or make it another record")

    def not_in_the_future(self, record: Record) -> None:
        """Refuse what a source reports before it happened."""
        end = _last_day(record.source_date)
        if end is not None and record.last is not None and record.last > end:
            self.wrong("date_to", f"{record.last} lies after the date of its source, {record.source_date}")

    # --- fields ---

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
        if text and (not _SOURCE_DATE.match(text) or _last_day(text) is None):
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

    def shape(self, record: Record) -> None:
        """Check that a geometry can be on Earth, is valid, and is of the kind the record needs."""
        shape = self.row.geometry
        if shape is None:
            return
        polygons = shape.geom_type in ("Polygon", "MultiPolygon")
        if not polygons and not (record.kind == "accident" and shape.geom_type == "Point"):
            wanted = "a point or polygon" if record.kind == "accident" else "a polygon"
            self.wrong("geometry", f"is a {shape.geom_type}; {wanted} is wanted")
        elif shape.is_empty:
            self.wrong("geometry", "is empty")
        elif not _on_earth(shape):
            self.wrong("geometry", "has coordinates that are no longitude and latitude (EPSG:4326, longitude first)")
        elif not shapely.is_valid(shape):
            self.wrong("geometry", f"is not valid: {shapely.is_valid_reason(shape)}")


def _on_earth(shape: BaseGeometry) -> bool:
    west, south, east, north = shape.bounds
    return bool(-180 <= west <= east <= 180 and -90 <= south <= north <= 90)


def _last_day(text: str) -> date | None:
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
