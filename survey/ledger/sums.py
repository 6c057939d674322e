"""Sums in which nothing is counted twice: facts told by several sources, parts of a whole, periods that overlap.

A *fact* is one piece of work: an agency, an activity, districts, days, a task. Records that tell the same fact are
one fact. Facts that lie inside another are parts of it and not added to it. Facts that overlap without one holding
the other cannot be told apart: the sum lies between the largest set that does not overlap and all of them.
Figures of a period and figures up to a date never meet in one sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Any

import shapely

from survey.ledger.book import MOST_OF_POLYGON, square_metres
from survey.ledger.facts import Fact, Measure, facts_of, hectares_of, inside, items_of, linked, overlap, place_key
from survey.ledger.figures import Figure, agreed, total
from survey.ledger.records import Record


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
            series[(record.agency, record.activity, *place_key(record), record.first)].append(record)
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
    results = [_resolved(group, measure) for group in linked(facts_of(known))]
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
    by_days = [part for part in parts if place_key(part.record) == place_key(whole.record)]
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
    results = [_resolved(group, measure) for group in linked(facts)]
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
    rest = place_key(whole.record)[1:]
    named = frozenset(name for part in split for name in part.record.districts)
    return bool(split) and named == whole.record.districts and all(place_key(p.record)[1:] == rest for p in split)
