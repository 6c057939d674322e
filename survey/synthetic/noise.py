"""Fractal noise that is a function of the place in the world, not of the picture.

Noise values stand on square lattices of the world, one lattice for each cell size of a fixed ladder
(1 cm, 2 cm, 4 cm, ...). A picture of any resolution, extent or rotation reads the same lattices, so two
pictures of one world show the same ground.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from affine import Affine
from numpy.typing import NDArray

Field = NDArray[np.float32]

LADDER_BASE_M = 0.005
_BLOCK = 128
_OFFSET = 1 << 24
_MARGIN = 5
_TEXELS = 4
_RESIZED_STD = 0.72  # standard deviation left after cubic enlargement of unit white noise, measured


@dataclass(frozen=True)
class Frame:
    """A pixel grid laid over the world.

    World coordinates are metres, x east and y north of the world's origin. The outer corner of pixel (0, 0)
    lies at (``x_m``, ``y_m``); columns run east and rows south, turned anticlockwise by ``angle_deg``.
    """

    width: int
    height: int
    gsd_m: float
    x_m: float = 0.0
    y_m: float = 0.0
    angle_deg: float = 0.0

    @property
    def affine(self) -> Affine:
        """Pixel corner coordinates (column, row) to world metres."""
        cos, sin = math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))
        g = self.gsd_m
        return Affine(g * cos, g * sin, self.x_m, g * sin, -g * cos, self.y_m)

    def to_pixel(self, x_m: float, y_m: float) -> tuple[float, float]:
        """Column and row (pixel corner coordinates) of a point of the world."""
        cos, sin = math.cos(math.radians(self.angle_deg)), math.sin(math.radians(self.angle_deg))
        dx, dy = x_m - self.x_m, y_m - self.y_m
        return (dx * cos + dy * sin) / self.gsd_m, (dx * sin - dy * cos) / self.gsd_m

    def bounds(self) -> tuple[float, float, float, float]:
        """Least and greatest x, least and greatest y of the frame's corners, metres."""
        a = self.affine
        corners = [(0, 0), (self.width, 0), (0, self.height), (self.width, self.height)]
        xs = [a.a * c + a.b * r + a.c for c, r in corners]
        ys = [a.d * c + a.e * r + a.f for c, r in corners]
        return min(xs), max(xs), min(ys), max(ys)

    def rows(self, first: int, count: int) -> Frame:
        """Lay a frame over some of the rows; ``first`` may be negative."""
        a = self.affine
        return Frame(self.width, count, self.gsd_m, a.c + first * a.b, a.f + first * a.e, self.angle_deg)

    def shrunk(self, factor: int) -> Frame:
        """Lay a coarser frame over the same ground, for fields that vary slowly."""
        return Frame(
            -(-self.width // factor) + 1,
            -(-self.height // factor) + 1,
            self.gsd_m * factor,
            self.x_m,
            self.y_m,
            self.angle_deg,
        )


def fractal(key: tuple[int, ...], frame: Frame, finest_m: float, coarsest_m: float, roughness: float = 0.5) -> Field:
    """Noise of about zero mean and unit variance, shape (height, width).

    Parameters
    ----------
    key : tuple of int
        Names the field; the same key is the same ground.
    frame : Frame
    finest_m, coarsest_m : float
        Cell sizes of the first and last lattice, metres. Cells finer than a pixel are left out.
    roughness : float
        A lattice of cell c has amplitude c ** roughness: 0 is busy, 1 is smooth.
    """
    step = _coarsening(frame, finest_m)
    if step > 1:
        small = fractal(key, frame.shrunk(step), finest_m, coarsest_m, roughness)
        return enlarge(small, step, frame)
    first = max(_rung(finest_m), math.ceil(math.log2(0.9 * frame.gsd_m / LADDER_BASE_M)))
    last = max(first, _rung(coarsest_m))
    amplitudes = {k: (LADDER_BASE_M * 2.0**k) ** roughness for k in range(first, last + 1)}
    norm = _RESIZED_STD * math.sqrt(sum(a * a for a in amplitudes.values()))
    x0, x1, y0, y1 = frame.bounds()
    total: Field | None = None
    low_j = low_i = 0
    for k in range(last, first - 1, -1):
        cell = LADDER_BASE_M * 2.0**k
        j0, j1 = math.floor(x0 / cell) - _MARGIN, math.ceil(x1 / cell) + _MARGIN
        i0, i1 = math.floor(y0 / cell) - _MARGIN, math.ceil(y1 / cell) + _MARGIN
        layer = _lattice((*key, k + 64), i0, i1, j0, j1)
        layer *= np.float32(amplitudes[k] / norm)
        if total is not None:
            size = (total.shape[1] * 2, total.shape[0] * 2)
            finer = cv2.resize(total, size, interpolation=cv2.INTER_CUBIC)
            layer += finer[i0 - 2 * low_i : i1 - 2 * low_i, j0 - 2 * low_j : j1 - 2 * low_j]
        total, low_i, low_j = layer, i0, j0
    assert total is not None
    return _sample(total, frame, LADDER_BASE_M * 2.0**first, low_i, low_j)


def enlarge(small: NDArray[Any], step: int, frame: Frame) -> Field:
    """Bring a field of ``frame.shrunk(step)`` back to the frame, bilinearly."""
    matrix = np.array([[1 / step, 0, 0.5 / step - 0.5], [0, 1 / step, 0.5 / step - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    big = cv2.warpAffine(small, matrix, (frame.width, frame.height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(big, dtype=np.float32)


def patch_noise(rng: np.random.Generator, affine: Affine, shape: tuple[int, int], cell_m: float, octaves: int) -> Field:
    """Noise of about unit variance on one thing, a function of the place on it and not of the picture.

    Parameters
    ----------
    rng : Generator
        Two numbers are drawn from it for each octave, whatever the shape.
    affine : Affine
        Pixel centres (column, row) to the thing's own axes, metres.
    shape : tuple of int
        Rows and columns.
    cell_m : float
        Size of the largest grains, metres; each octave halves it. Octaves finer than a pixel are left out.
    octaves : int
    """
    tile = _standard_tile()
    px_m = math.hypot(affine.a, affine.d)
    total = np.zeros(shape, dtype=np.float32)
    power = 0.0
    for octave in range(octaves):
        right, down = rng.uniform(0.0, tile.shape[0], 2)
        cell = cell_m / 2**octave
        if cell < px_m and octave > 0:
            continue
        k = _TEXELS / max(cell, px_m)
        matrix = np.array(
            [
                [k * affine.a, k * affine.b, k * affine.c + right],
                [k * affine.d, k * affine.e, k * affine.f + down],
            ]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (shape[1], shape[0])
        share = 0.6**octave
        total += np.float32(share) * cv2.warpAffine(tile, matrix, size, flags=flags, borderMode=cv2.BORDER_WRAP)
        power += share * share
    return np.asarray(total / np.float32(math.sqrt(power)), dtype=np.float32)


@lru_cache(maxsize=1)
def _standard_tile() -> Field:
    """Make a square of smooth unit noise that repeats without a seam, ``_TEXELS`` samples to a grain."""
    rng = np.random.default_rng(20_260_402)
    grains = rng.standard_normal((256, 256), dtype=np.float32)
    margin = 4
    wide = np.pad(grains, margin, mode="wrap")
    big = cv2.resize(wide, None, fx=_TEXELS, fy=_TEXELS, interpolation=cv2.INTER_CUBIC)
    inner = np.s_[margin * _TEXELS : -margin * _TEXELS]
    tile = np.array(big[inner, inner], dtype=np.float32)
    tile /= tile.std()
    tile.flags.writeable = False
    return tile


def _coarsening(frame: Frame, finest_m: float) -> int:
    cells_px = finest_m / frame.gsd_m
    step = 1
    while step * 8 <= cells_px and step < 16:
        step *= 2
    return step


def _rung(cell_m: float) -> int:
    return round(math.log2(cell_m / LADDER_BASE_M))


def _lattice(key: tuple[int, ...], i0: int, i1: int, j0: int, j1: int) -> Field:
    out = np.empty((i1 - i0, j1 - j0), dtype=np.float32)
    for bi in range(i0 // _BLOCK, (i1 - 1) // _BLOCK + 1):
        for bj in range(j0 // _BLOCK, (j1 - 1) // _BLOCK + 1):
            block = _block((*key, bi + _OFFSET, bj + _OFFSET))
            top, left = bi * _BLOCK, bj * _BLOCK
            a, b = max(top, i0), min(top + _BLOCK, i1)
            c, d = max(left, j0), min(left + _BLOCK, j1)
            out[a - i0 : b - i0, c - j0 : d - j0] = block[a - top : b - top, c - left : d - left]
    out -= np.float32(127.5)
    out *= np.float32(1 / 73.9)
    return out


@lru_cache(maxsize=1024)
def _block(key: tuple[int, ...]) -> NDArray[np.uint8]:
    raw = np.random.Generator(np.random.PCG64(np.random.SeedSequence(key))).bytes(_BLOCK * _BLOCK)
    return np.frombuffer(raw, dtype=np.uint8).reshape(_BLOCK, _BLOCK)


def _sample(lattice: Field, frame: Frame, cell_m: float, i0: int, j0: int) -> Field:
    a = frame.affine
    matrix = np.array(
        [
            [a.a / cell_m, a.b / cell_m, (a.c + 0.5 * (a.a + a.b)) / cell_m - 0.5 - j0],
            [a.d / cell_m, a.e / cell_m, (a.f + 0.5 * (a.d + a.e)) / cell_m - 0.5 - i0],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    field = cv2.warpAffine(lattice, matrix, (frame.width, frame.height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(field, dtype=np.float32)
