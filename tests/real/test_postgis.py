"""``survey export --to postgresql://…`` into a real PostgreSQL with PostGIS, started here on a private socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely
from pandas.testing import assert_frame_equal

from pipelines.database import export_to_database
from survey.errors import OutputError
from survey.exports import geopackage
from survey.exports.imsma import IMSMA_LAYERS
from survey.exports.tables import write_run
from survey.layers import OUTPUT_LAYERS, conform
from survey.provenance import run_record
from tests.exports.example_result import a_result

SECRET = "s3cr%20t-word"
PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
EXTENSION = max(Path("/usr/share/postgresql").glob("*/extension/postgis.control"), default=None)

psycopg = pytest.importorskip("psycopg", reason="needs psycopg: pip install '.[postgis]'")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        PROGRAMS is None or EXTENSION is None,
        reason="needs PostgreSQL with PostGIS: apt-get install postgresql postgresql-postgis",
    ),
]


@pytest.fixture(scope="module")
def server():
    """A server of our own: no network, its socket in a short path, its files thrown away."""
    # A server does not run as root; the system's own user for it is there where the packages are.
    root = os.geteuid() == 0
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))

    def run(program, *arguments):
        command = [str(one) for one in (PROGRAMS / program, *arguments)]
        who = {"user": "postgres", "group": "postgres", "extra_groups": []} if root else {}
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=120, **who)

    if root:
        shutil.chown(folder, "postgres")
    data = folder / "data"
    (folder / "password").write_text("s3cr t-word\n")
    (folder / "password").chmod(0o644)
    run("initdb", "-D", data, "-U", "keeper", "-A", "scram-sha-256", "--pwfile", folder / "password", "-E", "UTF8")
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    run("pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    try:
        address = f"postgresql://keeper:{SECRET}@/postgres?host={folder}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("CREATE DATABASE survey")
            connection.execute("CREATE DATABASE bare")
        with psycopg.connect(address.replace("/postgres?", "/survey?"), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION postgis")
        yield folder
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def address(server):
    return f"postgresql://keeper:{SECRET}@/survey?host={server}"


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    when = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
    geopackage.write(folder / "survey.gpkg", a_result())
    write_run(folder / "run.json", run_record({"run_id": "abc"}, (when, when), {}, [], name="job"))
    return folder


def read_back(connection, layer, schema):
    names = [*layer.names, *(["ST_AsEWKB(geom)"] if layer.geometry else [])]
    rows = connection.execute(f'SELECT {", ".join(names)} FROM "{schema}"."{layer.name}"').fetchall()
    table = pd.DataFrame(rows, columns=[*layer.names, *(["geometry"] if layer.geometry else [])])
    if layer.geometry is None:
        return conform(table, layer)
    outlines = shapely.from_wkb(table.pop("geometry").to_numpy())
    assert set(shapely.get_srid(outlines)) <= {4326}
    return conform(gpd.GeoDataFrame(table, geometry=outlines, crs="EPSG:4326"), layer)


def test_twice_gives_the_same_tables_with_rows_types_nulls_and_geometry(output, address):
    first = export_to_database(output, "restricted", address, "survey")
    with psycopg.connect(address) as connection:
        connection.execute("CREATE VIEW public.mine AS SELECT object_id FROM survey.hazard_objects")
    assert export_to_database(output, "restricted", address, "survey") == first
    with psycopg.connect(address) as connection:
        for layer in OUTPUT_LAYERS:
            wanted = geopackage.read(output / "survey.gpkg", layer)
            found = read_back(connection, layer, "survey")
            key = layer.key or layer.names[0]
            found, wanted = (one.sort_values(key, ignore_index=True) for one in (found, wanted))
            assert_frame_equal(pd.DataFrame(found)[layer.names], pd.DataFrame(wanted)[layer.names])
            if layer.geometry:
                assert shapely.equals_exact(found.geometry.to_numpy(), wanted.geometry.to_numpy()).all(), layer.name
        assert len(connection.execute("SELECT * FROM public.mine").fetchall()) == 6, "views on the tables live on"
        kinds = dict(connection.execute(
            "SELECT f_table_name, type || ' ' || srid FROM geometry_columns WHERE f_table_schema = 'survey'"
        ).fetchall())  # fmt: skip
        assert kinds["hazard_areas"] == "MULTIPOLYGON 4326"
        area = "SELECT ST_Area(geom::geography) / 10000 FROM survey.districts LIMIT 1"
        assert connection.execute(area).fetchone()[0] == pytest.approx(15, rel=0.1)
        said = connection.execute("SELECT col_description('survey.hazard_areas'::regclass, 6)").fetchone()
        assert said == ("area on the ground [ha]",)


def test_imsma_goes_into_a_schema_of_its_own(output, address):
    rows = export_to_database(output, "imsma", address, 'im"sma')
    assert set(rows) == {layer.name for layer in IMSMA_LAYERS}
    assert rows["hazard_poly"] == 3


def test_a_table_of_somebody_else_is_left_alone_and_nothing_half_written(output, address):
    with psycopg.connect(address) as connection:
        connection.execute("CREATE SCHEMA theirs")
        connection.execute("CREATE TABLE theirs.reviews (precious text)")
        connection.execute("INSERT INTO theirs.reviews VALUES ('kept')")
    with pytest.raises(OutputError, match=r"theirs\.reviews that no export wrote"):
        export_to_database(output, "restricted", address, "theirs")
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT precious FROM theirs.reviews").fetchall() == [("kept",)]
        there = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'theirs'").fetchall()
        assert there == [("reviews",)]


def test_other_columns_are_refused(output, address):
    export_to_database(output, "restricted", address, "older")
    with psycopg.connect(address) as connection:
        connection.execute("ALTER TABLE older.districts DROP COLUMN low_ha")
    with pytest.raises(OutputError, match=r"older\.districts has other columns"):
        export_to_database(output, "restricted", address, "older")


def test_no_message_and_no_file_holds_the_password(output, address, server, tmp_path):
    def survey(to, **more):
        command = [sys.executable, "-m", "pipelines.cli", "export", str(output), "--to", to, "-vv"]
        there = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])} | more
        return subprocess.run(command, env=there, capture_output=True, text=True, cwd=tmp_path, timeout=120)

    good = survey(address)
    assert good.returncode == 0, good.stderr
    assert "survey.hazard_objects: 6 rows" in good.stdout
    from_environment = survey(address.replace(f":{SECRET}", ""), PGPASSWORD="s3cr t-word")
    assert from_environment.returncode == 0, from_environment.stderr
    wrong = survey(address.replace("/survey?", "/nowhere?"))
    bare = survey(address.replace("/survey?", "/bare?"))
    odd = survey(f"postgresql://keeper:half@{SECRET}@/survey?host={server}")
    other = survey(f"mysql://keeper:{SECRET}@host/survey")
    assert "has no PostGIS" in bare.stderr
    assert 'database "nowhere" does not exist' in wrong.stderr
    assert [one.returncode for one in (wrong, bare, odd, other)] == [1, 1, 2, 2]
    for one in (good, from_environment, wrong, bare, odd, other):
        for spelling in (SECRET, "s3cr t-word"):
            assert spelling not in one.stdout + one.stderr
    for path in [*output.iterdir(), *tmp_path.iterdir()]:
        assert b"s3cr" not in path.read_bytes(), path


def test_text_that_would_be_sql_stays_text(address, tmp_path):
    """Names with quotes, statements, placeholders and markup: the same rows come back, and nothing else is gone."""
    texts = ["'; DROP SCHEMA hostile CASCADE; --", 'a"; DELETE FROM "districts', "%s %(a)s {}", "\\'x", "=cmd|'x'!A0",
             "<b>&amp;</b>", "a\tb\\N\nc"]  # fmt: skip
    result = a_result()
    result["districts"]["district_name"] = texts[:2]
    result["hazard_objects"]["notes"] = texts[:6]
    result["hazard_objects"]["image"] = texts[1:]
    geopackage.write(tmp_path / "survey.gpkg", result)
    when = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
    write_run(tmp_path / "run.json", run_record({"run_id": "abc"}, (when, when), {}, [], name=texts[0]))
    for _ in range(2):
        export_to_database(tmp_path, "restricted", address, "hostile")
    with psycopg.connect(address) as connection:
        for layer in OUTPUT_LAYERS:
            wanted = geopackage.read(tmp_path / "survey.gpkg", layer)
            found = read_back(connection, layer, "hostile")
            assert len(found) == len(wanted), layer.name
            if layer.name in ("districts", "hazard_objects"):
                columns = [layer.key, "district_name" if layer.name == "districts" else "notes"]
                found, wanted = (one.sort_values(layer.key, ignore_index=True)[columns] for one in (found, wanted))
                assert found.to_numpy().tolist() == wanted.to_numpy().tolist()
