"""Layers in other programs' formats: GeoParquet, CSV, GeoJSON, Shapefile. KML has a file of its own."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely

from survey.errors import OutputError
from survey.exports.short_names import short_names
from survey.exports.tables import as_shown
from survey.exports.whole import whole, write_text
from survey.layers import Layer, conform

_DBF_TEXT = 254
"""Longest text a Shapefile holds; longer text is cut, and ends in "..."."""
SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")


def write_geoparquet(path: Path, table: pd.DataFrame, layer: Layer) -> None:
    """Write GeoParquet 1.1 with a covering box per row (plain Parquet for a table without geometry)."""
    fitted = conform(table, layer)
    with whole(path) as partial:
        if isinstance(fitted, gpd.GeoDataFrame):
            fitted.to_parquet(partial, index=False, schema_version="1.1.0", write_covering_bbox=True)
        else:
            fitted.to_parquet(partial, index=False)


def write_geojson(path: Path, table: pd.DataFrame, layer: Layer) -> None:
    """Write GeoJSON as RFC 7946 has it: EPSG:4326, right-handed rings, 8 decimals."""
    fitted = conform(table, layer)
    assert isinstance(fitted, gpd.GeoDataFrame)
    located = fitted.to_crs("EPSG:4326") if fitted.crs is not None else fitted
    with whole(path) as partial:
        partial.unlink()
        pyogrio.write_dataframe(
            located, partial, driver="GeoJSON", layer=layer.name, geometry_type=layer.geometry,
            RFC7946="YES", COORDINATE_PRECISION=8,
        )  # fmt: skip


def write_csv(path: Path, table: pd.DataFrame, layer: Layer) -> None:
    """Write UTF-8 CSV; a layer with geometry gets ``wkt`` (EPSG:4326) as its last column."""
    shown = as_shown(table, layer)
    if layer.geometry is not None:
        located = conform(table, layer)
        assert isinstance(located, gpd.GeoDataFrame)
        if located.crs is not None:
            located = located.to_crs("EPSG:4326")
        shown = shown.assign(wkt=shapely.to_wkt(located.geometry.to_numpy(), rounding_precision=8))
    write_text(path, shown.to_csv(index=False, lineterminator="\n"))


def write_shapefile(path: Path, table: pd.DataFrame, layer: Layer) -> dict[str, str]:
    """Write a Shapefile (EPSG:4326, UTF-8) with names of at most ten letters, and a CSV that says what they mean.

    Times become ISO-8601 text, true and false 1 and 0, and text is cut at 254 characters.

    Returns
    -------
    dict of str to str
        Short name by column.
    """
    fitted = conform(table, layer)
    assert isinstance(fitted, gpd.GeoDataFrame)
    names = short_names(layer.names)
    columns = {}
    for column in layer.columns:
        values = fitted[column.name]
        if column.kind == "time":
            values = values.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        elif column.kind == "bool":
            values = values.astype("Int64")
        elif column.kind == "text":
            values = values.map(_cut, na_action="ignore")
        columns[names[column.name]] = values
    short = gpd.GeoDataFrame(columns, geometry=fitted.geometry, crs=fitted.crs)
    short = short.to_crs("EPSG:4326") if short.crs is not None else short.set_crs("EPSG:4326")
    kind = {"MultiPolygon": "Polygon"}.get(str(layer.geometry), layer.geometry)
    with whole(path) as partial:
        partial.unlink()
        try:
            pyogrio.write_dataframe(
                short, partial, driver="ESRI Shapefile", geometry_type=kind, promote_to_multi=False, ENCODING="UTF-8"
            )
        except pyogrio.errors.DataSourceError as error:
            raise OutputError(f"{path} cannot be written: {error}.") from error
        for part in SHAPEFILE_PARTS[1:]:
            made = partial.with_suffix(part)
            if made.exists():
                made.replace(path.with_suffix(part))
    meanings = [f'{names[c.name]},{c.name},{c.unit or ""},"{c.description}"' for c in layer.columns]
    write_text(path.with_suffix(".fields.csv"), "\n".join(["short_name,column,unit,meaning", *meanings]) + "\n")
    return names


def _cut(text: str) -> str:
    encoded = text.encode("utf-8")
    if len(encoded) <= _DBF_TEXT:
        return text
    return encoded[: _DBF_TEXT - 3].decode("utf-8", errors="ignore") + "..."
