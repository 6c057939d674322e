"""Compare the results of two runs."""

from __future__ import annotations

import pandas as pd
from geopandas.testing import assert_geodataframe_equal

from survey.exports.geopackage import read
from survey.layers import OUTPUT_LAYERS, RUNS


def layers_of(folder):
    return {layer.name: read(folder / "survey.gpkg", layer) for layer in OUTPUT_LAYERS if layer is not RUNS}


def assert_same(first, second):
    """Every layer of two output folders is equal, but for the times of the runs."""
    ours, theirs = layers_of(first), layers_of(second)
    for name, table in ours.items():
        if "geometry" in table.columns:
            assert_geodataframe_equal(table, theirs[name])
        else:
            pd.testing.assert_frame_equal(table, theirs[name])


def leftovers(folder):
    """Files that no one asked for."""
    wanted = {"survey.gpkg", "survey.qgs", "districts.csv", "report.html", "run.json", "journal.sqlite"}
    return sorted(path.name for path in folder.iterdir() if path.name not in wanted)
