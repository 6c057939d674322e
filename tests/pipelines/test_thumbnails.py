from __future__ import annotations

import shutil
import sqlite3

import cv2
import numpy as np
import pyproj
import pytest
import rasterio
from drawn_job import GSD, NORTH, WEST, district_boxes, draw_pixels, write_job, write_scene

from pipelines.engine.journal import Journal
from pipelines.opening import open_job
from pipelines.run import How, survey_job
from pipelines.thumbnails import thumbnails_of
from survey.settings import read_job

HEIGHT, WIDTH = 340, 2300


@pytest.fixture
def folder(tmp_path):
    """A long scene, its left half red, its right half blue, and no overviews; the district spares its right end."""
    pixels, _ = draw_pixels(HEIGHT, WIDTH, seed=5, discs=8)
    pixels[0, :, : WIDTH // 2] += 90
    pixels[2, :, WIDTH // 2 :] += 90
    write_scene(tmp_path / "long.tif", pixels)
    box = (WEST, NORTH - HEIGHT * GSD, WEST + 0.6 * WIDTH * GSD, NORTH)
    district_boxes(box).to_file(tmp_path / "districts.geojson")
    return tmp_path


def survey(folder, model, watch, more=""):
    job = read_job(write_job(folder, model, more=more))
    survey_job(job, How(workers=1), watch)
    with Journal(job.job.output, job.job.name) as journal:
        (thumbnail,) = thumbnails_of(open_job(job), journal)
    return thumbnail


def picture(thumbnail):
    return cv2.imdecode(np.frombuffer(thumbnail.image, np.uint8), cv2.IMREAD_UNCHANGED)


def colour_at(thumbnail, col, row):
    """Mean blue, green, red and opacity around a pixel of the scene."""
    shown = picture(thumbnail)
    to_degrees = pyproj.Transformer.from_crs("EPSG:32638", "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(WEST + col * GSD, NORTH - row * GSD)
    x = int((lon - thumbnail.west) / (thumbnail.east - thumbnail.west) * shown.shape[1])
    y = int((thumbnail.north - lat) / (thumbnail.north - thumbnail.south) * shown.shape[0])
    return shown[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 4).mean(axis=0)


def test_a_scene_without_overviews_is_pictured_as_it_was_surveyed(folder, model, watch):
    thumbnail = survey(folder, model, watch, "[execution]\ntile_px = 512\n")
    left, right = colour_at(thumbnail, 500, 170), colour_at(thumbnail, 1250, 170)
    assert left[2] > left[0] + 50
    assert right[0] > right[2] + 50
    assert left[3] == right[3] == 255
    # Ground that no tile was surveyed on is not shown.
    assert colour_at(thumbnail, 2250, 170)[3] == 0
    assert thumbnail.west < thumbnail.east
    assert max(picture(thumbnail).shape[:2]) == 512


def test_a_picture_does_not_depend_on_how_the_scene_was_cut(folder, model, watch):
    small = survey(folder, model, watch, "[execution]\ntile_px = 512\n")
    shutil.rmtree(folder / "out")
    large = survey(folder, model, watch, "[execution]\ntile_px = 4096\n")
    alike, both = picture(small), picture(large)
    seen = (alike[..., 3] > 0) & (both[..., 3] > 0)
    assert seen.mean() > 0.5
    assert np.array_equal(alike[seen], both[seen])


def test_a_picture_from_an_overview_shows_the_same(folder, model, watch):
    kept = survey(folder, model, watch)
    shutil.rmtree(folder / "out")
    with rasterio.open(folder / "long.tif", "r+") as image:
        image.build_overviews([2, 4], rasterio.enums.Resampling.average)
    read = survey(folder, model, watch)
    for col in (200, 700, 1300):
        assert np.abs(colour_at(kept, col, 170) - colour_at(read, col, 170)).max() < 12


def test_a_damaged_picture_costs_the_picture_alone(folder, model, watch, caplog):
    survey(folder, model, watch)
    path = folder / "out" / "journal.sqlite"
    for damage in (b"nothing", 5):
        database = sqlite3.connect(path)
        with database:
            assert database.execute("UPDATE samples SET sample = ?", (damage,)).rowcount > 0
        database.close()
        job = read_job(folder / "job.toml")
        with Journal(job.job.output, job.job.name) as journal:
            assert thumbnails_of(open_job(job), journal) == []
        assert "No picture of" in caplog.text
        caplog.clear()


def test_a_journal_of_before_goes_on(folder, model, watch):
    survey(folder, model, watch)
    database = sqlite3.connect(folder / "out" / "journal.sqlite")
    with database:
        database.execute("DROP TABLE samples")
    database.close()
    job = read_job(folder / "job.toml")
    assert survey_job(job, How(workers=1), watch).exit_code == 0
    with Journal(job.job.output, job.job.name) as journal:
        assert thumbnails_of(open_job(job), journal) == []
