"""The ground that hazard areas lie on: slope from an elevation model, vegetation, and what else limits methods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import rasterio
import shapely
from affine import Affine
from pydantic import BaseModel, ConfigDict, Field
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.windows import Window

from survey.contamination.plane import Floats, Geometries, Ints, Plane, polygons_only
from survey.contamination.rules import LAND_COVERS
from survey.errors import JobError

_BLOCK = 1024
"""Pixels of elevation read at a time, on a side."""


class Terrain(BaseModel):
    """Settings of the terrain: job table ``[terrain]``.

    Attributes
    ----------
    dem : Path, optional
        Elevation model, heights in metres, any CRS and resolution.
    scale_m : float
        A finer model is averaged to about this, metres, before slopes are taken: a machine feels the hill, not
        the furrow. No published threshold.
    land_cover : Path, optional
        Polygons of ground that limits methods.
    land_cover_field : str
        Their column with the kind: rock, wetland, ruin, cemetery, orchard, built_up or metal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dem: Path | None = None
    scale_m: float = Field(default=5.0, gt=0.0, le=100.0)
    land_cover: Path | None = None
    land_cover_field: str = "kind"


@dataclass(frozen=True)
class Elevation:
    """A block of an elevation model: heights in metres (NaN where not known), their transform and CRS."""

    heights: Floats
    transform: Affine
    crs: pyproj.CRS


def slope_degrees(heights: Floats, across_m: Floats | float, down_m: float) -> Floats:
    """Return the slope of every pixel, degrees; NaN on the rim and beside unknown heights.

    Horn's third-order finite difference (1981, https://doi.org/10.1109/PROC.1981.11918).

    Parameters
    ----------
    heights : array, shape (rows, columns)
        Metres.
    across_m : float or array, shape (rows, 1)
        Width of a pixel, metres.
    down_m : float
        Height of a pixel, metres.
    """
    slope = np.full(heights.shape, np.nan)
    if min(heights.shape) < 3:
        return slope
    h = heights
    east = h[:-2, 2:] + 2.0 * h[1:-1, 2:] + h[2:, 2:] - h[:-2, :-2] - 2.0 * h[1:-1, :-2] - h[2:, :-2]
    south = h[2:, :-2] + 2.0 * h[2:, 1:-1] + h[2:, 2:] - h[:-2, :-2] - 2.0 * h[:-2, 1:-1] - h[:-2, 2:]
    width = across_m[1:-1] if isinstance(across_m, np.ndarray) else across_m
    gradient = np.hypot(east / (8.0 * width), south / (8.0 * down_m))
    slope[1:-1, 1:-1] = np.degrees(np.arctan(gradient))
    return slope


def slope_by_area(shapes: Geometries, plane: Plane, land: Geometries, settings: Terrain) -> pd.DataFrame:
    """Return median and 90th percentile of the slope of each area, degrees; null where heights are not known.

    Parameters
    ----------
    shapes : array of geometry
        Areas on the plane.
    plane : Plane
    land : array of geometry
        Districts on the plane: the model must reach some of them.
    settings : Terrain

    Raises
    ------
    JobError
        The elevation model cannot be read, has no CRS, or lies beside all districts.
    """
    names = ["slope_p50_deg", "slope_p90_deg"]
    if settings.dem is None:
        return pd.DataFrame(np.full((len(shapes), 2), np.nan), columns=names)
    try:
        with rasterio.open(settings.dem) as model:
            _reaches(model, plane, land, settings.dem)
            blocks = _blocks(model, shapes, plane, settings.scale_m)
            pairs = [slopes_in(block, shapes, plane) for block in blocks]
    except RasterioError as error:
        raise JobError(f"The elevation model {settings.dem} cannot be read: {error}.") from error
    area = np.concatenate([p[0] for p in pairs]) if pairs else np.zeros(0, np.int64)
    slope = np.concatenate([p[1] for p in pairs]) if pairs else np.zeros(0)
    values = weighted_percentiles(area, slope, np.ones(len(slope)), len(shapes), (0.5, 0.9))
    return pd.DataFrame(np.round(values, 2), columns=names)


def slopes_in(block: Elevation, shapes: Geometries, plane: Plane) -> tuple[Ints, Floats]:
    """Return the slopes of the pixels whose centres lie in areas: which area, and how steep.

    An area that holds no pixel's centre gets the pixel its inner point lies in. The rim of the block is left out:
    blocks are read with a pixel more on each side.
    """
    rows, columns = block.heights.shape
    across, down = _pixel_metres(block)
    slope = slope_degrees(block.heights, across, down)
    series = plane.export(shapes, block.crs, "hazard areas")
    moved = np.asarray(series.values, dtype=object)
    points = shapely.get_coordinates(shapely.point_on_surface(moved))
    inverse = ~block.transform
    column = np.floor(inverse.a * points[:, 0] + inverse.b * points[:, 1] + inverse.c).astype(np.int64)
    row = np.floor(inverse.d * points[:, 0] + inverse.e * points[:, 1] + inverse.f).astype(np.int64)
    within = (column >= 1) & (column < columns - 1) & (row >= 1) & (row < rows - 1)
    frame = shapely.Polygon([block.transform * corner for corner in ((0, 0), (columns, 0), (columns, rows), (0, rows))])
    near = np.flatnonzero(shapely.intersects(moved, frame))
    if len(near) == 0:
        return np.zeros(0, np.int64), np.zeros(0)
    label = rasterize(
        zip(moved[near].tolist(), (near + 1).tolist(), strict=True),
        out_shape=(rows, columns),
        transform=block.transform,
        dtype="int32",
    ).astype(np.int64)
    label[[0, -1], :] = 0
    label[:, [0, -1]] = 0
    chosen = label > 0
    area, steep = label[chosen] - 1, slope[chosen]
    small = near[within[near] & ~np.isin(near, area)]
    area = np.concatenate([area, small])
    steep = np.concatenate([steep, slope[row[small], column[small]]])
    known = np.isfinite(steep)
    return area[known], steep[known]


def _reaches(model: rasterio.DatasetReader, plane: Plane, land: Geometries, path: Path) -> None:
    """Refuse a model without CRS or beside all districts."""
    if model.crs is None:
        raise JobError(f"The elevation model {path} has no CRS. Assign one, for instance with rio edit-info --crs.")
    if len(land) == 0:
        return
    frame = gpd.GeoSeries([shapely.box(*model.bounds)], crs=pyproj.CRS(model.crs.to_wkt()))
    outline = plane.project(frame, "elevation model")
    if not shapely.intersects(land, outline[0]).any():
        raise JobError(
            f"The elevation model {path} lies beside all districts. Check its CRS ({model.crs.to_string()}), or leave "
            f"out [terrain] dem: slopes are then not known."
        )


def _blocks(model: rasterio.DatasetReader, shapes: Geometries, plane: Plane, scale_m: float) -> Iterator[Elevation]:
    """Read the model where areas lie, averaged to the scale, in blocks that overlap by a pixel on each side."""
    crs = pyproj.CRS(model.crs.to_wkt()).to_2d()
    bounds = shapely.bounds(np.asarray(plane.export(shapes, crs, "hazard areas").values, dtype=object))
    whole = Elevation(np.zeros((2, 2)), model.transform, crs)
    times = max(1, int(scale_m / max(_pixel_metres(whole)[1], 1e-9)))
    rows, columns = max(model.height // times, 1), max(model.width // times, 1)
    transform = model.transform * Affine.scale(times)
    for top in range(0, rows, _BLOCK):
        for left in range(0, columns, _BLOCK):
            r0, c0 = max(top - 1, 0), max(left - 1, 0)
            r1, c1 = min(top + _BLOCK + 1, rows), min(left + _BLOCK + 1, columns)
            here = transform * Affine.translation(c0, r0)
            corners = [here * corner for corner in ((0, 0), (c1 - c0, 0), (c1 - c0, r1 - r0), (0, r1 - r0))]
            west, east = min(x for x, _ in corners), max(x for x, _ in corners)
            south, north = min(y for _, y in corners), max(y for _, y in corners)
            beside = (bounds[:, 0] > east) | (bounds[:, 2] < west) | (bounds[:, 1] > north) | (bounds[:, 3] < south)
            if beside.all():
                continue
            window = Window(c0 * times, r0 * times, (c1 - c0) * times, (r1 - r0) * times)
            band = model.read(
                1,
                window=window,
                out_shape=(r1 - r0, c1 - c0),
                resampling=Resampling.average,
                masked=True,
                boundless=False,
                out_dtype="float64",
            )
            heights = np.where(np.ma.getmaskarray(band), np.nan, np.ma.getdata(band))
            yield Elevation(np.where(np.isfinite(heights), heights, np.nan), here, crs)


def _pixel_metres(block: Elevation) -> tuple[Floats | float, float]:
    """Return width and height of a pixel on the ground, metres; in degrees the width narrows with latitude."""
    t = block.transform
    width, height = float(np.hypot(t.a, t.d)), float(np.hypot(t.b, t.e))
    if not block.crs.is_geographic:
        unit = float(block.crs.axis_info[0].unit_conversion_factor)
        return width * unit, height * unit
    rows = block.heights.shape[0]
    latitude = np.radians(t.f + t.e * (np.arange(rows) + 0.5))
    # Radii of curvature of the WGS 84 ellipsoid, in the meridian and across it.
    a, e2 = 6_378_137.0, 6.694_379_990_14e-3
    w = np.sqrt(1.0 - e2 * np.sin(latitude) ** 2)
    degree = np.pi / 180.0
    across = (width * degree * a / w * np.cos(latitude))[:, None]
    return across, float(height * degree * a * (1.0 - e2) / w[rows // 2] ** 3)


def vegetation_by_area(inside: pd.DataFrame, cells: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return median and 90th percentile of the vegetation cover of each area, over the cells of the grid.

    Parameters
    ----------
    inside : DataFrame
        ``shape`` (area), ``at`` (position in ``cells`` or -1), ``area_m2``.
    cells : DataFrame
        With ``vegetated_m2`` and ``vegetation_known_m2``.
    count : int
    """
    known = cells["vegetation_known_m2"].to_numpy()
    cover = np.divide(cells["vegetated_m2"].to_numpy(), known, out=np.full(len(cells), np.nan), where=known > 0)
    inside = inside[inside["at"] >= 0]
    values = cover[inside["at"].to_numpy()]
    told = np.isfinite(values)
    result = weighted_percentiles(
        inside["shape"].to_numpy()[told], values[told], inside["area_m2"].to_numpy()[told], count, (0.5, 0.9)
    )
    return pd.DataFrame(np.round(result, 4), columns=["vegetation_p50", "vegetation_p90"])


def weighted_percentiles(group: Ints, values: Floats, weights: Floats, count: int, at: tuple[float, ...]) -> Floats:
    """Return, for each of ``count`` groups, the least value that a share ``at`` of the weight does not exceed.

    Examples
    --------
    >>> import numpy as np
    >>> weighted_percentiles(np.array([0, 0, 0]), np.array([1.0, 2.0, 9.0]), np.ones(3), 1, (0.5,))
    array([[2.]])
    """
    result = np.full((count, len(at)), np.nan)
    if len(values) == 0:
        return result
    order = np.lexsort((values, group))
    group, values, weights = group[order], values[order], weights[order]
    running = np.cumsum(weights)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    last = np.append(first[1:], len(group)) - 1
    before = running[first] - weights[first]
    for column, share in enumerate(at):
        wanted = before + share * (running[last] - before)
        position = np.clip(np.searchsorted(running, wanted - 1e-9, side="left"), first, last)
        result[group[first], column] = values[position]
    return result


def prepare_land_cover(table: gpd.GeoDataFrame, settings: Terrain) -> gpd.GeoDataFrame:
    """Return ground that limits methods: columns ``kind`` and ``geometry``.

    Raises
    ------
    JobError
        No CRS, no such column, or an unknown kind.
    """
    field = settings.land_cover_field
    if table.crs is None or field not in table.columns:
        what = "no CRS" if table.crs is None else f"no column {field!r} ([terrain] land_cover_field)"
        raise JobError(f"The land cover has {what}. Mend the file, or leave out [terrain] land_cover.")
    kinds = table[field].astype(object)
    strange = kinds[~kinds.isin(LAND_COVERS)]
    if len(strange):
        raise JobError(f"The land cover holds the kind {strange.iloc[0]!r}; it may be one of {', '.join(LAND_COVERS)}.")
    shapes = polygons_only(np.asarray(table.geometry.values, dtype=object))
    kept = ~shapely.is_empty(shapes)
    return gpd.GeoDataFrame({"kind": kinds.to_numpy()[kept]}, geometry=shapes[kept], crs=table.crs)


def land_cover_by_area(shapes: Geometries, land_cover: gpd.GeoDataFrame | None, plane: Plane) -> list[str]:
    """Return the kinds of ground that limit methods in each area, joined with ``;``."""
    found: list[str] = [""] * len(shapes)
    if land_cover is None or len(land_cover) == 0 or len(shapes) == 0:
        return found
    covers = polygons_only(plane.project(land_cover.geometry, "land cover"))
    cover, area = shapely.STRtree(shapes).query(covers, predicate="intersects")
    pairs = pd.DataFrame({"area": area, "kind": land_cover["kind"].to_numpy(dtype=object)[cover]}).drop_duplicates()
    joined = pairs.sort_values(["area", "kind"]).groupby("area")["kind"].agg(";".join)
    for index, text in joined.items():
        found[int(str(index))] = text
    return found
