"""From reflectance to bytes: optics, noise, exposure, tone curve and compression of one camera."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from survey.synthetic.noise import Field
from survey.synthetic.site import Sensor

_RED, _THERMAL = 0, 4
_STRIP = 64  # rows
_KNEE = np.float32(0.78)
_FILTERED_NOISE = 2.0
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
    stack = np.stack([blurred(plane, sensor) for plane in radiance])
    if sensor.fringe_px > 0 and len(stack) > 1:
        stack[0], stack[-1] = _shifted(stack[0], sensor, 0.5), _shifted(stack[-1], sensor, -0.5)
    if len(columns) == 1 and columns[0] == _THERMAL:
        gain, offset = _stretch(stack[0], sensor)
        curve = _Curve(np.array([gain]), offset, 1.0)
    else:
        curve = _Curve(_gains(stack, columns, sensor), 0.6 * sensor.haze * _mid(sensor), sensor.gamma)
    for top in range(0, stack.shape[1], _STRIP):  # strips, so that memory stays bounded
        part = stack[:, top : top + _STRIP]
        _tone(part, curve, sensor)
        if sensor.vignetting > 0:
            part *= _vignette(stack.shape[1:], top, part.shape[1], sensor.vignetting)
    for plane in stack:
        _add_noise(plane, sensor, rng)
        if sensor.sharpening > 0:
            plane += np.float32(sensor.sharpening) * (plane - cv2.GaussianBlur(plane, (0, 0), 1.0))
    pixels: NDArray[np.uint8] = np.clip(stack * 255.0 + 0.5, 0, 255).astype(np.uint8)
    return compressed(pixels, sensor.jpeg_quality) if sensor.jpeg_quality else pixels


class _Curve(NamedTuple):
    """Gain of each band, an offset after it, and the exponent of the tone curve."""

    gains: NDArray[np.floating[Any]]
    offset: float
    gamma: float


def _mid(sensor: Sensor) -> float:
    """Linear light that the exposure puts on mid grey."""
    return float(sensor.exposure ** (1.0 / sensor.gamma))


def _gains(stack: Field, columns: NDArray[np.intp], sensor: Sensor) -> NDArray[np.floating[Any]]:
    levels = np.array([max(float(np.median(plane[::4, ::4])), 1e-3) for plane in stack])
    level = float(levels.mean())
    pull = sensor.grey_world * (0.35 if _RED in columns else 1.0)
    balance = np.array([sensor.balance[column] for column in columns])
    return np.asarray(balance * (level / levels) ** pull * _mid(sensor) / level)


def _stretch(plane: Field, sensor: Sensor) -> tuple[float, float]:
    """Stretch a frame between its own extremes, as thermal cameras do; the absolute level is lost."""
    low, high = np.percentile(plane[::4, ::4], (0.5, 99.8))
    gain = sensor.contrast * (0.55 + 0.4 * sensor.exposure) / max(float(high - low), _LEAST_SPAN)
    return gain, float(sensor.exposure * 0.35 - low * gain)


def _tone(part: Field, curve: _Curve, sensor: Sensor) -> None:
    """Expose a strip (bands, rows, columns) in place: gain, haze, tone curve, contrast, saturation."""
    for index, plane in enumerate(part):
        plane *= np.float32(curve.gains[index])
        plane += np.float32(curve.offset)
        if curve.gamma == 1.0:
            continue
        np.clip(plane, 0.0, None, out=plane)
        plane[:] = cv2.pow(plane, curve.gamma)
        plane -= np.float32(sensor.exposure)
        plane *= np.float32(sensor.contrast)
        plane += np.float32(sensor.exposure)
        over = np.maximum(plane - _KNEE, 0.0)  # highlights roll off instead of being cut
        np.minimum(plane, _KNEE, out=plane)
        plane += over / (1.0 + np.float32(2.2) * over)
        np.clip(plane, 0.0, 1.0, out=plane)
    if len(part) >= 3:
        grey = part[:3].mean(axis=0)
        part[:3] -= grey
        part[:3] *= np.float32(sensor.saturation)
        part[:3] += grey


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


def _shifted(plane: Field, sensor: Sensor, share: float) -> Field:
    """Move a band by a fraction of a pixel: bands never lie quite on one another."""
    right = share * sensor.fringe_px * math.cos(math.radians(sensor.motion_deg))
    down = share * sensor.fringe_px * math.sin(math.radians(sensor.motion_deg))
    matrix = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
    size = (plane.shape[1], plane.shape[0])
    moved = cv2.warpAffine(plane, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)


def _vignette(shape: tuple[int, ...], top: int, count: int, strength: float) -> Field:
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[top : top + count, None]
    cols = np.linspace(-1, 1, shape[1], dtype=np.float32)[None, :]
    return np.asarray(1.0 - np.float32(strength) * 0.5 * (rows**2 + cols**2), dtype=np.float32)


def _add_noise(plane: Field, sensor: Sensor, rng: np.random.Generator) -> None:
    if sensor.noise <= 0:
        return
    coarse = sensor.noise > _FILTERED_NOISE
    for top in range(0, plane.shape[0], _STRIP):
        part = plane[top : top + _STRIP]
        noise = rng.standard_normal(part.shape, dtype=np.float32)
        if coarse:  # strong noise has been filtered in the camera, which leaves it coarser
            noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.6) * 1.9, dtype=np.float32)
        noise *= np.float32(sensor.noise / 255.0)
        part += noise
