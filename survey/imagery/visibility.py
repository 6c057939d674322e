"""What could have been seen: cells of a scene's coverage grid, and why some of them could not be assessed.

The coverage grid is laid over a level of the scene from the scene's origin, so a cell is the same
whatever the tiles are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray

from survey.imagery.chips import Chip
from survey.imagery.grid import Grid
from survey.imagery.scene import Scene
from survey.imagery.tiles import Tile
from survey.layers import COVERAGE_PIECES, conform

CELL_M = 2.0
"""Side of a coverage cell on the ground, metres, rounded to whole pixels."""

# A cell counts as seen where at least this share of its pixels is valid; no published threshold.
_LEAST_VALID = 0.95
# A cell is blank where this share of its pixels is at one end of the range; no published threshold.
_MOST_BLANK = 0.95

UNREAD, ANALYSED, NO_DATA, BLANK, FAILED = range(5)
_STATUS = {
    ANALYSED: ("analysed", ""),
    NO_DATA: ("not_analysed", "no data in the image"),
    BLANK: ("not_assessable", "black or saturated pixels"),
    UNREAD: ("not_analysed", "not read"),
}


@dataclass(frozen=True)
class CellBlock:
    """Codes of the cells whose first pixel lies in one tile's core.

    Attributes
    ----------
    row, col : int
        First cell, in cells of the coverage grid.
    codes : uint8 array, shape (row, col)
    """

    row: int
    col: int
    codes: NDArray[np.uint8]


def cell_pixels(level_gsd_m: float) -> int:
    """Side of a coverage cell in pixels of the level it is measured on."""
    return max(1, round(CELL_M / level_gsd_m))


def assess_cells(chip: Chip, tile: Tile, side: int) -> CellBlock:
    """Judge the cells whose first pixel lies in the tile's core.

    Parameters
    ----------
    chip : Chip
        Must reach at least ``side`` pixels past the core.
    tile : Tile
    side : int
        Side of a cell, pixels of the level.
    """
    first_row, first_col = -(-tile.row0 // side), -(-tile.col0 // side)
    rows = max(0, -(-tile.row1 // side) - first_row)
    cols = max(0, -(-tile.col1 // side) - first_col)
    if rows == 0 or cols == 0:
        return CellBlock(first_row, first_col, np.zeros((0, 0), np.uint8))
    top, left = first_row * side - chip.row, first_col * side - chip.col
    window = (slice(top, top + rows * side), slice(left, left + cols * side))
    inside = np.zeros(chip.valid.shape, bool)
    inside[max(0, -chip.row) : chip.grid.height - chip.row, max(0, -chip.col) : chip.grid.width - chip.col] = True
    within = _share(inside[window], side)
    valid = _share(chip.valid[window], side)
    darkest, brightest = (
        chip.pixels[:, window[0], window[1]].min(axis=0),
        chip.pixels[:, window[0], window[1]].max(axis=0),
    )
    blank = _share(chip.valid[window] & ((brightest == 0) | (darkest == 255)), side)
    codes = np.full((rows, cols), ANALYSED, np.uint8)
    codes[blank >= _MOST_BLANK * valid] = BLANK
    # A cell cut by the scene's edge is judged by the pixels it has.
    codes[valid < _LEAST_VALID * within] = NO_DATA
    codes[valid == 0] = NO_DATA
    return CellBlock(first_row, first_col, codes)


def _share(mask: NDArray[np.bool_], side: int) -> NDArray[np.float64]:
    rows, cols = -(-mask.shape[0] // side), -(-mask.shape[1] // side)
    padded = np.zeros((rows * side, cols * side), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return padded.reshape(rows, side, cols, side).sum(axis=(1, 3)) / (side * side)


def coverage_pieces(
    scene: Scene,
    grid: Grid,
    blocks: Iterable[CellBlock],
    failures: Iterable[tuple[Tile, str]] = (),
    families: tuple[str, ...] = (),
) -> gpd.GeoDataFrame:
    """Ground of a scene by what could be done with it.

    Parameters
    ----------
    scene : Scene
    grid : Grid
        Of the level the cells were measured on.
    blocks : iterable of CellBlock
    failures : iterable of (Tile, reason)
        Tiles that could not be read, on the same level.
    families : tuple of str
        Families of hazard that can be seen at this ground sampling distance.

    Returns
    -------
    GeoDataFrame in layers.COVERAGE_PIECES, in the scene's CRS; one row per status and reason. Ground that
    no tile covered has no row.
    """
    side = cell_pixels(grid.gsd_m)
    reasons = dict(_STATUS)
    codes = np.zeros((-(-grid.height // side), -(-grid.width // side)), np.uint8)
    for block in blocks:
        codes[block.row : block.row + block.codes.shape[0], block.col : block.col + block.codes.shape[1]] = block.codes
    numbers: dict[str, int] = {}
    for tile, reason in failures:
        number = numbers.setdefault(reason, FAILED + len(numbers))
        reasons[number] = ("not_analysed", reason)
        codes[-(-tile.row0 // side) : -(-tile.row1 // side), -(-tile.col0 // side) : -(-tile.col1 // side)] = number
    parts: dict[int, list[shapely.Polygon]] = {}
    for shape, code in rasterio.features.shapes(
        codes, mask=codes != UNREAD, connectivity=4, transform=Affine.identity()
    ):
        parts.setdefault(int(code), []).append(shape["coordinates"])
    rows = [
        {
            "image": scene.name,
            "status": reasons[code][0],
            "reason": reasons[code][1],
            "families": ";".join(families),
            "detectability": 1.0 if code == ANALYSED else 0.0,
            "gsd_cm": scene.grid.gsd_cm,
            "acquired_at": scene.acquired_at,
            "geometry": _on_ground(shapely.MultiPolygon([(p[0], p[1:]) for p in parts[code]]), grid, side),
        }
        for code in sorted(parts)
    ]
    columns = [*COVERAGE_PIECES.names, "geometry"]
    table = gpd.GeoDataFrame(rows, columns=columns, geometry="geometry", crs=grid.crs)
    return conform(table, COVERAGE_PIECES, crs=grid.crs)


def _on_ground(cells: shapely.MultiPolygon, grid: Grid, side: int) -> shapely.MultiPolygon:
    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        # The last row and column of cells end at the scene's edge.
        col = np.minimum(points[:, 0] * side, grid.width)
        row = np.minimum(points[:, 1] * side, grid.height)
        return np.column_stack(grid.to_ground(col, row))

    return shapely.transform(cells, place)
