"""Names and attributes that would be a formula, a script, SQL or markup where they are shown: they stay text."""

from __future__ import annotations

import csv
import itertools
import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from xml.etree import ElementTree

import geopandas as gpd
import pytest

from survey.exports import geopackage
from survey.exports.kml import write_kml
from survey.exports.profiles import export
from survey.exports.project import write_project
from survey.exports.qgis import layer_style
from survey.exports.report import render
from survey.exports.tables import write_districts
from survey.hazards import HazardClass, admit
from survey.layers import HAZARD_OBJECTS, OUTPUT_LAYERS
from survey.provenance import run_record
from tests.exports.example_result import a_result

FORMULAS = [
    "=cmd|' /C calc'!A0", "+1+cmd|'/C calc'!A0", "-2+3", "@SUM(1+1)*cmd", "\t=1+1", "\r=1+1", "\n=1+1", "＝1+1",
    '=HYPERLINK("http://a.b","x")',
]  # fmt: skip
MARKUP = [
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "a]]><b/>", "&lt;&#60;<", "<!-- -- -->",
    "{{ 7*7 }}{% raw %}", "[% 6*7 %]", '" onmouseover="alert(1)', "\x01\x1b[31m",
]  # fmt: skip
SQL = ["'; DROP TABLE hazard_objects; --", 'a"; DELETE FROM "districts', "Robert'); --", "%s %(a)s", "\\'x"]
EVERY = FORMULAS + MARKUP + SQL
WHEN = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)


def free(layer):
    """Columns of a layer that hold any text."""
    return [column.name for column in layer.columns if column.kind == "text" and column.domain is None]


@pytest.fixture(params=[0, 11])
def hostile(request):
    """A result in which every column of text says something else of it, and the text that names are made of."""
    result = a_result()
    wanted = itertools.islice(itertools.cycle(EVERY), request.param, None)
    for layer in OUTPUT_LAYERS:
        for name in free(layer) if layer.name in result else ():
            if name not in (layer.key, "class_code"):
                result[layer.name][name] = next(wanted)
    return result, EVERY[request.param]


def record_of(text):
    return run_record({"run_id": text}, (WHEN, WHEN), {"a": text}, [{"path": text}], name=text, problems=[text])


def test_no_table_begins_a_formula(tmp_path, hostile):
    result, _ = hostile
    write_districts(tmp_path / "districts.csv", result["districts"])
    for profile in ("restricted", "public", "imsma"):
        export(profile, result, record_of("job"), tmp_path / profile)
    tables = sorted(tmp_path.rglob("*.csv"))
    assert len(tables) > 12
    seen = set()
    for path in tables:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        assert len({len(row) for row in rows}) == 1, path
        for cell in (cell for row in rows for cell in row):
            number = re.fullmatch(r"-?[\d.]+(e-?\d+)?", cell)
            assert number or not cell.startswith(tuple("=+-@\t\r\n＝")), (path.name, cell)
            seen.update(text for text in EVERY if text.strip() in cell)
    assert len(seen) == len(EVERY)


def test_the_geopackage_keeps_every_layer_and_the_very_text(tmp_path, hostile):
    result, _ = hostile
    path = tmp_path / "survey.gpkg"
    geopackage.write(path, result)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for layer in OUTPUT_LAYERS:
        table = geopackage.read(path, layer)
        assert len(table) == len(result.get(layer.name, ())), layer.name
        for name in free(layer) if len(table) else ():
            assert table[name].tolist() == result[layer.name][name].tolist(), (layer.name, name)


def test_kml_is_xml_and_says_the_text_alone(tmp_path, hostile):
    result, text = hostile
    write_kml(tmp_path / "a.kml", result, text)
    root = ElementTree.parse(tmp_path / "a.kml").getroot()
    plain = a_result()
    write_kml(tmp_path / "b.kml", plain, "plain")
    assert [one.tag for one in root.iter()] == [one.tag for one in ElementTree.parse(tmp_path / "b.kml").iter()]
    assert any(text in (one.text or "") for one in root.iter())


def test_geojson_parquet_and_shapefile_keep_the_text(tmp_path, hostile):
    result, text = hostile
    export("restricted", result, record_of(text), tmp_path / "all")
    method = set(result["hazard_areas"]["method_primary"])
    assert method <= set(EVERY)
    found = json.loads((tmp_path / "all" / "geojson" / "hazard_areas.geojson").read_text(encoding="utf-8"))
    assert {one["properties"]["method_primary"] for one in found["features"]} == method
    table = gpd.read_parquet(tmp_path / "all" / "geoparquet" / "hazard_areas.parquet")
    assert set(table["method_primary"]) == method
    json.loads((tmp_path / "all" / "run.json").read_text(encoding="utf-8"))


def test_the_report_shows_it_and_runs_nothing(hostile):
    result, text = hostile
    page = render(result, record_of(text))
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "<img src=x" not in page
    assert "onmouseover=" not in re.sub(r'id="map-data">.*?</script>', "", page, flags=re.S).replace("&#34; on", "")
    assert "49{%" not in page


def test_the_project_is_xml_with_the_same_elements(tmp_path, hostile):
    result, text = hostile
    for name, title in (("a.qgs", text + MARKUP[-1]), ("b.qgs", "plain")):
        write_project(tmp_path / name, tmp_path / "survey.gpkg", result, [], title=title)
    tags = [[one.tag for one in ElementTree.parse(tmp_path / name).iter()] for name in ("a.qgs", "b.qgs")]
    assert tags[0] == tags[1]


@pytest.mark.parametrize("text", [FORMULAS[0], MARKUP[1], MARKUP[-1], SQL[1]], ids=["csv", "html", "control", "sql"])
def test_a_class_of_a_programme_is_text_in_styles_and_pages(tmp_path, text):
    admit(HazardClass("mine_own" + text, text, "AT", 0.3, 0.3, 3.0))
    result = a_result()
    result["hazard_objects"]["class_code"] = "mine_own" + text
    for layer in OUTPUT_LAYERS:
        ElementTree.fromstring(layer_style(layer))
    page = render(result, record_of("job"))
    assert page.count("<script") == 2
    assert "<img src=x" not in page
    write_kml(tmp_path / "a.kml", result, "job")
    ElementTree.parse(tmp_path / "a.kml")
    geopackage.write(tmp_path / "survey.gpkg", result)
    assert set(geopackage.read(tmp_path / "survey.gpkg", HAZARD_OBJECTS)["class_code"]) == {"mine_own" + text}


def test_map_tips_show_text_from_data_as_text():
    """A map tip is HTML; in it every column of text is escaped by the expression itself."""
    for layer in OUTPUT_LAYERS:
        tip = ElementTree.fromstring(layer_style(layer)).findtext("mapTip") or ""
        texts = [column.name for column in layer.columns if column.kind == "text"]
        for expression in re.findall(r"\[%(.*?)%\]", tip):
            bare = re.fullmatch(r'\s*"(\w+)"\s*', expression)
            assert bare is None or bare[1] not in texts, (layer.name, expression)
