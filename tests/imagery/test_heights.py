from __future__ import annotations

import numpy as np
import pytest
import rasterio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin
from virtual import bind, write_band_file

from survey.detection.channels import channel_names, channels_of
from survey.imagery.chips import read_chip
from survey.imagery.heights import read_heights
from survey.imagery.scene import Imagery, open_scene
from survey.imagery.tiles import Tile
from survey.imagery.visibility import Visibility, assess_cells

GSD = 0.1
COLOUR = ("red", "green", "blue")


def hill(height=420, width=510):
    """A slope of a tenth, with a block of 10 cm on it and a pit of half a metre."""
    rows, cols = np.mgrid[:height, :width].astype(np.float32)
    metres = 812 + 0.1 * GSD * rows + 0.03 * GSD * cols
    metres[200:203, 300:303] += 0.10
    metres[250:262, 120:132] -= 0.50
    return metres


@pytest.fixture(scope="module")
def dem(tmp_path_factory):
    path = tmp_path_factory.mktemp("dem") / "dem.tif"
    metres = hill()
    metres[40:60, 40:60] = -9999
    with rasterio.open(
        path, "w", driver="GTiff", width=metres.shape[1], height=metres.shape[0], count=1, dtype="float32",
        crs="EPSG:32638", transform=from_origin(600000, 4400000, GSD, GSD), nodata=-9999,
    ) as image:  # fmt: skip
        image.write(metres[None])
    return path


def heights(path, window):
    with rasterio.open(path) as dataset:
        return read_heights(dataset, 1, window, GSD).astype(int) - 128


def test_what_stands_up_or_lies_deep_is_told_in_centimetres_whatever_the_slope(dem):
    whole = heights(dem, (0, 420, 0, 510))
    ground = whole[180:230, 280:330]
    assert abs(np.median(ground)) <= 1
    assert abs((whole[201, 301] - np.median(ground)) - 10) <= 1
    assert -52 <= whole[256, 126] - np.median(whole[230:290, 160:200]) <= -48


def test_where_no_elevation_is_known_it_is_as_high_as_the_ground(dem):
    whole = heights(dem, (0, 420, 0, 510))
    assert (whole[40:60, 40:60] == 0).all()
    # What is unknown is no part of the ground around it, either.
    assert abs(np.median(whole[62:70, 40:60])) <= 3


@settings(deadline=None, max_examples=25)
@example(0, 1, 80, 52)
@given(st.integers(0, 400), st.integers(1, 300), st.integers(0, 480), st.integers(1, 300))
def test_a_pixel_has_one_height_through_any_window(dem, row, rows, col, cols):
    whole = heights(dem, (0, 420, 0, 510))
    window = row, min(420, row + rows), col, min(510, col + cols)
    assert np.array_equal(heights(dem, window), whole[window[0] : window[1], window[2] : window[3]])


def test_scale_and_offset_of_the_band_are_heeded(dem, tmp_path):
    with rasterio.open(dem) as dataset:
        metres, profile = dataset.read(1), dataset.profile
    known = metres != -9999
    with rasterio.open(tmp_path / "scaled.tif", "w", **profile | {"dtype": "uint16", "nodata": 0}) as image:
        image.write(np.where(known, np.rint((metres - 700) * 500), 0).astype(np.uint16)[None])
        image.scales, image.offsets = (0.002,), (700.0,)
    assert np.abs(heights(tmp_path / "scaled.tif", (0, 420, 0, 510)) - heights(dem, (0, 420, 0, 510))).max() <= 1


@pytest.fixture
def bound(dem, tmp_path):
    """An orthomosaic of 8 bits and an elevation model in metres, in one virtual raster."""
    rng = np.random.default_rng(4)
    colour = write_band_file(tmp_path / "colour.tif", rng.integers(60, 200, (3, 420, 510)).astype(np.uint8), dem)
    with rasterio.open(dem) as dataset:
        model = write_band_file(tmp_path / "dem.tif", dataset.read(), dem)
    roles = [(role, colour, number) for number, role in enumerate(COLOUR, start=1)]
    return bind(tmp_path / "both.vrt", [*roles, ("elevation", model, 1)])


def test_an_orthomosaic_and_its_elevation_model_are_one_scene(bound):
    scene = open_scene(bound, Imagery(paths=[str(bound)]))
    assert scene.roles == (*COLOUR, "elevation")
    window = (100, 300, 50, 400)
    chip = read_chip(scene, 0, window, scene.roles)
    with rasterio.open(bound.with_name("colour.tif")) as dataset:
        assert np.array_equal(chip.pixels[:3], dataset.read()[:, 100:300, 50:400])
    assert np.array_equal(read_chip(scene, 0, window, COLOUR).pixels, chip.pixels[:3])
    with rasterio.open(bound) as dataset:
        assert np.array_equal(chip.pixels[3], read_heights(dataset, 4, window, GSD))
    last = read_chip(scene, 0, window, ("elevation", *COLOUR))
    assert np.array_equal(last.pixels, chip.pixels[[3, 0, 1, 2]])


def test_an_alpha_band_says_what_is_valid_beside_bands_of_other_types(bound):
    alpha = np.full((1, 420, 510), 255, np.uint8)
    alpha[:, :, 200:260] = 0
    mask = write_band_file(bound.with_name("alpha.tif"), alpha, bound.with_name("dem.tif"))
    wide = write_band_file(bound.with_name("wide.tif"), np.full((1, 420, 510), 3000, np.uint16), mask)
    colour, dem = bound.with_name("colour.tif"), bound.with_name("dem.tif")
    roles = [("red", colour, 1), ("green", colour, 2), ("nir", wide, 1), ("alpha", mask, 1), ("elevation", dem, 1)]
    path = bind(bound.with_name("masked.vrt"), roles)
    scene = open_scene(path, Imagery(paths=[str(path)]))
    assert scene.roles == ("red", "green", "nir", "elevation")
    chip = read_chip(scene, 0, (100, 300, 50, 400), scene.roles)
    assert not chip.valid[:, 150:210].any()
    assert chip.valid[:, :150].all()
    assert not chip.pixels[:, :, 150:210].any()
    with rasterio.open(colour) as dataset:
        assert np.array_equal(chip.pixels[:2, :, :150], dataset.read([1, 2])[:, 100:300, 50:200])


def test_how_high_the_ground_lies_changes_nothing_of_what_could_be_seen(bound):
    scene = open_scene(bound, Imagery(paths=[str(bound)]))
    tile = Tile(0, 0, 300, 0, 300)
    shown = []
    for roles in (COLOUR, scene.roles):
        chip = read_chip(scene, 0, (0, 400, 0, 400), roles)
        shown.append(assess_cells(chip, channels_of(chip.pixels)[..., 0].copy(), tile, roles, Visibility()))
    assert np.array_equal(shown[0].measures, shown[1].measures)
    assert np.array_equal(shown[0].codes, shown[1].codes)


def test_a_fourth_band_is_a_channel_of_its_own():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 300, 70)).astype(np.uint8)
    channels = channels_of(pixels)
    assert np.array_equal(channels[..., :3], channels_of(pixels[:3]))
    assert np.array_equal(channels[..., 3], pixels[3])
    assert channel_names((*COLOUR, "elevation"))[3] == "the elevation band"
    assert np.array_equal(channels_of(pixels[:2]), np.moveaxis(pixels[:2], 0, -1))
