"""Objects of another hand: plain discs in six paints, drawn into photographs with none of the product's own drawing.

A detector that learned drawn objects could have learned the drawing. What is drawn here shares no line and no colour
with ``survey.synthetic``: flat discs with a soft edge, a little shading and a shadow, at least 25 grey levels off the
ground's median in one band. A person sees nearly all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import from_origin

from pipelines.grounds import APART_M, CRS, NORTH, WEST
from survey.layers import LABELS, REVIEWED, conform
from survey.synthetic.scene import DrawnScene

SIZES_M = {"mine_at": (0.27, 0.34), "mine_ap": (0.07, 0.12)}
PAINTS = np.array(
    [[85, 90, 55], [170, 150, 115], [110, 110, 110], [70, 95, 60], [95, 75, 55], [45, 45, 45]], np.float32
)
"""Olive, sand, grey, green, brown, black: 8-bit red, green, blue."""

_LEAST_CONTRAST = 25.0
_FINE = 8
_SUN = 1.1  # radians: shadows fall down and a little to the right
_SHADOW, _SHADOW_AWAY = 0.45, 0.35
_EDGE_PX = 0.6


def plain_grounds(files: Sequence[Path], gsd_m: float, code: str, count: int) -> Iterator[DrawnScene]:
    """Photographs, taken to be of a GSD and laid out in a row, each with so many plain discs of one class."""
    rng = np.random.default_rng(5)
    for number, path in enumerate(files):
        with rasterio.open(path) as image:
            pixels = np.ascontiguousarray(np.moveaxis(image.read([1, 2, 3]), 0, 2))
        discs = [_draw(pixels, gsd_m, SIZES_M[code], rng) for _ in range(count)]
        height, width = pixels.shape[:2]
        west = WEST + APART_M * number
        x, y, radius = np.array(discs).T
        shapes = shapely.buffer(shapely.points(west + x * gsd_m, NORTH - y * gsd_m), radius)
        table = {"class_code": code, "occlusion": 0.0, "site": path.stem}
        labels = gpd.GeoDataFrame([table] * count, geometry=shapes, crs=CRS)
        whole = shapely.box(west, NORTH - height * gsd_m, west + width * gsd_m, NORTH)
        reviewed = gpd.GeoDataFrame({"site": [path.stem]}, geometry=[whole], crs=CRS)
        yield DrawnScene(
            np.ascontiguousarray(np.moveaxis(pixels, 2, 0)), ("red", "green", "blue"),
            from_origin(west, NORTH, gsd_m, gsd_m), CRS, gsd_m, np.ones((height, width), bool),
            conform(labels, LABELS, crs=CRS), conform(reviewed, REVIEWED, crs=CRS),
        )  # fmt: skip


def _draw(
    pixels: NDArray[np.uint8], gsd_m: float, sizes_m: tuple[float, float], rng: np.random.Generator
) -> tuple[float, float, float]:
    """Draw one disc where its paint stands out; returns its centre (x, y, pixels) and radius (metres)."""
    while True:
        diameter = rng.uniform(*sizes_m)
        reach = int(np.ceil(2 * diameter / gsd_m)) + 3
        row, col = (int(rng.integers(reach, side - reach)) for side in pixels.shape[:2])
        window = pixels[row - reach : row + reach + 1, col - reach : col + reach + 1]
        paint = PAINTS[rng.integers(len(PAINTS))] * np.float32(rng.uniform(0.8, 1.2))
        if np.abs(paint - np.median(window.reshape(-1, 3), axis=0)).max() >= _LEAST_CONTRAST:
            break
    side = 2 * reach + 1
    down, across = (np.mgrid[: side * _FINE, : side * _FINE] + 0.5) / _FINE - reach - 0.5
    radius = diameter / gsd_m / 2
    to_sun = np.sin(_SUN) * down + np.cos(_SUN) * across
    off = _SHADOW_AWAY * radius
    shadow = np.hypot(down - np.sin(_SUN) * off, across - np.cos(_SUN) * off) < radius
    disc, well = np.hypot(down, across) < radius, np.hypot(down, across) < 0.45 * radius
    light = _shrunk(1 - 0.12 * to_sun / radius * disc - 0.12 * well, side)
    ground = window * (1 - _SHADOW * _softened(shadow, side))
    own = np.clip(paint * light + rng.normal(0, 3, window.shape), 0, 255)
    cover = _softened(disc, side)
    window[:] = np.clip(ground * (1 - cover) + own * cover, 0, 255).astype(np.uint8)
    return col + 0.5, row + 0.5, diameter / 2


def _shrunk(fine: NDArray[np.floating], side: int) -> NDArray[np.float32]:
    return cv2.resize(fine.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)[..., None]


def _softened(fine: NDArray[np.bool_], side: int) -> NDArray[np.float32]:
    return cv2.GaussianBlur(_shrunk(fine, side)[..., 0], (0, 0), _EDGE_PX)[..., None]
