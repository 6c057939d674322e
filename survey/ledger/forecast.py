"""What finishes when: work in team-days against the teams and machines that are, or will be, at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from survey.ledger.records import Record

PACES = ("fast", "typical", "slow")
"""Of the team-days: the fewest, the typical number, the most."""

_FARTHEST = 100
"""Years ahead beyond which no date is given."""


@dataclass(frozen=True)
class Team:
    """Assets of one kind that are at hand from a day."""

    count: int
    since: date
    record: str


@dataclass(frozen=True)
class Finish:
    """When a kind of team is through with its work.

    Attributes
    ----------
    resource : str
    team_days : (float, float, float)
        At the fast, typical and slow rate.
    days : (date or None, date or None, date or None)
        When it is done; None where it never is with what is recorded.
    teams : tuple of Team
    """

    resource: str
    team_days: tuple[float, float, float]
    days: tuple[date | None, date | None, date | None]
    teams: tuple[Team, ...]


def teams_of(records: Iterable[Record]) -> dict[str, tuple[Team, ...]]:
    """Return the teams and machines by kind, each from the day it is, or is expected, at hand."""
    found: dict[str, list[Team]] = {}
    for record in lots(records):
        if record.state != "withdrawn" and record.count and record.last is not None:
            found.setdefault(next(iter(record.assets)), []).append(Team(record.count, record.last, record.record_id))
    return {kind: tuple(sorted(teams, key=lambda one: (one.since, one.record))) for kind, teams in found.items()}


def lots(records: Iterable[Record]) -> list[Record]:
    """Return the newest record on each lot of assets: the same agency, kind and name."""
    newest: dict[Any, Record] = {}
    for record in records:
        if record.kind != "asset":
            continue
        key = (record.agency, record.name, *record.assets)
        before = newest.get(key)
        if before is None or _told(before) < _told(record):
            newest[key] = record
    return sorted(newest.values(), key=lambda one: (one.last or date.max, one.record_id))


def _told(record: Record) -> tuple[str, date, bool, str]:
    return (record.source_date, record.last or date.min, record.state != "expected", record.record_id)


def finishes(
    work: Mapping[str, tuple[float, float, float]],
    teams: Mapping[str, Sequence[Team]],
    start: date,
    days_a_week: int,
) -> list[Finish]:
    """Return when each kind of team is done. Kinds work side by side; what must follow in one area is not scheduled.

    Parameters
    ----------
    work : mapping of (float, float, float)
        Team-days by kind of team, at the fast, typical and slow rate.
    teams : mapping of sequence of Team
        By kind.
    start : date
        First day of work.
    days_a_week : int
        Working days: 5 Monday to Friday, 6 to Saturday, 7 all.
    """
    result = []
    for resource in sorted(work):
        at_hand = tuple(teams.get(resource, ()))
        fast, typical, slow = (_done(days, at_hand, start, days_a_week) for days in work[resource])
        result.append(Finish(resource, work[resource], (fast, typical, slow), at_hand))
    return result


def bottleneck(done: Sequence[Finish]) -> Finish | None:
    """Return what holds everything up: the kind that never finishes, or finishes last at the typical rate."""
    busy = [one for one in done if one.team_days[1] > 0]
    return max(busy, key=lambda one: (one.days[1] or date.max, one.team_days[1])) if busy else None


def working_days(first: date, last: date, days_a_week: int) -> int:
    """Return the number of working days from a day to another, both included.

    Examples
    --------
    >>> working_days(date(2022, 4, 15), date(2022, 4, 30), 5)
    11
    """
    if last < first:
        return 0
    return int(np.busday_count(first, np.datetime64(last) + 1, weekmask=_mask(days_a_week)))


def _done(team_days: float, teams: Sequence[Team], start: date, days_a_week: int) -> date | None:
    """Return the working day on which teams that come one after the other have done some team-days."""
    if team_days <= 0:
        return start
    mask = _mask(days_a_week)
    left, count = team_days, 0
    changes = sorted({max(team.since, start) for team in teams})
    for number, day in enumerate(changes):
        count = sum(team.count for team in teams if max(team.since, start) <= day)
        first = np.busday_offset(day, 0, roll="forward", weekmask=mask)
        needed = int(np.ceil(left / count - 1e-9)) if count else None
        if number + 1 < len(changes):
            span = int(np.busday_count(day, changes[number + 1], weekmask=mask))
            if needed is None or needed > span:
                left -= span * count
                continue
        if needed is None or needed > _FARTHEST * 52 * days_a_week:
            return None
        end: date = np.busday_offset(first, needed - 1, weekmask=mask).astype(date)
        return end
    return None


def _mask(days_a_week: int) -> str:
    return "1" * days_a_week + "0" * (7 - days_a_week)
