"""Memory and file handles of batch jobs: large rasters, many objects, many small tiles with faults.

    python benchmarks/batch.py giga --gigapixels 30 --stop-after 200
    python benchmarks/batch.py objects
    python benchmarks/batch.py faults --share 0.02 --kills 10

Every case is ``survey run`` in a process of its own, looked at from outside four times a second: the resident memory
of the coordinator and of all processes together (pages that several share are counted once: PSS; counted in each: RSS),
and open file handles. The pixel plane lasts from tiles laid out to the last of them; opening and the map plane are told
apart. Large rasters are VRTs that repeat the sample's image (``--source``), without overviews, which is the dearest
case for the coarser passes. ``--stop-after`` ends the run by SIGINT after so many tiles; the whole raster is planned
all the same. Rows are printed as Markdown; ``--write FILE`` adds them to a file.
"""

from __future__ import annotations

import argparse
import random
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import psutil
import rasterio
import shapely
from rasterio.shutil import copy
from watching import MIB, Watched, run

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"


def write_job(folder: Path, image: Path, source: Path, more: str = "") -> Path:
    """Write a job over one image whose only district is the image's ground."""
    with rasterio.open(image) as opened:
        ground = shapely.box(*opened.bounds)
        table = gpd.GeoDataFrame({"name": ["All"], "code": ["A"]}, geometry=[ground], crs=opened.crs)
    table.to_file(folder / "districts.geojson")
    path = folder / "job.toml"
    path.write_text(
        f'[job]\nname = "batch"\noutput = "out"\n[imagery]\npaths = ["{image.name}"]\n'
        f'vrt_folders = ["{source.resolve().parent.as_posix()}"]\nbands = {{ red = 1, green = 2, blue = 3 }}\n'
        f'[districts]\npath = "districts.geojson"\nname_field = "name"\ncode_field = "code"\n{more}'
    )
    return path


def repeat(source: Path, window: tuple[int, int, int, int], times: tuple[int, int], path: Path) -> tuple[int, int]:
    """Write a VRT that repeats a window (row, col, height, width) of an image; returns its height and width."""
    row, col, height, width = window
    down, across = times
    with rasterio.open(source) as image:
        wkt = image.crs.to_wkt().replace('"', "&quot;")
        a, b, c, d, e, f = image.transform[:6]
        block = image.block_shapes[0]
        size = f'RasterXSize="{image.width}" RasterYSize="{image.height}"'
    bands = []
    for band, colour in enumerate(("Red", "Green", "Blue"), start=1):
        sources = [
            f'<SimpleSource><SourceFilename relativeToVRT="0">{source.resolve()}</SourceFilename>'
            f'<SourceBand>{band}</SourceBand><SourceProperties {size} DataType="Byte" '
            f'BlockXSize="{block[1]}" BlockYSize="{block[0]}"/>'
            f'<SrcRect xOff="{col}" yOff="{row}" xSize="{width}" ySize="{height}"/>'
            f'<DstRect xOff="{x * width}" yOff="{y * height}" xSize="{width}" ySize="{height}"/></SimpleSource>'
            for y in range(down)
            for x in range(across)
        ]
        bands.append(
            f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{colour}</ColorInterp>'
            + "\n".join(sources)
            + "</VRTRasterBand>"
        )
    path.write_text(
        f'<VRTDataset rasterXSize="{across * width}" rasterYSize="{down * height}"><SRS>{wkt}</SRS>'
        f"<GeoTransform>{c}, {a}, {b}, {f}, {d}, {e}</GeoTransform>" + "\n".join(bands) + "</VRTDataset>"
    )
    return down * height, across * width


def giga(folder: Path, options: argparse.Namespace) -> list[str]:
    """One raster of so many gigapixels."""
    with rasterio.open(options.source) as image:
        height, width = image.height, image.width
    side = (options.gigapixels * 1e9 / (height * width)) ** 0.5
    across = max(1, round(side * (height / width) ** 0.5))
    down = max(1, round(options.gigapixels * 1e9 / (height * width * across)))
    size = repeat(options.source, (0, 0, height, width), (down, across), folder / "mosaic.vrt")
    job = write_job(folder, folder / "mosaic.vrt", options.source)
    watched = run(job, options.workers, stopping(options.stop_after))
    return [row(f"{size[0] * size[1] / 1e9:.2f} Gpx", watched, folder)]


def objects(folder: Path, options: argparse.Namespace) -> list[str]:
    """The same number of tiles with hardly any objects, and with many: windows of the image, repeated."""
    with rasterio.open(options.source) as image:
        labels = gpd.read_file(SAMPLE / "truth.gpkg", layer="labels").to_crs(image.crs)
        inside = labels[labels.intersects(shapely.box(*image.bounds))].geometry.centroid
        cols, rows = ~image.transform * (inside.x.to_numpy(), inside.y.to_numpy())
        counts, *_ = np.histogram2d(rows, cols, [np.arange(0, n + 1, 400) for n in (image.height, image.width)])
    made = []
    for name, place in {"few objects": counts.argmin(), "many objects": counts.argmax()}.items():
        down, right = np.unravel_index(place, counts.shape)
        home = folder / name.split()[0]
        home.mkdir()
        repeat(options.source, (400 * int(down), 400 * int(right), 400, 400), (50, 50), home / "mosaic.vrt")
        job = write_job(home, home / "mosaic.vrt", options.source, "[execution]\ntile_px = 1024\n")
        made.append(row(f"0.40 Gpx, {name}", run(job, options.workers, stopping(0)), home))
    return made


def faults(folder: Path, options: argparse.Namespace) -> list[str]:
    """Thousands of small tiles; blocks of the file are damaged until the wanted share of tiles meets one."""
    image = folder / "damaged.tif"
    copy(options.source, image, driver="GTiff", compress="DEFLATE", tiled=True, blockxsize=64, blockysize=64)
    chance = random.Random(0)
    with rasterio.open(image) as opened:
        places = [(c, r) for r in range(-(-opened.height // 64)) for c in range(-(-opened.width // 64))]
        # A damaged block is met by the tiles around it as well, whose margins it lies in: 47 were counted for each.
        chosen = chance.sample(places, max(1, round(len(places) * options.share / 47)))
        spans = [
            tuple(int(opened.get_tag_item(f"BLOCK_{what}_{c}_{r}", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
            for c, r in chosen
        ]
    with image.open("r+b") as file:
        for offset, size in spans:
            file.seek(offset)
            file.write(b"\xff" * min(size, 64))
    # One pass only: what is held is asked about here, not what a tile costs.
    job = write_job(folder, image, image, '[detection]\nfamilies = ["AT"]\n[execution]\ntile_px = 64\n')
    kill_at = set(chance.sample(range(300, 5000), options.kills))

    def on_tile(number: int, process: psutil.Process) -> None:
        if number in kill_at:
            workers = [one for one in process.children(recursive=True) if one.memory_info().rss > 100 * MIB]
            if workers:
                chance.choice(workers).kill()

    watched = run(job, options.workers, on_tile)
    return [row(f"64 px tiles, {len(spans)} blocks damaged, {options.kills} workers killed", watched, folder)]


def stopping(after: int) -> Callable[[int, psutil.Process], None]:
    """Stop the run after so many tiles; never for 0."""

    def on_tile(number: int, process: psutil.Process) -> None:
        if number == after:
            process.send_signal(signal.SIGINT)

    return on_tile


HEADINGS = (
    "case", "tiles planned", "surveyed", "not whole", "sightings", "minutes", "exit", "all PSS peak", "all RSS peak",
    "coordinator peak", "coordinator at 10 / 50 / 100 %", "all RSS at 10 / 50 / 100 %", "handles at 10 / 50 / 100 %",
    "opening", "maps", "journal",
)  # fmt: skip


def row(name: str, watched: Watched, folder: Path) -> str:
    """Return a row of the table, memory in MiB."""
    journal = folder / "out" / "journal.sqlite"
    database = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    found, spoiled = database.execute(
        "SELECT SUM(n_sightings), SUM(state IN ('partial', 'failed', 'split')) FROM tiles"
    ).fetchone()
    database.close()
    shares = (0.1, 0.5, 1.0)
    cells = [
        name, f"{watched.planned:,}", f"{watched.tiles:,}", f"{spoiled or 0:,}", f"{found or 0:,}",
        f"{watched.seconds / 60:.1f}", str(watched.exit_code),
        *(f"{watched.peak(what) / MIB:.0f}" for what in ("pss", "rss", "own")),
        *(" / ".join(f"{watched.at(share, what) / MIB:.0f}" for share in shares) for what in ("own", "rss")),
        " / ".join(f"{watched.at(share, 'handles'):.0f}" for share in shares),
        *(f"{watched.peak('pss', phase) / MIB:.0f}" for phase in ("opening", "maps")),
        f"{journal.stat().st_size / MIB:.1f}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=["giga", "objects", "faults"])
    parser.add_argument("--source", type=Path, default=SAMPLE / "imagery" / "field_a.tif", help="image to repeat")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--gigapixels", type=float, default=1.0)
    parser.add_argument("--stop-after", type=int, default=0, metavar="TILES", help="0: the whole raster")
    parser.add_argument("--share", type=float, default=0.02, help="of the tiles that meet a damaged block")
    parser.add_argument("--kills", type=int, default=10, help="workers killed on the way")
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rows = {"giga": giga, "objects": objects, "faults": faults}[options.case](Path(folder), options)
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS), *rows]
    print("\n".join(lines))
    if options.write is not None:
        with options.write.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
