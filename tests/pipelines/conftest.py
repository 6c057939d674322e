from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_job import CRS, GSD, NORTH, WEST, district_boxes, draw_pixels, make_model, write_job, write_scene

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A model file that knows dark discs."""
    folder = tmp_path_factory.mktemp("model")
    return make_model(folder / "drawn.survey-model", folder)


@pytest.fixture
def drawn(tmp_path, model):
    """A job of one scene of 700 x 900 pixels with 12 discs, across two districts."""
    pixels, _ = draw_pixels(700, 900, seed=1)
    write_scene(tmp_path / "a.tif", pixels)
    middle, east, south = WEST + 450 * GSD, WEST + 900 * GSD + 30, NORTH - 700 * GSD - 30
    district_boxes((WEST - 30, south, middle, NORTH + 30), (middle, south, east, NORTH + 30)).to_file(
        tmp_path / "districts.geojson"
    )
    return write_job(tmp_path, model)


@pytest.fixture
def second_scene():
    """Write a second scene beside the first, overlapping it in the east."""

    def write(folder, name="b.tif", **options):
        pixels, _ = draw_pixels(500, 600, seed=2)
        return write_scene(folder / name, pixels, **({"west": WEST + 700 * GSD, "crs": CRS} | options))

    return write


@pytest.fixture
def cli():
    """Run the command line in a process of its own, as a user does."""

    def run(*arguments, **options):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160", "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, "-W", "error", "-W", "ignore:Use `@` matmul", "-m",
             "pipelines.cli", *map(str, arguments)],
            env=environment, capture_output=True, text=True, timeout=240, **options,
        )  # fmt: skip

    return run


class Silent:
    """A watch that only remembers."""

    def __init__(self):
        self.texts, self.tiles, self.summary = [], 0, None

    def begun(self, walk, workers):
        self.to_do = walk.left

    def advanced(self, pixels, hectares, objects):
        self.tiles += 1

    def said(self, text):
        self.texts.append(text)

    def finished(self, summary):
        self.summary = summary


@pytest.fixture
def watch():
    return Silent()


@pytest.fixture
def survey(capsys):
    """Run the command line in this process; returns (exit code, stdout, stderr)."""
    from pipelines.cli import main

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in arguments])
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run
