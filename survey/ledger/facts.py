"""Facts: pieces of work that records tell of, and which of them may be the same, or part of another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import shapely

from survey.ledger.figures import Figure, agreed
from survey.ledger.records import Record

SHARED_GROUND = 0.01
"""Two polygons that share more than this part of the smaller one are one another's ground; no published threshold."""

_BEFORE_ALL = date.min


@dataclass(frozen=True)
class Fact:
    """One piece of work, and everything that was reported of it."""

    records: tuple[Record, ...]

    @property
    def record(self) -> Record:
        """A record that says what the fact is about."""
        return self.records[0]

    @property
    def first(self) -> date:
        """First day; the beginning of time where none is stated."""
        return self.record.first or _BEFORE_ALL

    @property
    def last(self) -> date:
        """Last day."""
        assert self.record.last is not None
        return self.record.last

    def figure(self, measure: Measure) -> Figure | None:
        """Return what was reported, sources agreed or side by side."""
        told = [one for one in map(measure, self.records) if one is not None]
        return agreed(told) if told else None


Measure = Callable[[Record], Figure | None]


def hectares_of(record: Record) -> Figure | None:
    """Measure: hectares."""
    return record.area


def items_of(record: Record) -> Figure | None:
    """Measure: items of every kind."""
    return record.items


def facts_of(records: Iterable[Record]) -> list[Fact]:
    """Return the facts that records tell, ordered by what they are about."""
    told: defaultdict[Any, list[Record]] = defaultdict(list)
    for record in records:
        told[(record.agency, record.activity, *place_key(record), record.first, record.last)].append(record)
    facts = [Fact(tuple(sorted(group, key=lambda one: one.record_id))) for group in told.values()]
    return sorted(facts, key=lambda fact: (fact.first, fact.last, fact.record.record_id))


def place_key(record: Record) -> tuple[Any, ...]:
    """Return what tells the work of one record from that of another, besides agency, activity and days."""
    shape = record.geometry
    # A named task is that task, whichever outline a source drew of it.
    ground = None if shape is None or record.name is not None else shapely.to_wkb(shapely.normalize(shape))
    return (record.districts, record.name, record.method, record.area_ids, ground)


def linked(facts: Sequence[Fact]) -> list[list[Fact]]:
    """Return the facts in groups that are linked by overlaps, of days and work or of ground."""
    parent = list(range(len(facts)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    active: defaultdict[Any, list[int]] = defaultdict(list)
    for i, fact in enumerate(facts):  # by first day
        key = (fact.record.agency, fact.record.activity)
        active[key] = [j for j in active[key] if facts[j].last >= fact.first]
        for j in active[key]:
            if overlap(facts[j], fact):
                parent[root(i)] = root(j)
        active[key].append(i)
    for i, j in _on_one_ground(facts):
        parent[root(i)] = root(j)
    groups: defaultdict[int, list[Fact]] = defaultdict(list)
    for i, fact in enumerate(facts):
        groups[root(i)].append(fact)
    return list(groups.values())


def overlap(one: Fact, other: Fact) -> bool:
    """Return whether two facts may speak of the same work."""
    a, b = one.record, other.record
    if a.agency != b.agency or a.activity != b.activity or one.first > other.last or other.first > one.last:
        return False
    if a.districts and b.districts and not a.districts & b.districts:
        return False
    if a.method is not None and b.method is not None and a.method != b.method:
        return False
    return _same_task(a, b)


def _same_task(a: Record, b: Record) -> bool:
    """Return whether two records may be of one task: by ground where both have it, else by name, else by area."""
    if a.name is not None and a.name == b.name:
        return True
    if a.geometry is not None and b.geometry is not None:
        return _share_ground(a, b)
    if a.name is not None and b.name is not None:
        return False
    if a.area_ids and b.area_ids:
        return bool(a.area_ids & b.area_ids)
    return True


def inside(part: Fact, whole: Fact) -> bool:
    """Return whether one fact is a part of another (and not the same)."""
    if part is whole or not overlap(part, whole) or part.first < whole.first or part.last > whole.last:
        return False
    a, b = part.record, whole.record
    if b.districts and not (a.districts and a.districts <= b.districts):
        return False
    if b.method is not None and a.method != b.method:
        return False
    if b.name is not None:
        return a.name == b.name
    if b.area_ids:
        return bool(a.area_ids) and a.area_ids <= b.area_ids
    if b.geometry is not None:
        return a.geometry is not None and bool(shapely.covers(b.geometry, a.geometry))
    return True


def _on_one_ground(facts: Sequence[Fact]) -> list[tuple[int, int]]:
    """Return pairs of facts of one agency and activity whose polygons share ground, whatever their days."""
    located = [i for i, fact in enumerate(facts) if fact.record.geometry is not None]
    shapes = np.array([facts[i].record.geometry for i in located], dtype=object)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = []
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        one, other = facts[located[a]].record, facts[located[b]].record
        if a < b and (one.agency, one.activity) == (other.agency, other.activity) and _share_ground(one, other):
            pairs.append((located[a], located[b]))
    return pairs


def _share_ground(a: Record, b: Record) -> bool:
    shared = shapely.area(shapely.intersection(a.geometry, b.geometry))
    return bool(shared > SHARED_GROUND * min(shapely.area(a.geometry), shapely.area(b.geometry)))
