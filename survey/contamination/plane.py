"""The equal-area plane on which everything is measured: metres in, square metres out, no other ruler.

A Lambert azimuthal equal-area projection on the job's centre keeps ellipsoidal areas exactly; lengths and
bearings are distorted by about (distance / 12,700 km)**2 / 2, which is 0.01 % at 180 km from the centre.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyproj
import shapely

from survey.errors import LayerError
from survey.threads import in_threads

DENSIFY_M = 100.0
"""Longest edge, metres, that is projected by its two ends alone."""

_MOST_LONGITUDE, _MOST_LATITUDE = 360.0, 90.0
_MOST_METRES = 1e8
"""Coordinates farther out than this are in no projection of the Earth."""

Geometries = npt.NDArray[np.object_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Plane:
    """Lambert azimuthal equal-area plane, x east and y north in metres from its centre.

    Attributes
    ----------
    lon, lat : float
        Centre, degrees on WGS 84, whole tenths: the same for the same districts file.
    """

    lon: float
    lat: float

    @classmethod
    def around(cls, tables: Iterable[gpd.GeoDataFrame]) -> Plane:
        """Return the plane on the centre of the first table that is not empty (0, 0 where all are)."""
        for table in tables:
            if len(table) and np.isfinite(table.total_bounds).all():
                west, south, east, north = geographic_bounds(table)
                if not np.isfinite([west, south, east, north]).all():
                    continue
                return cls(round((west + east) / 2.0, 1), round((south + north) / 2.0, 1))
        return cls(0.0, 0.0)

    @cached_property
    def crs(self) -> pyproj.CRS:
        """The coordinate reference system of the plane."""
        return pyproj.CRS(f"+proj=laea +lat_0={self.lat} +lon_0={self.lon} +datum=WGS84 +units=m +no_defs +type=crs")

    def project(self, geometry: gpd.GeoSeries, what: str, *, densify: bool = True) -> Geometries:
        """Return the geometries on the plane, in two dimensions.

        Parameters
        ----------
        geometry : GeoSeries
            Any CRS; every edge longer than :data:`DENSIFY_M` is split before it is projected, because a
            straight edge in one CRS is a curve in another.
        what : str
            What the geometries are, for the error.
        densify : bool
            False for points and for outlines of a few metres.

        Raises
        ------
        LayerError
            No CRS, or coordinates that the plane cannot hold.
        """
        crs = flat_crs(geometry.crs, what)
        shapes: Geometries = shapely.force_2d(np.asarray(geometry.values, dtype=object))
        if not plausible(shapes, crs).all():
            raise LayerError(
                f"The {what} hold coordinates that cannot be in their CRS ({crs.name}). Check the CRS they declare."
            )
        if densify:
            shapes = shapely.segmentize(shapes, DENSIFY_M / metres_per_unit(crs))
        return self.transform(shapes, crs, self.crs, what)

    def export(self, shapes: Geometries, crs: Any, what: str) -> gpd.GeoSeries:
        """Return geometries of the plane in another CRS; they are never measured again."""
        target = flat_crs(crs, what)
        return gpd.GeoSeries(self.transform(shapes, self.crs, target, what), crs=pyproj.CRS(crs))

    @staticmethod
    def transform(shapes: Geometries, source: pyproj.CRS, target: pyproj.CRS, what: str) -> Geometries:
        """Return the geometries with their coordinates taken from one CRS to another."""
        if len(shapes) == 0:
            return shapes.copy()
        coords = shapely.get_coordinates(shapes)
        x, y = transformer(source, target).transform(coords[:, 0], coords[:, 1])
        moved = np.column_stack([x, y])
        if not np.isfinite(moved).all():
            raise LayerError(
                f"The {what} hold coordinates that are not in their CRS ({source.name}) or lie on the other side "
                f"of the Earth. Check the CRS they declare."
            )
        result: Geometries = shapely.set_coordinates(shapes.copy(), moved)
        return result

    def convergence(self, x: Floats, y: Floats) -> Floats:
        """Return what must be added to a bearing on the plane to get a true bearing, degrees."""
        if len(x) == 0:
            return np.zeros(0)
        wgs84 = pyproj.CRS(4326)
        lon, lat = transformer(self.crs, wgs84).transform(x, y)
        step = 1e-3
        north_x, north_y = transformer(wgs84, self.crs).transform(lon, np.asarray(lat) + step)
        grid_bearing_of_north = np.degrees(np.arctan2(north_x - x, north_y - y))
        return np.asarray(-grid_bearing_of_north, dtype=np.float64)


def flat_crs(crs: Any, what: str) -> pyproj.CRS:
    """Return the horizontal part of a CRS, or refuse where there is none."""
    if crs is None:
        raise LayerError(f"The {what} have no CRS. Assign the one they were drawn in, for instance EPSG:4326.")
    flat = pyproj.CRS(crs).to_2d()
    if not (flat.is_geographic or flat.is_projected) or flat.is_geocentric:
        raise LayerError(f"The {what} are in {flat.name}, which is no map projection and no longitude and latitude.")
    return flat


def plausible(shapes: Geometries, crs: pyproj.CRS) -> Bools:
    """Return which shapes have coordinates that can be in a CRS; no geometry, no wrong coordinate."""
    bounds = shapely.bounds(shapes).reshape(len(shapes), 4)
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    # The bounds pass over a coordinate that is not a number.
    coords, owner = shapely.get_coordinates(shapes, return_index=True)
    numbers = np.ones(len(shapes), dtype=bool)
    numbers[owner[~np.isfinite(coords).all(axis=1)]] = False
    if crs.is_geographic:
        per_degree = float(crs.axis_info[0].unit_conversion_factor) / np.radians(1.0)
        most = np.array([_MOST_LONGITUDE, _MOST_LATITUDE]) / per_degree
    else:
        most = np.full(2, _MOST_METRES / metres_per_unit(crs))
    with np.errstate(invalid="ignore"):
        within = (np.abs(bounds) <= np.concatenate([most, most])).all(axis=1)
    return np.asarray(empty | (within & numbers), dtype=bool)


def metres_per_unit(crs: pyproj.CRS) -> float:
    """Return the length of one coordinate unit, metres; of a degree, its length at the equator."""
    axis = crs.axis_info[0]
    if crs.is_geographic:
        return float(axis.unit_conversion_factor) * 6_378_137.0
    return float(axis.unit_conversion_factor)


def geographic_bounds(table: gpd.GeoDataFrame) -> tuple[float, float, float, float]:
    """Return west, south, east, north of a table in degrees on WGS 84."""
    crs = flat_crs(table.crs, "geometries")
    bounds = transformer(crs, pyproj.CRS(4326)).transform_bounds(*table.total_bounds)
    return (float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3]))


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(pyproj.CRS(source), pyproj.CRS(target), always_xy=True)


def transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    """Return the transformation between two CRSs, x or longitude first; built once per pair."""
    return _transformer(source.to_wkt(), target.to_wkt())


def polygons_only(shapes: Geometries) -> Geometries:
    """Return the shapes mended where invalid, and only what has an area of each (else an empty polygon)."""
    shapes = shapes.copy()
    bad = ~in_threads(shapely.is_valid, shapes)
    if bad.any():
        # Parts that overlap are joined; the older method would cut a hole where they do.
        shapes[bad] = in_threads(shapely.make_valid, shapes[bad], method="structure", keep_collapsed=False)
    odd = ~np.isin(shapely.get_type_id(shapes), (3, 6))
    if odd.any():
        parts, owner = shapely.get_parts(shapes[odd], return_index=True)
        parts, inner = shapely.get_parts(parts, return_index=True)
        owner = owner[inner]
        flat = shapely.get_type_id(parts) == 3
        mended = merged(parts[flat], owner[flat], int(odd.sum()))
        # Polygons of one collection may overlap or share an edge; a multipolygon of them would not be valid.
        wrong = ~shapely.is_valid(mended)
        mended[wrong] = shapely.union_all(mended[wrong][:, None], axis=1)
        shapes[odd] = mended
    return shapes


def merged(polygons: Geometries, group: Ints, count: int) -> Geometries:
    """Return one multipolygon for each of ``count`` groups from disjoint polygons (empty where none).

    Parameters
    ----------
    polygons : array of Polygon, shape (n,)
    group : int array, shape (n,)
        Group of each polygon, 0 … count - 1.
    count : int
    """
    result = np.full(count, shapely.MultiPolygon(), dtype=object)
    if len(polygons) == 0:
        return result
    order = np.argsort(group, kind="stable")
    present, dense = np.unique(group[order], return_inverse=True)
    result[present] = shapely.multipolygons(polygons[order], indices=dense)
    return result


def as_multipolygons(shapes: Geometries) -> Geometries:
    """Return every polygon as a multipolygon, so that a layer has one geometry type."""
    single = shapely.get_type_id(shapes) != 6
    if not single.any():
        return shapes
    parts, owner = shapely.get_parts(shapes[single], return_index=True)
    keep = ~shapely.is_empty(parts)
    result = shapes.copy()
    result[single] = merged(parts[keep], owner[keep], int(single.sum()))
    return result
