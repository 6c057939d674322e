"""A weak baseline to hold a detector against: blobs of brightness ranked by contrast, no classifier.

If a detector is not far better than this, it has learned nothing, or the ground is too easy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

_RATIO = 1.6
"""Ratio of the two Gaussians; approximates the Laplacian of Gaussian (Marr and Hildreth 1980)."""


def support_px(lengths_m: Sequence[float], gsd_m: float) -> int:
    """Return how many pixels around a pixel :func:`blobs` looks at, for windows that are to agree."""
    widest = max((_sigma_px(length, gsd_m) for length in lengths_m), default=1.0)
    return int(np.ceil(4.0 * _RATIO * widest)) + 2


def blobs(
    brightness: NDArray[np.float32], valid: NDArray[np.bool_], gsd_m: float, lengths_m: Sequence[float]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Find bright and dark blobs of the given sizes: local extrema of differences of Gaussians.

    Parameters
    ----------
    brightness : (rows, columns) ndarray
    valid : (rows, columns) ndarray of bool
        False where there is no data; nothing is found there, and it is filled with the mean.
    gsd_m : float
        Ground sampling distance, metres per pixel.
    lengths_m : sequence of float
        Sizes looked for, metres across.

    Returns
    -------
    row, column : ndarray of int
    contrast : ndarray of float
        Absolute difference of the Gaussians, in units of ``brightness``; largest first.
    """
    if not valid.any() or not len(lengths_m):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    filled = np.where(valid, brightness, brightness[valid].mean(dtype=np.float64)).astype(np.float32)
    best = np.zeros(filled.shape, dtype=np.float32)
    for sigma in sorted({round(_sigma_px(length, gsd_m), 3) for length in lengths_m}):
        narrow = _smooth(filled, sigma / np.sqrt(_RATIO))
        wide = _smooth(filled, sigma * np.sqrt(_RATIO))
        np.maximum(best, np.abs(narrow - wide), out=best)
    smallest = min(_sigma_px(length, gsd_m) for length in lengths_m)
    side = 2 * max(1, round(smallest)) + 1
    peak = (best == cv2.dilate(best, np.ones((side, side), np.uint8))) & valid & (best > 0)
    row, column = np.nonzero(peak)
    contrast = best[row, column].astype(np.float64)
    order = np.lexsort((column, row, -contrast))
    return row[order].astype(np.int64), column[order].astype(np.int64), contrast[order]


def _sigma_px(length_m: float, gsd_m: float) -> float:
    """Scale at which a disc of this diameter answers most: radius / sqrt(2); at least 0.7 px."""
    return max(0.7, length_m / math.sqrt(8.0) / gsd_m)


def _smooth(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    side = 2 * int(np.ceil(4.0 * sigma)) + 1
    smoothed = cv2.GaussianBlur(image, (side, side), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(smoothed, dtype=np.float32)
