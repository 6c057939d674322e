"""Drawings of unexploded ordnance lying on the ground: bodies turned on a lathe, fins, rust."""

from __future__ import annotations

import numpy as np

from survey.synthetic.materials import PAINTS
from survey.synthetic.mines import paint, rusted
from survey.synthetic.sketch import Pad, Sketch, lathe, mix, weathered

_STEEL = ("olive", "field_grey", "rust", "dark_rust", "grey", "dark_green", "steel")


def _turned(pad: Pad, along: list[float], radii: list[float], names: tuple[str, ...] = _STEEL) -> Sketch:
    colour = paint(pad, names)
    sheet = pad.fill(colour)
    alpha, height = lathe(pad, along, radii)
    return Sketch(sheet, alpha, height, gloss=pad.rng.uniform(0.0, 0.3))


def _fins(pad: Pad, sketch: Sketch, start_m: float, end_m: float, span_m: float, light: bool) -> None:
    """Two fins seen edge-on beside the tail, and one on top."""
    colour = paint(pad, ("aluminium", "grey", "steel") if light else ("steel", "dark_rust", "olive", "black"))
    length = end_m - start_m
    middle = (start_m + end_m) / 2
    beside = pad.box(length, span_m, middle, 0.0, 0.2 * length)
    flat = beside * (1.0 - sketch.alpha)
    mix(sketch.colour, colour[pad.columns], np.maximum(flat, pad.box(length, 0.006, middle) * sketch.alpha))
    sketch.alpha = np.maximum(sketch.alpha, beside)
    np.copyto(sketch.height, np.float32(0.25 * span_m), where=(flat > 0.4))


def _finish(pad: Pad, sketch: Sketch) -> Sketch:
    weathered(pad, sketch.colour, pad.rng.uniform(0.5, 1.3), 0.06)
    rusted(pad, sketch.colour, pad.site.decay * pad.rng.uniform(0.2, 1.0))
    return sketch


def shell(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw an artillery shell: flat base, driving band, ogive and perhaps a fuze."""
    h, r = length_m / 2, width_m / 2
    along = [-h, -h + 0.02, -0.1 * h, 0.35 * h, 0.72 * h, 0.9 * h, h]
    sketch = _turned(pad, along, [0.86 * r, r, r, 0.92 * r, 0.62 * r, 0.36 * r, 0.16 * r])
    band = pad.box(0.03, width_m, -0.74 * h) * sketch.alpha
    mix(sketch.colour, paint(pad, ("brass", "dark_rust", "steel"))[pad.columns], band)
    if pad.rng.random() < 0.6:
        nose = sketch.alpha * (pad.u > 0.78 * h)
        mix(sketch.colour, paint(pad, ("steel", "brass", "black", "rust"))[pad.columns], nose)
    return _finish(pad, sketch)


def mortar_bomb(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a mortar bomb: drop-shaped body, thin boom, fins around the tail."""
    h, r = length_m / 2, width_m / 2
    tail = pad.rng.uniform(-0.5, -0.3) * h
    along = [-h, tail - 0.05 * h, tail + 0.1 * h, 0.15 * h, 0.45 * h, 0.85 * h, h]
    sketch = _turned(
        pad,
        along,
        [0.26 * r, 0.28 * r, 0.62 * r, r, r, 0.42 * r, 0.2 * r],
        ("olive", "grey", "field_grey", "rust", "dark_green"),
    )
    _fins(pad, sketch, -h, -h + 0.2 * h + 0.03, 1.7 * r, bool(pad.rng.random() < 0.4))
    if pad.rng.random() < 0.6:
        nose = sketch.alpha * (pad.u > 0.84 * h)
        mix(sketch.colour, paint(pad, ("aluminium", "steel", "black", "brass"))[pad.columns], nose)
    return _finish(pad, sketch)


def rocket(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a rocket motor or a whole rocket lying flat: a long tube with a nozzle and folded fins."""
    h, r = length_m / 2, width_m / 2
    nosed = pad.rng.random() < 0.45
    along = [-h, -h + 0.02, h - 3.0 * r, h - r, h]
    sketch = _turned(
        pad,
        along,
        [0.8 * r, r, r, 0.6 * r if nosed else r, 0.15 * r if nosed else 0.95 * r],
        ("grey", "field_grey", "olive", "steel", "rust"),
    )
    for place in pad.rng.uniform(-0.7, 0.7, 2):
        mix(
            sketch.colour,
            paint(pad, ("black", "rust", "steel"))[pad.columns],
            pad.box(0.02, width_m, place * h) * sketch.alpha,
        )
    _fins(pad, sketch, -h, -h + 0.14 + 0.03 * length_m, 2.6 * r, False)
    mix(sketch.colour, PAINTS["black"][pad.columns], pad.box(0.03, 1.2 * r, -h) * sketch.alpha)
    return _finish(pad, sketch)


def rocket_upright(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a rocket motor stuck in the ground: a tube end, fins around it, a long shadow, thrown-up soil."""
    r = width_m / 2
    sheet = pad.fill(paint(pad, ("grey", "field_grey", "olive", "rust")))
    tube = pad.disc(r)
    mix(sheet, PAINTS["black"][pad.columns], pad.disc(0.7 * r))
    fins = np.maximum(pad.box(5.0 * r, 0.012), pad.box(0.012, 5.0 * r))
    alpha = np.maximum(tube, fins)
    height = (alpha * height_m).astype(np.float32)
    height += np.float32(0.04) * np.exp(-(((pad.r - 0.16) / 0.06) ** 2)) * (alpha < 0.5)
    return _finish(pad, Sketch(sheet, alpha, height.astype(np.float32)))


def submunition_finned(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a finned submunition: a short fat cylinder with light fins at one end."""
    h, r = length_m / 2, width_m / 2
    sketch = _turned(
        pad, [-0.35 * h, 0.8 * h, 0.95 * h, h], [r, r, 0.7 * r, 0.3 * r], ("grey", "steel", "olive", "field_grey")
    )
    stem, lift = lathe(pad, [-h, -0.35 * h], [0.35 * r, 0.35 * r])
    sketch.alpha = np.maximum(sketch.alpha, stem)
    sketch.height = np.maximum(sketch.height, lift)
    _fins(pad, sketch, -h, -0.55 * h, 2.0 * r, True)
    return _finish(pad, sketch)


def submunition_ball(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a spherical submunition with raised bands."""
    r = length_m / 2
    metal = paint(pad, ("steel", "grey", "aluminium", "rust"))
    sheet = pad.fill(metal)
    alpha = pad.disc(r)
    height = (alpha * (r + np.sqrt(np.maximum(r * r - pad.r**2, 0.0)))).astype(np.float32)
    mix(sheet, (metal * 0.5)[pad.columns], pad.box(length_m, 0.006) * alpha)
    return _finish(pad, Sketch(sheet, alpha, height, gloss=0.4))


def submunition_cup(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a cup-shaped submunition lying down, with or without a cloth ribbon."""
    h, r = length_m / 2, width_m / 2
    sketch = _turned(pad, [-h, -h + 0.01, 0.8 * h, h], [0.8 * r, r, r, 0.6 * r], ("grey", "steel", "brass", "rust"))
    if pad.rng.random() < 0.6:
        wave = 0.012 * np.sin(pad.u * 60.0 + pad.rng.uniform(0, 6))
        ribbon = pad.inside(np.maximum(np.abs(pad.v - wave) - 0.010, np.abs(pad.u - h - 0.055) - 0.06))
        mix(sketch.colour, paint(pad, ("red_paint", "white"))[pad.columns], ribbon * (1 - sketch.alpha))
        sketch.height = np.maximum(sketch.height, (0.006 * ribbon).astype(np.float32))
        sketch.alpha = np.maximum(sketch.alpha, ribbon)
    return _finish(pad, sketch)
