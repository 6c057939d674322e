"""Drawings of stones and plants: the bulk of what lies about, and what hides other things."""

from __future__ import annotations

import math

import numpy as np

from survey.synthetic.materials import PAINTS, PLANTS, STONES
from survey.synthetic.sketch import Pad, Sketch, leaf_shape, mix


def stone(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a stone with facets: an irregular outline, flat faces, a tone of its own."""
    rng = pad.rng
    angle = np.arctan2(pad.v, pad.u)
    wobble = 1.0 + sum(rng.normal(0.0, 0.12 / k) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in (2, 3, 4, 5))
    r = np.hypot(pad.u / length_m, pad.v / width_m) * 2 / wobble
    return _rock(pad, r, width_m, height_m, facets=int(rng.integers(3, 7)))


def round_stone(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a water-worn stone: nearly round or oval, smooth, about the size of a mine."""
    rng = pad.rng
    angle = np.arctan2(pad.v, pad.u)
    wobble = 1.0 + rng.normal(0.0, 0.03) * np.cos(2 * angle) + rng.normal(0.0, 0.02) * np.cos(3 * angle + 1.0)
    r = np.hypot(pad.u / length_m, pad.v / width_m) * 2 / wobble
    return _rock(pad, r, width_m, height_m, facets=0)


def _rock(pad: Pad, r: np.ndarray, width_m: float, height_m: float, facets: int) -> Sketch:
    rng = pad.rng
    common, other = pad.site.stone_spectra()
    rock = common if rng.random() < 0.75 else other
    if rng.random() < 0.08:
        rock = STONES[str(rng.choice(list(STONES)))]
    sheet = pad.fill((rock * rng.lognormal(0.0, 0.22)).astype(np.float32))
    alpha = pad.inside((r - 1.0) * width_m / 2)
    dome = np.sqrt(np.clip(1.0 - r * r, 0.0, 1.0))
    for _ in range(facets):
        turn = rng.uniform(0, 2 * math.pi)
        tilt = rng.uniform(0.3, 1.4) / width_m
        plane = rng.uniform(0.5, 0.95) - tilt * (pad.u * math.cos(turn) + pad.v * math.sin(turn))
        dome = np.minimum(dome, np.maximum(plane, 0.0))
    height = height_m * dome * alpha
    lichen = np.clip(pad.noise(0.25 * width_m, 2) - 0.8, 0, 1)
    sheet *= (1.0 + 0.10 * pad.noise(0.12 * width_m, 2))[None]
    mix(sheet, PLANTS["sage"][pad.columns], 0.5 * lichen * rng.random())
    return Sketch(sheet.astype(np.float32), alpha, height.astype(np.float32))


def pebble_heap(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a heap of small stones or broken brick."""
    common, other = pad.site.stone_spectra()
    cells = pad.noise(0.05, 1)
    r = np.hypot(pad.u / length_m, pad.v / width_m) * 2 + 0.3 * pad.noise(0.2 * length_m, 3)
    alpha = np.clip((1.0 - r) * 3 + 1.2 * cells, 0.0, 1.0) * (r < 1.4)
    sheet = pad.fill(common)
    mix(sheet, other[pad.columns], np.clip(pad.noise(0.08, 1), 0, 1))
    sheet *= np.clip(1.0 + 0.22 * cells, 0.4, 1.7)[None]
    height = np.clip(1.1 - r, 0, 1) * height_m + 0.025 * np.maximum(cells, 0) * alpha
    return Sketch(sheet, alpha.astype(np.float32), height.astype(np.float32))


def _leaf_colour(pad: Pad, name: str | None = None) -> np.ndarray:
    green, dry, bush = pad.site.plant_spectra()
    base = green + pad.rng.beta(2, 2) * pad.site.growth.dryness * 1.3 * (dry - green)
    if name == "bush":
        base = bush
    return np.asarray(base * np.exp(pad.rng.normal(0.0, 0.12, len(base))), dtype=np.float32)


def tuft(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a tuft of grass: blades from one root."""
    count = int(pad.rng.integers(14, 46))
    blades = leaf_shape(pad, count, length_m / 2, 0.007, 2 * math.pi)
    alpha = np.clip(blades * 2.2, 0.0, 1.0)
    sheet = pad.fill(_leaf_colour(pad))
    sheet *= (0.35 + 1.1 * blades)[None]
    core = np.exp(-((pad.r / (0.28 * length_m)) ** 2))
    height = alpha * height_m * core
    return Sketch(sheet, alpha, height.astype(np.float32))


def leafy_weed(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a broad-leaved weed: a rosette of a few wide leaves."""
    rng = pad.rng
    count = int(rng.integers(5, 12))
    angle = np.arctan2(pad.v, pad.u) + rng.uniform(0, 6.3) + 0.25 * pad.noise(0.4 * length_m)
    r = pad.r / (length_m / 2)
    petal = np.abs(np.cos(angle * count / 2))
    reach = 0.35 + 0.65 * petal * rng.uniform(0.8, 1.0)
    alpha = pad.inside((r - reach) * length_m / 2)
    sheet = pad.fill(_leaf_colour(pad))
    sheet *= np.clip(0.65 + 0.5 * petal - 0.2 * r + 0.12 * pad.noise(0.03), 0.2, 1.7)[None].astype(np.float32)
    height = alpha * height_m * (0.4 + 0.6 * petal) * np.clip(1.2 - r, 0.2, 1)
    return Sketch(sheet, alpha, height.astype(np.float32))


def bush(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a bush or a tree crown: clumps of leaves over a dome, dark gaps between them, a ragged edge."""
    rng = pad.rng
    leaf_m = float(np.clip(0.03 + 0.02 * length_m, 0.02, 0.12))
    clump = pad.noise(0.16 * length_m, 2)
    leaves = pad.noise(leaf_m, 2)
    r = np.hypot(pad.u / length_m, pad.v / width_m) * 2 + 0.22 * clump + 0.06 * leaves
    thick = rng.uniform(0.3, 1.3)
    alpha = np.clip((1.0 - r) * 6 + 0.9 * leaves * (1 if thick < 0.8 else 0.4) + 0.3, 0.0, 1.0) * (r < 1.25)
    dome = np.sqrt(np.clip(1.15 - r * r, 0.02, 1.0))
    height = height_m * (dome * (0.75 + 0.22 * clump) + 0.10 * np.minimum(leaves, 1.5) * min(1.0, leaf_m * 6))
    sheet = pad.fill(_leaf_colour(pad, "bush" if rng.random() < 0.7 else None))
    sheet *= np.clip(0.85 + 0.30 * leaves + 0.25 * clump, 0.15, 2.2)[None]
    if rng.random() < 0.2:
        dead = PLANTS["grey_dry"][pad.columns]
        mix(sheet, dead, np.clip(leaf_shape(pad, 14, 0.5 * length_m, 0.02) * 1.2 - 0.3, 0, 1))
    return Sketch(sheet, alpha.astype(np.float32), np.maximum(height * alpha, 0).astype(np.float32))


def sunflower(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a sunflower head over its leaves: round, ringed, dark in the middle, yellow or withered."""
    rng, radius = pad.rng, width_m / 2
    angle = np.arctan2(pad.v, pad.u)
    leaves = pad.inside(
        (pad.r / (length_m / 2) - 0.35 - 0.6 * np.abs(np.cos(2.5 * angle + rng.uniform(0, 6)))) * length_m / 2
    )
    sheet = pad.fill(_leaf_colour(pad))
    sheet *= np.clip(0.8 + 0.2 * pad.noise(0.04), 0.3, 1.5)[None]
    petals = pad.inside(pad.r - radius * (0.85 + 0.15 * np.cos(angle * 17)))
    withered = rng.random() < 0.6
    ring = PAINTS["petal"] if not withered else PAINTS["dung"] * np.float32(rng.uniform(1.0, 2.2))
    mix(sheet, ring[pad.columns], petals)
    disc = pad.disc(radius * rng.uniform(0.6, 0.85))
    mix(sheet, (PAINTS["seed_head"] * rng.uniform(0.7, 2.0))[pad.columns], disc)
    alpha = np.maximum(0.85 * leaves, petals)
    height = leaves * 0.5 * height_m + petals * 0.5 * height_m
    return Sketch(sheet, alpha.astype(np.float32), height.astype(np.float32))


def branch(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw dead wood: a stick with twigs."""
    bark = PLANTS["grey_dry"] * np.float32(pad.rng.uniform(0.4, 1.2))
    sheet = pad.fill(bark)
    bend = 0.12 * length_m * np.sin(pad.u * math.pi / length_m + pad.rng.uniform(0, 3))
    stem = pad.inside(np.maximum(np.abs(pad.v - bend) - width_m / 2, np.abs(pad.u) - length_m / 2))
    twigs = np.clip(leaf_shape(pad, int(pad.rng.integers(0, 7)), 0.5 * length_m, 0.012) * 1.4, 0, 1)
    alpha = np.maximum(stem, twigs)
    return Sketch(sheet, alpha.astype(np.float32), (alpha * height_m).astype(np.float32))


def leaf(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a fallen leaf: small, two-winged, of any autumn colour; about the size of a scatterable mine."""
    rng = pad.rng
    outline = np.abs(pad.v) - 0.5 * width_m * np.clip(1.0 - (2 * pad.u / length_m) ** 2, 0, 1)
    alpha = pad.inside(outline) * (np.abs(pad.u) < length_m / 2)
    names = ["straw", "yellowing", "grey_dry", "meadow", "sage"]
    sheet = pad.fill((PLANTS[str(rng.choice(names))] * rng.lognormal(0.0, 0.3)).astype(np.float32))
    mix(sheet, PLANTS["grey_dry"][pad.columns] * np.float32(0.6), pad.box(length_m, 0.003) * 0.7)
    curl = alpha * height_m * np.clip(np.abs(pad.v) / width_m * 2 + 0.2 * pad.noise(0.03), 0.1, 1)
    return Sketch(sheet, alpha.astype(np.float32), curl.astype(np.float32))
