from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.engine.journal import NAME, Entry, Journal, SceneRow, is_running, peek, set_aside
from survey.errors import JournalError, OutputError
from survey.imagery.tiles import Tile

SCENE = SceneRow("key-1", "a.tif", "/data/a.tif", 2048, (0, 0), {"imagery": "1", "model": "2"})


def entry(number, state="done", **more):
    return Entry(Tile(0, number, number + 1, 0, 1), state, **more)


def test_what_is_recorded_comes_back(tmp_path):
    with Journal(tmp_path, "job") as journal:
        journal.begin_scene(SCENE)
        journal.record("key-1", entry(1, seconds=2.5, n_sightings=3, sightings=b"\0s", cells=b"c"))
        journal.record("key-1", entry(0, "failed", attempts=3, reason="unreadable"))
        journal.set("fact", {"a": [1, None]})
    with Journal(tmp_path, "job") as journal:
        assert journal.scenes() == {"a.tif": SCENE}
        failed, done = journal.entries("key-1", content=True)
        assert done == entry(1, seconds=2.5, n_sightings=3, sightings=b"\0s", cells=b"c")
        assert failed.reason == "unreadable"
        assert [one.sightings for one in journal.entries("key-1")] == [None, None]
        assert journal.get("fact") == {"a": [1, None]}
        assert journal.get("other", 7) == 7
        assert journal.forget_failures("key-1") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME]


def test_a_scene_that_changed_loses_its_work_and_others_keep_theirs(tmp_path):
    other = SceneRow("key-2", "b.tif", "/data/b.tif", 512, (1, 2), {})
    with Journal(tmp_path, "job") as journal:
        for row in (SCENE, other):
            journal.begin_scene(row)
            journal.record(row.key, entry(0))
        journal.begin_scene(SceneRow("key-3", "a.tif", "/data/a.tif", 2048, (0, 0), {"imagery": "9"}))
        assert list(journal.entries("key-1")) == []
        assert len(list(journal.entries("key-2"))) == 1
        assert journal.scenes()["a.tif"].key == "key-3"


def test_refusals(tmp_path):
    Journal(tmp_path, "job").close()
    with pytest.raises(JournalError, match="'job', not of 'other'"):
        Journal(tmp_path, "other")
    with Journal(tmp_path, "job") as journal:
        journal.set("protocol", 99)
    with pytest.raises(JournalError, match="protocol 99"):
        Journal(tmp_path, "job")
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME]


@pytest.mark.parametrize("damage", ["text", "zeros", "cut"])
def test_a_damaged_file_is_refused_and_can_be_set_aside(tmp_path, damage):
    with Journal(tmp_path, "job") as journal:
        journal.begin_scene(SCENE)
        for number in range(300):
            journal.record("key-1", entry(number, sightings=os.urandom(300)))
    path = tmp_path / NAME
    data = bytearray(path.read_bytes())
    if damage == "text":
        data[:20] = b"this is no database "
    elif damage == "zeros":
        data[8192:24576] = bytes(16384)
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    with pytest.raises(JournalError, match="--restart"):
        Journal(tmp_path, "job")
    aside = set_aside(tmp_path)
    assert aside is not None
    assert aside.read_bytes() == data
    Journal(tmp_path, "job").close()


@pytest.mark.parametrize(
    "change",
    ["UPDATE scenes SET origin_col = 'a'", "UPDATE scenes SET tile_px = -5", "UPDATE scenes SET depends = '[]'",
     "UPDATE scenes SET depends = '{'", "UPDATE scenes SET name = x'ff'", "UPDATE tiles SET state = 'odd'",
     "UPDATE tiles SET row0 = 'b'", "UPDATE tiles SET cells = 'text'"],
)  # fmt: skip
def test_values_that_nobody_wrote_are_refused(tmp_path, change):
    """SQLite keeps any value in any column; a damaged file that it opens may hold such."""
    with Journal(tmp_path, "job") as journal:
        journal.begin_scene(SCENE)
        journal.record("key-1", entry(0, cells=b"c"))
    database = sqlite3.connect(tmp_path / NAME)
    database.execute(change)
    database.commit()
    database.close()
    with pytest.raises(JournalError, match="--restart"):
        read_everything(tmp_path)


def read_everything(folder):
    with Journal(folder, "job") as journal:
        return journal.scenes(), list(journal.entries("key-1", content=True))


def test_two_runs_refuse_each_other(tmp_path):
    with Journal(tmp_path, "job") as journal:
        assert is_running(tmp_path)
        with pytest.raises(JournalError, match=f"process {os.getpid()}"):
            Journal(tmp_path, "job")
        journal.begin_scene(SCENE)
        database = peek(tmp_path)
        assert database.execute("SELECT name FROM scenes").fetchall() == [("a.tif",)]
        database.close()
    assert not is_running(tmp_path)
    Journal(tmp_path, "job").close()


def test_set_aside_without_a_journal(tmp_path):
    assert set_aside(tmp_path) is None
    assert peek(tmp_path) is None


_WRITER = """
import sys
from pathlib import Path
from pipelines.engine.journal import Entry, Journal, SceneRow
from survey.imagery.tiles import Tile
with Journal(Path(sys.argv[1]), "job") as journal:
    journal.begin_scene(SceneRow("key-1", "a.tif", "/a.tif", 64, (0, 0), {}))
    number = len(list(journal.entries("key-1")))
    while True:
        journal.record("key-1", Entry(Tile(0, number, number + 1, 0, 1), "done", sightings=bytes(5000)))
        print(number, flush=True)
        number += 1
"""


def test_kills_lose_nothing_that_was_recorded(tmp_path):
    root = Path(__file__).parents[2]
    for kill in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path)], cwd=root, stdout=subprocess.PIPE, text=True
        )
        recorded = -1
        for line in writer.stdout:
            recorded = int(line)
            if recorded >= 15 * (kill + 1):
                writer.send_signal(signal.SIGKILL)
                break
        rest = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        recorded = max([recorded, *map(int, rest[:-1])])
        with Journal(tmp_path, "job") as journal:
            numbers = [one.tile.row0 for one in journal.entries("key-1")]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) > recorded


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be made"):
        Journal(tmp_path / "file" / "out", "job")


def test_a_full_disk_is_an_output_error(tmp_path):
    with Journal(tmp_path, "job") as journal:
        journal.begin_scene(SCENE)
        journal.record("key-1", entry(0))
        pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
        journal._database.execute(f"PRAGMA max_page_count = {pages + 2}")

        def fill():
            for number in range(1, 50):
                journal.record("key-1", entry(number, sightings=os.urandom(4000)))

        with pytest.raises(OutputError, match="what is done stays done"):
            fill()
        known = len(list(journal.entries("key-1")))
    database = sqlite3.connect(tmp_path / NAME)
    assert database.execute("SELECT COUNT(*) FROM tiles").fetchone() == (known,)
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
