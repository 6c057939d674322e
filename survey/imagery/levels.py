"""Levels that a file lacks: means over blocks of full pixels, kept as these are surveyed so that none is read twice.

What is kept may vanish at any time: whatever a folder does not hold, or no longer holds whole, is made from the file
again, and is the same to the last bit.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from survey.imagery.tiles import Tile

if TYPE_CHECKING:
    from survey.imagery.chips import Chip

log = logging.getLogger(__name__)

_SPARED_BYTES = 2**30
"""Room that is left to the journal and the outputs: what is kept for speed alone is not to fill a disk."""
_CHECKSUM = 4
_NUMBERS = 4


@dataclass(frozen=True)
class Reduced:
    """A part of a level that the file lacks.

    Attributes
    ----------
    level : int
        The scene reduced 2**level times.
    row, col : int
        Of its first pixel, in pixels of the level.
    pixels : uint8 array, shape (band + 1, row, col)
        Means of the valid pixels, and 255 where the mean is valid.
    """

    level: int
    row: int
    col: int
    pixels: NDArray[np.uint8]


def reduced(pixels: NDArray[np.uint8], ok: NDArray[np.bool_], side: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Mean of the valid pixels of each block, and which blocks are valid: those of which at least half the pixels are.

    Parameters
    ----------
    pixels : uint8 array, shape (band, row, col)
        Zero where invalid. They begin where a block does; blocks at the end may be cut off by the scene's edge, and are
        judged by the pixels they have.
    ok : bool array, shape (row, col)
    side : int
        Of a block, pixels.
    """
    rows, cols = (-(-size // side) for size in ok.shape)
    cut_off = ((0, rows * side - ok.shape[0]), (0, cols * side - ok.shape[1]))
    padded = np.pad(pixels, ((0, 0), *cut_off)) if any(map(any, cut_off)) else pixels
    # A whole block has one mean, whatever lies beside it.
    whole = np.stack([cv2.resize(band, (cols, rows), interpolation=cv2.INTER_AREA) for band in padded])
    if ok.all() and padded is pixels:
        return whole, np.ones((rows, cols), bool)
    count = block_sums(np.pad(ok, cut_off).astype(np.uint8), side)
    enough = count * 2 >= side * side
    edge = np.pad(np.ones(ok.shape, np.uint8), cut_off)
    enough |= (count > 0) & (count * 2 >= block_sums(edge, side))
    mean = np.stack([(block_sums(band, side) + count // 2) // np.maximum(count, 1) for band in padded])
    return np.where(enough, np.where(count == side * side, whole, mean), 0).astype(np.uint8), enough


def block_sums(band: NDArray[Any], side: int) -> NDArray[np.int64]:
    """Sums over blocks of ``side`` x ``side`` pixels of 8 or 16 bits, exact; ``side`` divides the sides of ``band``."""
    rows, cols = band.shape
    if band.dtype == np.uint8:
        lines: Any = np.ascontiguousarray(band).reshape(rows * cols // side, side)
        across = cv2.reduce(lines, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
        return across.reshape(rows // side, side, cols // side).sum(axis=1, dtype=np.int64)
    # Rows are added first, many columns at a time: cv2 sums words slowly.
    stacked = band.reshape(rows // side, side, cols)
    total: NDArray[np.uint32] = np.zeros((rows // side, cols), np.uint32)
    for line in range(side):
        total += stacked[:, line]
    return total.reshape(rows // side, cols // side, side).sum(axis=2, dtype=np.int64)


def reduced_parts(chip: Chip, part: Tile | None, levels: Sequence[int]) -> list[Reduced]:
    """Levels made of full pixels: the blocks whose first pixel lies in a part of a chip; none of no part.

    Parameters
    ----------
    chip : Chip
        At full resolution; it reaches to the ends of these blocks, or to the scene's edge.
    part : Tile or None
    levels : sequence of int
    """
    if part is None:
        return []
    return [one for level in levels if (one := _reduced_part(chip, part, level)) is not None]


def _reduced_part(chip: Chip, part: Tile, level: int) -> Reduced | None:
    side = 1 << level
    row0, row1, col0, col1 = (-(-edge // side) for edge in (part.row0, part.row1, part.col0, part.col1))
    if row0 == row1 or col0 == col1:
        return None
    rows = slice(row0 * side - chip.row, min(row1 * side, chip.grid.height) - chip.row)
    cols = slice(col0 * side - chip.col, min(col1 * side, chip.grid.width) - chip.col)
    means, valid = reduced(chip.pixels[:, rows, cols], chip.valid[rows, cols], side)
    return Reduced(level, row0, col0, np.concatenate([means, np.where(valid, 255, 0).astype(np.uint8)[None]]))


def join_reduced(parts: Sequence[Reduced]) -> tuple[Reduced, ...]:
    """One part a level of parts that lie below each other, top first."""
    joined = []
    for level in sorted({one.level for one in parts}):
        own = [one for one in parts if one.level == level]
        joined.append(Reduced(level, own[0].row, own[0].col, np.concatenate([one.pixels for one in own], axis=1)))
    return tuple(joined)


def keep_levels(folder: Path, parts: Sequence[Reduced], roles: Sequence[str]) -> None:
    """Write parts of levels into a folder, each whole or not at all; where room is short, they are not kept."""
    for one in parts:
        _, rows, cols = one.pixels.shape
        place = _folder_of(folder, one.level, roles)
        name = f"{one.row}-{one.col}-{rows}-{cols}"
        unfinished = place / f"{name}.{os.getpid()}"
        content = one.pixels.tobytes()
        try:
            disk = next(above for above in place.parents if above.exists())
            if shutil.disk_usage(disk).free < _SPARED_BYTES + len(content):
                log.info("%s: room is short, so pixels for coarser sizes are read again.", folder)
                return
            place.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                file.write(zlib.crc32(content).to_bytes(_CHECKSUM, "little"))
                file.write(content)
            unfinished.replace(place / name)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            log.info("%s: pixels for coarser sizes cannot be kept (%s); they are read again.", folder, error)
            return


def kept_levels(
    folder: str | None, level: int, inside: tuple[int, int, int, int], roles: Sequence[str]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """What a folder holds of a window of a level.

    Parameters
    ----------
    folder : str or None
        None: nothing is kept.
    level : int
    inside : (row0, row1, col0, col1)
        Half open, in pixels of the level, inside the scene.
    roles : sequence of str
        Bands wanted; only what was kept of these, in this order, is taken.

    Returns
    -------
    pixels : uint8 array, shape (band, row, col)
    valid : bool array, shape (row, col)
    known : bool array, shape (row, col)
        Where the folder holds both; they are zero and false elsewhere.
    """
    row0, row1, col0, col1 = inside
    pixels = np.zeros((len(roles), row1 - row0, col1 - col0), np.uint8)
    valid, known = np.zeros(pixels.shape[1:], bool), np.zeros(pixels.shape[1:], bool)
    if folder is None:
        return pixels, valid, known
    place = _folder_of(Path(folder), level, roles)
    for name, (top, left, height, width) in _parts_in(place):
        first, last = max(top, row0), min(top + height, row1)
        west, east = max(left, col0), min(left + width, col1)
        if first >= last or west >= east:
            continue
        content = _content(place / name, (len(roles) + 1, height, width))
        if content is None:
            continue
        part = content[:, first - top : last - top, west - left : east - left]
        here = slice(first - row0, last - row0), slice(west - col0, east - col0)
        pixels[(slice(None), *here)], valid[here], known[here] = part[:-1], part[-1] > 0, True
    return pixels, valid, known


def _folder_of(folder: Path, level: int, roles: Sequence[str]) -> Path:
    return folder / f"{level}-{'-'.join(roles)}"


def _parts_in(place: Path) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """Names of whole parts, with row, column, height and width; of a folder that is not there, none."""
    try:
        names = os.listdir(place)
    except OSError:
        return
    for name in names:
        numbers = name.split("-")
        if len(numbers) == _NUMBERS and all(one.isdecimal() for one in numbers):
            row, col, height, width = map(int, numbers)
            yield name, (row, col, height, width)


def _content(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8] | None:
    """Pixels of a file that is whole; None of one that is not, or is no longer there."""
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    pixels = memoryview(stored)[_CHECKSUM:]
    if len(pixels) != int(np.prod(shape)) or zlib.crc32(pixels).to_bytes(_CHECKSUM, "little") != stored[:_CHECKSUM]:
        return None
    return np.frombuffer(pixels, np.uint8).reshape(shape)
