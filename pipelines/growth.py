"""What grows tall and is no hazard: trees, hedges, banks of tall plants, with the shade they cast beside them.

A model that had seen few of them took the shade along hedges and under trees for trenches (docs/detection.md). All are
drawn in pixels, for the scale of a texture is not known.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.boulders import SHADE

Plane = NDArray[np.float32]

# Leaves and dry stems, red to blue: summer, spring, straw, autumn; and leaves as colour infrared shows them, where
# natural colour stands for it: bright, in shade that no sky lights.
_LEAVES = np.array(
    [[62, 88, 42], [96, 120, 58], [168, 150, 105], [150, 92, 52], [205, 95, 85], [160, 70, 75]], dtype=np.float32
)
_INFRARED_FROM = 4
_INFRARED_SHADE = np.array([0.5, 1.0, 1.0], dtype=np.float32)
# Shade is cast on a plane of a quarter of the size: its edge is soft in any case.
_COARSER = 4


def with_growth(ground: Plane, rng: np.random.Generator) -> Plane:
    """Let tall plants stand on five of six grounds, singly, in rows or in banks.

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
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(18, 65))
    for _ in range(int(rng.integers(1, 4))):
        outline = (_crowns, _hedge, _bank)[int(rng.integers(3))]
        height = outline(ground.shape[:2], rng)
        height = height * np.clip(1 + rng.uniform(0.1, 0.6) * rough(height.shape, rng, float(rng.uniform(6, 40))), 0, 3)
        ground = _grown(ground, height.astype(np.float32), (azimuth, elevation), rng)
    return ground


def _crowns(size: tuple[int, ...], rng: np.random.Generator) -> Plane:
    """Heights (pixels) of crowns that stand apart or run into each other."""
    height = np.zeros(size, np.float32)
    largest = float(np.exp(rng.uniform(np.log(25), np.log(260))))
    rows, cols = np.mgrid[: size[0], : size[1]].astype(np.float32)
    for _ in range(int(rng.integers(1, 12))):
        row, col = rng.uniform(0, size)
        radius = largest * rng.uniform(0.4, 1.0)
        dome = 1 - ((rows - row) ** 2 + (cols - col) ** 2) / radius**2
        np.maximum(height, np.sqrt(np.clip(dome, 0, 1)) * radius * rng.uniform(0.6, 1.8), out=height)
    return height


def _hedge(size: tuple[int, ...], rng: np.random.Generator) -> Plane:
    """Heights of a strip of bushes that wanders, with gaps."""
    angle, width = rng.uniform(0, np.pi), float(np.exp(rng.uniform(np.log(8), np.log(120))))
    away = np.abs(_beyond(size, rng, angle))
    height = np.sqrt(np.clip(1 - (away / width) ** 2, 0, 1)) * width * rng.uniform(0.6, 2.0)
    gaps = np.clip(2 * (rough(size, rng, float(rng.uniform(40, 200))) + rng.uniform(0.2, 1.6)), 0, 1)
    return np.asarray(height * gaps, dtype=np.float32)


def _bank(size: tuple[int, ...], rng: np.random.Generator) -> Plane:
    """Heights of tall plants on one side of an edge."""
    reach = float(rng.uniform(2, 30))
    away = _beyond(size, rng, rng.uniform(0, 2 * np.pi))
    return np.asarray(np.clip(away / reach, 0, 1) * np.exp(rng.uniform(np.log(5), np.log(90))), dtype=np.float32)


def _beyond(size: tuple[int, ...], rng: np.random.Generator, angle: float) -> Plane:
    """Pixels beyond a line that wanders."""
    rows, cols = np.mgrid[: size[0], : size[1]].astype(np.float32)
    middle = rng.uniform(0.15, 0.85, 2) * size
    straight = (rows - middle[0]) * np.sin(angle) + (cols - middle[1]) * np.cos(angle)
    wander = rng.uniform(5, 60) * rough(size, rng, 200) + rng.uniform(1, 12) * rough(size, rng, 30)
    return np.asarray(straight + wander, dtype=np.float32)


def _grown(ground: Plane, height: Plane, sun: tuple[float, float], rng: np.random.Generator) -> Plane:
    """Cast the shade of what stands on a ground, and cover it with leaves."""
    kind = int(rng.integers(len(_LEAVES)))
    dark = SHADE * np.float32(rng.uniform(0.5, 1.2)) * (_INFRARED_SHADE if kind >= _INFRARED_FROM else 1)
    ground = ground * (1 - shade_of(height, sun)[..., None] * (1 - dark))
    cover = np.clip(height / rng.uniform(2.0, 8.0) + 0.4 * rough(height.shape, rng, 4), 0, 1) * (height > 0)
    # Here and there the ground is seen between the leaves.
    cover *= np.clip(3 * (rough(height.shape, rng, float(rng.uniform(5, 30))) + rng.uniform(0.3, 2.5)), 0, 1)
    leaf = _LEAVES[kind] * np.exp(rng.normal(0.0, 0.25) + rng.normal(0.0, 0.08, 3))
    clumps = rough(height.shape, rng, float(rng.uniform(4, 14)))
    relief = cv2.GaussianBlur(height + clumps * np.float32(rng.uniform(1.0, 5.0)), (0, 0), 1.0)
    down, across = np.gradient(relief)
    azimuth, elevation = sun
    toward = -(down * np.sin(azimuth) + across * np.cos(azimuth))
    cosine = (np.sin(elevation) + np.cos(elevation) * toward) / np.sqrt(1 + down**2 + across**2)
    light = np.clip(0.35 + 0.8 * cosine, 0.2, 1.5) * np.clip(1 + rng.uniform(0.1, 0.4) * clumps, 0.25, 1.6)
    leaves = leaf.astype(np.float32) * light.astype(np.float32)[..., None]
    share = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), 0.7)[..., None]
    return np.asarray(ground * (1 - share) + leaves * share, dtype=np.float32)


def shade_of(height: Plane, sun: tuple[float, float]) -> Plane:
    """Share of each pixel that lies in the shade of what stands toward the sun.

    Parameters
    ----------
    height : float32 array, shape (row, col)
        Above flat ground, in pixels.
    sun : (azimuth, elevation)
        Radians; the azimuth is the direction that shade falls in, from columns towards rows.
    """
    azimuth, elevation = sun
    small = (height.shape[1] // _COARSER, height.shape[0] // _COARSER)
    coarse = np.asarray(cv2.resize(height, small, interpolation=cv2.INTER_AREA)) / _COARSER
    falls = np.tan(elevation)
    shaded = np.zeros_like(coarse)
    for step in range(1, int(coarse.max() / falls) + 2):
        away = np.array([[1, 0, np.cos(azimuth) * step], [0, 1, np.sin(azimuth) * step]], dtype=np.float32)
        over = cv2.warpAffine(coarse, away, small) - step * falls - coarse
        np.maximum(shaded, np.clip(over + 0.5, 0, 1), out=shaded)
    return np.asarray(cv2.resize(shaded, height.shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def rough(size: tuple[int, ...], rng: np.random.Generator, cell_px: float) -> Plane:
    """Noise of about unit variance, smooth over cells of so many pixels, with detail of half and a quarter of them."""
    total = np.zeros(size, np.float32)
    for part in (1.0, 0.5, 0.25):
        cell = max(2.0, cell_px * part)
        coarse = rng.standard_normal([int(side / cell) + 3 for side in size], dtype=np.float32)
        whole = (int(coarse.shape[1] * cell) + 1, int(coarse.shape[0] * cell) + 1)
        total += np.float32(part) * cv2.resize(coarse, whole, interpolation=cv2.INTER_CUBIC)[: size[0], : size[1]]
    return total
