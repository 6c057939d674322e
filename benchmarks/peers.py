"""What one would use instead, on the same raster: from training polygons to polygons of what was found.

    python benchmarks/peers.py --data DIR [--mpx 25] [--write docs/peers-table.md]

The raster is that of ``benchmarks/speed.py``: natural colour photographs of ``DIR/brighton``, taken to be of 2.5 cm,
with anti-tank mines drawn in, as a JPEG COG. Peers classify pixels by their colours: a plain loop of rasterio and
scikit-learn, and the Orfeo Toolbox (Debian's ``otb-bin``; left out where it is not installed), each trained on half
of the drawn mines and on ground beside them, with a forest of 100 trees. Ours is ``survey run`` with the shipped
model, which has learned from other drawings. Two cores; what a mine's polygon is, for peers, is any polygon on it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import rasterio.features
import shapely
from sklearn.ensemble import RandomForestClassifier
from speed import RGB, Ground, joined, make_ground

from pipelines.grounds import CRS, detections_of, survey_files

FAMILIES = ("AT", "indicator")
TREES = 100
_SEED = 0


@dataclass(frozen=True)
class Result:
    """What a tool took and gave: seconds from training polygons to polygons, and the polygons."""

    tool: str
    seconds: float
    polygons: gpd.GeoSeries


def training_polygons(ground: Ground) -> gpd.GeoDataFrame:
    """Half of the mines (class 1) and as many wide discs of ground away from any mine (class 2)."""
    rng = np.random.default_rng(_SEED)
    mines = ground.labels.geometry.iloc[::2]
    west, south, east, north = ground.reviewed.total_bounds
    around = shapely.union_all(ground.labels.geometry.buffer(3.0).to_numpy())
    points = shapely.points(
        rng.uniform(west + 2, east - 2, 20 * len(mines)), rng.uniform(south + 2, north - 2, 20 * len(mines))
    )
    free = [one for one in shapely.buffer(points, 1.5) if not shapely.intersects(one, around)][: len(mines)]
    table = {"cls": [1] * len(mines) + [2] * len(free)}
    return gpd.GeoDataFrame(table, geometry=[*mines, *free], crs=CRS)


def polygons_of(found: np.ndarray, transform: rasterio.Affine) -> gpd.GeoSeries:
    """Polygons of class 1, all in one call."""
    shapes = [
        shapely.geometry.shape(one) for one, _ in rasterio.features.shapes(found, mask=found == 1, transform=transform)
    ]
    return gpd.GeoSeries(shapes, crs=CRS)


def plain_loop(ground: Ground, training: gpd.GeoDataFrame, work: Path) -> Result:
    """Rasterio and scikit-learn, block by block."""
    start = time.perf_counter()
    with rasterio.open(ground.path) as image:
        pixels, places = image.read(), image.transform
        known = rasterio.features.rasterize(
            zip(training.geometry, training["cls"], strict=True), pixels.shape[1:], transform=places
        )
        rows = np.flatnonzero(known.ravel())
        # As the Orfeo Toolbox does: at most 1,000 pixels a class.
        rng = np.random.default_rng(_SEED)
        chosen = np.concatenate([rng.permutation(rows[known.ravel()[rows] == cls])[:1000] for cls in (1, 2)])
        forest = RandomForestClassifier(TREES, n_jobs=-1, random_state=_SEED)
        forest.fit(pixels.reshape(3, -1).T[chosen], known.ravel()[chosen])
        found = np.empty(pixels.shape[1:], np.uint8)
        for _, window in image.block_windows(1):
            part = image.read(window=window)
            rows_, cols_ = window.toslices()
            found[rows_, cols_] = forest.predict(part.reshape(3, -1).T).reshape(part.shape[1:])
    polygons = polygons_of(found, places)
    return Result(f"rasterio + scikit-learn, {TREES} trees", time.perf_counter() - start, polygons)


def orfeo(ground: Ground, training: gpd.GeoDataFrame, work: Path, accuracy: float | None) -> Result:
    """The Orfeo Toolbox: TrainImagesClassifier, ImageClassifier, then polygons."""
    folder = work / f"orfeo-{accuracy}"
    folder.mkdir()
    start = time.perf_counter()
    training.to_file(folder / "training.shp")
    more = ["-classifier.rf.nbtrees", str(TREES)] + ([] if accuracy is None else ["-classifier.rf.acc", str(accuracy)])
    _otb("TrainImagesClassifier", "-io.il", ground.path, "-io.vd", folder / "training.shp", "-sample.vfn", "cls",
         "-classifier", "rf", *more, "-io.out", folder / "model.txt", "-rand", _SEED)  # fmt: skip
    _otb("ImageClassifier", "-in", ground.path, "-model", folder / "model.txt", "-out", folder / "found.tif", "uint8")
    with rasterio.open(folder / "found.tif") as image:
        polygons = polygons_of(image.read(1), image.transform)
    seconds = time.perf_counter() - start
    trees = (folder / "model.txt").read_text().count("nodes:")
    kind = "its defaults" if accuracy is None else "the accuracy it stops at set to 0"
    return Result(f"Orfeo Toolbox, {TREES} trees asked for, {kind}: {trees} made", seconds, polygons)


def _otb(application: str, *options: object) -> None:
    environment = {**os.environ, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "2", "OMP_NUM_THREADS": "2"}
    subprocess.run([f"otbcli_{application}", *map(str, options)], check=True, capture_output=True, env=environment)


def ours(ground: Ground, training: gpd.GeoDataFrame, work: Path) -> Result:
    """``survey run`` from job file to GeoPackage; what it emits, whatever its probability."""
    start = time.perf_counter()
    more = f"[detection]\nfamilies = {list(FAMILIES)}\n"
    result = survey_files(work / "ours", [ground.path], RGB, None, more)
    seconds = time.perf_counter() - start
    detections, _ = detections_of(result)
    return Result(
        "survey run, shipped model (job file to GeoPackage, report, project)", seconds, detections.to_crs(CRS).geometry
    )


def line_of(result: Result, ground: Ground) -> str:
    """One line of the table."""
    asked = ground.labels.iloc[1::2]
    asked = asked[asked["occlusion"].fillna(0) <= 0.05]
    tree = shapely.STRtree(result.polygons.to_numpy())
    hit = len(np.unique(tree.query(asked.geometry.to_numpy(), predicate="intersects")[0]))
    hectares = float(ground.reviewed.area.sum() / 1e4)
    return (
        f"| {result.tool} | {ground.mpx / result.seconds:.2f} | {len(result.polygons) / hectares:,.0f} | "
        f"{hit} of {len(asked)} |"
    )


HEADER = """\
| tool | Mpx/s, training to polygons | polygons a hectare | open mines not trained on that a polygon touches |
|---|---|---|---|"""


def results(ground: Ground, work: Path) -> Iterator[Result]:
    """Run each tool in turn."""
    training = training_polygons(ground)
    yield ours(ground, training, work)
    yield plain_loop(ground, training, work)
    if shutil.which("otbcli_TrainImagesClassifier") is None:
        print("The Orfeo Toolbox is not installed (Debian: otb-bin); its rows are left out.", file=sys.stderr)
        return
    yield orfeo(ground, training, work, 0.0)
    yield orfeo(ground, training, work, None)


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--mpx", type=float, default=25.0)
    parser.add_argument("--write", type=Path, help="Markdown file for the table")
    options = parser.parse_args()
    table = [HEADER]
    print(HEADER, flush=True)
    told: Callable[[str], None] = table.append
    photos = sorted((options.data / "brighton").glob("*.tif"))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        pixels, labels = joined(photos, options.mpx, 0.025, {"mine_at": 60.0})
        ground = make_ground(work, "JPEG COG", pixels, labels, 0.025)
        for result in results(ground, work):
            told(line_of(result, ground))
            print(table[-1], flush=True)
    if options.write:
        options.write.write_text("\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
