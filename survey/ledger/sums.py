"""Sums in which nothing is counted twice: facts told by several sources, parts of a whole, periods that overlap.

A *fact* is one piece of work: an agency, an activity, districts, days, a task. Records that tell the same fact are
one fact. Facts that lie inside another are parts of it and not added to it. Facts that overlap without one holding
the other cannot be told apart: the sum lies between the largest set that does not overlap and all of them.
Figures of a period and figures up to a date never meet in one sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import shapely

from survey.ledger.book import MOST_OF_POLYGON, square_metres
from survey.ledger.figures import Figure, agreed, total
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


@dataclass(frozen=True)
class Summed:
    """A sum and the facts it counts.

    Attributes
    ----------
    figure : Figure or None
        None where nothing was reported.
    counted : tuple of Fact
        Each counted once.
    parts : tuple of Fact
        Inside a counted one, so not added.
    overlapping : tuple of Fact
        Those that could not be told apart.
    """

    figure: Figure | None
    counted: tuple[Fact, ...] = ()
    parts: tuple[Fact, ...] = ()
    overlapping: tuple[Fact, ...] = ()


def hectares_of(record: Record) -> Figure | None:
    """Measure: hectares."""
    return record.area


def items_of(record: Record) -> Figure | None:
    """Measure: items of every kind."""
    return record.items


def in_period(records: Iterable[Record], first: date, last: date) -> tuple[list[Record], list[Record]]:
    """Return the records of work done wholly between two days, and those that only reach into them."""
    inside, across = [], []
    for record in records:
        if record.basis != "period" or record.first is None or record.last is None:
            continue
        if first <= record.first and record.last <= last:
            inside.append(record)
        elif record.first <= last and first <= record.last:
            across.append(record)
    return inside, across


def latest_cumulative(records: Iterable[Record], last: date) -> tuple[list[Record], list[Record]]:
    """Return the newest figures up to a date, and older ones that are larger (which cannot both be right).

    Of figures about the same work since the same day, the one that reaches furthest, to ``last`` at most, stands.
    """
    series: defaultdict[Any, list[Record]] = defaultdict(list)
    for record in records:
        if record.basis == "cumulative" and record.last is not None and record.last <= last:
            series[(record.agency, record.activity, *_place_key(record), record.first)].append(record)
    newest, fallen = [], []
    for told in series.values():
        end = max(record.last for record in told if record.last is not None)
        kept = [record for record in told if record.last == end]
        newest += kept
        for measure in (hectares_of, items_of):
            tops = [f.high for f in map(measure, kept) if f is not None and f.high is not None]
            top = max(tops, default=None)
            for record in told:
                figure = measure(record)
                if record.last != end and figure is not None and top is not None and figure.low > top:
                    fallen.append(record)
    return newest, list({record.record_id: record for record in fallen}.values())


def summed(records: Iterable[Record], measure: Measure) -> Summed:
    """Return the sum of what records report, nothing twice, whatever their order.

    Parameters
    ----------
    records : iterable of Record
        Activities of one basis: all of periods, or all up to a date.
    measure : callable
        :func:`hectares_of` or :func:`items_of`.
    """
    known = [record for record in records if measure(record) is not None]
    if len({record.basis for record in known}) > 1:
        raise ValueError("figures of a period and figures up to a date are never added together")
    results = [_resolved(group, measure) for group in _groups(facts_of(known))]
    return Summed(
        total(one.figure for one in results if one.figure is not None),
        tuple(fact for one in results for fact in one.counted),
        tuple(fact for one in results for fact in one.parts),
        tuple(fact for one in results for fact in one.overlapping),
    )


def items_by_kind(done: Summed) -> dict[str, Figure]:
    """Return the items of a sum by kind; empty where some of it could not be told apart."""
    if done.overlapping:
        return {}
    kinds: dict[str, list[Figure]] = defaultdict(list)
    for fact in done.counted:
        for kind in sorted({kind for record in fact.records for kind in record.items_by_kind}):
            kinds[kind].append(agreed(r.items_by_kind[kind] for r in fact.records if kind in r.items_by_kind))
    return {kind: one for kind, figures in sorted(kinds.items()) if (one := total(figures)) is not None}


def facts_of(records: Iterable[Record]) -> list[Fact]:
    """Return the facts that records tell, ordered by what they are about."""
    told: defaultdict[Any, list[Record]] = defaultdict(list)
    for record in records:
        told[(record.agency, record.activity, *_place_key(record), record.first, record.last)].append(record)
    facts = [Fact(tuple(sorted(group, key=lambda one: one.record_id))) for group in told.values()]
    return sorted(facts, key=lambda fact: (fact.first, fact.last, fact.record.record_id))


def _place_key(record: Record) -> tuple[Any, ...]:
    """Return what tells the work of one record from that of another, besides agency, activity and days."""
    shape = record.geometry
    # A named task is that task, whichever outline a source drew of it.
    ground = None if shape is None or record.name is not None else shapely.to_wkb(shapely.normalize(shape))
    return (record.districts, record.name, record.method, record.area_ids, ground)


def _groups(facts: Sequence[Fact]) -> list[list[Fact]]:
    """Return the facts in groups that are linked by overlaps."""
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


def _resolved(group: Sequence[Fact], measure: Measure) -> Summed:
    """Return the sum of facts that are linked by overlaps."""
    part_of = [any(inside(fact, other) for other in group) for fact in group]
    wholes = [fact for fact, within in zip(group, part_of, strict=True) if not within]
    parts = tuple(fact for fact, within in zip(group, part_of, strict=True) if within)
    if any(overlap(one, other) for one, other in combinations(wholes, 2)):
        return Summed(_surely_and_at_most(wholes, parts, measure), tuple(wholes), parts, tuple(wholes))
    figures = [_with_parts(one, [part for part in parts if inside(part, one)], measure) for one in wholes]
    every = total(figures)
    assert every is not None
    low = None if len(wholes) == 1 else _on_shared_ground(wholes, figures, measure)
    if low is None:
        return Summed(every, tuple(wholes), parts)
    return Summed(replace(every, low=low, disagree=True), tuple(wholes), parts, tuple(wholes))


def _surely_and_at_most(facts: Sequence[Fact], parts: Sequence[Fact], measure: Measure) -> Figure:
    """Return the range of facts of which none holds another: from those that do not overlap to all of them."""
    known = [(figure, fact) for fact in facts if (figure := fact.figure(measure)) is not None]
    every = total(figure for figure, _ in known)
    assert every is not None
    apart: list[Fact] = []
    least = Decimal(0)
    for figure, fact in sorted(known, key=lambda one: (-one[0].low, one[1].first, one[1].last)):
        if not any(overlap(fact, other) for other in apart):
            apart.append(fact)
            least += figure.low
    come_to, _, _ = _together(parts, measure)
    high = every.high
    if high is not None and come_to is not None:
        high = None if come_to.high is None else max(high, come_to.high)
    return replace(every, low=least, high=high, disagree=True)


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


def _on_shared_ground(facts: Sequence[Fact], figures: Sequence[Figure], measure: Measure) -> Decimal | None:
    """Return the least land of work on one ground on different days; None where it is the sum.

    Progress on a task adds up to its ground at most. Hectares beyond that were worked on twice: the land is at least
    the largest figure, the work all of them. Items are never found twice.
    """
    located = [(f, figure.low) for f, figure in zip(facts, figures, strict=True) if f.record.geometry is not None]
    enclosed = square_metres(shapely.union_all([fact.record.geometry for fact, _ in located])) / 1e4
    claimed = sum((low for _, low in located), Decimal(0))
    if measure is not hectares_of or float(claimed) <= enclosed * MOST_OF_POLYGON:
        return None
    return max(figure.low for figure in figures)


def _with_parts(whole: Fact, parts: Sequence[Fact], measure: Measure) -> Figure:
    """Return the figure of a whole, agreed with its parts where they make all of it or more than it."""
    own = whole.figure(measure)
    assert own is not None
    by_days = [part for part in parts if _place_key(part.record) == _place_key(whole.record)]
    by_districts = [part for part in parts if (part.first, part.last) == (whole.first, whole.last)]
    for some, fill in ((by_days, _fill_the_days), (by_districts, _fill_the_districts)):
        figure, counted, sure = _together(some, measure)
        if figure is not None and sure and fill(whole, counted):
            return agreed([own, figure])
    come_to, _, _ = _together(parts, measure)
    if come_to is None or own.high is None:
        return own
    largest = max(figure.low for part in parts if (figure := part.figure(measure)) is not None)
    if max(come_to.low, largest) > own.high:
        # What is inside is more than what it is inside of: both stand.
        return replace(agreed([own, come_to]), low=own.low, disagree=True)
    return own


def _together(facts: Sequence[Fact], measure: Measure) -> tuple[Figure | None, list[Fact], bool]:
    """Return what facts come to, those counted in it, and whether all could be told apart."""
    results = [_resolved(group, measure) for group in _groups(facts)]
    counted = [fact for one in results for fact in one.counted]
    sure = not any(one.overlapping for one in results)
    return total(one.figure for one in results if one.figure is not None), counted, sure


def _fill_the_days(whole: Fact, split: Sequence[Fact]) -> bool:
    """Return whether parts follow each other from the first day of the whole to its last."""
    days = sorted((part.first, part.last) for part in split)
    follow = all(later[0] - earlier[1] == timedelta(days=1) for earlier, later in pairwise(days))
    return bool(days) and follow and days[0][0] == whole.first and days[-1][1] == whole.last


def _fill_the_districts(whole: Fact, split: Sequence[Fact]) -> bool:
    """Return whether parts of the same days make up all districts of the whole, and differ in nothing else."""
    rest = _place_key(whole.record)[1:]
    named = frozenset(name for part in split for name in part.record.districts)
    return bool(split) and named == whole.record.districts and all(_place_key(p.record)[1:] == rest for p in split)
