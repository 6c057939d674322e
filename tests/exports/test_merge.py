from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from importlib import resources

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from pipelines.merge import merge
from survey.contamination.assessment import Contamination, Context, assess
from survey.contamination.districts import prepare_districts
from survey.errors import DistrictError, JobError, OutputError
from survey.exports.geopackage import read, write
from survey.exports.tables import write_run
from survey.layers import COVERAGE, COVERAGE_PIECES, DISTRICTS, HAZARD_OBJECTS, REVIEWS, RUNS, conform
from survey.provenance import run_record

CRS, X0, Y0 = "EPSG:32638", 692_000.0, 4_361_000.0
WHEN = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)


def square(x, y, side):
    return shapely.MultiPolygon([shapely.box(X0 + x, Y0 + y, X0 + x + side, Y0 + y + side)])


def a_job(folder, name, west, spots, settings=None, district_side=1000.0, gsd=2.0, more=(), interest=None):
    """A job that looked at 200 m x 200 m and saw anti-tank mines at the given spots (metres from the corner)."""
    pieces = {
        "image": f"{name}.tif", "status": "analysed", "reason": "", "families": "AT;UXO", "detectability": 0.9,
        "gsd_cm": gsd, "acquired_at": pd.Timestamp(WHEN),
    }  # fmt: skip
    coverage = conform(gpd.GeoDataFrame([pieces], geometry=[square(west, 100, 200)], crs=CRS), COVERAGE_PIECES)
    outlines = gpd.GeoSeries([square(x, y, 0.32) for x, y, _ in spots], crs=CRS)
    centres = outlines.centroid.to_crs("EPSG:4326")
    objects = pd.DataFrame(
        {
            "object_id": [f"{name}-{i}" for i in range(len(spots))], "class_code": "mine_at", "family": "AT",
            "probability": [p for _, _, p in spots], "evidence_class": "indication", "verification": "unverified",
            "lon": centres.x, "lat": centres.y, "length_m": 0.32, "width_m": 0.32, "area_m2": 0.1, "gsd_cm": gsd,
            "position_error_m": 0.5, "image": f"{name}.tif", "model_version": "m", "run_id": name,
        }
    )  # fmt: skip
    objects = conform(gpd.GeoDataFrame(objects, geometry=outlines.to_crs("EPSG:4326")), HAZARD_OBJECTS)
    boundary = gpd.GeoDataFrame({"n": ["Fuzuli"], "c": ["FUZ"]}, geometry=[square(0, 0, district_side)], crs=CRS)
    ground, context = prepare_districts(boundary, "n", "c"), Context(area_of_interest=interest)
    layers = assess(objects, [coverage, *more], ground, Contamination(), name, context)
    row = {"run_id": name, "started_at": WHEN, "finished_at": WHEN, "software_version": "1", "model_version": "m",
           "settings_digest": "s", "imagery_digest": "i", "n_tiles": 1, "n_failed": 0}  # fmt: skip
    layers["runs"] = conform(pd.DataFrame([row]), RUNS)
    folder.mkdir()
    write(folder / "survey.gpkg", layers, chips={f"{name}-0": b"\x89PNG"})
    record = run_record(
        {"run_id": name, "model_version": "m"}, (WHEN, WHEN), settings or {}, [{"path": f"../{name}.tif"}], name=name
    )
    write_run(folder / "run.json", record)
    return folder


@pytest.fixture
def jobs(tmp_path):
    # The second overlaps the first by half and sees its first mine 0.4 m aside.
    one = a_job(tmp_path / "one", "one", 100, [(250, 150, 0.6), (120, 200, 0.9)])
    two = a_job(tmp_path / "two", "two", 200, [(250.4, 150, 0.8), (380, 250, 0.7)])
    return one, two


def test_ground_and_objects_that_both_saw_count_once(jobs, tmp_path):
    written = merge(jobs, tmp_path / "both")
    assert all(path.exists() for path in written)
    district = read(tmp_path / "both" / "survey.gpkg", DISTRICTS).iloc[0]
    assert district["analysed_ha"] == pytest.approx(6.0, abs=0.01)
    assert district["district_ha"] == pytest.approx(
        district["analysed_ha"] + district["not_assessable_ha"] + district["not_analysed_ha"], abs=1e-4
    )
    objects = read(tmp_path / "both" / "survey.gpkg", HAZARD_OBJECTS)
    assert sorted(objects["object_id"]) == ["one-1", "two-0", "two-1"], "the more probable of the two is kept"
    assert objects["run_id"].nunique() == 1
    assert sorted(read(tmp_path / "both" / "survey.gpkg", RUNS)["run_id"]) == ["one", "two"]
    record = json.loads((tmp_path / "both" / "run.json").read_text())
    assert [one["path"] for one in record["imagery"]] == ["../one.tif", "../two.tif"]


def test_the_order_of_the_jobs_does_not_matter(jobs, tmp_path):
    merge(jobs, tmp_path / "a")
    merge(jobs[::-1], tmp_path / "b")
    left, right = (read(tmp_path / name / "survey.gpkg", DISTRICTS) for name in "ab")
    pd.testing.assert_frame_equal(
        pd.DataFrame(left.drop(columns="geometry")), pd.DataFrame(right.drop(columns="geometry"))
    )


def test_verdicts_left_in_the_files_come_along(jobs, tmp_path):
    with closing(sqlite3.connect(jobs[0] / "survey.gpkg")) as database:
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            database.create_function(name, 1, lambda _: 0)
        database.execute("UPDATE hazard_objects SET verification='confirmed' WHERE object_id='one-0'")
        database.commit()
    merge(jobs, tmp_path / "both")
    objects = read(tmp_path / "both" / "survey.gpkg", HAZARD_OBJECTS).set_index("object_id")
    assert objects.loc["one-0", "verification"] == "confirmed"
    assert "two-0" not in objects.index, "the confirmed one stands for both"
    assert read(tmp_path / "both" / "survey.gpkg", REVIEWS)["object_id"].tolist() == ["one-0"]


def test_jobs_that_cannot_be_joined(jobs, tmp_path):
    other = a_job(tmp_path / "other", "other", 100, [(150, 150, 0.9)], settings={"density": {"cell_m": 100}})
    with pytest.raises(JobError, match=r"different settings in \[density\]"):
        merge([jobs[0], other], tmp_path / "x")
    moved = a_job(tmp_path / "moved", "moved", 100, [(150, 150, 0.9)], district_side=900.0)
    with pytest.raises(DistrictError, match="another outline"):
        merge([jobs[0], moved], tmp_path / "x")
    with pytest.raises(JobError, match="at least two"):
        merge([jobs[0], jobs[0]], tmp_path / "x")
    with pytest.raises(JobError, match="holds something"):
        merge(jobs, jobs[0])
    with pytest.raises(OutputError, match=r"no run\.json"):
        merge([jobs[0], tmp_path], tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_file_of_the_settings_is_what_it_holds_wherever_it_lies(jobs, tmp_path):
    """Two jobs in folders of their own, each with its copy of one rule table; a third with another one."""
    rules = (resources.files("survey.contamination") / "methods.toml").read_text(encoding="utf-8")
    for job, text in (*((job, rules) for job in jobs), (tmp_path / "other", rules + "\n# changed\n")):
        if not job.exists():
            a_job(job, "other", 100, [(150, 150, 0.9)])
        (job / "methods.toml").write_text(text, encoding="utf-8")
        record = json.loads((job / "run.json").read_text())
        record["settings"] = {"methodology": {"path": str(job / "methods.toml"), "limits": {}}}
        write_run(job / "run.json", record)
    merge(jobs, tmp_path / "both")
    with pytest.raises(JobError, match=r"different settings in \[methodology\] \(path\)"):
        merge([jobs[0], tmp_path / "other"], tmp_path / "x")


def test_dates_and_reasons_of_ground_not_analysed_come_along(jobs, tmp_path):
    for job in jobs:
        record = json.loads((job / "run.json").read_text())
        record["imagery"] = [{"name": f"{job.name}.tif", "path": f"../{job.name}.tif", "acquired_at": WHEN}]
        write_run(job / "run.json", record)
    pieces = {
        "image": "far.tif", "status": "not_analysed", "reason": "tile failed: truncated file", "families": "",
        "detectability": 0.0, "gsd_cm": 2.0,
    }  # fmt: skip
    lost = conform(gpd.GeoDataFrame([pieces], geometry=[square(600, 600, 50)], crs=CRS), COVERAGE_PIECES)
    far = a_job(tmp_path / "far", "far", 600, [(650, 150, 0.9)], more=[lost])
    merge([*jobs, far], tmp_path / "all")
    district = read(tmp_path / "all" / "survey.gpkg", DISTRICTS).iloc[0]
    assert district["imagery_from"] == pd.Timestamp(WHEN)
    coverage = read(tmp_path / "all" / "survey.gpkg", COVERAGE)
    assert coverage.loc[coverage["image"] == "far.tif", "reason"].tolist() == ["", "tile failed: truncated file"]
    assert coverage.loc[coverage["reason"] == "tile failed: truncated file", "area_ha"].iloc[0] == pytest.approx(0.25)


def test_ground_that_no_job_was_to_look_at_stays_outside_the_interest(tmp_path):
    south = gpd.GeoDataFrame(geometry=[square(0, 0, 500)], crs=CRS)
    jobs = [
        a_job(tmp_path / name, name, west, [(west + 50, 150, 0.9)], interest=south)
        for name, west in (("one", 100), ("two", 400))
    ]
    merge(jobs, tmp_path / "both")
    coverage = read(tmp_path / "both" / "survey.gpkg", COVERAGE)
    hectares = coverage.groupby("reason")["area_ha"].sum()
    own = read(jobs[0] / "survey.gpkg", COVERAGE).groupby("reason")["area_ha"].sum()
    assert hectares["outside the area of interest"] == pytest.approx(own["outside the area of interest"], abs=1e-3)
    district = read(tmp_path / "both" / "survey.gpkg", DISTRICTS).iloc[0]
    assert district["analysed_ha"] == pytest.approx(6.0, abs=0.01), "what lies beyond the interest was not analysed"
