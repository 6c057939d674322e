"""What remains: the sections of the report that join the ledger with a survey."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd

from survey.ledger.book import Book
from survey.ledger.document import Cell, Notes, Section, Table
from survey.ledger.done import EVERYWHERE
from survey.ledger.facts import hectares_of, items_of
from survey.ledger.figures import grouped
from survey.ledger.records import Record
from survey.ledger.remaining import STATES, by_district, by_group, statuses
from survey.ledger.sums import in_period, latest_cumulative, summed
from survey.ledger.vocabulary import Vocabulary

_COLUMNS = (
    "Hectares",
    "Handed over",
    "Completed, decision open",
    "Suspended",
    "Worked on",
    "No work recorded",
    "Remaining",
)


@dataclass(frozen=True)
class Remains:
    """What a survey found and what records make of it.

    Attributes
    ----------
    areas : DataFrame
        One row a hazard area: ``area_id``, ``density_class``, ``method_primary``.
    pieces : DataFrame
        As :func:`survey.ledger.remaining.cut` gives it, in the order of ``areas``.
    districts : DataFrame
        ``district_name``, ``analysed_ha``, ``not_assessable_ha``, ``not_analysed_ha``.
    grounds : array of MultiPolygon
        Districts on the plane, disjoint, in the order of ``districts``.
    steps : DataFrame
        Team-days of the whole areas: ``area`` (position), ``resource``, ``effort_days_min``, ``_typical``, ``_max``.
    origin : str
        Where the survey's figures come from: file and run.
    """

    areas: pd.DataFrame
    pieces: pd.DataFrame
    districts: pd.DataFrame
    grounds: np.ndarray
    steps: pd.DataFrame
    origin: str

    @property
    def open_share(self) -> np.ndarray:
        """Share of each area on which work still has to be done: neither handed over nor completed."""
        whole = self.pieces["area_m2"].to_numpy(dtype=np.float64)
        done = (self.pieces["handed_over"] + self.pieces["closed"]).to_numpy(dtype=np.float64)
        return np.clip(1.0 - done / np.maximum(whole, 1e-9), 0.0, 1.0)

    def work(self, area_ids: frozenset[str] | None = None) -> dict[str, tuple[float, float, float]]:
        """Return the team-days that are left by kind of team, of some areas or of all."""
        share = self.open_share
        if area_ids is not None:
            share = np.where(self.areas["area_id"].isin(area_ids), share, 0.0)
        position = self.steps["area"].to_numpy(dtype=np.int64)
        names = ["effort_days_min", "effort_days_typical", "effort_days_max"]
        left = self.steps[names].mul(share[position], axis=0).groupby(self.steps["resource"]).sum()
        return {
            str(r): (float(v[0]), float(v[1]), float(v[2])) for r, v in zip(left.index, left.to_numpy(), strict=True)
        }


def hectares(square_metres: float) -> str:
    """Return whole square metres as hectares in words, to the square metre."""
    return grouped(Decimal(round(square_metres)) / 10_000)


def remaining_line(remains: Remains | None, notes: Notes) -> Cell:
    """Return the sentence about what remains."""
    if remains is None:
        return Cell("What remains is not known: the report was made without a survey.")
    whole, handed = remains.pieces[["area_m2", "handed_over"]].sum()
    said = f"{hectares(whole - handed)} ha of hazard areas remain of {hectares(whole)} ha proposed by the survey"
    return Cell(f"{said}; {hectares(handed)} ha are handed over.", origin_of(remains, notes))


def remaining_sections(book: Book, words: Vocabulary, to: date, remains: Remains | None, notes: Notes) -> list[Section]:
    """Return the sections on what remains, and on records that do not say where they worked."""
    sections = []
    if remains is None:
        said = "Not known. The report was made without a survey: with --survey it says what remains."
        sections.append(Section("What remains", (Cell(said),)))
    else:
        sections.append(_remaining(remains, notes))
    return sections + _without_ground(book, words, to, notes)


# --- what remains ---


def origin_of(remains: Remains, notes: Notes) -> tuple[int, ...]:
    """Return the notes on the survey and on every record that touches its areas."""
    cited = {one for records in remains.pieces["records"] for one in records}
    return tuple(sorted({*notes.tell(remains.origin), *(notes.cite(cited) if cited else ())}))


def _remaining(remains: Remains, notes: Notes) -> Section:
    origin = origin_of(remains, notes)
    areas = remains.areas
    tables = [
        _grouped(
            "By density class", "Density class", by_group(remains.pieces, areas["density_class"].tolist()), origin
        ),
        _grouped("By suggested method", "Method", by_group(remains.pieces, areas["method_primary"].tolist()), origin),
    ]
    names = [str(name) for name in remains.districts["district_name"]]
    tables.append(_grouped("By district", "District", by_district(remains.pieces, remains.grounds, names), origin))
    tables.append(_statuses(remains, notes))
    unseen = float(remains.districts[["not_assessable_ha", "not_analysed_ha"]].sum().sum())
    seen = float(remains.districts["analysed_ha"].sum())
    cautions = (
        "Hazard areas are proposals from imagery to the authority. Remaining is everything that no record hands over.",
        f"{seen:,.2f} ha were analysed; what remains in the other {unseen:,.2f} ha of these districts is not known.",
        "Ground that several records cover is counted once, with the newest of them.",
        "A record that claims fewer finished hectares than its ground has counts as work on it: where they lie is not "
        "recorded.",
    )
    return Section("What remains", (), tuple(table for table in tables if table.rows), cautions)


def _grouped(caption: str, heading: str, sums: pd.DataFrame, origin: tuple[int, ...]) -> Table:
    names = ["area_m2", *STATES, "open", "remaining"]
    rows = tuple(
        (Cell(str(group).replace("_", " ")), *(Cell(hectares(row[name])) for name in names))
        for group, row in sums.iterrows()
        if row["area_m2"] > 0
    )
    whole = sums[names].sum()
    total = (Cell("All"), *(Cell(hectares(whole[name])) for name in names))
    return Table(caption, (heading, *_COLUMNS), rows, total, notes=origin)


def _statuses(remains: Remains, notes: Notes) -> Table:
    """Return the areas whose state a record has changed."""
    rows = [
        (
            Cell(str(area), notes.cite(records)),
            Cell(status.replace("_", " ")),
            Cell(hectares(whole)),
            Cell(hectares(handed)),
        )
        for area, status, whole, handed, records in zip(
            remains.areas["area_id"],
            statuses(remains.pieces),
            remains.pieces["area_m2"],
            remains.pieces["handed_over"],
            remains.pieces["records"],
            strict=True,
        )
        if status != "open"
    ]
    return Table("Areas with work on record", ("Area", "Status", "Hectares", "Handed over"), tuple(rows), None, 2)


def _without_ground(book: Book, words: Vocabulary, to: date, notes: Notes) -> list[Section]:
    """Return what was done without a polygon or an area's name: counted by district, apart."""
    groups: defaultdict[tuple[frozenset[str], str], list[Record]] = defaultdict(list)
    for r in book.of("activity"):
        if r.geometry is None and not r.area_ids and words.stage[r.activity or ""] in ("worked", "survey"):
            groups[(r.districts, r.activity or "")].append(r)
    rows = []
    for (names, activity), records in sorted(groups.items(), key=lambda item: (len(item[0][0]), sorted(item[0][0]))):
        periods = in_period(records, date.min, to)[0]
        to_date = latest_cumulative(records, to)[0]
        if periods or to_date:
            rows.append(
                (
                    Cell(", ".join(sorted(names)) or EVERYWHERE),
                    Cell(words.label[activity]),
                    notes.figure(summed(periods, hectares_of).figure, "ha"),
                    notes.figure(summed(periods, items_of).figure),
                    notes.figure(summed(to_date, hectares_of).figure, "ha"),
                    notes.figure(summed(to_date, items_of).figure),
                )
            )
    if not rows:
        return []
    columns = ("Districts", "Activity", "Hectares in periods", "Items in periods", "Hectares to date", "Items to date")
    caution = (
        "These records say in which district, not on which ground. They are not taken off any hazard area, and figures "
        "in periods and to date are not added."
    )
    return [
        Section(
            "Work recorded without its ground",
            (),
            (Table("By district", columns, tuple(rows), None, 2),),
            (caution,),
        )
    ]
