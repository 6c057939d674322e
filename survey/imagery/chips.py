"""Read a window of a scene at a level: pixels as 8 bit, and which of them are valid.

Level k is the scene reduced 2**k times. Where the file holds that overview it is read as it is;
otherwise it is averaged from full pixels in blocks that start at the scene's origin. Either way a
pixel of a level is the same whatever the window it is read through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from survey.errors import ImageryError
from survey.imagery.grid import Grid
from survey.imagery.heights import read_heights
from survey.imagery.jpeg_tiles import read_jpeg_tiles
from survey.imagery.levels import kept_levels, reduced
from survey.imagery.scene import Role, Scene
from survey.imagery.trust import open_raster

# Side of the pieces in which full pixels are averaged, a multiple of the usual blocks of files.
_PIECE_PX = 1024


@dataclass(frozen=True)
class Chip:
    """Pixels of one window, with what is needed to place them.

    Attributes
    ----------
    pixels : uint8 array, shape (band, row, col)
        In the order of the roles asked for; zero where invalid.
    valid : bool array, shape (row, col)
    row, col : int
        Of the first pixel, in pixels of the level; negative where the window reaches past the scene.
    grid : Grid
        Of the whole level.
    """

    pixels: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    row: int
    col: int
    grid: Grid


def level_grid(scene: Scene, level: int) -> Grid:
    """Grid of a level: the file's overview at its true ratio, or blocks of 2**level pixels."""
    if level < len(scene.levels):
        return scene.grid.reduced(*scene.levels[level])
    width, height = (-(-scene.grid.width // (1 << level)), -(-scene.grid.height // (1 << level)))
    a, b, c, d, e, f = scene.grid.transform
    ratio = float(1 << level)
    return Grid(scene.grid.crs, (a * ratio, b * ratio, c, d * ratio, e * ratio, f), width, height)


def read_chip(scene: Scene, level: int, window: tuple[int, int, int, int], roles: Sequence[Role]) -> Chip:
    """Read a window of a level; what lies past the scene's edge is invalid.

    Parameters
    ----------
    scene : Scene
    level : int
        0 is full resolution, k is reduced 2**k times.
    window : (row0, row1, col0, col1)
        Half open, in pixels of the level; may reach past the scene.
    roles : sequence of str
        Bands wanted, in this order.

    Raises
    ------
    ImageryError
        The scene has no band of a wanted role, or its pixels cannot be read.
    """
    missing = [role for role in roles if role not in scene.roles]
    if missing:
        raise ImageryError(f"{scene.name} has no band for {', '.join(missing)} (it has {', '.join(scene.roles)}).")
    grid = level_grid(scene, level)
    row0, row1, col0, col1 = window
    inside = (max(row0, 0), min(row1, grid.height), max(col0, 0), min(col1, grid.width))
    shape = (row1 - row0, col1 - col0)
    if inside[0] < inside[1] and inside[2] < inside[3]:
        try:
            if level < len(scene.levels):
                options = {} if level == 0 else {"overview_level": level - 1}
                with open_raster(scene.path, **options) as dataset:
                    part, ok = _read(dataset, scene, inside, roles)
            else:
                with open_raster(scene.path) as dataset:
                    part, ok = _read_reduced(dataset, scene, level, inside, roles)
        except (RasterioError, OSError) as error:
            raise ImageryError(
                f"{scene.path}: rows {inside[0]}-{inside[1]}, columns {inside[2]}-{inside[3]} of level {level} cannot "
                f"be read ({str(error).strip()}). The ground is counted as not analysed; replace the file to see it."
            ) from error
        if ok.shape == shape:
            return Chip(part, ok, row0, col0, grid)
    pixels, valid = np.zeros((len(roles), *shape), np.uint8), np.zeros(shape, bool)
    if inside[0] < inside[1] and inside[2] < inside[3]:
        # In memory as what was read: bands apart, or pixel by pixel.
        pixels = np.zeros_like(part, shape=pixels.shape)
        rows = slice(inside[0] - row0, inside[1] - row0)
        cols = slice(inside[2] - col0, inside[3] - col0)
        pixels[:, rows, cols] = part
        valid[rows, cols] = ok
    return Chip(pixels, valid, row0, col0, grid)


def _read(
    dataset: rasterio.DatasetReader, scene: Scene, inside: tuple[int, int, int, int], roles: Sequence[Role]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    window = Window(inside[2], inside[0], inside[3] - inside[2], inside[1] - inside[0])
    number = dict(scene.bands)
    if "elevation" in roles and len(roles) > 1:
        part, ok = _read(dataset, scene, inside, [role for role in roles if role != "elevation"])
        heights = read_heights(
            dataset, number["elevation"], inside, scene.grid.gsd_m * scene.grid.width / dataset.width
        )
        return np.insert(part, list(roles).index("elevation"), heights * ok, axis=0), ok
    if scene.palette:
        index = dataset.read(1, window=window)
        table = np.zeros((256, 4), np.uint8)
        for value, colour in dataset.colormap(1).items():
            table[value] = colour
        rgba = table[index]
        part = np.ascontiguousarray(np.moveaxis(rgba[..., [("red", "green", "blue").index(r) for r in roles]], -1, 0))
        ok = np.ones(index.shape, bool) if scene.nodata is None else index != scene.nodata
        return part, ok
    wanted = [number[role] for role in roles]
    if scene.masking == "alpha":
        raw = _bands(dataset, inside, [*wanted, scene.alpha])
        raw, ok = raw[:-1], np.asarray(raw[-1] > 0)
    else:
        raw = _bands(dataset, inside, wanted)
        ok = np.ones(raw.shape[1:], bool)
        if scene.masking == "band":
            ok = dataset.read_masks(1, window=window) > 0
        elif scene.masking == "nodata" and scene.nodata is not None and not np.isnan(scene.nodata):
            ok = (raw != scene.nodata).any(axis=0)
    if raw.dtype.kind == "f":
        finite = np.isfinite(raw).all(axis=0)
        ok = ok & finite
        raw = np.where(finite, raw, 0)
    part = _as_bytes(raw, scene, roles)
    if not ok.all():
        part[:, ~ok] = 0
    return part, ok


def _bands(
    dataset: rasterio.DatasetReader, inside: tuple[int, int, int, int], wanted: Sequence[int]
) -> NDArray[np.generic]:
    """Bands of a window, shape (band, row, col); in memory pixel by pixel where they are stored so."""
    colour = read_jpeg_tiles(dataset, inside)
    if colour is None:
        window = Window(inside[2], inside[0], inside[3] - inside[2], inside[1] - inside[0])
        if len({dataset.dtypes[number - 1] for number in wanted}) > 1:
            return np.stack([dataset.read(number, window=window).astype(np.float64) for number in wanted])
        return np.asarray(dataset.read(wanted, window=window))
    if list(wanted) != [1, 2, 3]:
        colour = np.ascontiguousarray(colour[..., [number - 1 for number in wanted]])
    return colour.transpose(2, 0, 1)


def _as_bytes(raw: NDArray[np.generic], scene: Scene, roles: Sequence[Role]) -> NDArray[np.uint8]:
    if raw.dtype == np.uint8:
        return np.asarray(raw, dtype=np.uint8)
    stretch = dict(zip(scene.roles, scene.stretch, strict=True))
    part = np.empty(raw.shape, np.uint8)
    for band, role in enumerate(roles):
        low, high = stretch[role]
        scaled = (raw[band].astype(np.float64) - low) * (255.0 / (high - low))
        part[band] = np.floor(np.clip(scaled, 0, 255) + 0.5)
    return part


def _read_reduced(
    dataset: rasterio.DatasetReader, scene: Scene, level: int, inside: tuple[int, int, int, int], roles: Sequence[Role]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Means over blocks of 2**level pixels, of what is not kept of them; see :func:`survey.imagery.levels.reduced`."""
    side = 1 << level
    row0, row1, col0, col1 = inside
    part, valid, known = kept_levels(scene.kept, level, inside, roles)
    # Whole blocks of the file at a time, so that none is decoded twice.
    step = max(1, _PIECE_PX >> level)
    for top, bottom in _between(row0, row1, step):
        for left, right in _between(col0, col1, step):
            place = (slice(top - row0, bottom - row0), slice(left - col0, right - col0))
            if known[place].all():
                continue
            full = (
                top * side, min(bottom * side, scene.grid.height), left * side, min(right * side, scene.grid.width)
            )  # fmt: skip
            pixels, ok = _read(dataset, scene, full, roles)
            part[(slice(None), *place)], valid[place] = reduced(pixels, ok, side)
    return part, valid


def _between(first: int, last: int, step: int) -> Iterator[tuple[int, int]]:
    """Cut a range at multiples of a step."""
    edges = [first, *range((first // step + 1) * step, last, step), last]
    return pairwise(edges)
