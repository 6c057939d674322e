"""What remains: hazard areas less the ground that records with polygons hand over, overlap counted once.

Everything here is measured on one equal-area plane, metres, on which the caller has laid areas, districts and the
ground of records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from survey.ledger.records import Record
from survey.ledger.vocabulary import Stage
from survey.rounding import largest_remainder

Geometries = npt.NDArray[np.object_]
State = Literal["handed_over", "closed", "suspended", "worked_on"]

STATES: tuple[State, ...] = ("handed_over", "closed", "suspended", "worked_on")
"""What a record makes of ground, the furthest first: ground in two of them counts in the first.

handed over: completed, with the authority's decision. closed: completed, decision open. suspended and worked on: as
recorded.
"""
WHOLE_AREA = 0.999
"""Share of an area that must be completed for the area to be; what is left out is the noise of digitising. No
published threshold."""
LEAST_CLAIMED = 0.95
"""Share of its ground that the hectares of a record must reach for all of it to be finished. No published threshold."""


@dataclass(frozen=True)
class Worked:
    """A record and what it makes of ground.

    Attributes
    ----------
    record : Record
    state : str
        One of :data:`STATES`.
    ground : Polygon, MultiPolygon or None
        On the plane; None where the record names whole areas.
    """

    record: Record
    state: State
    ground: Any

    @property
    def order(self) -> tuple[date, int, str]:
        """Later, and on the same day further, comes last."""
        return (self.record.last or date.min, -STATES.index(self.state), self.record.record_id)


def states_of(records: Iterable[Record], stage: Mapping[str, Stage], to: date) -> list[tuple[Record, State]]:
    """Return the activities that say something about the state of ground by a day.

    Ground that was only looked at never changes its state; a non-technical survey changes it only by the authority's
    decision; a spot task removes an item and says nothing of the ground. A record that gives hectares and no state
    counts as work on the ground, never as completed.
    """
    found = []
    for record in records:
        if record.kind == "activity" and record.last is not None and record.last <= to:
            state = _state(record, stage[record.activity or ""])
            if state is not None:
                found.append((record, state))
    return found


def _state(record: Record, stage: Stage) -> State | None:
    if stage in ("looked", "spot") or record.state == "planned":
        return None
    if record.state == "completed" and record.decision == "handed_over":
        return "handed_over"
    if stage == "survey":
        return None
    if record.state == "completed" and record.decision is None:
        return "closed"
    return "suspended" if record.state == "suspended" else "worked_on"


def cut(areas: Geometries, worked: Sequence[Worked], area_ids: Sequence[str]) -> pd.DataFrame:
    """Return what records make of each area: on every piece of ground the newest record stands.

    Parameters
    ----------
    areas : array of Polygon or MultiPolygon
        On the plane. Ground that two areas share counts in the first.
    worked : sequence of Worked
    area_ids : sequence of str
        Identity of each area.

    Returns
    -------
    DataFrame
        One row an area: ``area_m2``, a column of m2 and one of geometry (``..._ground``) for each of :data:`STATES`
        and for ``open``, and ``records`` (identities, sorted, of those that touch it). Square metres are whole, and
        those of the states and of ``open`` add up to ``area_m2``.
    """
    areas = _apart(areas)
    placed = _newest(_placed(areas, worked, area_ids))
    columns: dict[str, Any] = {"area_m2": shapely.area(areas)}
    left = areas
    for state in STATES:
        union = shapely.union_all([one.ground for one in placed if one.state == state] or [shapely.MultiPolygon()])
        shapely.prepare(union)
        columns[f"{state}_ground"] = shapely.intersection(left, union)
        columns[state] = shapely.area(columns[f"{state}_ground"])
        touched = columns[state] > 0.0
        left = left.copy()
        left[touched] = shapely.difference(left[touched], union)
    columns["open"] = shapely.area(left)
    columns["open_ground"] = left
    columns["area_m2"] = np.rint(columns["area_m2"])
    parts = np.column_stack([columns[state] for state in (*STATES, "open")])
    whole = largest_remainder(parts, columns["area_m2"], 0)
    columns |= dict(zip((*STATES, "open"), whole.T, strict=True))
    columns["records"] = _touching(areas, placed)
    return pd.DataFrame(columns)


def _placed(areas: Geometries, worked: Sequence[Worked], area_ids: Sequence[str]) -> list[Worked]:
    """Return the records with the ground they speak of; one that names whole areas has theirs."""
    position = {area: i for i, area in enumerate(area_ids)}
    placed = []
    for one in worked:
        ground = one.ground
        if ground is None:
            named = [position[area] for area in sorted(one.record.area_ids) if area in position]
            if not named:
                continue
            ground = shapely.union_all(areas[named])
        placed.append(Worked(one.record, _claimed(one, ground), ground))
    return placed


def _claimed(one: Worked, ground: Any) -> State:
    """Return what a record makes of its ground: fewer finished hectares than it has may lie anywhere on it."""
    claimed = one.record.area
    if claimed is None or one.state not in ("handed_over", "closed"):
        return one.state
    most = float(claimed.low if claimed.high is None else claimed.high) * 1e4
    return one.state if most >= LEAST_CLAIMED * shapely.area(ground) else "worked_on"


def _newest(placed: Sequence[Worked]) -> list[Worked]:
    """Return the records with the ground that no newer one speaks of."""
    ordered = sorted(placed, key=lambda one: one.order)
    grounds = np.array([one.ground for one in ordered], dtype=object)
    first, second = shapely.STRtree(grounds).query(grounds, predicate="intersects")
    newer: dict[int, list[int]] = {}
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        if i < j and ordered[i].state != ordered[j].state:
            newer.setdefault(i, []).append(j)
    return [
        Worked(one.record, one.state, shapely.difference(one.ground, shapely.union_all(grounds[newer[i]])))
        if i in newer
        else one
        for i, one in enumerate(ordered)
    ]


def _apart(areas: Geometries) -> Geometries:
    """Return the areas without the ground that an earlier one holds."""
    result = areas.copy()
    first, second = shapely.STRtree(areas).query(areas, predicate="intersects")
    for i, j in sorted(zip(first.tolist(), second.tolist(), strict=True)):
        if i < j and shapely.relate_pattern(result[i], result[j], "T********"):
            result[j] = shapely.difference(result[j], result[i])
    return result


def _touching(areas: Geometries, placed: Sequence[Worked]) -> list[tuple[str, ...]]:
    touching: list[set[str]] = [set() for _ in areas]
    tree = shapely.STRtree(areas)
    for one in placed:
        for i in tree.query(one.ground, predicate="intersects"):
            if shapely.relate_pattern(areas[i], one.ground, "T********"):
                touching[int(i)].add(one.record.record_id)
    return [tuple(sorted(one)) for one in touching]


def statuses(pieces: pd.DataFrame) -> list[str]:
    """Return the state of work of each area, from what records make of its ground.

    An area is released, or closed, where all of it is; suspended where nothing but suspended work is on it; worked
    on where there is any work; else open.
    """
    whole = pieces["area_m2"].to_numpy(dtype=np.float64) * WHOLE_AREA
    handed = pieces["handed_over"].to_numpy(dtype=np.float64)
    done = handed + pieces["closed"].to_numpy(dtype=np.float64)
    suspended = pieces["suspended"].to_numpy(dtype=np.float64)
    under_way = pieces["worked_on"].to_numpy(dtype=np.float64)
    choices = [
        ("released", handed >= whole),
        ("closed", done >= whole),
        ("suspended", (suspended > 0) & (under_way == 0)),
        ("worked_on", (under_way > 0) | (done > 0)),
    ]
    return [str(one) for one in np.select([c for _, c in choices], [name for name, _ in choices], default="open")]


def by_group(pieces: pd.DataFrame, group: Sequence[str | None]) -> pd.DataFrame:
    """Return square metres by state of work and group (density class, method), and how many areas there are.

    Returns
    -------
    DataFrame
        Indexed by group: ``n_areas``, ``area_m2``, the states, ``open``, and ``remaining``: everything that is not
        handed over.
    """
    names = ["area_m2", *STATES, "open"]
    table = pieces[names].assign(group=[one or "not stated" for one in group])
    sums = table.groupby("group", sort=True)[names].sum()
    sums.insert(0, "n_areas", table.groupby("group", sort=True).size())
    return sums.assign(remaining=sums["area_m2"] - sums["handed_over"])


def by_district(pieces: pd.DataFrame, districts: Geometries, names: Sequence[str]) -> pd.DataFrame:
    """Return square metres of hazard areas by state of work and district; outside every district, the last row.

    Parameters
    ----------
    pieces : DataFrame
        As :func:`cut` gives it.
    districts : array of MultiPolygon
        On the plane, disjoint.
    names : sequence of str
    """
    columns = {}
    for state in (*STATES, "open"):
        ground = pieces[f"{state}_ground"].to_numpy(dtype=object)
        total = pieces[state].to_numpy(dtype=np.float64)
        inside = [shapely.area(shapely.intersection(ground, district)) for district in districts]
        outside = np.maximum(shapely.area(ground) - np.sum(inside, axis=0), 0.0)
        columns[state] = largest_remainder(np.column_stack([*inside, outside]), total, 0).sum(axis=0)
    table = pd.DataFrame(columns, index=[*names, "outside every district"])
    whole = table.sum(axis=1)
    table.insert(0, "area_m2", whole)
    return table.assign(remaining=whole - table["handed_over"])
