"""The same objects and the same coverage for any tile size, tile origin, worker count and machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import rasterio
import shapely
from drawn_job import draw_pixels, write_scene
from geopandas.testing import assert_geodataframe_equal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.windows import Window
from results import assert_same

from pipelines.opening import OpenScene
from pipelines.run import How, survey_job
from survey.api import Detection, load_model, passes, scene_coverage, survey_tile, what_is_sought
from survey.imagery.scene import Imagery, open_scene
from survey.imagery.tiles import Tiling
from survey.imagery.visibility import Visibility
from survey.settings import read_job

REAL = Path(__file__).parents[3] / "shared" / "data"
tilings = st.builds(
    Tiling,
    size=st.integers(64, 400) | st.sampled_from([256, 512, 1024, 4096]),
    origin=st.tuples(st.integers(-300, 300), st.integers(-300, 300)),
)
few = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def survey_of(place, model, tiling):
    """Everything the pixel plane says of a scene, in an order of its own."""
    results = [(a_pass, survey_tile(place.scene, a_pass, tile, model)) for a_pass, tile in place.tiles(tiling)]
    tables = [one.sightings for _, one in results]
    found = pd.concat([table for table in tables if len(table)] or tables[:1])
    found = found.sort_values([*found.columns.drop("geometry")]).reset_index(drop=True)
    blocks = [one.cells for a_pass, one in results if a_pass.finest]
    sought = what_is_sought(model, Detection(), Visibility())
    coverage = scene_coverage(place.scene, place.finest, blocks, [], place.region, sought)
    return found, coverage


def opened(path, model):
    scene = open_scene(path, Imagery(paths=(str(path),)))
    return OpenScene(scene, passes(scene, model, Detection()), scene.grid.outline(), {})


@pytest.fixture(scope="module")
def loaded(model):
    return load_model(model, ("red", "green", "blue"))


@pytest.fixture(scope="module")
def drawn_scene(tmp_path_factory, loaded):
    pixels, _ = draw_pixels(613, 787, seed=3, discs=25)
    pixels[:, 200:230, 300:500] = 0
    path = write_scene(tmp_path_factory.mktemp("drawn") / "a.tif", pixels, nodata=0, compress="deflate")
    place = opened(path, loaded)
    found, coverage = survey_of(place, loaded, Tiling(size=2048))
    assert len(found) >= 20
    return place, found, coverage


@pytest.fixture(scope="module")
def real_scene(tmp_path_factory, loaded):
    source = REAL / "brighton" / "DJI_0024.tif"
    if not source.exists():
        pytest.skip("needs: the real photographs of ../shared/data")
    path = tmp_path_factory.mktemp("real") / "crop.tif"
    with rasterio.open(source) as image:
        window = Window(1500, 700, 900, 700)
        profile = image.profile | {
            "width": 900, "height": 700, "transform": image.window_transform(window), "compress": "deflate",
        }  # fmt: skip
        profile.pop("photometric", None)
        with rasterio.open(path, "w", **profile) as crop:
            crop.write(image.read(window=window))
            crop.descriptions = image.descriptions
            crop.colorinterp = image.colorinterp
    place = opened(path, loaded)
    return place, *survey_of(place, loaded, Tiling(size=2048))


@few
@given(tiling=tilings)
def test_drawn_ground(drawn_scene, loaded, tiling):
    place, found, coverage = drawn_scene
    again, seen = survey_of(place, loaded, tiling)
    assert_geodataframe_equal(again, found, check_less_precise=False)
    assert_geodataframe_equal(seen, coverage)


@pytest.mark.parametrize("side", [150, 512])
def test_the_parts_a_tile_is_looked_at_in_change_nothing(drawn_scene, loaded, monkeypatch, side):
    place, found, coverage = drawn_scene
    monkeypatch.setattr("survey.api.tiles._PART", side)
    again, seen = survey_of(place, loaded, Tiling(size=4096))
    assert_geodataframe_equal(again, found, check_less_precise=False)
    assert_geodataframe_equal(seen, coverage)


@few
@given(tiling=tilings)
def test_real_ground(real_scene, loaded, tiling):
    place, found, coverage = real_scene
    again, seen = survey_of(place, loaded, tiling)
    assert_geodataframe_equal(again, found, check_less_precise=False)
    assert_geodataframe_equal(seen, coverage)


@few
@given(tiling=tilings, corner=st.tuples(st.integers(100, 600), st.integers(100, 450)))
def test_a_region_cuts_the_same_whatever_the_tiles(drawn_scene, loaded, tiling, corner):
    place, _, _ = drawn_scene
    grid = place.scene.grid
    x, y = grid.to_ground([40, corner[0]], [30, corner[1]])
    part = OpenScene(place.scene, place.passes, shapely.box(x[0], y[1], x[1], y[0]), {})
    _, whole = survey_of(part, loaded, Tiling(size=4096))
    _, cut = survey_of(part, loaded, tiling)
    assert_geodataframe_equal(whole, cut)
    assert cut.area.sum() == pytest.approx(part.region.area, rel=1e-9)


def survey_with(job, more, how, watch, name):
    text = job.read_text()
    job.write_text(text + more)
    try:
        survey_job(read_job(job), how, watch)
    finally:
        job.write_text(text)
    shutil.move(job.parent / "out", job.parent / name)
    return job.parent / name


def test_whole_jobs_with_two_scenes(drawn, second_scene, watch, tmp_path):
    second_scene(tmp_path)
    first = survey_with(drawn, "", How(workers=1), watch, "first")
    tiles = "\n[execution]\ntile_px = 200\ntile_origin = [33, -70]\n"
    assert_same(first, survey_with(drawn, tiles, How(workers=2), watch, "second"))
