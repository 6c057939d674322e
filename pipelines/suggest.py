"""The review queue: objects of a result whose verdict would teach a model most."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import typer

from survey.exports.geopackage import read
from survey.layers import CANDIDATES, HAZARD_OBJECTS


def suggestions(path: Path, count: int) -> gpd.GeoDataFrame:
    """Unverified objects, those first about which the model is least sure, spread over images and classes.

    Parameters
    ----------
    path : Path
        ``survey.gpkg`` of a run.
    count : int

    Returns
    -------
    GeoDataFrame
        Layer ``HAZARD_OBJECTS``, at most ``count`` rows, the most telling first.
    """
    tables = [read(path, layer) for layer in (HAZARD_OBJECTS, CANDIDATES)]
    table = gpd.GeoDataFrame(pd.concat([one for one in tables if len(one)] or tables[:1], ignore_index=True))
    table = table[table["verification"] == "unverified"].copy()
    table["_doubt"] = np.abs(table["probability"] - 0.5).round(6)
    table = table.sort_values(["_doubt", "object_id"], kind="stable")
    # The second doubtful object of a class in an image teaches less than the first of another.
    table["_turn"] = table.groupby(["image", "class_code"]).cumcount()
    table = table.sort_values(["_turn", "_doubt", "object_id"], kind="stable")
    return table.drop(columns=["_doubt", "_turn"]).head(count).reset_index(drop=True)


def show_suggestions(path: Path, count: int) -> None:
    """Print the review queue."""
    queue = suggestions(path, count)
    if not len(queue):
        typer.echo("Every object has a verdict.")
    for one in queue.itertuples():
        typer.echo(
            f"{one.object_id}  {one.class_code}  p={one.probability:.2f}  {one.lat:.7f}, {one.lon:.7f}  {one.image}"
        )
