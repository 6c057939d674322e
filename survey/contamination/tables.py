"""The layers that leave the map plane: declared columns, the output CRS, and an order that is always the same."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from survey.contamination.density import cell_polygons
from survey.contamination.ground import OUTSIDE_INTEREST
from survey.contamination.hectares import NO_IMAGERY
from survey.contamination.plane import Geometries, Ints, Plane, as_multipolygons, flat_crs, polygons_only
from survey.contamination.rounding import largest_remainder_by_group
from survey.layers import (
    AREA_DISTRICTS,
    COVERAGE,
    COVERAGE_STATUSES,
    DENSITY_GRID,
    DISTRICTS,
    HAZARD_AREAS,
    HAZARD_OBJECTS,
    conform,
)


@dataclass(frozen=True)
class Target:
    """Where layers go: from the plane into a CRS, under the name of a run."""

    plane: Plane
    crs: str
    run_id: str


def names_of(districts: pd.DataFrame, position: Ints) -> pd.DataFrame:
    """Return ``district_code`` and ``district_name`` for positions in the districts, null for -1."""
    columns = {}
    for name in ("district_code", "district_name"):
        values = np.append(districts[name].to_numpy(dtype=object), None)
        columns[name] = values[position]
    return pd.DataFrame(columns, dtype=object)


def objects_layer(objects: gpd.GeoDataFrame, columns: pd.DataFrame, target: Target) -> gpd.GeoDataFrame:
    """Return the objects with ``columns`` filled in; outlines as multipolygons."""
    table = objects.assign(**{name: columns[name].to_numpy(dtype=object) for name in columns})
    if len(table) == 0:
        return conform(table.set_geometry(gpd.GeoSeries([], crs=target.crs)), HAZARD_OBJECTS, crs=target.crs)
    shapes = np.asarray(table.geometry.values, dtype=object)
    source, wanted = flat_crs(table.crs, "hazard objects"), flat_crs(target.crs, "layers")
    if source != wanted:
        shapes = Plane.transform(shapely.force_2d(shapes), source, wanted, "hazard objects")
    geometry = gpd.GeoSeries(as_multipolygons(shapes), index=table.index, crs=target.crs)
    return conform(table.set_geometry(geometry), HAZARD_OBJECTS, crs=target.crs)


def areas_layer(areas: pd.DataFrame, target: Target) -> gpd.GeoDataFrame:
    """Return the hazard areas, ordered by their identity."""
    areas = areas.sort_values("area_id", ignore_index=True)
    geometry = exported(areas["shape"].to_numpy(dtype=object), target, "hazard areas")
    table = areas.drop(columns="shape").assign(run_id=target.run_id)
    return conform(gpd.GeoDataFrame(table, geometry=geometry), HAZARD_AREAS, crs=target.crs)


def grid_layer(cells: pd.DataFrame, districts: pd.DataFrame, cell_m: float, target: Target) -> gpd.GeoDataFrame:
    """Return the density grid, ordered by row and column."""
    codes = names_of(districts, cells["district"].to_numpy())["district_code"]
    squares = cell_polygons(cells, cell_m)
    geometry = target.plane.export(squares, target.crs, "cells")
    table = cells.assign(district_code=codes.to_numpy(dtype=object), run_id=target.run_id)
    return conform(gpd.GeoDataFrame(table, geometry=geometry), DENSITY_GRID, crs=target.crs)


def coverage_layer(
    ground: pd.DataFrame, unseen: Geometries, interest: shapely.Geometry | None, target: Target
) -> gpd.GeoDataFrame:
    """Return imaged ground as it is, and the rest of each district as not analysed, with the reason.

    Parameters
    ----------
    unseen : array of geometry
        Ground of each district without imagery.
    interest : geometry, optional
        The area of interest on the plane.
    """
    blanks = [(unseen, NO_IMAGERY)]
    if interest is not None:
        within = polygons_only(shapely.intersection(unseen, interest))
        beyond = polygons_only(shapely.difference(unseen, interest))
        blanks = [(within, NO_IMAGERY), (beyond, OUTSIDE_INTEREST)]
    tables = [ground]
    for shapes, reason in blanks:
        kept = shapes[~shapely.is_empty(shapes)]
        tables.append(
            pd.DataFrame({"status": "not_analysed", "reason": reason, "families": "", "image": None, "shape": kept})
        )
    table = pd.concat([t for t in tables if len(t)], ignore_index=True) if any(map(len, tables)) else ground
    shapes = table["shape"].to_numpy(dtype=object)
    order = pd.Categorical(table["status"], categories=COVERAGE_STATUSES, ordered=True)
    square_metres = shapely.area(shapes) if len(shapes) else np.zeros(0)
    totals = np.bincount(order.codes, weights=square_metres, minlength=len(COVERAGE_STATUSES)) / 1e4
    area_ha = largest_remainder_by_group(square_metres / 1e4, order.codes.astype(np.int64), totals)
    table = table.assign(area_ha=area_ha, rank=order.codes, at=np.arange(len(table)))
    keep = table.sort_values(["rank", "reason", "image", "at"], kind="stable").index
    geometry = exported(shapes[keep], target, "coverage")
    table = table.loc[keep].drop(columns=["shape", "rank", "at"]).reset_index(drop=True)
    table = table.assign(run_id=target.run_id)
    return conform(gpd.GeoDataFrame(table, geometry=geometry), COVERAGE, crs=target.crs)


def districts_layer(table: pd.DataFrame, shapes: Geometries, target: Target) -> gpd.GeoDataFrame:
    """Return the districts with everything that is known of them, ordered by code."""
    geometry = exported(shapes, target, "districts")
    return conform(gpd.GeoDataFrame(table.assign(run_id=target.run_id), geometry=geometry), DISTRICTS, crs=target.crs)


def area_districts_layer(shares: pd.DataFrame, areas: pd.DataFrame, districts: pd.DataFrame) -> pd.DataFrame:
    """Return the shares of areas by district, ordered by area and district."""
    table = pd.DataFrame(
        {
            "area_id": areas["area_id"].to_numpy(dtype=object)[shares["area"]],
            "district_code": districts["district_code"].to_numpy(dtype=object)[shares["district"]],
            "area_m2": shares["area_m2"],
        }
    )
    return conform(table.sort_values(["area_id", "district_code"], ignore_index=True), AREA_DISTRICTS)


def exported(shapes: Geometries, target: Target, what: str) -> gpd.GeoSeries:
    """Return polygons in the output CRS, valid there too, as multipolygons."""
    series = target.plane.export(shapes, target.crs, what)
    moved = np.asarray(series.values, dtype=object)
    return gpd.GeoSeries(as_multipolygons(polygons_only(moved)), crs=series.crs)
