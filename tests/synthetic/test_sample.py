"""The sample job's files are what their README says, and its script makes them again."""

import re
import runpy
import tomllib
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from survey.hazards import classes
from survey.ledger.book import open_book
from survey.ledger.reading import read_rows
from survey.ledger.vocabulary import read_vocabulary
from survey.synthetic.site import SAMPLE_SITES

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
SCENES = {"field_a.tif": 0.02, "field_b.tif": 0.025, "close_c.tif": 0.008}


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SAMPLE / "make_sample.py"))


def footprint(name):
    with rasterio.open(SAMPLE / "imagery" / name) as scene:
        t, corners = scene.transform, [(0, 0), (scene.width, 0), (scene.width, scene.height), (0, scene.height)]
        ring = [(t.a * c + t.b * r + t.c, t.d * c + t.e * r + t.f) for c, r in corners]
        return gpd.GeoSeries([gpd.GeoSeries.from_xy(*zip(*ring, strict=True)).union_all().convex_hull], crs=scene.crs)


def test_the_whole_sample_is_small():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*.*") if "out" not in path.parts) <= 12_000_000


@pytest.mark.parametrize("name", SCENES)
def test_scenes_carry_roles_and_date(name):
    with rasterio.open(SAMPLE / "imagery" / name) as scene:
        assert scene.descriptions == ("red", "green", "blue")
        assert scene.tags()["TIFFTAG_DATETIME"].startswith("2026:")
        assert np.hypot(scene.transform.a, scene.transform.d) == pytest.approx(SCENES[name], rel=0.002)


def test_scenes_differ_in_crs_turn_and_edges():
    with rasterio.open(SAMPLE / "imagery" / "field_a.tif") as a, rasterio.open(SAMPLE / "imagery" / "field_b.tif") as b:
        assert (a.crs.to_epsg(), b.crs.to_epsg()) == (32638, 32639)
        assert a.transform.b == 0.0
        assert abs(b.transform.b) > 0.003
        assert len(a.overviews(1)) >= 3
        assert a.profile["compress"] == "jpeg"
        assert b.nodata == 0.0
        assert 0.05 < (b.read_masks(1) == 0).mean() < 0.4


def test_the_boundary_of_the_districts_runs_through_the_imagery():
    districts = gpd.read_file(SAMPLE / "districts.geojson").to_crs(32638)
    assert sorted(districts["name_en"]) == ["Fuzuli", "Jabrayil"]
    for name in ("field_a.tif", "field_b.tif"):
        outline = footprint(name).to_crs(32638).iloc[0]
        shares = districts.intersection(outline).area / outline.area
        assert (shares > 0.02).all()
        assert shares.sum() == pytest.approx(1.0, abs=1e-3)


def test_scenes_a_and_b_overlap():
    a, b = footprint("field_a.tif").iloc[0], footprint("field_b.tif").to_crs(32638).iloc[0]
    assert 0.4 < a.intersection(b).area / b.area < 0.95


def test_truth_names_what_the_imagery_resolves_once():
    truth = gpd.read_file(SAMPLE / "truth.gpkg", layer="labels")
    assert len(truth) > 100
    assert truth["site"].isin([f"drawn-{seed}" for seed in SAMPLE_SITES]).all()
    finest = {"drawn-900025": 2.0, "drawn-900032": 0.8}
    for code, site in zip(truth["class_code"], truth["site"], strict=True):
        assert classes()[code].resolved_at(finest[site])
    centres = truth.centroid
    for code, group in centres.groupby(truth["class_code"]):
        x, y = group.x.to_numpy(), group.y.to_numpy()
        apart = np.hypot(x[:, None] - x[None], y[:, None] - y[None]) + 1e9 * np.eye(len(x))
        assert apart.min() > 0.1, code
    assert (truth["occlusion"] < 0.25).mean() > 0.7
    assert (truth["occlusion"] > 0.2).sum() >= 10


def test_handed_in_labels_are_all_there_is_in_the_ground_looked_at():
    labels = gpd.read_file(SAMPLE / "labels.gpkg", layer="labels")
    ground = gpd.read_file(SAMPLE / "labels.gpkg", layer="reviewed").geometry.iloc[0]
    truth = gpd.read_file(SAMPLE / "truth.gpkg", layer="labels")
    assert len(labels) >= 24
    assert len(labels) == truth.centroid.within(ground).sum()


def test_the_terrain_covers_the_imagery_and_has_a_steep_bank():
    with rasterio.open(SAMPLE / "dem.tif") as dem:
        height, box = dem.read(1), dem.bounds
    slope = np.degrees(np.arctan(np.hypot(*np.gradient(height, 30.0))))
    assert np.median(slope) < 10
    assert slope.max() > 22
    for name in SCENES:
        x0, y0, x1, y1 = footprint(name).to_crs(32638).total_bounds
        assert box.left < x0 < x1 < box.right
        assert box.bottom < y0 < y1 < box.top


def test_the_script_makes_the_close_up_again(script, tmp_path):
    again = script["photograph"](script["_close_up"](), script["_view_c"]())
    script["_write_cog"](tmp_path / "again.tif", again, "2026:04:02 11:05:00")
    with rasterio.open(tmp_path / "again.tif") as new, rasterio.open(SAMPLE / "imagery" / "close_c.tif") as kept:
        apart = np.abs(new.read().astype(int) - kept.read())
    # Not every processor rounds the last bit alike, which turns over a level here and there, and by JPEG a step of
    # quantisation in the block around: 5 levels were seen. What is drawn one pixel beside its place differs by 17.
    assert apart.max() <= 8
    assert np.count_nonzero(apart) < apart.size / 1000


def test_the_script_makes_the_truth_of_the_close_up_again(script):
    again = script["photograph"](script["_close_up"](), script["_view_c"]())
    truth = gpd.read_file(SAMPLE / "truth.gpkg", layer="labels")
    kept = truth[truth["site"] == "drawn-900032"]
    assert sorted(kept["occlusion"]) == sorted(again.labels["occlusion"])


def test_the_ledger_holds_reported_figures_each_with_its_source():
    rows, problems = read_rows(SAMPLE / "ledger.csv")
    book, more = open_book(rows, read_vocabulary())
    assert problems == more == []
    assert len(book.in_force) == 13
    assert all(record.source and record.source_date.startswith("2022-04") for record in book.records)
    assert {record.kind for record in book.records} == {"activity", "project", "asset", "accident"}


def test_the_readme_says_where_every_file_comes_from():
    named = re.findall(r"^\| `([^`]+)` \|", (SAMPLE / "README.md").read_text(encoding="utf-8"), re.M)
    there = {path.relative_to(SAMPLE).as_posix() for path in SAMPLE.rglob("*.*") if path.is_file()}
    there = {name for name in there if not name.startswith(("out/", "__pycache__")) and not name.endswith(".aux.xml")}
    assert {*named, "README.md"} == there


def test_the_job_names_files_that_are_there():
    job = tomllib.loads((SAMPLE / "job.toml").read_text(encoding="utf-8"))
    assert (SAMPLE / job["districts"]["path"]).is_file()
    assert (SAMPLE / job["terrain"]["dem"]).is_file()
    assert len(list(SAMPLE.glob(job["imagery"]["paths"][0]))) == 3
