"""Give pixels that could not be seen a likely value, so that the edge of an image is no object."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

FILLING = "nearest"
"""How it is done; what is measured near an edge depends on it."""

# Gaps in more rectangles than this are filled in one around all: each has its own costs.
_FEW_RECTANGLES = 8


def fill_invalid(pixels: Bytes, valid: NDArray[np.bool_], block: int) -> Bytes:
    """Continue the valid pixels into invalid ones: what the edge of an image cuts off then does not end there.

    An invalid pixel takes the value of the nearest valid one; where that is further than a block, a mean of the valid
    ones near by. With means alone every line and every patch that is cut off makes half an object, and of the likeliest
    false alarms of a model of few objects a fifth lay within half a diameter of an edge (docs/detection.md).

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
        # Neither means nor nearest pixels lie further than one block away.
        near = _grown(rows, valid.shape[0], block), _grown(cols, valid.shape[1], block)
        inner = tuple(
            slice(one.start - far.start, one.stop - far.start) for one, far in zip((rows, cols), near, strict=True)
        )
        known = np.ascontiguousarray(valid[near])
        invalid = (~valid[rows, cols]).view(np.uint8)
        edge, source = _nearest(known, inner, block)
        count = _sums(known.view(np.uint8), block)
        around_count = _spread(count)
        for band, whole in zip(filled, pixels, strict=True):
            seen = np.ascontiguousarray(whole[near])
            total = _sums(seen, block)
            # A block with no valid pixel takes the mean of its neighbours; with none there either it is far away.
            own, around = total // np.maximum(count, 1), _spread(total) // np.maximum(around_count, 1)
            mean = np.where(count > 0, own, np.where(around_count > 0, around, 128)).astype(np.uint8)
            spread: Any = cv2.resize(mean, seen.shape[::-1], interpolation=cv2.INTER_NEAREST)
            part = cv2.copyTo(np.ascontiguousarray(spread[inner]), invalid, np.ascontiguousarray(band[rows, cols]))
            part.reshape(-1)[edge] = seen.reshape(-1)[source]
            band[rows, cols] = part
    return filled


def _nearest(valid: NDArray[np.bool_], inner: tuple[slice, ...], reach: int) -> tuple[Ints, Ints]:
    """Invalid pixels of the inner part within reach of a valid one, and the nearest of these: flat indices.

    Distances are steps of 1, 1.4 and 2.2 pixels (Borgefors 1986, doi:10.1016/S0734-189X(86)80047-0), in whole numbers:
    a window that is ``reach`` wider shows every path there is, so the choice does not depend on the window.
    """
    away, label = cv2.distanceTransformWithLabels(
        (~valid).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    distance = np.asarray(away)[inner]
    edge = np.flatnonzero((distance > 0) & (distance <= reach))
    # Valid pixels are numbered in reading order, from one on.
    return edge, np.flatnonzero(valid)[np.asarray(label)[inner].reshape(-1)[edge] - 1]


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
