"""How long a survey takes against only reading the same file, and against a plain per-pixel forest.

    python benchmarks/speed.py --data DIR [--mpx 100] [--only NAME...] [--formats NAME...] [--rounds 3] [--write FILE]

Rasters are made of the natural colour photographs in ``DIR/brighton`` (mirrored and joined, taken to be of 2.5, 0.8 or
10 cm), with mines or craters drawn into them, once with much clutter beside them: as a JPEG COG, as OpenDroneMap writes
orthophotos (RGBA, deflate, predictor 2, tiles of 512), and uncompressed. Raw reading of every block and ``survey run``
as a command of its own take turns, with the same number of processes; medians are shown: of the whole command, from
its start to the GeoPackage, report and project, and of its pixel plane, from tiles laid out, when the model is loaded,
to the last one recorded. Memory, of all processes with shared pages counted once, is that of one more run, for looking
takes time. Beside them is the recall of the drawn, unoccluded objects on that very raster, with its 90 % interval
(Wilson): what finds nothing is not fast.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import rasterio.features
import shapely
from rasterio.shutil import copy
from rasterio.transform import from_origin
from rasterio.windows import Window
from sklearn.ensemble import RandomForestClassifier
from watching import EVERY_S, MIB, Watched, run

from pipelines.grounds import CRS, NORTH, WEST, detections_of, write_job
from survey.memory.comparison import Evaluating
from survey.memory.evaluation import evaluate
from survey.synthetic.photograph import IntoSettings, Photo, draw_into, open_ground

RGB = ("red", "green", "blue")
AT, SMALL = {"mine_at": 20.0}, {"mine_ap": 100.0, "mine_scatterable": 100.0}
FORMATS = {
    "JPEG COG": {"driver": "COG", "compress": "JPEG", "quality": 85, "blocksize": 512},
    "RGBA deflate": {"driver": "GTiff", "compress": "DEFLATE", "predictor": 2, "tiled": True,
                     "blockxsize": 512, "blockysize": 512},
    "uncompressed": {"driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512},
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """What is sought, at which ground sampling distance, and what is drawn in (numbers a hectare)."""

    name: str
    gsd_m: float
    families: tuple[str, ...] | None
    objects: dict[str, float]
    clutter: float = 0.0


CASES = {
    "at": Case("anti-tank mines and indicators", 0.025, ("AT", "indicator"), AT),
    "cluttered": Case("the same, very cluttered", 0.025, ("AT", "indicator"), AT, 3.0),
    "small": Case("everything", 0.008, None, SMALL),
    "indicators": Case("indicators only", 0.1, ("indicator",), {"crater": 20.0}),
}


@dataclass(frozen=True)
class Ground:
    """A raster with its truth."""

    path: Path
    labels: gpd.GeoDataFrame
    reviewed: gpd.GeoDataFrame
    mpx: float


def joined(
    photos: Sequence[Path], mpx: float, gsd_m: float, objects: dict[str, float], clutter: float = 0.0
) -> tuple[np.ndarray, list]:
    """Pixels of photographs side by side, mirrored where they come again, with objects and clutter drawn into each."""
    with rasterio.open(photos[0]) as first:
        height, width = first.height, first.width
    across = max(1, round(np.sqrt(mpx * 1e6 / (height * width) * height / width)))
    down = max(1, round(mpx * 1e6 / (height * width * across)))
    whole = np.empty((3, down * height, across * width), np.uint8)
    labels = []
    for number in range(across * down):
        row, col = divmod(number, across)
        with rasterio.open(photos[number % len(photos)]) as image:
            pixels = image.read()[:, :: -1 if row % 2 else 1, :: -1 if col % 2 else 1]
        place = from_origin(WEST + col * width * gsd_m, NORTH - row * height * gsd_m, gsd_m, gsd_m)
        photo = Photo(np.ascontiguousarray(pixels), RGB, place, CRS, gsd_m)
        drawn = draw_into(
            photo, IntoSettings(objects_per_ha=objects, clutter=clutter), 900 + number, open_ground(photo)
        )
        whole[:, row * height : (row + 1) * height, col * width : (col + 1) * width] = drawn.pixels
        labels.append(drawn.labels)
    return whole, labels


def make_ground(folder: Path, form: str, pixels: np.ndarray, labels: list, gsd_m: float) -> Ground:
    """Write the raster in a format."""
    options = dict(FORMATS[form])
    alpha = form.startswith("RGBA")
    bands, height, width = pixels.shape
    transform = from_origin(WEST, NORTH, gsd_m, gsd_m)
    plain, path = folder / "plain.tif", folder / f"{form.split()[0].lower()}.tif"
    with rasterio.open(plain, "w", driver="GTiff", width=width, height=height, count=bands + alpha, dtype="uint8",
                       crs=CRS, transform=transform, tiled=True, blockxsize=512, blockysize=512,
                       photometric="RGB", **({"alpha": "unspecified"} if alpha else {})) as image:  # fmt: skip
        image.write(pixels, range(1, bands + 1))
        if alpha:
            image.write(np.full((height, width), 255, np.uint8), 4)
            image.colorinterp = [*image.colorinterp[:3], rasterio.enums.ColorInterp.alpha]
    copy(plain, path, **options)
    plain.unlink()
    outline = shapely.box(WEST, NORTH - height * gsd_m, WEST + width * gsd_m, NORTH)
    reviewed = gpd.GeoDataFrame({"site": ["speed"]}, geometry=[outline], crs=CRS)
    return Ground(path, pd.concat(labels, ignore_index=True), reviewed, height * width / 1e6)


def _read_rows(task: tuple[Path, int, int]) -> int:
    path, first, last = task
    with rasterio.open(path) as image:
        return sum(
            int(image.read(window=window)[0, 0, 0])
            for (row, _), window in image.block_windows(1)
            if first <= row < last
        )


def read_raw(path: Path, workers: int) -> float:
    """Seconds to read every block, each process a run of block rows."""
    with rasterio.open(path) as image:
        rows = -(-image.height // image.block_shapes[0][0])
    edges = np.linspace(0, rows, workers + 1).round().astype(int)
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(abs, range(workers)))  # the processes are there before the clock starts
        start = time.perf_counter()
        list(pool.map(_read_rows, [(path, int(a), int(b)) for a, b in itertools.pairwise(edges)]))
        return time.perf_counter() - start


def survey_once(ground: Ground, case: Case, folder: Path, workers: int, every_s: float | None) -> Watched:
    """Survey the ground by the command, its memory looked at as often; the result is in ``folder``."""
    more = "" if case.families is None else f"[detection]\nfamilies = {list(case.families)}\n"
    watched = run(write_job(folder, [ground.path], RGB, None, more), workers, every_s=every_s)
    if watched.exit_code:
        raise SystemExit(f"The survey in {folder} ended with code {watched.exit_code}.")
    return watched


def forest_loop(path: Path, mpx: float) -> float:
    """Megapixels a second of the plain loop: read a block, ask a forest of 100 trees about every pixel, polygonize."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (4000, 3))
    forest = RandomForestClassifier(100, n_jobs=-1, random_state=0).fit(colours, colours[:, 0] > 200)
    done, start = 0.0, time.perf_counter()
    with rasterio.open(path) as image:
        for _, window in image.block_windows(1):
            pixels = image.read([1, 2, 3], window=window)
            found = forest.predict(pixels.reshape(3, -1).T).reshape(pixels.shape[1:]).astype(np.uint8)
            transform = rasterio.windows.transform(Window(*window.flatten()), image.transform)
            sum(1 for _ in rasterio.features.shapes(found, mask=found > 0, transform=transform))
            done += found.size / 1e6
            if done >= mpx:
                break
    return done / (time.perf_counter() - start)


def recall_on(result: Path, ground: Ground, codes: tuple[str, ...]) -> str:
    """Recall of unoccluded drawn objects among all detections of a run, with its interval, and how many there are."""
    open_ones = ground.labels[ground.labels["occlusion"].fillna(0) <= 0.05]
    detections, coverage = detections_of(result)
    report = evaluate(detections, open_ones, ground.reviewed, coverage, Evaluating(classes=(*codes, "unknown_object")))
    recall, count = report["recall_max"], report["n_truth"]
    low, high = wilson(recall, count)
    return f"{recall:.2f} ({low:.2f}-{high:.2f}) of {count}"


def wilson(share: float, count: int, z: float = 1.645) -> tuple[float, float]:
    """Interval of a share that was counted (Wilson 1927); ``z`` of 1.645 is 90 %."""
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return middle - half, middle + half


def lines(options: argparse.Namespace, work: Path) -> Iterator[str]:
    """Measure each ground and kind of survey."""
    photos = sorted((options.data / "brighton").glob("*.tif"))
    for case in (CASES[name] for name in options.only):
        pixels, labels = joined(photos, options.mpx, case.gsd_m, case.objects, case.clutter)
        for form in options.formats:
            ground = make_ground(work, form, pixels, labels, case.gsd_m)
            raw, seen = [], []
            for _ in range(options.rounds):
                raw.append(read_raw(ground.path, options.workers))
                with tempfile.TemporaryDirectory(dir=work) as folder:
                    seen.append(survey_once(ground, case, Path(folder), options.workers, None))
            with tempfile.TemporaryDirectory(dir=work) as folder:
                looked = survey_once(ground, case, Path(folder), options.workers, EVERY_S)
                recall = recall_on(Path(folder) / "out" / "survey.gpkg", ground, tuple(case.objects))
            read, plane, whole = (
                statistics.median(values) for values in (raw, [a.pixels_s for a in seen], [a.seconds for a in seen])
            )
            rates = " | ".join(f"{ground.mpx / one:.1f}" for one in (read, plane, whole))
            yield (
                f"| {case.name}, {100 * case.gsd_m:g} cm, {form} | {ground.mpx:.0f} | {rates} | {plane / read:.1f} | "
                f"{whole / read:.1f} | {recall} | {looked.peak('pss') / MIB:.0f} | "
                f"{ground.mpx / whole / forest_loop(ground.path, 4.0):.0f} x |"
            )
            ground.path.unlink()


HEADER = """\
| what | Mpx | raw read, Mpx/s | pixel plane, Mpx/s | end to end, Mpx/s | pixel plane / raw | end to end / raw \
| recall of all emitted, open objects | memory of the pixel plane, MiB | against a per-pixel forest |
|---|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--mpx", type=float, default=100.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=CASES, default=tuple(CASES))
    parser.add_argument("--formats", nargs="*", choices=FORMATS, default=tuple(FORMATS))
    parser.add_argument("--write", type=Path, help="Markdown file for the table")
    options = parser.parse_args()
    table = [HEADER]
    print(HEADER, flush=True)
    told: Callable[[str], None] = table.append
    with tempfile.TemporaryDirectory() as folder:
        for line in lines(options, Path(folder)):
            told(line)
            print(line, flush=True)
    if options.write:
        options.write.write_text("\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
