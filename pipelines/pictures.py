"""Small pictures for people: one of each object for the review form, one of each scene beneath the report's map."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform

from survey.errors import ImageryError
from survey.exports.report_map import Thumbnail
from survey.imagery.chips import read_chip
from survey.imagery.scene import Role, Scene
from survey.imagery.trust import held_open, open_raster

log = logging.getLogger(__name__)

_MOST_CHIPS = 500
_CHIP_PX = 96
_AROUND = 3.0
"""A chip shows so many lengths of its object, and at least this many metres."""
_LEAST_M = 2.0
_BLOCK_ROWS = 512
_MOST_THUMBNAILS = 40
_THUMBNAIL_PX = 512
_MOST_READ_PX = 1 << 28
"""Pixels of the overview a thumbnail is made from; of a larger one it would cost more than the rest of the maps."""
_SHOWN: tuple[Role, ...] = ("red", "green", "blue")


def chips_of(objects: gpd.GeoDataFrame, scenes: Sequence[Scene], most: int = _MOST_CHIPS) -> dict[str, bytes]:
    """PNG of the most probable objects by ``object_id``; what cannot be read is left out.

    Parameters
    ----------
    objects : GeoDataFrame
        Layer ``HAZARD_OBJECTS``.
    scenes : sequence of Scene
    most : int
        Pictures taken at most.
    """
    known = {scene.name: scene for scene in scenes}
    shown = objects[objects["image"].isin(list(known))]
    shown = shown.sort_values(["probability", "object_id"], ascending=[False, True]).head(most)
    chips: dict[str, bytes] = {}
    for name, group in shown.groupby("image", sort=True):
        scene = known[str(name)]
        to_scene = pyproj.Transformer.from_crs("EPSG:4326", scene.grid.crs, always_xy=True)
        col, row = scene.grid.to_pixel(*to_scene.transform(group["lon"].to_numpy(), group["lat"].to_numpy()))
        # Row by row of blocks, so that a block is decoded once for all the objects in it.
        order = np.lexsort([col, row // _BLOCK_ROWS])
        names, lengths = group["object_id"].to_numpy(object)[order], group["length_m"].to_numpy(float)[order]
        with held_open():
            for object_id, length, x, y in zip(names, lengths, col[order], row[order], strict=True):
                try:
                    chips[str(object_id)] = _chip(scene, float(x), float(y), float(length))
                except ImageryError as error:
                    log.warning("No picture of object %s: %s", object_id, error)
    return chips


def _chip(scene: Scene, col: float, row: float, length_m: float) -> bytes:
    across = max(_LEAST_M, _AROUND * length_m) / scene.grid.gsd_m
    level = max(0, math.ceil(math.log2(across / (2 * _CHIP_PX))))
    half = max(4, round(across / 2 ** (level + 1)))
    middle_row, middle_col = int(row / 2**level), int(col / 2**level)
    window = (middle_row - half, middle_row + half, middle_col - half, middle_col + half)
    chip = read_chip(scene, level, window, shown_roles(scene))
    side = max(_CHIP_PX, 2 * half)
    colours = cv2.resize(_as_colours(chip.pixels), (side, side), interpolation=cv2.INTER_NEAREST)
    return _png(colours)


def shown_roles(scene: Scene) -> tuple[Role, ...]:
    """Bands that make a picture: natural colours where the scene has them, else what it has."""
    if set(_SHOWN) <= set(scene.roles):
        return _SHOWN
    others = tuple(role for role in scene.roles if role != "elevation") or scene.roles
    nir = tuple(role for role in ("nir", "green", "blue") if role in others)
    return nir if len(nir) == 3 else others[:1]


def _as_colours(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bands as an image in the order OpenCV has: blue, green, red."""
    bands = pixels if len(pixels) == 3 else np.repeat(pixels[:1], 3, axis=0)
    return np.ascontiguousarray(np.moveaxis(bands[::-1], 0, -1))


def _png(colours: NDArray[Any]) -> bytes:
    return bytes(cv2.imencode(".png", colours)[1])


def thumbnails_of(scenes: Sequence[Scene]) -> list[Thumbnail]:
    """Small pictures of the largest scenes, north up in EPSG:4326; what cannot be read is left out."""
    largest = sorted(scenes, key=lambda one: (-one.grid.width * one.grid.height * one.grid.gsd_m**2, one.name))
    thumbnails = []
    for scene in largest[:_MOST_THUMBNAILS]:
        width, height = scene.levels[_shown_level(scene)]
        if width * height > _MOST_READ_PX:
            log.warning("No picture of %s: it has no overviews. `gdaladdo -ro %s` makes them.", scene.name, scene.path)
            continue
        try:
            thumbnails.append(_thumbnail(scene))
        except (RasterioError, OSError) as error:
            log.warning("No picture of %s: %s", scene.path, error)
    return thumbnails


def _shown_level(scene: Scene) -> int:
    """Return the smallest level in the file that is as large as a thumbnail; 0 is full resolution."""
    return max((k for k, size in enumerate(scene.levels) if max(size) >= _THUMBNAIL_PX), default=0)


def _thumbnail(scene: Scene) -> Thumbnail:
    bands, stretch = dict(scene.bands), dict(zip(scene.roles, scene.stretch, strict=True))
    roles = shown_roles(scene)
    # A warp reads full pixels unless it is given an overview.
    level = _shown_level(scene)
    options: dict[str, Any] = {"overview_level": level - 1} if level else {}
    with open_raster(scene.path, **options) as source:
        transform, width, height = calculate_default_transform(
            scene.grid.crs, "EPSG:4326", source.width, source.height, *source.bounds
        )
        shrink = max(1.0, max(width, height) / _THUMBNAIL_PX)
        size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
        a, _, west, _, e, north = tuple(transform)[:6]
        east, south = west + a * width, north + e * height
        fitted = rasterio.transform.from_bounds(west, south, east, north, *size)
        options = {"crs": "EPSG:4326", "src_crs": scene.grid.crs, "transform": fitted}
        options |= {"width": size[0], "height": size[1], "add_alpha": scene.masking != "alpha"}
        with WarpedVRT(source, **options) as warped:
            raw = warped.read([bands[role] for role in roles]).astype(float)
            seen = warped.dataset_mask() > 0
    low = np.array([stretch[role][0] for role in roles])[:, None, None]
    high = np.array([stretch[role][1] for role in roles])[:, None, None]
    raw = np.nan_to_num((raw - low) / (high - low) * 255)
    colours = _as_colours(np.clip(raw, 0, 255).astype(np.uint8))
    picture = np.dstack([colours, np.where(seen, 255, 0).astype(np.uint8)])
    return Thumbnail(_png(picture), west, south, east, north)
