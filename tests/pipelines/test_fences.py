"""A fence that is drawn is found as one object; its posts alone are nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from geopandas.testing import assert_geodataframe_equal

from pipelines.grounds import detections_of, survey_files, write_drawn
from survey.exports.geopackage import read
from survey.layers import HAZARD_OBJECTS
from survey.synthetic.noise import Frame
from survey.synthetic.scene import View, photograph
from survey.synthetic.site import TEST_SITES, Light, Sensor, site_of
from survey.synthetic.world import Thing, World

BANDS = ("red", "green", "blue")
SIDE_M = 24.0
SUN = Light(azimuth_deg=150.0, elevation_deg=40.0, diffuse=0.25)
FENCE = Thing(
    "fence", 12.0, 12.0, 0.5, 18.0, 0.3, 1.2, age=0.2, seed=3, path=tuple((u, 0.0) for u in np.arange(-9.0, 9.1, 3.0))
)


def ground(gsd_m, *things):
    """Bare soil in the sun with things on it."""
    site = site_of(TEST_SITES[7]).model_copy(update={"covers": (("bare", 1.0),), "tracks": 0})
    side = round(SIDE_M / gsd_m)
    frame = Frame(side, side, gsd_m, 0.0, SIDE_M)
    place = Affine(1, 0, 6e5, 0, 1, 4.4e6)
    view = View(frame, BANDS, "EPSG:32638", place, SUN, Sensor(blur_px=0.6, noise=0.01))
    return photograph(World(site, (0.0, SIDE_M, 0.0, SIDE_M), (), things), view)


@pytest.fixture(scope="module")
def fenced(tmp_path_factory):
    return write_drawn(tmp_path_factory.mktemp("fenced"), [ground(0.015, FENCE)])


def survey(folder, files, more=""):
    return survey_files(folder, files, BANDS, None, more)


def fences(result):
    found, _ = detections_of(result)
    return found[found["class_code"] == "fence"]


def test_a_fence_is_one_object_where_its_posts_stand(fenced, tmp_path):
    files, truth, _ = fenced
    result = survey(tmp_path, files)
    found = fences(result)
    sure = found[found["probability"] >= 0.5].to_crs(truth.crs)
    assert len(sure) == 1
    posts = shapely.points([(6e5 + x, 4.4e6 + y) for x, y in FENCE.points()])
    assert shapely.dwithin(sure.geometry.iloc[0], posts, 0.3).sum() >= 5
    assert sure["length_m"].iloc[0] == pytest.approx(18.0, abs=3.5)
    assert sure["family"].iloc[0] == "indicator"
    assert "post" not in set(pd.concat([read(result, HAZARD_OBJECTS), detections_of(result)[0]])["class_code"])


def test_posts_are_told_where_they_are_drawn():
    scene = ground(0.015, FENCE)
    bare = ground(0.015)
    col, row = np.floor(~scene.transform * scene.posts.T).astype(int)
    changed = np.abs(scene.pixels.astype(int) - bare.pixels).max(axis=0)
    assert len(scene.posts) == len(FENCE.path)
    # Posts and their shadows are far less than a hundredth of the picture.
    assert (changed[row, col] > np.quantile(changed, 0.99)).all()
    assert len(bare.posts) == 0


def test_the_same_fence_whatever_the_tiles(fenced, tmp_path):
    files, _, _ = fenced
    whole, tiled = survey(tmp_path / "a", files), survey(tmp_path / "b", files, "[execution]\ntile_px = 300\n")
    drop = ["object_id", "run_id"]
    first, second = (fences(one).drop(columns=[c for c in drop if c in fences(one)]) for one in (whole, tiled))
    assert len(first)
    assert_geodataframe_equal(first.reset_index(drop=True), second.reset_index(drop=True))


def test_posts_out_of_line_are_no_fence(tmp_path):
    rng = np.random.default_rng(2)
    strewn = replace(FENCE, path=tuple(map(tuple, rng.uniform(-8, 8, (7, 2)))))
    files, _, _ = write_drawn(tmp_path / "imagery", [ground(0.015, strewn)])
    found = fences(survey(tmp_path, files))
    assert (found["probability"] < 0.5).all()


@pytest.mark.parametrize(("gsd_m", "more"), [(0.015, '[detection]\nfamilies = ["AT"]\n'), (0.03, "")])
def test_no_fence_where_none_is_wanted_or_could_be_seen(tmp_path, gsd_m, more):
    files, _, _ = write_drawn(tmp_path / "imagery", [ground(gsd_m, FENCE)])
    assert len(fences(survey(tmp_path, files, more))) == 0
