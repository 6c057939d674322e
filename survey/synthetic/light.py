"""Light on relief: shading by slope and cast shadow, for whole grounds and for single objects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from survey.synthetic.site import Light

Field = NDArray[np.float32]

# How much of the sky's blue reaches each band's shadows; a thermal camera sees shadows only faintly.
_SKY_SHARE = (-0.6, 0.1, 1.0, -0.8, 0.0)
_THERMAL_DIRECT = 0.10


@dataclass(frozen=True)
class Sun:
    """The sun as a picture sees it.

    ``right``, ``down``, ``up`` are the unit vector towards the sun in picture axes; ``direct`` (one value for each
    band) is the share of light that a shadow takes away.
    """

    right: float
    down: float
    up: float
    direct: Field

    @property
    def run_per_height(self) -> float:
        """Length of the shadow of something one metre high, metres."""
        return math.hypot(self.right, self.down) / self.up


def sun_over(light: Light, angle_deg: float, columns: NDArray[np.intp]) -> Sun:
    """Turn a site's light into picture axes.

    Parameters
    ----------
    light : Light
    angle_deg : float
        Turn of the picture's columns from east, anticlockwise.
    columns : array of int
        Bands, as from :func:`survey.synthetic.materials.band_columns`.
    """
    azimuth, elevation = math.radians(light.azimuth_deg), math.radians(light.elevation_deg)
    east, north = math.sin(azimuth) * math.cos(elevation), math.cos(azimuth) * math.cos(elevation)
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    sky = np.array([light.diffuse * (1 + light.sky_blue * share) for share in _SKY_SHARE])
    direct = np.clip(1.0 - sky, 0.0, 0.92)
    direct[4] = _THERMAL_DIRECT * (1.0 - light.diffuse)
    return Sun(
        right=east * cos + north * sin,
        down=east * sin - north * cos,
        up=math.sin(elevation),
        direct=direct[columns].astype(np.float32),
    )


def lambert(height_m: Field, px_m: float, sun: Sun) -> Field:
    """Direct light on a relief against direct light on flat ground (1 = flat, 0 = turned away), at most 1.7."""
    kernel = np.array([[-0.5, 0.0, 0.5]], dtype=np.float32) / np.float32(px_m)
    gx = np.asarray(cv2.filter2D(height_m, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE), dtype=np.float32)
    gy = np.asarray(cv2.filter2D(height_m, cv2.CV_32F, kernel.T, borderType=cv2.BORDER_REPLICATE), dtype=np.float32)
    lit = np.asarray(1.0 - gx * np.float32(sun.right / sun.up) - gy * np.float32(sun.down / sun.up), dtype=np.float32)
    gx *= gx
    gy *= gy
    gx += gy
    gx += 1.0
    lit /= cv2.sqrt(gx)
    return np.asarray(np.clip(lit, 0.0, 1.7, out=lit), dtype=np.float32)


def cast_shadow(height_m: Field, px_m: float, sun: Sun, softness_m: float) -> Field:
    """Share of the sun that the relief itself hides at each pixel, 0-1.

    The greatest height along the way to the sun, lowered by the rise of the ray, is found by doubling the
    distance looked at, so the work grows with the logarithm of the shadow's length.
    """
    highest, lowest = float(height_m.max()), float(height_m.min())
    length_px = (highest - lowest) * sun.run_per_height / px_m
    if length_px < 0.5:
        return np.zeros_like(height_m)
    flat = math.hypot(sun.right, sun.down)
    step_right, step_down = sun.right / flat, sun.down / flat
    drop = px_m / sun.run_per_height
    ray = _towards(height_m, step_right, step_down, lowest) - np.float32(drop)
    distance = 1.0
    while distance < length_px:
        ray = np.maximum(
            ray, _towards(ray, distance * step_right, distance * step_down, lowest) - np.float32(distance * drop)
        )
        distance *= 2.0
    return np.asarray(np.clip((ray - height_m) / np.float32(softness_m), 0.0, 1.0), dtype=np.float32)


def _towards(field: NDArray[Any], right: float, down: float, outside: float) -> Field:
    matrix = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (field.shape[1], field.shape[0])
    moved = cv2.warpAffine(field, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=outside)
    return np.asarray(moved, dtype=np.float32)
