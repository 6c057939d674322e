"""Elevation as a survey looks at it: height above the ground around, in centimetres.

An elevation model's own values are hundreds of metres above a datum, of which an object is a few centimetres. What is
subtracted is the mean of blocks of ground that lie where the scene's origin has them, interpolated between their
middles: a pixel's height does not depend on the window it is read through.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

GROUND_M = 8.0
"""Side of the blocks that the ground is told from: what is as wide is taken for ground. No published figure."""
LEVEL_M = 0.01
"""Height that one of the 256 levels stands for, metres: heights from -1.27 to 1.27 m are told apart."""

_FLAT = 128
_UNITS_A_M = 1000


def read_heights(
    dataset: DatasetReader, number: int, window: tuple[int, int, int, int], gsd_m: float
) -> NDArray[np.uint8]:
    """Height above the ground around in levels of :data:`LEVEL_M`; 128 is as high as it, or stands for none known.

    Parameters
    ----------
    dataset : DatasetReader
        Of one level of a scene.
    number : int
        Of the band; metres, after its scale and offset.
    window : (row0, row1, col0, col1)
        Half open, inside the level.
    gsd_m : float
        Ground sampling distance of the level.

    Returns
    -------
    uint8 array, shape (row, col)
    """
    side = max(1, round(GROUND_M / gsd_m))
    row0, row1, col0, col1 = window
    # Interpolated between middles of blocks: of one block more, all round, than the pixels lie in.
    first = row0 // side - 1, col0 // side - 1
    count = -(-row1 // side) + 1 - first[0], -(-col1 // side) + 1 - first[1]
    top, left = max(0, first[0] * side), max(0, first[1] * side)
    bottom = min(dataset.height, (first[0] + count[0]) * side)
    right = min(dataset.width, (first[1] + count[1]) * side)
    read = dataset.read(number, window=Window(left, top, right - left, bottom - top), masked=True)
    metres = np.ma.getdata(read) * float(dataset.scales[number - 1]) + float(dataset.offsets[number - 1])
    known = ~np.ma.getmaskarray(read) & np.isfinite(metres)
    # Whole millimetres have one sum in any order.
    units = np.rint(np.where(known, metres, 0.0) * _UNITS_A_M).astype(np.int64)
    place = (
        slice(top - first[0] * side, bottom - first[0] * side),
        slice(left - first[1] * side, right - first[1] * side),
    )
    rows, cols = np.arange(row0, row1) - first[0] * side, np.arange(col0, col1) - first[1] * side
    sums, counts = (_smooth(_block_sums(one, place, count, side), rows, cols, side) for one in (units, known))
    inner = slice(row0 - top, row1 - top), slice(col0 - left, col1 - left)
    levels = np.rint((units[inner] - sums / np.maximum(counts, 1e-9)) / (_UNITS_A_M * LEVEL_M)) + _FLAT
    return np.where(known[inner], np.clip(levels, 0, 255), _FLAT).astype(np.uint8)


def _block_sums(
    values: NDArray[Any], place: tuple[slice, slice], count: tuple[int, int], side: int
) -> NDArray[np.int64]:
    """Sums over blocks, of values that lie somewhere in so many of them."""
    whole = np.zeros((count[0] * side, count[1] * side), np.int64)
    whole[place] = values
    return whole.reshape(count[0], side, -1).sum(axis=1).reshape(count[0], count[1], side).sum(axis=2)


def _smooth(
    sums: NDArray[np.int64], rows: NDArray[np.int64], cols: NDArray[np.int64], side: int
) -> NDArray[np.float64]:
    """Interpolate between middles of blocks; rows and columns are counted from the first block's first."""
    (up, down), (west, east) = (_shares(index, side) for index in (rows, cols))
    lines = sums[up[0]] * up[1][:, None] + sums[down[0]] * down[1][:, None]
    return np.asarray(lines[:, west[0]] * west[1] + lines[:, east[0]] * east[1])


def _shares(index: NDArray[np.int64], side: int) -> tuple[tuple[NDArray[np.int64], NDArray[np.float64]], ...]:
    """The blocks before and behind each pixel, and their shares in it."""
    # By the place in its own block alone, or the rounding would depend on how many blocks lie before it.
    beyond = (index % side + 0.5) / side - 0.5
    before = index // side - (beyond < 0)
    share = np.where(beyond < 0, beyond + 1.0, beyond)
    return (before, 1.0 - share), (before + 1, share)
