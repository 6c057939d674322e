"""What is kept of a tile's pixels: channels at every octave, valid ones, what could be seen, smaller pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from survey.detection.channels import channels_of, pyramid
from survey.detection.filling import fill_invalid
from survey.detection.scales import Pass
from survey.imagery.chips import Chip, read_chip
from survey.imagery.levels import Reduced, join_reduced, reduced_parts
from survey.imagery.salvage import Unread
from survey.imagery.samples import Sample, join_samples, sampled
from survey.imagery.scene import Role, Scene
from survey.imagery.tiles import Tile
from survey.imagery.trust import held_open
from survey.imagery.visibility import CellBlock, Visibility, assess_cells, join_cells, reach_pixels

# Rows that are read at once, a multiple of the usual blocks of files: pixels of a whole tile would be a third of all
# the memory it takes.
_SLAB = 1024

Window = tuple[int, int, int, int]
Reader = Callable[[Scene, int, Window, Sequence[Role]], tuple[Chip, tuple[Unread, ...]]]


@dataclass(frozen=True)
class Looked:
    """A tile and its halo, as the search sees them.

    Attributes
    ----------
    octaves : mapping of int to uint8 array, shape (row, col, channel)
        Channels; octave 0 is the level itself.
    valid : bool array, shape (row, col)
        At the level.
    corner : (row, col)
        First pixel, pixels of the level; negative where the halo reaches past the scene.
    cells : CellBlock or None
        None but in the finest pass.
    unread : tuple of Unread
    sample : Sample or None
        None but where the pass is to be sampled.
    reduced : tuple of Reduced
        Levels that are to be made of the core's pixels.
    """

    octaves: Mapping[int, NDArray[np.uint8]]
    valid: NDArray[np.bool_]
    corner: tuple[int, int]
    cells: CellBlock | None
    unread: tuple[Unread, ...]
    sample: Sample | None = None
    reduced: tuple[Reduced, ...] = ()


def whole_chip(scene: Scene, level: int, window: Window, roles: Sequence[Role]) -> tuple[Chip, tuple[Unread, ...]]:
    """Read a window, or raise where a block of it cannot be read; see :func:`survey.imagery.chips.read_chip`."""
    return read_chip(scene, level, window, roles), ()


def look_at(
    scene: Scene, a_pass: Pass, tile: Tile, visibility: tuple[tuple[Role, ...], Visibility], read: Reader = whole_chip
) -> Looked:
    """Read a tile with its halo, every pixel once, some rows at a time.

    Parameters
    ----------
    scene : Scene
    a_pass : Pass
    tile : Tile
    visibility : (roles, Visibility)
        Bands that are read, and how it is judged what could be seen on them.
    read : callable
        :func:`whole_chip`, or :func:`survey.imagery.salvage.salvage_chip` for a damaged raster.

    Raises
    ------
    ImageryError
        Pixels cannot be read.
    """
    roles, _ = visibility
    halo = max(a_pass.halo, reach_pixels(a_pass.gsd_m)) if a_pass.finest else a_pass.halo
    window = tile.window(halo, a_pass.multiple)
    row0, row1, col0, col1 = window
    channels = np.empty((row1 - row0, col1 - col0, len(roles)), np.uint8)
    valid = np.empty((row1 - row0, col1 - col0), bool)
    cells: list[CellBlock] = []
    samples: list[Sample] = []
    means: list[Reduced] = []
    lost: list[Unread] = []
    unread: list[Unread] = []
    chip: Chip | None = None
    averaged = a_pass.level >= len(scene.levels)
    with held_open():
        for rows, reach in _slabs(window, a_pass):
            # Blocks of the file are still at hand for rows around a slab; means of full pixels are not.
            known = chip.row + chip.valid.shape[0] if chip is not None and averaged else reach[0]
            fresh, more = read(scene, a_pass.level, (known, reach[1], col0, col1), roles)
            chip = _continued(chip, fresh, reach[0]) if chip is not None and averaged else fresh
            lost = [*lost, *more] if averaged else list(more)
            # What is lost in the rows around is told by the slab that they belong to.
            unread += [part for one in lost if (part := _of_rows(one, rows)) is not None]
            filled = fill_invalid(chip.pixels, chip.valid, a_pass.multiple)
            # The rows above were made with what lies above them; those below are made again by the next slab.
            above, below = rows[0] - reach[0], slice(rows[0] - row0, reach[1] - row0)
            channels_of(filled[:, above:], channels[below])
            valid[below] = chip.valid[above:]
            if a_pass.finest:
                made = channels[reach[0] - row0 : reach[1] - row0]
                cells += _cells((chip, made), tile, rows, visibility)
            if a_pass.sampled:
                samples += sampled(chip, _part(tile, rows), a_pass.sampled)
            means += reduced_parts(chip, _part(tile, rows), a_pass.reduced)
    octaves = pyramid(channels, 1 + max(a_pass.octaves))
    kept = join_samples(samples), join_reduced(means)
    return Looked(octaves, valid, (row0, col0), join_cells(cells), tuple(unread), *kept)


def _continued(above: Chip, below: Chip, row0: int) -> Chip:
    """Rows of a chip from ``row0`` on, and those of the chip that lies right below it."""
    kept = above.row + above.valid.shape[0] - row0
    height, width = kept + below.valid.shape[0], below.valid.shape[1]
    # In memory as what was read: bands apart, or pixel by pixel.
    pixels = np.empty_like(below.pixels, shape=(len(below.pixels), height, width))
    pixels[:, :kept], pixels[:, kept:] = above.pixels[:, row0 - above.row :], below.pixels
    return Chip(pixels, np.concatenate([above.valid[row0 - above.row :], below.valid]), row0, below.col, below.grid)


def _slabs(window: Window, a_pass: Pass) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Rows of a window in turn, and the rows that are read for them: means of neighbours and of cells reach further."""
    top, row1, _, _ = window
    row0 = top
    step = -(-_SLAB // a_pass.multiple) * a_pass.multiple
    beyond = reach_pixels(a_pass.gsd_m) if a_pass.finest else 0
    beyond = max(1, -(-beyond // a_pass.multiple)) * a_pass.multiple
    while top < row1:
        # What is read ends where blocks do, so that none is decoded twice.
        end = ((top + beyond) // step + 1) * step
        bottom = min(end - beyond, row1)
        yield (top, bottom), (max(row0, top - a_pass.multiple), min(end, row1))
        top = bottom


def _of_rows(lost: Unread, rows: tuple[int, int]) -> Unread | None:
    row0, row1 = max(lost.row0, rows[0]), min(lost.row1, rows[1])
    return replace(lost, row0=row0, row1=row1) if row0 < row1 else None


def _part(tile: Tile, rows: tuple[int, int]) -> Tile | None:
    """Part of a core that lies in some rows."""
    top, bottom = max(rows[0], tile.row0), min(rows[1], tile.row1)
    return Tile(tile.level, top, bottom, tile.col0, tile.col1) if top < bottom else None


def _cells(
    seen: tuple[Chip, NDArray[np.uint8]],
    tile: Tile,
    rows: tuple[int, int],
    visibility: tuple[tuple[Role, ...], Visibility],
) -> list[CellBlock]:
    """What could be seen in the part of the core that lies in some rows, by a chip and its channels."""
    part = _part(tile, rows)
    if part is None:
        return []
    (chip, channels), (roles, how) = seen, visibility
    light = np.asarray(cv2.extractChannel(channels, 0), np.uint8)
    return [assess_cells(chip, light, part, roles, how)]
