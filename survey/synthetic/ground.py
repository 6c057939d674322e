"""The ground before anything lies on it: soils, furrows, plants, stones and tracks, lit by the sun."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from survey.synthetic.light import Sun, cast_shadow, lambert
from survey.synthetic.materials import PAINTS, Spectrum
from survey.synthetic.noise import Field, Frame, enlarge, fractal
from survey.synthetic.site import Cover, Site

_TILE = 768
_THERMAL = 4
_STRIP = 256  # rows; a multiple of 16, so that coarse fields fall on the same places in every strip
_TALLEST_M = 0.10  # relief of bare ground whose shadow may reach into a strip
_BLADE_WIDTH_M = 0.007


@dataclass(frozen=True)
class Track:
    """A lane across the world: a point on it, its heading, width (m), surface and wiggle."""

    x_m: float
    y_m: float
    heading: float
    width_m: float
    surface: str
    swing_m: float
    swing_length_m: float
    ruts_m: float


@dataclass
class Canvas:
    """A picture in the making, in reflectance units under the site's light.

    ``radiance`` is (bands, height, width); ``plants`` the share of ground under plants, ``over`` the share of
    what lies on the ground that plants drawn later hide; both (height, width), 0-1. ``heights`` (height, width) is how
    far moved earth, things and plants stand above the ground, metres.
    """

    frame: Frame
    columns: NDArray[np.intp]
    sun: Sun
    radiance: Field
    plants: Field
    over: Field
    heights: Field

    def local_colours(self, site: Site, window: Field, rng: np.random.Generator) -> tuple[Field, Field]:
        """Colours (bands) of turned earth and of plants at one place.

        Earth is the site's subsoil or topsoil, drawn towards what lies there already; plants likewise.
        """
        here = np.asarray(window[:, ::3, ::3].mean(axis=(1, 2)), dtype=np.float32)
        first, _, subsoil = site.soil_spectra()
        green, dry, _ = site.plant_spectra()
        turned = subsoil if rng.random() < 0.5 else first * np.float32(rng.uniform(0.6, 1.35))
        leaf = green + np.float32(np.clip(rng.normal(site.growth.dryness, 0.25), 0, 1)) * (dry - green)
        pull = np.float32(rng.uniform(0.0, 0.5))
        earth = turned[self.columns] + pull * (here - turned[self.columns])
        return earth.astype(np.float32), (leaf[self.columns] + 0.3 * pull * (here - leaf[self.columns])).astype(
            np.float32
        )


class _Look(NamedTuple):
    """What a cover means: share of plants, relief factors, rows, and dryness added to the site's."""

    plants: float
    clods: float = 1.0
    furrow_m: float = 0.0
    gravel: float = 0.0
    rows: float = 0.0
    blades: float = 0.4
    dryness: float = 0.0
    clumps: float = 1.0


_LOOKS: dict[Cover, _Look] = {
    "bare": _Look(0.05, 1.0, gravel=0.10),
    "furrow": _Look(0.04, 1.3, furrow_m=0.05, rows=0.3, gravel=0.05),
    "stubble": _Look(0.40, 0.8, furrow_m=0.02, rows=1.0, dryness=0.9, blades=0.8),
    "crop": _Look(0.50, 0.8, furrow_m=0.02, rows=1.6, dryness=-0.5, blades=0.6),
    "grass": _Look(0.93, 0.5, blades=0.55, clumps=0.7),
    "meadow": _Look(0.98, 1.0, blades=1.0, clumps=0.9),
    "scrub": _Look(0.55, 1.0, gravel=0.25, blades=0.7, clumps=1.6),
    "rubble": _Look(0.15, 1.2, gravel=1.0, clumps=1.3),
    "gravel": _Look(0.06, 0.5, gravel=0.55),
    "litter": _Look(0.75, 0.8, blades=0.9, dryness=0.8, clumps=0.5, gravel=0.1),
}


def lay_ground(site: Site, tracks: tuple[Track, ...], frame: Frame, columns: NDArray[np.intp], sun: Sun) -> Canvas:
    """Draw bare ground and low plants of a site.

    Parameters
    ----------
    site : Site
    tracks : tuple of Track
        Lanes over the ground, world metres.
    frame : Frame
    columns : array of int
        Bands wanted.
    sun : Sun
        Light in the frame's axes.

    Returns
    -------
    Canvas
    """
    size = (frame.height, frame.width)
    radiance = np.empty((len(columns), *size), dtype=np.float32)
    plants = np.empty(size, dtype=np.float32)
    halo = 16 * math.ceil((_TALLEST_M * sun.run_per_height / frame.gsd_m + 2) / 16)
    for top in range(0, frame.height, _STRIP):  # strips, so that memory stays bounded
        rows = min(_STRIP, frame.height - top)
        strip, share = _lay(site, tracks, frame.rows(top - halo, rows + 2 * halo), columns, sun)
        radiance[:, top : top + rows] = strip[:, halo : halo + rows]
        plants[top : top + rows] = share[halo : halo + rows]
    over, heights = np.zeros((2, *size), dtype=np.float32)
    return Canvas(frame, columns, sun, radiance, plants, over, heights)


def _lay(
    site: Site, tracks: tuple[Track, ...], frame: Frame, columns: NDArray[np.intp], sun: Sun
) -> tuple[Field, Field]:
    key = site.seed
    zone = _zones(site, frame)
    lane = _lanes(tracks, frame)
    broad = fractal((key, 1), frame, 0.3, 20.0, 0.6)
    patch = fractal((key, 2), frame, 0.03, max(0.1, site.growth.patch_m), 0.45)
    grain = fractal((key, 3), frame, 0.01, 0.12, 0.15)
    speck = fractal((key, 8), frame, 0.01, 0.03, 0.0)
    stones = _stones(site, frame, zone, lane)
    plants = _plant_share(site, frame, zone, patch + 0.55 * grain, lane)
    blade = _blade_tile(site.seed, frame.gsd_m, site.growth.blade_m)
    blades = _tiled(blade, frame)
    plants *= 1.0 - stones
    height = _relief(site, frame, zone, lane, grain)
    height += stones * np.float32(0.045)
    height += plants * (zone.mix("blades") * (blades - 1.0) + 0.25 * grain) * np.float32(0.10 * site.growth.blade_m)
    lit = lambert(height, frame.gsd_m, sun)
    lit *= 1.0 - 0.8 * cast_shadow(height, frame.gsd_m, sun, 0.012 + 0.25 * frame.gsd_m)
    radiance = np.empty((len(columns), frame.height, frame.width), dtype=np.float32)
    soils, growths = site.soil_spectra(), site.plant_spectra()
    rock, other_rock = site.stone_spectra()
    blend = np.clip(site.soil.blend + 0.45 * broad, 0.0, 1.0) if site.soil.first != site.soil.second else None
    dry = np.clip(site.growth.dryness + zone.mix("dryness") + 0.28 * broad + 0.12 * patch, 0.0, 1.0)
    tone = 1.0 + np.float32(site.soil.mottling) * (0.7 * broad + 0.4 * patch)
    tone += np.float32(site.soil.grain) * (0.7 * grain + 0.6 * speck)
    chips = np.clip((speck - 2.0 + 1.5 * zone.mix("gravel")) * 0.8, 0.0, 1.0) * (0.3 + 0.6 * zone.mix("gravel"))
    chips *= 1.0 - sum(one.share for one in lane)
    cracks = np.clip(1.0 - np.abs(broad + 0.05 * grain) * 60.0, 0.0, 1.0) if lane else 0.0
    texture = np.float32(site.growth.texture)
    leaf_tone = 1.0 + texture * (zone.mix("blades") * (blades - 1.0) + 0.10 * grain + 0.08 * speck) + 0.10 * broad
    np.clip(leaf_tone, 0.25, 2.5, out=leaf_tone)
    for band, column in enumerate(columns):
        swing = np.float32(0.45 if column == _THERMAL else 1.0)  # temperature varies less than reflectance
        soil: Any = soils[0][column]
        if blend is not None:
            soil = soil + blend * (soils[1][column] - soil)
        soil = soil * (1.0 + swing * (tone - 1.0))
        soil += chips * (rock[column] - soil)
        soil += stones * ((rock[column] + 0.3 * patch * (other_rock[column] - rock[column])) * (1 + 0.1 * grain) - soil)
        soil = _paved(
            soil, lane, column, np.asarray(swing * (0.07 * speck + 0.05 * broad - 0.3 * cracks), dtype=np.float32)
        )
        leaf = growths[0][column] + dry * (growths[1][column] - growths[0][column])
        leaf *= 1.0 + (0.6 * swing if column == _THERMAL else swing) * (leaf_tone - 1.0)
        leaf -= soil
        leaf *= plants
        soil += leaf
        direct = sun.direct[band]
        radiance[band] = soil * (1.0 - direct + direct * lit)
    np.clip(radiance, 0.004, None, out=radiance)
    return radiance, plants


@dataclass(frozen=True)
class _Zones:
    looks: tuple[_Look, ...]
    shares: tuple[Any, ...]

    def mix(self, name: str) -> Any:
        """Give the value of one property of the covers at each pixel (a number where there is only one cover)."""
        return sum(share * getattr(look, name) for look, share in zip(self.looks, self.shares, strict=True))


def _zones(site: Site, frame: Frame) -> _Zones:
    looks = tuple(_LOOKS[name] for name, _ in site.covers)
    if len(looks) == 1:
        return _Zones(looks, (np.float32(1.0),))
    small = frame.shrunk(4)
    if site.straight:
        across = _across(small, site.furrow_deg, 0.0, 0.0)
        width = np.float32(2 * math.pi / (2.2 * site.zone_m))
        z = 1.4 * np.sin(across * width + 1.0) + 0.06 * fractal((site.seed, 4), small, 0.2, 2.0, 0.5)
        edge = 0.12
    else:
        z = fractal((site.seed, 4), small, 0.15, site.zone_m, 0.75)
        edge = 0.30
    z = enlarge(z, 4, frame)
    below = 0.0
    shares: list[Any] = []
    rest: Any = np.float32(1.0)
    for _, share in site.covers[:-1]:
        below += share
        inside = np.clip((np.float32(ndtri(min(0.999, below))) - z) / np.float32(edge) + 0.5, 0.0, 1.0)
        shares.append(rest * inside)
        rest = rest * (1.0 - inside)
    shares.append(rest)
    return _Zones(looks, tuple(shares))


def _across(frame: Frame, heading_deg: float, x_m: float, y_m: float) -> Field:
    """Signed distance of each pixel from the line through a point, metres."""
    a = frame.affine
    nx, ny = -math.sin(math.radians(heading_deg)), math.cos(math.radians(heading_deg))
    cols = np.arange(frame.width, dtype=np.float32) + 0.5
    rows = np.arange(frame.height, dtype=np.float32) + 0.5
    along_col = np.float32(nx * a.a + ny * a.d) * cols + np.float32(nx * (a.c - x_m) + ny * (a.f - y_m))
    along_row = np.float32(nx * a.b + ny * a.e) * rows
    return np.asarray(along_row[:, None] + along_col[None, :], dtype=np.float32)


class _Lane(NamedTuple):
    """Share of each pixel that is lane, its surface, and the relief of its ruts (m)."""

    share: Any
    ruts: Any
    surface: str


def _lanes(tracks: tuple[Track, ...], frame: Frame) -> tuple[_Lane, ...]:
    lanes = []
    for track in tracks:
        heading = math.degrees(track.heading)
        small = frame.shrunk(2)
        across = _across(small, heading, track.x_m, track.y_m)
        along = _across(small, heading - 90.0, track.x_m, track.y_m)
        across += np.float32(track.swing_m) * np.sin(along * np.float32(2 * math.pi / track.swing_length_m))
        edge = 0.05 if track.surface in ("asphalt", "concrete") else 0.35
        ragged = across + np.float32(edge) * fractal((17, round(track.x_m * 100) & 0xFFFF), small, 0.1, 1.0, 0.5)
        share = np.clip((track.width_m / 2 - np.abs(ragged)) / edge + 0.5, 0.0, 1.0)
        ruts = -np.float32(track.ruts_m) * np.exp(-(((np.abs(across) - 0.8) / 0.16) ** 2))
        lanes.append(_Lane(enlarge(share, 2, frame), enlarge(ruts, 2, frame), track.surface))
    return tuple(lanes)


def _plant_share(site: Site, frame: Frame, zone: _Zones, rough: Field, lane: tuple[_Lane, ...]) -> Field:
    share = np.clip(zone.mix("plants") * site.growth.density, 0.01, 0.995)
    level = np.asarray(ndtri(share), dtype=np.float32) * np.float32(1.15)
    field = rough * np.float32(0.87) * zone.mix("clumps")
    rows = zone.mix("rows")
    if np.max(rows) > 0:
        across = _across(frame, site.furrow_deg, 0.0, 0.0)
        across += 0.05 * rough
        field = field + rows * np.cos(across * np.float32(2 * math.pi / site.furrow_m))
    plants = np.clip((field + level) * 1.3 + 0.5, 0.0, 1.0)
    for one in lane:
        bare = np.where(one.ruts < -0.004, 1.0, 0.9) if one.surface == "soil" else 0.99
        plants *= 1.0 - one.share * bare
    return np.asarray(plants, dtype=np.float32)


def _stones(site: Site, frame: Frame, zone: _Zones, lane: tuple[_Lane, ...]) -> Field:
    """Strew small stones, too many to draw one by one: the peaks of a noise, about 3 to 10 cm across."""
    peaks = fractal((site.seed, 9), frame, 0.03, 0.06, 0.3)
    level = 3.6 - 1.4 * site.soil.stoniness - 0.9 * zone.mix("gravel")
    stones = np.clip((peaks - level) * 3.0, 0.0, 1.0)
    for one in lane:
        if one.surface != "soil":
            stones *= 1.0 - one.share
    return np.asarray(stones, dtype=np.float32)


def _relief(
    site: Site,
    frame: Frame,
    zone: _Zones,
    lane: tuple[_Lane, ...],
    grain: Field,
) -> Field:
    clods = fractal((site.seed, 5), frame, 0.01, 0.5, 0.6)
    rough_m = np.float32(site.soil.clods_m) * zone.mix("clods")
    height = clods * rough_m + grain * (rough_m * np.float32(0.25))
    gravel = zone.mix("gravel")
    if np.max(gravel) > 0.2:
        bumps = fractal((site.seed, 6), frame, 0.04, 0.30, 0.35)
        height += np.maximum(bumps, 0.0) * gravel * np.float32(0.035)
    furrow_m = zone.mix("furrow_m")
    if np.max(furrow_m) > 0:
        across = _across(frame, site.furrow_deg, 0.0, 0.0)
        across += 0.06 * clods
        deep = np.minimum(furrow_m, np.float32(0.16 * site.furrow_m))
        height += deep * np.cos(across * np.float32(2 * math.pi / site.furrow_m) + np.float32(math.pi))
    for one in lane:
        smooth = 0.85 if one.surface in ("asphalt", "concrete") else 0.5
        height *= 1.0 - smooth * one.share
        height += one.ruts
    return np.asarray(height, dtype=np.float32)


def _paved(soil: Any, lane: tuple[_Lane, ...], column: int, tone: Field) -> Any:
    surfaces: dict[str, Spectrum] = {"asphalt": PAINTS["asphalt"], "concrete": PAINTS["concrete"]}
    surfaces["gravel"] = PAINTS["concrete"] * np.float32(1.1)
    for one in lane:
        if one.surface in surfaces:
            paved = surfaces[one.surface][column] * (1.0 + tone)
            soil = soil + one.share * (paved - soil)
        else:
            soil = soil * (1.0 + 0.12 * one.share)
    return soil


@lru_cache(maxsize=16)
def _blade_tile(seed: int, gsd_m: float, blade_m: float) -> Field:
    """Draw a tile of grass blades that repeats without a seam; mean 1."""
    rng = np.random.default_rng([seed, 7])
    length_px = max(2.0, blade_m / gsd_m * min(1.0, math.sqrt(_BLADE_WIDTH_M / gsd_m)))
    count = int(_TILE * _TILE / (2.2 * length_px))
    lean = rng.uniform(0.0, 2 * math.pi)
    heading = np.where(rng.random(count) < 0.55, rng.normal(lean, 0.7, count), rng.uniform(0, 2 * math.pi, count))
    start = rng.uniform(0.0, _TILE, (count, 2))
    reach = length_px * rng.uniform(0.4, 1.3, count)
    bend = rng.normal(0.0, 0.35, count)
    mid = start + 0.5 * reach[:, None] * np.stack([np.cos(heading), np.sin(heading)], 1)
    end = mid + 0.5 * reach[:, None] * np.stack([np.cos(heading + bend), np.sin(heading + bend)], 1)
    lines = np.stack([start, mid, end], 1)
    margin = math.ceil(1.4 * length_px) + 1
    tile = np.full((_TILE + margin, _TILE + margin), 70, dtype=np.uint8)
    thick = max(1, round(_BLADE_WIDTH_M / gsd_m))
    levels = 24
    fixed = np.round(lines * 16).astype(np.int32)
    for level, part in enumerate(np.array_split(np.arange(count), levels)):
        value = int(np.clip(40 + 150 * ((level * 7) % levels) / levels + 15, 0, 255))
        cv2.polylines(tile, list(fixed[part]), False, value, thick, cv2.LINE_AA, 4)
    whole = tile[:_TILE, :_TILE].copy()
    whole[:margin] = np.where(tile[_TILE:, :_TILE] != 70, tile[_TILE:, :_TILE], whole[:margin])
    whole[:, :margin] = np.where(tile[:_TILE, _TILE:] != 70, tile[:_TILE, _TILE:], whole[:, :margin])
    field = whole.astype(np.float32)
    field /= field.mean()
    field = 1.0 + (field - 1.0) * np.float32(min(1.0, (1.6 * _BLADE_WIDTH_M / gsd_m) ** 0.7))  # a pixel sees several
    field.flags.writeable = False
    return field


def _tiled(tile: Field, frame: Frame) -> Field:
    """Lay the tile over the world, so that the same place always gets the same blades at one resolution."""
    g = frame.gsd_m
    x0, x1, y0, y1 = frame.bounds()
    j0, i0 = math.floor(x0 / g / _TILE), math.floor(y0 / g / _TILE)
    across = math.ceil(x1 / g / _TILE) - j0
    down = math.ceil(y1 / g / _TILE) - i0
    big = np.tile(tile, (down, across))
    a = frame.affine
    matrix = np.array(
        [
            [a.a / g, a.b / g, (a.c + 0.5 * (a.a + a.b)) / g - 0.5 - j0 * _TILE],
            [a.d / g, a.e / g, (a.f + 0.5 * (a.d + a.e)) / g - 0.5 - i0 * _TILE],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(big, matrix, (frame.width, frame.height), flags=flags, borderMode=cv2.BORDER_REFLECT),
        dtype=np.float32,
    )
