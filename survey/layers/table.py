"""What a declared table is, and how a table is made to fit it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import geopandas as gpd
import pandas as pd

from survey.errors import LayerError

Kind = Literal["text", "float", "int", "bool", "time"]

_DTYPES: dict[Kind, Any] = {
    "text": "str",
    "float": "float64",
    "int": "Int64",
    "bool": "boolean",
    "time": "datetime64[ms, UTC]",
}

ANY_GEOMETRY = "Geometry"
"""Geometry type of a layer whose rows may have any, or none."""


@dataclass(frozen=True)
class Column:
    """One column: its name, kind, meaning, unit, closed domain, and whether null is allowed."""

    name: str
    kind: Kind
    description: str
    unit: str | None = None
    domain: tuple[str, ...] | None = None
    nullable: bool = False


@dataclass(frozen=True)
class Layer:
    """A declared table. ``geometry`` is an OGC type name, or None for a plain table."""

    name: str
    title: str
    geometry: str | None
    columns: tuple[Column, ...]
    key: str | None = None

    @property
    def names(self) -> list[str]:
        """Column names in order, without the geometry."""
        return [column.name for column in self.columns]

    def empty(self, crs: Any = None) -> pd.DataFrame:
        """Return the layer with no rows and all its types."""
        return conform(pd.DataFrame(), self, crs=crs)


def conform(table: pd.DataFrame, layer: Layer, *, crs: Any = None) -> pd.DataFrame:
    """Return ``table`` with exactly the columns, order and types of ``layer``.

    Columns that are absent and nullable are added as nulls; columns the layer does not know are dropped.

    Parameters
    ----------
    table : DataFrame or GeoDataFrame
        Any index; it is kept.
    layer : Layer
    crs : optional
        CRS the geometry must have; where the table has none (an empty table), the CRS it gets.

    Returns
    -------
    GeoDataFrame where the layer has a geometry, else DataFrame.

    Raises
    ------
    LayerError
        A column that may not be null is absent or holds nulls, a value is outside its domain, the
        key repeats, or the CRS differs.
    """
    columns: dict[str, pd.Series] = {}
    for column in layer.columns:
        columns[column.name] = _cast(table, column, layer)
    frame = pd.DataFrame(columns, index=table.index)
    if layer.key is not None and frame[layer.key].duplicated().any():
        twice = frame.loc[frame[layer.key].duplicated(), layer.key].iloc[0]
        raise LayerError(f"Layer {layer.name!r}: {layer.key} {twice!r} stands there twice; a key names one row.")
    if layer.geometry is None:
        return frame
    return _with_geometry(frame, table, layer, crs)


def _cast(table: pd.DataFrame, column: Column, layer: Layer) -> pd.Series:
    where = f"Layer {layer.name!r}, column {column.name!r}"
    dtype = _DTYPES[column.kind]
    if column.name not in table.columns:
        if not column.nullable and len(table):
            raise LayerError(f"{where} is missing; {column.description}.")
        return pd.Series([None] * len(table), index=table.index).astype(dtype)
    values = table[column.name]
    try:
        moments = pd.to_datetime(values, utc=True) if column.kind == "time" else values
        values = moments.astype(dtype)
    except (TypeError, ValueError) as error:
        raise LayerError(f"{where} must hold {column.kind}: {error}.") from error
    if not column.nullable and values.isna().any():
        raise LayerError(f"{where} holds a null in row {values.index[values.isna()][0]}; {column.description}.")
    if column.domain is not None:
        strange = values.dropna()
        strange = strange[~strange.isin(column.domain)]
        if len(strange):
            raise LayerError(f"{where} holds {strange.iloc[0]!r}; it may be one of {', '.join(column.domain)}.")
    return values


def _with_geometry(frame: pd.DataFrame, table: pd.DataFrame, layer: Layer, crs: Any) -> gpd.GeoDataFrame:
    if "geometry" in table.columns:
        geometry = gpd.GeoSeries(table["geometry"], index=table.index)
        if isinstance(table, gpd.GeoDataFrame) and geometry.crs is None and table.crs is not None:
            geometry = geometry.set_crs(table.crs)
    elif len(table):
        raise LayerError(f"Layer {layer.name!r} needs a geometry ({layer.geometry}).")
    else:
        geometry = gpd.GeoSeries([], index=table.index, crs=crs)
    if crs is not None:
        if geometry.crs is None:
            geometry = geometry.set_crs(crs)
        elif geometry.crs != crs:
            raise LayerError(f"Layer {layer.name!r} is in {geometry.crs}, where {crs} is expected; reproject it first.")
    return gpd.GeoDataFrame(frame, geometry=geometry, crs=geometry.crs)
