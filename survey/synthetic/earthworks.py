"""Drawings of moved earth: craters, trenches, dugouts, revetments, ditches, mounds, dug spots, and buried mines."""

from __future__ import annotations

import numpy as np

from survey.synthetic.materials import PAINTS
from survey.synthetic.noise import Field
from survey.synthetic.sketch import Pad, Sketch, mix


def _soil(pad: Pad, rough: float = 0.12) -> Field:
    """Fill a sheet with turned soil that has lumps of its own."""
    sheet = np.empty((len(pad.columns), *pad.shape), dtype=np.float32)
    sheet[:] = pad.earth[:, None, None]
    tone = 1.0 + np.float32(rough) * (pad.noise(0.25, 3) + 0.7 * pad.noise(0.05, 2))
    sheet *= np.clip(tone, 0.5, 1.6)[None]
    return sheet


def _overgrown(pad: Pad, sheet: Field, alpha: Field, where: Field, cell_m: float) -> tuple[Field, Field]:
    """Let plants take back old earth, painted in place; returns what is left of its alpha, and of the sight of it."""
    share = pad.age * pad.rng.uniform(0.2, 1.0)
    green = np.clip((pad.noise(cell_m, 3) + 2.4 * share - 1.3) * 2.0, 0.0, 1.0)
    flush = pad.leaf * np.float32(pad.rng.uniform(0.7, 1.15))
    mix(sheet, flush, green * (0.6 + 0.4 * np.clip(pad.noise(0.06, 2), -1, 1)))
    faded = alpha * (1.0 - green * (1.0 - 0.8 * where))
    return np.asarray(faded * (1.0 - 0.45 * pad.age), dtype=np.float32), (1.0 - 0.7 * green).astype(np.float32)


def crater(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a crater: bowl, raised rim, thrown soil in rays, later a softer bowl with plants in it."""
    rng, radius = pad.rng, length_m / 2
    angle = np.arctan2(pad.v, pad.u)
    lobes = sum(rng.normal(0.0, 0.05 / k) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(1, 5))
    wobble = 1.0 + lobes + 0.035 * pad.noise(0.25 * radius, 2)
    r = pad.r / (radius * wobble)
    depth = height_m * (1.0 - 0.55 * pad.age)
    floor = rng.uniform(1.4, 2.6)
    bowl = -depth * np.clip(1.0 - np.abs(r) ** floor, 0.0, 1.0)
    rim = depth * rng.uniform(0.12, 0.40) * np.exp(-(((r - 1.08) / rng.uniform(0.12, 0.3)) ** 2))
    lumps = 0.05 * depth * pad.noise(0.12 * radius + 0.03, 3) * np.exp(-np.maximum(r - 1.0, 0) * 2.0)
    height = (bowl + rim + lumps * (1 - 0.5 * pad.age)).astype(np.float32)
    rays = 0.5 + 0.5 * np.cos(angle * rng.integers(5, 14) + 2.0 * pad.noise(0.5 * radius, 2))
    throw = rng.uniform(0.35, 1.3) * (1.0 - 0.5 * pad.age)
    thrown = np.clip(1.25 - (r - 1.0) / (throw * (0.45 + 0.8 * rays)) + 0.4 * pad.noise(0.15 * radius, 3), 0.0, 1.0)
    thrown *= r < 2.6
    inside = np.clip((1.02 - r) / 0.08, 0.0, 1.0)
    alpha = np.clip(np.maximum(inside, thrown * rng.uniform(0.5, 1.0)), 0.0, 1.0)
    sheet = _soil(pad, 0.16)
    if rng.random() < 0.35:  # soot and damp in the middle
        sheet *= (1.0 - rng.uniform(0.2, 0.5) * np.clip(1.0 - r / rng.uniform(0.5, 1.0), 0, 1))[None].astype(np.float32)
    elif rng.random() < 0.12 and radius > 0.8:
        water = np.clip((rng.uniform(0.3, 0.6) - r) / 0.05, 0, 1)
        mix(sheet, PAINTS["water"][pad.columns], water)
        height = np.maximum(height, -depth * 0.6).astype(np.float32)
    alpha, seen = _overgrown(pad, sheet, alpha.astype(np.float32), inside.astype(np.float32), 0.25 * radius)
    whole = pad.inside((r - 1.08) * radius)
    return Sketch(sheet, alpha, height, whole=whole, shown=whole * seen)


def trench(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a fighting trench along ``pad.path``: a steep cut and the spoil thrown out beside it."""
    rng = pad.rng
    nearest, side = pad.along_wide(pad.path)
    nearest = nearest + 0.10 * width_m * pad.noise(0.6, 3)
    cut = np.clip((width_m / 2 - nearest) / 0.10 + 0.5, 0.0, 1.0)
    depth = height_m * (1.0 - 0.45 * pad.age)
    height = -depth * cut
    spoil_at = width_m / 2 + rng.uniform(0.5, 0.9)
    sides = rng.choice([1, 2, 2])
    spoil = np.exp(-(((nearest - spoil_at) / rng.uniform(0.35, 0.6)) ** 2))
    if sides == 1:
        spoil = spoil * np.where(side > 0, 1.0, 0.25)
    ragged = np.clip(0.75 + 0.45 * pad.noise(0.8, 3), 0.0, 1.5)
    height += rng.uniform(0.12, 0.40) * (1.0 - 0.5 * pad.age) * spoil * ragged
    height += 0.03 * pad.noise(0.2, 3) * np.clip(spoil + cut, 0, 1)
    bare = np.clip(1.6 * spoil * ragged, 0.0, 1.0)
    alpha = np.maximum(cut, bare)
    sheet = _soil(pad, 0.15)
    sheet *= (1.0 - 0.35 * cut)[None].astype(np.float32)  # the walls hide the sky from the floor
    alpha, seen = _overgrown(pad, sheet, alpha.astype(np.float32), cut.astype(np.float32), 0.5)
    alpha = np.maximum(alpha, cut * 0.85)
    whole = cut.astype(np.float32)
    return Sketch(sheet, alpha.astype(np.float32), height.astype(np.float32), whole=whole, shown=whole * seen)


def ditch(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a drainage ditch: wider and gentler than a trench, straight, green in the bottom, no spoil to speak of."""
    nearest, _ = pad.along_wide(pad.path)
    nearest = nearest + 0.08 * pad.noise(0.8, 2)
    profile = np.clip(1.0 - nearest / (0.75 * width_m), 0.0, 1.0)
    profile = profile * profile * (3 - 2 * profile)
    green = np.clip(profile * 1.4 + 0.3 * pad.noise(0.3, 3) - 0.2, 0.0, 1.0) * (profile > 0)
    sheet = _soil(pad, 0.1)
    mix(sheet, pad.leaf, np.clip(0.7 + 0.3 * pad.noise(0.1, 2), 0, 1))
    height = -height_m * profile
    return Sketch(sheet, (0.8 * green).astype(np.float32), height.astype(np.float32))


def dugout(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a dugout: a rectangular pit, open or with a caved-in roof of beams, banked with earth."""
    rng = pad.rng
    edge = np.maximum(np.abs(pad.u) - length_m / 2 + 0.7, np.abs(pad.v) - width_m / 2 + 0.7)
    edge = edge + 0.10 * pad.noise(0.6, 3)
    pit = np.clip(-edge / 0.15 + 0.5, 0.0, 1.0)
    bank = np.exp(-(((edge - 0.45) / 0.42) ** 2)) * np.clip(0.8 + 0.4 * pad.noise(0.7, 3), 0, 1.5)
    gap = np.clip((np.abs(pad.v) - 0.5) / 0.2, 0, 1) + (pad.u < 0.2 * length_m)
    bank = bank * np.clip(gap, 0, 1)
    depth = height_m * (1.0 - 0.5 * pad.age)
    sheet = _soil(pad, 0.15)
    height = -depth * pit + rng.uniform(0.25, 0.6) * (1 - 0.4 * pad.age) * bank
    height += 0.03 * pad.noise(0.2, 3) * np.clip(bank + pit, 0, 1)
    if rng.random() < 0.5:
        beams = (np.sin(pad.u * 2 * np.pi / rng.uniform(0.28, 0.5)) > rng.uniform(0.0, 0.7)) * pit
        beams = beams * (pad.noise(1.0, 2) > rng.uniform(-0.8, 0.6))
        wood = PAINTS[str(rng.choice(["weathered_wood", "wood", "dark_rust"]))] * np.float32(0.8)
        mix(sheet, wood[pad.columns], beams.astype(np.float32))
        height = np.where(beams, -0.1, height)
    else:
        sheet *= (1.0 - 0.4 * pit)[None].astype(np.float32)
    alpha = np.clip(np.maximum(pit, 1.5 * bank), 0, 1).astype(np.float32)
    alpha, seen = _overgrown(pad, sheet, alpha, pit.astype(np.float32), 0.6)
    alpha = np.maximum(alpha, 0.7 * pit).astype(np.float32)
    whole = pad.inside(edge - 0.6)
    return Sketch(sheet, alpha, height.astype(np.float32), whole=whole, shown=whole * seen)


def revetment(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a vehicle revetment: a U-shaped berm around a scraped floor, with tracks leading in."""
    rng = pad.rng
    half_l, half_w = length_m / 2, width_m / 2
    wall = pad.along_wide(
        (
            (half_l - 0.8, half_w - 0.9),
            (-half_l + 0.9, half_w - 0.9),
            (-half_l + 0.9, -half_w + 0.9),
            (half_l - 0.8, -half_w + 0.9),
        )
    )[0]
    wall = wall + 0.12 * pad.noise(0.8, 3)
    berm = np.exp(-((wall / rng.uniform(0.6, 0.85)) ** 2))
    floor = np.clip(np.minimum(half_l - 0.6 - np.abs(pad.u), half_w - 1.2 - np.abs(pad.v)) / 0.4, 0.0, 1.0)
    height = (
        rng.uniform(0.5, 1.0) * height_m * (1 - 0.5 * pad.age) * berm
        - 0.35 * height_m * floor
        + 0.04 * pad.noise(0.25, 3) * np.clip(berm + floor, 0, 1)
    )
    alpha = np.clip(np.maximum(1.5 * berm, 0.8 * floor), 0.0, 1.0).astype(np.float32)
    sheet = _soil(pad, 0.15)
    alpha, seen = _overgrown(pad, sheet, alpha, floor.astype(np.float32), 0.7)
    whole = pad.box(length_m, width_m, 0, 0, 0.5)
    return Sketch(sheet, alpha, height.astype(np.float32), whole=whole, shown=whole * seen)


def dug_spot(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw ground dug up and put back: another colour, another texture, slightly sunk or heaped."""
    r = np.hypot(pad.u / length_m, pad.v / width_m) * 2 + 0.18 * pad.noise(0.3 * length_m, 3)
    inside = np.clip((1.0 - r) / 0.25 + 0.3, 0.0, 1.0)
    heap = pad.rng.uniform(-0.5, 1.0) * height_m
    height = heap * inside + 0.012 * pad.noise(0.06, 3) * inside
    sheet = _soil(pad, 0.2)
    alpha = inside * (1.0 - 0.6 * pad.age) * np.clip(0.9 + 0.25 * pad.noise(0.08, 2), 0, 1)
    return Sketch(sheet, alpha.astype(np.float32), height.astype(np.float32), whole=pad.inside((r - 1) * length_m / 2))


def buried(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a buried mine: nothing of it shows, but the ground over it is dug and warmer or cooler than around."""
    rng = pad.rng
    patchy = pad.noise(0.10, 3)
    r = np.hypot(pad.u / length_m, pad.v / width_m) * 2 + rng.uniform(0.1, 0.3) * patchy
    core = np.clip((rng.uniform(0.9, 1.1) - r) / rng.uniform(0.15, 0.7) + 0.4, 0.0, 1.0)
    texture = np.clip(0.8 + rng.uniform(0.1, 0.6) * pad.noise(0.04, 3), 0.1, 1.8)
    signal = np.where(
        pad.columns == 4, rng.choice([1.0, 1.0, 1.0, -0.5]) * rng.uniform(0.12, 0.55), rng.normal(0.0, 0.08)
    )
    stain = 1.0 + signal[:, None, None] * (core * texture)[None]
    height = 0.008 * core * patchy * (1.0 - pad.age)
    empty = np.zeros(pad.shape, dtype=np.float32)
    whole = pad.inside((r - 1) * length_m / 2)
    return Sketch(_soil(pad), empty, height.astype(np.float32), stain=stain.astype(np.float32), whole=whole)


_POSTS = ("weathered_wood", "wood", "concrete", "rust", "dark_rust", "steel", "white", "olive")


def fence(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a post at every point of ``pad.path``: stakes, pickets or marking posts with a sign, some with wires."""
    rng = pad.rng
    thick = rng.uniform(0.04, 0.13)
    signed = rng.random() < 0.3
    sheet = pad.fill(PAINTS[str(rng.choice(_POSTS))])
    cap = PAINTS[str(rng.choice(["red_paint", "white", "yellow_paint"]))][pad.columns]
    alpha = np.zeros(pad.shape, dtype=np.float32)
    height = np.zeros(pad.shape, dtype=np.float32)
    if rng.random() < 0.5:
        nearest, _ = pad.along(pad.path)
        wire = np.clip(0.5 + (0.004 - nearest) / pad.px_m, 0, 1) * min(1.0, 0.008 / pad.px_m) * 0.8
        # It has no height here: what a wire shades is far less than a pixel.
        alpha = np.maximum(alpha, wire.astype(np.float32))
    capped = rng.random() < 0.35
    for u, v in pad.path:
        stands = height_m * rng.uniform(0.75, 1.05)
        post = pad.disc(thick / 2, u, v)
        alpha = np.maximum(alpha, post)
        if capped:
            mix(sheet, cap, post)
        if signed and rng.random() < 0.6:
            # A plate seen from above is as long as it is wide and as wide as it is thick.
            plate = pad.box(0.28, 0.012, u, v) * min(1.0, 0.012 / pad.px_m)
            alpha = np.maximum(alpha, plate)
            mix(sheet, cap, plate)
            np.copyto(height, np.float32(0.8 * stands), where=plate > 0.3)
        np.copyto(height, np.float32(stands), where=post > 0.5)
    return Sketch(sheet, alpha, height)


def mound(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a heap of loose earth: molehill, anthill, dumped soil."""
    r = np.hypot(pad.u / length_m, pad.v / width_m) * 2 + 0.15 * pad.noise(0.25 * length_m, 3)
    shape = np.clip(1.0 - r, 0.0, 1.0)
    shape = shape * (2.0 - shape)
    lumps = 1.0 + 0.25 * pad.noise(0.05, 3)
    sheet = _soil(pad, 0.22)
    alpha = np.clip(shape * 3.0, 0.0, 1.0) * (1.0 - 0.5 * pad.age)
    return Sketch(sheet, alpha.astype(np.float32), (height_m * shape * lumps).astype(np.float32))


def burrow(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw an animal's burrow: a dark hole and a fan of soil thrown out on one side."""
    rng = pad.rng
    hole = pad.inside(np.hypot(pad.u, pad.v * rng.uniform(1.0, 1.6)) - 0.22 * length_m + 0.01 * pad.noise(0.05))
    fan = np.hypot((pad.u - 0.35 * length_m) / (0.65 * length_m), pad.v / (0.4 * length_m)) + 0.2 * pad.noise(0.08, 3)
    heap = np.clip(1.0 - fan, 0.0, 1.0)
    sheet = _soil(pad, 0.18)
    dark = np.full(len(pad.columns), 0.02, dtype=np.float32)
    mix(sheet, dark, hole)
    height = heap * height_m * (1 - hole) - 0.12 * hole
    return Sketch(sheet, np.maximum(hole, np.clip(heap * 3, 0, 1)).astype(np.float32), height.astype(np.float32))


def hollow(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a natural hollow or wallow: a shallow irregular dip with no rim and nothing thrown out."""
    r = np.hypot(pad.u / length_m, pad.v / width_m) * 2 + 0.2 * pad.noise(0.35 * length_m, 2)
    dip = np.clip(1.0 - r, 0.0, 1.0)
    dip = dip * dip * (3.0 - 2.0 * dip)
    sheet = _soil(pad, 0.1)
    alpha = pad.rng.uniform(0.0, 0.7) * np.clip(2 * dip, 0, 1)
    return Sketch(sheet, alpha.astype(np.float32), (-height_m * dip).astype(np.float32))


def trail(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw an animal trail or a wheel rut along ``pad.path``: trodden, a little sunk, a little bare."""
    nearest, _ = pad.along_wide(pad.path)
    worn = np.clip(1.0 - (nearest + 0.3 * width_m * pad.noise(0.3, 3)) / width_m, 0.0, 1.0)
    sheet = _soil(pad, 0.08)
    alpha = worn * pad.rng.uniform(0.3, 0.9)
    return Sketch(sheet, alpha.astype(np.float32), (-height_m * worn).astype(np.float32))


def bare_patch(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a bare patch: soil without plants, with a ragged edge and no relief to speak of."""
    r = np.hypot(pad.u / length_m, pad.v / width_m) * 2 + pad.rng.uniform(0.05, 0.35) * pad.noise(0.25 * length_m, 3)
    alpha = np.clip((1.0 - r) / pad.rng.uniform(0.06, 0.5) + 0.5, 0.0, 1.0) * pad.rng.uniform(0.5, 1.0)
    height = height_m * alpha * pad.noise(0.1, 2)
    return Sketch(_soil(pad, 0.14), alpha.astype(np.float32), height.astype(np.float32))


def campfire(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw an old campfire: a black and grey disc, often with a ring of stones."""
    rng, radius = pad.rng, length_m / 2
    r = pad.r / radius + 0.15 * pad.noise(0.3 * radius, 3)
    alpha = np.clip((1.0 - r) / 0.3 + 0.4, 0.0, 1.0)
    ash = np.clip(0.9 - r + 0.4 * pad.noise(0.2 * radius, 2), 0.0, 1.0)
    sheet = pad.fill(PAINTS["black"])
    mix(sheet, (PAINTS["concrete"] * np.float32(rng.uniform(0.5, 1.1)))[pad.columns], ash * rng.uniform(0.0, 0.8))
    height = np.zeros(pad.shape, dtype=np.float32)
    if rng.random() < 0.6:
        rock = pad.site.stone_spectra()[0]
        for turn in np.arange(0.0, 2 * np.pi, rng.uniform(0.4, 0.9)):
            size = rng.uniform(0.10, 0.2) * radius
            stone = pad.disc(size, 0.95 * radius * np.cos(turn), 0.95 * radius * np.sin(turn))
            mix(sheet, (rock * rng.uniform(0.5, 1.1))[pad.columns], stone)
            alpha = np.maximum(alpha, stone)
            height = np.maximum(height, stone * size)
    return Sketch(sheet, alpha.astype(np.float32), height.astype(np.float32))


def bank(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a field bank or a row of cleared stones along ``pad.path``: raised, with nothing cut beside it."""
    nearest, _ = pad.along_wide(pad.path)
    profile = np.exp(-(((nearest + 0.12 * width_m * pad.noise(0.6, 3)) / (0.5 * width_m)) ** 2))
    stony = pad.rng.random() < 0.4
    lumps = pad.noise(0.15, 2) if stony else 0.25 * pad.noise(0.3, 3)
    sheet = pad.fill(pad.site.stone_spectra()[0]) if stony else _soil(pad, 0.14)
    sheet *= np.clip(1.0 + 0.12 * lumps, 0.5, 1.6)[None].astype(np.float32)
    alpha = np.clip(profile * 1.5 + 0.4 * lumps - 0.3, 0.0, 1.0) * pad.rng.uniform(0.2, 0.9)
    height = height_m * profile * (1.0 + 0.3 * lumps)
    return Sketch(sheet, alpha.astype(np.float32), height.astype(np.float32))
