"""A result as tables of a PostGIS database, typed as the layers declare; in one transaction, again as often as wanted.

The database is a copy to read and join with. Verdicts are made in ``survey.gpkg``, which later runs read; what is
changed in the database is replaced by the next export.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pyproj import CRS

from survey.errors import OutputError
from survey.layers import ANY_GEOMETRY, Column, Kind, Layer, conform

_TYPES: dict[Kind, str] = {
    "text": "text",
    "float": "double precision",
    "int": "bigint",
    "bool": "boolean",
    "time": "timestamp(3) with time zone",
}
_OURS = "Written by survey export"
"""How the comment of a table begins that an export may replace; a table without it belongs to somebody else."""


def write_postgis(connection: Any, tables: Mapping[Layer, pd.DataFrame], *, schema: str = "survey") -> dict[str, int]:
    """Write layers into a schema, replacing what an earlier export wrote there; all of it or nothing.

    Tables that are there keep their grants and the views on them. Multipolygons stay in their CRS where it has an EPSG
    code, else they go to EPSG:4326.

    Parameters
    ----------
    connection : psycopg.Connection
        Open; the caller commits.
    tables : mapping of Layer to DataFrame
    schema : str
        Made where it is missing.

    Returns
    -------
    dict of str to int
        Rows by table.

    Raises
    ------
    OutputError
        The database has no PostGIS, or holds a table of that name that no export wrote or that has other columns.
    LayerError
        A table does not fit its layer.
    """
    with connection.cursor() as cursor:
        # Two exports at once would stand in each other's way.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"survey export {schema}"])
        if cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'postgis'").fetchone() is None:
            raise OutputError(
                "The database has no PostGIS. Let its administrator run CREATE EXTENSION postgis, then export again."
            )
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(schema)}")
        return {layer.name: _write(cursor, table, layer, schema) for layer, table in tables.items()}


def _write(cursor: Any, table: pd.DataFrame, layer: Layer, schema: str) -> int:
    fitted = conform(table, layer)
    srid = 0
    if isinstance(fitted, gpd.GeoDataFrame):
        fitted, srid = _with_code(fitted)
    place = f"{_quoted(schema)}.{_quoted(layer.name)}"
    wanted = _columns(layer, srid)
    known = _known(cursor, schema, layer.name)
    if known is None:
        defined = [f"{_quoted(name)} {kind}" for name, kind in wanted.items()]
        cursor.execute(f"CREATE TABLE {place} ({', '.join(defined)})")
        _equip(cursor, layer, place)
    else:
        comment, columns = known
        if not comment.startswith(_OURS):
            raise OutputError(
                f"The database holds a table {schema}.{layer.name} that no export wrote; nothing was changed. Rename "
                "it, or name another schema with --schema."
            )
        if columns != [(name, kind.removesuffix(" NOT NULL").removesuffix(" PRIMARY KEY")) for name, kind
                       in wanted.items()]:  # fmt: skip
            raise OutputError(
                f"The table {schema}.{layer.name} has other columns or another CRS than this result; nothing was "
                "changed. Name another schema with --schema, or drop that table."
            )
        cursor.execute(f"DELETE FROM {place}")
    with cursor.copy(f"COPY {place} ({', '.join(map(_quoted, wanted))}) FROM STDIN") as copy:
        for row in _rows(fitted, layer, srid):
            copy.write_row(row)
    return len(fitted)


def _with_code(table: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, int]:
    """Return the table in a CRS that has an EPSG code, and the code."""
    if table.crs is None:
        return table.set_crs("EPSG:4326"), 4326
    code = CRS.from_user_input(table.crs).to_epsg()
    return (table, code) if code else (table.to_crs("EPSG:4326"), 4326)


def _columns(layer: Layer, srid: int) -> dict[str, str]:
    columns = {column.name: _definition(column, layer) for column in layer.columns}
    if layer.geometry is not None:
        kind = "Geometry" if layer.geometry == ANY_GEOMETRY else layer.geometry
        columns["geom"] = f"geometry({kind},{srid})"
    return columns


def _definition(column: Column, layer: Layer) -> str:
    if column.name == layer.key:
        return f"{_TYPES[column.kind]} PRIMARY KEY"
    return _TYPES[column.kind] + ("" if column.nullable else " NOT NULL")


def _known(cursor: Any, schema: str, name: str) -> tuple[str, list[tuple[str, str]]] | None:
    """Comment and columns of a table; None where there is none."""
    found = cursor.execute(
        "SELECT c.oid, coalesce(obj_description(c.oid, 'pg_class'), '') FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
        [schema, name],
    ).fetchone()
    if found is None:
        return None
    columns = cursor.execute(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [found[0]],
    ).fetchall()
    return found[1], columns


def _equip(cursor: Any, layer: Layer, place: str) -> None:
    """Add what a reader needs: spatial index, and what table and columns mean."""
    if layer.geometry is not None:
        cursor.execute(f"CREATE INDEX ON {place} USING gist (geom)")
    notes = {f"TABLE {place}": f"{_OURS}, which replaces its rows. {layer.title}"}
    for column in layer.columns:
        unit = f" [{column.unit}]" if column.unit else ""
        notes[f"COLUMN {place}.{_quoted(column.name)}"] = column.description + unit
    for what, text in notes.items():
        cursor.execute(f"COMMENT ON {what} IS {_literal(text)}")


def _rows(table: pd.DataFrame, layer: Layer, srid: int) -> Iterator[Sequence[Any]]:
    columns: list[Sequence[Any]] = []
    for column in layer.columns:
        values = table[column.name].astype(object)
        columns.append(values.where(values.notna(), None).tolist())
    if isinstance(table, gpd.GeoDataFrame):
        outlines = table.geometry.to_numpy()
        if layer.geometry == "MultiPolygon":
            outlines = np.array(
                [shapely.MultiPolygon([one]) if one is not None and one.geom_type == "Polygon" else one
                 for one in outlines], dtype=object,
            )  # fmt: skip
        columns.append(shapely.to_wkb(shapely.set_srid(outlines, srid), hex=True, include_srid=True).tolist())
    return zip(*columns, strict=True)


def _quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
