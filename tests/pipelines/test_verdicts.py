from __future__ import annotations

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from pipelines.verdicts import with_verdicts
from survey.exports.geopackage import write
from survey.exports.reviews import Harvest
from survey.layers import CANDIDATES, HAZARD_OBJECTS, REVIEW_OUTLINES, REVIEWS, conform


def square(lon, lat, side=3e-6):
    return shapely.MultiPolygon([shapely.box(lon - side / 2, lat - side / 2, lon + side / 2, lat + side / 2)])


def table(layer, *ids):
    rows = [
        {
            "object_id": name, "class_code": "mine_at", "family": "AT", "probability": 0.6,
            "evidence_class": "indication", "verification": "unverified", "lon": 47.0, "lat": 39.5, "length_m": 0.3,
            "width_m": 0.3, "area_m2": 0.07, "gsd_cm": 2.0, "position_error_m": 1.0, "image": "a.tif",
            "model_version": "m", "run_id": "r", "geometry": square(47.0, 39.5),
        }
        for name in ids
    ]  # fmt: skip
    if not rows:
        return layer.empty("EPSG:4326")
    return conform(gpd.GeoDataFrame(rows, geometry="geometry", crs="EPSG:4326"), layer)


def harvest(verdicts, outlines=None, code="mine_at"):
    at = pd.Timestamp("2026-05-01", tz="UTC")
    reviews = pd.DataFrame(
        [
            {"object_id": name, "verification": said, "class_code": code, "reviewed_at": at, "source": "survey.gpkg"}
            for name, said in verdicts.items()
        ]
    )
    drawn = gpd.GeoDataFrame(
        [
            {"object_id": name, "class_code": code, "reviewed_at": at, "source": "survey.gpkg", "geometry": shape}
            for name, shape in (outlines or {}).items()
        ],
        columns=[*REVIEW_OUTLINES.names, "geometry"], geometry="geometry", crs="EPSG:4326",
    )  # fmt: skip
    return Harvest(conform(reviews, REVIEWS), conform(drawn, REVIEW_OUTLINES, crs="EPSG:4326"))


def test_without_verdicts_nothing_changes(tmp_path):
    objects, candidates = table(HAZARD_OBJECTS, "a"), table(CANDIDATES, "b")
    empty = Harvest(REVIEWS.empty(), REVIEW_OUTLINES.empty("EPSG:4326"))
    same = with_verdicts(objects, candidates, empty, tmp_path / "none.gpkg")
    assert same[0] is objects
    assert same[1] is candidates


def test_verdicts_move_objects_between_the_layers(tmp_path):
    verdicts = {"a": "rejected", "b": "confirmed", "c": "rejected", "d": "uncertain"}
    objects, candidates = with_verdicts(
        table(HAZARD_OBJECTS, "a", "z"),
        table(CANDIDATES, "b", "c", "d", "y"),
        harvest(verdicts),
        tmp_path / "none.gpkg",
    )
    said = dict(zip(objects["object_id"], objects["verification"], strict=True))
    assert said == {"a": "rejected", "b": "confirmed", "d": "uncertain", "z": "unverified"}
    assert set(candidates["object_id"]) == {"c", "y"}


def test_a_new_class_brings_its_family(tmp_path):
    said = harvest({"a": "confirmed"}, code="rocket")
    objects, _ = with_verdicts(table(HAZARD_OBJECTS, "a"), table(CANDIDATES), said, tmp_path / "none.gpkg")
    assert objects[["class_code", "family"]].iloc[0].tolist() == ["rocket", "UXO"]


def test_a_confirmed_object_that_is_not_detected_any_more_stays(tmp_path):
    path = tmp_path / "survey.gpkg"
    write(path, {"hazard_objects": table(HAZARD_OBJECTS, "a", "b", "c")})
    verdicts = {"a": "confirmed", "b": "rejected"}
    objects, _ = with_verdicts(table(HAZARD_OBJECTS, "z"), table(CANDIDATES), harvest(verdicts), path)
    assert set(objects["object_id"]) == {"a", "z"}


def test_an_outline_that_was_moved_is_measured_again(tmp_path):
    moved = square(47.001, 39.501, 1e-5)
    objects, _ = with_verdicts(
        table(HAZARD_OBJECTS, "a"), table(CANDIDATES), harvest({"a": "confirmed"}, {"a": moved}), tmp_path / "none.gpkg"
    )
    row = objects.iloc[0]
    assert row.geometry.equals(moved)
    assert (row["lon"], row["lat"]) == pytest.approx((47.001, 39.501))
    assert row["length_m"] == pytest.approx(1.11, abs=0.02)
    assert row["area_m2"] == pytest.approx(1.11 * 0.86, abs=0.03)


@pytest.mark.parametrize("detected", [True, False])
def test_an_object_that_a_reviewer_drew_is_on_the_map(tmp_path, detected):
    found = table(HAZARD_OBJECTS, *(["z"] if detected else []))
    said = harvest({"drawn-1": "confirmed"}, {"drawn-1": square(47.01, 39.51)})
    objects, _ = with_verdicts(found, table(CANDIDATES), said, tmp_path / "none.gpkg")
    row = objects.set_index("object_id").loc["drawn-1"]
    assert row["verification"] == "confirmed"
    assert row["family"] == "AT"
    assert row["lon"] == pytest.approx(47.01)
