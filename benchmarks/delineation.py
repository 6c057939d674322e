"""How well proposed hazard areas hold minefields whose outline is known.

    python benchmarks/delineation.py [--fields 60] [RESULT.gpkg TRUTH.gpkg]

First from true objects, apart from detection: drawn fields in rows, scattered, and of isolated items. The outline of
a field is the hull of its mines (of isolated items, their discs) plus 5 m; its areas should hold at least 98 % of it
and be no larger than 1.5 times the outline grown by the fade-out in force.

Then, where a survey's result and its truth are given, from detected objects: the labelled items are grouped into
fields by distance (75 m), and the proposed areas are held against their outlines. Whatever was missed by detection
is missing here too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from survey.contamination.assessment import Contamination, assess
from survey.contamination.clusters import mesh, together
from survey.contamination.plane import Plane
from survey.hazards import classes
from survey.layers import HAZARD_OBJECTS, conform

UTM = "EPSG:32638"
ORIGIN = np.array([500_000.0, 4_390_000.0])
AROUND_M = 5.0


def in_rows(rng: np.random.Generator, code: str) -> tuple[np.ndarray, float]:
    """Mines in one to four rows, and their bearing, with the spacings of public doctrine."""
    anti_tank = code == "mine_at"
    bearing = rng.uniform(0.0, 180.0)
    turn = np.radians(bearing)
    along, across = np.array([np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), -np.sin(turn)])
    spacing = rng.uniform(4.0, 5.5) if anti_tank else rng.uniform(1.0, 2.0)
    apart = rng.uniform(10.0, 40.0) if anti_tank else rng.uniform(3.0, 10.0)
    mines = np.arange(int(rng.integers(12, 50))) * spacing
    xy = np.concatenate([np.outer(mines, along) + across * k * apart for k in range(int(rng.integers(1, 5)))])
    xy = xy + rng.normal(0.0, rng.uniform(0.2, 0.5), xy.shape)
    return xy[rng.random(len(xy)) > rng.uniform(0.05, 0.3)], bearing


def scattered(rng: np.random.Generator, code: str) -> tuple[np.ndarray, float]:
    """Items without pattern, ten and more to the hectare."""
    size = rng.uniform(30.0, 150.0, 2)
    count = max(int(size.prod() / 1e4 * rng.uniform(10.0, 120.0)), 5)
    return rng.uniform(-0.5, 0.5, (count, 2)) * size, np.nan


def isolated(rng: np.random.Generator, code: str) -> tuple[np.ndarray, float]:
    """Three items far apart."""
    return np.array([[0.0, 0.0], [200.0, 30.0], [60.0, 240.0]]) + rng.normal(0.0, 10.0, (3, 2)), np.nan


KINDS: list[tuple[str, Callable[[np.random.Generator, str], tuple[np.ndarray, float]], str]] = [
    ("rows, anti-tank", in_rows, "mine_at"),
    ("rows, anti-personnel", in_rows, "mine_ap"),
    ("scatter, anti-tank", scattered, "mine_at"),
    ("scatter, anti-personnel", scattered, "mine_ap"),
    ("scatter, submunitions", scattered, "submunition"),
    ("isolated, anti-tank", isolated, "mine_at"),
    ("isolated, shells", isolated, "shell"),
]


def as_objects(xy: np.ndarray, code: str) -> gpd.GeoDataFrame:
    kind = classes()[code]
    points = gpd.GeoSeries(shapely.points(xy + ORIGIN), crs=UTM)
    degrees = points.to_crs(4326)
    table = gpd.GeoDataFrame(
        {
            "object_id": [f"{i:06d}" for i in range(len(xy))],
            "class_code": code,
            "family": kind.family,
            "probability": 1.0,
            "evidence_class": "direct",
            "verification": "confirmed",
            "lon": degrees.x,
            "lat": degrees.y,
            "length_m": kind.length_m,
            "width_m": kind.width_m,
            "area_m2": kind.length_m * kind.width_m,
            "gsd_cm": 1.0,
            "position_error_m": 1.0,
            "image": "drawn",
            "model_version": "drawn",
            "run_id": "drawn",
        },
        geometry=points.buffer(kind.length_m / 2.0),
        crs=UTM,
    )
    return conform(table, HAZARD_OBJECTS)


def held(areas: gpd.GeoDataFrame, truth: shapely.Geometry) -> tuple[float, float]:
    """Share of the truth inside the areas, and their size over the truth grown by the fade-out in force."""
    proposed = shapely.union_all(areas.geometry.values)
    grown = shapely.buffer(truth, float(areas["fadeout_m"].max()) if len(areas) else 0.0)
    return float(proposed.intersection(truth).area / truth.area), float(proposed.area / grown.area)


def from_true_objects(fields: int) -> pd.DataFrame:
    nowhere = gpd.GeoDataFrame(
        {"district_code": [], "district_name": [], "aliases": [], "repairs": []}, geometry=[], crs=UTM
    )
    rows = []
    for name, draw, code in KINDS:
        rng = np.random.default_rng(sum(name.encode()))
        measured = []
        for _ in range(fields):
            xy, bearing = draw(rng, code)
            result = assess(as_objects(xy, code), [], nowhere, Contamination(crs=UTM), "benchmark")
            areas = result["hazard_areas"]
            points = shapely.points(xy + ORIGIN)
            whole = shapely.union_all(points) if draw is isolated else shapely.convex_hull(shapely.multipoints(points))
            inside, size = held(areas, shapely.buffer(whole, AROUND_M))
            found = areas["row_bearing_deg"].iloc[0] if len(areas) else np.nan
            measured.append((inside, size, abs((found - bearing + 90.0) % 180.0 - 90.0)))
        table = np.array(measured)
        off = table[:, 2][np.isfinite(table[:, 2])]
        rows.append(
            {
                "field": name,
                "n": fields,
                "held, least": table[:, 0].min(),
                "held >= 98 %": (table[:, 0] >= 0.98).mean(),
                "size, most": table[:, 1].max(),
                "size <= 1.5": (table[:, 1] <= 1.5).mean(),
                "rows found": len(off) / fields if draw is in_rows else np.nan,
                "bearing off, most (deg)": off.max() if len(off) else np.nan,
            }
        )
    return pd.DataFrame(rows)


def from_detected_objects(result: Path, truth: Path) -> pd.DataFrame:
    areas, labels = gpd.read_file(result, layer="hazard_areas"), gpd.read_file(truth, layer="labels")
    items = labels[[code in classes() and classes()[code].is_item for code in labels["class_code"]]]
    plane = Plane.around([items])
    centres = plane.project(items.geometry.centroid if items.crs.is_projected else items.geometry, "labels")
    xy = shapely.get_coordinates(shapely.centroid(centres))
    net = mesh(xy, 75.0, 75.0)
    field = together(len(net.xy), net.edges)[net.corner]
    shapes = areas.set_geometry(gpd.GeoSeries(plane.project(areas.geometry, "areas"), crs=plane.crs))
    rows = []
    for number in np.unique(field):
        points = shapely.points(xy[field == number])
        outline = shapely.buffer(shapely.convex_hull(shapely.multipoints(points)), AROUND_M)
        near = shapes[shapes.intersects(outline)]
        inside, size = held(near, outline)
        kinds = ", ".join(sorted(set(items["class_code"].to_numpy()[field == number])))
        rows.append({"items": int((field == number).sum()), "classes": kinds, "held": inside, "size": size})
    return pd.DataFrame(rows).sort_values("items", ascending=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=60, help="drawn fields of each kind")
    parser.add_argument("result", type=Path, nargs="?", help="survey.gpkg of a survey whose truth is known")
    parser.add_argument("truth", type=Path, nargs="?", help="its truth: layer labels")
    options = parser.parse_args()
    print("From true objects (drawn):")
    print(from_true_objects(options.fields).round(3).to_string(index=False, na_rep="-"))
    if options.result is not None and options.truth is not None:
        table = from_detected_objects(options.result, options.truth)
        print(f"\nFrom detected objects, {options.result}:")
        print(table.round(3).to_string(index=False))
        weighted = np.average(table["held"], weights=table["items"])
        print(f"held, by items: {weighted:.3f}; fields held to 98 %: {(table['held'] >= 0.98).sum()} of {len(table)}")


if __name__ == "__main__":
    main()
