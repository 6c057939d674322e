"""Brightness blobs of whole rasters, read in windows: the weak baseline that ``survey evaluate`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from rasterio.windows import Window

from survey.errors import ImageryError
from survey.memory.baseline import blobs, support_px

_CORE_PX = 2048
_KEPT = 20_000
"""Blobs kept of one image: those of the highest contrast."""
_FOOTPRINT_PX = 512


def find_blobs(
    paths: Sequence[Path], lengths_m: Sequence[float], reviewed: gpd.GeoDataFrame | None
) -> gpd.GeoDataFrame:
    """Find brightness blobs in images; ground that several show counts in the first of them only.

    Parameters
    ----------
    paths : sequence of Path
    lengths_m : sequence of float
        Sizes looked for, metres.
    reviewed : GeoDataFrame, optional
        Only windows that touch it are read.

    Returns
    -------
    GeoDataFrame
        EPSG:4326; points, ``probability`` (rank of the contrast, 0-1, no probability in earnest), ``gsd_cm``.

    Raises
    ------
    ImageryError
        An image cannot be read or has no CRS.
    """
    tables = []
    done: shapely.Geometry = shapely.Polygon()
    for path in paths:
        try:
            with rasterio.open(path) as image:
                if image.crs is None:
                    raise ImageryError(f"{path} has no CRS; assign one, or leave the image out.")
                table = _of_image(image, lengths_m, reviewed)
                seen = gpd.GeoSeries([_footprint(image)], crs=image.crs).to_crs("EPSG:4326").iloc[0]
        except rasterio.errors.RasterioError as error:
            raise ImageryError(f"{path} cannot be read: {error}.") from error
        table = table.to_crs("EPSG:4326")
        tables.append(table[~shapely.intersects(done, table.geometry.to_numpy())] if len(table) else table)
        done = shapely.union(done, seen)
    found = pd.concat(tables, ignore_index=True)
    order = found["contrast"].rank(method="first").to_numpy()
    return found.assign(probability=order / (len(found) + 1)).drop(columns="contrast")


def _of_image(
    image: rasterio.DatasetReader, lengths_m: Sequence[float], reviewed: gpd.GeoDataFrame | None
) -> gpd.GeoDataFrame:
    gsd_m = _gsd_m(image)
    halo = support_px(lengths_m, gsd_m)
    wanted = None if reviewed is None else shapely.union_all(reviewed.to_crs(image.crs).geometry.to_numpy())
    rows: list[NDArray[np.int64]] = []
    columns: list[NDArray[np.int64]] = []
    contrasts: list[NDArray[np.float64]] = []
    for row, column, contrast in _windows(image, lengths_m, gsd_m, halo, wanted):
        rows.append(row)
        columns.append(column)
        contrasts.append(contrast)
    row, column = (np.concatenate(part) if part else np.empty(0, np.int64) for part in (rows, columns))
    contrast = np.concatenate(contrasts) if contrasts else np.empty(0)
    best = np.lexsort((column, row, -contrast))[:_KEPT]
    t = image.transform
    x = t.a * (column[best] + 0.5) + t.b * (row[best] + 0.5) + t.c
    y = t.d * (column[best] + 0.5) + t.e * (row[best] + 0.5) + t.f
    return gpd.GeoDataFrame(
        {"contrast": contrast[best], "gsd_cm": np.full(len(best), 100.0 * gsd_m)},
        geometry=shapely.points(x, y),
        crs=image.crs,
    )


def _windows(
    image: rasterio.DatasetReader,
    lengths_m: Sequence[float],
    gsd_m: float,
    halo: int,
    wanted: shapely.Geometry | None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    bands = list(range(1, min(image.count, 3) + 1))
    for top in range(0, image.height, _CORE_PX):
        for left in range(0, image.width, _CORE_PX):
            bottom, right = min(top + _CORE_PX, image.height), min(left + _CORE_PX, image.width)
            corners = [
                image.transform * corner for corner in ((left, top), (right, top), (right, bottom), (left, bottom))
            ]
            if wanted is not None and not shapely.intersects(wanted, shapely.Polygon(corners)):
                continue
            row0, col0 = max(top - halo, 0), max(left - halo, 0)
            window = Window.from_slices(
                (row0, min(bottom + halo, image.height)), (col0, min(right + halo, image.width))
            )
            pixels = image.read(bands, window=window).astype(np.float32)
            valid = (image.dataset_mask(window=window) > 0) & np.isfinite(pixels).all(axis=0)
            row, column, contrast = blobs(pixels.mean(axis=0), valid, gsd_m, lengths_m)
            row, column = row + row0, column + col0
            own = (row >= top) & (row < bottom) & (column >= left) & (column < right)
            yield row[own], column[own], contrast[own]


def _gsd_m(image: rasterio.DatasetReader) -> float:
    """Ground sampling distance in metres at the image's centre, whatever the CRS."""
    t = image.transform
    middle, beside = (t * (image.width / 2 + step, image.height / 2) for step in (0.0, 1.0))
    ends = gpd.GeoSeries([shapely.Point(middle), shapely.Point(beside)], crs=image.crs)
    ends = ends.to_crs("EPSG:4326")
    import pyproj

    distance = pyproj.Geod(ellps="WGS84").inv(ends[0].x, ends[0].y, ends[1].x, ends[1].y)[2]
    return float(distance)


def _footprint(image: rasterio.DatasetReader) -> shapely.Geometry:
    """Ground with data, in the image's CRS, from a mask of at most 512 pixels a side."""
    shrink = max(1.0, max(image.width, image.height) / _FOOTPRINT_PX)
    height, width = max(1, round(image.height / shrink)), max(1, round(image.width / shrink))
    mask = image.dataset_mask(out_shape=(height, width))
    scale = image.transform * image.transform.scale(image.width / width, image.height / height)
    outlines = [shapely.geometry.shape(one) for one, value in shapes(mask, mask > 0, transform=scale) if value]
    return shapely.union_all(outlines)
