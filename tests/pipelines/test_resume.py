"""A job killed or stopped at any moment goes on where it stopped, to the same result."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from drawn_job import draw_pixels, write_scene
from results import assert_same, leftovers

from pipelines.engine.journal import Journal
from pipelines.keeping import FOLDER
from pipelines.run import How, survey_job
from survey.settings import read_job

ROOT = Path(__file__).parents[2]
SMALL_TILES = "\n[execution]\ntile_px = 128\n"


@pytest.fixture
def job(drawn):
    drawn.write_text(drawn.read_text() + SMALL_TILES)
    return drawn


@pytest.fixture
def start():
    running = []

    def run(job, workers=2):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", "run", str(job), "--workers", str(workers)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def tiles_done(job):
    path = job.parent / "out" / "journal.sqlite"
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return database.execute("SELECT COUNT(*) FROM tiles").fetchone()[0]
        finally:
            database.close()
    except sqlite3.Error:
        return 0


def wait_for(job, process, tiles):
    deadline = time.monotonic() + 60
    while tiles_done(job) < tiles and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def clean_result(job, watch):
    """Result of a run that nobody disturbed, in a folder of its own."""
    survey_job(read_job(job), How(workers=1), watch)
    clean = job.parent / "clean"
    shutil.move(job.parent / "out", clean)
    return clean


def kill_a_worker(process, chance):
    """Kill one process beneath the coordinator: a worker, or the server they are forked from."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        chance.choice([one for one in children if "resource_tracker" not in " ".join(one.cmdline())]).kill()
    except psutil.NoSuchProcess:
        # It ended by itself in the meantime.
        return False
    return True


def kill_and_resume(job, start, watch, kills, *, chance):
    clean = clean_result(job, watch)
    killed = 0
    for number in range(kills):
        process = start(job)
        wait_for(job, process, tiles_done(job) + chance.randrange(1, 12))
        if number % 3 == 2:
            killed += kill_a_worker(process, chance)
            # The coordinator goes on; a little later it is killed as well.
            wait_for(job, process, tiles_done(job) + chance.randrange(1, 12))
        killed += process.poll() is None
        process.kill()
        process.communicate()
    assert killed >= kills
    ended = start(job)
    _, err = ended.communicate(timeout=120)
    assert ended.returncode == 0, err
    assert_same(clean, job.parent / "out")
    assert leftovers(job.parent / "out") == []
    database = sqlite3.connect(job.parent / "out" / "journal.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def test_killed_and_resumed(job, start, watch):
    kill_and_resume(job, start, watch, 1, chance=random.Random(1))


@pytest.mark.real
def test_killed_at_25_moments(job, start, watch):
    pixels, _ = draw_pixels(1400, 1800, seed=5, discs=40)
    (job.parent / "a.tif").unlink()
    write_scene(job.parent / "a.tif", pixels)
    job.write_text(job.read_text().replace(SMALL_TILES, SMALL_TILES.replace("128", "64")))
    kill_and_resume(job, start, watch, 25, chance=random.Random(2))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.real)]
)
def test_signals_stop_after_the_tiles_in_hand(job, start, watch, number, code):
    process = start(job)
    wait_for(job, process, 4)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Run the same command again" in err
    assert not (job.parent / "out" / "survey.gpkg").exists()
    assert set(leftovers(job.parent / "out")) <= {FOLDER}
    before = tiles_done(job)
    survey_job(read_job(job), How(workers=1), watch)
    assert watch.to_do > 0
    assert tiles_done(job) == before + watch.to_do
    assert not (job.parent / "out" / FOLDER).exists()


def test_a_run_beside_a_run_is_refused(job, survey):
    with Journal(job.parent / "out", "drawn"):
        for command in ("run", "map"):
            code, _, err = survey(command, job)
            assert code == 1
            assert "Another run" in err
        assert "running" in survey("status", job)[1]
    assert survey("run", job, "--workers", 1)[0] == 0


def test_blocks_that_cannot_be_read_cost_only_their_ground(drawn, watch, tmp_path):
    """A damaged block in a compressed file: everything else is surveyed, the sums hold, it is tried again."""
    pixels, _ = draw_pixels(700, 900, seed=1)
    path = tmp_path / "a.tif"
    path.unlink()
    write_scene(path, pixels, compress="deflate")
    whole = path.read_bytes()
    import rasterio

    with rasterio.open(path) as image:
        offset = int(image.get_tag_item("BLOCK_OFFSET_3_2", "TIFF", bidx=1))
    path.write_bytes(whole[:offset] + b"\xff" * 64 + whole[offset + 64 :])
    drawn.write_text(drawn.read_text() + "\n[execution]\nretries = 0\n")
    summary = survey_job(read_job(drawn), How(workers=1), watch)
    assert summary.exit_code == 3
    assert any("cannot be read" in problem["reason"] for problem in summary.problems)
    area = 700 * 900 * 0.04**2 / 1e4
    # The block has 132 x 188 pixels of 900 x 700.
    assert 0.94 * area < summary.totals["analysed_ha"] < 0.962 * area
    totals = summary.totals
    parts = totals["analysed_ha"] + totals["not_assessable_ha"] + totals["not_analysed_ha"]
    assert parts == pytest.approx(totals["district_ha"], abs=1e-4)
    path.write_bytes(whole)
    summary = survey_job(read_job(drawn), How(workers=1), watch)
    assert summary.exit_code == 0
    assert summary.totals["analysed_ha"] == pytest.approx(area, abs=2e-4)
