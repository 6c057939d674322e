"""How an object memory of a million examples is opened and added to.

    python benchmarks/memory_scale.py [--examples 1000000] [--segments 20] [--work DIR]

The memory is made up: every segment holds its share of the examples, ten on each clip of 64 x 64 random pixels, in
places of their own. Seconds are of one process; memory is its largest resident size by then.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from survey.layers import EXAMPLES, conform
from survey.memory.clips import Clip
from survey.memory.examples import append, make_memory, open_memory
from survey.memory.lock import only_writer

A_CLIP, SIDE_PX, GSD_M = 10, 64, 0.01
NOW = pd.Timestamp("2026-01-01", tz="UTC")


def segment(number: int, count: int) -> tuple[gpd.GeoDataFrame, Iterator[Clip]]:
    """Events of one segment and the clips they lie on."""
    rng = np.random.default_rng(number)
    n_clips = -(-count // A_CLIP)
    clip = np.arange(count) // A_CLIP
    lon, lat = 46 + number * 0.1 + (clip % 300) * 3e-5, 39 + (clip // 300) * 3e-5
    x, y = (base + rng.uniform(0, 5e-6, count) for base in (lon, lat))
    table = {
        "example_id": [f"{number:04d}-{one:08d}" for one in range(count)],
        "event": "add",
        "class_code": rng.choice(["mine_at", "mine_ap", "mine_scatterable"], count),
        "site": f"site {number}",
        "image": [f"image-{number}-{one}" for one in clip],
        "image_digest": [f"{number:032d}{one:032d}" for one in clip],
        "gsd_cm": 100 * GSD_M,
        "length_m": 0.3,
        "width_m": 0.3,
        "is_point": False,
        "reviewed_at": NOW,
        "learned_at": NOW,
        "source": "made up",
    }
    outlines = shapely.box(x, y, x + 3e-6, y + 3e-6)
    events = conform(gpd.GeoDataFrame(table, geometry=outlines, crs="EPSG:4326"), EXAMPLES, crs="EPSG:4326")
    return events, (_clip(rng, number, one) for one in range(n_clips))


def _clip(rng: np.random.Generator, number: int, index: int) -> Clip:
    seen = np.ones((SIDE_PX, SIDE_PX), bool)
    return Clip(
        image=f"image-{number}-{index}",
        image_digest=f"{number:032d}{index:032d}",
        roles=("red", "green", "blue"),
        site=f"site {number}",
        crs="EPSG:32638",
        transform=(GSD_M, 0.0, 600_000.0 + index, 0.0, -GSD_M, 4_400_000.0),
        gsd_m=GSD_M,
        level=0,
        row=0,
        col=0,
        core=(8, SIDE_PX - 8, 8, SIDE_PX - 8),
        weight=1.0,
        acquired_at=None,
        pixels=rng.integers(0, 256, (3, SIDE_PX, SIDE_PX), dtype=np.uint8),
        valid=seen,
        reviewed=seen,
    )


def measure(folder: Path, examples: int, segments: int) -> Iterator[str]:
    """Make the memory, and yield the lines of the table."""
    make_memory(folder)
    each = -(-examples // segments)
    start = time.perf_counter()
    for number in range(segments):
        begun = time.perf_counter()
        with only_writer(folder):
            append(open_memory(folder), *segment(number, each))
    took, last = time.perf_counter() - start, time.perf_counter() - begun
    yield f"| made, {segments} segments of {each:,} examples | {took:.0f} |"
    yield f"| of these the last one, with all others there | {last:.1f} |"
    start = time.perf_counter()
    with only_writer(folder):
        append(open_memory(folder), *segment(segments, 100))
    yield f"| 100 examples more | {time.perf_counter() - start:.1f} |"
    start = time.perf_counter()
    memory = open_memory(folder)
    yield f"| opened | {time.perf_counter() - start:.2f} |"
    start = time.perf_counter()
    rows = len(memory.examples())
    yield f"| what holds now, {rows:,} examples with their outlines | {time.perf_counter() - start:.1f} |"
    start = time.perf_counter()
    rows = len(memory.clips())
    yield f"| the table of {rows:,} clips | {time.perf_counter() - start:.1f} |"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield f"\nOn disk {size / 1e9:.2f} GB; the process held at most {peak:,.0f} MiB."


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1_000_000)
    parser.add_argument("--segments", type=int, default=20)
    parser.add_argument("--work", type=Path, help="folder for the memory; default a temporary one")
    options = parser.parse_args()
    print("| what | seconds |\n|---|---|", flush=True)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        for line in measure(Path(folder) / "memory", options.examples, options.segments):
            print(line, flush=True)


if __name__ == "__main__":
    main()
