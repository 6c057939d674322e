"""Pure geometry of pixels: where a raster lies on the ground and how large its pixels are there.

Pixel coordinates have their origin at the outer corner of the first pixel: pixel (row, col) covers
``[row, row + 1) x [col, col + 1)`` and its centre is ``(row + 0.5, col + 0.5)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.enums import TransformDirection

Floats = NDArray[np.float64]


@cache
def _to_wgs84(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(pyproj.CRS(crs).to_2d(), "EPSG:4326", always_xy=True)


@dataclass(frozen=True)
class Grid:
    """A raster's pixels on the ground.

    Attributes
    ----------
    crs : str
        Coordinate reference system, as WKT or authority code.
    transform : tuple of 6 float
        ``(a, b, c, d, e, f)``: ``x = a * col + b * row + c``, ``y = d * col + e * row + f``.
    width, height : int
        Size in pixels.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int

    def to_ground(self, col: Floats, row: Floats) -> tuple[Floats, Floats]:
        """Coordinates in the CRS of pixel coordinates (arrays of any one shape)."""
        a, b, c, d, e, f = self.transform
        col, row = np.asarray(col, dtype=float), np.asarray(row, dtype=float)
        return a * col + b * row + c, d * col + e * row + f

    def to_pixel(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Pixel coordinates (col, row) of coordinates in the CRS."""
        a, b, c, d, e, f = self.transform
        x, y = np.asarray(x, dtype=float) - c, np.asarray(y, dtype=float) - f
        determinant = a * e - b * d
        return (e * x - b * y) / determinant, (a * y - d * x) / determinant

    def outline(self, step: int = 32) -> shapely.Polygon:
        """Outline of the raster in its CRS, with ``step`` extra vertices a side so that it reprojects well."""
        along = np.linspace(0.0, 1.0, step + 1)[:-1]
        col = np.concatenate([along, np.ones(step), 1 - along, np.zeros(step)]) * self.width
        row = np.concatenate([np.zeros(step), along, np.ones(step), 1 - along]) * self.height
        return shapely.Polygon(np.column_stack(self.to_ground(col, row)))

    @property
    def pixel_m(self) -> tuple[float, float]:
        """Ground length of one pixel along a row and along a column, metres, geodesic at the centre.

        True on the ground whatever the CRS: degrees, feet, or the stretched metres of Web Mercator.
        """
        return _pixel_m(self)

    @property
    def gsd_m(self) -> float:
        """Ground sampling distance, metres: side of a square as large as one pixel."""
        return float(np.sqrt(np.prod(self.pixel_m)))

    @property
    def gsd_cm(self) -> float:
        """Ground sampling distance, centimetres."""
        return self.gsd_m * 100

    def reduced(self, width: int, height: int) -> Grid:
        """Return the same ground in ``width`` x ``height`` pixels (an overview, at its true ratio)."""
        across, down = self.width / width, self.height / height
        a, b, c, d, e, f = self.transform
        return Grid(self.crs, (a * across, b * down, c, d * across, e * down, f), width, height)


@cache
def _pixel_m(grid: Grid) -> tuple[float, float]:
    # A long baseline around the centre: one pixel alone would drown in rounding.
    col, row = grid.width / 2, grid.height / 2
    half = 8.0
    x, y = grid.to_ground(np.array([col - half, col + half, col, col]), np.array([row, row, row - half, row + half]))
    lon, lat = _to_wgs84(grid.crs).transform(x, y, direction=TransformDirection.FORWARD, errcheck=True)
    geod = pyproj.Geod(ellps="WGS84")
    _, _, across = geod.inv(lon[0], lat[0], lon[1], lat[1])
    _, _, down = geod.inv(lon[2], lat[2], lon[3], lat[3])
    return across / (2 * half), down / (2 * half)
