"""``districts.csv`` and ``run.json``: the tables that need no map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from survey.exports.whole import write_text
from survey.layers import DISTRICTS, Layer, conform
from survey.provenance import plain

_DECIMALS = {"ha": 4, "m2": 0, "m": 3, "1/ha": 4, "0-1": 4, "d": 2, "cm": 3, "deg": 8}
"""Decimals by unit; hectares to the square metre."""


def write_districts(path: Path, districts: pd.DataFrame) -> None:
    """Write ``districts.csv``: UTF-8, one line a district, hectares to the square metre."""
    write_text(path, csv_text(districts, DISTRICTS))


def csv_text(table: pd.DataFrame, layer: Layer) -> str:
    """Return a declared layer as CSV, without its geometry."""
    return as_shown(table, layer).to_csv(index=False, lineterminator="\n")


def as_shown(table: pd.DataFrame, layer: Layer) -> pd.DataFrame:
    """Return a declared layer's columns as CSV shows them: rounded by unit, times in UTC.

    Text that a spreadsheet would take for a formula gets a ``'`` in front.
    """
    frame = conform(pd.DataFrame(table), replace(layer, geometry=None))
    shown: dict[str, pd.Series] = {}
    for column in layer.columns:
        values = frame[column.name]
        if column.kind == "text":
            values = values.map(disarmed, na_action="ignore")
        elif column.kind == "time":
            values = values.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        elif column.kind == "float":
            values = values.round(_DECIMALS.get(column.unit or "", 6))
        elif column.kind == "bool":
            values = values.astype("object").map({True: "true", False: "false"}, na_action="ignore")
        shown[column.name] = values
    return pd.DataFrame(shown, index=frame.index)


_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
"""What a formula begins with; some spreadsheets take the wide forms for the narrow ones (OWASP, CSV injection)."""


def disarmed(text: str) -> str:
    """Return text that no spreadsheet runs as a formula, and that ends no line of a CSV: its line ends are line feeds.

    Examples
    --------
    >>> disarmed("=HYPERLINK(A1)"), disarmed("Fuzuli")
    ("'=HYPERLINK(A1)", 'Fuzuli')
    """
    # A carriage return alone is not put in quotes when it is written, yet readers begin a line at it.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "'" + text if text.startswith(_FORMULA) else text


def write_run(path: Path, record: Mapping[str, Any]) -> None:
    """Write ``run.json``, as :func:`survey.provenance.run_record` makes it."""
    write_text(path, json.dumps(plain(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
