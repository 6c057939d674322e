"""From reflectance to bytes: optics, noise, exposure, tone curve and compression of one camera."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from survey.synthetic.noise import Field
from survey.synthetic.site import Sensor

_RED = 0
_LEAST_SPAN = 0.12  # thermal levels; a camera does not blow its own noise up without bound


def expose(radiance: Field, columns: NDArray[np.intp], sensor: Sensor, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Photograph a canvas.

    Parameters
    ----------
    radiance : float32 array, (bands, height, width)
        Reflectance under the site's light.
    columns : array of int
        Bands, as from :func:`survey.synthetic.materials.band_columns`.
    sensor : Sensor
    rng : Generator
        For the noise.

    Returns
    -------
    uint8 array, (bands, height, width)
    """
    bands = [blurred(plane, sensor) for plane in radiance]
    levels = np.array([max(float(np.median(plane[::4, ::4])), 1e-3) for plane in bands])
    level = float(levels.mean())
    pull = sensor.grey_world * (0.35 if _RED in columns else 1.0)
    gains = np.array([sensor.balance[column] for column in columns]) * (level / levels) ** pull
    mid = sensor.exposure ** (1.0 / sensor.gamma)
    thermal = len(columns) == 1 and columns[0] == 4
    out = []
    for index, plane in enumerate(bands):
        if thermal:
            out.append(_stretch(plane, sensor))
            continue
        gain = gains[index] * mid / level
        light = np.clip(plane * np.float32(gain) + np.float32(0.6 * sensor.haze * mid), 0.0, None)
        plane = np.asarray(cv2.pow(light, sensor.gamma), dtype=np.float32)
        plane = sensor.exposure + (plane - sensor.exposure) * np.float32(sensor.contrast)
        out.append(_shoulder(plane))
    stack = np.stack(out)
    if len(columns) >= 3 and not thermal:
        grey = stack[:3].mean(axis=0)
        stack[:3] = grey + (stack[:3] - grey) * np.float32(sensor.saturation)
    if sensor.vignetting > 0:
        stack *= _vignette(stack.shape[1:], sensor.vignetting)
    stack = np.stack([_noisy(plane, sensor, rng) for plane in stack])
    if sensor.sharpening > 0:
        stack = np.stack([_sharpened(plane, sensor.sharpening) for plane in stack])
    pixels: NDArray[np.uint8] = np.clip(stack * 255.0 + 0.5, 0, 255).astype(np.uint8)
    return compressed(pixels, sensor.jpeg_quality) if sensor.jpeg_quality else pixels


def compressed(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """JPEG there and back: three bands together with shared colour, a fourth or a single one as grey."""
    out = pixels.copy()
    start = 0
    if len(pixels) >= 3:
        colour = np.ascontiguousarray(np.moveaxis(pixels[:3], 0, -1)[..., ::-1])
        out[:3] = np.moveaxis(_through_jpeg(colour, quality)[..., ::-1], -1, 0)
        start = 3
    for index in range(start, len(pixels)):
        out[index] = _through_jpeg(pixels[index], quality)
    return out


def _through_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), dtype=np.uint8)


def blurred(plane: Field, sensor: Sensor) -> Field:
    """Defocus (Gaussian) and motion (a line) of a camera, in pixels."""
    if sensor.blur_px > 0.2:
        plane = np.asarray(cv2.GaussianBlur(plane, (0, 0), sensor.blur_px), dtype=np.float32)
    if sensor.motion_px >= 1.0:
        plane = np.asarray(cv2.filter2D(plane, -1, _motion(sensor.motion_px, sensor.motion_deg)), dtype=np.float32)
    return plane


def _motion(length_px: float, angle_deg: float) -> Field:
    size = 2 * math.ceil(length_px / 2) + 3
    kernel = np.zeros((size, size), dtype=np.uint8)
    half = length_px / 2
    dx, dy = half * math.cos(math.radians(angle_deg)), half * math.sin(math.radians(angle_deg))
    c = size // 2
    ends = [(round((c + s * dx) * 16), round((c + s * dy) * 16)) for s in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 255, 1, cv2.LINE_AA, 4)
    weights = kernel.astype(np.float32)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def _stretch(plane: Field, sensor: Sensor) -> Field:
    """Stretch a frame between its own extremes, as thermal cameras do; the absolute level is lost."""
    low, high = np.percentile(plane[::4, ::4], (0.5, 99.8))
    span = max(float(high - low), _LEAST_SPAN) / np.float32(0.55 + 0.4 * sensor.exposure)
    return np.asarray(sensor.exposure * 0.35 + (plane - low) / span * sensor.contrast, dtype=np.float32)


def _shoulder(plane: Field) -> Field:
    """Roll highlights off instead of cutting them."""
    knee = np.float32(0.78)
    over = np.maximum(plane - knee, 0.0)
    return np.asarray(np.clip(np.minimum(plane, knee) + over / (1.0 + 2.2 * over), 0.0, 1.0), dtype=np.float32)


def _vignette(shape: tuple[int, ...], strength: float) -> Field:
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    cols = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    return np.asarray(1.0 - np.float32(strength) * 0.5 * (rows**2 + cols**2), dtype=np.float32)


def _noisy(plane: Field, sensor: Sensor, rng: np.random.Generator) -> Field:
    if sensor.noise <= 0:
        return plane
    noise = rng.standard_normal(plane.shape, dtype=np.float32)
    if sensor.noise > 2.0:  # strong noise has been filtered in the camera, which leaves it coarser
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.6) * 1.9, dtype=np.float32)
    return np.asarray(plane + noise * np.float32(sensor.noise / 255.0), dtype=np.float32)


def _sharpened(plane: Field, strength: float) -> Field:
    soft = cv2.GaussianBlur(plane, (0, 0), 1.0)
    return np.asarray(plane + np.float32(strength) * (plane - soft), dtype=np.float32)
