"""The layers that leave the map plane: declared columns, the output CRS, and an order that is always the same."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from survey.contamination.density import cell_corners
from survey.contamination.ground import OUTSIDE_INTEREST
from survey.contamination.hectares import NO_IMAGERY
from survey.contamination.overlay import without_crumbs
from survey.contamination.plane import (
    Floats,
    Geometries,
    Ints,
    Plane,
    as_multipolygons,
    flat_crs,
    polygons_only,
    transformer,
)
from survey.contamination.polygon_checks import check_polygons
from survey.contamination.turning import turning_points
from survey.layers import (
    AREA_DISTRICTS,
    AREA_EVIDENCE,
    CALENDAR,
    COVERAGE,
    COVERAGE_STATUSES,
    DENSITY_GRID,
    DISTRICT_COVERAGE,
    DISTRICT_METHODS,
    DISTRICT_OBJECTS,
    DISTRICTS,
    EVIDENCE,
    HAZARD_AREAS,
    HAZARD_OBJECTS,
    MINE_ROWS,
    TURNING_POINTS,
    conform,
)
from survey.rounding import largest_remainder_by_group
from survey.threads import in_threads


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
        values = np.array([*districts[name], None], dtype=object)
        columns[name] = values[position]
    return pd.DataFrame(columns, dtype=object)


def objects_layer(objects: gpd.GeoDataFrame, columns: pd.DataFrame, target: Target) -> gpd.GeoDataFrame:
    """Return the objects with ``columns`` filled in; outlines as multipolygons."""
    table = objects.copy()
    for name in columns:
        table[name] = columns[name].to_numpy(dtype=object)
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
    table = gpd.GeoDataFrame(areas.drop(columns="shape").assign(run_id=target.run_id), geometry=geometry)
    return conform(table.assign(polygon_check=check_polygons(table)), HAZARD_AREAS, crs=target.crs)


def grid_layer(cells: pd.DataFrame, districts: pd.DataFrame, cell_m: float, target: Target) -> gpd.GeoDataFrame:
    """Return the density grid, ordered by row and column."""
    codes = names_of(districts, cells["district"].to_numpy())["district_code"]
    # A million squares: their corners are moved as numbers, and become polygons once.
    corners = cell_corners(cells, cell_m)
    moved = transformer(target.plane.crs, flat_crs(target.crs, "layers")).transform(*corners.reshape(-1, 2).T)
    rings = np.column_stack(moved).reshape(corners.shape)
    squares = in_threads(shapely.polygons, rings) if len(cells) else np.zeros(0, object)
    known = [name for name in DENSITY_GRID.names if name in cells]
    table = cells[known].assign(district_code=codes.to_numpy(dtype=object), run_id=target.run_id)
    geometry = gpd.GeoSeries(squares, crs=target.crs)
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


def district_coverage_layer(table: pd.DataFrame) -> pd.DataFrame:
    """Return coverage by district and family."""
    return conform(table, DISTRICT_COVERAGE)


def turning_points_layer(areas: pd.DataFrame, benchmark: Floats, target: Target) -> gpd.GeoDataFrame:
    """Return the turning points, ordered by area, part, ring and number."""
    order = np.argsort(areas["area_id"].to_numpy(dtype=object), kind="stable")
    points = turning_points(areas["shape"].to_numpy(dtype=object)[order], benchmark[order], target.plane)
    geometry = gpd.GeoSeries(in_threads(shapely.points, points["lon"].to_numpy(), points["lat"].to_numpy()), crs=4326)
    geometry = (
        geometry.set_crs(target.crs)
        if flat_crs(target.crs, "layers") == flat_crs(4326, "")
        else (geometry.to_crs(target.crs))
    )
    names = pd.Series(areas["area_id"].to_numpy(dtype=object)[order]).astype("str")
    points["area_id"] = names.take(points["area"].to_numpy()).array
    points["run_id"] = target.run_id
    return conform(gpd.GeoDataFrame(points, geometry=geometry), TURNING_POINTS, crs=target.crs)


def rows_layer(rows: pd.DataFrame, areas: pd.DataFrame, target: Target) -> gpd.GeoDataFrame:
    """Return the mine rows, ordered by area and position."""
    ends = np.stack([rows[["x0", "y0"]].to_numpy(dtype=np.float64), rows[["x1", "y1"]].to_numpy(dtype=np.float64)], 1)
    shapes = shapely.linestrings(ends) if len(rows) else np.zeros(0, object)
    table = rows.assign(
        area_id=areas["area_id"].to_numpy(dtype=object)[rows["area"]],
        length_m=rows["length_m"].round(2),
        spacing_m=rows["spacing_m"].round(2),
        spread_m=rows["spread_m"].round(3),
        run_id=target.run_id,
    )
    order = table.sort_values(["area_id", "x0", "y0"], kind="stable").index
    geometry = target.plane.export(shapes[order], target.crs, "mine rows")
    table = table.loc[order].reset_index(drop=True)
    return conform(gpd.GeoDataFrame(table, geometry=geometry), MINE_ROWS, crs=target.crs)


def evidence_layer(records: gpd.GeoDataFrame, areas: pd.DataFrame, area_of: Ints, target: Target) -> gpd.GeoDataFrame:
    """Return other evidence with the area each piece belongs to."""
    if len(records) == 0:
        empty: gpd.GeoDataFrame = EVIDENCE.empty(crs=target.crs)
        return empty
    names = areas["area_id"].to_numpy(dtype=object)[area_of[len(area_of) - len(records) :]]
    return conform(records.to_crs(target.crs).assign(area_id=names, run_id=target.run_id), EVIDENCE, crs=target.crs)


def area_evidence_layer(evidence: pd.DataFrame, areas: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Return what each area rests on, ordered by area."""
    names = areas["area_id"].to_numpy(dtype=object)[evidence["area"].to_numpy(dtype=np.int64)]
    table = evidence.assign(area_id=names, run_id=target.run_id)
    keys = ["area_id", "origin", "evidence_class", "evidence_type", "reliability"]
    return conform(table.sort_values(keys, kind="stable", ignore_index=True), AREA_EVIDENCE)


def district_objects_layer(table: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Return objects by district and family."""
    return conform(table.assign(run_id=target.run_id), DISTRICT_OBJECTS)


def district_methods_layer(table: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Return hectares and effort by district and method."""
    return conform(table.assign(run_id=target.run_id), DISTRICT_METHODS)


def calendar_layer(table: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Return how long the resources at hand would take; empty where none were given."""
    return conform(table.assign(run_id=target.run_id), CALENDAR)


def centres(shapes: Geometries) -> tuple[Floats, Floats]:
    """Return x and y of the centroids."""
    xy = shapely.get_coordinates(shapely.centroid(shapes)) if len(shapes) else np.zeros((0, 2))
    return xy[:, 0], xy[:, 1]


def exported(shapes: Geometries, target: Target, what: str) -> gpd.GeoSeries:
    """Return polygons in the output CRS, valid there too, as multipolygons."""
    series = target.plane.export(without_crumbs(shapes), target.crs, what)
    moved = np.asarray(series.values, dtype=object)
    return gpd.GeoSeries(as_multipolygons(polygons_only(moved)), crs=series.crs)
