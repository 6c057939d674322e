"""Turn bands into the channels that are searched: one brightness and the colour differences around it.

All arithmetic is in integers, pixel by pixel, so a channel is the same through every window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

# Weights of the bands by channel, and the offset that keeps differences in 0..255. The rows are
# brightness, warm against green, and light against blue: opponent colours, cheap in integers.
_OPPONENT = np.array(
    [[0.25, 0.5, 0.25, 0.0], [0.75, -0.75, 0.0, 128.0], [0.375, 0.375, -0.75, 128.0]],
    dtype=np.float32,
)
MOST_BANDS = 4
"""What OpenCV samples at once."""
_ROWS = 128
# Gaps in more rectangles than this are filled in one around all: each has its own costs.
_FEW_RECTANGLES = 8


def channels_of(pixels: Bytes, channels: Bytes | None = None) -> Bytes:
    """Brightness and colour differences of a stack of bands.

    Parameters
    ----------
    pixels : uint8 array, shape (band, row, col)
        Three bands become three channels; of more the others stay as they are, as one or two do.
    channels : uint8 array, shape (row, col, channel), optional
        Where they are put; contiguous.

    Returns
    -------
    uint8 array, shape (row, col, channel), contiguous: the layout OpenCV filters work on.
    """
    if channels is None:
        channels = np.empty((*pixels.shape[1:], len(pixels)), np.uint8)
    opponent = len(_OPPONENT) if len(pixels) >= len(_OPPONENT) else 0
    channels[..., opponent:] = np.moveaxis(pixels[opponent:], 0, -1)
    if not opponent:
        return channels
    together, whole = np.moveaxis(pixels, 0, -1), len(pixels) == opponent
    for start in range(0, len(channels), _ROWS):
        # A few rows at a time: the bands side by side are a copy of them all, unless they lie so.
        rows = slice(start, start + _ROWS)
        if whole and together.flags.c_contiguous:
            cv2.transform(together[rows], _OPPONENT, dst=channels[rows])
        else:
            bands = [np.ascontiguousarray(band[rows]) for band in pixels[:opponent]]
            channels[rows, :, :opponent] = cv2.transform(cv2.merge(bands), _OPPONENT)
    return channels


def channel_names(roles: Sequence[str]) -> tuple[str, ...]:
    """What the channels of some bands are called, in their order.

    Parameters
    ----------
    roles : sequence of str
        One to four band roles.

    Examples
    --------
    >>> channel_names(["red", "green", "blue"])
    ('brightness', 'red against green', 'red and green against blue')
    """
    named = ["near infrared" if role == "nir" else role for role in roles]
    if len(roles) < len(_OPPONENT):
        return tuple(f"the {role} band" for role in roles)
    first, second, third = named[: len(_OPPONENT)]
    others = tuple(f"the {role} band" for role in roles[len(_OPPONENT) :])
    return "brightness", f"{first} against {second}", f"{first} and {second} against {third}", *others


def fill_invalid(pixels: Bytes, valid: NDArray[np.bool_], block: int) -> Bytes:
    """Give invalid pixels the mean of the valid ones near by, so that an edge of the image is no object.

    Parameters
    ----------
    pixels : uint8 array, shape (band, row, col)
        Zero where invalid; sides are multiples of ``block``.
    valid : bool array, shape (row, col)
    block : int
        Side of the blocks means are taken in; blocks start at the scene's origin.

    Returns
    -------
    uint8 array like ``pixels``.
    """
    if valid.all():
        return pixels
    filled = pixels.copy(order="K")
    for rows, cols in _with_gaps(valid, block):
        # Means look one block further than they fill.
        near = _grown(rows, valid.shape[0], block), _grown(cols, valid.shape[1], block)
        inner = tuple(
            slice(one.start - far.start, one.stop - far.start) for one, far in zip((rows, cols), near, strict=True)
        )
        count = _sums(valid[near].view(np.uint8), block)
        around_count = _spread(count)
        invalid = (~valid[rows, cols]).view(np.uint8)
        for band, whole in zip(filled, pixels, strict=True):
            total = _sums(whole[near], block)
            # A block with no valid pixel takes the mean of its neighbours; with none there either it is far away.
            own, around = total // np.maximum(count, 1), _spread(total) // np.maximum(around_count, 1)
            mean = np.where(count > 0, own, np.where(around_count > 0, around, 128)).astype(np.uint8)
            spread: Any = cv2.resize(mean, valid[near].shape[::-1], interpolation=cv2.INTER_NEAREST)
            part = np.ascontiguousarray(band[rows, cols])
            band[rows, cols] = cv2.copyTo(np.ascontiguousarray(spread[inner]), invalid, part)
    return filled


def _with_gaps(valid: NDArray[np.bool_], block: int) -> list[tuple[slice, slice]]:
    """Rectangles of whole blocks that hold every invalid pixel: at an image's edge far less than all of it."""
    gaps = _sums((~valid).view(np.uint8), block) > 0
    found: list[tuple[int, int, int, int]] = []
    for row in np.flatnonzero(gaps.any(axis=1)).tolist():
        cols = np.flatnonzero(gaps[row])
        first, last = int(cols[0]), int(cols[-1]) + 1
        if found and found[-1][1:] == (row, first, last):
            found[-1] = (found[-1][0], row + 1, first, last)
        else:
            found.append((row, row + 1, first, last))
    if len(found) > _FEW_RECTANGLES:
        found = [(found[0][0], found[-1][1], min(one[2] for one in found), max(one[3] for one in found))]
    return [(slice(a * block, b * block), slice(c * block, d * block)) for a, b, c, d in found]


def _grown(part: slice, end: int, block: int) -> slice:
    return slice(max(0, part.start - block), min(end, part.stop + block))


def _sums(band: Bytes, block: int) -> NDArray[np.int64]:
    """Sums over blocks of pixels, exact."""
    rows, cols = band.shape
    lines = np.ascontiguousarray(band).reshape(rows * cols // block, block)
    across = np.asarray(cv2.reduce(lines, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S))
    return across.reshape(rows // block, block, cols // block).sum(axis=1, dtype=np.int64)


def _spread(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum over each block and its eight neighbours."""
    padded = np.pad(sums, 1)
    rows, cols = sums.shape
    return np.sum([padded[r : r + rows, c : c + cols] for r in range(3) for c in range(3)], axis=0)


def pyramid(channels: Bytes, deepest: int) -> dict[int, Bytes]:
    """Halve the channels again and again, from octave 0, the input, to the deepest.

    Sides must be multiples of ``2 ** deepest`` and the window must start at such a multiple of the
    scene's origin: then a pixel of an octave is the rounded mean of the same pixels in every window.
    """
    levels = {0: channels}
    for octave in range(1, deepest + 1):
        finer = levels[octave - 1]
        size = (finer.shape[1] // 2, finer.shape[0] // 2)
        halved = np.asarray(cv2.resize(finer, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        levels[octave] = halved.reshape(size[1], size[0], -1)
    return levels
