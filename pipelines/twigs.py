"""Lines that lie on any ground and are no hazard: twigs, dry stalks, cracks, joints of paving, kerbs.

A model that had seen few of them took branches, cracks and the edges of paths for rockets (docs/detection.md).
All are drawn in pixels, for the scale of a texture is not known.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Points = NDArray[np.float64]

# Fixed-point bits of OpenCV's drawing: lines begin and end between pixels.
_BITS = 4
_KINDS_A_GROUND = 3


def with_lines(ground: Plane, rng: np.random.Generator) -> Plane:
    """Lay lines of up to three kinds on two of three grounds.

    Parameters
    ----------
    ground : float32 array, (height, width, 3)
        Levels of red, green and blue, 0-255.
    rng : Generator

    Returns
    -------
    float32 array like ``ground``.
    """
    if rng.random() < 1 / 3:
        return ground
    kinds: tuple[Callable[[Plane, np.random.Generator], Plane], ...] = (_twigs, _stalks, _cracks, _joints, _kerb)
    for number in rng.permutation(len(kinds))[: int(rng.integers(1, _KINDS_A_GROUND + 1))]:
        ground = kinds[number](ground, rng)
    return ground


def _twigs(ground: Plane, rng: np.random.Generator) -> Plane:
    """Branches with their twigs, each with its shadow."""
    size = ground.shape[:2]
    wood = np.array([120.0, 105.0, 88.0]) * rng.uniform(0.35, 1.9) * rng.uniform(0.9, 1.1, 3)
    share, cast = np.zeros(size, np.float32), np.zeros(size, np.float32)
    sun = rng.normal(0.0, 1.0, 2)
    away = sun / np.hypot(*sun) * rng.uniform(0.5, 5.0)
    longest = rng.uniform(60, 420)
    for _ in range(int(rng.integers(2, 40))):
        length = longest * rng.uniform(0.3, 1.0)
        for line, width in _branching(rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi), length, rng):
            stroke(share, line, width, 1.0)
            stroke(cast, line + away, width * 1.3, 1.0)
    soft = cv2.GaussianBlur(cast, (0, 0), 1.0)[..., None] * np.float32(rng.uniform(0.0, 0.7))
    return _over(ground * (1 - soft), share * np.float32(rng.uniform(0.5, 1.0)), wood)


def _branching(
    start: Points, heading: float, length: float, rng: np.random.Generator, depth: int = 0
) -> list[tuple[Points, float]]:
    """Lines and widths of a branch and what grows from it."""
    steps = max(3, int(length / 12))
    turns = heading + np.cumsum(rng.normal(0.0, 0.12, steps))
    line = start + np.cumsum(np.column_stack([np.sin(turns), np.cos(turns)]), axis=0) * length / steps
    found = [(line, max(0.8, length / rng.uniform(25, 60)))]
    if depth < 2:
        for _ in range(int(rng.integers(0, 5))):
            at = int(rng.integers(steps))
            side = turns[at] + rng.choice([-1.0, 1.0]) * rng.uniform(0.3, 1.0)
            found += _branching(line[at], side, length * rng.uniform(0.2, 0.55), rng, depth + 1)
    return found


def _stalks(ground: Plane, rng: np.random.Generator) -> Plane:
    """Dry stalks: thin, straight, in swarms."""
    share = np.zeros(ground.shape[:2], np.float32)
    straw = np.array([205.0, 190.0, 150.0]) * rng.uniform(0.5, 1.25)
    for _ in range(int(rng.integers(1, 12))):
        centre, spread = rng.uniform(0, share.shape, 2), rng.uniform(20, 150)
        way, length = rng.uniform(0, np.pi), rng.uniform(12, 90)
        for _ in range(int(rng.integers(5, 60))):
            angle = way + rng.normal(0.0, 0.6)
            half = np.array([np.sin(angle), np.cos(angle)]) * length * rng.uniform(0.3, 1.0) / 2
            middle = centre + rng.normal(0.0, spread, 2)
            stroke(share, np.array([middle - half, middle + half]), rng.uniform(0.7, 2.2), rng.uniform(0.4, 1.0))
    return _over(ground, share, straw)


def _cracks(ground: Plane, rng: np.random.Generator) -> Plane:
    """Cracks and ruts: dark or pale lines that wander."""
    share = np.zeros(ground.shape[:2], np.float32)
    for _ in range(int(rng.integers(2, 14))):
        steps = int(rng.integers(10, 90))
        turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0.0, rng.uniform(0.1, 0.5), steps))
        line = rng.uniform(0, share.shape, 2) + np.cumsum(np.column_stack([np.sin(turns), np.cos(turns)]) * 10, axis=0)
        stroke(share, line, rng.uniform(0.8, 5.0), rng.uniform(0.4, 1.0))
    change = np.float32(rng.uniform(0.25, 0.8) if rng.random() < 0.7 else rng.uniform(1.15, 1.7))
    return np.asarray(ground * (1 + share[..., None] * (change - 1)), dtype=np.float32)


def _joints(ground: Plane, rng: np.random.Generator) -> Plane:
    """Joints of slabs or rows of drilling: straight lines side by side, now and then crossed."""
    share = np.zeros(ground.shape[:2], np.float32)
    heading, width = rng.uniform(0, np.pi), rng.uniform(0.8, 4.0)
    for turn in (0.0, np.pi / 2)[: int(rng.integers(1, 3))]:
        along = np.array([np.sin(heading + turn), np.cos(heading + turn)])
        across = np.array([-along[1], along[0]])
        for away in np.arange(-800, 800, rng.uniform(25, 260)):
            middle = np.array(share.shape) / 2 + across * away
            stroke(share, np.array([middle - 900 * along, middle + 900 * along]), width, 1.0)
    change = np.float32(rng.uniform(0.4, 0.85) if rng.random() < 0.6 else rng.uniform(1.1, 1.5))
    return np.asarray(ground * (1 + share[..., None] * (change - 1)), dtype=np.float32)


def _kerb(ground: Plane, rng: np.random.Generator) -> Plane:
    """Kerbs, painted lines and hoses: a few long lines of one colour, with a shaded side."""
    share, cast = np.zeros(ground.shape[:2], np.float32), np.zeros(ground.shape[:2], np.float32)
    colour = np.full(3, rng.uniform(20, 245)) * rng.uniform(0.85, 1.15, 3)
    width = rng.uniform(2, 22)
    for _ in range(int(rng.integers(1, 4))):
        steps = 40
        turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0.0, rng.uniform(0.0, 0.08), steps))
        line = rng.uniform(0, share.shape, 2) + np.cumsum(np.column_stack([np.sin(turns), np.cos(turns)]) * 40, axis=0)
        if rng.random() < 0.4:
            line = line[: int(rng.integers(3, steps))]
        stroke(share, line, width, 1.0)
        stroke(cast, line + rng.normal(0.0, width / 3, 2), width * 1.2, 1.0)
    dark = cast[..., None] * np.float32(rng.uniform(0.0, 0.6))
    return _over(ground * (1 - dark), share, colour)


def stroke(share: Plane, line: Points, width: float, level: float) -> None:
    """Draw a line (row, column) into a plane; thinner than a pixel it is fainter."""
    points = np.rint(line[:, ::-1] * 2**_BITS).astype(np.int32)
    drawn = max(1, round(width))
    cv2.polylines(share, [points], False, float(level * min(1.0, width)), drawn, cv2.LINE_8, _BITS)


def _over(ground: Plane, share: Plane, colour: NDArray[np.float64]) -> Plane:
    """Lay a colour over a ground, with a little of the ground's own grain in it."""
    soft = cv2.GaussianBlur(share, (0, 0), 0.5)[..., None]
    grain = ground / np.maximum(cv2.blur(ground, (31, 31)), 1.0)
    return np.asarray(ground * (1 - soft) + colour.astype(np.float32) * grain * soft, dtype=np.float32)
