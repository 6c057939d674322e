"""A disk that is full, and one that may only be read: a clear stop, and a clean way on.

Each is a small file system of its own, mounted here: root passes over permissions, but not over these.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from results import assert_same, layers_of, leftovers

from pipelines.run import How, survey_job
from survey.errors import OutputError
from survey.settings import read_job

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
MIB = 2**20
SMALL_TILES = "\n[execution]\ntile_px = 128\n"
_RDONLY, _REMOUNT = 1, 32
_LIBC = ctypes.CDLL(None, use_errno=True)


def mount(folder, size, flags=0):
    if _LIBC.mount(b"none", os.fsencode(folder), b"tmpfs", flags, f"size={size}".encode()):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Disk:
    """A file system in memory, and the ballast that fills it."""

    def __init__(self, folder, size):
        self.folder, self._size = folder, size
        self.ballast = folder / "ballast"

    def leave(self, spare):
        """Write ballast until only so many bytes are free."""
        with self.ballast.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        os.truncate(self.ballast, max(0, self.ballast.stat().st_size - spare))
        assert abs(shutil.disk_usage(self.folder).free - spare) <= 16_384

    def empty(self):
        self.ballast.unlink(missing_ok=True)

    def read_only(self, on):
        mount(self.folder, self._size, _REMOUNT | (_RDONLY if on else 0))


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    size = 80 * MIB
    try:
        mount(folder, size)
    except (OSError, AttributeError) as error:
        if not isinstance(error, OSError) or error.errno in (errno.EPERM, errno.EACCES, errno.ENODEV, errno.ENOSYS):
            pytest.skip(f"a small file system cannot be mounted here (it takes root on Linux): {error}")
        raise
    yield Disk(folder, size)
    assert _LIBC.umount(os.fsencode(folder)) == 0


@pytest.fixture
def job(drawn, disk, watch):
    """A job with its output on the small disk, after the same was surveyed undisturbed elsewhere."""
    drawn.write_text(drawn.read_text() + SMALL_TILES)
    assert survey_job(read_job(drawn), How(workers=1), watch).exit_code == 0
    shutil.move(drawn.parent / "out", drawn.parent / "clean")
    drawn.write_text(drawn.read_text().replace('"out"', f'"{disk.folder.name}/out"'))
    return drawn


class Filler:
    """A watch that fills the disk once so many tiles are done."""

    def __init__(self, disk, after, spare):
        self.disk, self.after, self.spare, self.left = disk, after, spare, 0

    def begun(self, walk, workers):
        self.left = walk.left
        self._fill(0)

    def advanced(self, pixels, hectares, objects):
        self.left -= 1
        self.after -= 1
        self._fill(self.after)

    def _fill(self, after):
        # After so many tiles; in a later run, where nothing is left to survey, at once.
        if (after == 0 and self.after <= 0) or not self.left:
            self.disk.leave(self.spare)

    def said(self, text):
        pass

    def finished(self, summary):
        pass


def only_whole_files(folder):
    """Nothing half-written lies there; what has its final name can be read."""
    assert [name for name in leftovers(folder) if not name.startswith("journal.sqlite-")] == []
    if (folder / "survey.gpkg").exists():
        assert "hazard_objects" in layers_of(folder)
    if (folder / "run.json").exists():
        json.loads((folder / "run.json").read_text())


def goes_on(job, disk, watch):
    """The run goes on to the result of one that nobody disturbed."""
    disk.empty()
    assert survey_job(read_job(job), How(workers=1), watch).exit_code == 0
    assert_same(job.parent / "clean", disk.folder / "out")
    assert leftovers(disk.folder / "out") == []


def test_a_disk_that_fills_up_while_tiles_are_surveyed(job, disk, watch):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "run", str(job), "--workers", "2", "--json"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        tiles = 0
        for line in process.stdout:
            tiles += json.loads(line)["event"] == "tile"
            if tiles == 5:
                disk.leave(0)
        err = process.stderr.read()
    assert process.returncode == 1, err
    assert err.count("\n") == 1, err
    assert "full" in err
    assert "stays done" in err
    only_whole_files(disk.folder / "out")
    goes_on(job, disk, watch)
    # What was done before is not done again.
    assert watch.to_do < 48


def test_a_disk_without_room_for_the_outputs(job, disk, watch):
    """The more room there is, the later it fails; no file is ever half there."""
    reasons = []
    for spare in (0, 50_000, 250_000, 500_000, MIB, 3 * MIB // 2, 2 * MIB, 3 * MIB):
        disk.empty()
        try:
            survey_job(read_job(job), How(workers=1), Filler(disk, 100, spare))
        except OutputError as error:
            reasons.append(str(error))
        only_whole_files(disk.folder / "out")
    assert len(reasons) >= 4
    assert all("space" in reason for reason in reasons)
    goes_on(job, disk, watch)


def test_a_full_disk_is_refused_before_the_start(job, disk, survey, watch):
    disk.leave(10 * MIB)
    code, _, err = survey("run", job)
    assert code == 1
    assert "10 MiB are free" in err
    goes_on(job, disk, watch)


def test_a_disk_that_may_only_be_read(job, disk, survey, watch):
    stopped = {"by": 0}

    class Stopper(Filler):
        def advanced(self, pixels, hectares, objects):
            self.left -= 1
            stopped["by"] = 2 if self.left < 30 else 0

        def _fill(self, after):
            pass

    how = How(workers=1, stopped_by=lambda: stopped["by"])
    assert survey_job(read_job(job), how, Stopper(disk, 0, 0)).exit_code == 130
    before = sorted((path.name, path.stat().st_size) for path in (disk.folder / "out").iterdir())
    disk.read_only(True)
    try:
        code, _, err = survey("run", job)
        assert code == 1
        assert err.count("\n") == 1
        assert "cannot be written" in err
        code, out, err = survey("status", job)
        assert code == 0, err
        assert "survey run" in out
        assert sorted((path.name, path.stat().st_size) for path in (disk.folder / "out").iterdir()) == before
    finally:
        disk.read_only(False)
    goes_on(job, disk, watch)
    assert 0 < watch.to_do < 48


def test_a_folder_that_cannot_be_made(job, disk, survey, watch):
    disk.read_only(True)
    try:
        code, _, err = survey("run", job)
        assert code == 1
        assert "cannot be" in err
        assert "Traceback" not in err
    finally:
        disk.read_only(False)
    goes_on(job, disk, watch)
