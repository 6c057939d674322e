"""How long the map plane takes: a million objects, eleven districts, a million grid cells.

    python benchmarks/map_plane.py [--objects 1000000] [--scenes 50] [--districts FILE]

Draws SCENES x SCENES square kilometres of imagery (50 x 50 are 250,000 ha: a million cells of 50 m), neighbours
overlapping by 60 m, with vegetated patches; half of the objects in fields of a hundred, the others anywhere. Eleven
districts of irregular outline lie over it. Prints one line for each stage and a total, with peak memory. The goal is
60 seconds and 4 GiB on 2 cores.
"""

from __future__ import annotations

import argparse
import platform
import resource
import time
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from survey.contamination.assessment import Contamination, assess
from survey.contamination.districts import prepare_districts
from survey.hazards import classes
from survey.layers import COVERAGE_PIECES, HAZARD_OBJECTS, conform

UTM = "EPSG:32638"
EAST, NORTH = 560_000.0, 4_360_000.0
CODES = ("mine_at", "mine_ap", "submunition", "shell", "crater")


def drawn_districts(side_km: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """Eleven districts of some two thousand vertices each, that share their boundaries exactly."""
    width = side_km * 1000.0
    edges = np.linspace(0.0, width, 12)
    north = np.linspace(-500.0, width + 500.0, 1000)
    walls = [np.column_stack([np.full(1000, x) + 400.0 * np.cumsum(rng.normal(0, 0.05, 1000)), north]) for x in edges]
    walls[0][:, 0] -= 1500.0
    walls[-1][:, 0] += 1500.0
    shapes = [shapely.Polygon([*left, *right[::-1]]) for left, right in pairwise(walls)]
    table = gpd.GeoDataFrame(
        {"name": [f"District {i}" for i in range(11)], "code": [f"D{i:02d}" for i in range(11)]},
        geometry=[shapely.affinity.translate(s, EAST, NORTH) for s in shapes],
        crs=UTM,
    )
    return prepare_districts(table, "name", "code")


def drawn_scenes(side_km: int, rng: np.random.Generator) -> list[gpd.GeoDataFrame]:
    scenes = []
    for column in range(side_km):
        for row in range(side_km):
            x, y = EAST + column * 1000.0, NORTH + row * 1000.0
            whole = shapely.box(x - 30, y - 30, x + 1030, y + 1030)
            corner = rng.integers(0, 190, (40, 2)) * 5.0 + [x, y]
            size = rng.integers(1, 8, (40, 2)) * 5.0
            thicket = shapely.union_all(shapely.box(*corner.T, *(corner + size).T))
            table = gpd.GeoDataFrame(
                {
                    "image": f"scene {column} {row}",
                    "status": ["analysed", "not_assessable"],
                    "reason": ["", "vegetation"],
                    "families": ["AP_blast;AT;CM;UXO;indicator", ""],
                    "detectability": [0.8, 0.0],
                    "gsd_cm": 1.0 + (column + row) % 3,
                    "acquired_at": pd.Timestamp("2026-04-01", tz="UTC"),
                    "vegetation": [0.1, 0.9],
                },
                geometry=[whole.difference(thicket), thicket],
                crs=UTM,
            )
            scenes.append(conform(table, COVERAGE_PIECES))
    return scenes


def drawn_objects(count: int, side_km: int, rng: np.random.Generator) -> gpd.GeoDataFrame:
    width, in_fields = side_km * 1000.0, count // 2
    fields = max(in_fields // 100, 1)
    centres = rng.uniform(0, width, (fields, 2))
    near = np.repeat(centres, 100, axis=0)[:in_fields]
    near = near + rng.normal(0, 30.0, near.shape)
    xy = np.vstack([near, rng.uniform(0, width, (count - len(near), 2))]) + np.array([EAST, NORTH])
    kind = np.concatenate(
        [np.repeat(rng.integers(0, 4, fields), 100)[: len(near)], rng.integers(0, 5, count - len(near))]
    )
    known = [classes()[code] for code in CODES]
    length = np.array([c.length_m for c in known])[kind]
    points = gpd.GeoSeries(shapely.points(xy), crs=UTM).to_crs(4326)
    lon, lat = points.x.to_numpy(), points.y.to_numpy()
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    ring = np.stack(
        [
            lon[:, None] + np.cos(turn) * length[:, None] / 2 / 85_000.0,
            lat[:, None] + np.sin(turn) * length[:, None] / 2 / 111_000.0,
        ],
        axis=-1,
    )
    table = gpd.GeoDataFrame(
        {
            "object_id": [f"{i:08x}" for i in range(count)],
            "class_code": np.array(CODES, dtype=object)[kind],
            "family": np.array([c.family for c in known], dtype=object)[kind],
            "probability": rng.uniform(0.3, 1.0, count),
            "evidence_class": "indication",
            "verification": np.where(rng.random(count) < 0.1, "confirmed", "unverified"),
            "lon": lon,
            "lat": lat,
            "length_m": length,
            "width_m": length,
            "area_m2": length**2,
            "gsd_cm": 2.0,
            "position_error_m": 1.0,
            "image": "scene",
            "acquired_at": pd.NaT,
            "model_version": "drawn",
            "run_id": "drawn",
        },
        geometry=shapely.multipolygons(shapely.polygons(ring), indices=np.arange(count)),
        crs=4326,
    )
    return conform(table, HAZARD_OBJECTS)


def peak_gib() -> float:
    scale = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--scenes", type=int, default=50, help="on a side; a square kilometre each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    districts = drawn_districts(options.scenes, rng)
    scenes = drawn_scenes(options.scenes, rng)
    objects = drawn_objects(options.objects, options.scenes, rng)
    before = peak_gib()
    start, busy = time.perf_counter(), time.process_time()
    if options.profile:
        import cProfile
        import pstats

        profile = cProfile.Profile()
        layers = profile.runcall(assess, objects, scenes, districts, Contamination(), "benchmark")
        pstats.Stats(profile).sort_stats("cumtime").print_stats("survey|shapely|pandas/core/frame", 60)
    else:
        layers = assess(objects, scenes, districts, Contamination(), "benchmark")
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    rows = ", ".join(f"{name} {len(layer):,}" for name, layer in layers.items() if len(layer))
    print(f"input: {options.objects:,} objects, {len(scenes):,} scenes, {len(districts)} districts; {before:.2f} GiB")
    print(f"output: {rows}")
    spent = f"{seconds:.1f} s ({busy:.1f} s of processor)"
    print(f"map plane: {spent}, peak memory {peak_gib():.2f} GiB (goal 60 s, 4 GiB)")


if __name__ == "__main__":
    main()
