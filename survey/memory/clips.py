"""Clips: windows of pixels that the memory keeps, so that what was learned can be measured again.

A clip is a window of one image at one level of reduction. Its *core* is the part whose candidates are its own (cores
of one image do not overlap); the margin around it is there to measure them. ``reviewed`` marks the pixels inside
which a person looked at everything: only there does "no label" mean "no object".
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from survey.errors import MemoryFolderError

# Raw bytes after which a row group is closed: what is held in memory to read one clip.
_GROUP_BYTES = 16 << 20

SCHEMA = pa.schema(
    [
        ("clip_id", pa.string()), ("image", pa.string()), ("image_digest", pa.string()), ("roles", pa.string()),
        ("site", pa.string()), ("crs", pa.string()), ("transform", pa.list_(pa.float64())), ("gsd_m", pa.float64()),
        ("level", pa.int32()), ("row", pa.int64()), ("col", pa.int64()), ("height", pa.int64()),
        ("width", pa.int64()), ("core", pa.list_(pa.int64())), ("weight", pa.float64()),
        ("reviewed_share", pa.float64()), ("acquired_at", pa.timestamp("ms", tz="UTC")), ("pixels", pa.binary()),
        ("valid", pa.binary()), ("reviewed", pa.binary()),
    ]
)  # fmt: skip
_PIXEL_COLUMNS = ("pixels", "valid", "reviewed")


@dataclass(frozen=True)
class Clip:
    """A window of an image with what is needed to measure candidates in it again.

    Attributes
    ----------
    image, image_digest : str
        Name and SHA-256 of the image.
    roles : tuple of str
        Bands, in the order of ``pixels``.
    site : str
        Group that is held out together; empty for a block of ground.
    crs : str
    transform : tuple of 6 float
        From (col, row) of the level to coordinates, as in ``imagery.grid.Grid``.
    gsd_m : float
        Ground sampling distance of the level, metres.
    level : int
    row, col : int
        Of the first pixel, pixels of the level.
    core : (row0, row1, col0, col1)
        Half open, pixels of the level.
    weight : float
        How many such windows of reviewed ground it stands for (the others were not kept).
    acquired_at : datetime or None
    pixels : uint8 array, shape (band, row, col)
    valid, reviewed : bool arrays, shape (row, col)
    """

    image: str
    image_digest: str
    roles: tuple[str, ...]
    site: str
    crs: str
    transform: tuple[float, ...]
    gsd_m: float
    level: int
    row: int
    col: int
    core: tuple[int, int, int, int]
    weight: float
    acquired_at: datetime | None
    pixels: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    reviewed: NDArray[np.bool_]

    @property
    def clip_id(self) -> str:
        """Digest of the image, the window and what was reviewed of it."""
        content = hashlib.sha256(self.image_digest.encode())
        content.update(repr((self.roles, self.level, self.row, self.col, self.core, self.pixels.shape)).encode())
        content.update(np.packbits(self.reviewed).tobytes())
        return content.hexdigest()[:24]

    def to_level(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """(col, row) of the level, of coordinates in the CRS."""
        a, b, c, d, e, f = self.transform
        x, y = x - c, y - f
        return (e * x - b * y) / (a * e - b * d), (a * y - d * x) / (a * e - b * d)

    def to_ground(self, col: NDArray[np.float64], row: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """Coordinates in the CRS of (col, row) of the level."""
        a, b, c, d, e, f = self.transform
        return a * col + b * row + c, d * col + e * row + f


def write_clips(path: Path, clips: Iterable[Clip]) -> None:
    """Write clips to a Parquet file, pixels compressed without loss, a few in each row group."""
    with pq.ParquetWriter(path, SCHEMA, compression="none", write_page_checksum=True) as writer:
        group: list[dict[str, Any]] = []
        size = 0
        for clip in clips:
            group.append(_packed(clip))
            size += clip.pixels.nbytes
            if size >= _GROUP_BYTES:
                writer.write_table(pa.Table.from_pylist(group, SCHEMA))
                group, size = [], 0
        if group:
            writer.write_table(pa.Table.from_pylist(group, SCHEMA))


def clip_table(path: Path) -> pa.Table:
    """Everything about the clips of a file but their pixels, with the row ``group`` each lies in.

    Raises
    ------
    MemoryFolderError
        The file is damaged.
    """
    with whole_or_refused(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        columns = [name for name in SCHEMA.names if name not in _PIXEL_COLUMNS]
        table = file.read(columns=columns).cast(pa.schema([SCHEMA.field(name) for name in columns]))
        sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        return table.append_column("group", pa.array(np.repeat(np.arange(len(sizes)), sizes)))


def read_group(path: Path, group: int) -> Iterator[Clip]:
    """Yield the clips of one row group.

    Raises
    ------
    MemoryFolderError
        The file is damaged.
    """
    with whole_or_refused(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        for row in file.read_row_group(group).to_pylist():
            yield _unpacked(row)


@contextmanager
def whole_or_refused(path: Path) -> Iterator[None]:
    """Turn whatever reading a damaged file of a memory raises into one sentence.

    Raises
    ------
    MemoryFolderError
    """
    try:
        yield
    except (
        pa.ArrowException, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError,
        zlib.error,
    ) as error:  # fmt: skip
        segment = path.parent
        raise MemoryFolderError(
            f"{path.name} of segment {segment.name} of the memory {segment.parent.parent} is damaged "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]}). Copy it again from where it is whole, or "
            "move that folder out of segments/ to go on without it."
        ) from error


def _packed(clip: Clip) -> dict[str, Any]:
    # Neighbouring pixels are alike: their differences compress further than they do.
    steps = np.diff(clip.pixels, axis=2, prepend=np.uint8(0))
    inside = _core(clip)
    return {
        "clip_id": clip.clip_id, "image": clip.image, "image_digest": clip.image_digest,
        "roles": ";".join(clip.roles), "site": clip.site, "crs": clip.crs, "transform": list(clip.transform),
        "gsd_m": clip.gsd_m, "level": clip.level, "row": clip.row, "col": clip.col,
        "height": clip.pixels.shape[1], "width": clip.pixels.shape[2], "core": list(clip.core),
        "weight": clip.weight, "reviewed_share": float(clip.reviewed[inside].mean()), "acquired_at": clip.acquired_at,
        "pixels": zlib.compress(np.ascontiguousarray(steps).tobytes(), 6),
        "valid": zlib.compress(np.packbits(clip.valid).tobytes(), 6),
        "reviewed": zlib.compress(np.packbits(clip.reviewed).tobytes(), 6),
    }  # fmt: skip


def _core(clip: Clip) -> tuple[slice, slice]:
    row0, row1, col0, col1 = clip.core
    return slice(row0 - clip.row, row1 - clip.row), slice(col0 - clip.col, col1 - clip.col)


def _unpacked(row: dict[str, Any]) -> Clip:
    roles = tuple(row["roles"].split(";"))
    height, width = shape = (row["height"], row["width"])
    steps = np.frombuffer(_inflated(row["pixels"], len(roles) * height * width), np.uint8).reshape(len(roles), *shape)
    masks = [
        np.unpackbits(np.frombuffer(_inflated(row[name], -(-height * width // 8)), np.uint8), count=height * width)
        .astype(bool)
        .reshape(shape)
        for name in ("valid", "reviewed")
    ]
    return Clip(
        row["image"], row["image_digest"], roles, row["site"], row["crs"], tuple(row["transform"]), row["gsd_m"],
        row["level"], row["row"], row["col"], tuple(row["core"]), row["weight"], row["acquired_at"],
        np.cumsum(steps, axis=2, dtype=np.uint8), *masks,
    )  # fmt: skip


def _inflated(data: bytes, size: int) -> bytes:
    """Return exactly ``size`` bytes; a stream that would give more is not followed."""
    if size < 0:
        raise ValueError(f"a clip of {size} bytes")
    content = zlib.decompressobj().decompress(data, size + 1)
    if len(content) != size:
        raise ValueError(f"a clip of {len(content)} bytes or more, where {size} are told")
    return content
