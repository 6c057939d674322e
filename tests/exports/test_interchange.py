from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import subprocess
from contextlib import closing
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pystac
import pytest
import rasterio
import shapely
from pandas.testing import assert_frame_equal

from survey.errors import JobError, LayerError
from survey.exports.geopackage import read_raw
from survey.exports.imsma import IMSMA_LAYERS, as_imsma, domains
from survey.exports.interchange import write_csv, write_geojson, write_geoparquet, write_shapefile
from survey.exports.kml import write_kml
from survey.exports.probability import write_probability
from survey.exports.profiles import export
from survey.exports.short_names import SHORT_NAMES, short_names
from survey.layers import HAZARD_AREAS, HAZARD_OBJECTS, OUTPUT_LAYERS, conform
from tests.exports.example_result import NAMES, a_result

LOCATED = [layer for layer in OUTPUT_LAYERS if layer.geometry]
RECORD = {"run_id": "0123456789abcdef", "name": "job", "finished_at": "2026-04-02T09:00:00Z"}
KML = "{http://www.opengis.net/kml/2.2}"


@pytest.fixture
def result():
    return a_result()


def tables(result):
    for layer in OUTPUT_LAYERS:
        yield layer, result.get(layer.name, layer.empty("EPSG:4326" if layer.geometry else None))


def test_geoparquet_keeps_rows_types_nulls_and_geometry(tmp_path, result):
    for layer, table in tables(result):
        path = tmp_path / f"{layer.name}.parquet"
        write_geoparquet(path, table, layer)
        back = gpd.read_parquet(path) if layer.geometry else pd.read_parquet(path)
        assert_frame_equal(
            pd.DataFrame(conform(back, layer))[layer.names], pd.DataFrame(table)[layer.names].reset_index(drop=True)
        )
        if layer.geometry:
            assert shapely.equals_exact(back.geometry.to_numpy(), table.geometry.to_numpy()).all()
            meta = json.loads(pq.read_schema(path).metadata[b"geo"])
            assert meta["version"] == "1.1.0"
            assert "bbox" in meta["columns"]["geometry"]["covering"]


def test_geojson_is_rfc_7946(tmp_path, result):
    for layer, table in tables(result):
        if layer.geometry is None:
            continue
        path = tmp_path / f"{layer.name}.geojson"
        moved = table.to_crs("EPSG:32638")
        write_geojson(path, moved, layer)
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content["type"] == "FeatureCollection"
        assert "crs" not in content
        assert len(content["features"]) == len(table)
        for feature, outline in zip(content["features"], table.geometry, strict=True):
            shape = shapely.geometry.shape(feature["geometry"])
            assert shape.equals_exact(outline.normalize(), 1e-7) or shapely.hausdorff_distance(shape, outline) < 1e-7
            rings = feature["geometry"]["coordinates"]
            outer = rings[0][0] if feature["geometry"]["type"] == "MultiPolygon" else rings[0]
            assert shapely.is_ccw(shapely.LinearRing(outer))


def test_csv_carries_geometry_as_wkt_and_no_formula(tmp_path, result):
    objects = result["hazard_objects"].assign(notes=["=cmd()", "two\nlines", 'a "quoted", text', None, "", "ə"])
    write_csv(tmp_path / "o.csv", objects, HAZARD_OBJECTS)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "o.csv").read_text(encoding="utf-8"))))
    assert [row["notes"] for row in rows] == ["'=cmd()", "two\nlines", 'a "quoted", text', "", "", "ə"]
    for row, outline in zip(rows, objects.geometry, strict=True):
        assert shapely.hausdorff_distance(shapely.from_wkt(row["wkt"]), outline) < 1e-7


@pytest.mark.parametrize("layer", LOCATED, ids=lambda layer: layer.name)
def test_short_names_fit_a_shapefile(layer):
    names = short_names(layer.names)
    assert len({name.lower() for name in names.values()}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,9}", name) for name in names.values()), names


def test_declared_short_names_are_of_columns_that_exist():
    columns = {column.name for layer in OUTPUT_LAYERS for column in layer.columns}
    assert set(SHORT_NAMES) <= columns


def test_short_names_that_would_collide_do_not():
    names = short_names(["confirmed_extremely_long_a", "confirmed_extremely_long_b", "confirmed_extremely_long_c"])
    assert len(set(names.values())) == 3


def test_a_shapefile_keeps_what_a_shapefile_can(tmp_path, result):
    areas = result["hazard_areas"].assign(method_reasons="ə" * 200, district_name=NAMES[1])
    names = write_shapefile(tmp_path / "areas.shp", areas, HAZARD_AREAS)
    back = gpd.read_file(tmp_path / "areas.shp")
    assert list(back.columns[:-1]) == list(names.values())
    assert back[names["area_ha"]].tolist() == areas["area_ha"].tolist()
    assert back[names["provisional"]].tolist() == [1, 1, 1]
    assert back[names["district_name"]].tolist() == [NAMES[1]] * 3
    assert back[names["method_reasons"]][0].endswith("ə...")
    assert shapely.equals_exact(back.geometry.normalize(), areas.geometry.map(lambda g: g.geoms[0]).normalize()).all()
    meanings = list(csv.DictReader((tmp_path / "areas.fields.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["column"] for row in meanings} == set(HAZARD_AREAS.names)
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_kml_is_well_formed_coloured_and_complete(tmp_path, result):
    result["hazard_objects"]["image"] = "<b>\x07&"
    write_kml(tmp_path / "s.kml", result, "job <1>")
    root = ElementTree.parse(tmp_path / "s.kml").getroot()
    places = root.findall(f".//{KML}Placemark")
    assert len(places) == 3 + 5
    colour = root.find(f".//{KML}Style[@id='cha_proposed']/{KML}PolyStyle/{KML}color")
    assert colour is not None
    assert colour.text == "800000ff"
    assert any(value.text == "<b>&" for value in root.iter(f"{KML}value"))
    ring = root.find(f".//{KML}LinearRing/{KML}coordinates")
    assert ring is not None
    assert ring.text is not None
    corners = [tuple(map(float, corner.split(","))) for corner in ring.text.split()]
    assert corners[0] == corners[-1]
    assert 47 < corners[0][0] < 48


def test_the_public_package_holds_no_place(tmp_path, result):
    export("public", result, RECORD, tmp_path / "public")
    text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "public").rglob("*") if path.is_file())
    assert {path.name for path in (tmp_path / "public").iterdir()} == {"README.txt", "districts.csv", "districts.json"}
    numbers = {float(number) for number in re.findall(r"-?\d+\.\d+", text)}
    secret: set[float] = set()
    for layer in LOCATED:
        if layer.name in result:
            secret |= set(np.round(shapely.get_coordinates(result[layer.name].geometry.to_numpy()).ravel(), 3))
    assert not {value for value in numbers if round(value, 3) in secret or 47 <= value < 48 or 39.5 <= value < 39.7}
    for name in ("object_id", "area_id", "wkt", "POLYGON", "coordinates", "hazard_objects-", "hazard_areas-", "ortho"):
        assert name not in text
    rows = list(csv.DictReader((tmp_path / "public" / "districts.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["analysed_ha"] for row in rows] == ["60.0", "60.0"]
    assert rows[0]["imagery_from"] == "2026-04"


def test_the_restricted_package_holds_every_layer(tmp_path, result):
    written = export("restricted", result, RECORD, tmp_path / "all")
    for layer in OUTPUT_LAYERS:
        assert tmp_path / "all" / "geoparquet" / f"{layer.name}.parquet" in written
        assert tmp_path / "all" / "csv" / f"{layer.name}.csv" in written
        for form in ("geojson/{}.geojson", "shapefile/{}.shp"):
            assert (tmp_path / "all" / form.format(layer.name) in written) == (layer.geometry is not None)
    assert "RESTRICTED" in (tmp_path / "all" / "README.txt").read_text(encoding="utf-8")


def test_imsma_uses_its_coded_values_and_links(tmp_path, result):
    result["hazard_objects"]["area_id"] = pd.Series(["hazard_areas-0"] * 3 + [None] * 3, dtype="str")
    made = as_imsma(result)
    polygons, points = made["hazard_poly"], made["evidence_point"]
    assert polygons["land_class"].tolist() == ["CHA", "SHA", "Indication"]
    assert polygons["status"].tolist() == ["Open", "Worked on", "Closed"]
    assert polygons.loc[0, "evidence_of_contamination"] == "Direct"
    assert polygons.loc[0, "direct_evidence"] == "Visual observations"
    assert len(polygons.loc[0, "imsma_links"].split(",")) == 3
    assert len(points) == 5, "the rejected object is left out"
    assert set(points["imsma_id"]) >= set(polygons.loc[0, "imsma_links"].split(","))
    assert points.loc[0, "imsma_links"] == polygons.loc[0, "imsma_id"]
    assert points["imsma_id"].str.len().max() <= 50
    coded = domains()
    for table, columns in (
        (polygons, ("land_class", "status", "evidence_of_contamination")),
        (points, ("point_type", "device_category")),
    ):
        for column in columns:
            assert set(table[column]) <= set(coded[column])
    export("imsma", result, RECORD, tmp_path / "imsma")
    for layer in IMSMA_LAYERS:
        assert len(read_raw(tmp_path / "imsma" / "imsma.gpkg", layer.name)) == len(made[layer.name])
    with closing(sqlite3.connect(tmp_path / "imsma" / "imsma.gpkg")) as database:
        assert database.execute("SELECT DISTINCT srs_id FROM gpkg_geometry_columns").fetchall() == [(4326,)]


@pytest.mark.parametrize("profile", ["restricted", "public", "imsma"])
def test_packages_of_an_empty_result(tmp_path, profile):
    assert export(profile, {}, {}, tmp_path / profile)


def test_packages_do_not_mix(tmp_path, result):
    export("public", result, RECORD, tmp_path / "p")
    with pytest.raises(JobError, match="holds something"):
        export("restricted", result, RECORD, tmp_path / "p")
    with pytest.raises(JobError, match="no profile 'secret'"):
        export("secret", result, RECORD, tmp_path / "q")


def test_the_package_is_a_stac_item_whose_assets_are_there(tmp_path, result):
    folder = tmp_path / "all"
    export("restricted", result, RECORD, folder)
    item = json.loads((folder / "item.json").read_text(encoding="utf-8"))
    collection = json.loads((folder / "collection.json").read_text(encoding="utf-8"))
    for asset in item["assets"].values():
        assert (folder / asset["href"]).exists(), asset
    assert "probability_tif" in item["assets"]
    assert item["id"] == RECORD["run_id"]
    hull = shapely.geometry.shape(item["geometry"])
    assert hull.bounds == pytest.approx(tuple(item["bbox"]), abs=1e-6)
    assert item["properties"]["start_datetime"] <= item["properties"]["end_datetime"]
    assert item["properties"]["label:classes"][0]["classes"] == sorted(set(result["hazard_objects"]["class_code"]))
    for content in (item, collection):
        for link in content["links"]:
            assert (folder / link["href"]).exists()

    read = pystac.Collection.from_file(str(folder / "collection.json"))
    assert [one.id for one in read.get_items()] == [RECORD["run_id"]]


def test_the_highest_probability_of_each_cell(tmp_path):
    west, south = 692_000.0, 4_361_000.0
    ground = gpd.GeoDataFrame(
        {"status": ["analysed", "not_assessable"]},
        geometry=[
            shapely.box(west, south, west + 700, south + 30),
            shapely.box(west, south + 30, west + 700, south + 40),
        ],
        crs="EPSG:32638",
    )
    spots = [(10.5, 10.5, 0.4), (10.6, 10.5, 0.9), (650.2, 20.2, 0.3), (30.5, 10.5, 0.99)]
    objects = gpd.GeoDataFrame(
        {"probability": [p for _, _, p in spots], "verification": ["unverified"] * 3 + ["rejected"]},
        geometry=[shapely.Point(west + x, south + y).buffer(0.1) for x, y, _ in spots],
        crs="EPSG:32638",
    ).to_crs("EPSG:4326")
    write_probability(tmp_path / "p.tif", objects, ground.to_crs("EPSG:4326"))
    with rasterio.open(tmp_path / "p.tif") as image:
        cells = image.read(1)
        assert image.nodata == 255
        assert image.res == (1.0, 1.0)
        assert image.crs.to_epsg() == 32638
        assert image.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        for x, y, wanted in ((10.5, 10.5, 90), (650.2, 20.2, 30), (30.5, 10.5, 0), (100.5, 5.5, 0)):
            row, column = image.index(west + x, south + y)
            assert cells[row, column] == wanted, (x, y)
        assert (cells == 90).sum() == 1
    with pytest.raises(LayerError, match="Nothing was analysed"):
        write_probability(tmp_path / "q.tif", objects, ground[1:])


@pytest.mark.real
def test_ogrinfo_reads_every_format(tmp_path, result):
    export("restricted", result, RECORD, tmp_path / "all")
    if subprocess.run(["which", "ogrinfo"], capture_output=True).returncode:
        pytest.skip("needs GDAL's programs: apt-get install gdal-bin")
    drivers = subprocess.run(["ogrinfo", "--formats"], capture_output=True, text=True).stdout
    for path in sorted((tmp_path / "all").rglob("*")):
        known = {".geojson": "GeoJSON", ".shp": "ESRI Shapefile", ".kml": "KML", ".parquet": "Parquet"}.get(path.suffix)
        if known is None or known not in drivers:
            continue
        said = subprocess.run(["ogrinfo", "-al", "-so", path], capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        assert "ERROR" not in said.stderr, said.stderr
        name = path.stem
        if name in result and path.suffix != ".kml":
            assert f"Feature Count: {len(result[name])}" in said.stdout, (path, said.stdout)
