"""A pad to draw one thing on, in metres of the thing's own axes, and the few strokes everything is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from affine import Affine
from numpy.typing import NDArray

from survey.synthetic.materials import PAINTS, SOILS, STONES, Spectrum
from survey.synthetic.noise import Field, patch_noise
from survey.synthetic.site import Site

Mask = NDArray[Any]

_MANY_PIXELS = 60_000


@dataclass(frozen=True)
class Pad:
    """Fine pixels around one thing.

    ``u`` and ``v`` are each pixel's place along and across the thing, metres, shape (rows, columns);
    ``px_m`` the size of a fine pixel; ``columns`` the bands; ``rng`` the thing's own randomness. ``earth`` and
    ``leaf`` are the colours (bands) of turned soil and of plants there; ``age`` 0 fresh to 1 old; ``path`` the
    line a long thing follows, points (u, v) in metres.
    """

    u: Field
    v: Field
    px_m: float
    columns: NDArray[np.intp]
    site: Site
    rng: np.random.Generator
    earth: Field
    leaf: Field
    age: float = 0.5
    path: tuple[tuple[float, float], ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.u.shape[0], self.u.shape[1]

    @property
    def affine(self) -> Affine:
        """Pixel centres (column, row) to (u, v)."""
        u, v = self.u, self.v
        right, down = min(1, u.shape[1] - 1), min(1, u.shape[0] - 1)
        return Affine(
            float(u[0, right] - u[0, 0]),
            float(u[down, 0] - u[0, 0]),
            float(u[0, 0]),
            float(v[0, right] - v[0, 0]),
            float(v[down, 0] - v[0, 0]),
            float(v[0, 0]),
        )

    @property
    def r(self) -> Field:
        """Distance from the thing's centre, metres."""
        return np.asarray(np.hypot(self.u, self.v), dtype=np.float32)

    def noise(self, cell_m: float, octaves: int = 2) -> Field:
        """Make unit noise with grains of this size; the same for the same thing at any resolution."""
        return patch_noise(self.rng, self.affine, self.shape, cell_m, octaves)

    def fill(self, spectrum: Spectrum) -> Field:
        """Fill a sheet of one material, (bands, rows, columns)."""
        sheet = np.empty((len(self.columns), *self.shape), dtype=np.float32)
        sheet[:] = spectrum[self.columns][:, None, None]
        return sheet

    def inside(self, distance_m: Mask) -> Field:
        """1 where a signed distance (m, negative inside) is negative, with an edge one fine pixel wide."""
        return np.asarray(np.clip(0.5 - distance_m / self.px_m, 0.0, 1.0), dtype=np.float32)

    def disc(self, radius_m: float, u0: float = 0.0, v0: float = 0.0) -> Field:
        """Draw a filled circle."""
        return self.inside(np.hypot(self.u - u0, self.v - v0) - radius_m)

    def ring(self, radius_m: float, width_m: float) -> Field:
        """Draw a circle line; where it is thinner than a pixel it fades instead of vanishing."""
        band = np.clip(0.5 + (width_m / 2 - np.abs(self.r - radius_m)) / self.px_m, 0.0, 1.0)
        return np.asarray(band * min(1.0, width_m / self.px_m), dtype=np.float32)

    def box(self, length_m: float, width_m: float, u0: float = 0.0, v0: float = 0.0, round_m: float = 0.0) -> Field:
        """Draw a filled rectangle along the thing's axes, corners rounded by ``round_m``."""
        du = np.abs(self.u - u0) - (length_m / 2 - round_m)
        dv = np.abs(self.v - v0) - (width_m / 2 - round_m)
        outside = np.hypot(np.maximum(du, 0.0), np.maximum(dv, 0.0)) + np.minimum(np.maximum(du, dv), 0.0)
        return self.inside(outside - round_m)

    def along(self, points: tuple[tuple[float, float], ...]) -> tuple[Field, Field]:
        """Measure distance from a line of points (u, v), and the signed side of it (left positive), metres."""
        nearest = np.full(self.shape, np.inf, dtype=np.float32)
        side = np.zeros(self.shape, dtype=np.float32)
        for (u1, v1), (u2, v2) in pairwise(points):
            eu, ev = u2 - u1, v2 - v1
            length = max(math.hypot(eu, ev), 1e-9)
            du, dv = self.u - np.float32(u1), self.v - np.float32(v1)
            t = np.clip((du * np.float32(eu) + dv * np.float32(ev)) / np.float32(length**2), 0.0, 1.0)
            distance = np.hypot(du - t * np.float32(eu), dv - t * np.float32(ev))
            closer = distance < nearest
            cross = (np.float32(eu) * dv - np.float32(ev) * du) / np.float32(length)
            side = np.where(closer, np.sign(cross) * distance, side)
            nearest = np.where(closer, distance, nearest)
        return nearest.astype(np.float32), side.astype(np.float32)

    def along_wide(self, points: tuple[tuple[float, float], ...]) -> tuple[Field, Field]:
        """Measure as :meth:`along`, on every fourth pixel where there are many: for things wider than a few pixels."""
        rows, cols = self.shape
        if rows * cols < _MANY_PIXELS:
            return self.along(points)
        a = self.affine
        c = 4.0 * np.arange(cols // 4 + 1, dtype=np.float32)[None, :]
        r = 4.0 * np.arange(rows // 4 + 1, dtype=np.float32)[:, None]
        u = np.asarray(a.a * c + a.b * r + a.c, dtype=np.float32)
        v = np.asarray(a.d * c + a.e * r + a.f, dtype=np.float32)
        coarse = replace(self, u=u, v=v, px_m=4 * self.px_m).along(points)
        matrix = np.array([[0.25, 0.0, 0.0], [0.0, 0.25, 0.0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        near, side = (
            np.asarray(
                cv2.warpAffine(f, matrix, (cols, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32
            )
            for f in coarse
        )
        return near, side

    def polygon(self, points: list[tuple[float, float]]) -> Field:
        """Draw a filled polygon of points (u, v) in metres, with a smooth edge."""
        distance = np.full(self.shape, -np.inf, dtype=np.float32)
        inside = np.zeros(self.shape, dtype=bool)
        nearest = np.full(self.shape, np.inf, dtype=np.float32)
        for (u1, v1), (u2, v2) in pairwise([*points, points[0]]):
            eu, ev = u2 - u1, v2 - v1
            t = np.clip(((self.u - u1) * eu + (self.v - v1) * ev) / max(eu * eu + ev * ev, 1e-12), 0.0, 1.0)
            nearest = np.minimum(nearest, np.hypot(self.u - u1 - t * eu, self.v - v1 - t * ev))
            crosses = (v1 > self.v) != (v2 > self.v)
            if ev != 0.0:
                inside ^= crosses & (self.u < u1 + (self.v - v1) * eu / ev)
        distance = np.where(inside, -nearest, nearest)
        return self.inside(distance)


@dataclass
class Sketch:
    """What was drawn on a pad, before light falls on it.

    ``colour`` (bands, rows, columns) is the thing's reflectance, ``alpha`` its cover (0-1), ``height`` the relief
    in metres over the ground, of the thing and of earth it has moved. ``stain`` (bands, rows, columns) multiplies
    the ground around it. ``whole`` is the footprint a label stands for and ``shown`` what can be seen of it, where
    these are not ``alpha``.
    """

    colour: Field
    alpha: Field
    height: Field
    stain: Field | None = None
    whole: Field | None = None
    shown: Field | None = None
    gloss: float = 0.0


def mix(sheet: Field, spectrum: Any, mask: Mask) -> Field:
    """Paint ``spectrum`` (bands) over a sheet where ``mask`` says, in place."""
    target = spectrum[:, None, None] if spectrum.ndim == 1 else spectrum
    sheet += mask[None] * (target - sheet)
    return sheet


def lathe(pad: Pad, along: list[float], radii: list[float]) -> tuple[Field, Field]:
    """Turn a body lying on its side: alpha and height of a profile of radii at places along u (m)."""
    radius = np.interp(pad.u, along, radii, left=-1.0, right=-1.0).astype(np.float32)
    alpha = pad.inside(np.abs(pad.v) - radius)
    alpha *= radius > 0
    top = np.sqrt(np.maximum(radius * radius - pad.v * pad.v, 0.0))
    return alpha, np.asarray((radius + top) * alpha, dtype=np.float32)


def weathered(pad: Pad, sheet: Field, strength: float, cell_m: float) -> Field:
    """Stain and fade a painted sheet, in place."""
    tone = 1.0 + np.float32(0.22 * strength) * pad.noise(cell_m, 3)
    sheet *= np.clip(tone, 0.4, 1.8)[None]
    return sheet


def repaint(sketch: Sketch, pad: Pad) -> None:
    """Give a thing the colour of any material, in place: all over, or over the marks it has."""
    rng = pad.rng
    materials = (*PAINTS.values(), *STONES.values(), *SOILS.values())
    base = materials[int(rng.integers(len(materials)))]
    colour = np.clip(base * np.exp(rng.normal(0.0, 0.4) + rng.normal(0.0, 0.12, len(base))), 0.01, 0.9)
    paint = colour.astype(np.float32)[pad.columns][:, None, None]
    if rng.random() < 0.5:
        paint = paint * sketch.colour / np.maximum(sketch.colour.mean(axis=(1, 2), keepdims=True), 1e-3)
    share = np.float32(rng.uniform(0.4, 1.0))
    sketch.colour += share * (paint - sketch.colour)


def leaf_shape(pad: Pad, count: int, reach_m: float, width_m: float, spread: float = 2 * math.pi) -> Field:
    """Blades that leave the centre in all directions: their alpha with brightness of each blade folded in (0-1)."""
    size = pad.shape
    canvas = np.zeros(size, dtype=np.uint8)
    centre = _centre_px(pad)
    lean = pad.rng.uniform(0.0, 2 * math.pi)
    angles = pad.rng.uniform(-spread / 2, spread / 2, count) + lean
    reach = reach_m * pad.rng.uniform(0.45, 1.0, count) / pad.px_m
    bend = pad.rng.normal(0.0, 0.5, count)
    root = pad.rng.normal(0.0, 0.12 * reach_m / pad.px_m, (count, 2))
    values = pad.rng.integers(90, 256, count)
    thick = max(1, round(width_m / pad.px_m))
    mid = root + 0.5 * reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    tip = mid + 0.5 * reach[:, None] * np.stack([np.cos(angles + bend), np.sin(angles + bend)], 1)
    points = np.round((np.stack([root, mid, tip], 1) + centre) * 8).astype(np.int32)
    for line, value in zip(points, values, strict=True):
        cv2.polylines(canvas, [line], False, int(value), thick, cv2.LINE_AA, 3)
    return np.asarray(canvas.astype(np.float32) / 255.0, dtype=np.float32)


def _centre_px(pad: Pad) -> NDArray[Any]:
    row, col = np.unravel_index(int(np.argmin(pad.u * pad.u + pad.v * pad.v)), pad.shape)
    return np.array([float(col), float(row)])
