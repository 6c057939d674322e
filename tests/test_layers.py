"""Declared tables: a table that leaves a stage has exactly the declared columns, order and types, or is refused."""

from __future__ import annotations

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from survey.errors import LayerError
from survey.layers import AREA_DISTRICTS, OUTPUT_LAYERS, REVIEW_OUTLINES, REVIEWS, RUNS, conform

SQUARE = shapely.MultiPolygon([shapely.box(0, 0, 1, 1)])
REVIEW = {
    "object_id": "a",
    "verification": "confirmed",
    "class_code": "mine_at",
    "reviewed_at": "2026-04-02T10:00:00+04:00",
    "source": "survey.gpkg",
}
OUTLINE = {"object_id": "a", "class_code": "mine_at", "reviewed_at": "2026-04-02", "source": "survey.gpkg"}


def reviews(**changed):
    return pd.DataFrame([{**REVIEW, **changed}], index=[7])


def outlines(crs=4326):
    return gpd.GeoDataFrame([OUTLINE], geometry=[SQUARE], crs=crs)


def test_columns_come_out_in_their_order_with_their_types_and_the_same_index():
    shuffled = reviews(stranger=1)[["stranger", "source", *(name for name in REVIEW if name != "source")]]
    table = conform(shuffled, REVIEWS)
    assert table.columns.tolist() == REVIEWS.names
    assert table.index.tolist() == [7]
    assert table["reviewed_at"].iloc[0] == pd.Timestamp("2026-04-02T06:00:00Z")
    assert table[["reviewer_role", "reason"]].isna().all(axis=None)


@pytest.mark.parametrize("layer", OUTPUT_LAYERS, ids=lambda layer: layer.name)
def test_an_empty_layer_has_the_types_of_a_full_one(layer):
    empty = layer.empty(crs=4326)
    assert empty.columns.tolist() == layer.names + (["geometry"] if layer.geometry else [])
    kinds = {"text": "str", "float": "float64", "int": "Int64", "bool": "boolean", "time": "datetime64[ms, UTC]"}
    assert [str(empty[column.name].dtype) for column in layer.columns] == [kinds[one.kind] for one in layer.columns]
    if layer.geometry:
        assert empty.crs == 4326


@pytest.mark.parametrize("layer", OUTPUT_LAYERS, ids=lambda layer: layer.name)
def test_no_column_is_declared_twice_and_each_says_what_it_means(layer):
    assert len(set(layer.names)) == len(layer.names)
    assert layer.key is None or layer.key in layer.names
    assert all(column.description for column in layer.columns)
    units = {"_ha": "ha", "_m2": "m2", "_m": "m", "_deg": "deg", "_cm": "cm", "_per_ha": "1/ha"}
    for column in layer.columns:
        ending = max((one for one in units if column.name.endswith(one)), key=len, default=None)
        assert ending is None or column.unit == units[ending], column.name


def test_what_does_not_fit_is_refused_and_named():
    run = dict.fromkeys(RUNS.names, "x") | {"started_at": "2026-04-02", "finished_at": "2026-04-02"}
    run |= {"n_tiles": 1, "n_failed": 0}
    for table, layer, match in (
        (reviews().drop(columns="source"), REVIEWS, "column 'source' is missing; file the verdict came from"),
        (reviews(source=None), REVIEWS, "column 'source' holds a null in row 7"),
        (reviews(verification="sure"), REVIEWS, "holds 'sure'; it may be one of unverified, confirmed"),
        (reviews(reviewed_at="yesterday week"), REVIEWS, "must hold time"),
        (pd.DataFrame([run | {"n_tiles": "many"}]), RUNS, "column 'n_tiles' must hold int"),
        (pd.DataFrame([run, run]), RUNS, "run_id 'x' stands there twice"),
        (pd.DataFrame([OUTLINE]), REVIEW_OUTLINES, "needs a geometry"),
    ):
        with pytest.raises(LayerError, match=match):
            conform(table, layer)


def test_a_geometry_in_another_crs_is_refused_and_one_without_takes_what_is_expected():
    with pytest.raises(LayerError, match="reproject it first"):
        conform(outlines(32638), REVIEW_OUTLINES, crs="EPSG:4326")
    assert conform(outlines(None), REVIEW_OUTLINES, crs="EPSG:32638").crs == 32638
    assert conform(outlines(4326), REVIEW_OUTLINES).crs == 4326
    assert not isinstance(
        conform(outlines().assign(area_id="x", district_code="y", area_m2=1), AREA_DISTRICTS), gpd.GeoDataFrame
    )
