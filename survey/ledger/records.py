"""One record of the ledger: what its kind needs is there, nothing it has no use for is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from survey.ledger.fields import FIGURES, Fields, Problem, Row, last_day
from survey.ledger.figures import Figure, total
from survey.ledger.vocabulary import Vocabulary


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
    accident_type: str | None = None
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


class _Reader(Fields):
    """Reads a whole record, by what its kind needs."""

    def record(self) -> Record:
        """Read the whole row."""
        for column, text in self.row.values.items():
            if text.startswith(("=", "+", "@", "\t")) or (text.startswith("-") and column not in FIGURES):
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
            "accident_type": self.text("accident_type"),
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
        self.unused(
            ("count", "accident_type", "civilian_casualties", "military_casualties", "accuracy_m"), "an activity"
        )

    def accident(self, record: Record) -> None:
        """Check an accident."""
        self.text("date_to", needed=True)
        if record.civilian_casualties is None and record.military_casualties is None:
            self.wrong("civilian_casualties", "say how many civilians and service people were hurt, 0 where none were")
        self.not_in_the_future(record)
        self.unused(("basis", "activity", "area", "count", "state", "decision", "assets"), "an accident")

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
        end = last_day(record.source_date)
        if end is not None and record.last is not None and record.last > end:
            self.wrong("date_to", f"{record.last} lies after the date of its source, {record.source_date}")

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
