"""Hectares by district: every square metre of a district in one column, and the columns add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely

from survey.contamination.cells import cell_areas
from survey.contamination.density import find_cells
from survey.contamination.ground import detectability_of, share_out
from survey.contamination.overlay import CRUMB_M2, split
from survey.contamination.plane import Floats, Geometries, Ints, merged, polygons_only
from survey.errors import LayerError
from survey.hazards import FAMILIES, ITEM_FAMILIES, classes
from survey.layers import DISTRICT_CLASSES
from survey.rounding import largest_remainder

NO_IMAGERY = "no imagery"
"""Reason of district ground that no scene covers."""

_TOLERANCE_M2 = 0.01
_SLIVER_M2 = 1.0
"""Parts of the ground without imagery that are drawn only from this size on, square metres: gaps between cells of
neighbouring pieces are narrower than a hair, and they are counted, not drawn."""

_SHARE_FOR_CLASS = 0.01
"""Share of the analysed ground a class must hold to be the district's: 1 %."""


@dataclass(frozen=True)
class DistrictGround:
    """Imaged ground cut by districts.

    Attributes
    ----------
    district_m2 : array, shape (districts,)
    piece, district : int arrays, shape (n,)
        Position in the ground table and in the districts.
    shapes : array of geometry, shape (n,)
        What they share.
    unseen : array of geometry, shape (districts,)
        Ground of each district without imagery.
    """

    district_m2: Floats
    piece: Ints
    district: Ints
    shapes: Geometries
    unseen: Geometries


def cut_by_district(ground: pd.DataFrame, footprints: Geometries, districts: Geometries) -> DistrictGround:
    """Cut imaged ground by districts, and find what no imagery covers.

    Parameters
    ----------
    ground, footprints
        From :func:`survey.contamination.ground.join_coverage`.
    districts : array of geometry
        Disjoint, on the plane.

    Raises
    ------
    LayerError
        The parts do not add up to the district, to within 0.01 square metres or a billionth of it, and a crumb
        (:data:`survey.contamination.overlay.CRUMB_M2`) for each scene that meets others there: a bug, not bad data.
    """
    shapes = ground["shape"].to_numpy(dtype=object)
    piece, district, parts = share_out(shapes, districts)
    district_m2 = shapely.area(districts) if len(districts) else np.zeros(0)
    unseen = districts.copy()
    reached, scene = shapely.STRtree(footprints).query(districts, predicate="intersects")
    for index in np.unique(reached):
        seen = polygons_only(np.array([shapely.union_all(footprints[scene[reached == index]])], dtype=object))
        _, unseen[index : index + 1] = split(districts[index : index + 1], seen)
    imaged = np.bincount(district, weights=shapely.area(parts), minlength=len(districts))
    residual = np.abs(district_m2 - imaged - shapely.area(unseen)) if len(districts) else np.zeros(0)
    # Where scenes lie edge to edge each edge is drawn twice, nanometres apart, and what is between is left to both.
    crumbs = CRUMB_M2 * np.bincount(reached, minlength=len(districts))
    tolerance = np.maximum(_TOLERANCE_M2, 1e-9 * district_m2) + crumbs
    if (residual > tolerance).any():
        worst = int(np.argmax(residual))
        raise LayerError(
            f"The ground of district number {worst + 1} does not add up: {residual[worst]:.3f} m2 are counted twice or "
            f"not at all. Please report this with the job's districts and coverage."
        )
    parts_unseen, owner = shapely.get_parts(unseen, return_index=True)
    drawn = shapely.area(parts_unseen) >= _SLIVER_M2
    unseen = merged(parts_unseen[drawn], owner[drawn], len(districts))
    return DistrictGround(district_m2, piece, district, parts, unseen)


def class_square_metres(cut: DistrictGround, ground: pd.DataFrame, cells: pd.DataFrame, cell_m: float) -> list[Floats]:
    """Return analysed square metres of each district by density class, with all objects and confirmed ones alone.

    Returns
    -------
    list of two arrays, shape (districts, len(DISTRICT_CLASSES))
    """
    count, width = len(cut.district_m2), len(DISTRICT_CLASSES)
    analysed = (ground["status"] == "analysed").to_numpy()[cut.piece]
    table = cell_areas(cut.shapes[analysed], cell_m)
    at = find_cells(cells, table)
    district = cut.district[analysed][table["shape"].to_numpy()]
    sums = []
    for column in ("number", "confirmed_number"):
        group = district * width + cells[column].to_numpy()[at]
        flat = np.bincount(group, weights=table["area_m2"].to_numpy(), minlength=count * width)
        sums.append(np.asarray(flat.reshape(count, width), dtype=np.float64))
    return sums


def hectares(cut: DistrictGround, ground: pd.DataFrame, by_class: list[Floats]) -> pd.DataFrame:
    """Return the hectare columns of the ``districts`` layer, rounded to the square metre so that they add up."""
    count = len(cut.district_m2)
    status = ground["status"].to_numpy(dtype=object)[cut.piece]
    square_metres = shapely.area(cut.shapes)

    def total(wanted: str) -> Floats:
        chosen = status == wanted
        sums = np.bincount(cut.district[chosen], weights=square_metres[chosen], minlength=count)
        return np.asarray(sums, dtype=np.float64)

    not_assessable = total("not_assessable")
    parts = np.column_stack([by_class[0], not_assessable])
    parts = np.column_stack([parts, np.maximum(cut.district_m2 - parts.sum(axis=1), 0.0)]) / 1e4
    rounded = largest_remainder(parts, cut.district_m2 / 1e4)
    names = [f"{name}_ha" for name in DISTRICT_CLASSES]
    table = pd.DataFrame(rounded, columns=[*names, "not_assessable_ha", "not_analysed_ha"])
    table["analysed_ha"] = table[names].sum(axis=1).round(4)
    table["district_ha"] = np.round(cut.district_m2 / 1e4, 4)
    sure = largest_remainder(by_class[1] / 1e4, table["analysed_ha"].to_numpy())
    for column, name in zip(sure.T, DISTRICT_CLASSES, strict=True):
        table[f"confirmed_{name}_ha"] = column
    table["contamination_class"] = _class_of(by_class[0])
    table["confirmed_class"] = _class_of(by_class[1])
    return table


def _class_of(square_metres: Floats) -> list[str | None]:
    """Return the highest class that holds at least 1 % of the analysed ground; nothing where none was analysed."""
    analysed = square_metres.sum(axis=1)
    names: list[str | None] = []
    for row, whole in zip(square_metres, analysed, strict=True):
        if whole <= 0.0:
            names.append(None)
            continue
        holds = np.flatnonzero(row[1:] >= _SHARE_FOR_CLASS * whole) + 1
        names.append(DISTRICT_CLASSES[holds.max()] if len(holds) else DISTRICT_CLASSES[0])
    return names


def coverage_by_family(cut: DistrictGround, ground: pd.DataFrame, districts: pd.DataFrame) -> pd.DataFrame:
    """Return, for each district and family, imaged ground on which the family could and could not have been seen.

    Parameters
    ----------
    districts : DataFrame
        ``district_code``, ``analysed_ha`` and ``not_assessable_ha`` of each district.
    """
    known = {c.family for c in classes().values()} - {"unknown", "clutter"}
    seen = [set(f.split(";")) for f in ground["families"]]
    wanted = [f for f in FAMILIES if f in known.union(*seen)]
    status = ground["status"].to_numpy(dtype=object)[cut.piece]
    square_metres = np.where(status == "not_analysed", 0.0, shapely.area(cut.shapes))
    imaged = np.round((districts["analysed_ha"] + districts["not_assessable_ha"]).to_numpy(dtype=np.float64), 4)
    share = detectability_of(ground)[cut.piece]
    tables = []
    for family in wanted:
        shown = np.array([family in s for s in seen], dtype=bool)[cut.piece]
        if family in ITEM_FAMILIES:
            shown = shown & (status == "analysed")
        where, ground_m2 = cut.district[shown], square_metres[shown]
        square = np.bincount(where, weights=ground_m2, minlength=len(districts))
        found = np.bincount(where, weights=ground_m2 * share[shown, FAMILIES.index(family)], minlength=len(districts))
        detectability = np.divide(found, square, out=np.full(len(districts), np.nan), where=square > 0)
        visible = np.minimum(np.round(square / 1e4, 4), imaged)
        tables.append(
            pd.DataFrame(
                {
                    "district_code": districts["district_code"].to_numpy(dtype=object),
                    "family": family,
                    "analysed_ha": visible,
                    "not_assessable_ha": np.round(imaged - visible, 4),
                    "detectability": np.round(detectability, 4),
                }
            )
        )
    if not tables:
        return pd.DataFrame()
    joined = pd.concat(tables, ignore_index=True)
    place = np.tile(np.arange(len(districts)), len(wanted))
    return joined.iloc[np.argsort(place, kind="stable")].reset_index(drop=True)
