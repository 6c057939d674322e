"""Drawings of mines as a nadir camera sees them: outlines, relief and paint only.

Plan sizes and colours follow public recognition guides (see ``hazards.toml``); details inside the outline are
there to vary the picture, not to describe a device.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from survey.synthetic.materials import PAINTS, Spectrum
from survey.synthetic.noise import Field
from survey.synthetic.sketch import Pad, Sketch, lathe, mix, weathered

_METAL = ("olive", "olive", "dark_green", "grass_green", "field_grey", "rust", "dark_rust", "sand_paint")
_PLASTIC = ("olive", "dark_green", "brown", "black", "grass_green", "sand_paint", "field_grey")


def paint(pad: Pad, names: tuple[str, ...], spread: float = 0.18) -> Spectrum:
    """One of these paints, its brightness and hue a little off, as batches and years differ."""
    base = PAINTS[str(pad.rng.choice(names))]
    tint = np.exp(pad.rng.normal(0.0, spread * 0.35, len(base)) + pad.rng.normal(0.0, spread))
    return np.asarray(np.clip(base * tint, 0.01, 0.9), dtype=np.float32)


def rusted(pad: Pad, sheet: Field, share: float) -> Field:
    """Let rust break through paint over about this share of the sheet, in place."""
    if share <= 0:
        return sheet
    where = np.clip((pad.noise(0.05, 3) + 2.2 * share - 1.1) * 2.0, 0.0, 1.0)
    rust = paint(pad, ("rust", "dark_rust"), 0.25)
    return mix(sheet, rust[pad.columns], where * min(1.0, 0.4 + share))


def mine_at(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a round anti-tank mine: body, rim, pressure plate, well and handle, in one of many builds."""
    rng, radius = pad.rng, length_m / 2
    metal = rng.random() < 0.7
    body = paint(pad, _METAL if metal else _PLASTIC)
    sheet = pad.fill(body)
    r = pad.r / radius
    alpha = pad.disc(radius)
    plate = rng.uniform(0.38, 0.80)
    rim = rng.uniform(0.84, 0.95)
    well = rng.uniform(0.12, 0.30) * plate
    shelf = rng.uniform(0.55, 0.85) * height_m
    height = np.full(pad.shape, shelf, dtype=np.float32)
    plate_rise = rng.uniform(0.08, 0.45) * height_m * (1 if rng.random() < 0.85 else -0.5)
    height += np.float32(plate_rise) * np.clip((plate - r) / 0.10 + 0.5, 0, 1)
    height += np.float32(rng.uniform(0.0, 0.10) * height_m) * np.clip((r - rim) / 0.05 + 0.5, 0, 1)
    height -= np.float32(0.35 * height_m) * np.clip((r - 0.97) / 0.06, 0, 1)
    edge = rng.uniform(0.45, 0.9)
    mix(sheet, (body * edge)[pad.columns], pad.ring(plate * radius, 0.012 * rng.uniform(0.6, 1.6)))
    if rng.random() < 0.6:
        other = paint(pad, ("olive", "dark_green", "field_grey", "black", "rust", "brown"))
        blend = rng.uniform(0.15, 0.9)
        mix(sheet, (other * blend + body * (1 - blend))[pad.columns], pad.disc(plate * radius))
    for _ in range(int(rng.integers(0, 4))):
        groove = rng.uniform(well, 0.97)
        mix(sheet, (body * rng.choice([0.6, 0.75, 1.25]))[pad.columns], 0.8 * pad.ring(groove * radius, 0.006))
        height += np.float32(rng.choice([-0.004, 0.004])) * pad.ring(groove * radius, 0.012)
    if rng.random() < 0.35:
        _ribs(pad, sheet, height, body, radius, plate)
    _well(pad, sheet, height, radius * well, height_m)
    if rng.random() < 0.55:
        alpha = np.maximum(alpha, _handle(pad, sheet, height, radius, body))
    if rng.random() < 0.4:
        _stencil(pad, sheet, radius, plate)
    weathered(pad, sheet, rng.uniform(0.3, 1.3), 0.08)
    if metal:
        rusted(pad, sheet, pad.site.decay * rng.uniform(0.0, 0.9))
    height *= alpha > 0.02
    return Sketch(sheet, alpha, height.astype(np.float32), gloss=rng.uniform(0.0, 0.25))


def _ribs(pad: Pad, sheet: Field, height: Field, body: Spectrum, radius: float, plate: float) -> None:
    count = int(pad.rng.integers(4, 13))
    angle = np.arctan2(pad.v, pad.u)
    wave = np.cos(angle * count)
    outside = np.clip((pad.r / radius - plate) / 0.08, 0, 1) * (pad.r < 0.93 * radius)
    mix(sheet, (body * 0.65)[pad.columns], np.clip(wave * 2 - 1, 0, 1) * outside * 0.8)
    height += (0.005 * wave * outside).astype(np.float32)


def _well(pad: Pad, sheet: Field, height: Field, radius: float, height_m: float) -> None:
    rng = pad.rng
    plug = paint(pad, ("steel", "black", "brown", "olive", "brass", "rust", "grey", "red_paint"))
    where = pad.disc(radius)
    mix(sheet, plug[pad.columns], where)
    mix(sheet, (plug * 0.4)[pad.columns], pad.ring(radius, 0.008))
    height += (where * rng.uniform(-0.15, 0.2) * height_m).astype(np.float32)
    if rng.random() < 0.5:
        slot = pad.box(1.4 * radius, 0.012) * pad.disc(radius * 0.9)
        mix(sheet, (plug * 0.35)[pad.columns], slot)


def _handle(pad: Pad, sheet: Field, height: Field, radius: float, body: Spectrum) -> Field:
    rng = pad.rng
    reach = rng.uniform(0.01, 0.045)
    span = rng.uniform(0.08, 0.14)
    outer = pad.box(reach * 2, span, radius, 0.0, 0.008)
    if rng.random() < 0.6:
        outer = outer * (1 - pad.box(2 * reach - 0.024, span - 0.024, radius, 0.0))
    outer = outer * np.clip((pad.r - 0.9 * radius) / pad.px_m, 0, 1)
    colour = paint(pad, ("steel", "rust", "olive", "black")) if rng.random() < 0.6 else body * 0.8
    mix(sheet, colour[pad.columns], outer)
    np.copyto(height, np.float32(0.03), where=(outer > 0.3) & (pad.r > radius))
    return np.asarray(outer, dtype=np.float32)


def _stencil(pad: Pad, sheet: Field, radius: float, plate: float) -> None:
    """Paint a few short marks, as of worn lettering."""
    ink = PAINTS[str(pad.rng.choice(["black", "white", "yellow_paint", "red_paint"]))]
    where = pad.rng.uniform(-0.5, 0.5)
    for k in range(int(pad.rng.integers(3, 8))):
        mark = pad.box(0.012, 0.022, (where + 0.09 * k - 0.3) * radius, 0.5 * (plate + 0.9) * radius)
        mix(sheet, ink[pad.columns], 0.6 * mark)


def mine_ap_round(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a round blast mine: case, rubber top, and a stub at the side or a cross on the top."""
    rng, radius = pad.rng, length_m / 2
    build = str(rng.choice(["collar", "cross", "plain"]))
    case = paint(pad, ("bakelite", "brown", "olive", "dark_green", "field_grey", "black"))
    rubber = paint(pad, ("rubber", "black", "rubber", "olive")) if build != "cross" else case
    sheet = pad.fill(case)
    alpha = pad.disc(radius)
    r = pad.r / radius
    height = np.full(pad.shape, 0.72 * height_m, dtype=np.float32)
    inner = rng.uniform(0.66, 0.9)
    mix(sheet, rubber[pad.columns], pad.disc(inner * radius))
    mix(sheet, (case * rng.uniform(0.5, 1.5))[pad.columns], pad.ring(inner * radius, 0.006))
    height += np.float32(0.28 * height_m) * np.clip((inner - r) / 0.15, 0, 1)
    height -= np.float32(0.35 * height_m) * np.clip((r - 0.94) / 0.1, 0, 1)
    if build == "cross":
        arm = rng.uniform(0.016, 0.028)
        cross = np.maximum(pad.box(1.5 * radius, arm), pad.box(arm, 1.5 * radius))
        mix(sheet, paint(pad, ("rubber", "black", "brown", "dark_green"))[pad.columns], cross)
        height += (0.008 * cross).astype(np.float32)
    elif build == "collar":
        stub = pad.box(0.05, 0.028, radius, 0.0, 0.006)
        mix(sheet, paint(pad, ("brown", "black", "steel", "bakelite"))[pad.columns], stub * (pad.r > 0.93 * radius))
        alpha = np.maximum(alpha, stub)
    else:
        mix(sheet, (rubber * 1.6)[pad.columns], 0.7 * pad.disc(0.2 * radius))
    weathered(pad, sheet, rng.uniform(0.3, 1.2), 0.04)
    height *= alpha > 0.02
    return Sketch(sheet, alpha, height, gloss=rng.uniform(0.0, 0.3))


def mine_ap_box(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a wooden box mine: boards, a lid that overhangs, nail heads."""
    rng = pad.rng
    wood = paint(pad, ("wood", "weathered_wood", "weathered_wood", "olive"))
    sheet = pad.fill(wood)
    lid = pad.box(length_m, width_m, 0.0, 0.0, 0.003)
    grain = np.sin(pad.v * 2 * math.pi / 0.013 + 1.5 * pad.noise(0.06))
    sheet *= (1.0 + 0.12 * grain)[None]
    joint = pad.box(0.004, width_m, rng.uniform(-0.3, 0.3) * length_m) + pad.box(length_m, 0.003, 0.0, 0.32 * width_m)
    mix(sheet, (wood * 0.4)[pad.columns], np.clip(joint, 0, 1))
    if rng.random() < 0.5:
        mix(sheet, PAINTS["steel"][pad.columns], pad.disc(0.008, 0.42 * length_m, 0.0))
    weathered(pad, sheet, rng.uniform(0.5, 1.3), 0.05)
    return Sketch(sheet, lid, (lid * height_m).astype(np.float32))


def mine_stake(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a fragmentation mine on a stake, from above: a small ribbed iron body and a long shadow."""
    rng, radius = pad.rng, length_m / 2
    iron = paint(pad, ("rust", "dark_rust", "olive", "dark_green"))
    sheet = pad.fill(iron)
    body = pad.disc(radius)
    height = (body * height_m * rng.uniform(1.6, 2.6)).astype(np.float32)
    mix(sheet, paint(pad, ("brass", "steel", "dark_rust"))[pad.columns], pad.disc(0.35 * radius))
    mix(sheet, (iron * 0.5)[pad.columns], pad.ring(0.7 * radius, 0.006))
    if rng.random() < 0.3:  # it has fallen: stake and body lie along u
        stake, lift = lathe(pad, [-0.16, 0.16], [0.011, 0.011])
        body_, lift_ = lathe(pad, [0.02, 0.03, 0.13, 0.14], [0.01, radius, radius, 0.01])
        mix(sheet, paint(pad, ("weathered_wood", "wood"))[pad.columns], stake * (1 - body_))
        return Sketch(sheet, np.maximum(stake, body_), np.maximum(lift, lift_))
    return Sketch(rusted(pad, sheet, 0.5), body, height)


def mine_bounding(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a bounding mine of which the lid shows: a small green disc with a stub, prongs and a filler cap."""
    rng, radius = pad.rng, length_m / 2
    green = paint(pad, ("olive", "dark_green", "grass_green", "field_grey"))
    sheet = pad.fill(green)
    lid = pad.disc(radius)
    shown = rng.uniform(0.02, 0.06)
    height = (lid * shown).astype(np.float32)
    mix(sheet, (green * 0.55)[pad.columns], pad.ring(0.86 * radius, 0.008))
    stub = pad.disc(0.016)
    mix(sheet, paint(pad, ("brass", "steel", "black"))[pad.columns], stub)
    mix(sheet, (green * 1.5)[pad.columns], pad.disc(0.012, 0.5 * radius, 0.2 * radius))
    for turn in range(3):
        angle = 2 * math.pi * turn / 3 + 0.3
        prong = pad.box(0.03, 0.005, 0.022 * math.cos(angle), 0.022 * math.sin(angle))
        mix(sheet, PAINTS["steel"][pad.columns], 0.7 * prong)
    height += (0.07 * stub).astype(np.float32)
    return Sketch(rusted(pad, weathered(pad, sheet, 0.8, 0.04), 0.4 * pad.site.decay), lid, height, gloss=0.1)


def mine_directional(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a directional mine: a curved plastic case seen from above on legs, or lying on its back."""
    rng = pad.rng
    green = paint(pad, ("olive", "dark_green", "grass_green", "brown"))
    sheet = pad.fill(green)
    sag = 0.16 * length_m
    bow = pad.v + sag * (4 * (pad.u / length_m) ** 2 - 0.5) * 1.0
    edge = np.maximum(np.abs(bow) - width_m / 2, np.abs(pad.u) - length_m / 2)
    alpha = pad.inside(edge)
    for place in (-0.3, 0.3):
        well = pad.disc(0.011, place * length_m, 0.0)
        mix(sheet, PAINTS["black"][pad.columns], well)
    mix(sheet, (green * 0.6)[pad.columns], pad.inside(np.abs(bow) - 0.004) * 0.7)
    height = (alpha * height_m).astype(np.float32)
    legs = np.zeros(pad.shape, dtype=np.float32)
    if rng.random() < 0.6:
        for place in (-0.28, 0.28):
            for side in (-1, 1):
                legs = np.maximum(legs, pad.box(0.008, 0.08, place * length_m, side * (width_m / 2 + 0.03)))
        mix(sheet, PAINTS["steel"][pad.columns], legs * (1 - alpha))
        np.copyto(height, np.float32(0.04), where=(legs > 0.3) & (alpha < 0.5))
    weathered(pad, sheet, 0.8, 0.05)
    return Sketch(sheet, np.maximum(alpha, legs), height, gloss=0.15)


def mine_dish(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a dish-shaped directional mine, flat on the ground or leaning."""
    rng, radius = pad.rng, length_m / 2
    green = paint(pad, ("olive", "dark_green", "field_grey", "rust"))
    sheet = pad.fill(green)
    squash = width_m / length_m
    r = np.hypot(pad.u, pad.v / squash)
    alpha = pad.inside(r - radius)
    depth = rng.uniform(0.25, 0.8) * height_m
    height = (alpha * (depth + (height_m - depth) * (r / radius) ** 2)).astype(np.float32)
    mix(sheet, (green * 0.6)[pad.columns], pad.inside(np.abs(r - 0.93 * radius) - 0.006))
    mix(sheet, PAINTS["steel"][pad.columns], pad.disc(0.014))
    bracket = pad.box(0.03, 0.05, 0.0, width_m / 2 + 0.01, 0.004)
    mix(sheet, (green * 0.8)[pad.columns], bracket * (1 - alpha))
    weathered(pad, sheet, 1.0, 0.06)
    rusted(pad, sheet, 0.6 * pad.site.decay)
    return Sketch(sheet, np.maximum(alpha, bracket), height, gloss=0.1)


def mine_winged(pad: Pad, length_m: float, width_m: float, height_m: float) -> Sketch:
    """Draw a small winged mine: one thick wing, one flat wing, a cylinder between them."""
    rng = pad.rng
    case = paint(pad, ("grass_green", "olive", "dark_green", "sand_paint", "brown", "white"), 0.2)
    sheet = pad.fill(case)
    half_u, half_v = length_m / 2, width_m / 2
    hand = rng.choice([-1.0, 1.0])
    v = pad.v * hand
    pod = [
        (0.08, -0.55),
        (0.30, -0.98),
        (0.72, -0.95),
        (0.98, -0.45),
        (0.97, 0.10),
        (0.75, 0.52),
        (0.35, 0.72),
        (0.08, 0.6),
    ]
    fin = [
        (-0.08, -0.5),
        (-0.45, -0.55),
        (-0.85, -0.30),
        (-1.0, 0.15),
        (-0.93, 0.62),
        (-0.6, 0.92),
        (-0.25, 0.85),
        (-0.08, 0.6),
    ]
    flipped = replace(pad, v=v.astype(np.float32))
    thick = flipped.polygon([(a * half_u, b * half_v) for a, b in pod])
    flat = flipped.polygon([(a * half_u, b * half_v) for a, b in fin])
    fuse = flipped.box(0.020, 1.5 * half_v, 0.0, 0.0, 0.006)
    alpha = np.maximum(np.maximum(thick, flat), fuse)
    swell = np.clip(1 - ((pad.u - 0.52 * half_u) / (0.55 * half_u)) ** 2 - (v / half_v) ** 2, 0, 1)
    height = (thick * (0.4 + 0.6 * np.sqrt(swell)) * height_m + flat * 0.25 * height_m).astype(np.float32)
    np.maximum(height, (fuse * height_m).astype(np.float32), out=height)
    mix(sheet, (case * rng.uniform(0.55, 1.3))[pad.columns], fuse)
    mix(sheet, (case * 0.7)[pad.columns], 0.6 * flipped.box(0.8 * half_u, 0.004, -0.5 * half_u, 0.1 * half_v))
    if rng.random() < 0.5:
        mix(sheet, PAINTS["aluminium"][pad.columns], flipped.disc(0.006, 0.0, 0.65 * half_v))
    weathered(pad, sheet, rng.uniform(0.2, 0.8), 0.03)
    return Sketch(sheet, alpha, height, gloss=rng.uniform(0.0, 0.3))
