"""Worked ground, which is no hazard: plough furrows, rows of plants, wheel tracks, swaths of mowing.

It teaches that what is long and dark on a field is seldom a trench (docs/detection.md). A lone ditch is not among
them: from above nothing tells it from one. All are drawn in pixels, for the scale of a texture is not known.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.twigs import stroke

Plane = NDArray[np.float32]

_KINDS_A_GROUND = 2


def with_furrows(ground: Plane, rng: np.random.Generator) -> Plane:
    """Work five of six grounds in one or two ways, the whole of them or a part.

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
    kinds: tuple[Callable[[Plane, np.random.Generator], Plane], ...] = (_ploughed, _rows, _tracks, _swaths)
    for number in rng.choice(len(kinds), int(rng.integers(1, _KINDS_A_GROUND + 1)), p=[0.4, 0.2, 0.25, 0.15]):
        worked = kinds[number](ground, rng)
        share = _field(ground.shape[:2], rng)[..., None]
        ground = ground * (1 - share) + worked * share
    return ground


def _ploughed(ground: Plane, rng: np.random.Generator) -> Plane:
    """Ridges side by side, lit from one side: deeper here, washed out there, broken, with clods on them."""
    size, period = ground.shape[:2], float(np.exp(rng.uniform(np.log(9), np.log(90))))
    phase = _across(size, rng, bend=float(rng.uniform(0.0, 0.6)) * period) / period
    # Every few furrows one is deeper or wider than its neighbours: the plough's last share, or where it turned.
    every = int(rng.integers(2, 9))
    deeper = 1 + rng.uniform(0.0, 1.5) * (np.floor(phase) % every == 0)
    ridges = np.abs((phase % 1.0) - 0.5) * 2
    height = (ridges ** rng.uniform(0.6, 3.0)) * deeper * period / 3
    depth = np.clip(0.6 + rng.uniform(0.2, 0.9) * _smooth(size, rng, float(rng.uniform(60, 350))), 0.0, 1.6)
    clods = _smooth(size, rng, float(rng.uniform(3, 9))) * period * rng.uniform(0.0, 0.12)
    return _lit_relief(ground, height * depth + clods, rng)


def _rows(ground: Plane, rng: np.random.Generator) -> Plane:
    """Plants or stubble in rows, with gaps, over soil."""
    size, period = ground.shape[:2], float(np.exp(rng.uniform(np.log(10), np.log(100))))
    phase = _across(size, rng, bend=float(rng.uniform(0.0, 0.3)) * period) / period
    width = rng.uniform(0.2, 0.75)
    ragged = np.abs((phase % 1.0) - 0.5) * 2 + rng.uniform(0.1, 0.6) * _smooth(size, rng, max(2.5, period / 4))
    share = step((width - ragged) * rng.uniform(6, 25)) * step(6 * (_smooth(size, rng, 80) + rng.uniform(0.0, 1.5)))
    leaves = np.array([[75, 110, 45], [110, 125, 70], [190, 170, 120]][int(rng.integers(3))]) * rng.uniform(0.6, 1.3)
    grain = 1 + rng.uniform(0.1, 0.35) * _smooth(size, rng, float(rng.uniform(2, 5)))
    shade = 1 - rng.uniform(0.0, 0.6) * np.roll(share, (int(period / 6), int(rng.integers(-2, 3))), axis=(0, 1))
    share, covered = share[..., None], leaves.astype(np.float32) * grain[..., None]
    return np.asarray(ground * shade[..., None] * (1 - share) + covered * share, dtype=np.float32)


def _tracks(ground: Plane, rng: np.random.Generator) -> Plane:
    """Pairs of wheel tracks: pressed or bare, with the tread's bars in some of them."""
    size = ground.shape[:2]
    pressed, change = np.zeros(size, np.float32), np.zeros(size, np.float32)
    width = float(np.exp(rng.uniform(np.log(6), np.log(45))))
    tone = rng.uniform(-0.45, 0.45)
    for _ in range(int(rng.integers(1, 7))):
        steps = 60
        turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0.0, rng.uniform(0.0, 0.06), steps))
        along = np.column_stack([np.sin(turns), np.cos(turns)])
        start = rng.uniform(0, size, 2) - along[0] * rng.uniform(0, 900)
        middle = start + np.cumsum(along * 30, axis=0)
        beside = np.column_stack([along[:, 1], -along[:, 0]]) * width * rng.uniform(2.0, 4.5)
        level = rng.uniform(0.3, 1.0)
        for side in (-beside, beside):
            stroke(pressed, middle + side, width, level)
            stroke(change, middle + side, width * rng.uniform(0.6, 1.2), level)
            if rng.random() < 0.4:
                _bars(pressed, middle + side, width, rng)
    relief = -cv2.GaussianBlur(pressed, (0, 0), max(0.8, width / 8)) * width * rng.uniform(0.05, 0.4)
    worn = step(5 * (_smooth(size, rng, 60) + rng.uniform(0.0, 1.5)))
    toned = 1 + tone * cv2.GaussianBlur(change, (0, 0), max(0.8, width / 6)) * worn
    return _lit_relief(ground * toned[..., None], relief * worn, rng)


def _bars(pressed: Plane, line: NDArray[np.float64], width: float, rng: np.random.Generator) -> None:
    """Bars that a tread leaves across a track."""
    way = np.gradient(line, axis=0)
    way /= np.maximum(np.hypot(*way.T), 1e-6)[:, None]
    apart = max(4.0, width * rng.uniform(0.3, 0.8))
    count = int(30 * (len(line) - 1) / apart)
    at = np.linspace(0, len(line) - 1, count)
    places = np.column_stack([np.interp(at, np.arange(len(line)), values) for values in line.T])
    ways = np.column_stack([np.interp(at, np.arange(len(line)), values) for values in way.T])
    across = np.column_stack([ways[:, 1], -ways[:, 0]]) * width / 2
    for place, half in zip(places, across, strict=True):
        stroke(pressed, np.array([place - half, place + half]), max(1.0, apart / 3), 0.3)


def _swaths(ground: Plane, rng: np.random.Generator) -> Plane:
    """Strips that were mown or harvested this way and that, now and then with what was cut between them."""
    size, period = ground.shape[:2], float(np.exp(rng.uniform(np.log(50), np.log(320))))
    phase = _across(size, rng, bend=float(rng.uniform(0.0, 0.15)) * period) / period
    tone = 1 + rng.uniform(0.05, 0.3) * np.tanh(8 * np.sin(2 * np.pi * phase))
    worked = ground * tone.astype(np.float32)[..., None]
    if rng.random() < 0.5:
        away = np.abs((phase % 1.0) - 0.5) + 0.03 * _smooth(size, rng, 12)
        cut = step((rng.uniform(0.03, 0.12) - away) * period / rng.uniform(1.5, 6))[..., None]
        hay = np.array([185.0, 170.0, 115.0]) * rng.uniform(0.6, 1.3)
        grain = 1 + rng.uniform(0.1, 0.3) * _smooth(size, rng, float(rng.uniform(2, 6)))
        worked = worked * (1 - cut) + hay.astype(np.float32) * grain[..., None] * cut
    return np.asarray(worked, dtype=np.float32)


def _across(size: tuple[int, ...], rng: np.random.Generator, bend: float) -> Plane:
    """Pixels across a direction of working; lines of equal value wander by about ``bend`` pixels."""
    angle = rng.uniform(0, np.pi)
    rows, cols = np.mgrid[: size[0], : size[1]].astype(np.float32)
    curve = rng.normal(0.0, 1e-4) * ((rows - size[0] / 2) * np.sin(angle) - (cols - size[1] / 2) * np.cos(angle)) ** 2
    straight = rows * np.float32(np.cos(angle)) + cols * np.float32(np.sin(angle))
    wander = bend * (_smooth(size, rng, 200) + 0.3 * _smooth(size, rng, 40))
    return np.asarray(straight + curve + wander + 4000, dtype=np.float32)


def _lit_relief(ground: Plane, height: NDArray[np.floating], rng: np.random.Generator) -> Plane:
    """Light a relief of heights in pixels from one side: Lambert's cosine, relative to flat ground."""
    soft = cv2.GaussianBlur(height.astype(np.float32), (0, 0), float(rng.uniform(0.7, 2.0)))
    down, across = np.gradient(soft)
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(20, 65))
    toward = down * np.sin(azimuth) + across * np.cos(azimuth)
    cosine = (np.sin(elevation) + np.cos(elevation) * toward) / np.sqrt(1 + down**2 + across**2)
    light = np.clip(cosine / np.sin(elevation), 0.25, 1.9).astype(np.float32)
    moist = 1 - rng.uniform(0.0, 0.3) * step(-(soft - soft.mean()) / max(float(soft.std()), 1e-6))
    return np.asarray(ground * (light * moist)[..., None], dtype=np.float32)


def _field(size: tuple[int, ...], rng: np.random.Generator) -> Plane:
    """Share of a ground that is worked: all of it, or a side of a boundary."""
    if rng.random() < 0.5:
        return np.ones(size, np.float32)
    angle, edge = rng.uniform(0, 2 * np.pi), rng.uniform(-250, 250)
    rows, cols = np.mgrid[: size[0], : size[1]].astype(np.float32)
    away = (rows - size[0] / 2) * np.sin(angle) + (cols - size[1] / 2) * np.cos(angle) + 25 * _smooth(size, rng, 150)
    return step((away - edge) / np.float32(rng.uniform(1, 25)))


def _smooth(size: tuple[int, ...], rng: np.random.Generator, cell_px: float) -> Plane:
    """Smooth noise of about unit variance."""
    coarse = rng.standard_normal([max(2, int(side / cell_px) + 3) for side in size], dtype=np.float32)
    whole = (int(coarse.shape[1] * cell_px) + 1, int(coarse.shape[0] * cell_px) + 1)
    return np.asarray(cv2.resize(coarse, whole, interpolation=cv2.INTER_CUBIC)[: size[0], : size[1]])


def step(distance: NDArray[np.floating]) -> Plane:
    """Go from 0 to 1 around 0, as a logistic curve."""
    return np.asarray(1 / (1 + np.exp(-np.clip(distance, -30, 30))), dtype=np.float32)
