"""Tables that a job names for the map plane are checked before pixels are read, and reach the map plane."""

from __future__ import annotations

import geopandas as gpd
import pytest
import shapely

from pipelines.map import _land_cover, check_map_settings
from survey.errors import JobError
from survey.settings import read_job


def job_with(drawn, text):
    drawn.write_text(drawn.read_text() + text)
    return read_job(drawn)


def cover(folder, kind):
    table = gpd.GeoDataFrame({"kind": [kind]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    table.to_file(folder / "cover.gpkg")


def test_land_cover_named_by_the_job_is_read(drawn):
    cover(drawn.parent, "cemetery")
    job = job_with(drawn, '\n[terrain]\nland_cover = "cover.gpkg"\n')
    check_map_settings(job)
    assert _land_cover(job)["kind"].tolist() == ["cemetery"]


def test_mistakes_are_told_before_pixels_are_read(drawn):
    folder, text = drawn.parent, drawn.read_text()
    cover(folder, "car park")
    (folder / "rules.toml").write_text("protocol = 1\n[limitz]\n")
    for more, match in (
        ('\n[terrain]\nland_cover = "cover.gpkg"\n', "car park"),
        ('\n[terrain]\nland_cover = "gone.gpkg"\n', "cannot be read"),
        ('\n[evidence]\npath = "gone.gpkg"\n', "cannot be read"),
        ('\n[methodology]\npath = "rules.toml"\n', "rule table"),
    ):
        drawn.write_text(text)
        with pytest.raises(JobError, match=match):
            check_map_settings(job_with(drawn, more))
