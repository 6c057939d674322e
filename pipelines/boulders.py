"""Large things that lie on any ground and are no hazard: boulders, slabs, boxes, water, the dappled shade of trees.

A model that had seen none of them took gaps between boulders, flecks of light and the shade of trees on asphalt for
craters, trenches and dugouts (docs/detection.md). All are drawn in pixels, for the scale of a texture is not known.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.twigs import stroke

Plane = NDArray[np.float32]

# Colour of shade against sunlit ground, red to blue: the sky that lights it is blue.
SHADE = np.array([0.42, 0.47, 0.58], dtype=np.float32)
_KINDS_A_GROUND = 2


def with_large_things(ground: Plane, rng: np.random.Generator) -> Plane:
    """Lay large things of one or two kinds on five of six grounds.

    Parameters
    ----------
    ground : float32 array, (height, width, 3)
        Levels of red, green and blue, 0-255.
    rng : Generator

    Returns
    -------
    float32 array like ``ground``.
    """
    if rng.random() < 1 / 6:
        return ground
    kinds: tuple[Callable[[Plane, np.random.Generator], Plane], ...] = (_boulders, _slabs, _boxes, _water, _dapples)
    chosen = rng.permutation(len(kinds))[: int(rng.integers(1, _KINDS_A_GROUND + 1))]
    # Shade falls on whatever else lies there: it is the last of the kinds.
    for number in sorted(chosen):
        ground = kinds[number](ground, rng)
    return ground


def _dapples(ground: Plane, rng: np.random.Generator) -> Plane:
    """Shade of a tree's crown, with flecks of sunlight in it and flecks of shade around."""
    size = ground.shape[:2]
    crown = _soft(_blobs(size, rng, int(rng.integers(2, 9)), (120, 420)), rng.uniform(3, 14), rng)
    edge = cv2.GaussianBlur(crown, (0, 0), 60)
    shade = crown.copy()
    for level, count in ((0.0, int(rng.integers(60, 700))), (1.0, int(rng.integers(20, 400)))):
        flecks = _ellipses(size, rng, count, (3, float(rng.uniform(12, 60))))
        # Light falls through the crown, and single leaves reach beyond it.
        near = flecks if level == 0.0 else flecks * np.clip(2 * edge, 0, 1)
        shade = shade * (1 - near) + level * near
    cast = cv2.GaussianBlur(shade, (0, 0), float(rng.uniform(0.8, 4.0)))[..., None]
    return np.asarray(ground * (1 - cast * (1 - SHADE * np.float32(rng.uniform(0.7, 1.4)))), dtype=np.float32)


def _boulders(ground: Plane, rng: np.random.Generator) -> Plane:
    """Boulders: a few apart, or a bank of them with dark gaps."""
    bank = rng.random() < 0.5
    count = int(rng.integers(60, 260)) if bank else int(rng.integers(2, 30))
    largest = float(rng.uniform(40, 170))
    middle, spread = rng.uniform(0, ground.shape[0], 2), rng.uniform(120, 420)
    rock = np.array([135.0, 128.0, 122.0]) * rng.uniform(0.5, 1.5) * rng.uniform(0.9, 1.1, 3)
    sun = rng.uniform(0, 2 * np.pi)
    ground = ground.copy()
    if bank:
        _darken_around(ground, middle, spread, float(rng.uniform(0.2, 0.5)))
    for _ in range(count):
        centre = rng.normal(middle, spread) if bank else rng.uniform(0, ground.shape[0], 2)
        _lay_boulder(ground, centre, largest * rng.uniform(0.25, 1.0), rock * rng.lognormal(0.0, 0.15), sun, rng)
    return ground


def _darken_around(ground: Plane, middle: NDArray[np.float64], spread: float, least: float) -> None:
    rows, cols = np.ogrid[: ground.shape[0], : ground.shape[1]]
    away = np.hypot(rows - middle[0], cols - middle[1]) / (1.6 * spread)
    ground *= np.clip(least + (1 - least) * away**3, least, 1.0).astype(np.float32)[..., None]


def _lay_boulder(
    ground: Plane,
    centre: NDArray[np.float64],
    radius: float,
    colour: NDArray[np.float64],
    sun: float,
    rng: np.random.Generator,
) -> None:
    """Draw one boulder with its faces, and its shadow away from the sun."""
    corners = int(rng.integers(5, 10))
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = radius * rng.uniform(0.55, 1.0, corners)
    ring = centre[::-1] + np.column_stack([np.cos(angle), np.sin(angle)]) * reach[:, None]
    away = np.array([np.cos(sun), np.sin(sun)]) * radius * rng.uniform(0.1, 0.45)
    top = centre[::-1] + rng.normal(0.0, 0.25 * radius, 2)
    left, upper = np.floor(np.minimum(ring.min(axis=0), (ring + away).min(axis=0))).astype(int) - 2
    right, lower = np.ceil(np.maximum(ring.max(axis=0), (ring + away).max(axis=0))).astype(int) + 3
    left, upper = max(left, 0), max(upper, 0)
    window = ground[upper:lower, left:right]
    if min(window.shape[:2]) < 2:
        return
    corner = np.array([left, upper])
    shadow = np.zeros(window.shape[:2], np.float32)
    cv2.fillPoly(shadow, [np.rint(ring + away - corner).astype(np.int32)], 1.0)
    window *= 1 - (1 - SHADE * np.float32(0.8)) * cv2.GaussianBlur(shadow, (0, 0), 1.2)[..., None]
    faces = np.zeros(window.shape, np.float32)
    for one, other in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        outward = (one + other) / 2 - top
        lit = 1.0 - 0.4 * np.cos(np.arctan2(outward[1], outward[0]) - sun) + rng.normal(0.0, 0.08)
        face = np.rint(np.array([one, other, top]) - corner).astype(np.int32)
        cv2.fillPoly(faces, [face], tuple(float(level) for level in colour * lit))
    cover = cv2.GaussianBlur((faces.max(axis=2) > 0).astype(np.float32), (0, 0), 0.7)[..., None]
    grain = 1 + np.float32(rng.uniform(0.02, 0.12)) * rng.standard_normal(window.shape[:2], dtype=np.float32)
    rough = cv2.GaussianBlur(grain, (0, 0), float(rng.uniform(0.6, 2.5)))[..., None]
    window[:] = window * (1 - cover) + cv2.GaussianBlur(faces, (0, 0), 0.8) * rough * cover


def _slabs(ground: Plane, rng: np.random.Generator) -> Plane:
    """Ground in parts of different tone with straight edges, dark or pale joints between them."""
    height, width = ground.shape[:2]
    rows, cols = np.mgrid[:height, :width].astype(np.float32)
    tone = np.ones((height, width, 3), np.float32)
    joints = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 5))):
        angle, middle = rng.uniform(0, np.pi), rng.uniform(0.15, 0.85, 2) * (height, width)
        along, across = np.array([np.sin(angle), np.cos(angle)]), np.array([-np.cos(angle), np.sin(angle)])
        side = (rows - middle[0]) * across[0] + (cols - middle[1]) * across[1] > 0
        tone[side] *= np.exp(rng.normal(0.0, 0.18) + rng.normal(0.0, 0.03, 3)).astype(np.float32)
        ends = np.array([middle - 1600 * along, middle + 1600 * along])
        stroke(joints, ends, float(rng.uniform(0.8, 8.0)), 1.0)
    if rng.random() < 0.5:
        smooth = np.asarray(cv2.GaussianBlur(ground, (0, 0), float(rng.uniform(1.5, 6.0))), dtype=np.float32)
        ground = smooth + rng.standard_normal((height, width, 1), dtype=np.float32) * np.float32(rng.uniform(1, 7))
    change = np.float32(rng.uniform(0.2, 0.7) if rng.random() < 0.8 else rng.uniform(1.2, 1.6))
    soft = cv2.GaussianBlur(joints, (0, 0), 0.8)[..., None]
    return np.asarray(ground * cv2.GaussianBlur(tone, (0, 0), 0.8) * (1 + soft * (change - 1)), dtype=np.float32)


def _boxes(ground: Plane, rng: np.random.Generator) -> Plane:
    """Cars, crates and roofs: large boxes of one paint, with panes, edges that shine and a shadow."""
    ground, size = ground.copy(), ground.shape[:2]
    sun = rng.normal(0.0, 1.0, 2)
    for _ in range(int(rng.integers(1, 7))):
        longer = float(rng.uniform(60, 420))
        sides, turn = (longer, longer * rng.uniform(0.3, 0.8)), float(rng.uniform(0, 180))
        middle = rng.uniform(0, size, 2)[::-1]
        away = middle + sun / np.hypot(*sun) * longer * rng.uniform(0.03, 0.15)
        cast = cv2.GaussianBlur(_box(size, away, sides, turn), (0, 0), 1.5)[..., None]
        ground *= 1 - cast * (1 - SHADE * np.float32(rng.uniform(0.6, 1.1)))
        paint = rng.uniform(15, 245) * np.exp(rng.normal(0.0, 0.35, 3) * (rng.random() < 0.6))
        ground = _covered(ground, _box(size, middle, sides, turn), paint)
        for _ in range(int(rng.integers(0, 5))):
            inner = (sides[0] * rng.uniform(0.08, 0.4), sides[1] * rng.uniform(0.3, 0.9))
            along = np.deg2rad(turn)
            shifted = middle + np.array([np.cos(along), np.sin(along)]) * sides[0] * rng.uniform(-0.35, 0.35)
            ground = _covered(ground, _box(size, shifted, inner, turn), rng.uniform(5, 255) * np.ones(3))
    return ground


def _box(size: tuple[int, ...], middle: NDArray[np.float64], sides: tuple[float, float], turn: float) -> Plane:
    share = np.zeros(size, np.float32)
    corners = cv2.boxPoints(((float(middle[0]), float(middle[1])), sides, turn))
    cv2.fillPoly(share, [np.rint(corners).astype(np.int32)], 1.0)
    return np.asarray(cv2.GaussianBlur(share, (0, 0), 0.8), dtype=np.float32)


def _covered(ground: Plane, share: Plane, colour: NDArray[np.float64]) -> Plane:
    paint = np.clip(colour, 0, 255).astype(np.float32)
    return np.asarray(ground * (1 - share[..., None]) + paint * share[..., None], dtype=np.float32)


def _water(ground: Plane, rng: np.random.Generator) -> Plane:
    """Water or wet mud over a part: dark, smooth, in waves."""
    size = ground.shape[:2]
    share = _soft(_blobs(size, rng, int(rng.integers(1, 5)), (150, 500)), rng.uniform(2, 10), rng)[..., None]
    bed = cv2.GaussianBlur(ground, (0, 0), float(rng.uniform(4, 20))) * np.float32(rng.uniform(0.3, 0.9))
    tint = np.array([0.9, 1.0, 0.85]) * rng.uniform(0.8, 1.2, 3)
    wave = cv2.GaussianBlur(rng.standard_normal(size, dtype=np.float32), (0, 0), float(rng.uniform(3, 25)))
    wave = 1 + np.float32(rng.uniform(0.02, 0.12)) * wave / max(float(wave.std()), 1e-6)
    return np.asarray(ground * (1 - share) + bed * tint.astype(np.float32) * wave[..., None] * share, dtype=np.float32)


def _blobs(size: tuple[int, ...], rng: np.random.Generator, count: int, radius: tuple[float, float]) -> Plane:
    """Share of some large lobes side by side."""
    share = np.zeros(size, np.float32)
    middle = rng.uniform(0.1, 0.9, 2) * size
    for _ in range(count):
        centre = np.rint(rng.normal(middle, 220))[::-1].astype(int)
        axes = np.rint(rng.uniform(*radius, 2)).astype(int)
        cv2.ellipse(share, centre.tolist(), axes.tolist(), float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    return share


def _ellipses(size: tuple[int, ...], rng: np.random.Generator, count: int, radius: tuple[float, float]) -> Plane:
    """Share of many small ellipses anywhere."""
    share = np.zeros(size, np.float32)
    for col, row in rng.uniform(0, size, (count, 2)):
        axes = np.maximum(1, np.rint(rng.uniform(*radius) * rng.uniform(0.4, 1.0, 2))).astype(int)
        cv2.ellipse(share, (int(col), int(row)), axes.tolist(), float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    return share


def _soft(share: Plane, sigma: float, rng: np.random.Generator) -> Plane:
    """Soften an edge, and make it wander."""
    size = share.shape
    steps = [np.arange(n, dtype=np.float32) for n in size]
    shift = [cv2.GaussianBlur(rng.standard_normal(size, dtype=np.float32), (0, 0), 12) * 400 for _ in range(2)]
    rows, cols = steps[0][:, None] + shift[0], steps[1][None] + shift[1]
    moved = cv2.remap(share, cols.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(cv2.GaussianBlur(moved, (0, 0), float(sigma)), dtype=np.float32)
