"""What an image file may not do: reach for the network or for files elsewhere, or declare pixels without end."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from survey.errors import ImageryError
from survey.imagery.scene import Imagery, open_scene
from survey.imagery.trust import open_raster

VRT = """<VRTDataset rasterXSize="40" rasterYSize="30"><SRS>EPSG:32638</SRS>
<GeoTransform>690000, 0.04, 0, 4370000, 0, -0.04</GeoTransform>
<VRTRasterBand dataType="Byte" band="1"><ColorInterp>Red</ColorInterp>
<SimpleSource><SourceFilename relativeToVRT="{relative}">{source}</SourceFilename><SourceBand>1</SourceBand>
</SimpleSource></VRTRasterBand></VRTDataset>"""


@pytest.fixture
def jobs(tmp_path):
    """A folder of imagery, and an image in a folder beside it."""
    for folder in ("imagery", "elsewhere"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "a.tif")
    return tmp_path


def write(path, **profile):
    options = {"driver": "GTiff", "width": 40, "height": 30, "count": 1, "dtype": "uint8", "crs": "EPSG:32638"}
    place = from_origin(690_000, 4_370_000, 0.04, 0.04)
    with rasterio.open(path, "w", transform=place, **(options | profile)) as image:
        if "width" not in profile:
            image.write(np.full((1, 30, 40), 7, np.uint8))
    return path


def vrt(folder, source, relative=0):
    path = folder / "imagery" / "a.vrt"
    path.write_text(VRT.format(source=source, relative=relative))
    return path


def opened(path, **more):
    return open_scene(path, Imagery(paths=(str(path),), bands={"red": 1}, **more))


def test_a_vrt_of_files_beside_it_is_opened(jobs):
    assert opened(vrt(jobs, "a.tif", 1)).grid.width == 40


@pytest.mark.parametrize("source", ["{0}/elsewhere/a.tif", "../elsewhere/a.tif", "/etc/hostname"])
def test_files_elsewhere_only_where_allowed(jobs, source):
    path = vrt(jobs, source.format(jobs), int(source.startswith("..")))
    with pytest.raises(ImageryError, match="vrt_folders"):
        opened(path)
    if "elsewhere" in source:
        assert opened(path, vrt_folders=(jobs / "elsewhere",)).grid.width == 40


def test_a_link_that_leads_elsewhere_is_no_way_out(jobs):
    (jobs / "imagery" / "link.tif").symlink_to(jobs / "elsewhere" / "a.tif")
    with pytest.raises(ImageryError, match="vrt_folders"):
        opened(vrt(jobs, "link.tif", 1))


@pytest.mark.parametrize(
    "source",
    ["/vsicurl/http://127.0.0.1:9/a.tif", "http://127.0.0.1:9/a.tif", "/vsizip/a.zip/a.tif", "WMS:http://127.0.0.1:9/",
     "&lt;GDAL_WMS&gt;&lt;/GDAL_WMS&gt;", "GTIFF_DIR:1:/etc/a.tif"],
)  # fmt: skip
def test_addresses_and_services_are_refused(jobs, source):
    with pytest.raises(ImageryError, match="no network"):
        opened(vrt(jobs, source))


def test_secrets_of_an_address_are_not_repeated(jobs):
    with pytest.raises(ImageryError) as refused:
        opened(vrt(jobs, "/vsicurl/http://user:word@127.0.0.1:9/a.tif?token=abc"))
    assert not re.search("word|abc", str(refused.value))


def test_a_vrt_in_a_vrt_is_looked_into(jobs):
    inner = vrt(jobs, f"{jobs}/elsewhere/a.tif")
    outer = inner.rename(inner.with_name("inner.vrt")).with_name("outer.vrt")
    outer.write_text(VRT.format(source="inner.vrt", relative=1))
    with pytest.raises(ImageryError, match="vrt_folders"):
        opened(outer)


def test_a_service_in_the_clothes_of_an_image_is_refused(jobs):
    (jobs / "imagery" / "wms.tif").write_text("<GDAL_WMS></GDAL_WMS>")
    with pytest.raises(ImageryError):
        opened(vrt(jobs, "wms.tif", 1))
    with pytest.raises(ImageryError, match="cannot be opened"):
        opened(jobs / "imagery" / "wms.tif")


def test_entities_are_refused(jobs):
    path = vrt(jobs, "a.tif", 1)
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]>' + path.read_text())
    with pytest.raises(ImageryError, match="entities"):
        opened(path)


def test_formats_that_are_not_listed_are_not_opened(jobs):
    path = jobs / "imagery" / "a.asc"
    path.write_text("ncols 2\nnrows 1\nxllcorner 0\nyllcorner 0\ncellsize 1\n1 2\n")
    with rasterio.open(path) as known:
        assert known.driver == "AAIGrid"
    with pytest.raises(rasterio.errors.RasterioIOError), open_raster(str(path)):
        pass


@pytest.mark.parametrize(
    ("size", "said"),
    [({"width": 2_000_000, "height": 2_000_000}, "no image over"), ({"width": 200_000, "height": 200_000}, "bomb")],
)
def test_sizes_that_cannot_be_true_are_refused(jobs, size, said):
    path = Path(jobs / "imagery" / "bomb.tif")
    write(path, **size, tiled=True, blockxsize=4096, blockysize=4096, SPARSE_OK=True)
    with pytest.raises(ImageryError, match=said):
        opened(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</VRTRasterBand>", "", "cannot be parsed"),
        ("<ColorInterp>", "<PixelFunctionCode>def f(): pass</PixelFunctionCode><ColorInterp>", "with code"),
        ('band="1"', 'band="1" subClass="VRTRawRasterBand"', "raw bytes"),
    ],
)
def test_a_vrt_that_is_broken_or_holds_code_is_refused(jobs, old, new, said):
    path = vrt(jobs, "a.tif", 1)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ImageryError, match=said):
        opened(path)


def test_vrts_are_not_followed_without_end(jobs):
    chain = [jobs / "imagery" / f"{number}.vrt" for number in range(6)]
    for path, source in zip(chain, [*(one.name for one in chain[1:]), "a.tif"], strict=True):
        path.write_text(VRT.format(source=source, relative=1))
    with pytest.raises(ImageryError, match="deeper than 4"):
        opened(chain[0])
    assert opened(chain[2]).grid.width == 40


def test_a_vrt_too_large_to_be_one_is_not_read(jobs):
    path = vrt(jobs, "a.tif", 1)
    with path.open("ab") as file:
        file.truncate(65 * 2**20)  # sparse: takes no room
    with pytest.raises(ImageryError, match="Build it in parts"):
        opened(path)


def test_blocks_too_large_to_be_read_in_pieces_are_refused(jobs):
    size = {"width": 30_000, "height": 20_000, "blockxsize": 30_000, "blockysize": 20_000}
    path = write(jobs / "imagery" / "whole.tif", **size, tiled=True, compress="deflate", SPARSE_OK=True)
    with pytest.raises(ImageryError, match="TILED=YES"):
        opened(path)
