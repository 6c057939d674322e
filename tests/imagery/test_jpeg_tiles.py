from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.shutil import copy
from rasterio.transform import from_origin

from survey.errors import ImageryError
from survey.imagery.chips import read_chip
from survey.imagery.jpeg_tiles import read_jpeg_tiles
from survey.imagery.salvage import salvage_chip
from survey.imagery.scene import Imagery, open_scene

RGB = ("red", "green", "blue")


def smooth(height=700, width=900):
    rows, cols = np.mgrid[:height, :width]
    waves = [np.sin(rows / a) + np.cos(cols / b) for a, b in ((31, 23), (17, 41), (53, 29))]
    return np.stack([np.clip(120 + 50 * wave, 0, 255) for wave in waves]).astype(np.uint8)


def written(path, pixels, **options):
    form = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "jpeg", "photometric": "ycbcr",
            "interleave": "pixel", "JPEG_QUALITY": 90, "sparse_ok": True}  # fmt: skip
    with rasterio.open(
        path, "w", driver="GTiff", width=pixels.shape[2], height=pixels.shape[1], count=len(pixels), dtype="uint8",
        crs="EPSG:32638", transform=from_origin(600000, 4400000, 0.02, 0.02), **form | options,
    ) as image:  # fmt: skip
        image.write(pixels)
    return path


def opened(path):
    return open_scene(path, Imagery(paths=[str(path)], bands=dict(zip(RGB, (1, 2, 3), strict=True))))


def test_tiles_are_the_image_as_gdal_reads_it_within_what_decoders_differ_by(tmp_path):
    path = written(tmp_path / "a.tif", smooth())
    with rasterio.open(path) as dataset:
        ours, gdal = read_jpeg_tiles(dataset, (0, 700, 0, 900)), dataset.read()
        off = np.abs(ours.transpose(2, 0, 1).astype(int) - gdal)
        assert off.mean() < 1
        assert np.quantile(off, 0.99) <= 4
        # Whatever the window, a pixel is the same.
        assert np.array_equal(read_jpeg_tiles(dataset, (200, 610, 250, 771)), ours[200:610, 250:771])
        assert np.array_equal(read_jpeg_tiles(dataset, (255, 256, 899, 900)), ours[255:256, 899:900])


def test_levels_of_a_cog_are_read_each_from_its_own_tiles(tmp_path):
    plain = written(tmp_path / "plain.tif", smooth(1100, 1300))
    copy(plain, tmp_path / "cog.tif", driver="COG", compress="JPEG", blocksize=256)
    with rasterio.open(tmp_path / "cog.tif", overview_level=0) as half:
        ours, gdal = read_jpeg_tiles(half, (0, half.height, 0, half.width)), half.read()
    assert np.abs(ours.transpose(2, 0, 1).astype(int) - gdal).mean() < 1
    scene = opened(tmp_path / "cog.tif")
    chip = read_chip(scene, 1, (-8, 120, -16, 240), RGB)
    assert np.array_equal(chip.pixels[:, 8:, 16:], ours.transpose(2, 0, 1)[:, :120, :240])
    assert not chip.pixels[:, :8].any()
    assert not chip.valid[:8].any()


def test_bands_come_in_the_order_they_are_asked_for(tmp_path):
    scene = opened(written(tmp_path / "a.tif", smooth()))
    window = (100, 400, 50, 500)
    there, back = read_chip(scene, 0, window, RGB), read_chip(scene, 0, window, RGB[::-1])
    assert np.array_equal(there.pixels, back.pixels[::-1])


@pytest.mark.parametrize(
    "options",
    [{"compress": "deflate", "photometric": "rgb"}, {"photometric": "rgb"}, {"tiled": False, "blockysize": 16}],
    ids=["deflate", "colours apart", "strips"],
)
def test_gdal_reads_what_is_stored_otherwise(tmp_path, options):
    with rasterio.open(written(tmp_path / "a.tif", smooth(), **options)) as dataset:
        assert read_jpeg_tiles(dataset, (0, 100, 0, 100)) is None


def test_gdal_reads_overviews_in_a_file_of_their_own(tmp_path):
    path = written(tmp_path / "a.tif", smooth())
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2], Resampling.average)
    assert (tmp_path / "a.tif.ovr").exists()
    with rasterio.open(path, overview_level=0) as half:
        assert read_jpeg_tiles(half, (0, 100, 0, 100)) is None


@pytest.mark.parametrize("nodata", [None, 255])
def test_tiles_that_are_not_in_the_file_read_as_gdal_reads_them(tmp_path, nodata):
    path = tmp_path / "sparse.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=900, height=700, count=3, dtype="uint8", crs="EPSG:32638", tiled=True,
        transform=from_origin(600000, 4400000, 0.02, 0.02), blockxsize=256, blockysize=256, compress="jpeg",
        photometric="ycbcr", interleave="pixel", sparse_ok=True, nodata=nodata,
    ) as image:  # fmt: skip
        image.write(smooth(256, 256), window=((0, 256), (0, 256)))
    with rasterio.open(path) as dataset:
        ours, gdal = read_jpeg_tiles(dataset, (0, 700, 0, 900)).transpose(2, 0, 1), dataset.read()
        alone = read_jpeg_tiles(dataset, (0, 256, 0, 256)).transpose(2, 0, 1)
    assert np.array_equal(ours[:, 256:], gdal[:, 256:])
    assert np.array_equal(ours[:, :, 256:], gdal[:, :, 256:])
    # What is there is the same whether or not the window holds what is not.
    assert np.array_equal(ours[:, :256, :256], alone)


def test_a_damaged_tile_is_lost_and_no_other(tmp_path):
    path = written(tmp_path / "a.tif", smooth())
    with rasterio.open(path) as dataset:
        at, size = (int(dataset.get_tag_item(f"BLOCK_{what}_1_1", "TIFF", 1)) for what in ("OFFSET", "SIZE"))
    content = bytearray(path.read_bytes())
    content[at + size // 2 : at + size] = bytes(size - size // 2)
    path.write_bytes(content)
    scene = opened(path)
    with pytest.raises(ImageryError, match=r"a\.tif: rows 0-700, columns 0-900 of level 0 cannot be read"):
        read_chip(scene, 0, (0, 700, 0, 900), RGB)
    chip, lost = salvage_chip(scene, 0, (0, 700, 0, 900), RGB)
    assert [(one.row0, one.row1, one.col0, one.col1) for one in lost] == [(256, 512, 256, 512)]
    assert lost[0].reason.startswith(f"{path}: blocks cannot be read: ")
    assert not chip.valid[256:512, 256:512].any()
    assert chip.valid.sum() == 700 * 900 - 256 * 256
