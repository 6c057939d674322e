"""Rows of text from a CSV or GeoPackage of records, and the CSV that rows make."""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from shapely.geometry.base import BaseGeometry

from survey.errors import LedgerError
from survey.layers import LEDGER
from survey.ledger.fields import Problem, Row
from survey.vectors import VECTOR_FAULTS

COLUMNS = (*LEDGER.names, "geometry")
"""Columns of a ledger's CSV, in order."""

_MOST_CELL = 1_000_000
"""Characters of one cell; a polygon of tens of thousands of vertices fits."""
_DECIMALS = 9
_NEEDED = ("kind", "source", "source_date")


def read_rows(path: Path) -> tuple[list[Row], list[Problem]]:
    """Return the rows of a file and what is wrong with its columns and cells.

    Parameters
    ----------
    path : Path
        CSV (UTF-8; commas or semicolons) with columns of :data:`survey.layers.LEDGER`, ground as WKT in EPSG:4326 in
        column ``geometry``; or a GeoPackage, its layer ``ledger`` or only layer, in any CRS.

    Raises
    ------
    LedgerError
        The file cannot be read, or its columns are not those of a ledger.
    """
    if path.suffix.lower() == ".gpkg":
        return _from_geopackage(path), []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LedgerError(f"{path} is not UTF-8 text (byte {error.start}). Save it as CSV UTF-8.") from error
    except OSError as error:
        raise LedgerError(f"{path} cannot be read ({error.strerror}). Name a CSV or GeoPackage of records.") from error
    return rows_of(text, str(path))


def rows_of(text: str, file: str) -> tuple[list[Row], list[Problem]]:
    """Return the rows of a CSV's text and what is wrong with its cells."""
    head = text.split("\n", 1)[0]
    limit = csv.field_size_limit(_MOST_CELL)
    try:
        lines = list(
            csv.reader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ",", strict=True)
        )
    except csv.Error as error:
        raise LedgerError(f"{file} is no CSV: {error}. Check its quotes and separators.") from error
    finally:
        csv.field_size_limit(limit)
    if not lines:
        raise LedgerError(f"{file} is empty. Its first row names the columns, such as {', '.join(COLUMNS[:5])}.")
    header = [name.strip().lower() for name in lines[0]]
    _check_columns(header, file)
    rows, problems = [], []
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(header):
            problems.append(Problem(number, "(row)", f"has {len(cells)} cells, the header {len(header)}"))
            continue
        values = {name: cell.strip() for name, cell in zip(header, cells, strict=False) if cell.strip()}
        shape = None
        if "geometry" in values:
            try:
                shape = _rounded(shapely.from_wkt(values.pop("geometry")))
            except shapely.errors.GEOSException as error:
                problems.append(Problem(number, "geometry", f"is no WKT: {error}"))
                continue
        rows.append(Row(number, values, shape, file))
    return rows, problems


def _check_columns(header: Sequence[str], file: str) -> None:
    for name in header:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, n=1, cutoff=0.0)[0]
            raise LedgerError(
                f"{file}: row 1, column {name!r} is no column of a ledger; did you mean {near!r}? "
                f"There are: {', '.join(COLUMNS)}."
            )
        if header.count(name) > 1:
            raise LedgerError(f"{file}: row 1, column {name!r} stands there twice. Keep one of them.")
    for name in _NEEDED:
        if name not in header:
            raise LedgerError(f"{file}: row 1 lacks the column {name!r}; every record needs it.")


def _from_geopackage(path: Path) -> list[Row]:
    try:
        layers = [str(name) for name, _ in pyogrio.list_layers(path)]
        layer = LEDGER.name if LEDGER.name in layers or len(layers) != 1 else layers[0]
        if layer not in layers:
            raise LedgerError(f"{path} has no layer {LEDGER.name!r}; it holds {', '.join(layers)}. Name it so.")
        table = gpd.read_file(path, layer=layer)
    except LedgerError:
        raise
    except VECTOR_FAULTS as error:
        raise LedgerError(f"{path} cannot be read as a GeoPackage: {error}. Name one with a layer 'ledger'.") from error
    shapes: Sequence[Any] = [None] * len(table)
    if isinstance(table, gpd.GeoDataFrame) and table.active_geometry_name is not None:
        if table.crs is None and table.geometry.notna().any():
            raise LedgerError(f"{path}: its layer has no CRS. Assign the one it was drawn in, for instance EPSG:4326.")
        located = table if table.crs is None else table.to_crs(4326)
        shapes = [None if one is None else _rounded(one) for one in located.geometry]
        table = pd.DataFrame(table.drop(columns=table.geometry.name))
    table = table.drop(columns=[name for name in table.columns if str(name).lower() in ("fid", "ogc_fid")])
    names = [str(name).lower() for name in table.columns]
    _check_columns(names, str(path))
    rows = []
    for number, (cells, shape) in enumerate(zip(table.itertuples(index=False), shapes, strict=True), start=2):
        values = {name: text for name, cell in zip(names, cells, strict=True) if (text := _text(cell))}
        rows.append(Row(number, values, shape, str(path)))
    return rows


def _rounded(shape: BaseGeometry) -> BaseGeometry:
    """Return a shape in two dimensions, to a tenth of a millimetre: as the ledger's file keeps it."""
    flat: BaseGeometry = shapely.transform(shapely.force_2d(shape), lambda coords: np.round(coords, _DECIMALS))
    return flat


def _text(value: Any) -> str:
    """Return a cell of a table as it would stand in a CSV."""
    if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124  # NaN
        return ""
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat() if value == value.normalize() else value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def identity(row: Row) -> str:
    """Return the record's own identity, or one made from its content: equal content, equal identity."""
    given = row.values.get("record_id")
    if given:
        return given
    content = [f"{name}={row.values[name]}" for name in sorted(row.values) if name != "recorded_at"]
    shape = b"" if row.geometry is None else shapely.to_wkb(row.geometry, byte_order=1)
    return "r" + hashlib.sha256("\n".join(content).encode("utf-8") + shape).hexdigest()[:11]


def csv_of(rows: Iterable[Row]) -> str:
    """Return rows as the CSV of a ledger: every column, commas, line feeds, ground as WKT.

    Rows that were read from such a CSV come out as the same text.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        shape = "" if row.geometry is None else shapely.to_wkt(row.geometry, rounding_precision=_DECIMALS, trim=True)
        writer.writerow([*(row.values.get(name, "") for name in LEDGER.names), re.sub(r"\s+", " ", shape)])
    return out.getvalue()


def table_of(rows: Sequence[Row]) -> gpd.GeoDataFrame:
    """Return rows as the layer :data:`survey.layers.LEDGER`, EPSG:4326."""
    frame = pd.DataFrame([dict(row.values) for row in rows], columns=LEDGER.names)
    shapes = gpd.GeoSeries([row.geometry for row in rows], crs="EPSG:4326")
    return gpd.GeoDataFrame(frame, geometry=shapes, crs="EPSG:4326")
