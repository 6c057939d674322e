"""Draws objects into a real photograph, matched to its light, colour balance, blur and noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from survey.errors import ImageryError
from survey.synthetic.answers import label_table, posts_of, reviewed_table
from survey.synthetic.ground import Canvas
from survey.synthetic.kinds import KINDS
from survey.synthetic.light import sun_over
from survey.synthetic.materials import band_columns
from survey.synthetic.noise import Field as Plane
from survey.synthetic.noise import Frame
from survey.synthetic.scene import DrawnScene, compose, draw_things
from survey.synthetic.sensor import compressed
from survey.synthetic.site import Light, Site, site_of
from survey.synthetic.world import Thing, build_world

_GAMMA = 2.2
_TYPICAL = np.array([0.30, 0.28, 0.22, 0.48, 0.62], dtype=np.float32)
"""Reflectance taken to stand behind the 95th percentile of each band of open ground: a free choice."""


class IntoSettings(BaseModel):
    """What :func:`draw_into` draws.

    Attributes
    ----------
    objects_per_ha : dict of str to float
        Mean number of labelled objects for each class code.
    clutter : float
        Scales the drawn site's harmless things; 0 leaves the photograph's own clutter only.
    site : Site, optional
        Whose paints, soils and decay the objects have. Default: the site of the seed.
    light : Light, optional
        Sun and sky of the photograph where known; default: the drawn site's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    objects_per_ha: dict[str, float] = Field(default_factory=lambda: {"mine_at": 60.0})
    clutter: float = Field(default=0.0, ge=0.0)
    site: Site | None = None
    light: Light | None = None


@dataclass(frozen=True)
class Photo:
    """A real photograph: uint8 pixels (bands, height, width), band roles, georeference and ground resolution."""

    pixels: NDArray[np.uint8]
    bands: tuple[str, ...]
    transform: Affine
    crs: str
    gsd_m: float


@dataclass(frozen=True)
class Look:
    """How a photograph renders the ground.

    ``gain`` turns reflectance into linear light, one for each band; ``blur_px`` is the sigma of its point spread;
    ``noise`` in grey levels; ``shade`` (height, width) the light at each place against open ground, 0.3-1.
    """

    gain: Plane
    blur_px: float
    noise: float
    shade: Plane


@dataclass
class _PhotoCanvas(Canvas):
    """A canvas whose earth and plants take their colours from the photograph."""

    def local_colours(self, site: Site, window: Plane, rng: np.random.Generator) -> tuple[Plane, Plane]:
        here = np.asarray(np.median(window[:, ::2, ::2].reshape(len(window), -1), axis=1), dtype=np.float32)
        first, _, subsoil = site.soil_spectra()
        soil = (first if rng.random() < 0.5 else subsoil)[self.columns]
        pull = np.float32(rng.uniform(0.0, 0.35))
        earth = soil + pull * (here * np.float32(rng.uniform(0.8, 1.3)) - soil)
        leaf = here * np.float32(rng.uniform(0.75, 1.35))
        return earth.astype(np.float32), leaf.astype(np.float32)


def draw_into(photo: Photo, settings: IntoSettings, seed: int, allowed: NDArray[np.bool_] | None = None) -> DrawnScene:
    """Draw objects into a photograph. The same photograph, settings and seed give the same bytes.

    Parameters
    ----------
    photo : Photo
    settings : IntoSettings
    seed : int
    allowed : bool array, (height, width), optional
        Where something may be drawn: a thing that touches a False pixel is left out.

    Returns
    -------
    DrawnScene
        Pixels outside the drawn things are the photograph's own, byte for byte.

    Raises
    ------
    ImageryError
        Pixels, bands and mask do not fit together.
    JobError
        A band role or class that cannot be drawn.
    """
    _check(photo, allowed)
    site = settings.site if settings.site is not None else site_of(seed)
    columns = band_columns(photo.bands)
    height, width = photo.pixels.shape[1:]
    frame = Frame(width, height, photo.gsd_m)
    world = build_world(site, frame.bounds(), settings.objects_per_ha, seed, clutter=settings.clutter)
    if allowed is not None:
        world = replace(world, things=tuple(thing for thing in world.things if _lies_on(thing, frame, allowed)))
    look = look_of(photo)
    rng = np.random.default_rng([seed, 601])
    gain = look.gain * np.exp(rng.normal(0.0, 0.12) + rng.normal(0.0, 0.04, len(columns))).astype(np.float32)
    linear = np.power(photo.pixels.astype(np.float32) / 255.0, _GAMMA)
    before = linear / gain[:, None, None] / look.shade[None]
    light = settings.light if settings.light is not None else site.light
    sun = sun_over(light, 0.0, columns)
    bare = np.zeros((height, width), dtype=np.float32)
    canvas = _PhotoCanvas(frame, columns, sun, before.copy(), _greenness(before, photo.bands), bare, bare.copy())
    prints = draw_things(canvas, world)
    pixels = _developed(photo, look, gain, linear, canvas.radiance - before, rng)
    valid = np.ones((height, width), dtype=bool)
    seen = [(world.things[index], footprint.occlusion(canvas.over)) for index, footprint in prints.items()]
    to_crs = compose(photo.transform, _inverse(frame.affine))
    labels = label_table(seen, site.name, (photo.transform, photo.crs, to_crs), valid)
    reviewed = reviewed_table(valid, photo.transform, photo.crs, site.name)
    posts = posts_of(world.things, to_crs)
    return DrawnScene(
        pixels, photo.bands, photo.transform, photo.crs, photo.gsd_m, valid, labels, reviewed, posts=posts
    )


def look_of(photo: Photo) -> Look:
    """Estimate how a photograph renders the ground: gain for each band, blur, noise, and places in shadow."""
    columns = band_columns(photo.bands)
    linear = np.power(photo.pixels.astype(np.float32) / 255.0, _GAMMA)
    bright = np.maximum(np.percentile(linear[:, ::4, ::4].reshape(len(linear), -1), 95, axis=1), 1e-3)
    own = bright / _TYPICAL[columns]
    gain = own**0.7 * float(np.mean(own)) ** 0.3
    grey = photo.pixels.mean(axis=0, dtype=np.float32)
    noise = _noise(grey)
    lum = linear.mean(axis=0)
    window = max(3, int(1.0 / photo.gsd_m)) | 1
    local = cv2.blur(lum, (window, window))
    shade = np.clip(local / max(float(np.median(lum)), 1e-4) / 0.6, 0.3, 1.0)
    return Look(gain.astype(np.float32), _blur(grey, noise), noise, shade.astype(np.float32))


def open_ground(photo: Photo) -> NDArray[np.bool_]:
    """Where something lying on the ground could be seen: not in tree crowns, deep shadow or dark water, roughly.

    Returns
    -------
    bool array, (height, width)
        For ``allowed`` of :func:`draw_into`. False where the light within 0.8 m falls under 0.45 of the picture's
        median, or varies by more than 0.4 of its mean; both limits set by eye.
    """
    grey = photo.pixels.mean(axis=0, dtype=np.float32)
    window = max(3, int(0.8 / photo.gsd_m)) | 1
    mean = cv2.blur(grey, (window, window))
    spread = np.sqrt(np.maximum(cv2.blur(grey * grey, (window, window)) - mean * mean, 0.0))
    return np.asarray((mean > 0.45 * np.median(grey)) & (spread < 0.4 * mean), dtype=bool)


def _greenness(reflectance: Plane, bands: tuple[str, ...]) -> Plane:
    """Share of plants at each pixel (0-1), roughly, from green against red or near infrared against green."""
    plane = dict(zip(bands, reflectance, strict=True))
    if "nir" in plane and "green" in plane:
        index = (plane["nir"] - plane["green"]) / (plane["nir"] + plane["green"] + 1e-3) - 0.25
    elif "green" in plane and "red" in plane:
        index = (plane["green"] - plane["red"]) / (plane["green"] + plane["red"] + 1e-3)
    else:
        return np.full(reflectance.shape[1:], 0.5, dtype=np.float32)
    return np.asarray(np.clip(0.5 + 4.0 * index, 0.0, 1.0), dtype=np.float32)


def _check(photo: Photo, allowed: NDArray[np.bool_] | None) -> None:
    if photo.pixels.ndim != 3 or photo.pixels.dtype != np.uint8 or photo.pixels.shape[0] != len(photo.bands):
        raise ImageryError(
            f"A photograph to draw into must be uint8 of shape (bands, height, width) with one role a band; got "
            f"{photo.pixels.dtype} {photo.pixels.shape} and {len(photo.bands)} roles. Convert it to 8 bit first."
        )
    if allowed is not None and allowed.shape != photo.pixels.shape[1:]:
        raise ImageryError(
            f"The mask is {allowed.shape}, the photograph {photo.pixels.shape[1:]}; give one value a pixel."
        )


def _lies_on(thing: Thing, frame: Frame, allowed: NDArray[np.bool_]) -> bool:
    # Moved earth needs room all around; posts of a fence do not.
    along = thing.path and KINDS[thing.kind].layer == "lying"
    discs = thing.discs(0.0) if along else [(thing.x_m, thing.y_m, thing.radius_m())]
    return all(_fits(*disc, frame, allowed) for disc in discs)


def _fits(x_m: float, y_m: float, radius_m: float, frame: Frame, allowed: NDArray[np.bool_]) -> bool:
    col, row = frame.to_pixel(x_m, y_m)
    reach = radius_m / frame.gsd_m
    top, bottom = max(0, int(row - reach)), int(row + reach) + 1
    left, right = max(0, int(col - reach)), int(col + reach) + 1
    return bool(allowed[top:bottom, left:right].all())


def _developed(
    photo: Photo, look: Look, gain: Plane, linear: Plane, change: Plane, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Lay the change into the photograph, blurred, grained and compressed like the rest of it."""
    touched = cv2.dilate((np.abs(change).max(axis=0) > 1e-4).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    drawn = np.empty_like(linear)
    solid = cv2.GaussianBlur(touched.astype(np.float32), (0, 0), max(look.blur_px, 0.5))
    for band, plane in enumerate(change):
        soft = cv2.GaussianBlur(plane, (0, 0), max(look.blur_px, 0.3))
        value = np.clip(linear[band] + soft * look.shade * gain[band], 0.0, 1.0) ** (1.0 / _GAMMA)
        grain = rng.standard_normal(plane.shape, dtype=np.float32)
        grain = cv2.GaussianBlur(grain, (0, 0), 0.6) * 1.9
        drawn[band] = value + solid * grain * np.float32(look.noise / 255.0)
    bytes_ = np.clip(drawn * 255.0 + 0.5, 0, 255).astype(np.uint8)
    bytes_ = compressed(bytes_, 92)
    near = cv2.dilate(touched.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return np.where(near[None], bytes_, photo.pixels).astype(np.uint8)


def _noise(grey: Plane) -> float:
    """Estimate noise in grey levels: the quietest blocks' response to a Laplacian difference.

    J. Immerkaer (1996), Fast noise variance estimation, doi:10.1006/cviu.1996.0060, on blocks of 32 pixels of
    which the quietest tenth is taken.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    response = np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel))
    rows, cols = max(1, grey.shape[0] // 32), max(1, grey.shape[1] // 32)
    blocks = cv2.resize(response, (cols, rows), interpolation=cv2.INTER_AREA)
    quiet = float(np.percentile(blocks, 10))
    return float(np.clip(quiet * np.sqrt(np.pi / 2) / 6.0, 0.3, 8.0))


def _blur(grey: Plane, noise: float) -> float:
    """Estimate the point spread's sigma (px) from fine against coarse detail, on ground equally rich at all scales."""
    fine = grey - cv2.GaussianBlur(grey, (0, 0), 1.0)
    middle = cv2.GaussianBlur(grey, (0, 0), 1.0) - cv2.GaussianBlur(grey, (0, 0), 2.0)
    power = max(float(np.var(fine)) - 0.6 * noise**2, 1e-3) / max(float(np.var(middle)), 1e-3)
    sigmas = np.linspace(0.3, 2.5, 45)
    expected = np.array([_detail_ratio(float(sigma)) for sigma in sigmas])
    return float(sigmas[int(np.argmin(np.abs(expected - power)))])


def _detail_ratio(sigma_px: float) -> float:
    f = np.linspace(0.004, 0.5, 250)  # cycles a pixel; a 1/f^2 spectrum has equal power in each ring d(log f)
    blur = np.exp(-4 * (np.pi * f * sigma_px) ** 2)
    one, two = np.exp(-2 * (np.pi * f) ** 2), np.exp(-8 * (np.pi * f) ** 2)
    fine, middle = blur * (1 - one) ** 2 / f, blur * (one - two) ** 2 / f
    return float(fine.sum() / middle.sum())


def _inverse(affine: Affine) -> Affine:
    det = affine.a * affine.e - affine.b * affine.d
    a, b, d, e = affine.e / det, -affine.b / det, -affine.d / det, affine.a / det
    return Affine(a, b, -(a * affine.c + b * affine.f), d, e, -(d * affine.c + e * affine.f))
