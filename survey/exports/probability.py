"""``probability.tif``: the highest probability of an object in each 1 m cell, as a Cloud-Optimized GeoTIFF."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from rasterio.features import rasterize
from rasterio.shutil import copy
from rasterio.transform import Affine, from_origin
from rasterio.windows import Window

from survey.errors import LayerError, OutputError
from survey.exports.whole import whole

_CELL_M = 1.0
_BLOCK = 512
_NODATA = 255


def write_probability(path: Path, objects: pd.DataFrame, coverage: pd.DataFrame) -> None:
    """Write the highest candidate probability per 1 m cell, in percent; nodata (255) where not analysed.

    Parameters
    ----------
    path : Path
    objects : GeoDataFrame
        Objects and candidates together: ``probability``, ``verification`` (rejected ones do not count).
    coverage : GeoDataFrame
        Layer ``coverage``.

    The grid is the UTM zone of the coverage's middle, aligned to whole metres.

    Raises
    ------
    LayerError
        Nothing was analysed.
    OutputError
        The file cannot be written.
    """
    assert isinstance(coverage, gpd.GeoDataFrame)
    analysed = coverage[coverage["status"] == "analysed"]
    if analysed.empty:
        raise LayerError("Nothing was analysed, so there is no ground to map probabilities on.")
    plane = analysed.estimate_utm_crs()
    ground = analysed.to_crs(plane).geometry.to_numpy()
    marks = objects[objects["verification"] != "rejected"]
    outlines = marks.to_crs(plane).geometry.to_numpy() if isinstance(marks, gpd.GeoDataFrame) else np.empty(0, object)
    percent = np.round(100.0 * marks["probability"].to_numpy(np.float64)).clip(0, 100).astype(np.uint8)
    order = np.argsort(percent, kind="stable")  # painted last wins: the highest
    outlines, percent = outlines[order], percent[order]
    west, south, east, north = shapely.total_bounds(ground)
    west, north = np.floor(west / _CELL_M) * _CELL_M, np.ceil(north / _CELL_M) * _CELL_M
    width, height = (int(np.ceil(span / _CELL_M)) for span in (east - west, north - south))
    transform = from_origin(west, north, _CELL_M, _CELL_M)
    profile = {
        "driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "uint8", "crs": plane.to_wkt(),
        "transform": transform, "nodata": _NODATA, "tiled": True, "blockxsize": _BLOCK, "blockysize": _BLOCK,
        "compress": "DEFLATE", "SPARSE_OK": True, "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    on_ground, on_marks = shapely.STRtree(ground), shapely.STRtree(outlines)
    with whole(path) as partial:
        draft = partial.with_suffix(".draft.tif")
        try:
            with rasterio.open(draft, "w", **profile) as image:
                image.update_tags(unit="percent", meaning="highest probability of a suspected object in the cell")
                for _, window in image.block_windows(1):
                    block = _block(window, transform, (ground, on_ground), (outlines, on_marks), percent)
                    if block is not None:
                        image.write(block, 1, window=window)
            partial.unlink()
            copy(draft, partial, driver="COG", COMPRESS="DEFLATE", BLOCKSIZE=_BLOCK, OVERVIEW_RESAMPLING="MODE")
        except rasterio.errors.RasterioError as error:
            raise OutputError(f"{path} cannot be written: {error}. Free space, or choose another folder.") from error
        finally:
            draft.unlink(missing_ok=True)


def _block(
    window: Window,
    transform: Affine,
    ground: tuple[np.ndarray, shapely.STRtree],
    marks: tuple[np.ndarray, shapely.STRtree],
    percent: np.ndarray,
) -> np.ndarray | None:
    """Cells of one block; None where none of it was analysed."""
    corner = transform * (window.col_off, window.row_off)
    opposite = transform * (window.col_off + window.width, window.row_off + window.height)
    frame = shapely.box(corner[0], opposite[1], opposite[0], corner[1])
    here = np.sort(ground[1].query(frame, predicate="intersects"))
    if not len(here):
        return None
    own = from_origin(corner[0], corner[1], transform.a, -transform.e)
    shape = (int(window.height), int(window.width))
    cells = rasterize([(one, 0) for one in ground[0][here]], shape, fill=_NODATA, transform=own, dtype="uint8")
    found = np.sort(marks[1].query(frame, predicate="intersects"))
    if len(found):
        painted = rasterize(
            [(marks[0][i], int(percent[i])) for i in found],
            shape,
            fill=0,
            transform=own,
            all_touched=True,
            dtype="uint8",
        )
        cells = np.where(cells == _NODATA, cells, painted)
    return np.asarray(cells, dtype=np.uint8)
