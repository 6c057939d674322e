"""Cut a level of a scene into tiles: cores that partition it, each read with a halo around."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from pydantic import BaseModel, ConfigDict, Field

from survey.imagery.grid import Grid


class Tiling(BaseModel):
    """How levels are cut. The result of a survey does not depend on any of it.

    Attributes
    ----------
    size : int
        Side of a core, pixels of the level. What lies around a core is read again with the next one; so large cores
        cost less reading, and small ones more often something to go on with after a stop.
    origin : (row, col)
        Where a core starts, pixels of the level.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(default=4096, ge=64, le=16384)
    origin: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Tile:
    """A half-open core ``[row0, row1) x [col0, col1)`` in pixels of a level."""

    level: int
    row0: int
    row1: int
    col0: int
    col1: int

    def parts(self, side: int) -> Iterator[Tile]:
        """Yield the pieces of the core, of at most ``side`` pixels, row by row."""
        for row in range(self.row0, self.row1, side):
            for col in range(self.col0, self.col1, side):
                yield Tile(self.level, row, min(row + side, self.row1), col, min(col + side, self.col1))

    def window(self, halo: int, multiple: int) -> tuple[int, int, int, int]:
        """Return the core and its halo, grown outwards to multiples of ``multiple`` pixels from the scene's origin.

        The growth anchors everything computed on coarser grids inside the tile to the scene.
        """
        return (
            (self.row0 - halo) // multiple * multiple,
            -(-(self.row1 + halo) // multiple) * multiple,
            (self.col0 - halo) // multiple * multiple,
            -(-(self.col1 + halo) // multiple) * multiple,
        )


def cut(grid: Grid, level: int, tiling: Tiling, region: shapely.Geometry | None = None) -> Iterator[Tile]:
    """Yield the tiles of a level whose cores touch ``region``, row by row.

    Parameters
    ----------
    grid : Grid
        Of the level.
    level : int
    tiling : Tiling
    region : shapely geometry, optional
        Ground of interest in the CRS of the grid; default the whole level.
    """
    reach = None if region is None else _in_pixels(region, grid)
    if reach is not None and reach.is_empty:
        return
    if reach is not None:
        shapely.prepare(reach)
    size, (top, left) = tiling.size, tiling.origin
    for row in range((top % size) - size if top % size else 0, grid.height, size):
        for col in range((left % size) - size if left % size else 0, grid.width, size):
            tile = Tile(level, max(row, 0), min(row + size, grid.height), max(col, 0), min(col + size, grid.width))
            if reach is None or reach.intersects(shapely.box(tile.col0, tile.row0, tile.col1, tile.row1)):
                yield tile


def _in_pixels(region: shapely.Geometry, grid: Grid) -> shapely.Geometry:
    clipped = shapely.intersection(region, grid.outline())

    def place(points: np.ndarray) -> np.ndarray:
        return np.column_stack(grid.to_pixel(points[:, 0], points[:, 1]))

    return shapely.transform(clipped, place)
