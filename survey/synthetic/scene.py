"""Draws a scene whose answers are known: pixels, georeference, labels and reviewed ground."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from survey.errors import JobError
from survey.synthetic.answers import label_table, posts_of, reviewed_table
from survey.synthetic.ground import Canvas, lay_ground
from survey.synthetic.kinds import KINDS
from survey.synthetic.light import sun_over
from survey.synthetic.materials import band_columns
from survey.synthetic.noise import Frame, fractal
from survey.synthetic.sensor import expose
from survey.synthetic.site import Light, Sensor, Site, site_of
from survey.synthetic.stamp import Footprint, stamp
from survey.synthetic.world import World, build_world


class SceneSettings(BaseModel):
    """What :func:`draw_scene` draws.

    Attributes
    ----------
    width_px, height_px : int
    gsd_m : float
        Metres on the ground for each pixel.
    bands : tuple of str
        Roles, in the order of the pixels' first axis.
    objects_per_ha : dict of str to float
        Mean number of labelled objects for each class code.
    clutter : float
        Scales the site's own density of harmless things.
    crs : str
        CRS of the result, projected or geographic.
    origin : tuple of float
        The scene's upper left corner in that CRS (x, y).
    rotation_deg : float
        Turn of the pixel columns from east, anticlockwise.
    nodata_edges : bool
        Cut ragged edges off; pixels outside are 0 and ``valid`` is False there.
    site : Site, optional
        Default: the site of the seed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width_px: int = Field(default=1024, gt=0)
    height_px: int = Field(default=1024, gt=0)
    gsd_m: float = Field(default=0.02, gt=0.001, le=0.5)
    bands: tuple[str, ...] = ("red", "green", "blue")
    objects_per_ha: dict[str, float] = Field(default_factory=lambda: {"mine_at": 60.0, "crater": 10.0})
    clutter: float = Field(default=1.0, ge=0.0)
    crs: str = "EPSG:32638"
    origin: tuple[float, float] = (650_000.0, 4_370_000.0)
    rotation_deg: float = 0.0
    nodata_edges: bool = False
    site: Site | None = None


@dataclass(frozen=True)
class View:
    """How a world is photographed: pixel grid, bands, place of the world on Earth, light and camera.

    ``to_crs`` takes world metres to coordinates of ``crs``.
    """

    frame: Frame
    bands: tuple[str, ...]
    crs: str
    to_crs: Affine
    light: Light
    sensor: Sensor
    nodata_edges: bool = False
    seed: int = 0


@dataclass(frozen=True)
class DrawnScene:
    """A drawn picture and its answers.

    Attributes
    ----------
    pixels : uint8 array, (bands, height, width)
    bands : tuple of str
        Role of each band.
    transform : Affine
        Pixel corner coordinates (column, row) to the CRS.
    crs : str
    gsd_m : float
        Metres on the ground for each pixel.
    valid : bool array, (height, width)
        False where there is no data.
    labels : GeoDataFrame
        Layer ``labels``: outlines in the CRS, class, occlusion, site.
    reviewed : GeoDataFrame
        Layer ``reviewed``: the ground that has data.
    heights : float32 array, (height, width), optional
        How far moved earth, things and plants stand above the ground, metres; not known of photographs.
    posts : float array, (n, 2), optional
        Where posts stand, of fences and single ones, in the CRS.
    """

    pixels: NDArray[np.uint8]
    bands: tuple[str, ...]
    transform: Affine
    crs: str
    gsd_m: float
    valid: NDArray[np.bool_]
    labels: gpd.GeoDataFrame
    reviewed: gpd.GeoDataFrame
    heights: NDArray[np.float32] | None = None
    posts: NDArray[np.float64] | None = None


def draw_scene(settings: SceneSettings, seed: int) -> DrawnScene:
    """Draw a scene. The same settings and seed give the same bytes.

    Parameters
    ----------
    settings : SceneSettings
    seed : int
        Names the scene; also its site where ``settings.site`` is None.

    Returns
    -------
    DrawnScene

    Raises
    ------
    JobError
        A band role or class that cannot be drawn, or an unknown CRS.
    """
    site = settings.site if settings.site is not None else site_of(seed)
    frame = Frame(
        settings.width_px, settings.height_px, settings.gsd_m, *_world_corner(seed), angle_deg=settings.rotation_deg
    )
    world = build_world(site, frame.bounds(), settings.objects_per_ha, seed, clutter=settings.clutter)
    to_crs = place_on_earth(settings.crs, settings.origin, (frame.x_m, frame.y_m))
    view = View(frame, settings.bands, settings.crs, to_crs, site.light, site.sensor, settings.nodata_edges, seed)
    return photograph(world, view)


def photograph(world: World, view: View) -> DrawnScene:
    """Photograph a world; the same world may be photographed by several views.

    Labels hold every hazard of the world whose outline's centroid lies on valid pixels.
    """
    frame = view.frame
    columns = band_columns(view.bands)
    sun = sun_over(view.light, frame.angle_deg, columns)
    canvas = lay_ground(world.site, world.tracks, frame, columns, sun)
    prints = draw_things(canvas, world)
    rng = np.random.default_rng([world.site.seed, view.seed, 401])
    pixels = expose(canvas.radiance, columns, view.sensor, rng)
    valid = _valid(view)
    if view.nodata_edges:
        pixels = np.where(valid[None], np.maximum(pixels, 1), 0).astype(np.uint8)
    transform = compose(view.to_crs, frame.affine)
    seen = [(world.things[index], footprint.occlusion(canvas.over)) for index, footprint in prints.items()]
    labels = label_table(seen, world.site.name, (transform, view.crs, view.to_crs), valid)
    reviewed = reviewed_table(valid, transform, view.crs, world.site.name)
    posts = posts_of(world.things, view.to_crs)
    return DrawnScene(
        pixels, view.bands, transform, view.crs, frame.gsd_m, valid, labels, reviewed, canvas.heights, posts
    )


def draw_things(canvas: Canvas, world: World) -> dict[int, Footprint]:
    """Draw everything that lies in the world: moved earth, then things, then plants over them, in place.

    Returns
    -------
    dict of int to Footprint
        Of the hazards in the picture, by index in ``world.things``.
    """
    prints: dict[int, Footprint] = {}
    for layer in ("earth", "lying", "plant"):
        for index, thing in enumerate(world.things):
            if KINDS[thing.kind].layer != layer:
                continue
            footprint = stamp(canvas, thing, world.site)
            if footprint is not None and thing.class_code is not None:
                prints[index] = footprint
    return prints


def place_on_earth(crs: str, origin: tuple[float, float], corner_m: tuple[float, float]) -> Affine:
    """World metres to a CRS, so that the world's ``corner_m`` falls on ``origin``.

    World metres are taken as metres of a projected CRS; in a geographic CRS they are scaled at the origin's
    latitude on the WGS 84 ellipsoid (good to a millimetre over a scene).

    Raises
    ------
    JobError
        Unknown CRS.
    """
    try:
        system = pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise JobError(f"{crs!r} is no CRS that can be drawn in: {error}. Name one as EPSG:32638.") from error
    scale_x = scale_y = 1.0
    if system.is_geographic:
        geod = pyproj.Geod(ellps="WGS84")
        _, _, east = geod.inv(origin[0] - 5e-4, origin[1], origin[0] + 5e-4, origin[1])
        _, _, north = geod.inv(origin[0], origin[1] - 5e-4, origin[0], origin[1] + 5e-4)
        scale_x, scale_y = 1e-3 / east, 1e-3 / north
    else:
        scale_x = scale_y = 1.0 / system.axis_info[0].unit_conversion_factor
    return Affine(scale_x, 0.0, origin[0] - scale_x * corner_m[0], 0.0, scale_y, origin[1] - scale_y * corner_m[1])


def compose(outer: Affine, inner: Affine) -> Affine:
    """``outer`` after ``inner``."""
    return Affine(
        outer.a * inner.a + outer.b * inner.d,
        outer.a * inner.b + outer.b * inner.e,
        outer.a * inner.c + outer.b * inner.f + outer.c,
        outer.d * inner.a + outer.e * inner.d,
        outer.d * inner.b + outer.e * inner.e,
        outer.d * inner.c + outer.e * inner.f + outer.f,
    )


def _world_corner(seed: int) -> tuple[float, float]:
    """Different scenes of one site show different parts of its endless ground."""
    rng = np.random.default_rng([seed, 501])
    x, y = rng.integers(0, 40_000, 2)
    return float(x) * 0.64, float(y) * 0.64


def _valid(view: View) -> NDArray[np.bool_]:
    frame = view.frame
    valid = np.ones((frame.height, frame.width), dtype=bool)
    if not view.nodata_edges:
        return valid
    rows = np.arange(frame.height, dtype=np.float32)[:, None] + 0.5
    cols = np.arange(frame.width, dtype=np.float32)[None, :] + 0.5
    margin = 0.05 * min(frame.width, frame.height)
    wobble = fractal((view.seed, 21), frame, 0.3, max(0.6, 0.15 * frame.width * frame.gsd_m), 0.6) * (0.4 * margin)
    edge = np.minimum(np.minimum(rows, frame.height - rows), np.minimum(cols, frame.width - cols))
    lean = (cols / frame.width - rows / frame.height) * margin
    return np.asarray(edge + wobble + lean > margin, dtype=bool)
