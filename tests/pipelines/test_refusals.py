"""What cannot be surveyed is refused in one paragraph, nothing half-written; a bad image does not stop the others."""

from __future__ import annotations

import json
import os
import warnings
import zipfile

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import skops.io
from drawn_job import CRS, GSD, NORTH, ROLES, WEST, district_boxes, draw_pixels, write_job, write_scene
from rasterio.errors import NotGeoreferencedWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from survey.api import load_model


def no_crs(path):
    write_scene(path, draw_pixels(200, 200)[0], crs=None)


def no_georeference(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", width=9, height=9, count=3, dtype="uint8", crs=CRS) as image:
            image.write(np.zeros((3, 9, 9), np.uint8))


def zero_size(path):
    path.write_bytes(b"")


def no_raster(path):
    path.write_text("not an image")


def cut_off(path):
    write_scene(path, draw_pixels(600, 600)[0])
    os.truncate(path, path.stat().st_size // 2)


def one_band(path):
    write_scene(path, draw_pixels(200, 200)[0][:1])


def too_coarse(path):
    write_scene(path, draw_pixels(200, 200)[0], gsd=5.0)


IMAGES = {
    no_crs: ("no CRS", "EPSG:"),
    no_georeference: ("no georeference", "world file"),
    zero_size: ("cannot be opened", "leave it out"),
    no_raster: ("cannot be opened", "leave it out"),
    cut_off: ("cannot be opened", "whole"),
    one_band: ("band", "[imagery] bands"),
    too_coarse: ("too coarse", "finer imagery"),
}
by_name = pytest.mark.parametrize(("spoil", "said"), IMAGES.items(), ids=[one.__name__ for one in IMAGES])


def one_paragraph(err):
    lines = [line for line in err.splitlines() if line.startswith("survey: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def nothing_written(folder):
    out = folder / "out"
    return not out.exists() or not [one for one in out.iterdir() if one.name != "journal.sqlite"]


@by_name
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_only_image_is_bad(drawn, survey, spoil, said):
    (drawn.parent / "a.tif").unlink()
    spoil(drawn.parent / "a.tif")
    for command in ("plan", "run"):
        code, _, err = survey(command, drawn)
        assert code == 1
        text = one_paragraph(err)
        assert "a.tif" in text
        for part in said:
            assert part in text
    assert nothing_written(drawn.parent)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_bad_images_are_listed_and_the_others_run(drawn, survey):
    for number, spoil in enumerate(IMAGES):
        spoil(drawn.parent / f"bad_{number}.tif")
    code, out, err = survey("run", drawn, "--workers", 1)
    assert code == 3
    record = json.loads((drawn.parent / "out" / "run.json").read_text())
    listed = {one["image"].rsplit("/")[-1]: one["reason"] for one in record["problems"]}
    assert sorted(listed) == [f"bad_{number}.tif" for number in range(len(IMAGES))]
    for number, said in enumerate(IMAGES.values()):
        assert said[0] in listed[f"bad_{number}.tif"]
        assert f"bad_{number}.tif" in out
        assert f"bad_{number}.tif" in err
    assert sum(one["status"] == "surveyed" for one in record["imagery"]) == 1
    code, out, _ = survey("plan", drawn, "--json")
    assert code == 3
    assert len(json.loads(out)["refused"]) == len(IMAGES)


def no_field(table):
    return table.rename(columns={"name": "title"})


def empty_geometry(table):
    table.loc[1, "geometry"] = shapely.Polygon()
    return table


def no_geometry(table):
    table.loc[1, "geometry"] = None
    return table


def points(table):
    return table.set_geometry(table.centroid)


def overlapping(table):
    return table.set_geometry(table.buffer(50))


def elsewhere(table):
    return table.set_geometry(table.translate(40_000, 0))


def no_rows(table):
    return table.iloc[:0]


@pytest.mark.parametrize(
    "spoil",
    [no_field, empty_geometry, no_geometry, points, overlapping, elsewhere, no_rows],
    ids=lambda one: one.__name__,
)
def test_districts_that_cannot_be_used(drawn, survey, spoil):
    path = drawn.parent / "districts.geojson"
    table = spoil(gpd.read_file(path).to_crs(CRS))
    path.unlink()
    table.to_file(path.with_suffix(".gpkg"))
    drawn.write_text(drawn.read_text().replace("districts.geojson", "districts.gpkg"))
    code, _, err = survey("run", drawn)
    assert code == 1
    assert "district" in one_paragraph(err).lower()
    assert nothing_written(drawn.parent)


@pytest.mark.parametrize("content", [None, "", "{"], ids=["missing", "empty", "broken"])
def test_districts_that_cannot_be_read(drawn, survey, content):
    path = drawn.parent / "districts.geojson"
    path.unlink()
    if content is not None:
        path.write_text(content)
    code, _, err = survey("run", drawn)
    assert code == 1
    assert "districts.geojson" in one_paragraph(err)
    assert nothing_written(drawn.parent)


def test_misuse_ends_with_2(drawn, survey):
    drawn.write_text(drawn.read_text().replace("[districts]", "[distrikts]"))
    code, _, err = survey("run", drawn)
    assert code == 2
    assert "did you mean 'districts'" in one_paragraph(err)
    assert survey("run", drawn.parent / "none.toml")[0] == 2
    assert survey("run", drawn, "--workers", 0)[0] == 2
    assert survey("plan")[0] == 2
    assert survey("fly")[0] == 2
    assert nothing_written(drawn.parent)


def test_a_false_alarm_rate_the_model_has_no_threshold_for(drawn, survey):
    drawn.write_text(drawn.read_text().replace("[model]", "[model]\nfalse_alarms_per_ha = 0.2"))
    code, _, err = survey("run", drawn)
    assert code == 2
    assert "false_alarms_per_ha" in one_paragraph(err)


def test_a_model_that_is_none(drawn, survey, model):
    spoiled = drawn.parent / "other.survey-model"
    spoiled.write_bytes(model.read_bytes()[:-200])
    drawn.write_text(drawn.read_text().replace(model.as_posix(), "other.survey-model"))
    code, _, err = survey("run", drawn)
    assert code == 1
    assert "other.survey-model" in one_paragraph(err)
    assert nothing_written(drawn.parent)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_that_no_worker_may_build(drawn, survey, model, workers):
    assert survey("run", drawn, "--workers", 1)[0] == 0
    journal, result = (drawn.parent / "out" / name for name in ("journal.sqlite", "survey.gpkg"))
    before = journal.read_bytes(), result.read_bytes()
    known = load_model(model, ROLES)
    sly = make_pipeline(FunctionTransformer(os.getcwd), known.hazard)
    with zipfile.ZipFile(model) as archive, zipfile.ZipFile(drawn.parent / "sly.survey-model", "w") as other:
        for name in archive.namelist():
            other.writestr(name, skops.io.dumps(sly) if name == "hazard.skops" else archive.read(name))
    drawn.write_text(drawn.read_text().replace(model.as_posix(), "sly.survey-model"))
    for command in (("run", drawn, "--workers", workers), ("plan", drawn)):
        code, _, err = survey(*command)
        assert code == 1
        assert "not trusted" in one_paragraph(err)
    # What was surveyed before is not lost for a model that is refused.
    assert (journal.read_bytes(), result.read_bytes()) == before


def test_the_folder_of_another_job(drawn, survey, tmp_path):
    assert survey("run", drawn, "--workers", 1)[0] == 0
    before = (tmp_path / "out" / "survey.gpkg").read_bytes()
    drawn.write_text(drawn.read_text().replace('name = "drawn"', 'name = "other"'))
    for command in ("run", "map"):
        code, _, err = survey(command, drawn)
        assert code == 1
        assert "'drawn', not of 'other'" in one_paragraph(err)
    assert (tmp_path / "out" / "survey.gpkg").read_bytes() == before


def test_a_traceback_only_with_vv(drawn, survey):
    (drawn.parent / "a.tif").write_bytes(b"")
    assert "Traceback" not in survey("run", drawn, "-v")[2]
    assert "Traceback" in survey("run", drawn, "-vv")[2]


def test_an_output_folder_that_cannot_be_made(drawn, survey):
    (drawn.parent / "out").touch()
    code, _, err = survey("run", drawn)
    assert code == 1
    assert "output" in one_paragraph(err)


def hectares(folder):
    return json.loads((folder / "out" / "run.json").read_text())["totals"]


def as_16_bit(pixels):
    return {"pixels": pixels.astype(np.uint16) * 40}


def as_float_with_holes(pixels):
    spoiled = pixels.astype(np.float32)
    spoiled[:, :200] = np.nan
    spoiled[:, 200:260] = np.inf
    return {"pixels": spoiled}


def all_nodata(pixels):
    return {"pixels": np.zeros_like(pixels), "nodata": 0}


def with_nodata_edge(pixels):
    pixels[:, :, :300] = 0
    return {"pixels": pixels, "nodata": 0}


@pytest.mark.parametrize(
    ("change", "share"),
    [(as_16_bit, 1.0), (as_float_with_holes, 1 - 260 / 700), (all_nodata, 0.0), (with_nodata_edge, 2 / 3)],
    ids=lambda one: getattr(one, "__name__", None),
)
def test_unusual_pixels_are_counted_right(drawn, survey, change, share):
    pixels, _ = draw_pixels(700, 900, seed=1)
    (drawn.parent / "a.tif").unlink()
    write_scene(drawn.parent / "a.tif", **change(pixels))
    assert survey("run", drawn, "--workers", 1)[0] == 0
    totals = hectares(drawn.parent)
    whole = 700 * 900 * GSD**2 / 1e4
    # Cells of two metres at the edge of what is valid fall to the unseen side.
    assert share * whole - 0.012 <= totals["analysed_ha"] <= share * whole + 1e-4
    parts = totals["analysed_ha"] + totals["not_assessable_ha"] + totals["not_analysed_ha"]
    assert parts == pytest.approx(totals["district_ha"], abs=1e-4)


def test_a_palette_image(drawn, survey):
    path = drawn.parent / "a.tif"
    path.unlink()
    index = np.random.default_rng(0).integers(0, 4, (1, 300, 300)).astype(np.uint8)
    write_scene(path, index)
    with rasterio.open(path, "r+") as image:
        image.write_colormap(1, {n: (60 * n, 50 * n, 40 * n, 255) for n in range(4)})
    assert survey("run", drawn, "--workers", 1)[0] == 0
    assert hectares(drawn.parent)["analysed_ha"] == pytest.approx(300 * 300 * GSD**2 / 1e4, abs=2e-4)


def test_an_image_of_one_pixel(drawn, survey):
    untiled = {"tiled": None, "blockxsize": None, "blockysize": None}
    write_scene(drawn.parent / "tiny.tif", np.full((3, 1, 1), 90, np.uint8), **untiled)
    assert survey("run", drawn, "--workers", 1)[0] == 0


def test_images_of_one_name_are_told_apart(tmp_path, model, survey):
    for number, folder in enumerate(("north", "south")):
        (tmp_path / folder).mkdir()
        pixels, _ = draw_pixels(300, 300, seed=number)
        write_scene(tmp_path / folder / "a.tif", pixels, north=NORTH - number * 20)
    district_boxes((WEST - 30, NORTH - 60, WEST + 30, NORTH + 30)).to_file(tmp_path / "districts.geojson")
    job = write_job(tmp_path, model, paths=("*/a.tif",))
    assert survey("run", job, "--workers", 1)[0] == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [one["name"] for one in record["imagery"]] == ["north/a.tif", "south/a.tif"]
    assert [one["path"] for one in record["imagery"]] == ["../north/a.tif", "../south/a.tif"]
