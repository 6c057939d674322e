"""Accidents: counted once however many sources tell of them, and as evidence for the map plane."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import geopandas as gpd

from survey.layers import ACCIDENTS, conform
from survey.ledger.figures import Figure, agreed
from survey.ledger.records import Record

KNOWN_PLACE = "Mine/ERW accidents with known location"
UNKNOWN_PLACE = "Mine/ERW accidents with unknown location"
"""Types of evidence as IMSMA has them, and as the evidence table of the map plane."""


@dataclass(frozen=True)
class Accident:
    """One accident, with every report of it."""

    records: tuple[Record, ...]
    civilians: Figure | None
    military: Figure | None

    @property
    def record(self) -> Record:
        """A report of it."""
        return self.records[0]


def accidents_between(records: Iterable[Record], first: date, last: date) -> list[Accident]:
    """Return the accidents of a period: those of the same name, or of the same days and districts, are one."""
    told: defaultdict[Any, list[Record]] = defaultdict(list)
    for record in records:
        if record.kind == "accident" and record.last is not None and record.last <= last:
            if (record.first or record.last) < first:
                continue
            told[record.name or (record.first, record.last, record.districts)].append(record)
    found = []
    for group in told.values():
        reports = tuple(sorted(group, key=lambda one: one.record_id))
        civilians = _counted((r.record_id, r.civilian_casualties) for r in reports)
        military = _counted((r.record_id, r.military_casualties) for r in reports)
        found.append(Accident(reports, civilians, military))
    return sorted(found, key=lambda one: (one.record.last, one.record.record_id))


def _counted(reported: Iterable[tuple[str, int | None]]) -> Figure | None:
    figures = [Figure.reported(str(n), "exact", record) for record, n in reported if n is not None]
    return agreed(figures) if figures else None


def as_evidence(records: Iterable[Record], families: Mapping[str, str]) -> gpd.GeoDataFrame:
    """Return located accidents as the layer :data:`survey.layers.ACCIDENTS`, EPSG:4326.

    A point is an accident with a known location. A polygon is the ground one is known to have happened on somewhere:
    its location counts as unknown. An accident without either is left out, because evidence needs ground. Of several
    reports of one accident, the first that has its place stands.

    Parameters
    ----------
    records : iterable of Record
        In force.
    families : mapping of str
        Family of hazard by kind of item, where both are the same thing.
    """
    first, last = date.min, date.max
    located = [
        next(r for r in one.records if r.geometry is not None)
        for one in accidents_between(records, first, last)
        if any(r.geometry is not None for r in one.records)
    ]
    table = gpd.GeoDataFrame(
        {
            "evidence_id": [r.record_id for r in located],
            "evidence_type": [KNOWN_PLACE if _is_point(r) else UNKNOWN_PLACE for r in located],
            "reliability": "unknown",
            "source": [f"{r.source}, {r.source_date}" for r in located],
            "date": [str(r.last) for r in located],
            "family": [_family(r, families) for r in located],
            "accuracy_m": [r.accuracy_m for r in located],
        },
        geometry=[r.geometry for r in located],
        crs="EPSG:4326",
    )
    return cast(gpd.GeoDataFrame, conform(table, ACCIDENTS))


def _family(record: Record, families: Mapping[str, str]) -> str | None:
    """Return the family of what exploded, where one kind did and it is a family."""
    kinds = list(record.items_by_kind)
    return families.get(kinds[0]) if len(kinds) == 1 else None


def _is_point(record: Record) -> bool:
    return record.geometry is not None and record.geometry.geom_type == "Point"
