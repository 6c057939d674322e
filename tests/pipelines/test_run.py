from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from drawn_job import GSD, NORTH, ROLES, WEST, district_boxes, draw_pixels, write_scene
from results import assert_same, layers_of, leftovers

from pipelines.run import How, survey_job
from survey.api import load_model
from survey.detection.features import parts_of
from survey.memory.judges import Judges, save_model
from survey.settings import read_job

ROOT = Path(__file__).parents[2]


def test_the_whole_road(drawn, cli):
    ended = cli("run", drawn, "--workers", 2)
    assert ended.returncode == 0, ended.stderr
    out = drawn.parent / "out"
    for name in ("survey.gpkg", "districts.csv", "report.html", "run.json"):
        assert str(out / name) in ended.stdout
    assert leftovers(out) == []
    assert "District 1" in ended.stdout
    layers = layers_of(out)
    objects = layers["hazard_objects"]
    _, centres = draw_pixels(700, 900, seed=1)
    places = objects.to_crs("EPSG:32638").centroid
    for row, col in centres:
        x, y = WEST + col * GSD, NORTH - row * GSD
        assert (abs(places.x - x) + abs(places.y - y)).min() < 0.3
    assert set(objects["district_code"]) == {"D1", "D2"}
    assert len(layers["districts"]) == 2
    record = json.loads((out / "run.json").read_text())
    assert record["totals"]["n_objects"] == len(objects)
    assert record["run_id"] == objects["run_id"].iloc[0]
    assert "analysed" in (out / "districts.csv").read_text()


def test_ground_unlike_what_the_model_knows_is_told_and_written_down(drawn, model, watch, tmp_path):
    known = load_model(model, ROLES)
    width = known.hazard.n_features_in_
    reference = np.zeros((2, width), np.float32)
    strange = tmp_path / "strange.survey-model"
    of_features = {"mean": 0.0, "mean_apart": 1.0, "within": 1.0, "spread": 0.0, "spread_apart": 1.0}
    limits = [100.0] * 2 * len(parts_of(3)[1])
    usual = {key: [one] * width for key, one in of_features.items()} | {"sites": 30, "limits": limits, "usual": 1.0}
    # A card of an earlier version, ground of which much is usual, and ground with features far off what is here.
    earlier = {"mean": [50.0] * width, "spread": [1.0] * width, "sites": 30, "usual": 0.5}
    for one, count in ((earlier, 0), (usual, 0), (usual | {"mean": [500.0] * width}, 1)):
        save_model(strange, Judges(known.hazard, known.namer), {**known.card, "background": one}, reference)
        job = tmp_path / "again.toml"
        job.write_text(drawn.read_text().replace(model.as_posix(), strange.as_posix()))
        assert strange.name in job.read_text()
        survey_job(read_job(job), How(workers=1), watch)
        record = json.loads((tmp_path / "out" / "run.json").read_text())
        assert len(record["notes"]) == count
        assert ("unlike the ground that model" in (tmp_path / "out" / "report.html").read_text()) == bool(count)
    assert "a.tif" in record["notes"][0]


def test_running_again_reads_nothing_and_gives_the_same(drawn, watch, tmp_path):
    job = read_job(drawn)
    survey_job(job, How(workers=1), watch)
    tiles = watch.tiles
    assert tiles >= 2
    shutil.copytree(tmp_path / "out", tmp_path / "before")
    survey_job(job, How(workers=1), watch)
    assert watch.tiles == tiles
    assert watch.to_do == 0
    assert_same(tmp_path / "before", tmp_path / "out")


def test_map_needs_no_imagery_and_takes_new_settings(drawn, survey, tmp_path):
    assert survey("map", drawn)[0] == 1
    assert survey("run", drawn, "--workers", 1)[0] == 0
    shutil.copytree(tmp_path / "out", tmp_path / "before")
    (tmp_path / "a.tif").rename(tmp_path / "away")
    assert '"*.tif"' in drawn.read_text()
    assert survey("map", drawn)[0] == survey("status", drawn)[0] == 0
    for command in ("plan", "run"):
        code, _, err = survey(command, drawn)
        assert code == 2
        assert "matches no file" in err
    assert_same(tmp_path / "before", tmp_path / "out")
    drawn.write_text(drawn.read_text() + "\n[density]\nmedium_per_ha = 2.0\n")
    code, out, _ = survey("map", drawn, "--json")
    assert code == 0
    finished = json.loads(out.splitlines()[-1])
    assert finished["event"] == "finished"
    before, after = layers_of(tmp_path / "before"), layers_of(tmp_path / "out")
    assert set(before["hazard_objects"]["object_id"]) == set(after["hazard_objects"]["object_id"])
    assert before["districts"]["run_id"].iloc[0] != after["districts"]["run_id"].iloc[0]


def test_a_threshold_moves_objects_without_reading_pixels(drawn, survey, watch, tmp_path):
    assert survey("run", drawn, "--workers", 1)[0] == 0
    whole = layers_of(tmp_path / "out")
    drawn.write_text(drawn.read_text().replace("[model]", "[model]\nthreshold = 1.0"))
    survey_job(read_job(drawn), How(workers=1), watch)
    assert watch.to_do == 0
    after = layers_of(tmp_path / "out")
    assert len(after["hazard_objects"]) < len(whole["hazard_objects"])
    assert len(after["candidates"]) > len(whole["candidates"])


def test_what_changed_is_said_and_only_that_is_done_again(drawn, second_scene, watch, tmp_path):
    second_scene(tmp_path)
    survey_job(read_job(drawn), How(workers=1), watch)
    first = watch.to_do
    second_scene(tmp_path, gsd=GSD * 0.98)
    survey_job(read_job(drawn), How(workers=1), watch)
    assert 0 < watch.to_do < first
    assert "The imagery changed: b.tif is surveyed again." in watch.texts
    drawn.write_text(drawn.read_text() + '\n[detection]\nfamilies = ["AT"]\n')
    survey_job(read_job(drawn), How(workers=1), watch)
    assert "The detection changed: a.tif and b.tif are surveyed again." in watch.texts


def test_new_districts_read_only_new_ground(drawn, watch, tmp_path):
    path = tmp_path / "districts.geojson"
    # The first district ends 28 m from the far edge: further than a margin and the cells around it reach.
    middle, south = WEST + 200 * GSD, NORTH - 700 * GSD - 30
    both = district_boxes((WEST - 30, south, middle, NORTH + 30), (middle, south, WEST + 70, NORTH + 30))
    both.iloc[:1].to_file(path)
    drawn.write_text(drawn.read_text() + "\n[execution]\ntile_px = 256\n")
    survey_job(read_job(drawn), How(workers=1), watch)
    half = watch.to_do
    both.to_file(path)
    survey_job(read_job(drawn), How(workers=1), watch)
    added = watch.to_do
    assert added > 0
    shutil.move(tmp_path / "out", tmp_path / "grown")
    survey_job(read_job(drawn), How(workers=1), watch)
    assert watch.to_do == half + added
    assert_same(tmp_path / "grown", tmp_path / "out")


def test_a_verdict_survives_every_run(drawn, survey, tmp_path):
    assert survey("run", drawn, "--workers", 1)[0] == 0
    path = tmp_path / "out" / "survey.gpkg"
    first = layers_of(tmp_path / "out")["hazard_objects"]
    judged = {first["object_id"].iloc[0]: "confirmed", first["object_id"].iloc[1]: "rejected"}
    import sqlite3

    database = sqlite3.connect(path)
    # A spatial index has triggers that need GDAL's functions; a verdict touches no geometry.
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
        database.execute(f'DROP TRIGGER "{name}"')
    for object_id, verdict in judged.items():
        database.execute("UPDATE hazard_objects SET verification=? WHERE object_id=?", (verdict, object_id))
    database.commit()
    database.close()
    assert survey("map", drawn)[0] == 0
    drawn.write_text(drawn.read_text().replace("[model]", "[model]\nthreshold = 1.0"))
    assert survey("run", drawn, "--workers", 1)[0] == 0
    layers = layers_of(tmp_path / "out")
    objects = layers["hazard_objects"].set_index("object_id")
    confirmed, rejected = judged
    assert objects.loc[confirmed, "verification"] == "confirmed"
    assert objects.loc[confirmed, "evidence_class"] == "direct"
    everything = {**objects["verification"], **layers["candidates"].set_index("object_id")["verification"]}
    assert everything[rejected] == "rejected"
    assert set(layers["reviews"]["object_id"]) == set(judged)


def test_events_and_status(drawn, survey):
    assert "not begun" in survey("status", drawn)[1]
    code, out, err = survey("run", drawn, "--json", "--workers", 1)
    assert code == 0
    assert err == ""
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0]["event"] == "begun"
    assert events[-1]["event"] == "finished"
    assert len(events[-1]["districts"]) == 2
    assert events[-2]["fraction"] == pytest.approx(1.0)
    status = json.loads(survey("status", drawn, "--json")[1])
    assert status["state"] == "surveyed"
    assert status["images"][0]["done"] == len(events) - 2


def test_plan_says_what_a_run_would_do(drawn, survey):
    code, out, _ = survey("plan", drawn, "--json")
    plan = json.loads(out)
    assert code == 0
    (scene,) = plan["scenes"]
    assert scene["gsd_cm"] == pytest.approx(4.0, rel=1e-3)
    assert sum(scene["hectares_by_district"].values()) == pytest.approx(700 * 900 * GSD**2 / 1e4, abs=2e-4)
    assert set(scene["classes_resolved"]) == {"mine_at", "crater"}
    assert scene["tiles"] == plan["tiles"] >= 2
    assert not (drawn.parent / "out").exists()
    text = survey("plan", drawn)[1]
    assert "District 1" in text
    schema = json.loads(survey("plan", "--json-schema")[1])
    assert "imagery" in schema["properties"]


def test_restart_keeps_the_old_journal(drawn, survey, tmp_path):
    assert survey("run", drawn, "--workers", 1)[0] == 0
    code, _, err = survey("run", drawn, "--restart", "--workers", 1)
    assert code == 0
    assert "Starting over" in err
    assert len(list((tmp_path / "out").glob("journal-*.sqlite"))) == 1


def test_a_finished_job_run_again_does_not_tell_of_no_sightings(drawn, survey):
    first, second = (survey("run", drawn, "--workers", 1)[2] for _ in range(2))
    assert "12 sightings" in first
    assert "1 worker." in first
    assert "0 tiles to survey" in second
    assert "sightings" not in second


def test_quiet_says_nothing(drawn, survey):
    assert survey("run", drawn, "-q", "--workers", 1) == (0, "", "")


def test_an_image_outside_the_districts_is_no_error(drawn, survey, tmp_path):
    write_scene(tmp_path / "far.tif", draw_pixels(200, 200)[0], west=WEST + 5000)
    assert survey("run", drawn, "--workers", 1)[0] == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert {one["name"]: one["status"] for one in record["imagery"]} == {"a.tif": "surveyed", "far.tif": "outside"}


def test_an_area_of_interest_bounds_what_is_looked_at(drawn, survey, tmp_path):
    import shapely

    box = shapely.box(WEST + 4, NORTH - 20, WEST + 14, NORTH - 4)
    gpd.GeoDataFrame(geometry=[box], crs="EPSG:32638").to_file(tmp_path / "aoi.geojson")
    drawn.write_text(drawn.read_text() + '\n[area_of_interest]\npath = "aoi.geojson"\n')
    assert survey("run", drawn, "--workers", 1)[0] == 0
    totals = json.loads((tmp_path / "out" / "run.json").read_text())["totals"]
    assert totals["analysed_ha"] == pytest.approx(0.016, abs=2e-4)


def test_help_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys\nfrom pipelines.cli import main\n"
        "try:\n    main(['run', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'geopandas', 'rasterio', 'pandas', 'cv2', 'sklearn', 'matplotlib', 'scipy', 'pyarrow'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    assert "Example" in ended.stdout


@pytest.mark.parametrize("command", ["plan", "run", "map", "status", "sample", "evaluate", "report", "export", "merge"])
def test_every_command_has_an_example_and_says_more_or_less(survey, command):
    code, out, _ = survey(command, "--help")
    assert code == 0
    assert "Example" in out
    assert "--verbose" in out
    assert "--quiet" in out


def test_sample_is_written_once(survey, tmp_path):
    code, out, _ = survey("sample", tmp_path / "mine")
    assert code == 0
    assert str(tmp_path / "mine" / "job.toml") in out
    assert read_job(tmp_path / "mine" / "job.toml").job.name == "sample"
    assert (tmp_path / "mine" / "ledger.csv").exists()
    code, _, err = survey("sample", tmp_path / "mine")
    assert code == 1
    assert "not empty" in err
