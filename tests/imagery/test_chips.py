from __future__ import annotations

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasters import RGB, noise, scene_of, write

from survey.errors import ImageryError
from survey.imagery.chips import level_grid, read_chip

HEIGHT, WIDTH = 203, 301


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """The same pixels without and with overviews in the file."""
    folder = tmp_path_factory.mktemp("levels")
    pixels = noise(HEIGHT, WIDTH)
    pixels[:, 20:70, 150:180] = 0
    found = {}
    for name in ("plain", "overviews"):
        path = write(folder / f"{name}.tif", pixels, nodata=0, tiled=True, blockxsize=64, blockysize=64)
        if name == "overviews":
            with rasterio.open(path, "r+") as image:
                image.build_overviews([2, 4], rasterio.enums.Resampling.average)
        found[name] = scene_of(path)
    return found


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["plain", "overviews"]),
    level=st.integers(0, 3),
    corner=st.tuples(st.integers(-40, HEIGHT + 9), st.integers(-40, WIDTH + 9)),
    size=st.tuples(st.integers(1, 150), st.integers(1, 150)),
)
def test_a_pixel_of_a_level_is_the_same_through_any_window(scenes, kind, level, corner, size):
    scene = scenes[kind]
    grid = level_grid(scene, level)
    whole = read_chip(scene, level, (0, grid.height, 0, grid.width), RGB)
    row, col = (value >> level for value in corner)
    chip = read_chip(scene, level, (row, row + size[0], col, col + size[1]), RGB)
    around = 400
    pixels = np.pad(whole.pixels, ((0, 0), (around, around), (around, around)))
    valid = np.pad(whole.valid, around)
    window = (slice(row + around, row + around + size[0]), slice(col + around, col + around + size[1]))
    assert np.array_equal(chip.pixels, pixels[:, window[0], window[1]])
    assert np.array_equal(chip.valid, valid[window])
    assert not chip.pixels[:, ~chip.valid].any()


def test_a_level_that_is_missing_is_the_mean_of_its_blocks(tmp_path):
    pixels = noise(64, 96)
    scene = scene_of(write(tmp_path / "a.tif", pixels))
    chip = read_chip(scene, 2, (0, 16, 0, 24), RGB)
    mean = pixels.reshape(3, 16, 4, 24, 4).mean(axis=(2, 4))
    assert np.array_equal(chip.pixels, np.rint(mean))
    assert chip.valid.all()


def read_all(scene, roles=RGB):
    return read_chip(scene, 0, (0, scene.grid.height, 0, scene.grid.width), roles)


def test_bands_come_in_the_order_asked_for(tmp_path):
    pixels = noise(9, 7)
    scene = scene_of(write(tmp_path / "a.tif", pixels))
    assert np.array_equal(read_all(scene, ("blue", "red")).pixels, pixels[[2, 0]])
    with pytest.raises(ImageryError, match="thermal"):
        read_all(scene, ("thermal",))


def test_palette(tmp_path):
    index = np.arange(12, dtype=np.uint8).reshape(1, 3, 4) % 5
    path = write(tmp_path / "a.tif", index, names=None, nodata=4)
    colours = {n: (10 * n, 20 * n + 1, 30 * n + 2, 255) for n in range(5)}
    with rasterio.open(path, "r+") as image:
        image.write_colormap(1, colours)
    chip = read_all(scene_of(path))
    seen = index[0] != 4
    assert np.array_equal(chip.valid, seen)
    for band in range(3):
        table = np.array([colours[n][band] for n in range(5)])
        assert np.array_equal(chip.pixels[band][seen], table[index[0]][seen])


def test_sixteen_bits_keep_their_order_and_fill_the_range(tmp_path):
    raw = np.linspace(1000, 9000, 90_000).astype(np.uint16).reshape(1, 300, 300)
    chip = read_all(scene_of(write(tmp_path / "a.tif", raw, names=("thermal",))), ("thermal",))
    assert (np.diff(chip.pixels[0].ravel().astype(int)) >= 0).all()
    assert (chip.pixels.min(), chip.pixels.max()) == (0, 255)
    assert chip.pixels[0].mean() == pytest.approx(127.5, abs=1)


def test_floats_that_are_no_numbers_are_invalid(tmp_path):
    raw = np.random.default_rng(0).normal(20, 3, (1, 40, 50)).astype(np.float32)
    raw[0, 3, 4], raw[0, 5, 6], raw[0, 7, 8] = np.nan, np.inf, -np.inf
    chip = read_all(scene_of(write(tmp_path / "a.tif", raw, names=("thermal",))), ("thermal",))
    assert np.array_equal(chip.valid, np.isfinite(raw[0]))
    nan_said = write(tmp_path / "n.tif", raw, names=("thermal",), nodata=float("nan"))
    assert np.array_equal(read_all(scene_of(nan_said), ("thermal",)).valid, np.isfinite(raw[0]))


def test_nodata_holds_where_every_band_has_it(tmp_path):
    pixels = noise(6, 6)
    pixels[:, 1, 1], pixels[0, 2, 2] = 0, 0
    chip = read_all(scene_of(write(tmp_path / "a.tif", pixels, nodata=0)))
    assert np.argwhere(~chip.valid).tolist() == [[1, 1]]


@pytest.mark.parametrize("kind", ["alpha", "band"])
def test_alpha_and_mask_bands(tmp_path, kind):
    pixels = noise(6, 8)
    seen = np.random.default_rng(1).random((6, 8)) > 0.4
    if kind == "alpha":
        four = np.concatenate([pixels, seen[None].astype(np.uint8) * 255])
        path = write(tmp_path / "a.tif", four, names=None, photometric="RGB", alpha="yes")
    else:
        path = write(tmp_path / "a.tif", pixels)
        with rasterio.open(path, "r+") as image:
            image.write_mask(seen)
    chip = read_all(scene_of(path))
    assert np.array_equal(chip.valid, seen)
    assert np.array_equal(chip.pixels, np.where(seen, pixels, 0))


def test_one_pixel(tmp_path):
    scene = scene_of(write(tmp_path / "a.tif", np.full((3, 1, 1), 90, np.uint8)))
    for level in (0, 1, 3):
        chip = read_chip(scene, level, (-8, 8, -8, 8), RGB)
        assert chip.valid.sum() == 1
        assert chip.pixels[:, 8, 8].tolist() == [90, 90, 90]
        assert chip.pixels.sum() == 270


def test_pixels_that_cannot_be_read_name_the_place(tmp_path):
    path = write(tmp_path / "a.tif", noise(256, 256), compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    scene = scene_of(path)
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + 20_000] = b"\x55" * 20_000
    path.write_bytes(data)
    with pytest.raises(ImageryError, match=r"a\.tif: rows 0-256"):
        read_all(scene)
