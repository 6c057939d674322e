from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely
from shapely.affinity import translate

from survey.errors import LayerError, OutputError
from survey.exports.geopackage import read, write
from survey.exports.reviews import harvest
from survey.layers import HAZARD_OBJECTS
from tests.exports.example_result import a_result


@pytest.fixture
def result():
    return a_result()


@pytest.fixture
def path(tmp_path, result):
    path = tmp_path / "survey.gpkg"
    write(path, result)
    return path


def edit(path, change):
    """Change the layer of objects as another program would: read it, change it, write it back in place."""
    table = pyogrio.read_dataframe(path, layer="hazard_objects", fid_as_index=True)
    table = change(table)
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='trigger'")]
        for name in names:
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("DELETE FROM hazard_objects")
        database.commit()
    pyogrio.write_dataframe(table, path, layer="hazard_objects", driver="GPKG", append=True)


def sql(path, statement, *values):
    with closing(sqlite3.connect(path)) as database:
        # The triggers of the spatial index name functions that GDAL and QGIS bring; without a move none is called.
        for name in ("ST_IsEmpty", "ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY"):
            database.create_function(name, 1, lambda _: 0)
        database.execute(statement, values)
        database.commit()


def test_an_untouched_file_holds_no_verdict(path):
    found = harvest(path)
    assert found.reviews.empty
    assert found.outlines.empty
    assert found.stamp is not None


def test_a_changed_verdict_and_class_are_read_once(path):
    sql(
        path,
        "UPDATE hazard_objects SET verification='confirmed', notes='seen twice' WHERE object_id='hazard_objects-1'",
    )
    sql(path, "UPDATE hazard_objects SET class_code='shell' WHERE object_id='hazard_objects-2'")
    found = harvest(path)
    verdicts = found.verdicts
    assert verdicts.loc["hazard_objects-1", ["verification", "class_code"]].tolist() == ["confirmed", "mine_ap"]
    assert verdicts.loc["hazard_objects-1", "reason"] == "verdict changed: seen twice"
    assert verdicts.loc["hazard_objects-2", ["verification", "class_code"]].tolist() == ["unverified", "shell"]
    assert len(verdicts) == 2
    again = harvest(path, found)
    assert again.reviews.equals(found.reviews)


def test_a_moved_outline_a_drawn_object_and_a_deleted_one(path):
    def change(table):
        table.loc[table["object_id"] == "hazard_objects-0", "geometry"] = table.geometry.map(
            lambda outline: translate(outline, 1e-5, 0)
        )
        table = table[table["object_id"] != "hazard_objects-3"]
        drawn = table.iloc[:1].copy()
        drawn[["object_id", "verification", "class_code"]] = [None, None, "mine_ap"]
        drawn["geometry"] = [shapely.MultiPolygon([shapely.box(47.2, 39.7, 47.20001, 39.70001)])]
        return pd.concat([table, drawn], ignore_index=True)

    edit(path, change)
    found = harvest(path)
    verdicts = found.verdicts
    assert verdicts.loc["hazard_objects-0", "reason"] == "outline changed"
    assert verdicts.loc["hazard_objects-0", "verification"] == "confirmed"
    assert verdicts.loc["hazard_objects-3", ["verification", "reason"]].tolist() == [
        "rejected",
        "deleted by the reviewer",
    ]
    (drawn,) = (one for one in verdicts.index if one.startswith("drawn-"))
    assert verdicts.loc[drawn, ["verification", "class_code"]].tolist() == ["confirmed", "mine_ap"]
    outlines = found.outlines.set_index("object_id")
    assert set(outlines.index) == {"hazard_objects-0", drawn}
    assert outlines.loc[drawn, "geometry"].bounds == pytest.approx((47.2, 39.7, 47.20001, 39.70001))
    again = harvest(path, found)
    assert again.reviews.equals(found.reviews)
    assert len(again.outlines) == 2


def test_a_copied_object_is_a_new_one_and_the_original_keeps_its_name(path):
    def change(table):
        copy = table.iloc[:1].copy()
        copy["geometry"] = [translate(copy.geometry.iloc[0], 1e-4, 0)]
        return pd.concat([table, copy], ignore_index=True)

    edit(path, change)
    verdicts = harvest(path).verdicts
    assert len(verdicts) == 1
    assert verdicts.index[0].startswith("drawn-")


def test_a_confirmed_candidate_is_a_verdict_too(path):
    sql(path, "UPDATE candidates SET verification='confirmed'")
    assert harvest(path).verdicts.loc["candidates-0", "verification"] == "confirmed"


def test_verdicts_outlive_every_rewriting(path, result):
    sql(path, "UPDATE hazard_objects SET verification='confirmed' WHERE object_id='hazard_objects-1'")
    first = harvest(path)
    objects = result["hazard_objects"].copy()
    objects.loc[objects["object_id"] == "hazard_objects-1", "verification"] = "confirmed"
    write(path, result | {"hazard_objects": objects, "reviews": first.reviews}, stamp=first.stamp)
    assert harvest(path).reviews.equals(first.reviews)
    sql(path, "UPDATE hazard_objects SET verification='rejected' WHERE object_id='hazard_objects-1'")
    second = harvest(path)
    assert second.reviews["verification"].tolist() == ["confirmed", "rejected"]
    assert second.verdicts.loc["hazard_objects-1", "verification"] == "rejected"


def test_the_time_and_role_of_the_form_are_kept(path):
    sql(
        path,
        "UPDATE hazard_objects SET verification='confirmed', reviewer_role='analyst', "
        "reviewed_at='2026-05-01T10:00:00Z' WHERE object_id='hazard_objects-1'",
    )
    row = harvest(path).verdicts.loc["hazard_objects-1"]
    assert (row["reviewer_role"], row["reviewed_at"]) == ("analyst", pd.Timestamp("2026-05-01T10:00:00Z"))


def test_a_later_verdict_is_later_whatever_the_clock_says(path):
    sql(
        path,
        "UPDATE hazard_objects SET verification='confirmed', reviewed_at='2026-05-01T10:00:00Z' "
        "WHERE object_id='hazard_objects-1'",
    )
    first = harvest(path)
    sql(path, "UPDATE hazard_objects SET verification='rejected' WHERE object_id='hazard_objects-1'")
    os.utime(path, (0, 0))
    assert harvest(path, first).verdicts.loc["hazard_objects-1", "verification"] == "rejected"


def test_a_file_saved_by_another_program_keeps_its_verdicts(tmp_path, path):
    table = read(path, HAZARD_OBJECTS)
    other = tmp_path / "other.gpkg"
    table.to_crs("EPSG:32638").to_file(other, layer="hazard_objects")
    assert harvest(other).verdicts["verification"].to_dict() == {
        "hazard_objects-0": "confirmed",
        "hazard_objects-4": "rejected",
        "hazard_objects-5": "uncertain",
    }


def test_a_verdict_that_means_nothing_is_refused_not_lost(path):
    sql(path, "UPDATE hazard_objects SET verification='yes' WHERE object_id='hazard_objects-1'")
    with pytest.raises(LayerError, match=r"'yes'.*confirmed"):
        harvest(path)


def test_files_without_objects(tmp_path):
    assert harvest(tmp_path / "none.gpkg").reviews.empty
    gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(0, 0)], crs="EPSG:4326").to_file(
        tmp_path / "x.gpkg", layer="x"
    )
    with pytest.raises(LayerError, match="no layer 'hazard_objects'"):
        harvest(tmp_path / "x.gpkg")
    (tmp_path / "x.gpkg-wal").touch()
    with pytest.raises(OutputError, match="open in another program"):
        harvest(tmp_path / "x.gpkg")


def test_damage_that_is_no_text_is_refused_in_words(path):
    """SQLite quotes what is damaged in its message, whatever bytes that is made of."""
    content = path.read_bytes()
    assert b"CREATE TABLE gpkg_contents" in content
    path.write_bytes(content.replace(b"CREATE TABLE gpkg_contents", b"CREATE T\x80BLE gpkg_contents"))
    with pytest.raises(OutputError, match="damaged"):
        harvest(path)
