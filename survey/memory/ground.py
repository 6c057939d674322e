"""The ground an evaluation counts on: where it is, how large, and in which units it is resampled."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from survey.errors import LayerError

_BLOCKS = 25
"""Blocks of ground to resample where there is one site."""


@dataclass(frozen=True)
class Ground:
    """Reviewed ground in an equal-area plane, cut into the units that a bootstrap draws from.

    Attributes
    ----------
    pieces : ndarray of shapely polygons
        In metres.
    piece_site : ndarray of int
        Site of each piece.
    hectares : ndarray of float
        Ground of each unit, hectares.
    n_sites : int
    block_m : float
        Side of the blocks that are resampled, metres; 0 where whole sites are.
    origin : tuple of float
        Corner the blocks are counted from, metres.
    columns : int
        Blocks from west to east.
    """

    pieces: NDArray[np.object_]
    piece_site: NDArray[np.int64]
    hectares: NDArray[np.float64]
    n_sites: int
    block_m: float
    origin: tuple[float, float]
    columns: int

    def unit_of(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the unit each point (metres) lies in, -1 outside the ground."""
        unit = np.full(len(x), -1, dtype=np.int64)
        if not len(x):
            return unit
        point, piece = shapely.STRtree(self.pieces).query(shapely.points(x, y), predicate="intersects")
        point, first = np.unique(point, return_index=True)
        if self.block_m:
            column = ((x[point] - self.origin[0]) // self.block_m).astype(np.int64)
            row = ((y[point] - self.origin[1]) // self.block_m).astype(np.int64)
            unit[point] = np.clip(row * self.columns + column, 0, len(self.hectares) - 1)
        else:
            unit[point] = self.piece_site[piece[first]]
        return unit


def plane_of(*tables: gpd.GeoDataFrame) -> pyproj.CRS:
    """Return an equal-area plane in metres (Lambert azimuthal) centred on the tables.

    Raises
    ------
    LayerError
        No table holds a geometry, or one has no CRS.
    """
    boxes = []
    for table in tables:
        if len(table) == 0 or table.geometry.is_empty.all():
            continue
        if table.crs is None:
            raise LayerError(
                "A layer to be compared has no CRS; assign the right one, e.g. with QGIS or `ogr2ogr -a_srs`."
            )
        boxes.append(table.to_crs("EPSG:4326").total_bounds)
    if not boxes:
        raise LayerError("There is nothing to evaluate: no detection, no known object and no reviewed ground.")
    west, south = np.min(boxes, axis=0)[:2]
    east, north = np.max(boxes, axis=0)[2:]
    return pyproj.CRS.from_dict(
        {"proj": "laea", "lat_0": (south + north) / 2, "lon_0": (west + east) / 2, "datum": "WGS84", "units": "m"}
    )


def ground_of(reviewed: gpd.GeoDataFrame, site_field: str = "site") -> Ground:
    """Cut reviewed ground into sites, or into square blocks where there is but one site.

    Overlapping polygons count once; ground of two sites belongs to the one that comes first by name.

    Parameters
    ----------
    reviewed : GeoDataFrame
        Polygons in metres of an equal-area plane; column ``site_field`` where known.
    site_field : str
    """
    table = reviewed[~reviewed.geometry.is_empty & reviewed.geometry.notna()]
    outlines = shapely.make_valid(shapely.force_2d(table.geometry.to_numpy()))
    site = (
        table[site_field].astype("str").fillna("").to_numpy()
        if site_field in table.columns
        else np.full(len(table), "")
    )
    names, of_site = np.unique(np.asarray(site, dtype=str), return_inverse=True)
    unions: list[shapely.Geometry] = []
    before: shapely.Geometry = shapely.Polygon()
    for number in range(len(names)):
        own = shapely.union_all(outlines[of_site == number])
        if number:
            own = shapely.difference(own, before)
        before = own if not number else shapely.union(before, own)
        unions.append(own)
    pieces, index = shapely.get_parts(np.asarray(unions, dtype=object), return_index=True)
    polygonal = shapely.get_dimensions(pieces) == 2
    pieces, index = pieces[polygonal], index[polygonal]
    by_site = shapely.area(np.asarray(unions, dtype=object)) / 1e4
    if len(names) > 1:
        return Ground(pieces, index, by_site, len(names), 0.0, (0.0, 0.0), 0)
    return _blocks(pieces, index)


def _blocks(pieces: NDArray[np.object_], index: NDArray[np.int64]) -> Ground:
    west, south, east, north = shapely.total_bounds(pieces)
    side = max(float(np.sqrt(shapely.area(pieces).sum() / _BLOCKS)), 1.0)
    # Scattered ground fills few blocks of a wide extent: coarsen until they are few enough to resample.
    while ((east - west) // side + 1) * ((north - south) // side + 1) > 8 * _BLOCKS:
        side *= 1.25
    columns, rows = int((east - west) // side) + 1, int((north - south) // side) + 1
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(columns), np.arange(rows)))
    boxes = shapely.box(west + x * side, south + y * side, west + (x + 1) * side, south + (y + 1) * side)
    piece, block = shapely.STRtree(boxes).query(pieces, predicate="intersects")
    shared = shapely.area(shapely.intersection(pieces[piece], boxes[block])) / 1e4
    hectares = np.bincount(block, weights=shared, minlength=len(boxes)).astype(np.float64)
    return Ground(pieces, index, hectares, 1, side, (float(west), float(south)), columns)
