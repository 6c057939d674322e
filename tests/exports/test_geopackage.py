from __future__ import annotations

import resource
import signal
import sqlite3
from contextlib import closing

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely
from pandas.testing import assert_frame_equal

from survey.errors import LayerError, OutputError
from survey.exports.geopackage import read, read_chips, stamp_of, write
from survey.exports.reviews import harvest
from survey.layers import DENSITY_GRID, DISTRICTS, HAZARD_OBJECTS, OUTPUT_LAYERS, RUNS
from tests.exports.example_result import a_result


@pytest.fixture
def result():
    return a_result()


def query(path, sql):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def test_what_is_written_is_read_back(tmp_path, result):
    write(tmp_path / "survey.gpkg", result)
    for layer in OUTPUT_LAYERS:
        back = read(tmp_path / "survey.gpkg", layer)
        wanted = result.get(layer.name, layer.empty("EPSG:4326" if layer.geometry else None))
        assert_frame_equal(pd.DataFrame(back)[layer.names], pd.DataFrame(wanted)[layer.names])
        if layer.geometry is not None:
            assert shapely.equals_exact(back.geometry.to_numpy(), wanted.geometry.to_numpy()).all()
            assert back.crs == "EPSG:4326"


def test_every_layer_exists_with_its_types_even_when_empty(tmp_path):
    path = tmp_path / "survey.gpkg"
    write(path, {})
    kinds = {"text": "TEXT", "float": "REAL", "int": "INTEGER", "bool": "BOOLEAN", "time": "DATETIME"}
    geometry = dict(query(path, "SELECT table_name, geometry_type_name FROM gpkg_geometry_columns"))
    for layer in OUTPUT_LAYERS:
        columns = {name: kind for _, name, kind, *_ in query(path, f"PRAGMA table_info({layer.name})")}
        for column in layer.columns:
            assert columns[column.name] == kinds[column.kind], (layer.name, column.name)
        assert geometry.get(layer.name) == (layer.geometry.upper() if layer.geometry else None)
        assert len(read(path, layer)) == 0


def test_the_same_input_gives_the_same_bytes(tmp_path, result):
    chips = {"hazard_objects-1": b"one", "hazard_objects-0": b"two"}
    write(tmp_path / "a.gpkg", result, chips=chips)
    write(tmp_path / "b.gpkg", result, chips=dict(reversed(chips.items())))
    assert (tmp_path / "a.gpkg").read_bytes() == (tmp_path / "b.gpkg").read_bytes()


def test_version_index_titles_domains_and_chips(tmp_path, result):
    path = tmp_path / "survey.gpkg"
    write(path, result, chips={"hazard_objects-0": b"\x89PNG"})
    assert query(path, "PRAGMA user_version") == [(10300,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []
    indexed = {
        name
        for (name,) in query(path, "SELECT table_name FROM gpkg_extensions WHERE extension_name='gpkg_rtree_index'")
    }
    assert indexed == {layer.name for layer in OUTPUT_LAYERS if layer.geometry}
    titles = dict(query(path, "SELECT column_name, title FROM gpkg_data_columns WHERE table_name='districts'"))
    assert titles["analysed_ha"] == "Analysed [ha]"
    domain = query(
        path,
        "SELECT value FROM gpkg_data_column_constraints WHERE constraint_name='hazard_objects_verification'",
    )
    assert {value for (value,) in domain} == {"unverified", "confirmed", "rejected", "uncertain"}
    assert read_chips(path) == {"hazard_objects-0": b"\x89PNG"}
    listed = {name for name, _ in pyogrio.list_layers(path)}
    assert listed == {layer.name for layer in OUTPUT_LAYERS} | {"layer_styles", "object_chips"}


def test_every_layer_has_a_default_style_and_metadata(tmp_path, result):
    path = tmp_path / "survey.gpkg"
    write(path, result)
    styles = dict(query(path, "SELECT f_table_name, styleQML FROM layer_styles WHERE useAsDefault"))
    assert set(styles) == {layer.name for layer in OUTPUT_LAYERS}
    assert 'value="255,0,0,128"' in styles["hazard_areas"]
    assert 'value="244,167,24,128"' in styles["hazard_areas"]
    assert "LinePatternFill" in styles["coverage"]
    assert query(path, "SELECT count(*) FROM gpkg_metadata_reference") == [(len(OUTPUT_LAYERS),)]


def test_other_crs_are_reprojected_and_polygons_become_multipolygons(tmp_path, result):
    districts = result["districts"].to_crs("EPSG:32638")
    districts = districts.set_geometry(gpd.GeoSeries([m.geoms[0] for m in districts.geometry], crs="EPSG:32638"))
    write(tmp_path / "survey.gpkg", {"districts": districts})
    back = read(tmp_path / "survey.gpkg", DISTRICTS)
    assert shapely.equals_exact(back.geometry.to_numpy(), result["districts"].geometry.to_numpy(), tolerance=1e-9).all()
    write(tmp_path / "utm.gpkg", {"districts": result["districts"]}, crs="EPSG:32638")
    assert read(tmp_path / "utm.gpkg", DISTRICTS).crs == "EPSG:32638"
    assert read(tmp_path / "utm.gpkg", HAZARD_OBJECTS).crs == "EPSG:32638"


def test_tables_that_do_not_fit_are_refused_and_nothing_is_left(tmp_path, result):
    path = tmp_path / "survey.gpkg"
    multi = result["density_grid"].assign(geometry=[shapely.MultiPolygon([p]) for p in result["density_grid"].geometry])
    with pytest.raises(LayerError, match="takes Polygon"):
        write(path, {DENSITY_GRID.name: multi})
    with pytest.raises(LayerError, match="no layer 'distrikts'"):
        write(path, {"distrikts": result["districts"]})
    assert list(tmp_path.iterdir()) == []


def test_a_file_another_program_holds_is_left_alone(tmp_path, result):
    path = tmp_path / "survey.gpkg"
    write(path, result)
    before = path.read_bytes()
    with closing(sqlite3.connect(path)) as editor:
        editor.execute("PRAGMA journal_mode=WAL")
        editor.execute("UPDATE runs SET n_tiles=9")
        editor.commit()
        with pytest.raises(OutputError, match=r"open in another program.*in QGIS"):
            write(path, result)
    with closing(sqlite3.connect(path)) as editor:
        editor.execute("PRAGMA journal_mode=DELETE")
        editor.execute("BEGIN IMMEDIATE")
        with pytest.raises(OutputError, match="is writing to it"):
            write(path, result)
    assert {one.name for one in tmp_path.iterdir()} == {"survey.gpkg"}
    write(path, result)
    assert path.read_bytes() == before


def test_a_file_left_in_write_ahead_mode_is_no_file_in_use(tmp_path, result):
    path = tmp_path / "survey.gpkg"
    write(path, result)
    with closing(sqlite3.connect(path)) as editor:
        editor.execute("PRAGMA journal_mode=WAL")
    harvest(path)
    assert {one.name for one in tmp_path.iterdir()} == {"survey.gpkg"}
    write(path, result)


def test_an_edit_made_meanwhile_is_not_overwritten(tmp_path, result):
    path = tmp_path / "survey.gpkg"
    write(path, result)
    stamp = stamp_of(path)
    with closing(sqlite3.connect(path)) as editor:
        editor.execute("UPDATE runs SET n_tiles=9")
        editor.commit()
    with pytest.raises(OutputError, match="changed while"):
        write(path, result, stamp=stamp)
    assert query(path, "SELECT n_tiles FROM runs") == [(9,)]


def test_files_that_are_no_geopackage(tmp_path, result):
    path = tmp_path / "survey.gpkg"
    path.write_text("not a database, though it has the name of one" * 40)
    with pytest.raises(OutputError, match="no GeoPackage"):
        write(path, result)
    with pytest.raises(OutputError, match="cannot be read"):
        read(path, RUNS)
    with pytest.raises(OutputError, match="does not exist"):
        read(tmp_path / "none.gpkg", RUNS)


def test_a_full_disk_leaves_the_old_file(tmp_path, result):
    path = tmp_path / "survey.gpkg"
    write(path, result)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write(path, result)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert {one.name for one in tmp_path.iterdir()} == {"survey.gpkg"}
