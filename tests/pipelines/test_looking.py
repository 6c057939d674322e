"""A tile is read some rows at a time: nothing twice where it costs, and what is made of it does not tell how."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio
from drawn_job import ROLES, draw_pixels, write_scene
from hypothesis import given
from hypothesis import strategies as st

from pipelines import pictures
from pipelines.pictures import chips_of
from survey.api import looking
from survey.detection.scales import plan_passes
from survey.imagery import chips
from survey.imagery.salvage import salvage_chip
from survey.imagery.scene import Imagery, open_scene
from survey.imagery.tiles import Tile
from survey.imagery.visibility import Visibility

SEEN = (ROLES, Visibility())
SCALES = {"mine_at": (0.24, 0.34), "crater": (1.9, 3.8, 7.7)}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """No overviews; some pixels without data."""
    pixels, _ = draw_pixels(1300, 1100, seed=7, discs=30)
    pixels[:, 300:360, 200:500] = 0
    path = write_scene(tmp_path_factory.mktemp("looking") / "a.tif", pixels, nodata=0, compress="deflate")
    return open_scene(path, Imagery(paths=(str(path),)))


@pytest.fixture(scope="module")
def spoilt(scene, tmp_path_factory):
    """The same with two blocks that cannot be read."""
    path = tmp_path_factory.mktemp("spoilt") / "a.tif"
    content = bytearray(Path(scene.path).read_bytes())
    with rasterio.open(scene.path) as image:
        for col, row in ((1, 1), (2, 3)):
            begin, length = (
                int(image.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE")
            )
            content[begin : begin + length] = b"\xff" * length
    path.write_bytes(content)
    return open_scene(path, Imagery(paths=(str(path),)))


@pytest.fixture(scope="module")
def planned(scene):
    fine, coarse = plan_passes(scene.grid.gsd_m, SCALES)
    assert (fine.level, coarse.level) == (0, 2)
    return replace(fine, sampled=7), coarse


def test_an_object_beside_blocks_that_cannot_be_read_has_a_picture(scene, spoilt, caplog):
    a, _, c, _, e, f = scene.grid.transform
    to_degrees = pyproj.Transformer.from_crs(scene.grid.crs, "EPSG:4326", always_xy=True)
    # Right above the first spoilt block, and in the middle of it.
    lon, lat = to_degrees.transform(np.full(2, c + 380.5 * a), f + np.array([250.5, 384.5]) * e)
    table = {"object_id": ["above", "within"], "lon": lon, "lat": lat}
    table |= {"image": "a.tif", "probability": 0.7, "length_m": 0.3}
    objects = gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(lon, lat), crs="EPSG:4326")
    whole, some = chips_of(objects, [scene]), chips_of(objects, [spoilt])
    assert (set(whole), set(some)) == ({"above", "within"}, {"above"})
    assert "No picture of object within" in caplog.text
    shown, before = (cv2.imdecode(np.frombuffer(one["above"], np.uint8), cv2.IMREAD_COLOR) for one in (some, whole))
    assert shown.shape == before.shape
    half = len(shown) // 2
    assert np.array_equal(shown[:half], before[:half])
    assert not shown[-10:].any()


@pytest.mark.parametrize("cores", [2, 9])
def test_pictures_do_not_tell_how_many_threads_took_them(scene, monkeypatch, cores):
    rng = np.random.default_rng(4)
    a, _, c, _, e, f = scene.grid.transform
    to_degrees = pyproj.Transformer.from_crs(scene.grid.crs, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(c + a * rng.uniform(0, 1100, 60), f + e * rng.uniform(0, 1300, 60))
    table = {"object_id": [f"{n:02d}" for n in range(60)], "lon": lon, "lat": lat, "image": "a.tif"}
    table |= {"probability": rng.random(60), "length_m": rng.uniform(0.1, 8, 60)}
    objects = gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(lon, lat), crs="EPSG:4326")
    monkeypatch.setattr(pictures, "cores", lambda: 1)
    one = chips_of(objects, [scene])
    monkeypatch.setattr(pictures, "cores", lambda: cores)
    assert len(one) == 60
    assert chips_of(objects, [scene]) == one


def looked_at(scene, a_pass, tile, read=looking.whole_chip):
    seen = looking.look_at(scene, a_pass, tile, SEEN, read)
    cells = None if seen.cells is None else (seen.cells.codes.tobytes(), seen.cells.measures.tobytes())
    sample = None if seen.sample is None else (seen.sample.row, seen.sample.col, seen.sample.pixels.tobytes())
    planes = {octave: plane.tobytes() for octave, plane in seen.octaves.items()}
    lost = {(row, col) for one in seen.unread for row in range(one.row0, one.row1) for col in range(one.col0, one.col1)}
    return planes, seen.valid.tobytes(), seen.corner, cells, sample, lost


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("read", [looking.whole_chip, salvage_chip])
def test_slabs_do_not_show(scene, spoilt, planned, monkeypatch, which, read):
    a_pass, scene = planned[which], spoilt if read is salvage_chip else scene
    side = 1300 >> a_pass.level
    for tile in (Tile(a_pass.level, 0, side, 0, side), Tile(a_pass.level, side // 3, side - 20, 40, side // 2)):
        monkeypatch.setattr(looking, "_SLAB", 1 << 20)
        whole = looked_at(scene, a_pass, tile, read)
        for rows in (64, 200, 512):
            monkeypatch.setattr(looking, "_SLAB", rows)
            assert looked_at(scene, a_pass, tile, read) == whole
    assert (whole[4] is not None) == (which == 0)
    assert bool(whole[5]) == (read is salvage_chip)


def test_no_pixel_is_averaged_twice(scene, planned, monkeypatch):
    _, coarse = planned
    read = np.zeros((scene.grid.height, scene.grid.width), int)
    inner = chips._bands

    def counting(dataset, inside, wanted):
        read[inside[0] : inside[1], inside[2] : inside[3]] += 1
        return inner(dataset, inside, wanted)

    monkeypatch.setattr(chips, "_bands", counting)
    monkeypatch.setattr(looking, "_SLAB", 64)
    looking.look_at(scene, coarse, Tile(2, 0, 325, 0, 275), SEEN)
    assert read.min() == read.max() == 1


@given(
    st.integers(-4000, 4000), st.integers(1, 3000), st.sampled_from([8, 32, 64]), st.booleans(), st.integers(40, 1500)
)
def test_slabs_fill_a_window(start, rows, multiple, finest, slab):
    first, last = start // multiple * multiple, (start + rows) // multiple * multiple + multiple
    fine, _ = plan_passes(0.04, SCALES)
    a_pass = replace(fine, multiple=multiple, finest=finest)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(looking, "_SLAB", slab)
        slabs = list(looking._slabs((first, last, 0, 10), a_pass))
    edges = [slabs[0][0][0], *(own[1] for own, _ in slabs)]
    assert (edges[0], edges[-1]) == (first, last)
    assert edges == sorted(set(edges))
    for (top, bottom), (above, below) in slabs:
        # One row of neighbours at least lies around what is made of a slab, but at the window's own edge.
        assert above == first or above < top
        assert below == last or below > bottom
        assert all(row % multiple == 0 for row in (top, above, below))
