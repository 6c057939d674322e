"""Tables that a job names for the map plane are checked before pixels are read, and reach the map plane."""

from __future__ import annotations

import geopandas as gpd
import pytest
import shapely
from drawn_job import write_job

from pipelines.map_settings import check_map_settings, read_land_cover
from survey.errors import JobError
from survey.settings import read_job


@pytest.fixture
def job_file(tmp_path):
    """A job whose imagery is never opened."""
    (tmp_path / "a.tif").touch()
    return write_job(tmp_path, None)


def job_with(job_file, text):
    job_file.write_text(job_file.read_text() + text)
    return read_job(job_file)


def cover(folder, kind):
    table = gpd.GeoDataFrame({"kind": [kind]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    table.to_file(folder / "cover.gpkg")


def test_land_cover_named_by_the_job_is_read(job_file):
    cover(job_file.parent, "cemetery")
    job = job_with(job_file, '\n[terrain]\nland_cover = "cover.gpkg"\n')
    check_map_settings(job)
    assert read_land_cover(job.terrain)["kind"].tolist() == ["cemetery"]


def test_mistakes_are_told_before_pixels_are_read(job_file):
    folder, text = job_file.parent, job_file.read_text()
    cover(folder, "car park")
    (folder / "rules.toml").write_text("protocol = 1\n[limitz]\n")
    for more, match in (
        ('\n[terrain]\nland_cover = "cover.gpkg"\n', "car park"),
        ('\n[terrain]\nland_cover = "gone.gpkg"\n', "cannot be read"),
        ('\n[evidence]\npath = "gone.gpkg"\n', "cannot be read"),
        ('\n[methodology]\npath = "rules.toml"\n', "rule table"),
    ):
        job_file.write_text(text)
        with pytest.raises(JobError, match=match):
            check_map_settings(job_with(job_file, more))
