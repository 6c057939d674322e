"""What could have been seen, measured: cells of a fixed ground grid, each judged by its own pixels.

The grid is laid over a level of the scene from the scene's origin, and sums over a cell are sums of
integers: a cell is the same whatever the tiles are.

Measured are vegetation, darkness, blind (saturated or black) pixels, missing pixels, and sharpness. A
band that a measure needs and the imagery lacks makes the measure null: thermal imagery tells nothing of
vegetation, shadow or sharpness, for warmth is spread smoothly through the ground.

Sharpness: the mean squared difference of pixels ``h`` apart grows with ``h``. Texture finer than ``h`` makes
it less than double from ``h`` to ``2 h``; where a blur wider than ``h`` has smoothed it, it grows fourfold.
The ratio is taken at 2, 4 and 8 pixels, after what the noise adds to both. (Neighbours tell nothing: a good
lens smooths them too.) On even ground there is nothing to tell blur by, and the cell says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from survey.imagery.chips import Chip
from survey.imagery.levels import block_sums
from survey.imagery.scene import Role
from survey.imagery.tiles import Tile

CELL_M = 2.0
"""Side of a coverage cell on the ground, metres, rounded to whole pixels."""

# A cell counts as seen where at least this share of its pixels is valid; no published threshold.
_LEAST_VALID = 0.95

UNREAD, ANALYSED, NO_DATA, FAILED = range(4)

VEGETATION, COVERED, DARK, BLIND, BLUR = range(5)
"""Planes of :attr:`CellBlock.measures`. Covered pixels are under vegetation and neither dark nor blind."""
MEASURES = 5

WHOLE = 200
"""A share of 1 in :attr:`CellBlock.measures`."""
NULL = 255
"""What cannot be measured in :attr:`CellBlock.measures`."""

_LAGS = (2, 4, 8, 16)
# Rows of a cell that differences are taken on, and rows and columns whose pixels are counted, about: more tell nothing
# more (a share of 1,600 pixels is uncertain by at most a hundredth).
_ROWS_LOOKED_AT = 20
_LOOKED_AT = 40
# Differences that the noise alone explains to more than a tenth tell nothing of blur.
_OVER_NOISE = 10


class SeenInVegetation(BaseModel):
    """Share of objects that can be seen on ground under vegetation, by the object's length; none is published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    small: float = Field(default=0.1, ge=0, le=1)
    medium: float = Field(default=0.3, ge=0, le=1)
    large: float = Field(default=0.7, ge=0, le=1)


class Visibility(BaseModel):
    """How it is judged what could have been seen (table ``[visibility]``).

    None of these has a published value: they were chosen by eye on a few drone photographs and are the
    programme's to set. Pixel values are meant as 0 to 255, after the stretch of imagery of more than 8 bits.

    Attributes
    ----------
    ndvi : float
        Vegetation index from which a pixel counts as vegetation, where there is a near-infrared band (against
        red, else green). Without it excess green minus excess red above 0 is used, which is published: Meyer and
        Neto 2008, https://doi.org/10.1016/j.compag.2008.03.009.
    dark_below : int
        Pixels of which every band is darker count as deep shadow: too dark to show contrast.
    saturated_from, black_to : int
        Pixels of which every band is at least, or at most, so bright show nothing.
    noise : float
        Standard deviation of the imagery's noise. Imagery that is noisier passes for sharper than it is.
    blurred_below : float
        Ratio of squared differences at one distance to those at twice the distance, below which texture counts as
        blurred at that distance: 0.25 where wholly smoothed, 0.5 and more where sharp.
    seen_in_vegetation : SeenInVegetation
    small_m, large_m : float
        Objects shorter are small, objects at least as long are large, metres.
    seen_in_shadow : float
        Share of objects that can be seen in deep shadow.
    least_detectability : float
        A family counts as seen where at least this share of its objects could have been seen; where no family of
        items is seen, ground is not assessable.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ndvi: float = Field(default=0.2, ge=0, le=0.9)
    dark_below: int = Field(default=45, ge=0, le=200)
    saturated_from: int = Field(default=250, ge=128, le=256)
    black_to: int = Field(default=3, ge=-1, le=100)
    noise: float = Field(default=1.0, ge=0, le=50)
    blurred_below: float = Field(default=0.33, ge=0, le=0.5)
    seen_in_vegetation: SeenInVegetation = SeenInVegetation()
    small_m: float = Field(default=0.25, gt=0)
    large_m: float = Field(default=1.0, gt=0)
    seen_in_shadow: float = Field(default=0.4, ge=0, le=1)
    least_detectability: float = Field(default=0.25, ge=0, le=1)

    @property
    def of_pixels(self) -> dict[str, float]:
        """Settings that change what is measured of pixels, by name; the others change only what is made of it."""
        names = ("ndvi", "dark_below", "saturated_from", "black_to", "noise", "blurred_below")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class CellBlock:
    """What was measured of the cells whose first pixel lies in one tile's core.

    Attributes
    ----------
    row, col : int
        First cell, in cells of the coverage grid.
    codes : uint8 array, shape (row, col)
    measures : uint8 array, shape (5, row, col)
        Shares of the cell's valid pixels in units of 1 / 200, 255 where not measurable: under vegetation,
        covered, dark, blind; and how many times coarser than its pixels the blur leaves the image (1, 2, 4 or 8).
    """

    row: int
    col: int
    codes: NDArray[np.uint8]
    measures: NDArray[np.uint8]


def cell_pixels(level_gsd_m: float) -> int:
    """Side of a coverage cell in pixels of the level it is measured on."""
    return max(1, round(CELL_M / level_gsd_m))


def reach_pixels(level_gsd_m: float) -> int:
    """How far past a core :func:`assess_cells` looks, pixels of the level."""
    return cell_pixels(level_gsd_m) + _LAGS[-1]


def assess_cells(
    chip: Chip, light: NDArray[np.uint8], tile: Tile, roles: tuple[Role, ...], settings: Visibility
) -> CellBlock:
    """Measure the cells whose first pixel lies in the tile's core.

    Parameters
    ----------
    chip : Chip
        Must reach at least :func:`reach_pixels` past the core.
    light : uint8 array, shape (row, col)
        Brightness of the chip: what sharpness is measured on.
    tile : Tile
    roles : tuple of str
        Of the chip's bands.
    settings : Visibility
    """
    side = cell_pixels(chip.grid.gsd_m)
    first_row, first_col = -(-tile.row0 // side), -(-tile.col0 // side)
    rows = max(0, -(-tile.row1 // side) - first_row)
    cols = max(0, -(-tile.col1 // side) - first_col)
    codes = np.full((rows, cols), ANALYSED, np.uint8)
    measures = np.full((MEASURES, rows, cols), NULL, np.uint8)
    if rows == 0 or cols == 0:
        return CellBlock(first_row, first_col, codes, measures)
    top, left = first_row * side - chip.row, first_col * side - chip.col
    window = (slice(top, top + rows * side), slice(left, left + cols * side))
    within = np.outer(
        *(
            np.clip(end - side * np.arange(first, first + count), 0, side)
            for end, first, count in ((chip.grid.height, first_row, rows), (chip.grid.width, first_col, cols))
        )
    )
    all_valid = bool(chip.valid[window].all())
    valid = np.full(codes.shape, side * side) if all_valid else block_sums(chip.valid[window].view(np.uint8), side)
    # A cell cut by the scene's edge is judged by the pixels it has.
    codes[(valid < _LEAST_VALID * within) | (valid == 0)] = NO_DATA

    looked = np.arange(0, side, max(1, side // _LOOKED_AT))
    # How high the ground lies says nothing of light, nor of what grows there.
    shown = [one for one, role in enumerate(roles) if role != "elevation"]
    if not shown:
        return CellBlock(first_row, first_col, codes, measures)
    roles = tuple(roles[one] for one in shown)
    bands = np.stack([_at(chip.pixels[one][window], looked, side) for one in shown])
    seen = np.ones(bands.shape[1:], bool) if all_valid else _at(chip.valid[window], looked, side)
    blind, dark = _extremes(bands, settings)
    plants = _vegetation(bands, roles, settings)
    if roles == ("thermal",):
        dark = None
    whole = all_valid or bool(seen.all())
    shares = {VEGETATION: plants, BLIND: blind, DARK: None if dark is None else dark & ~blind}
    if plants is not None and dark is not None:
        shares[COVERED] = plants & ~dark & ~blind
    known = np.maximum(block_sums(seen.view(np.uint8), looked.size), 1)
    for plane, mask in shares.items():
        if mask is not None:
            count = block_sums((mask if whole else mask & seen).view(np.uint8), looked.size)
            measures[plane] = (count * WHOLE + known // 2) // known
    if dark is not None:
        measures[BLUR] = _blur((light, chip.valid), (top, left), (rows, cols), side, settings)
    measures[:, codes != ANALYSED] = NULL
    return CellBlock(first_row, first_col, codes, measures)


def join_cells(blocks: Sequence[CellBlock]) -> CellBlock | None:
    """One block of blocks that fill a rectangle; None where there is none."""
    if len(blocks) < 2:
        return blocks[0] if blocks else None
    row, col = min(one.row for one in blocks), min(one.col for one in blocks)
    rows = max(one.row + one.codes.shape[0] for one in blocks) - row
    cols = max(one.col + one.codes.shape[1] for one in blocks) - col
    codes, measures = np.zeros((rows, cols), np.uint8), np.full((MEASURES, rows, cols), NULL, np.uint8)
    for one in blocks:
        down, across = one.row - row, one.col - col
        place = (slice(down, down + one.codes.shape[0]), slice(across, across + one.codes.shape[1]))
        codes[place], measures[(slice(None), *place)] = one.codes, one.measures
    return CellBlock(row, col, codes, measures)


def _at(plane: NDArray[Any], looked: NDArray[np.int64], side: int) -> NDArray[Any]:
    """Pixels of a plane in the rows and columns of each cell that are looked at."""
    if looked.size == 1 or side % looked[1] == 0:
        step = side // looked.size
        return plane[::step, ::step]
    down, across = ((side * np.arange(length // side)[:, None] + looked).ravel() for length in plane.shape)
    return np.asarray(plane[down][:, across])


def _extremes(bands: NDArray[np.uint8], settings: Visibility) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    darkest, brightest = bands[0], bands[0]
    for band in bands[1:]:
        darkest, brightest = cv2.min(darkest, band), cv2.max(brightest, band)
    blind = (darkest >= settings.saturated_from) | (brightest <= settings.black_to)
    return blind, brightest < settings.dark_below


def _vegetation(bands: NDArray[np.uint8], roles: tuple[Role, ...], settings: Visibility) -> NDArray[np.bool_] | None:
    """Which pixels are vegetation; null without the bands to tell it by.

    Weighed in whole numbers, what speaks for plants on one side and what against them on the other: all stay below
    2**16, and nothing is rounded.
    """
    against = next((role for role in ("red", "green") if role in roles), None)
    if "nir" in roles and against is not None:
        weights = {"nir": round(100 * (1 - settings.ndvi)), against: -round(100 * (1 + settings.ndvi))}
    elif {"red", "green", "blue"} <= set(roles):
        # Excess green (2 g - r - b) less excess red (1.4 r - g), times 10.
        weights = {"green": 30, "red": -24, "blue": -10}
    else:
        return None
    sides = np.zeros((2, *bands.shape[1:]), np.uint16)
    for role, weight in weights.items():
        sides[int(weight < 0)] += bands[roles.index(role)] * np.uint16(abs(weight))
    return np.asarray(sides[0] > sides[1])


def _cell_sums(lines: NDArray[Any], per_cell: int, side: int) -> NDArray[np.int64]:
    """Sums by cell of ``per_cell`` rows and ``side`` columns, exact."""
    stacked = lines.reshape(-1, per_cell, lines.shape[1])
    total = np.zeros((len(stacked), lines.shape[1]), np.uint32)
    for line in range(per_cell):
        total += stacked[:, line]
    return total.reshape(len(stacked), -1, side).sum(axis=2, dtype=np.int64)


def _blur(
    plane: tuple[NDArray[np.uint8], NDArray[np.bool_]],
    corner: tuple[int, int],
    shape: tuple[int, int],
    side: int,
    settings: Visibility,
) -> NDArray[np.uint8]:
    """How many times coarser than its pixels the image is, by cell: 1 where sharp, null on even ground."""
    (top, left), (rows, cols) = corner, shape
    height, width, far = rows * side, cols * side, _LAGS[-1]
    part = (slice(top, top + height + far), slice(left, left + width + far))
    light, valid = plane[0][part], plane[1][part]
    whole = bool(valid.all())
    # Some rows of a cell tell as much as all of them.
    looked = np.arange(0, side, max(1, side // _ROWS_LOOKED_AT))
    lines = (side * np.arange(rows)[:, None] + looked).ravel()
    here, known = light[lines, :width], valid[lines, :width]
    noise = 2 * settings.noise**2
    energy = {}
    for lag in _LAGS:
        total, pairs = np.zeros(shape), np.zeros(shape)
        for down, across in ((0, lag), (lag, 0)):
            step = cv2.absdiff(here, light[lines + down, across : across + width])
            if whole:
                pairs += looked.size * side
            else:
                both = (known & valid[lines + down, across : across + width]).view(np.uint8)
                step = step * both
                pairs += _cell_sums(both, looked.size, side)
            total += _cell_sums(np.multiply(step, step, dtype=np.uint16), looked.size, side)
        energy[lag] = total / np.maximum(pairs, 1) - noise
    blur = np.full(shape, NULL, np.uint8)
    for lag in _LAGS[:-1]:
        fine, coarse = energy[lag], energy[2 * lag]
        told = coarse >= _OVER_NOISE * max(noise, 0.5)
        blur[told & (blur == NULL)] = 1
        blur[told & (fine < settings.blurred_below * coarse)] = lag
    return blur
