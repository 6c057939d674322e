"""Measure candidates: one measure, one function, each a pure function of the patches around candidates.

Contrasts are divided by the spread of the surround, so they do not depend on gain; angles are summarised by means,
spreads and Fourier magnitudes, or turned to the patch's own direction, so measures do not depend on rotation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from survey.detection.candidates import AROUND_RADII, Strength
from survey.detection.patches import ANGLES, DETAIL_ANGLES, DETAIL_RADII, Floats, Patches, mean_and_spread

FEATURE_SET = "polar-6"
"""Version of the measures. A model names the one it was trained on."""

_INNER = slice(0, 3)
_ORDERS = 4


def ring_contrast(patches: Patches) -> Floats:
    """Mean of each inner ring against the surround, over the surround's spread: (channel * 7, n)."""
    rings = patches.polar[:, :7].sum(axis=2) / np.float32(ANGLES)
    return _flat((rings - patches.ground[:, None]) / patches.spread[:, None])


def ring_spread(patches: Patches) -> Floats:
    """Spread along each ring over the surround's spread: (channel * 8, n). Low on a rotation-symmetric object."""
    _, spread = mean_and_spread(patches.polar[:, 1:])
    return _flat(spread / patches.spread[:, None])


def ring_extremes(patches: Patches) -> Floats:
    """Lowest and highest brightness of each ring up to radius 1.9 against the surround: (14, n)."""
    bright = patches.polar[0, :7]
    extremes = np.concatenate([bright.min(axis=1), bright.max(axis=1)])
    return (extremes - patches.ground[0]) / patches.spread[0]


def edge_coherence(patches: Patches) -> Floats:
    """Mean step outward over mean absolute step, by channel and ring: 1 on a closed circular edge. (channel * 6, n)."""
    return _coherence(patches.polar[:, :7])


def edge_strength(patches: Patches) -> Floats:
    """Mean absolute step outward of brightness by ring, over the surround's spread: (6, n)."""
    step = np.abs(np.diff(patches.polar[0, :7], axis=0)).sum(axis=1) / np.float32(ANGLES)
    return step / patches.spread[0]


def angular_harmonics(patches: Patches) -> Floats:
    """Fourier magnitudes 1 to 4 of brightness along five rings, over the surround's spread: (20, n).

    The first tells one-sidedness (a shadow), the second elongation, the fourth squareness.
    """
    return _flat(_harmonics(patches.polar[0, 1:6]) / patches.spread[0])


def turned_rings(patches: Patches) -> Floats:
    """Brightness on rings 0.7 to 1.9, turned so that the darkest side lies first: (40, n)."""
    rings = patches.polar[0, 2:7]
    # The side with the lowest sum over three neighbouring angles and all rings; integers decide it.
    turned = _turned(rings[None], _darkest(rings.sum(axis=0), 1))[0]
    return _flat((turned - patches.ground[0]) / patches.spread[0])


def centre_difference(patches: Patches) -> Floats:
    """Channel means of the centre less those of the surround, grey levels: (channel, n).

    The colour of the ground itself is left out on purpose: measured, it ties a model to the grounds it has seen.
    """
    return patches.polar[:, _INNER].sum(axis=(1, 2)) / np.float32(3 * ANGLES) - patches.ground


def detail_rings(patches: Patches) -> Floats:
    """Mean and spread of each close ring against the surround, over its spread: (channel * 16, n)."""
    mean, spread = mean_and_spread(patches.detail)
    ground, scale = patches.ground[:, None], patches.spread[:, None]
    return np.concatenate([_flat((mean - ground) / scale), _flat(spread / scale)])


def detail_edges(patches: Patches) -> Floats:
    """Mean step outward over mean absolute step between close rings, by channel: (channel * 7, n)."""
    return _coherence(patches.detail)


def detail_roughness(patches: Patches) -> Floats:
    """Mean absolute step of brightness along and across close rings, over the surround's spread: (15, n)."""
    bright = patches.detail[0]
    along = np.abs(np.diff(bright, axis=1)).sum(axis=1) + np.abs(bright[:, 0] - bright[:, -1])
    outward = np.abs(np.diff(bright, axis=0)).sum(axis=1)
    return np.concatenate([along, outward]) / np.float32(DETAIL_ANGLES) / patches.spread[0]


def detail_harmonics(patches: Patches) -> Floats:
    """Fourier magnitudes 1 to 4 of brightness along each close ring over the ring's spread: (32, n)."""
    bright = patches.detail[0]
    _, spread = mean_and_spread(bright)
    return _flat(_harmonics(bright) / (spread[:, None] + np.float32(1.0)))


def turned_detail(patches: Patches) -> Floats:
    """Every second sample of the close rings, turned so that the darkest side lies first: (channel * 96, n).

    The picture itself, as far as it does not depend on rotation, gain and ground: what a network reads.
    """
    # The side with the lowest brightness over five neighbouring angles; sums of bytes decide it, exactly.
    turned = _turned(patches.detail, _darkest(patches.detail[0, 1:6].sum(axis=0), 2))
    turned -= patches.ground[:, None, None]
    turned /= patches.spread[:, None, None]
    return _flat(turned)


MEASURES = (
    ring_contrast,
    ring_spread,
    ring_extremes,
    edge_coherence,
    edge_strength,
    angular_harmonics,
    turned_rings,
    centre_difference,
    detail_rings,
    detail_edges,
    detail_roughness,
    detail_harmonics,
    turned_detail,
)
"""The measures of patches in the order of the feature vector; the first look goes before them."""


@dataclass(frozen=True)
class _Widths:
    """Features of one measure: by channel or of brightness alone, in stretches of so many a channel."""

    by_channel: bool
    stretches: tuple[int, ...]


_WIDTHS = (
    _Widths(True, (7,)),  # ring_contrast
    _Widths(True, (8,)),  # ring_spread
    _Widths(False, (14,)),  # ring_extremes
    _Widths(True, (6,)),  # edge_coherence
    _Widths(False, (6,)),  # edge_strength
    _Widths(False, (20,)),  # angular_harmonics
    _Widths(False, (40,)),  # turned_rings
    _Widths(True, (1,)),  # centre_difference
    _Widths(True, (8, 8)),  # detail_rings: means, spreads
    _Widths(True, (7,)),  # detail_edges
    _Widths(False, (15,)),  # detail_roughness
    _Widths(False, (32,)),  # detail_harmonics
    _Widths(True, (96,)),  # turned_detail
)
"""In the order of :data:`MEASURES`."""


def first_look(
    strength: Strength, row: NDArray[np.int64], col: NDArray[np.int64], sought_px: float, size: tuple[float, float]
) -> Floats:
    """Measure candidates by what the first stage made of the ground there and around: cheap, all candidates get it.

    Parameters
    ----------
    strength : Strength
    row, col : int arrays, shape (n,)
        Pixels of the strength.
    sought_px : float
        Diameter in pixels of the strength.
    size : (diameter_m, diameter_px)
        As the patches are measured.

    Returns
    -------
    float32 array, shape (n, 13 * (channel + 1) + 2)
        Contrasts and strength; on each of three circles around, their mean, spread, lowest and highest; the size.
    """
    around = strength.around(row, col, sought_px)
    angles = np.float32(around.shape[2])
    mean = _one_by_one(around) / angles
    spread = np.sqrt(_one_by_one(np.square(around - mean[:, :, None])) / angles)
    sizes = np.tile(np.array([[np.log2(size[0])], [size[1]]], dtype=np.float32), (1, len(row)))
    circles = (mean, spread, around.min(axis=2), around.max(axis=2))
    rows = np.concatenate([strength.at(row, col), *map(_flat, circles), sizes])
    return np.ascontiguousarray(compressed(rows).T)


def first_look_width(channels: int) -> int:
    """Number of features of :func:`first_look`."""
    return (channels + 1) * (1 + 4 * len(AROUND_RADII)) + 2


def parts_of(channels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which measure of which channel each feature is of.

    Parameters
    ----------
    channels : int

    Returns
    -------
    parts : int array, shape (number of features,)
        Features of one number are of one measure and one channel; -1 for the size, which is no measure of the ground.
    channel_of : int array, shape (number of parts,)
        Measures of all channels together are counted to the first, brightness.
    """
    circles = len(AROUND_RADII)
    first = [*range(channels), 0]
    rows = [first, *[[one for one in first for _ in range(circles)]] * 4]
    parts = [*(one for row in rows for one in row), -1, -1]
    channel_of = list(range(channels))
    for widths in _WIDTHS:
        # Some measures stand in several stretches, each with all its channels.
        by_channel = range(channels) if widths.by_channel else (0,)
        for stretch in widths.stretches:
            for channel in by_channel:
                parts += [len(channel_of)] * stretch
                channel_of.append(channel)
    return np.array(parts), np.array(channel_of)


def picture_width(channels: int) -> int:
    """Number of features of :func:`turned_detail`, the last of the vector."""
    return channels * len(DETAIL_RADII) * DETAIL_ANGLES // 2


def measure(patches: Patches, first: Floats) -> Floats:
    """Feature vectors of candidates.

    Parameters
    ----------
    patches : Patches
    first : float32 array, shape (n, k)
        From :func:`first_look`; it goes before the measures of the patches.

    Returns
    -------
    float32 array, shape (n, number of features)
    """
    rows = np.concatenate([function(patches) for function in MEASURES])
    return np.concatenate([first, compressed(rows).T], axis=1)


def compressed(values: Floats) -> Floats:
    """Draw far values in, sign(v) log(1 + |v|) with |v| held to 30: contrasts over a quiet surround have long tails."""
    far = np.minimum(np.abs(values), np.float32(30.0))
    far += np.float32(1.0)
    return np.copysign(np.log(far, out=far), values, out=far)


def _one_by_one(values: Floats) -> Floats:
    """Sum over angles, (channel, circle, angle, n), in their order: numpy's own depends on how many there are of n."""
    total = values[:, :, 0].copy()
    for angle in range(1, values.shape[2]):
        total += values[:, :, angle]
    return total


def _coherence(rings: Floats) -> Floats:
    step = np.diff(rings, axis=1)
    outward = step.sum(axis=2)
    angles = np.float32(rings.shape[2])
    return _flat(outward / angles / (np.abs(step, out=step).sum(axis=2) / angles + np.float32(1.0)))


def _harmonics(rings: Floats) -> Floats:
    """Fourier magnitudes of whole grey levels along rings: (ring, angle, n) to (ring, order, n)."""
    angles = rings.shape[1]
    half = angles // 2
    # Opposite angles have the same wave, or its negative: whole numbers are added, half the products remain.
    folded = rings[:, :half] + rings[:, half:], rings[:, :half] - rings[:, half:]
    theta = 2 * np.pi * np.arange(half) / angles
    waves = np.empty((rings.shape[0], _ORDERS, rings.shape[2]), np.float32)
    for order in range(1, _ORDERS + 1):
        values = folded[order % 2]
        real, imaginary = (
            np.sum([values[:, i] * wave[i] for i in range(half)], axis=0)
            for wave in (np.cos(order * theta).astype(np.float32), np.sin(order * theta).astype(np.float32))
        )
        waves[:, order - 1] = np.sqrt(real * real + imaginary * imaginary) / np.float32(angles)
    return waves


def _darkest(side: Floats, beside: int) -> NDArray[np.intp]:
    """First angle of the lowest sum over an angle and its neighbours: (angle, n) to (n,)."""
    together = side.copy()
    for turn in range(1, beside + 1):
        together += np.roll(side, turn, axis=0)
        together += np.roll(side, -turn, axis=0)
    return together.argmin(axis=0)


def _turned(rings: Floats, first: NDArray[np.intp]) -> Floats:
    """Every second angle from the first one on: (channel, ring, angle, n) to (channel, ring, angle / 2, n)."""
    angles = rings.shape[2]
    index = (first + np.arange(0, angles, 2)[:, None]) % angles
    return np.take_along_axis(rings, index[None, None], axis=2)


def _flat(values: Floats) -> Floats:
    return values.reshape(int(np.prod(values.shape[:-1])), values.shape[-1])
