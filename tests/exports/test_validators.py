"""What is written, judged by the rules of its format: STAC by its JSON Schema, GeoParquet by its metadata's rules."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pyproj
import pystac
import pytest
import shapely
from pystac.validation import validate_dict

from survey.exports.interchange import write_geoparquet
from survey.exports.profiles import export
from survey.layers import COVERAGE, HAZARD_AREAS, OUTPUT_LAYERS
from tests.exports.example_result import a_result

RECORD = {"run_id": "0123456789abcdef", "name": "job", "finished_at": "2026-04-02T09:00:00Z"}
FLAT = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection")
KINDS = {*FLAT, *(f"{kind} Z" for kind in FLAT)}


@pytest.fixture(params=["full", "empty"])
def package(request, tmp_path):
    export("restricted", a_result() if request.param == "full" else {}, RECORD, tmp_path / "all")
    return tmp_path / "all"


def test_stac_passes_its_schema(package):
    for name in ("collection", "item"):
        content = json.loads((package / f"{name}.json").read_text(encoding="utf-8"))
        assert validate_dict(content, extensions=[]), "the schema was found"
        with pytest.raises(pystac.STACValidationError):
            validate_dict({key: value for key, value in content.items() if key != "id"} | {"id": 7}, extensions=[])
    item = pystac.Collection.from_file(str(package / "collection.json")).get_item(RECORD["run_id"])
    # Extension label 1.0.1: its schema is not in the package, so its few rules are here.
    label = {key.removeprefix("label:"): item.properties[key] for key in item.properties if key.startswith("label:")}
    assert item.stac_extensions == ["https://stac-extensions.github.io/label/v1.0.1/schema.json"]
    assert label["type"] == "vector"
    assert label["description"]
    assert set(label["tasks"]) <= {"regression", "classification", "detection", "segmentation"}
    assert set(label["methods"]) <= {"automatic", "manual"}
    for one in label["classes"]:
        assert set(one) == {"name", "classes"}
        assert one["name"] in label["properties"]
        assert all(isinstance(code, str) for code in one["classes"])


def faults(path):
    """Yield what of a file's metadata and content breaks GeoParquet 1.1 (the specification's text and JSON Schema)."""
    file = pq.ParquetFile(path)
    geo = json.loads(file.schema_arrow.metadata[b"geo"])
    if set(geo) < {"version", "primary_column", "columns"} or geo["version"] != "1.1.0":
        yield "version, primary_column and columns are required"
    if geo["primary_column"] not in geo["columns"]:
        yield "the primary column is not among the columns"
    for name, column in geo["columns"].items():
        field = file.schema_arrow.field(name)
        if column["encoding"] == "WKB" and str(field.type) not in ("binary", "large_binary"):
            yield f"{name}: WKB must be a byte array"
        if column["encoding"] not in ("WKB", "point", "linestring", "polygon", "multipolygon"):
            yield f"{name}: encoding {column['encoding']}"
        if not set(column["geometry_types"]) <= KINDS or len(set(column["geometry_types"])) < len(
            column["geometry_types"]
        ):
            yield f"{name}: geometry types {column['geometry_types']}"
        if column.get("edges", "planar") not in ("planar", "spherical"):
            yield f"{name}: edges"
        if column.get("orientation", "counterclockwise") != "counterclockwise":
            yield f"{name}: orientation"
        if column.get("crs"):
            pyproj.CRS.from_json_dict(column["crs"])  # PROJJSON
        outlines = shapely.from_wkb(np.array(file.read([name])[name].to_pylist(), dtype=object))
        found = {one.geom_type for one in outlines if one is not None}
        if column["geometry_types"] and not found <= set(column["geometry_types"]):
            yield f"{name}: holds {found}, says {column['geometry_types']}"
        if "bbox" in column and len(outlines) and not np.allclose(column["bbox"], shapely.total_bounds(outlines)):
            yield f"{name}: bbox {column['bbox']}"
        yield from covering_faults(file, name, column, outlines)


def covering_faults(file, name, column, outlines):
    places = column.get("covering", {}).get("bbox")
    if places is None:
        return
    if set(places) != {"xmin", "ymin", "xmax", "ymax"}:
        yield f"{name}: covering {places}"
    (root,) = {place[0] for place in places.values()}
    field = file.schema_arrow.field(root)
    if [child.name for child in field.type] != ["xmin", "ymin", "xmax", "ymax"]:
        yield f"{root}: fields {field.type}"
    rows = file.read([root])[root].to_pylist()
    for row, bounds in zip(rows, shapely.bounds(outlines), strict=True):
        if row is not None and not np.allclose([row[key] for key in ("xmin", "ymin", "xmax", "ymax")], bounds):
            yield f"{root}: {row} is not {bounds}"


def test_geoparquet_passes_its_rules(package, tmp_path):
    for layer in OUTPUT_LAYERS:
        if layer.geometry is not None:
            assert not list(faults(package / "geoparquet" / f"{layer.name}.parquet")), layer.name
    areas = a_result()["hazard_areas"].to_crs("EPSG:32638")
    write_geoparquet(tmp_path / "utm.parquet", areas, HAZARD_AREAS)
    assert not list(faults(tmp_path / "utm.parquet"))
    assert gpd.read_parquet(tmp_path / "utm.parquet").crs == "EPSG:32638"


def test_the_rules_find_what_is_wrong(tmp_path):
    path = tmp_path / "a.parquet"
    write_geoparquet(path, a_result()["coverage"], COVERAGE)
    table = pq.read_table(path)
    for key, value, said in (("bbox", [0, 0, 1, 1], "bbox"), ("geometry_types", ["Point"], "holds"),
                             ("encoding", "WKT", "encoding")):  # fmt: skip
        geo = json.loads(table.schema.metadata[b"geo"])
        geo["columns"]["geometry"][key] = value
        pq.write_table(table.replace_schema_metadata({b"geo": json.dumps(geo)}), path)
        assert any(said in fault for fault in faults(path)), key
