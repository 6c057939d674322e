"""Small pictures of objects, for the review form."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import pyproj
from numpy.typing import NDArray

from survey.cores import cores
from survey.errors import ImageryError
from survey.imagery.salvage import salvage_chip
from survey.imagery.scene import Role, Scene
from survey.imagery.trust import held_open

log = logging.getLogger(__name__)

_MOST_CHIPS = 500
_CHIP_PX = 96
_AROUND = 3.0
"""A chip shows so many lengths of its object, and at least this many metres."""
_LEAST_M = 2.0
_BLOCK_ROWS = 512
_MOST_THREADS = 4
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
    threads = min(_MOST_THREADS, cores())
    with ThreadPoolExecutor(threads) as pool:
        for name, group in shown.groupby("image", sort=True):
            scene = known[str(name)]
            to_scene = pyproj.Transformer.from_crs("EPSG:4326", scene.grid.crs, always_xy=True)
            col, row = scene.grid.to_pixel(*to_scene.transform(group["lon"].to_numpy(), group["lat"].to_numpy()))
            # Row by row of blocks, so that a block is decoded once for all the objects in it.
            order = np.lexsort([col, row // _BLOCK_ROWS])
            wanted = [group["object_id"].to_numpy(object), group["length_m"].to_numpy(float), col, row]
            # Short ones, for whoever stops the command waits for those in hand.
            runs = np.array_split(order, min(len(order), 8 * threads))
            for some in pool.map(partial(_chips_in, scene), *([one[run] for run in runs] for one in wanted)):
                chips |= some
    return chips


def _chips_in(
    scene: Scene,
    names: NDArray[np.object_],
    lengths: NDArray[np.float64],
    col: NDArray[np.float64],
    row: NDArray[np.float64],
) -> dict[str, bytes]:
    """Pictures of some objects of a scene, by name."""
    chips: dict[str, bytes] = {}
    with held_open():
        for object_id, length, x, y in zip(names, lengths, col, row, strict=True):
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
    # What lies beside blocks that cannot be read is shown as far as it can be: someone has to judge it.
    chip, unread = salvage_chip(scene, level, window, shown_roles(scene.roles))
    if unread and not chip.valid.any():
        raise ImageryError(f"{unread[0].reason}.")
    side = max(_CHIP_PX, 2 * half)
    colours = cv2.resize(as_colours(chip.pixels), (side, side), interpolation=cv2.INTER_NEAREST)
    return png_of(colours)


def shown_roles(known: Sequence[Role]) -> tuple[Role, ...]:
    """Of the bands of imagery, those that make a picture: natural colours where they are there, else what is."""
    if set(_SHOWN) <= set(known):
        return _SHOWN
    others: Sequence[Role] = tuple(role for role in known if role != "elevation") or known[:1]
    nir: tuple[Role, ...] = tuple(role for role in ("nir", "green", "blue") if role in others)
    return nir if len(nir) == 3 else tuple(others[:1])


def as_colours(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bands as an image in the order OpenCV has: blue, green, red."""
    bands = pixels if len(pixels) == 3 else np.repeat(pixels[:1], 3, axis=0)
    return np.ascontiguousarray(np.moveaxis(bands[::-1], 0, -1))


def png_of(colours: NDArray[Any]) -> bytes:
    """PNG of an image as OpenCV has it."""
    return bytes(cv2.imencode(".png", colours)[1])
