from __future__ import annotations

import json
from datetime import UTC, datetime

import pystac
import pytest

from survey.errors import ImageryError
from survey.imagery.scene import Imagery, open_scene
from survey.imagery.stac import images_of
from tests.imagery.rasters import noise, write

IMAGERY = Imagery(paths=("x",))
WHEN = datetime(2026, 4, 2, 9, 30, tzinfo=UTC)
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
NIR = [{"name": f"b{n}", "common_name": name} for n, name in enumerate(("nir08", "red", "green", "nir"))]
OUTLINE = {"type": "Point", "coordinates": [47.1, 39.6]}


def asset(href, roles=("data",), media_type=COG, **more):
    return pystac.Asset(href, roles=list(roles), media_type=media_type, extra_fields=more)


def item_of(name="a", when=WHEN, **assets):
    item = pystac.Item(name, OUTLINE, [47.1, 39.6, 47.1, 39.6], when, {})
    for key, one in assets.items():
        item.add_asset(key, one)
    return item


def saved(item, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(item.to_dict(include_self_link=False)))
    return str(path)


def test_a_raster_stays_what_it_is():
    assert list(images_of("/a/b.tif", IMAGERY)) == [("/a/b.tif", IMAGERY)]


def test_an_item_names_its_image_its_bands_and_its_time(tmp_path):
    (tmp_path / "imagery").mkdir()
    write(tmp_path / "imagery" / "a.tif", noise(20, 20, 4), names=None)
    item = item_of(
        image=asset("../imagery/a.tif", **{"eo:bands": NIR}),
        thumb=asset("../imagery/a.png", ("thumbnail",), "image/png"),
        small=asset("../imagery/small.tif", ("overview",)),
        extra=asset("../imagery/dsm.tif", ()),
    )
    ((path, known),) = images_of(saved(item, tmp_path / "stac" / "a.json"), IMAGERY)
    assert path == str(tmp_path / "imagery" / "a.tif")
    assert known.bands == {"nir": 1, "red": 2, "green": 3}, "of two bands with one role the first counts"
    scene = open_scene(path, known)
    assert scene.roles == ("red", "green", "nir")
    assert scene.acquired_at == WHEN


def test_what_the_job_says_goes_before(tmp_path):
    path = saved(item_of(image=asset("a.tif", **{"eo:bands": NIR})), tmp_path / "a.json")
    said = Imagery(paths=("x",), bands={"red": 3}, acquired=datetime(2025, 1, 1, tzinfo=UTC))
    ((_, known),) = images_of(path, said)
    assert known == said


def test_bands_of_stac_1_1_and_images_without_roles(tmp_path):
    bands = [{"name": "r", "eo:common_name": "red"}, {"name": "t", "eo:common_name": "lwir11"}, {"name": "?"}]
    item = item_of(one=asset("https://host/a.tif", (), None, bands=bands), two=asset("b.tif", (), None))
    found = list(images_of(saved(item, tmp_path / "a.json"), IMAGERY))
    assert [path for path, _ in found] == ["https://host/a.tif", str(tmp_path / "b.tif")]
    assert [known.bands for _, known in found] == [{"red": 1, "thermal": 2}, None]


def test_a_collection_names_the_images_of_all_its_items(tmp_path):
    extent = pystac.Extent(pystac.SpatialExtent([[47, 39, 48, 40]]), pystac.TemporalExtent([[WHEN, None]]))
    collection = pystac.Collection("survey", "Flights", extent)
    collection.add_items([item_of(name, image=asset(f"../{name}.tif")) for name in ("a", "b")])
    collection.normalize_and_save(str(tmp_path / "stac"), pystac.CatalogType.SELF_CONTAINED)
    found = [path for path, _ in images_of(str(tmp_path / "stac" / "collection.json"), IMAGERY)]
    assert found == [str(tmp_path / "stac" / "a.tif"), str(tmp_path / "stac" / "b.tif")]
    (tmp_path / "stac" / "b" / "b.json").unlink()
    with pytest.raises(ImageryError, match=r"cannot be read as a STAC item or collection .*b\.json"):
        list(images_of(str(tmp_path / "stac" / "collection.json"), IMAGERY))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"type": "FeatureCollection", "features": []}', '"x"'])
def test_other_json_is_refused_in_words(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ImageryError, match="cannot be read as a STAC item or collection"):
        list(images_of(str(tmp_path / "a.json"), IMAGERY))


def test_an_item_without_images_is_refused(tmp_path):
    path = saved(item_of(table=asset("a.csv", ("data",), "text/csv")), tmp_path / "a.json")
    with pytest.raises(ImageryError, match=r"STAC item 'a' has no image asset"):
        list(images_of(path, IMAGERY))
