"""Sample the channels on rings around candidates: what the measures look at.

Ring radii are in units of a candidate's own radius, so measures do not depend on the ground sampling distance. The
candidates are the last axis: every measure is then sums and products of long rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

RADII = np.array([0.0, 0.35, 0.7, 0.95, 1.2, 1.5, 1.9, 2.4, 3.0])
"""Ring radii in units of the candidate's radius (half its diameter)."""
ANGLES = 16

DETAIL_RADII = np.array([0.2, 0.4, 0.6, 0.8, 0.95, 1.1, 1.25, 1.5])
"""Ring radii of the detail patch, sampled one octave finer where there is one."""
DETAIL_ANGLES = 24

_SURROUND = slice(6, 9)
# Added to spreads before anything is divided by them, grey levels.
_NOISE = np.float32(2.0)
STEPS = 32
"""cv2.remap interpolates in steps of 1/32 pixel; places are held to them so that no rounding depends on the window."""
# It takes fewer rows and columns of places than this in one call.
_MOST_POINTS = 1 << 14


@dataclass(frozen=True)
class Patches:
    """Rings around candidates, and the ground they are measured against.

    Attributes
    ----------
    polar : float32 array, shape (channel, ring, angle, n)
        At :data:`RADII`; whole grey levels.
    detail : float32 array, shape (channel, ring, angle, n)
        At :data:`DETAIL_RADII`; whole grey levels.
    ground : float32 array, shape (channel, n)
        Mean of the outer rings, the surround.
    spread : float32 array, shape (channel, n)
        Spread of the surround plus sensor noise: what contrasts are divided by, so that they do not depend on gain.
    """

    polar: Floats
    detail: Floats
    ground: Floats
    spread: Floats


def patches_of(polar: NDArray[np.uint8], detail: NDArray[np.uint8]) -> Patches:
    """Put samples the way the measures read them.

    Parameters
    ----------
    polar : uint8 array, shape (n, ring * angle, channel)
        From :func:`polar_samples`.
    detail : uint8 array, shape (n, ring * angle, channel)
        From :func:`detail_samples`.
    """
    near, close = _rows(polar, RADII.size, ANGLES), _rows(detail, DETAIL_RADII.size, DETAIL_ANGLES)
    outer = near[:, _SURROUND].reshape(near.shape[0], 3 * ANGLES, near.shape[3])
    mean, spread = mean_and_spread(outer)
    return Patches(near, close, mean, spread + _NOISE)


def mean_and_spread(values: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation over the last axis but one.

    Sums of whole grey levels and of their squares are exact in single precision up to 256 values, in any order.
    """
    count = values.shape[-2]
    total = values.sum(axis=-2)
    squares = np.multiply(values, values).sum(axis=-2)
    exact = count * squares.astype(np.float64) - total.astype(np.float64) ** 2
    return total / np.float32(count), np.sqrt(exact).astype(np.float32) / np.float32(count)


def polar_samples(
    octave: NDArray[np.uint8], row: NDArray[np.float64], col: NDArray[np.float64], diameter_px: float
) -> NDArray[np.uint8]:
    """Sample the channels on rings around pixels.

    Parameters
    ----------
    octave : uint8 array, shape (row, col, channel)
    row, col : arrays, shape (n,)
        Centres, pixel indices of the octave; multiples of 1/32.
    diameter_px : float

    Returns
    -------
    uint8 array, shape (n, ring * angle, channel)
    """
    return _sample(octave, row, col, _rings(RADII * diameter_px / 2, ANGLES))


def detail_samples(
    octave: NDArray[np.uint8], row: NDArray[np.float64], col: NDArray[np.float64], diameter_px: float
) -> NDArray[np.uint8]:
    """Sample the channels on close rings; returns uint8, shape (n, ring * angle, channel)."""
    return _sample(octave, row, col, _rings(DETAIL_RADII * diameter_px / 2, DETAIL_ANGLES))


def _rows(samples: NDArray[np.uint8], rings: int, angles: int) -> Floats:
    count, _, channels = samples.shape
    rows = np.ascontiguousarray(samples.transpose(2, 1, 0)).astype(np.float32)
    return rows.reshape(channels, rings, angles, count)


def _rings(radius_px: NDArray[np.float64], angles: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Offsets (down, across) of ring points, held to steps that remap interpolates exactly."""
    theta = 2 * np.pi * np.arange(angles) / angles
    down, across = np.outer(radius_px, np.sin(theta)).ravel(), np.outer(radius_px, np.cos(theta)).ravel()
    return np.rint(down * STEPS) / STEPS, np.rint(across * STEPS) / STEPS


def _sample(
    image: NDArray[np.uint8],
    row: NDArray[np.float64],
    col: NDArray[np.float64],
    offsets: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.uint8]:
    down, across = offsets
    if not len(row):
        return np.empty((0, across.size, image.shape[2]), np.uint8)
    x, y = (col[:, None] + across).astype(np.float32), (row[:, None] + down).astype(np.float32)
    values = np.empty((*x.shape, image.shape[2]), np.uint8)
    for start in range(0, len(x), _MOST_POINTS):
        some = slice(start, start + _MOST_POINTS)
        sampled = cv2.remap(image, x[some], y[some], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        values[some] = sampled.reshape(*x[some].shape, image.shape[2])
    return values
