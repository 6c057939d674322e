"""The ledger as a whole: records in force, corrections followed, duplicates and impossible claims refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyproj
import shapely
from shapely.geometry.base import BaseGeometry

from survey.errors import LedgerError
from survey.ledger.fields import Problem, Row
from survey.ledger.figures import grouped
from survey.ledger.reading import identity
from survey.ledger.records import Record, parse
from survey.ledger.vocabulary import Vocabulary

LEAST_INSIDE = 0.5
"""Share of a polygon that must lie in the districts its record names; no published threshold. Boundaries are often
generalised, so that ground beside them may fall outside."""
MOST_OF_POLYGON = 1.05
"""Hectares a record may claim, over those its polygon encloses; no published threshold."""
_BOUNDS_MARGIN_DEG = 0.05
_SHOWN = 20
_GEOD = pyproj.Geod(ellps="WGS84")


@dataclass(frozen=True)
class Book:
    """A ledger that was checked.

    Attributes
    ----------
    records : tuple of Record
        All of them, as they stand in the file.
    in_force : tuple of Record
        Those that count: neither corrected nor withdrawn.
    replaced_by : dict of str
        For every record that no longer counts, the record that corrects or withdraws it.
    """

    records: tuple[Record, ...]
    in_force: tuple[Record, ...]
    replaced_by: Mapping[str, str]

    def of(self, kind: str) -> tuple[Record, ...]:
        """Return the records of a kind that are in force."""
        return tuple(record for record in self.in_force if record.kind == kind)


def open_book(
    rows: Sequence[Row], words: Vocabulary, grounds: Mapping[str, BaseGeometry] | None = None
) -> tuple[Book, list[Problem]]:
    """Return the ledger that rows make, and everything that is wrong with it.

    Parameters
    ----------
    rows : sequence of Row
    words : Vocabulary
    grounds : mapping of geometry, optional
        Ground of districts by name, EPSG:4326; without it only their rough bounds are known.
    """
    records: list[Record] = []
    problems: list[Problem] = []
    for row in rows:
        record, wrong = parse(row, identity(row), words)
        problems += wrong
        if record is not None:
            records.append(record)
            problems += _beyond(record, words) + _elsewhere(record, words, grounds or {})
    problems += _same_identity(records)
    replaced, wrong = _replaced(records)
    problems += wrong
    in_force = tuple(r for r in records if r.record_id not in replaced and r.kind != "withdrawal")
    problems += _repeated(in_force)
    return Book(tuple(records), in_force, replaced), problems


def refuse(problems: Iterable[Problem], file: str, outcome: str) -> None:
    """Raise what is wrong, by row and column; nothing where nothing is.

    Raises
    ------
    LedgerError
    """
    known = sorted(set(problems))
    if not known:
        return
    more = f" And {len(known) - _SHOWN} more." if len(known) > _SHOWN else ""
    said = " ".join(f"{str(problem).rstrip('.')}." for problem in known[:_SHOWN])
    raise LedgerError(f"{file}: {outcome} {said}{more}")


def square_metres(shape: BaseGeometry) -> float:
    """Return the area of polygons in EPSG:4326 on the ellipsoid, edges being geodesics."""
    # The outer ring counter-clockwise, holes clockwise, whatever the file had.
    oriented = [shapely.geometry.polygon.orient(part) for part in shapely.get_parts(shape)]
    return float(sum(_GEOD.geometry_area_perimeter(part)[0] for part in oriented))


def _beyond(record: Record, words: Vocabulary) -> list[Problem]:
    """Return whether a record claims more ground than its districts, or its polygon, have."""
    if record.area is None:
        return []
    found = []
    claimed = record.area.low
    most = [words.places[name].most_ha for name in record.districts]
    if most and all(one is not None for one in most):
        there = sum(one for one in most if one is not None)
        if claimed > Decimal(there):
            found.append(
                Problem(
                    record.row.number,
                    "area",
                    f"{grouped(claimed)} ha are more than {record.where} has ({grouped(round(there))} ha)",
                )
            )
    shape = record.geometry
    if shape is not None and record.kind == "activity" and shape.geom_type != "Point":
        enclosed = square_metres(shape) / 1e4
        if float(claimed) > enclosed * MOST_OF_POLYGON:
            found.append(
                Problem(
                    record.row.number,
                    "area",
                    f"{grouped(claimed)} ha are more than its polygon encloses ({enclosed:,.2f} ha)",
                )
            )
    return found


def _elsewhere(record: Record, words: Vocabulary, grounds: Mapping[str, BaseGeometry]) -> list[Problem]:
    """Return whether a polygon or place lies elsewhere than its districts."""
    shape = record.geometry
    if shape is None or not record.districts:
        return []
    known: list[BaseGeometry] = []
    for name in record.districts:
        bounds = words.places[name].bounds
        if name in grounds:
            known.append(grounds[name])
        elif bounds is not None:
            known.append(shapely.box(*bounds).buffer(_BOUNDS_MARGIN_DEG))
        else:
            return []
    inside = shapely.union_all(known)
    if shape.geom_type == "Point":
        share = float(shapely.intersects(inside, shape))
    else:
        share = shapely.area(shapely.intersection(inside, shape)) / shapely.area(shape)
    if share >= LEAST_INSIDE:
        return []
    place = shape.centroid
    return [
        Problem(
            record.row.number,
            "geometry",
            f"lies elsewhere: {share:.0%} of it is in {record.where}; its middle: {place.y:.4f} N, {place.x:.4f} E",
        )
    ]


def _same_identity(records: Sequence[Record]) -> list[Problem]:
    first: dict[str, Record] = {}
    found = []
    for record in records:
        before = first.setdefault(record.record_id, record)
        if before is record:
            continue
        if _content(before) == _content(record):
            found.append(Problem(record.row.number, "(row)", f"repeats {_place(before)}: it is stored once"))
            continue
        taken = f"{record.record_id!r} is taken by {_place(before)}"
        mend = "a correction is a record of its own that names the one it corrects"
        found.append(Problem(record.row.number, "record_id", f"{taken}; {mend}"))
    return found


def _place(record: Record) -> str:
    return f"row {record.row.number} of {record.row.file}" if record.row.file else f"row {record.row.number}"


def _replaced(records: Sequence[Record]) -> tuple[dict[str, str], list[Problem]]:
    """Return which records no longer count and by which; refuse corrections of nothing, of others' kind, in rings."""
    by_id = {record.record_id: record for record in records}
    replaced: dict[str, str] = {}
    found = []
    for record in records:
        if record.corrects is None:
            continue
        target = by_id.get(record.corrects)
        why = None
        if target is None:
            why = f"there is no record {record.corrects!r}"
        elif target.kind == "withdrawal":
            why = f"{record.corrects!r} is a withdrawal; add what holds as a new record"
        elif record.kind not in (target.kind, "withdrawal"):
            why = f"{record.corrects!r} is of kind {target.kind}, not {record.kind}"
        elif record.corrects in replaced:
            why = f"{record.corrects!r} was already replaced by {replaced[record.corrects]!r}; correct that one"
        elif record.corrects == record.record_id:
            why = "a record cannot correct itself"
        if why:
            found.append(Problem(record.row.number, "corrects", why))
        else:
            replaced[str(record.corrects)] = record.record_id
    for start in replaced:
        seen, here = {start}, replaced[start]
        while here in replaced:
            if here in seen:
                found.append(Problem(by_id[start].row.number, "corrects", "these corrections go round in a ring"))
                break
            seen.add(here)
            here = replaced[here]
    return replaced, found


def _repeated(records: Sequence[Record]) -> list[Problem]:
    """Return records that say what another says, and those of one source that say two things of the same."""
    same: dict[Any, Record] = {}
    told: defaultdict[Any, list[Record]] = defaultdict(list)
    found = []
    for record in records:
        before = same.setdefault(_content(record), record)
        if before is not record and before.record_id != record.record_id:
            found.append(
                Problem(
                    record.row.number, "(row)", f"repeats {before.record_id!r}, {_place(before)}: it is stored once"
                )
            )
            continue
        if record.kind == "activity":
            told[(*_subject(record), record.source, record.source_date)].append(record)
    for group in told.values():
        for record in group[1:]:
            if record.record_id != group[0].record_id:
                found.append(
                    Problem(
                        record.row.number,
                        "(row)",
                        f"speaks of the same work, days and districts as {group[0].record_id!r} ({_place(group[0])}) "
                        "from the same source; give each a name of its own, or make one the correction of the other",
                    )
                )
    return found


def _content(record: Record) -> Any:
    """Return everything a record says, in units and spellings that do not matter."""
    figure = None if record.area is None else (record.area.low, record.area.high, record.area.about)
    items = sorted((k, f.low, f.high, f.about) for k, f in record.items_by_kind.items())
    casualties = (record.civilian_casualties, record.military_casualties)
    return (
        record.kind,
        *_subject(record),
        figure,
        tuple((k, low, str(high), about) for k, low, high, about in items),
        tuple(sorted(record.assets.items())),
        record.state,
        record.decision,
        record.count,
        casualties,
        record.source,
        record.source_date,
    )


def _subject(record: Record) -> tuple[Any, ...]:
    """Return what a record speaks of, without what it says about it."""
    shape = record.geometry
    return (
        record.agency,
        record.districts,
        record.basis,
        record.first,
        record.last,
        record.activity,
        record.method,
        record.name,
        record.area_ids,
        None if shape is None else shapely.to_wkb(shapely.normalize(shape)),
    )
