"""Measure candidates: one measure, one function, each a pure function of a polar patch.

A polar patch holds the channels on rings around the candidate, ring radii in units of its own
radius, so measures do not depend on the ground sampling distance; contrasts are divided by the
spread of the surround, so they do not depend on gain; and angles are summarised by means, spreads
and Fourier magnitudes, or turned to the patch's own direction, so they do not depend on rotation.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FEATURE_SET = "polar-5"
"""Version of the measures. A model names the one it was trained on."""

RADII = np.array([0.0, 0.35, 0.7, 0.95, 1.2, 1.5, 1.9, 2.4, 3.0])
"""Ring radii in units of the candidate's radius (half its diameter)."""
ANGLES = 16

DETAIL_RADII = np.array([0.2, 0.4, 0.6, 0.8, 0.95, 1.1, 1.25, 1.5])
"""Ring radii of the detail patch, sampled one octave finer where there is one."""
DETAIL_ANGLES = 24

_INNER = slice(0, 3)
_SURROUND = slice(6, 9)
# Added to spreads before dividing, grey levels.
_NOISE = np.float32(2.0)
# cv2.remap interpolates in steps of 1/32 pixel; offsets are held to them so that no rounding depends on the window.
_STEPS = 32
_MOST_ROWS = 16384


def polar_patches(
    octave: NDArray[np.uint8], row: NDArray[np.float64], col: NDArray[np.float64], diameter_px: float
) -> Floats:
    """Sample the channels on rings around pixels.

    Parameters
    ----------
    octave : uint8 array, shape (row, col, channel)
    row, col : arrays, shape (n,)
        Centres, pixel indices of the octave; multiples of 1/32.
    diameter_px : float

    Returns
    -------
    float32 array, shape (n, channel, ring, angle)
    """
    samples = _sample(octave, row, col, _rings(RADII * diameter_px / 2, ANGLES))
    patches = np.moveaxis(samples, 2, 1).astype(np.float32)
    return np.ascontiguousarray(patches.reshape(len(row), octave.shape[2], RADII.size, ANGLES))


def detail_patches(
    octave: NDArray[np.uint8], row: NDArray[np.float64], col: NDArray[np.float64], diameter_px: float
) -> Floats:
    """Sample the channels on close rings; returns float32, shape (n, channel, ring, angle)."""
    samples = _sample(octave, row, col, _rings(DETAIL_RADII * diameter_px / 2, DETAIL_ANGLES))
    patches = np.moveaxis(samples, 2, 1).astype(np.float32)
    return np.ascontiguousarray(patches.reshape(len(row), octave.shape[2], DETAIL_RADII.size, DETAIL_ANGLES))


def _rings(radius_px: NDArray[np.float64], angles: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Offsets (down, across) of ring points, held to steps that remap interpolates exactly."""
    theta = 2 * np.pi * np.arange(angles) / angles
    down, across = np.outer(radius_px, np.sin(theta)).ravel(), np.outer(radius_px, np.cos(theta)).ravel()
    return np.rint(down * _STEPS) / _STEPS, np.rint(across * _STEPS) / _STEPS


def _sample(
    image: NDArray[np.uint8],
    row: NDArray[np.float64],
    col: NDArray[np.float64],
    offsets: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.uint8]:
    down, across = offsets
    samples = np.empty((len(row), across.size, image.shape[2]), np.uint8)
    for start in range(0, len(row), _MOST_ROWS):
        part = slice(start, start + _MOST_ROWS)
        x = (col[part, None] + across).astype(np.float32)
        y = (row[part, None] + down).astype(np.float32)
        values = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        samples[part] = values.reshape(*x.shape, image.shape[2])
    return samples


def surround(patch: Floats) -> tuple[Floats, Floats]:
    """Mean and spread of the outer rings by channel, each of shape (n, channel)."""
    outer = patch[:, :, _SURROUND].reshape(patch.shape[0], patch.shape[1], 3 * ANGLES)
    return outer.mean(axis=2), outer.std(axis=2)


def ring_contrast(patch: Floats) -> Floats:
    """Mean of each inner ring against the surround, over the surround's spread: (n, channel * 7)."""
    mean, spread = surround(patch)
    rings = patch[:, :, :7].mean(axis=3)
    return _flat((rings - mean[..., None]) / (spread[..., None] + _NOISE))


def ring_spread(patch: Floats) -> Floats:
    """Spread along each ring over the surround's spread: (n, channel * 8). Low on a rotation-symmetric object."""
    _, spread = surround(patch)
    return _flat(patch[:, :, 1:].std(axis=3) / (spread[..., None] + _NOISE))


def ring_extremes(patch: Floats) -> Floats:
    """Lowest and highest brightness of each ring up to radius 1.9 against the surround: (n, 14)."""
    mean, spread = surround(patch)
    bright = (patch[:, 0, :7] - mean[:, :1, None]) / (spread[:, :1, None] + _NOISE)
    return np.concatenate([bright.min(axis=2), bright.max(axis=2)], axis=1)


def edge_coherence(patch: Floats) -> Floats:
    """Mean step outward over mean absolute step, by channel and ring: 1 on a closed circular edge. (n, channel * 6)."""
    step = np.diff(patch[:, :, :7], axis=2)
    return _flat(step.mean(axis=3) / (np.abs(step).mean(axis=3) + np.float32(1.0)))


def edge_strength(patch: Floats) -> Floats:
    """Mean absolute step outward of brightness by ring, over the surround's spread: (n, 6)."""
    _, spread = surround(patch)
    step = np.abs(np.diff(patch[:, 0, :7], axis=1)).mean(axis=2)
    return step / (spread[:, :1] + _NOISE)


def angular_harmonics(patch: Floats) -> Floats:
    """Fourier magnitudes 1 to 4 of brightness along five rings, over the surround's spread: (n, 20).

    The first tells one-sidedness (a shadow), the second elongation, the fourth squareness.
    """
    _, spread = surround(patch)
    wave = np.empty((patch.shape[0], 5, 4), np.float32)
    angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
    for order in range(1, 5):
        cosine, sine = (f(order * angle).astype(np.float32) for f in (np.cos, np.sin))
        real = (patch[:, 0, 1:6] * cosine).sum(axis=2)
        imaginary = (patch[:, 0, 1:6] * sine).sum(axis=2)
        wave[:, :, order - 1] = np.sqrt(real**2 + imaginary**2) / ANGLES
    return _flat(wave / (spread[:, 0, None, None] + _NOISE))


def turned_rings(patch: Floats) -> Floats:
    """Brightness on rings 0.7 to 1.9, turned so that the darkest side lies first: (n, 40)."""
    mean, spread = surround(patch)
    bright = (patch[:, 0, 2:7] - mean[:, :1, None]) / (spread[:, :1, None] + _NOISE)
    # The side with the lowest sum over three neighbouring angles and all rings; integers decide it.
    side = patch[:, 0, 2:7].sum(axis=1)
    side = side + np.roll(side, 1, axis=1) + np.roll(side, -1, axis=1)
    first = side.argmin(axis=1)
    index = (first[:, None] + np.arange(0, ANGLES, 2)) % ANGLES
    return _flat(np.take_along_axis(bright, index[:, None, :], axis=2))


def centre_difference(patch: Floats) -> Floats:
    """Channel means of the centre less those of the surround, grey levels: (n, channel).

    The colour of the ground itself is left out on purpose: measured, it ties a model to the grounds it has seen.
    """
    mean, _ = surround(patch)
    return patch[:, :, _INNER].reshape(patch.shape[0], patch.shape[1], 3 * ANGLES).mean(axis=2) - mean


MEASURES = (
    ring_contrast,
    ring_spread,
    ring_extremes,
    edge_coherence,
    edge_strength,
    angular_harmonics,
    turned_rings,
    centre_difference,
)
"""The measures in the order of the feature vector; the detail measures, contrasts and sizes follow them."""


def detail_rings(detail: Floats, patch: Floats) -> Floats:
    """Mean and spread of each close ring against the surround, over its spread: (n, channel * 16)."""
    mean, spread = surround(patch)
    scale = spread[..., None] + _NOISE
    means, spreads = detail.mean(axis=3) - mean[..., None], detail.std(axis=3)
    return np.concatenate([_flat(means / scale), _flat(spreads / scale)], axis=1)


def detail_edges(detail: Floats) -> Floats:
    """Mean step outward over mean absolute step between close rings, by channel: (n, channel * 7)."""
    step = np.diff(detail, axis=2)
    return _flat(step.mean(axis=3) / (np.abs(step).mean(axis=3) + np.float32(1.0)))


def detail_roughness(detail: Floats, patch: Floats) -> Floats:
    """Mean absolute step of brightness along and across close rings, over the surround's spread: (n, 15)."""
    _, spread = surround(patch)
    scale = spread[:, :1] + _NOISE
    along = np.abs(np.roll(detail[:, 0], -1, axis=2) - detail[:, 0]).mean(axis=2)
    outward = np.abs(np.diff(detail[:, 0], axis=1)).mean(axis=2)
    return np.concatenate([along / scale, outward / scale], axis=1)


def detail_harmonics(detail: Floats) -> Floats:
    """Fourier magnitudes 1 to 4 of brightness along each close ring over the ring's spread: (n, 32)."""
    bright = detail[:, 0]
    angle = 2 * np.pi * np.arange(DETAIL_ANGLES) / DETAIL_ANGLES
    waves = []
    for order in range(1, 5):
        cosine, sine = (f(order * angle).astype(np.float32) for f in (np.cos, np.sin))
        waves.append(np.sqrt((bright * cosine).sum(axis=2) ** 2 + (bright * sine).sum(axis=2) ** 2) / DETAIL_ANGLES)
    return _flat(np.stack(waves, axis=2) / (bright.std(axis=2)[..., None] + np.float32(1.0)))


def turned_detail(detail: Floats, patch: Floats) -> Floats:
    """Every second sample of the close rings, turned so that the darkest side lies first: (n, channel * 96).

    The picture itself, as far as it does not depend on rotation, gain and ground: what a network reads.
    """
    mean, spread = surround(patch)
    relative = (detail - mean[..., None, None]) / (spread[..., None, None] + _NOISE)
    # The side with the lowest brightness over five neighbouring angles; sums of bytes decide it, exactly.
    side = detail[:, 0, 1:6].sum(axis=1)
    side = np.sum([np.roll(side, turn, axis=1) for turn in range(-2, 3)], axis=0)
    index = (side.argmin(axis=1)[:, None] + np.arange(0, DETAIL_ANGLES, 2)) % DETAIL_ANGLES
    return _flat(np.take_along_axis(relative, index[:, None, None, :], axis=3))


def compressed(values: Floats) -> Floats:
    """Draw far values in, sign(v) log(1 + |v|) with |v| held to 30: contrasts over a quiet surround have long tails."""
    return np.sign(values) * np.log1p(np.minimum(np.abs(values), np.float32(30.0)))


def measure(patches: Floats, detail: Floats, contrast: Floats, size: tuple[float, float]) -> Floats:
    """Feature vectors of candidates of one size.

    Parameters
    ----------
    patches : float32 array, shape (n, channel, ring, angle)
    detail : float32 array, shape (n, channel, ring, angle)
    contrast : float32 array, shape (n, k)
        Contrasts of the first stage at the candidates.
    size : (diameter_m, diameter_px)

    Returns
    -------
    float32 array, shape (n, number of features)
    """
    sizes = np.tile(np.array([np.log2(size[0]), size[1]], dtype=np.float32), (patches.shape[0], 1))
    columns = [function(patches) for function in MEASURES]
    columns += [detail_rings(detail, patches), detail_edges(detail), detail_roughness(detail, patches)]
    columns += [detail_harmonics(detail), turned_detail(detail, patches), contrast, sizes]
    return compressed(np.concatenate(columns, axis=1).astype(np.float32))


def _flat(values: Floats) -> Floats:
    return values.reshape(values.shape[0], int(np.prod(values.shape[1:])))
