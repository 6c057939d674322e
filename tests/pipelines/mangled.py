"""Read real files with bounded damage one after another, in a process of its own: what decodes them may crash it.

    PYTHONPATH=.:tests:tests/pipelines python tests/pipelines/mangled.py FOLDER FIRST KIND=COUNT...

FOLDER holds whole files as ``test_fuzz_binary.py`` makes them. Each damage is drawn from its number alone, which is
printed before the file is read, so that the last line says what a crash came from.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import shutil
import sqlite3
import sys
import traceback
import warnings
from itertools import islice
from pathlib import Path

import geopandas as gpd
import numpy as np
from damage import STRANGE, bytes_turned, damaged, json_turned, zip_turned
from drawn_job import ROLES

from pipelines.engine.journal import NAME, Journal
from pipelines.engine.parcels import unpack_cells, unpack_sightings
from pipelines.labels import read_labels
from pipelines.reopening import reopened
from pipelines.status import status_of
from survey.api import Detection, load_model, passes, pieces, region_of, survey_damaged_tile
from survey.contamination.plane import Plane
from survey.contamination.terrain import Terrain, slope_by_area
from survey.errors import SurveyError
from survey.exports.geopackage import read
from survey.exports.reviews import harvest
from survey.imagery.pieces import cells_shape
from survey.imagery.scene import Imagery, open_scene
from survey.imagery.tiles import Tiling
from survey.layers import OUTPUT_LAYERS
from survey.memory.clips import read_group
from survey.memory.examples import open_memory
from survey.settings import read_job

MOST_MEMORY = 2**31


def model(folder: Path, chance: random.Random) -> None:
    content = (folder / "drawn.survey-model").read_bytes()
    if chance.randrange(4):
        content = zip_turned(content, chance, lambda name: name.endswith((".skops", ".survey-model")))
    else:
        content = bytes_turned(content, chance)
    path = folder / "mangled.survey-model"
    path.write_bytes(content)
    load_model(path, ROLES)


def memory(folder: Path, chance: random.Random) -> None:
    copy = folder / "mangled-memory"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "memory", copy)
    path = chance.choice(sorted(one for one in copy.rglob("*") if one.is_file()))
    content = path.read_bytes()
    if path.suffix == ".json" and chance.randrange(2):
        content = json.dumps(json_turned(json.loads(content), chance)).encode()
    else:
        # The footer of a Parquet file says where everything lies.
        content = (
            bytes_turned(content[::-1], chance, 2000)[::-1] if chance.randrange(2) else bytes_turned(content, chance)
        )
    path.write_bytes(content)
    opened = open_memory(copy)
    opened.examples()
    for segment in opened.segments:
        for group in segment.clips()["group"].unique():
            list(read_group(segment.clips_path, group))


def journal(folder: Path, chance: random.Random) -> None:
    copy = folder / "mangled-out"
    copy.mkdir(exist_ok=True)
    for left in copy.iterdir():
        left.unlink()
    shutil.copy(folder / "out" / NAME, copy / NAME)
    if chance.randrange(2):
        (copy / NAME).write_bytes(bytes_turned((copy / NAME).read_bytes(), chance))
    else:
        _turn_a_value(copy / NAME, chance)
    job = read_job(folder / "mangled-out.toml")
    with contextlib.suppress(SurveyError):
        status_of(job)
    with Journal(copy, "drawn") as journal:
        opened = reopened(job, journal)
        rows = journal.scenes()
        for place in opened.scenes:
            entries = list(journal.entries(rows[place.scene.name].key, content=True))
            unpack_sightings([one.sightings for one in entries if one.sightings], place.scene.grid.crs)
            for entry in entries:
                if entry.cells:
                    unpack_cells(entry.cells, cells_shape(place.scene, place.finest.level))


def _turn_a_value(path: Path, chance: random.Random) -> None:
    """Another value in one cell of one table, in a database that is whole."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        table = chance.choice(["meta", "scenes", "tiles"])
        rows = database.execute(f"SELECT * FROM {table}").fetchall()
        row = list(chance.choice(rows))
        column = chance.randrange(len(row))
        value = row[column]
        if isinstance(value, bytes):
            value = bytes_turned(value, chance)
        elif isinstance(value, str) and value[:1] in ("{", "[") and chance.randrange(4):
            value = json.dumps(json_turned(json.loads(value), chance))
        else:
            value = chance.choice(
                [one for one in (*STRANGE, b"\xff", b"") if isinstance(one, str | bytes | float | None)]
            )
        row[column] = value
        with contextlib.suppress(sqlite3.IntegrityError):
            database.execute(f"INSERT OR REPLACE INTO {table} VALUES ({','.join('?' * len(row))})", row)
        database.commit()


def raster(folder: Path, chance: random.Random) -> None:
    """Headers, for the most part; what opens is planned, and its first tiles are surveyed as a worker does it."""
    whole = chance.choice(sorted((folder / "rasters").iterdir()))
    content = whole.read_bytes()
    path = folder / f"mangled{whole.suffix}"
    if whole.suffix == ".vrt":
        hurts = [(chance.randrange(10**6), kind, chance.randrange(256)) for kind in chance.choices(_TEXT, k=2)]
        path.write_bytes(damaged(content, hurts))
    else:
        path.write_bytes(bytes_turned(content, chance, chance.choice([300, 3000, None])))
    scene = open_scene(path, Imagery(paths=(str(path), str(whole)), bands={"red": 1, "green": 2, "blue": 3}))
    judge = load_model(folder / "drawn.survey-model", ROLES)
    planned = passes(scene, judge, Detection())
    region = region_of(scene, gpd.read_file(folder / "districts.geojson"))
    for a_pass, tile in islice(pieces(scene, planned, Tiling(size=256), region), 3):
        survey_damaged_tile(scene, a_pass, tile, judge)


_TEXT = ("drop", "swap", "insert", "line", "word")


def dem(folder: Path, chance: random.Random) -> None:
    path = folder / "mangled-dem.tif"
    path.write_bytes(bytes_turned((folder / "dem.tif").read_bytes(), chance, chance.choice([300, 3000, None])))
    districts = gpd.read_file(folder / "sample-districts.geojson")
    plane = Plane.around([districts])
    shapes = districts.to_crs(plane.crs).geometry.to_numpy()
    inside = np.array([shape.representative_point().buffer(100) for shape in shapes])
    slope_by_area(inside, plane, shapes, Terrain(dem=path))


def result(folder: Path, chance: random.Random) -> None:
    """A GeoPackage that people had in their hands."""
    path = folder / "mangled.gpkg"
    path.write_bytes(bytes_turned((folder / "out" / "survey.gpkg").read_bytes(), chance, chance.choice([20_000, None])))
    with contextlib.suppress(SurveyError):
        harvest(path)
    for layer in chance.sample(list(OUTPUT_LAYERS), 3):
        with contextlib.suppress(SurveyError):
            read(path, layer)


def labels(folder: Path, chance: random.Random) -> None:
    path = folder / "mangled-labels.gpkg"
    path.write_bytes(bytes_turned((folder / "labels.gpkg").read_bytes(), chance))
    read_labels(path, "labels", ("site",))


KINDS = {one.__name__: one for one in (model, memory, journal, raster, dem, result, labels)}


def main(folder: Path, first: int, wanted: list[str]) -> int:
    failures = 0
    # GDAL and SQLite speak of odd values in warnings; what counts is what is made of them.
    warnings.simplefilter("ignore")
    for kind, _, count in (one.partition("=") for one in wanted):
        for number in range(first, first + int(count)):
            print(kind, number, flush=True)
            try:
                KINDS[kind](folder, random.Random(f"{kind} {number}"))
            except SurveyError as error:
                print("  refused:", str(error)[:300].replace("\n", " "))
            except Exception:
                failures += 1
                print("  FAILED")
                traceback.print_exc()
            else:
                print("  read")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak {peak / 2**20:.0f} MiB")
    return int(failures > 0) or 2 * int(peak > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
