"""The Processing provider in a real QGIS: in ``qgis_process`` and as the toolbox runs it."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.pipelines.drawn_job import GSD, NORTH, WEST, district_boxes, draw_pixels, make_model, write_job, write_scene
from tests.real.qgis_here import NEEDS, PYTHON, at_home, has_qgis

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "qgis_plugin"
pytestmark = [pytest.mark.real, pytest.mark.skipif(not has_qgis(), reason=NEEDS)]


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A drawn job of several tiles, and the command that surveys it."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "model").mkdir()
    model = make_model(folder / "drawn.survey-model", folder / "model")
    pixels, _ = draw_pixels(700, 900, seed=1)
    write_scene(folder / "a.tif", pixels)
    middle, east, south = WEST + 450 * GSD, WEST + 900 * GSD + 30, NORTH - 700 * GSD - 30
    district_boxes((WEST - 30, south, middle, NORTH + 30), (middle, south, east, NORTH + 30)).to_file(
        folder / "districts.geojson"
    )
    write_job(folder, model, more="[execution]\ntile_px = 128\n")
    # Whatever QGIS sets for its own Python must not reach the command: it would fail here.
    script(
        folder / "survey",
        f'test -z "$PYTHONHOME$GDAL_DATA" && OMP_NUM_THREADS=1 PYTHONPATH="{ROOT}" '
        f'exec "{sys.executable}" -m pipelines.cli "$@"',
    )
    script(folder / "recorder", 'for one in "$@"; do echo "$one"; done')
    return folder


@pytest.fixture(scope="module")
def driven(place):
    run = subprocess.run(
        [PYTHON, Path(__file__).with_name("drive_plugin.py"), PLUGINS, place / "survey", place / "recorder",
         place / "job.toml", place / "districts.geojson", place],
        env=at_home(place / "home") | {"GDAL_DATA": "/usr/share/gdal"}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert (place / "drive.json").exists(), run.stderr
    return json.loads((place / "drive.json").read_text())


def test_qgis_process_runs_it(place):
    program = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    home = at_home(place / "home2") | {"QGIS_PLUGINPATH": str(PLUGINS)}

    def qgis_process(*arguments):
        return subprocess.run([program, *map(str, arguments)], env=home, capture_output=True, text=True, timeout=120)

    assert qgis_process("plugins", "enable", "survey_hazards").returncode == 0
    listed = qgis_process("list").stdout
    assert set(re.findall(r"survey:(\w+)", listed)) == {"plan", "run", "map", "learn", "report"}
    said = qgis_process("run", "survey:plan", "--", f"JOB={place / 'job.toml'}")
    assert "There is no command `survey`" in said.stdout + said.stderr or shutil.which("survey")
    (profile,) = (place / "home2").rglob("QGIS3.ini")
    with profile.open("a") as file:
        file.write(f"\n[Processing]\nConfiguration\\SURVEY_COMMAND={place / 'survey'}\n")
    said = qgis_process("--json", "run", "survey:plan", "--", f"JOB={place / 'job.toml'}")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["results"]["TILES"] > 20


def test_the_plan_is_told_and_kept(driven, place):
    plan = json.loads((place / "plan.json").read_text())
    assert driven["plan"]["results"]["TILES"] == plan["tiles"]
    assert any(line.startswith("District 1: ") for line in driven["plan"]["lines"])


def test_cancel_stops_gently_and_the_next_run_goes_on(driven):
    cancelled, run = driven["cancelled"], driven["run"]
    assert cancelled["results"] == {}
    assert 0 < max(cancelled["steps"]) < 100
    assert any("nothing is lost" in line for line in cancelled["lines"])
    assert "Stopping after the tiles in hand; once more to stop at once." in cancelled["lines"], "it was SIGINT"
    steps = run["steps"][: run["steps"].index(100) + 1]  # then QGIS begins to load, at 0
    assert steps == sorted(steps)
    assert steps[0] > max(cancelled["steps"]) - 1e-9, "what was done is not done again"


def test_results_are_loaded_with_their_styles(driven):
    results = driven["run"]["results"]
    assert Path(results["GEOPACKAGE"]).name == "survey.gpkg"
    assert Path(results["REPORT"]).exists()
    loaded = {name: (valid, rows, renderer) for name, valid, rows, renderer in driven["loaded"]}
    assert set(loaded) == {
        "object_chips", "districts", "coverage", "density_grid", "hazard_areas", "hazard_objects"
    }  # fmt: skip
    assert all(valid and rows for valid, rows, _ in loaded.values()), loaded
    for name in ("hazard_areas", "hazard_objects", "density_grid", "coverage"):
        assert loaded[name][2] == "categorizedSymbol"


def test_map_and_report_run_again(driven):
    assert Path(driven["map"]["results"]["GEOPACKAGE"]).exists(), driven["map"]
    assert Path(driven["report"]["results"]["REPORT"]).exists(), driven["report"]


def test_what_goes_wrong_is_said_in_a_paragraph(driven):
    refused = driven["refused"]["results"]["failed"]
    assert "is not valid TOML" in refused
    assert "Traceback" not in refused
    assert "'/no/such/survey' of the settings does not exist" in driven["missing"]["results"]["failed"]
    assert driven["setting"]
    assert driven["gone"]


def test_learn_hands_on_every_option(driven, place):
    lines = driven["learn"]["lines"]
    labels = str(place / "districts.geojson")
    assert lines[1 : lines.index(str(place / "a.tif")) + 1] == [
        "learn", "--memory", str(place), "--labels", labels, "--reviewed", labels, "--layer", "my layer",
        "--reviewed-layer", "seen", "--site", "north", "--new-class", "booby_trap", str(place / "a.tif"),
    ]  # fmt: skip
    known = subprocess.run([place / "survey", "learn", "--help"], capture_output=True, text=True)
    if known.returncode == 0:
        assert {word for word in lines if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", known.stdout))


def test_the_plugin_imports_nothing_of_the_library():
    for path in PLUGINS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"survey", "pipelines"}, path


def test_the_metadata_is_what_qgis_asks_for():
    metadata = ConfigParser()
    metadata.read(PLUGINS / "survey_hazards" / "metadata.txt", encoding="utf-8")
    general = metadata["general"]
    assert general["hasProcessingProvider"] == "yes"
    for key in ("name", "description", "about", "version", "author", "email", "qgisMinimumVersion"):
        assert general[key]
