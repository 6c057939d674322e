"""The resume state of a job: one SQLite file, one transaction per finished tile.

Only the coordinator writes. A kill at any moment loses the tiles in hand and nothing else; rows are
keyed by what they depend on (imagery, model, what is looked for), so that a changed job finds again
exactly the work that still stands.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, get_args

from pipelines.engine.journal_damage import journal_errors
from pipelines.engine.lock import release_lock, take_lock
from survey.errors import JournalError, OutputError
from survey.imagery.tiles import Tile, Tiling

PROTOCOL = 1
NAME = "journal.sqlite"
_LOCK = ".journal.lock"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE scenes (
  key TEXT PRIMARY KEY, name TEXT NOT NULL, path TEXT NOT NULL, tile_px INTEGER NOT NULL,
  origin_row INTEGER NOT NULL, origin_col INTEGER NOT NULL, depends TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE tiles (
  scene TEXT NOT NULL, level INTEGER NOT NULL, row0 INTEGER NOT NULL, row1 INTEGER NOT NULL, col0 INTEGER NOT NULL,
  col1 INTEGER NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, seconds REAL NOT NULL, reason TEXT NOT NULL,
  n_sightings INTEGER NOT NULL, sightings BLOB, cells BLOB,
  PRIMARY KEY (scene, level, row0, row1, col0, col1)
);
"""
# Apart from the tiles, so that journals of before can have it too.
_SAMPLES = """
CREATE TABLE IF NOT EXISTS samples (
  scene TEXT NOT NULL, row0 INTEGER NOT NULL, row1 INTEGER NOT NULL, col0 INTEGER NOT NULL, col1 INTEGER NOT NULL,
  sample BLOB NOT NULL, PRIMARY KEY (scene, row0, row1, col0, col1)
)
"""

State = Literal["done", "failed", "split", "partial", "unread"]
_STATES = get_args(State)


@dataclass(frozen=True)
class Entry:
    """What became of one tile.

    Attributes
    ----------
    tile : Tile
    state : str
        ``done``; ``failed``: its ground is not analysed; ``split``: it failed and its quarters stand for it;
        ``partial``: surveyed but for blocks in it or around it that cannot be read; ``unread``: no tile, but the part
        of one that these blocks cover.
    attempts : int
    seconds : float
        Time of the worker.
    reason : str
        Why it failed; empty where it did not.
    n_sightings : int
    sightings, cells, sample : bytes or None
        As :mod:`pipelines.engine.parcels` packs them; :meth:`Journal.entries` gives no sample,
        :meth:`Journal.samples` does.
    """

    tile: Tile
    state: State
    attempts: int = 1
    seconds: float = 0.0
    reason: str = ""
    n_sightings: int = 0
    sightings: bytes | None = None
    cells: bytes | None = None
    sample: bytes | None = None


@dataclass(frozen=True)
class SceneRow:
    """A scene the journal has work of.

    Attributes
    ----------
    key : str
        Digest of everything its pixels' results depend on.
    name, path : str
    tile_px, origin
        How it was cut when it was begun; it goes on so.
    depends : mapping of str to str
        What ``key`` is made of, by name, to say what changed.
    """

    key: str
    name: str
    path: str
    tile_px: int
    origin: tuple[int, int]
    depends: Mapping[str, str]


class Journal:
    """An open journal. Use as a context manager; closing folds the write-ahead log into the file.

    Parameters
    ----------
    folder : Path
        Output folder of the job; made where it is missing.
    job_name : str

    Raises
    ------
    JournalError
        Another run has it open, it belongs to another job, was made by a newer version, or is damaged.
    OutputError
        The folder cannot be written to.
    """

    def __init__(self, folder: Path, job_name: str) -> None:
        self.path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"The output folder {folder} cannot be made ({error.strerror}). Choose another in [job] output."
            ) from error
        self._lock = _take_lock(folder / _LOCK)
        try:
            with journal_errors(self.path):
                self._database = _connect(self.path)
            try:
                with journal_errors(self.path):
                    self._prepare(job_name)
            except BaseException:
                self._database.close()
                raise
        except BaseException:
            release_lock(self._lock, folder / _LOCK)
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Fold the write-ahead log into the file and let others in."""
        try:
            with journal_errors(self.path):
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._database.close()
            release_lock(self._lock, self.path.parent / _LOCK)

    def _prepare(self, job_name: str) -> None:
        database = self._database
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            with database:
                database.executescript("BEGIN;" + _SCHEMA + _SAMPLES)
                self.set("protocol", PROTOCOL)
                self.set("job", job_name)
                self.set("started_at", datetime.now(UTC).isoformat())
            return
        protocol, known = self.get("protocol"), self.get("job")
        if protocol != PROTOCOL:
            raise JournalError(
                f"{self.path} has protocol {protocol!r}; this version reads {PROTOCOL}. Use the version that wrote it, "
                "or start over with --restart."
            )
        if known != job_name:
            raise JournalError(
                f"{self.path.parent} holds the outputs of job {known!r}, not of {job_name!r}. Give this job a folder "
                "of its own in [job] output."
            )
        database.execute(_SAMPLES)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a fact about the job, or the default."""
        with journal_errors(self.path):
            row = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            return default if row is None else json.loads(row[0])

    def set(self, key: str, value: Any) -> None:
        """Note a fact about the job (anything JSON has)."""
        text = json.dumps(value)
        with journal_errors(self.path):
            self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, text))
            self._database.commit()

    def scenes(self) -> dict[str, SceneRow]:
        """Scenes with work in the journal, by name."""
        with journal_errors(self.path):
            rows = self._database.execute(
                "SELECT key, name, path, tile_px, origin_row, origin_col, depends FROM scenes ORDER BY name, key"
            )
            return {row[1]: _scene_row(row) for row in rows}

    def begin_scene(self, scene: SceneRow) -> None:
        """Register a scene; work of a scene of the same name that depended on something else is dropped."""
        with journal_errors(self.path), self._database:
            old = self._database.execute("SELECT key FROM scenes WHERE name = ? AND key != ?", (scene.name, scene.key))
            for (key,) in old.fetchall():
                self._database.execute("DELETE FROM tiles WHERE scene = ?", (key,))
                self._database.execute("DELETE FROM samples WHERE scene = ?", (key,))
                self._database.execute("DELETE FROM scenes WHERE key = ?", (key,))
            self._database.execute(
                "INSERT OR REPLACE INTO scenes VALUES (?, ?, ?, ?, ?, ?, ?)",
                (scene.key, scene.name, scene.path, scene.tile_px, *scene.origin, json.dumps(dict(scene.depends))),
            )

    def record(self, scene_key: str, *entries: Entry) -> None:
        """Note what became of a tile and, where it has them, of its unread parts, in one transaction.

        Raises
        ------
        OutputError
            The disk is full or the file cannot be written; what was noted before stands.
        """
        rows = [
            (
                scene_key, entry.tile.level, entry.tile.row0, entry.tile.row1, entry.tile.col0, entry.tile.col1,
                entry.state, entry.attempts, entry.seconds, entry.reason, entry.n_sightings, entry.sightings,
                entry.cells,
            )
            for entry in entries
        ]  # fmt: skip
        with journal_errors(self.path), self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
            )
            self._database.executemany(
                "INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (scene_key, one.tile.row0, one.tile.row1, one.tile.col0, one.tile.col1, one.sample)
                    for one in entries
                    if one.sample is not None
                ],
            )

    def entries(self, scene_key: str, *, content: bool = False) -> Iterator[Entry]:
        """Yield the tiles of a scene in a fixed order; with ``content`` also what they found."""
        columns = "sightings, cells" if content else "NULL, NULL"
        with journal_errors(self.path):
            rows = self._database.execute(
                f"SELECT level, row0, row1, col0, col1, state, attempts, seconds, reason, n_sightings, {columns} "  # noqa: S608
                "FROM tiles WHERE scene = ? ORDER BY level, row0, col0, row1, col1",
                (scene_key,),
            )
            for row in rows:
                yield _entry(row)

    def samples(self, scene_key: str) -> Iterator[bytes]:
        """Yield what was kept of a scene's pixels for a picture of it."""
        with journal_errors(self.path):
            rows = self._database.execute(
                "SELECT sample FROM samples WHERE scene = ? ORDER BY row0, col0, row1, col1", (scene_key,)
            )
            for (sample,) in rows:
                if not isinstance(sample, bytes):
                    raise sqlite3.DatabaseError("pixels for a picture are none")
                yield sample

    def state(self, scene_key: str, tile: Tile) -> State | None:
        """Return what became of a tile; None where nothing is noted of it."""
        with journal_errors(self.path):
            row = self._database.execute(
                "SELECT state FROM tiles WHERE scene = ? AND level = ? AND row0 = ? AND row1 = ? AND col0 = ? AND "
                "col1 = ?",
                (scene_key, tile.level, tile.row0, tile.row1, tile.col0, tile.col1),
            ).fetchone()
            return None if row is None else row[0]

    def forget_failures(self, scene_key: str) -> int:
        """Drop the failed tiles of a scene so that they are tried again; returns how many."""
        with journal_errors(self.path), self._database:
            cursor = self._database.execute(
                "DELETE FROM tiles WHERE scene = ? AND state IN ('failed', 'partial', 'unread')", (scene_key,)
            )
        return cursor.rowcount


def _scene_row(row: tuple[Any, ...]) -> SceneRow:
    """Return a row as a scene, of values as they were written.

    Raises
    ------
    sqlite3.DatabaseError, ValueError
    """
    key, name, path, tile_px, *origin, depends = row
    tiling, known = Tiling(size=tile_px, origin=tuple(origin)), json.loads(depends)
    if not all(isinstance(text, str) for text in (key, name, path)) or not isinstance(known, dict):
        raise sqlite3.DatabaseError(f"scene {name!r:.80} holds what was never written")
    return SceneRow(key, name, path, tiling.size, tiling.origin, known)


def _entry(row: tuple[Any, ...]) -> Entry:
    """Return a row as an entry.

    Raises
    ------
    sqlite3.DatabaseError
        Its values are not of the kinds that were written: SQLite keeps whatever a damaged file holds.
    """
    kinds = (int, int, int, int, int, str, int, float, str, int, bytes | None, bytes | None)
    if not all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=True)) or row[5] not in _STATES:
        raise sqlite3.DatabaseError(f"tile {row[:5]} holds what was never written")
    return Entry(Tile(*row[:5]), *row[5:])


def set_aside(folder: Path) -> Path | None:
    """Rename the journal of a folder so that the next run starts over; returns its new path.

    Raises
    ------
    JournalError
        A run has it open.
    """
    path = folder / NAME
    if not path.exists():
        return None
    lock = _take_lock(folder / _LOCK)
    try:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = folder / f"journal-{stamp}.sqlite"
        number = 1
        while aside.exists():
            number += 1
            aside = folder / f"journal-{stamp}-{number}.sqlite"
        for ending in ("-wal", "-shm", ""):
            beside = path.with_name(path.name + ending)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + ending))
        return aside
    finally:
        release_lock(lock, folder / _LOCK)


def peek(folder: Path) -> sqlite3.Connection | None:
    """Open the journal of a folder for reading beside a run; None where there is none."""
    path = folder / NAME
    if not path.exists():
        return None
    with journal_errors(path):
        # SQLite wants to make files beside it even to read, but for a file that it is told nobody writes.
        still = not os.access(folder, os.W_OK) and not path.with_name(f"{NAME}-wal").exists()
        address = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if still else ''}"
        database = sqlite3.connect(address, uri=True, timeout=30)
        database.execute("SELECT COUNT(*) FROM meta").fetchone()
    return database


def is_running(folder: Path) -> bool:
    """Whether a run has the folder's journal open now."""
    if not (folder / _LOCK).exists():
        return False
    try:
        release_lock(_take_lock(folder / _LOCK), folder / _LOCK)
    except JournalError:
        return True
    return False


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=60)
    # A kill of the process loses nothing committed; a power cut may lose the last tiles, and corrupts nothing.
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute("PRAGMA wal_autocheckpoint=200")
    return database


def _take_lock(path: Path) -> IO[str]:
    """Take the lock of a folder, or say which run holds it."""
    handle, owner = take_lock(path)
    if handle is None:
        raise JournalError(
            f"Another run (process {owner}) is working in {path.parent}. Wait for it, or stop it; two runs of one "
            "job refuse each other."
        )
    return handle
