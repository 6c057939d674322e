"""Joins the ledger with a survey's outputs: hazard areas and districts on one plane with the ground of records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, cast

import geopandas as gpd
import numpy as np
import pandas as pd

from pipelines.ledger_store import Grounds, read_book
from pipelines.results import read_result
from survey.contamination.districts import lay_out, prepare_districts
from survey.contamination.effort import machines_at_hand, read_productivity, read_resources, step_days
from survey.contamination.methodology import JOIN, Methodology, methodology_rules
from survey.contamination.plane import Plane, polygons_only
from survey.errors import DistrictError
from survey.layers import DISTRICTS, HAZARD_AREAS
from survey.ledger.book import Book, square_metres
from survey.ledger.outlook import Remains
from survey.ledger.remaining import Worked, cut, states_of, statuses
from survey.ledger.vocabulary import Ledger, Vocabulary, read_vocabulary
from survey.places import Place
from survey.vectors import VECTOR_FAULTS

_NAME_FIELDS = ("district_name", "name_en", "name", "NAME")


@dataclass(frozen=True)
class Outputs:
    """What the ledger needs of a survey's output folder."""

    folder: Path
    areas: gpd.GeoDataFrame
    districts: gpd.GeoDataFrame
    record: dict[str, Any]


def read_outputs(folder: Path) -> Outputs:
    """Read hazard areas, districts and provenance of a survey.

    Raises
    ------
    OutputError
        The folder holds no whole result.
    """
    layers, record = read_result(folder, (HAZARD_AREAS, DISTRICTS))
    areas, districts = (cast("gpd.GeoDataFrame", layers[one.name]) for one in (HAZARD_AREAS, DISTRICTS))
    return Outputs(folder, areas, districts, record)


def grounds_of(words: Vocabulary, districts: gpd.GeoDataFrame | None) -> Grounds:
    """Return what records are checked against: the words, with the districts there are and their ground.

    Parameters
    ----------
    words : Vocabulary
    districts : GeoDataFrame, optional
        ``district_name``, ``aliases``, geometry in any CRS.
    """
    if districts is None or len(districts) == 0:
        return Grounds(words, {})
    shapes = districts.to_crs(4326).geometry
    places, ground = [], {}
    for name, aliases, shape in zip(districts["district_name"], districts["aliases"], shapes, strict=True):
        others = () if pd.isna(aliases) else tuple(one for one in str(aliases).split(";") if one)
        west, south, east, north = shape.bounds
        places.append(Place(str(name), others, square_metres(shape) / 1e4, (west, south, east, north)))
        ground[str(name)] = shape
    return Grounds(words.with_places(places), ground)


def read_districts(path: Path, name_field: str | None) -> gpd.GeoDataFrame:
    """Read district boundaries for checking records; the name field is found where none is given.

    Raises
    ------
    DistrictError
        The file cannot be read or used.
    """
    try:
        table = gpd.read_file(path)
    except VECTOR_FAULTS as error:
        raise DistrictError(f"The districts {path} cannot be read ({error}). Name a vector file.") from error
    field = name_field or next((name for name in _NAME_FIELDS if name in table.columns), None)
    if field is None:
        there = ", ".join(str(name) for name in table.columns if name != table.geometry.name)
        raise DistrictError(f"{path}: which column names the districts? There are {there}; give it with --name-field.")
    return prepare_districts(table, field)


def remains_of(outputs: Outputs, book: Book, words: Vocabulary, to: date) -> Remains:
    """Return what a survey found and what records make of it, measured on one equal-area plane."""
    areas, districts = outputs.areas, outputs.districts
    plane = Plane.around([districts, areas])
    pieces = _pieces(areas, _worked(book, words, plane, to), plane)
    survey = f"Survey {outputs.record.get('name') or ''} (run {outputs.record.get('run_id')})"
    origin = f"{survey}: survey.gpkg, layers hazard_areas and districts, measured on an equal-area plane."
    listed = pd.DataFrame(areas.drop(columns=areas.geometry.name)).reset_index(drop=True)
    names = ["district_name", "analysed_ha", "not_assessable_ha", "not_analysed_ha"]
    ground = lay_out(districts, plane)
    return Remains(listed, pieces, pd.DataFrame(districts[names]), ground, _steps(listed, outputs.record), origin)


def with_statuses(settings: Ledger, areas: pd.DataFrame, districts: pd.DataFrame) -> gpd.GeoDataFrame:
    """Return hazard areas with the status that the newest records of a ledger give them, and those records' names.

    Raises
    ------
    LedgerError
        The ledger cannot be used, by row and column.
    """
    assert settings.path is not None
    assert isinstance(areas, gpd.GeoDataFrame)
    assert isinstance(districts, gpd.GeoDataFrame)
    grounds = grounds_of(read_vocabulary(settings.names), districts)
    book = read_book(settings.path, grounds)
    plane = Plane.around([districts, areas])
    pieces = _pieces(areas, _worked(book, grounds.words, plane, date.max), plane)
    return areas.assign(status=statuses(pieces), ledger_records=[";".join(one) or None for one in pieces["records"]])


def _pieces(areas: gpd.GeoDataFrame, worked: list[Worked], plane: Plane) -> pd.DataFrame:
    """Return what records make of hazard areas."""
    shapes = polygons_only(plane.project(areas.geometry, "hazard areas"))
    return cut(shapes, worked, [str(one) for one in areas["area_id"]])


def _worked(book: Book, words: Vocabulary, plane: Plane, to: date) -> list[Worked]:
    """Return records that say something of ground, with it on the plane."""
    known = [(r, s) for r, s in states_of(book.in_force, words.stage, to) if r.geometry is not None or r.area_ids]
    shapes = np.array([r.geometry for r, _ in known if r.geometry is not None], dtype=object)
    laid = iter(polygons_only(plane.project(gpd.GeoSeries(shapes, crs="EPSG:4326"), "records")))
    return [Worked(r, s, None if r.geometry is None else next(laid)) for r, s in known]


def _steps(areas: pd.DataFrame, record: dict[str, Any]) -> pd.DataFrame:
    """Return the team-days of every step of every area, by the rules and rates the survey itself used."""
    settings = Methodology.model_validate((record.get("settings") or {}).get("methodology") or {})
    rules, rates = methodology_rules(settings), read_productivity(settings.productivity)
    at_hand = None if settings.resources is None else read_resources(settings.resources, rates)
    known = {method.label for method in rules.methods.values()}
    sequence = [JOIN.join(s for s in str(text).split(JOIN) if s in known) for text in areas["method_sequence"]]
    kept = areas.assign(
        method_sequence=sequence,
        n_unverified=areas["n_unverified"].astype("float64").fillna(0.0),
        n_items=areas["n_items"].astype("float64").fillna(0.0),
    )
    if not any(sequence):
        names = ["area", "method", "resource", "effort_days_min", "effort_days_typical", "effort_days_max"]
        return pd.DataFrame({name: [] for name in names})
    steps = step_days(kept[kept["method_sequence"] != ""], rules, rates, machines_at_hand(rates, at_hand))
    # Positions among the areas that have a sequence, back to positions among all.
    position = np.flatnonzero(np.array([text != "" for text in sequence]))
    return steps.assign(area=position[steps["area"].to_numpy(dtype=np.int64)])
