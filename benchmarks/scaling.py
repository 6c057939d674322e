"""How the time of a survey grows with area, objects, districts and workers.

    python benchmarks/scaling.py --data DIR [--files 1 4 28 45 560] [--write docs/scaling-table.md]

Files of 2.25 ha (natural colour photographs of ``DIR/brighton``, taken to be of 2.5 cm, with mines drawn in, as JPEG
COGs) are laid side by side, as many as ``--files`` says. Times are of whole jobs, from job file to GeoPackage; the
exponent is from the first area of a gigapixel or more to the last. Dask workers are those of a cluster on this machine,
which are there before the clock starts.
"""

from __future__ import annotations

import argparse
import itertools
import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from distributed import LocalCluster
from speed import joined, make_ground

from pipelines.grounds import CRS
from pipelines.progress import Quiet
from pipelines.run import How, survey_job
from survey.settings import read_job

GSD_M, FILE_MPX, ACROSS = 0.025, 36.0, 8
TWO = How(workers=2)
BANDS = "{ red = 1, green = 2, blue = 3 }"


def laid_out(folder: Path, original: Path, count: int) -> list[Path]:
    """Copies of a raster side by side, eight to a row."""
    paths = []
    with rasterio.open(original) as image:
        place, width, height = image.transform, image.width * GSD_M, image.height * GSD_M
    for number in range(count):
        path = folder / f"{number:04d}.tif"
        shutil.copy(original, path)
        down, across = divmod(number, ACROSS)
        with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as image:
            image.transform = rasterio.Affine.translation(across * width, -down * height) @ place
        paths.append(path)
    return paths


def timed(folder: Path, files: Sequence[Path], districts: int, how: How) -> tuple[float, int]:
    """Seconds of a job, and the objects it shows; districts are strips of equal width."""
    folder.mkdir(parents=True)
    bounds = []
    for path in files:
        with rasterio.open(path) as image:
            bounds.append(tuple(image.bounds))
    west, south, east, north = (
        f(values) for f, values in zip((min, min, max, max), zip(*bounds, strict=True), strict=True)
    )
    walls = np.linspace(west - 10, east + 10, districts + 1)
    strips = [shapely.box(a, south - 10, b, north + 10) for a, b in itertools.pairwise(walls)]
    names = [f"District {number}" for number in range(districts)]
    gpd.GeoDataFrame({"name": names, "code": names}, geometry=strips, crs=CRS).to_file(folder / "districts.gpkg")
    (folder / "job.toml").write_text(
        f'[job]\nname = "scaling"\noutput = "out"\n[imagery]\nbands = {BANDS}\n'
        f"paths = {[p.as_posix() for p in files]}\n"
        '[districts]\npath = "districts.gpkg"\nname_field = "name"\ncode_field = "code"\n',
        encoding="utf-8",
    )
    start = time.perf_counter()
    summary = survey_job(read_job(folder / "job.toml"), how, Quiet())
    seconds = time.perf_counter() - start
    if summary.exit_code:
        raise SystemExit(f"{folder}: the survey ended with code {summary.exit_code}.")
    shown = len(gpd.read_file(folder / "out" / "survey.gpkg", layer="hazard_objects", columns=[]))
    shutil.rmtree(folder / "out")
    return seconds, shown


def lines(options: argparse.Namespace, work: Path) -> Iterator[str]:
    """Measure each case; one row of the table each."""
    photos = sorted((options.data / "brighton").glob("*.tif"))

    def ground(objects_per_ha: float) -> Path:
        pixels, labels = joined(photos, FILE_MPX, GSD_M, {"mine_at": objects_per_ha})
        folder = work / f"ground-{objects_per_ha:g}"
        folder.mkdir()
        return make_ground(folder, "JPEG COG", pixels, labels, GSD_M).path

    def row(what: str, files: Sequence[Path], districts: int = 1, how: How = TWO) -> tuple[float, str]:
        seconds, shown = timed(work / f"job-{time.monotonic_ns()}", files, districts, how)
        hectares, gpx = len(files) * FILE_MPX * GSD_M**2 * 100, len(files) * FILE_MPX / 1000
        return seconds, (
            f"| {what} | {len(files)} | {hectares:.0f} | {gpx:.2f} | {shown} | {seconds:.0f} | "
            f"{1000 * gpx / seconds:.1f} |"
        )

    sizes = sorted(options.files)
    plain = laid_out(work, ground(20.0), max(8, sizes[-1]))
    times = []
    for count in sizes:
        seconds, text = row("area", plain[:count])
        times.append(seconds)
        yield text
    large = next(number for number, count in enumerate(sizes) if count * FILE_MPX >= 1000 or count == sizes[-2])
    slope = math.log(times[-1] / times[large]) / math.log(sizes[-1] / sizes[large])
    yield f"| exponent of area, {sizes[large]} to {sizes[-1]} files | | | | | {slope:.2f} | |"
    for density in (200.0, 1000.0):
        folder = work / f"dense-{density:g}"
        folder.mkdir()
        yield row(f"{density:g} mines drawn in a hectare", laid_out(folder, ground(density), 4))[1]
    for districts in (11, 100):
        yield row(f"{districts} districts", plain[:4], districts)[1]
    for workers in (1, 2):
        yield row(f"{workers} worker{'s' * (workers > 1)}", plain[:8], how=How(workers=workers))[1]
    for workers in (1, 2):
        with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
            how = How(cluster=cluster.scheduler_address)
            row("not counted", plain[:1], how=how)
            yield row(f"{workers} Dask worker{'s' * (workers > 1)}", plain[:8], how=how)[1]


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--files", type=int, nargs="*", default=[1, 4, 28, 45, 560], help="at least two")
    parser.add_argument("--write", type=Path, help="Markdown file for the table")
    options = parser.parse_args()
    table = ["| what | files | ha | Gpx | objects shown | s | Mpx/s |", "|---|---|---|---|---|---|---|"]
    print("\n".join(table), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for line in lines(options, Path(folder)):
            table.append(line)
            print(line, flush=True)
    if options.write:
        options.write.write_text("\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
