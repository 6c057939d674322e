"""Sets a drawn thing into a picture: soil and blades over it, light and shadow, fine pixels to coarse ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from survey.synthetic.ground import Canvas
from survey.synthetic.kinds import KINDS
from survey.synthetic.light import cast_shadow, lambert
from survey.synthetic.noise import Field
from survey.synthetic.site import Site
from survey.synthetic.sketch import Pad, Sketch, repaint
from survey.synthetic.world import Thing

_FINE_SIDE = 190  # fine pixels across a patch that supersampling aims at; larger patches are drawn coarser
_FINEST = 4
_LEAST_PX = 1.0  # harmless things smaller than this drown in the grain of the ground and are left out


@dataclass(frozen=True)
class Footprint:
    """Where a thing lies in the picture.

    ``whole`` and ``shown`` are (rows, columns) shares of each pixel, of the thing itself and of what soil and
    blades leave of it; ``top`` and ``left`` place them in the picture.
    """

    top: int
    left: int
    whole: Field
    shown: Field

    def occlusion(self, over: Field) -> float:
        """Share of the thing that cannot be seen, given what plants drawn later hide (0-1, picture-sized)."""
        rows, cols = self.whole.shape
        hidden = over[self.top : self.top + rows, self.left : self.left + cols]
        total = float(self.whole.sum())
        if total <= 0:
            return 0.0
        return float(np.clip(1.0 - float((self.shown * (1.0 - hidden)).sum()) / total, 0.0, 1.0))


def stamp(canvas: Canvas, thing: Thing, site: Site) -> Footprint | None:
    """Draw one thing into the canvas, in place.

    Parameters
    ----------
    canvas : Canvas
    thing : Thing
    site : Site
        Whose soils, plants and decay colour the thing.

    Returns
    -------
    Footprint or None
        None where it lies wholly outside the picture or is smaller than can be drawn.
    """
    kind = KINDS[thing.kind]
    frame = canvas.frame
    if kind.class_code is None and thing.length_m < _LEAST_PX * frame.gsd_m:
        return None
    place = _window(thing, canvas)
    a, b = max(place.top, 0), min(place.bottom, frame.height)
    c, d = max(place.left, 0), min(place.right, frame.width)
    if a >= b or c >= d:
        return None
    window = canvas.radiance[:, a:b, c:d]
    pad = _pad(thing, site, place, canvas, window)
    sketch = kind.draw(pad, thing.length_m, thing.width_m, thing.height_m)
    if kind.class_code is not None and kind.layer == "lying" and site.any_paint and pad.rng.random() < site.any_paint:
        repaint(sketch, pad)
    whole = sketch.whole if sketch.whole is not None else sketch.alpha
    whole = whole.copy()
    if kind.layer == "lying":
        _bury(sketch, pad, thing.burial)
        _dust(sketch, pad)
        cover = thing.cover * float(np.clip(0.1 + 1.2 * canvas.plants[a:b, c:d].mean(), 0.0, 1.0))
        if cover > 0.02:
            _grown_over(sketch, pad, thing, cover)
        shown = np.minimum(sketch.alpha, whole)
    else:
        shown = sketch.shown if sketch.shown is not None else whole
    ground, own = _lit(sketch, pad, canvas)
    size = (place.right - place.left, place.bottom - place.top)
    inner = np.s_[a - place.top : b - place.top, c - place.left : d - place.left]
    for band in range(len(canvas.columns)):
        factor = _shrunk(ground[band], size)[inner]
        window[band] *= factor
        window[band] += _shrunk(own[band], size)[inner]
    canvas.heights[a:b, c:d] += _shrunk(sketch.height.astype(np.float32), size)[inner]
    small_alpha = _shrunk(sketch.alpha, size)[inner]
    if kind.layer == "plant":
        over = canvas.over[a:b, c:d]
        np.maximum(over, small_alpha, out=over)
    return Footprint(a, c, _shrunk(whole, size)[inner], _shrunk(shown.astype(np.float32), size)[inner])


def _half_extent(thing: Thing, turn: float, reach: float) -> tuple[float, float]:
    """Half the width and half the height of the thing's window in the picture, metres."""
    cos, sin = math.cos(turn), math.sin(turn)
    if thing.path:
        margin = 2.5 + thing.width_m
        return (
            max(abs(u * cos - v * sin) for u, v in thing.path) + margin,
            max(abs(u * sin + v * cos) for u, v in thing.path) + margin,
        )
    u, v = 0.5 * thing.length_m * reach, 0.5 * thing.width_m * reach
    v = max(v, 0.5 * thing.width_m + 0.06) if thing.width_m < 0.5 * thing.length_m else v
    grow = 0.0 if thing.width_m >= 0.75 * thing.length_m else 1.0
    if not grow:
        return u, u
    return abs(u * cos) + abs(v * sin), abs(u * sin) + abs(v * cos)


@dataclass(frozen=True)
class _Window:
    """Whole pixels of the picture, or beyond it, that a thing and its shadow may touch.

    ``col`` and ``row`` are the thing's centre, ``turn`` its heading in the picture, radians anticlockwise.
    """

    top: int
    bottom: int
    left: int
    right: int
    col: float
    row: float
    turn: float


def _window(thing: Thing, canvas: Canvas) -> _Window:
    kind, sun, frame = KINDS[thing.kind], canvas.sun, canvas.frame
    col, row = frame.to_pixel(thing.x_m, thing.y_m)
    turn = thing.heading - math.radians(frame.angle_deg)
    half = _half_extent(thing, turn, kind.reach)
    shadow = min(max(thing.height_m, 0.02) * 1.3 * sun.run_per_height, 12.0) if kind.layer != "earth" else 0.3
    length = max(math.hypot(sun.right, sun.down), 1e-6)
    cast = (-sun.right / length * shadow, -sun.down / length * shadow)
    g = frame.gsd_m
    return _Window(
        top=math.floor(row - (half[1] + max(0.0, -cast[1])) / g) - 1,
        bottom=math.ceil(row + (half[1] + max(0.0, cast[1])) / g) + 1,
        left=math.floor(col - (half[0] + max(0.0, -cast[0])) / g) - 1,
        right=math.ceil(col + (half[0] + max(0.0, cast[0])) / g) + 1,
        col=col,
        row=row,
        turn=turn,
    )


def _pad(thing: Thing, site: Site, place: _Window, canvas: Canvas, window: Field) -> Pad:
    """Fine pixels over the whole of a window; ``window`` is the part of the picture that it shares."""
    rng = np.random.default_rng([thing.seed, 301])
    height, width = place.bottom - place.top, place.right - place.left
    fine = int(np.clip(_FINE_SIDE // max(height, width), 1, _FINEST))
    g = canvas.frame.gsd_m
    col, row = np.float32(place.col - place.left), np.float32(place.row - place.top)
    x = ((np.arange(width * fine, dtype=np.float32) + 0.5) / fine - col) * np.float32(g)
    y = (row - (np.arange(height * fine, dtype=np.float32) + 0.5) / fine) * np.float32(g)
    cos, sin = np.float32(math.cos(place.turn)), np.float32(math.sin(place.turn))
    u: Field = np.asarray((y * sin)[:, None] + (x * cos)[None, :], dtype=np.float32)
    v: Field = np.asarray((y * cos)[:, None] - (x * sin)[None, :], dtype=np.float32)
    earth, leaf = canvas.local_colours(site, window, rng)
    return Pad(u, v, g / fine, canvas.columns, site, rng, earth, leaf, thing.age, thing.path)


def _bury(sketch: Sketch, pad: Pad, burial: float) -> None:
    """Let soil lie over a share of the thing: from one side, along a ragged line."""
    if burial < 0.01:
        return
    solid = sketch.alpha > 0.5
    if not solid.any():
        return
    turn = pad.rng.uniform(0, 2 * math.pi)
    size = float(max(np.abs(pad.u[solid]).max(), 0.02))
    slope = (pad.u * math.cos(turn) + pad.v * math.sin(turn)) / size
    level = slope * pad.rng.uniform(0.3, 1.0) + 0.55 * pad.noise(0.35 * size, 3)
    edge = float(np.quantile(level[solid], 1.0 - burial))
    soft = 0.10 + 0.5 * pad.px_m / size
    kept = np.clip((edge - level) / soft + 0.5, 0.0, 1.0).astype(np.float32)
    sketch.alpha = sketch.alpha * kept
    sketch.height = sketch.height * kept * np.float32(1.0 - 0.7 * burial)


def _dust(sketch: Sketch, pad: Pad) -> None:
    """Dust from the ground nearby, thicker in places."""
    strength = pad.rng.beta(1.1, 4.0)
    veil = np.clip(strength * (1.0 + 0.5 * pad.noise(0.06, 2)), 0.0, 0.85).astype(np.float32)
    sketch.colour += veil[None] * (pad.earth[:, None, None] - sketch.colour)


def _grown_over(sketch: Sketch, pad: Pad, thing: Thing, cover: float) -> None:
    """Let what grows around a thing close over a share of it.

    The picture's own ground shows through ragged, blade-like gaps in the thing, so that the cover looks like
    the growth beside it, in a drawn scene and in a photograph.
    """
    rng = pad.rng
    solid = sketch.alpha > 0.5
    if not solid.any():
        return
    size = 0.5 * max(thing.length_m, 0.06)
    level = 0.8 * pad.noise(0.5 * size, 2) + _blades(pad, size) * np.float32(rng.uniform(0.8, 2.2))
    turn = rng.uniform(0, 2 * math.pi)
    level += np.float32(rng.uniform(0.0, 1.2) / size) * (pad.u * math.cos(turn) + pad.v * math.sin(turn))
    edge = float(np.quantile(level[solid], 1.0 - min(cover, 1.0)))
    veil = np.clip((level - edge) * np.float32(2.5) + 0.5, 0.0, 1.0).astype(np.float32)
    sketch.alpha = sketch.alpha * (1.0 - veil)
    sketch.height = sketch.height * (1.0 - 0.85 * veil)


def _blades(pad: Pad, size_m: float) -> Field:
    """Crossing strokes of grass over a thing, unit brightness, not yet thresholded."""
    rng = pad.rng
    blade_m = float(np.clip(pad.site.growth.blade_m * rng.uniform(0.6, 1.4), 0.04, 0.4))
    thick_m = float(rng.uniform(0.004, 0.012))
    count = int(np.clip(1.2 * (2 * size_m) ** 2 / (blade_m * thick_m), 6, 400))
    blade, reach, thick = blade_m / pad.px_m, size_m / pad.px_m, max(1, round(thick_m / pad.px_m))
    row, col = np.unravel_index(int(np.argmin(pad.u * pad.u + pad.v * pad.v)), pad.shape)
    start = rng.uniform(-1.3 * reach, 1.3 * reach, (count, 2)) + np.array([float(col), float(row)])
    angle = rng.normal(rng.uniform(0, 2 * math.pi), 0.8, count)
    along = (blade * rng.uniform(0.4, 1.2, count))[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    lines = np.round(np.stack([start - along / 2, start + along / 2], 1) * 8).astype(np.int32)
    mask = np.zeros(pad.shape, dtype=np.uint8)
    for part, value in zip(np.array_split(np.arange(count), 3), (255, 170, 90), strict=True):
        cv2.polylines(mask, list(lines[part]), False, value, thick, cv2.LINE_AA, 3)
    return np.asarray(mask.astype(np.float32) / 255.0, dtype=np.float32)


def _lit(sketch: Sketch, pad: Pad, canvas: Canvas) -> tuple[Field, Field]:
    """Factor on the ground and light of the thing's own, both (bands, rows, columns) in fine pixels."""
    sun = canvas.sun
    bare = 1.0 - sketch.alpha
    if float(np.ptp(sketch.height)) < 1e-4:
        lit = np.ones(pad.shape, dtype=np.float32)
    else:
        smooth = np.asarray(cv2.GaussianBlur(sketch.height, (0, 0), 0.7), dtype=np.float32)
        lit = lambert(smooth, pad.px_m, sun)
        lit *= 1.0 - cast_shadow(sketch.height, pad.px_m, sun, 0.008 + 0.3 * pad.px_m)
    factor = 1.0 + sun.direct[:, None, None] * (lit - 1.0)[None]
    own = sketch.colour * factor * sketch.alpha[None]
    if sketch.gloss > 0.05:
        shine = np.clip(lit - 1.15, 0.0, 0.5) * np.float32(sketch.gloss) * sketch.alpha
        own += (sun.direct * 0.8)[:, None, None] * shine[None]
    ground = factor * bare[None]
    if sketch.stain is not None:
        ground *= sketch.stain
    return ground.astype(np.float32), own.astype(np.float32)


def _shrunk(fine: Field, size: tuple[int, int]) -> Field:
    if fine.shape == (size[1], size[0]):
        return fine
    return np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
