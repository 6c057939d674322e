"""Learn scatterable mines from a few dozen labelled frames of one ground, and find them on another.

    python benchmarks/frames.py --photos DIR [--gsd-cm 0.8 1.8] [--work DIR]

Frames are crops of real photographs with scatterable mines *drawn* into them; which photographs are learned from and
which are asked about are different ones. Labels are boxes as people draw them: upright, a little loose, a little off.
The photographs' pixels are taken to be of the ground sampling distance that is asked for.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from learning import judge, survey
from rasterio.transform import from_origin
from rasterio.windows import Window

from survey.synthetic.photograph import IntoSettings, Photo, draw_into, open_ground
from survey.synthetic.site import site_of

CODE, CRS = "mine_scatterable", "EPSG:32638"
WIDTH, HEIGHT = 1000, 700
APART_M = 20.0
SEEN = 0.6
"""Objects covered more than this are labelled by nobody."""


@dataclass(frozen=True)
class Ground:
    """Which photographs frames are cut from, how many frames, where they come to lie, and the first seed."""

    photographs: Sequence[Path]
    frames: int
    gsd_m: float
    east_m: float
    seed: int


def write_ground(folder: Path, ground: Ground) -> tuple[list[Path], Path]:
    """Write the frames of a ground and ``labels.gpkg`` (layers ``labels`` and ``reviewed``); returns both."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(ground.seed)
    paths, labels, reviewed = [], [], []
    each = -(-ground.frames // len(ground.photographs))
    for number, photograph in enumerate(ground.photographs):
        with rasterio.open(photograph) as image:
            places = [
                (row, col)
                for row in range(0, image.height - HEIGHT + 1, HEIGHT)
                for col in range(0, image.width - WIDTH + 1, WIDTH // 2)
            ]
            for row, col in [places[one] for one in rng.permutation(len(places))[:each]]:
                if len(paths) == ground.frames:
                    break
                count = len(paths)
                west, north = ground.east_m + APART_M * (count % 10), 4_400_000.0 + APART_M * (count // 10)
                place = from_origin(west, north, ground.gsd_m, ground.gsd_m)
                photo = Photo(
                    image.read(window=Window(col, row, WIDTH, HEIGHT)), ("red", "green", "blue"), place, CRS,
                    ground.gsd_m,
                )  # fmt: skip
                hectares = WIDTH * HEIGHT * ground.gsd_m**2 / 1e4
                settings = IntoSettings(
                    objects_per_ha={CODE: 1.5 / hectares}, site=site_of(ground.seed + number), clutter=0.0
                )
                drawn = draw_into(photo, settings, ground.seed * 1000 + count, open_ground(photo))
                path = folder / f"frame_{count:03d}.tif"
                with rasterio.open(
                    path, "w", driver="GTiff", width=WIDTH, height=HEIGHT, count=3, dtype="uint8", crs=CRS,
                    transform=place, photometric="RGB",
                ) as out:  # fmt: skip
                    out.write(drawn.pixels)
                paths.append(path)
                labels.append(drawn.labels[drawn.labels["occlusion"].fillna(0) <= SEEN])
                reviewed.append(drawn.reviewed)
    table = pd.concat(labels, ignore_index=True)[["class_code", "geometry"]]
    table["geometry"] = [_drawn_by_hand(one, rng) for one in table.geometry]
    gpd.GeoDataFrame(table, crs=CRS).to_file(folder / "labels.gpkg", layer="labels")
    gpd.GeoDataFrame(pd.concat(reviewed)[["geometry"]], crs=CRS).to_file(folder / "labels.gpkg", layer="reviewed")
    return paths, folder / "labels.gpkg"


def _drawn_by_hand(outline: shapely.Geometry, rng: np.random.Generator) -> shapely.Polygon:
    """Upright box around an outline, 5 to 40 % too wide and high, its centre off by a tenth of its sides."""
    west, south, east, north = outline.bounds
    sides = np.array([east - west, north - south])
    centre = np.array([west + east, south + north]) / 2 + rng.normal(0, 0.1, 2) * sides
    half = sides * rng.uniform(1.05, 1.4, 2) / 2
    return shapely.box(*(centre - half), *(centre + half))


def row_of(work: Path, photographs: Sequence[Path], gsd_cm: float, champion: str) -> dict[str, Any]:
    """Learn, train, survey and evaluate at one ground sampling distance; returns the figures of a line."""
    gsd = gsd_cm / 100
    frames, labels = write_ground(work / "learned", Ground(photographs[:4], 60, gsd, 600_000.0, 71))
    asked, truth = write_ground(work / "asked", Ground(photographs[-3:], 40, gsd, 640_000.0, 93))
    survey("learn", "--memory", work / "memory", "--labels", labels, *frames)
    options = ["--champion", "none"] if champion == "none" else []
    verdict = json.loads(
        survey("train", "--memory", work / "memory", "--models", work / "models", *options, "--json", quiet=True)
    )
    model = work / "models" / "versions" / f"{verdict['version']}.survey-model"
    report = judge(work / "found", asked, model, truth)
    return {"gsd_cm": gsd_cm, "champion": champion, "verdict": verdict, "report": report}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of real photographs")
    parser.add_argument("--gsd-cm", type=float, nargs="*", default=[0.8, 1.8])
    parser.add_argument("--champion", nargs="*", default=["none"], choices=("none", "shipped"))
    parser.add_argument("--work", type=Path, help="folder to work in; default a temporary one")
    options = parser.parse_args()
    photographs = sorted(options.photos.glob("*.tif"))
    print("| GSD (cm) | champion | held-out AP | promoted | AP on other ground (90 %) | recall | FA/ha at 0.8 | ECE |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for gsd_cm in options.gsd_cm:
            for champion in options.champion:
                work = (options.work or Path(temporary)) / f"{gsd_cm:g}-{champion}"
                row = row_of(work, photographs, gsd_cm, champion)
                verdict, report = row["verdict"], row["report"]
                low, high = report["ap_interval"] or (float("nan"),) * 2
                print(
                    f"| {gsd_cm:g} | {champion} | {verdict['comparison']['overall']['challenger']['ap']:.3f} | "
                    f"{verdict['promoted']} | {report['ap']:.3f} ({low:.3f} to {high:.3f}) | "
                    f"{report['recall_max']:.3f} | {report['fa_per_ha_at_recall']['0.8']} | {report['ece']:.3f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
