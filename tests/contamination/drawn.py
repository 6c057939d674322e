"""Ground, objects and districts drawn for the tests of the map plane."""

from __future__ import annotations

import hashlib

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from survey.contamination.districts import prepare_districts
from survey.hazards import classes
from survey.layers import COVERAGE_PIECES, HAZARD_OBJECTS, conform

UTM = "EPSG:32638"
EAST, NORTH = 500_000.0, 4_390_000.0
ORIGIN = np.array([EAST, NORTH])
"""A corner in UTM zone 38 N, near 45.0 E 39.7 N, from which test ground is drawn."""


def drawn_objects(
    xy: np.ndarray,
    class_code: str | list[str] = "mine_at",
    *,
    probability: float | np.ndarray = 0.8,
    verification: str | list[str] = "unverified",
    crs: str = UTM,
    error_m: float = 0.0,
) -> gpd.GeoDataFrame:
    xy = np.asarray(xy, dtype=float).reshape(-1, 2)
    codes = [class_code] * len(xy) if isinstance(class_code, str) else class_code
    kinds = [classes()[code] for code in codes]
    half_x = np.array([k.length_m / 2 for k in kinds], dtype=float)
    half_y = np.array([k.width_m / 2 for k in kinds], dtype=float)
    shapes = shapely.box(xy[:, 0] - half_x, xy[:, 1] - half_y, xy[:, 0] + half_x, xy[:, 1] + half_y)
    points = gpd.GeoSeries(shapely.points(xy), crs=crs).to_crs(4326)
    digests = [hashlib.sha256(f"{i} {x:.3f} {y:.3f}".encode()).hexdigest()[:16] for i, (x, y) in enumerate(xy)]
    table = gpd.GeoDataFrame(
        {
            "object_id": digests,
            "class_code": codes,
            "family": [k.family for k in kinds],
            "probability": probability,
            "evidence_class": "indication",
            "verification": verification,
            "lon": points.x.to_numpy(),
            "lat": points.y.to_numpy(),
            "length_m": 2 * half_x,
            "width_m": 2 * half_y,
            "area_m2": 4 * half_x * half_y,
            "gsd_cm": 2.0,
            "position_error_m": error_m,
            "image": "scene",
            "acquired_at": None,
            "model_version": "test",
            "run_id": "run",
        },
        geometry=gpd.GeoSeries(shapes, crs=crs),
        crs=crs,
    )
    return conform(table, HAZARD_OBJECTS)


def piece(
    shape: shapely.Geometry,
    status: str = "analysed",
    *,
    reason: str = "",
    families: str = "AT;indicator",
    detectability: float = 1.0,
    gsd_cm: float = 2.0,
    image: str = "scene",
    acquired_at: str | None = None,
    vegetation: float | None = None,
    by_family: str | None = None,
    crs: str = UTM,
) -> gpd.GeoDataFrame:
    seen = status == "analysed"
    table = gpd.GeoDataFrame(
        {
            "image": [image],
            "status": [status],
            "reason": [reason if seen else reason or "too much vegetation"],
            "families": [families if seen or by_family else ""],
            "detectability": [detectability if seen else 0.0],
            "gsd_cm": [gsd_cm],
            "acquired_at": pd.to_datetime([acquired_at], utc=True),
            "vegetation": [vegetation],
            "detectability_by_family": [by_family],
        },
        geometry=[shape],
        crs=crs,
    )
    return conform(table, COVERAGE_PIECES)


def square(x: float, y: float, side: float, height: float | None = None) -> shapely.Polygon:
    return shapely.box(EAST + x, NORTH + y, EAST + x + side, NORTH + y + (side if height is None else height))


def districts_from(shapes: list[shapely.Geometry], *, crs: str = UTM) -> gpd.GeoDataFrame:
    table = gpd.GeoDataFrame(
        {"name": [f"District {i}" for i in range(len(shapes))], "code": [f"D{i}" for i in range(len(shapes))]},
        geometry=shapes,
        crs=crs,
    )
    return prepare_districts(table, "name", "code")
