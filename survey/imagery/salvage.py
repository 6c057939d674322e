"""Read what can be read of a damaged raster: block by block, so that a block that is lost costs its own ground only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from rasterio.errors import RasterioError

from survey.errors import ImageryError
from survey.imagery.chips import Chip, level_grid, read_chip
from survey.imagery.scene import Role, Scene
from survey.imagery.tiles import Tile
from survey.imagery.trust import open_raster

_POSITIONS = re.compile(r"\b(at|for|of)? ?(row|scanline|strip|tile|block|column|col|line|x|y|band|offset)\b[ =:]*\d+")
_SHORT = re.compile(
    r"Read error.*got \d+ bytes, expected|got \d+ bytes, expected|Invalid (tile|strip) byte count", re.I
)
_NUMBERS = re.compile(r"\b0x[0-9a-f]+\b|\b\d+\b")


@dataclass(frozen=True)
class Unread:
    """A part of a level that cannot be read: a half-open window, and why."""

    row0: int
    row1: int
    col0: int
    col1: int
    reason: str

    def within(self, tile: Tile) -> Tile | None:
        """Return the part of it that lies in a tile's core; None where none does."""
        row0, row1 = max(self.row0, tile.row0), min(self.row1, tile.row1)
        col0, col1 = max(self.col0, tile.col0), min(self.col1, tile.col1)
        return Tile(tile.level, row0, row1, col0, col1) if row0 < row1 and col0 < col1 else None


def salvage_chip(
    scene: Scene, level: int, window: tuple[int, int, int, int], roles: Sequence[Role]
) -> tuple[Chip, tuple[Unread, ...]]:
    """Read a window of a level as :func:`read_chip` does; blocks that cannot be read are invalid.

    Blocks lie where the file has them, so a pixel is lost or not whatever window it is read through. Where
    the level is averaged from full pixels, a pixel is lost with any block it is averaged from.

    Parameters
    ----------
    scene, level, window, roles
        As in :func:`read_chip`.

    Returns
    -------
    chip : Chip
    unread : tuple of Unread
        Parts of the window that are invalid because they cannot be read. Reasons name no place, so that few differ.
    """
    grid = level_grid(scene, level)
    row0, row1, col0, col1 = window
    inside = (max(row0, 0), min(row1, grid.height), max(col0, 0), min(col1, grid.width))
    pixels = np.zeros((len(roles), row1 - row0, col1 - col0), np.uint8)
    chip = Chip(pixels, np.zeros(pixels.shape[1:], bool), row0, col0, grid)
    if inside[0] >= inside[1] or inside[2] >= inside[3]:
        return chip, ()
    try:
        unit = _unit(scene, level)
    except (RasterioError, OSError) as error:
        return chip, (Unread(*inside, f"{scene.path} cannot be opened any more: {reason_of(error)}"),)
    return chip, _joined(_fill(chip, scene, (level, inside, unit), roles))


def _unit(scene: Scene, level: int) -> tuple[int, int]:
    """Height and width of a block on disk, in pixels of the level."""
    options = {"overview_level": level - 1} if 0 < level < len(scene.levels) else {}
    with open_raster(scene.path, **options) as dataset:
        height, width = dataset.block_shapes[0]
    if level >= len(scene.levels):
        height, width = height >> level, width >> level
    return max(1, height), max(1, width)


def _fill(
    chip: Chip, scene: Scene, where: tuple[int, tuple[int, int, int, int], tuple[int, int]], roles: Sequence[Role]
) -> Iterator[Unread]:
    """Fill a chip from halves and halves of halves, down to single blocks; yields the blocks that fail."""
    level, window, unit = where
    try:
        part = read_chip(scene, level, window, roles)
    except ImageryError as error:
        halves = _halved(window, unit)
        if not halves:
            yield Unread(*window, f"{scene.path}: blocks cannot be read: {reason_of(error)}")
        for half in halves:
            yield from _fill(chip, scene, (level, half, unit), roles)
        return
    rows = slice(window[0] - chip.row, window[1] - chip.row)
    cols = slice(window[2] - chip.col, window[3] - chip.col)
    chip.pixels[:, rows, cols], chip.valid[rows, cols] = part.pixels, part.valid


def _halved(window: tuple[int, int, int, int], unit: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Cut a window in two between blocks, across its longer side in blocks; nothing where it lies in one block."""
    row0, row1, col0, col1 = window
    rows = _between(row0, row1, unit[0])
    cols = _between(col0, col1, unit[1])
    if not rows and not cols:
        return []
    if len(rows) >= len(cols):
        middle = rows[len(rows) // 2]
        return [(row0, middle, col0, col1), (middle, row1, col0, col1)]
    middle = cols[len(cols) // 2]
    return [(row0, row1, col0, middle), (row0, row1, middle, col1)]


def _between(start: int, stop: int, step: int) -> range:
    """Borders of blocks strictly between two pixels."""
    return range((start // step + 1) * step, stop, step)


def reason_of(error: BaseException) -> str:
    """Say why a raster or block cannot be read, in the words of the decoder, without the place in the file."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.sub(r"\s+", " ", str(error)).strip()
    if _SHORT.search(text):
        return "the file ends before them (it is cut off)"
    text = _NUMBERS.sub("…", _POSITIONS.sub("", text)).strip(" .,:;")
    return text or type(error).__name__


def _joined(unread: Iterator[Unread]) -> tuple[Unread, ...]:
    """Join neighbouring blocks into longer ones, along rows and then down columns."""
    across = _runs(sorted(unread, key=lambda one: (one.row0, one.row1, one.col0)), "row", "col")
    return tuple(_runs(sorted(across, key=lambda one: (one.col0, one.col1, one.row0)), "col", "row"))


def _runs(parts: list[Unread], same: str, along: str) -> list[Unread]:
    joined = parts[:1]
    for before, one in pairwise(parts):
        aligned = all(getattr(before, f"{same}{end}") == getattr(one, f"{same}{end}") for end in (0, 1))
        touching = getattr(before, f"{along}1") == getattr(one, f"{along}0")
        if aligned and touching and before.reason == one.reason:
            joined[-1] = replace(joined[-1], **{f"{along}1": getattr(one, f"{along}1")})
        else:
            joined.append(one)
    return joined
