"""Drawings of harmless made things that look like hazards from above, and of things no one made: clutter."""

from __future__ import annotations

import math

import numpy as np

from survey.synthetic.materials import PAINTS, SOILS
from survey.synthetic.mines import paint, rusted
from survey.synthetic.sketch import Pad, Sketch, lathe, mix, weathered

_ANY = (
    "white",
    "grey",
    "steel",
    "rust",
    "blue_paint",
    "red_paint",
    "yellow_paint",
    "olive",
    "black",
    "clear_plastic",
    "brown",
)


def can(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a drink or food can: lying, standing or trodden flat."""
    rng, h, r = pad.rng, length_m / 2, width_m / 2
    sheet = pad.fill(paint(pad, _ANY))
    if rng.random() < 0.3:
        alpha = pad.disc(r)
        mix(sheet, PAINTS["steel"][pad.columns], pad.disc(0.88 * r))
        mix(sheet, PAINTS["black"][pad.columns], pad.ring(0.85 * r, 0.004))
        return Sketch(sheet, alpha, (alpha * height_m).astype(np.float32), gloss=0.4)
    alpha, height = lathe(pad, [-h, -0.93 * h, 0.93 * h, h], [0.85 * r, r, r, 0.85 * r])
    band = pad.box(rng.uniform(0.2, 0.7) * length_m, width_m, rng.uniform(-0.2, 0.2) * length_m) * alpha
    mix(sheet, paint(pad, _ANY)[pad.columns], band)
    mix(sheet, PAINTS["aluminium"][pad.columns], alpha * (np.abs(pad.u) > 0.92 * h))
    rusted(pad, sheet, pad.site.decay * 0.6)
    return Sketch(sheet, alpha, height * np.float32(rng.uniform(0.2, 1.0)), gloss=0.4)


def bottle(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a bottle of plastic or glass lying down."""
    h, r = length_m / 2, width_m / 2
    sheet = pad.fill(paint(pad, ("clear_plastic", "white", "grass_green", "brown", "blue_paint", "yellow_paint")))
    alpha, height = lathe(pad, [-h, -0.95 * h, 0.3 * h, 0.65 * h, h], [0.85 * r, r, r, 0.35 * r, 0.3 * r])
    mix(sheet, paint(pad, _ANY)[pad.columns], pad.box(0.35 * length_m, width_m, -0.1 * h) * alpha * 0.8)
    mix(sheet, paint(pad, ("blue_paint", "red_paint", "white"))[pad.columns], alpha * (pad.u > 0.9 * h))
    see_through = pad.rng.uniform(0.55, 1.0)
    return Sketch(sheet, (alpha * see_through).astype(np.float32), height, gloss=0.5)


def tyre(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a car tyre lying flat, the ground or a rim showing in its middle."""
    rng, radius = pad.rng, length_m / 2
    sheet = pad.fill(PAINTS["tyre"] * np.float32(rng.uniform(0.7, 2.0)))
    hole = rng.uniform(0.48, 0.62) * radius
    alpha = pad.disc(radius) - pad.disc(hole)
    middle = (radius + hole) / 2
    height = alpha * height_m * np.sqrt(np.clip(1.02 - ((pad.r - middle) / (radius - middle)) ** 2, 0.15, 1.0))
    if rng.random() < 0.25:
        rim = pad.disc(hole)
        mix(sheet, paint(pad, ("steel", "rust", "grey", "white"))[pad.columns], rim)
        mix(sheet, PAINTS["black"][pad.columns], pad.disc(0.25 * hole))
        alpha = np.maximum(alpha, rim)
        height = np.maximum(height, rim * 0.4 * height_m)
    tread = 1.0 + 0.15 * np.cos(np.arctan2(pad.v, pad.u) * 60) * (pad.r > 0.85 * radius)
    sheet *= tread[None].astype(np.float32)
    return Sketch(weathered(pad, sheet, 0.8, 0.1), alpha.astype(np.float32), height.astype(np.float32))


def bucket(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a bucket or pot, standing (its inside dark) or upside down."""
    rng, radius = pad.rng, length_m / 2
    colour = paint(pad, _ANY)
    sheet = pad.fill(colour)
    alpha = pad.disc(radius)
    height = alpha * height_m
    if rng.random() < 0.55:
        inside = pad.disc(0.92 * radius)
        mix(sheet, (colour * 0.45)[pad.columns], inside)
        height = height - inside * 0.8 * height_m
    else:
        mix(sheet, (colour * 0.8)[pad.columns], pad.ring(0.7 * radius, 0.008))
        height = height * np.clip((1.0 - pad.r / radius) / 0.25 + 0.55, 0, 1)
    if rng.random() < 0.5:
        wire = pad.inside(np.abs(np.hypot(pad.u, pad.v * 1.4) - 1.05 * radius) - 0.003) * (pad.v > 0)
        alpha = np.maximum(alpha, 0.8 * wire)
    return Sketch(weathered(pad, sheet, 0.6, 0.08), alpha.astype(np.float32), height.astype(np.float32), gloss=0.2)


def lid(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a round lid, plate, pot bottom or paint-tin cover: flat, with one plain rim, of any colour."""
    rng, radius = pad.rng, length_m / 2
    colour = paint(pad, _ANY)
    sheet = pad.fill(colour)
    alpha = pad.disc(radius)
    rim = rng.uniform(0.75, 0.95)
    height = alpha * height_m * (0.5 + 0.5 * np.clip((pad.r / radius - rim) / 0.05, 0, 1))
    mix(sheet, (colour * rng.uniform(0.6, 1.4))[pad.columns], pad.ring(rim * radius, 0.01))
    if rng.random() < 0.3:
        knob = pad.disc(0.12 * radius)
        mix(sheet, PAINTS["black"][pad.columns], knob)
        height = height + 0.03 * knob
    if rng.random() < 0.25:
        bite = pad.disc(radius, 1.5 * radius)
        alpha = alpha * (1 - bite)
    rusted(pad, sheet, pad.site.decay * rng.uniform(0.0, 0.8))
    return Sketch(
        weathered(pad, sheet, 0.6, 0.08), alpha.astype(np.float32), (height * alpha).astype(np.float32), gloss=0.3
    )


def manhole(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a manhole cover in its frame, flush with the ground."""
    radius = length_m / 2
    iron = paint(pad, ("dark_rust", "steel", "concrete", "rust"))
    sheet = pad.fill(iron)
    pattern = np.sign(np.sin(pad.u * 2 * math.pi / 0.07) * np.sin(pad.v * 2 * math.pi / 0.07))
    sheet *= (1.0 + 0.15 * pattern)[None].astype(np.float32)
    mix(sheet, PAINTS["concrete"][pad.columns], np.clip((pad.r / radius - 0.84) / 0.02, 0, 1))
    mix(sheet, PAINTS["black"][pad.columns], pad.ring(0.83 * radius, 0.012))
    mix(sheet, PAINTS["black"][pad.columns], pad.box(0.06, 0.025, 0.5 * radius))
    alpha = pad.disc(radius)
    return Sketch(weathered(pad, sheet, 0.7, 0.1), alpha, (0.015 * alpha).astype(np.float32))


def bag(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a plastic bag or a rag: a bright crumpled shape."""
    r = np.hypot(pad.u / length_m, pad.v / width_m) * 2 + 0.3 * pad.noise(0.3 * length_m, 2)
    alpha = pad.inside((r - 1.0) * width_m / 2)
    creases = pad.noise(0.12 * length_m, 3)
    sheet = pad.fill(paint(pad, ("white", "clear_plastic", "blue_paint", "black", "yellow_paint", "red_paint", "grey")))
    sheet *= (1.0 + 0.18 * creases)[None]
    height = alpha * height_m * np.clip(1.2 - r + 0.35 * creases, 0.05, 1.5)
    return Sketch(sheet, alpha, height.astype(np.float32), gloss=0.3)


def board(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a plank, panel or sheet of tin, whole or broken."""
    rng = pad.rng
    sheet = pad.fill(
        paint(pad, ("wood", "weathered_wood", "weathered_wood", "steel", "rust", "white", "concrete", "blue_paint"))
    )
    alpha = pad.box(length_m, width_m)
    if rng.random() < 0.4:
        cut = pad.u + pad.v * rng.uniform(-1.5, 1.5) + 0.03 * pad.noise(0.04)
        alpha = alpha * np.clip((rng.uniform(0.1, 0.45) * length_m - cut) / pad.px_m, 0, 1)
    lines = np.sin(pad.v * 2 * math.pi / rng.choice([0.02, 0.076, 0.12]) + 0.6 * pad.noise(0.1))
    sheet *= (1.0 + rng.uniform(0.03, 0.2) * lines)[None].astype(np.float32)
    rusted(pad, sheet, pad.site.decay * rng.uniform(0.0, 0.5))
    height = alpha * (height_m + rng.uniform(0, 0.1) * pad.u / length_m)
    return Sketch(weathered(pad, sheet, 0.9, 0.1), alpha.astype(np.float32), np.maximum(height, 0).astype(np.float32))


def pipe(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a length of pipe, a log or a pole: a long body without fins, nose or bands."""
    h, r = length_m / 2, width_m / 2
    sheet = pad.fill(
        paint(pad, ("rust", "steel", "white", "weathered_wood", "wood", "concrete", "black", "grey", "blue_paint"))
    )
    alpha, height = lathe(pad, [-h, h], [r, r * pad.rng.uniform(0.7, 1.0)])
    rusted(pad, sheet, pad.site.decay * 0.4)
    return Sketch(weathered(pad, sheet, 1.0, 0.1), alpha, height, gloss=0.1)


def scrap(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a jagged piece of metal, tile or plastic."""
    count = int(pad.rng.integers(4, 8))
    angles = np.sort(pad.rng.uniform(0, 2 * math.pi, count))
    radii = pad.rng.uniform(0.4, 1.0, count)
    points = [
        (float(0.5 * length_m * q * math.cos(a)), float(0.5 * width_m * q * math.sin(a)))
        for a, q in zip(angles, radii, strict=True)
    ]
    alpha = pad.polygon(points)
    sheet = pad.fill(paint(pad, ("rust", "dark_rust", "steel", "aluminium", "white", "olive", "black")))
    height = alpha * (height_m + 0.4 * (pad.u * pad.rng.normal() + pad.v * pad.rng.normal()))
    return Sketch(
        weathered(pad, sheet, 1.0, 0.05), alpha, np.maximum(height, 0.003 * alpha).astype(np.float32), gloss=0.3
    )


def post(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a single post or pole from above: a dot and a long shadow."""
    sheet = pad.fill(paint(pad, ("weathered_wood", "concrete", "rust", "wood", "white")))
    alpha = pad.disc(length_m / 2)
    return Sketch(sheet, alpha, (alpha * height_m).astype(np.float32))


def bale(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a round bale of straw lying on its side, or a square one."""
    straw = SOILS["sand"] * np.float32(pad.rng.uniform(0.8, 1.2))
    sheet = pad.fill(straw)
    if pad.rng.random() < 0.5:
        alpha, height = lathe(pad, [-length_m / 2, length_m / 2], [width_m / 2, width_m / 2])
    else:
        alpha = pad.box(length_m, width_m, 0, 0, 0.04)
        height = (alpha * 0.4 * height_m).astype(np.float32)
    sheet *= (1.0 + 0.15 * pad.noise(0.03, 2) + 0.08 * np.sin(pad.u * 40))[None].astype(np.float32)
    return Sketch(sheet, alpha, height)


def car(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a car or van from above: body, dark panes, roof."""
    rng = pad.rng
    colour = paint(pad, ("white", "grey", "black", "red_paint", "blue_paint", "steel", "rust"))
    sheet = pad.fill(colour)
    alpha = pad.box(length_m, width_m, 0, 0, 0.35)
    glass = pad.box(0.62 * length_m, 0.86 * width_m, -0.06 * length_m, 0, 0.3)
    roof = pad.box(0.36 * length_m, 0.80 * width_m, -0.08 * length_m, 0, 0.25)
    mix(sheet, (PAINTS["black"] * 1.5)[pad.columns], glass)
    mix(sheet, (colour * rng.uniform(0.9, 1.1))[pad.columns], roof)
    height = alpha * (0.55 * height_m) + glass * 0.25 * height_m + roof * 0.20 * height_m
    return Sketch(sheet, alpha, height.astype(np.float32), gloss=0.5)


def dung(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a cow pat or droppings: a dark lobed disc, ringed as it dries."""
    r = pad.r / (length_m / 2) + 0.14 * pad.noise(0.3 * length_m, 2)
    alpha = pad.inside((r - 1.0) * length_m / 2)
    sheet = pad.fill(PAINTS["dung"] * np.float32(pad.rng.uniform(0.6, 2.4)))
    rings = np.cos(r * math.pi * pad.rng.integers(2, 6))
    sheet *= (1.0 + 0.14 * rings)[None].astype(np.float32)
    height = alpha * height_m * (1.0 + 0.2 * rings)
    return Sketch(sheet, alpha, height.astype(np.float32))


def puddle(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw standing water that mirrors the sky, in a margin of wet soil."""
    r = np.hypot(pad.u / length_m, pad.v / width_m) * 2 + 0.35 * pad.noise(0.35 * length_m, 3)
    water = np.clip((0.8 - r) / 0.06, 0, 1)
    sky = PAINTS["water"] * np.float32(pad.rng.uniform(0.7, 3.5))
    wet = 1.0 - 0.4 * np.clip((1.15 - r) / 0.3, 0, 1)
    stain = np.broadcast_to(wet[None], (len(pad.columns), *pad.shape)).astype(np.float32)
    return Sketch(pad.fill(sky), water.astype(np.float32), np.zeros(pad.shape, np.float32), stain=stain)


def _spot(pad: Pad, length_m: float, width_m: float, change: float) -> Sketch:
    softness = pad.rng.uniform(0.1, 0.6)
    r = np.hypot(pad.u / length_m, pad.v / width_m) * 2 + pad.rng.uniform(0.0, 0.3) * pad.noise(0.3 * length_m, 3)
    inside = np.clip((1.0 - r) / softness + 0.5, 0.0, 1.0)
    inside *= np.clip(1.0 + 0.15 * pad.noise(0.05, 2), 0, 1.4)
    hue = np.exp(pad.rng.normal(0.0, 0.05, len(pad.columns)))
    power = ((1.0 + change) * hue - 1.0)[:, None, None] * inside[None]
    empty = np.zeros(pad.shape, dtype=np.float32)
    colour = np.zeros((len(pad.columns), *pad.shape), dtype=np.float32)
    return Sketch(colour, empty, empty, stain=np.maximum(1.0 + power, 0.1).astype(np.float32))


def dark_spot(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a dark stain without relief: ash, oil, damp, the shadow of something that is not in the picture."""
    return _spot(pad, length_m, width_m, pad.rng.uniform(-0.7, -0.25))


def pale_spot(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a pale stain without relief: salt, lime, dry sand."""
    return _spot(pad, length_m, width_m, pad.rng.uniform(0.2, 0.9))


def soil_stain(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a faint difference of soil."""
    return _spot(pad, length_m, width_m, pad.rng.uniform(-0.3, 0.3))
