"""The object memory: a folder to which labelled objects are added, and from which nothing is ever taken away.

``segments/NNNNNN-DIGEST/`` holds what one ``survey learn`` brought: ``events.parquet`` (GeoParquet, layer
``EXAMPLES``), ``clips.parquet`` (pixels, see :mod:`survey.memory.clips`) and ``segment.json``. A segment is written
beside the others under a temporary name and appears by one rename, so that a kill leaves the memory as it was.
An edit or a rejection is one more event of the same example. ``features/`` is a cache that may be deleted.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import shapely

from survey.errors import MemoryFolderError, OutputError
from survey.hazards import HazardClass, admit
from survey.layers import EXAMPLES, conform
from survey.memory.clips import Clip, clip_table, whole_or_refused, write_clips
from survey.memory.lock import only_writer

PROTOCOL = 1
"""Version of the folder. A reader for every earlier one stays here when it rises."""
_MANIFEST = "memory.json"
_CRS = "EPSG:4326"


@dataclass(frozen=True)
class Segment:
    """What one learning brought.

    Attributes
    ----------
    path : Path
    n_events, n_clips : int
    classes : mapping of class code to HazardClass
        Classes that were admitted with it.
    """

    path: Path
    n_events: int
    n_clips: int
    classes: Mapping[str, HazardClass]

    @property
    def name(self) -> str:
        """Number and digest: the order segments are read in."""
        return self.path.name

    @property
    def clips_path(self) -> Path:
        """File of its clips."""
        return self.path / "clips.parquet"

    def events(self) -> gpd.GeoDataFrame:
        """Layer ``EXAMPLES``, in the order it was learned.

        Raises
        ------
        MemoryFolderError
            The file is damaged.
        """
        path = self.path / "events.parquet"
        with whole_or_refused(path):
            return conform(gpd.read_parquet(path, page_checksum_verification=True), EXAMPLES, crs=_CRS)

    def clips(self) -> pd.DataFrame:
        """Everything about its clips but the pixels."""
        return clip_table(self.clips_path).to_pandas()


@dataclass(frozen=True)
class Memory:
    """An object memory as it stood when it was opened.

    Attributes
    ----------
    folder : Path
    segments : tuple of Segment
        Oldest first.
    """

    folder: Path
    segments: tuple[Segment, ...]

    def events(self) -> gpd.GeoDataFrame:
        """Every event, oldest first, with the ``segment`` it came with."""
        parts = [one.events().assign(segment=one.name) for one in self.segments if one.n_events]
        if not parts:
            return EXAMPLES.empty(_CRS).assign(segment=pd.Series([], dtype="str"))
        return gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), crs=_CRS)

    def examples(self) -> gpd.GeoDataFrame:
        """What holds now: the last event of every example, and the ``first_segment`` it came with."""
        events = self.events()
        first = events.drop_duplicates("example_id", keep="first").set_index("example_id")["segment"]
        table = events.drop_duplicates("example_id", keep="last").reset_index(drop=True)
        return table.assign(first_segment=table["example_id"].map(first))

    def clips(self) -> pd.DataFrame:
        """Everything about the clips but their pixels, with the ``segment`` each came with."""
        parts = [one.clips().assign(segment=one.name) for one in self.segments if one.n_clips]
        if not parts:
            return clip_table_of_none().assign(segment=pd.Series([], dtype="str"))
        return pd.concat(parts, ignore_index=True)

    @property
    def digest(self) -> str:
        """Of everything it holds."""
        return hashlib.sha256("|".join(one.name for one in self.segments).encode()).hexdigest()


def clip_table_of_none() -> pd.DataFrame:
    """Return the table of clips with no rows."""
    from survey.memory.clips import SCHEMA

    return pa.Table.from_pylist([], SCHEMA).drop_columns(["pixels", "valid", "reviewed"]).to_pandas()


def open_memory(folder: Path) -> Memory:
    """Open a memory for reading; classes that were learned with it become known.

    Raises
    ------
    MemoryFolderError
        The folder is no memory, was made by a newer version, or a segment of it is damaged.
    """
    manifest = folder / _MANIFEST
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MemoryFolderError(
            f"{folder} is no object memory (it holds no {_MANIFEST}). `survey learn` makes one; check --memory."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise MemoryFolderError(f"{manifest} cannot be read ({error}). Copy the memory again.") from error
    if not isinstance(found, dict) or found.get("protocol") != PROTOCOL:
        raise MemoryFolderError(
            f"{folder} has protocol {found.get('protocol') if isinstance(found, dict) else None!r}; this version reads "
            f"{PROTOCOL}. Use the version of the software that made it, or a newer one."
        )
    paths = sorted(path for path in (folder / "segments").glob("[0-9]*") if path.is_dir())
    segments = tuple(_segment(path) for path in paths)
    for one in segments:
        for known in one.classes.values():
            admit(known)
    return Memory(folder, segments)


def _segment(path: Path) -> Segment:
    try:
        record = json.loads((path / "segment.json").read_text(encoding="utf-8"))
        sizes = {name: (path / name).stat().st_size for name in record["bytes"]}
        classes = {code: HazardClass(**fields) for code, fields in record["classes"].items()}
        segment = Segment(path, int(record["n_events"]), int(record["n_clips"]), classes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise MemoryFolderError(
            f"Segment {path.name} of the memory {path.parents[1]} is damaged ({type(error).__name__}: {error}). Copy "
            "it again from where it is whole, or move that folder out of segments/ to go on without it."
        ) from error
    if sizes != record["bytes"]:
        raise MemoryFolderError(
            f"Segment {path.name} of the memory {path.parents[1]} is cut short. Copy it again from where it is whole, "
            "or move that folder out of segments/ to go on without it."
        )
    return segment


def make_memory(folder: Path) -> None:
    """Make an empty memory, or leave the one that is there.

    Raises
    ------
    MemoryFolderError
        The folder holds something else.
    """
    if (folder / _MANIFEST).exists():
        return
    foreign = [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.exists() else []
    if foreign:
        raise MemoryFolderError(
            f"{folder} is not empty and no object memory (it holds {foreign[0]}). Name a new folder for --memory."
        )
    with only_writer(folder):
        temporary = folder / f".{_MANIFEST}.{os.getpid()}"
        temporary.write_text(json.dumps({"protocol": PROTOCOL, "is": "object memory of `survey learn`"}) + "\n")
        temporary.replace(folder / _MANIFEST)


def append(
    memory: Memory, events: gpd.GeoDataFrame, clips: Iterable[Clip], classes: Sequence[HazardClass] = ()
) -> Segment | None:
    """Add a segment. Call it with the memory's lock held and the memory as it is then.

    Parameters
    ----------
    memory : Memory
    events : GeoDataFrame
        Layer ``EXAMPLES`` in EPSG:4326.
    clips : iterable of Clip
        Taken one at a time. Those that the memory has already are left out.
    classes : sequence of HazardClass
        Classes to be known with this memory.

    Returns
    -------
    Segment, or None where there is nothing new.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    known = set(memory.clips()["clip_id"])
    table = conform(events, EXAMPLES, crs=_CRS)
    content = hashlib.sha256(table.drop(columns="geometry").to_csv(index=False).encode())
    content.update(b"".join(shapely.to_wkb(table.geometry.to_numpy(), byte_order=1)))
    count = 0

    def fresh() -> Iterator[Clip]:
        nonlocal count
        for clip in clips:
            if clip.clip_id not in known:
                known.add(clip.clip_id)
                content.update(clip.clip_id.encode())
                count += 1
                yield clip

    last = int(memory.segments[-1].name.split("-")[0]) if memory.segments else 0
    folder = memory.folder / "segments"
    temporary: Path | None = None
    try:
        folder.mkdir(exist_ok=True)
        # The lock is held: what lies about half-written is of a process that is no more.
        for left in folder.glob(".part-*"):
            shutil.rmtree(left, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=".part-", dir=folder))
        table.to_parquet(temporary / "events.parquet", write_page_checksum=True)
        write_clips(temporary / "clips.parquet", fresh())
        if not len(table) and not count:
            return None
        target = folder / f"{last + 1:06d}-{content.hexdigest()[:12]}"
        record: dict[str, Any] = {
            "protocol": PROTOCOL,
            "n_events": len(table),
            "n_clips": count,
            "classes": {one.code: asdict(one) for one in classes},
            "bytes": {name: (temporary / name).stat().st_size for name in ("events.parquet", "clips.parquet")},
        }
        (temporary / "segment.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        for path in temporary.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o777 & ~mask)
        temporary.replace(target)
    except OSError as error:
        raise OutputError(
            f"The memory {memory.folder} cannot be written ({error.strerror or error}). Free space or mend the "
            "permissions, then learn again; what it held is untouched."
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return _segment(target)
