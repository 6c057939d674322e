"""Grounds a detector is measured on: drawn, and real photographs with objects drawn into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import rasterio
from rasterio.transform import from_origin

from pipelines.grounds import APART_M, CRS, NORTH, WEST
from survey.synthetic.photograph import IntoSettings, Photo, draw_into, open_ground
from survey.synthetic.scene import DrawnScene, SceneSettings, draw_scene
from survey.synthetic.site import TEST_SITES, Site, site_of


def drawn_grounds(
    gsd_m: float, objects: Mapping[str, float], sites: int, side_px: int, meadow: float | None = None
) -> Iterable[DrawnScene]:
    """Draw one picture of each test site; ``objects`` are mean numbers in a picture.

    ``meadow`` makes every site a meadow whose plants are so many times as dense as usual; 0 is bare soil.
    """
    hectares = (side_px * gsd_m) ** 2 / 1e4
    for number, seed in enumerate(TEST_SITES[:sites]):
        settings = SceneSettings(
            width_px=side_px,
            height_px=side_px,
            gsd_m=gsd_m,
            objects_per_ha={code: n / hectares for code, n in objects.items()},
            crs=CRS,
            origin=(WEST + APART_M * number, NORTH),
            site=site_of(seed) if meadow is None else _as_meadow(site_of(seed), meadow),
        )
        yield draw_scene(settings, seed)


def _as_meadow(site: Site, density: float) -> Site:
    growth = site.growth.model_copy(update={"density": density})
    return site.model_copy(update={"covers": (("meadow", 1.0),), "growth": growth})


def photographs_drawn_into(
    files: Iterable[Path], bands: tuple[str, ...], objects: Mapping[str, float]
) -> Iterable[DrawnScene]:
    """Draw objects (mean numbers a hectare) into whole real photographs, each moved to a place of its own."""
    for number, path in enumerate(files):
        with rasterio.open(path) as image:
            gsd = abs(image.transform.a)
            place = from_origin(WEST + APART_M * number, NORTH, gsd, gsd)
            photo = Photo(image.read(), bands, place, CRS, gsd)
        yield draw_into(photo, IntoSettings(objects_per_ha=dict(objects)), TEST_SITES[500 + number], open_ground(photo))
