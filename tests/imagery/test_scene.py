from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
import rasterio
from rasters import RGB, noise, scene_of, write

from survey.errors import ImageryError


def test_roles_come_from_descriptions_then_from_the_job(tmp_path):
    path = write(tmp_path / "a.tif", noise(8, 8, 4), names=("NIR", "Red Edge", "G", "blue"))
    assert scene_of(path).bands == (("green", 3), ("blue", 4), ("nir", 1), ("rededge", 2))
    said = scene_of(path, bands={"thermal": 2})
    assert said.bands == (("thermal", 2),)
    with pytest.raises(ImageryError, match="number 9"):
        scene_of(path, bands={"red": 9})


def test_roles_come_from_colour_where_nothing_is_described(tmp_path):
    path = write(tmp_path / "a.tif", noise(8, 8), names=None, photometric="RGB")
    assert scene_of(path).roles == RGB


def test_how_invalid_pixels_are_told(tmp_path):
    assert scene_of(write(tmp_path / "a.tif", noise(8, 8))).masking == "all_valid"
    assert scene_of(write(tmp_path / "n.tif", noise(8, 8), nodata=7)).masking == "nodata"
    alpha = write(tmp_path / "r.tif", noise(8, 8, 4), names=None, photometric="RGB", alpha="yes")
    assert (scene_of(alpha).masking, scene_of(alpha).alpha) == ("alpha", 4)
    masked = write(tmp_path / "m.tif", noise(8, 8))
    with rasterio.open(masked, "r+") as image:
        image.write_mask(np.zeros((8, 8), bool))
    assert scene_of(masked).masking == "band"


def test_eight_bits_are_left_and_sixteen_are_stretched_within_their_range(tmp_path):
    assert scene_of(write(tmp_path / "a.tif", noise(300, 300))).stretch == ((0.0, 255.0),) * 3
    deep = write(tmp_path / "d.tif", noise(300, 300).astype(np.uint16) * 100)
    for low, high in scene_of(deep).stretch:
        assert 100 <= low < 600
        assert 24_800 < high <= 25_400
    flat = write(tmp_path / "f.tif", np.full((3, 9, 9), 500, np.uint16))
    assert scene_of(flat).stretch == ((500.0, 501.0),) * 3


def test_overviews_and_time_are_found(tmp_path):
    path = write(tmp_path / "a.tif", noise(301, 203))
    with rasterio.open(path, "r+") as image:
        image.build_overviews([2, 4])
        image.update_tags(TIFFTAG_DATETIME="2024:05:06 07:08:09")
    scene = scene_of(path)
    assert scene.levels == ((203, 301), (102, 151), (51, 76))
    assert scene.acquired_at == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    said = scene_of(path, acquired=datetime(2023, 1, 1))
    assert said.acquired_at == datetime(2023, 1, 1, tzinfo=UTC)
