from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from survey.errors import OutputError
from survey.exports.marks import mark_path
from survey.exports.qgis import layer_style
from survey.exports.report import render, write_report
from survey.exports.report_map import MOST_OBJECTS, Thumbnail, map_payload
from survey.exports.styles import FAMILY_MARKS
from survey.layers import OUTPUT_LAYERS
from survey.provenance import run_record
from tests.exports.example_result import a_result

WHEN = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
RECORD = run_record({"run_id": "abc"}, (WHEN, WHEN), {}, [{"path": "a.tif"}], name="job")
HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def result():
    return a_result()


def payload_of(text):
    return json.loads(re.search(r'id="map-data">(.*?)</script>', text, re.S).group(1))


def test_text_from_data_is_escaped_everywhere(result):
    for name, column in (
        ("districts", "district_name"), ("hazard_objects", "image"), ("hazard_objects", "district_name"),
        ("coverage", "reason"), ("hazard_areas", "method_primary"), ("coverage", "image"),
    ):  # fmt: skip
        result[name][column] = HOSTILE
    text = render(result, RECORD | {"name": HOSTILE, "problems": [HOSTILE], "model": {HOSTILE: [HOSTILE]},
                                    "settings": {"x": HOSTILE}, "run_id": HOSTILE})  # fmt: skip
    assert "<img src=x" not in text
    assert text.count("<script") == 2
    assert text.count("</script>") == 2
    assert any(HOSTILE in name["text"] for name in payload_of(text)["names"])


def test_nothing_is_fetched(result):
    text = render(result, RECORD, chips={"hazard_objects-0": b"\x89PNG"})
    assert re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?!data:)(?:https?:)?//", text) == []
    assert "default-src 'none'" in text


def test_the_same_input_gives_the_same_text(result):
    assert render(result, RECORD) == render(result, RECORD)


def test_hectares_objects_and_reasons_are_there(result):
    text = render(result, RECORD)
    for words in ("120.00 ha", "200.00 ha", "vegetation", "no imagery", "Anti-tank mine", "Fuzuli", "EOD spot task",
                  "not free of explosive hazards", "Zəngilan &lt;b&gt;"):  # fmt: skip
        assert words in text, words


def test_a_result_with_nothing_in_it():
    text = render({}, {})
    assert "That is not a statement about the ground" in text
    assert payload_of(text)["layers"] == []


def test_no_word_promises_that_ground_is_free_of_hazards(result):
    styles = "".join(layer_style(layer) for layer in OUTPUT_LAYERS)
    declared = " ".join(f"{one.title} {c.name} {c.description}" for one in OUTPUT_LAYERS for c in one.columns)
    visible = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", render(result, RECORD), flags=re.S)
    for text in (styles, declared, visible):
        assert re.findall(r"\b(?:clear(?:ed)?|safe|cancelled|reduced)\b", text, re.I) == []


def test_a_million_objects_are_reduced_to_what_a_browser_draws(result):
    n = 50_000
    rng = np.random.default_rng(0)
    objects = result["hazard_objects"].iloc[np.zeros(n, int)].reset_index(drop=True)
    objects["object_id"] = [str(i) for i in range(n)]
    objects["probability"] = rng.uniform(size=n)
    spots = shapely.points(rng.uniform(47, 47.1, n), rng.uniform(39, 39.1, n))
    objects = objects.set_geometry(gpd.GeoSeries(shapely.buffer(spots, 1e-6, quad_segs=1), crs="EPSG:4326"))
    text = render(result | {"hazard_objects": objects}, RECORD)
    (layer,) = (one for one in payload_of(text)["layers"] if one["name"] == "hazard_objects")
    assert len(layer["features"]) == MOST_OBJECTS
    assert f"{n - MOST_OBJECTS:,} less probable objects" in text
    assert len(text) < 2_000_000


def test_the_map_is_to_scale(result):
    payload = map_payload(result, [Thumbnail(b"\x89PNG", 47.1, 39.6, 47.11, 39.61)])
    areas = next(one for one in payload["layers"] if one["name"] == "hazard_areas")
    ring = np.array(areas["features"][0]["rings"][0]).reshape(-1, 2) / 10.0
    width, height = np.ptp(ring, axis=0)
    assert (width, height) == (pytest.approx(42.9, abs=1.0), pytest.approx(55.5, abs=1.0))
    image = payload["layers"][0]["images"][0]
    assert (image["east"] - image["west"]) / 10 == pytest.approx(858, abs=8)


def test_model_curves_are_drawn_where_there_are_any(result):
    curves = {"recall": [0.5, 1.0], "fa_per_ha": [0.1, 2.0], "reliability": [{"claimed": 0.5, "true": 0.4}]}
    evaluation = {"ap": 0.9, "n_truth": 3, "hectares": 2.0, "ground": "drawn ground", "curves": curves}
    text = render(result, RECORD | {"model": {"version": "rgb-9", "evaluation": evaluation}})
    assert 'aria-label="Recall against false alarms per hectare"' in text
    assert "Average precision 0.900" in text
    assert "3 known objects on 2.00 ha that it has not learned from (drawn ground)" in text


def test_rejected_objects_are_not_counted(result):
    objects = result["hazard_objects"].assign(verification="rejected")
    text = render(result | {"hazard_objects": objects}, RECORD)
    assert "No object was detected" in text


def test_the_file_is_whole_or_not_there(tmp_path, result):
    write_report(tmp_path / "report.html", result, RECORD)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(result, RECORD)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", result, RECORD)


def test_missing_values_are_no_trouble(result):
    result["districts"]["method_primary"] = pd.Series([None, None], dtype="str")
    result["hazard_objects"]["district_name"] = pd.Series([None] * 6, dtype="str")
    assert "None" not in re.sub(r"<script.*?</script>", "", render(result, RECORD), flags=re.S)


def test_the_key_shows_the_marks_that_the_map_draws(result):
    text = render(result, RECORD)
    marks = {colour: path for path, colour in re.findall(r'<path d="([^"]+)" fill="(#\w+)"', text)}
    assert marks["#CC0000"] == mark_path("square")
    assert marks["#F0E442"] == mark_path("circle")
    assert len({mark_path(shape) for shape, _ in FAMILY_MARKS.values()}) == len({s for s, _ in FAMILY_MARKS.values()})


def test_the_moment_is_read_to_the_minute(result):
    when = datetime(2026, 4, 2, 9, 0, 12, 345678, tzinfo=UTC)
    record = run_record({"run_id": "abc"}, (when, when), {}, [], name="job")
    assert "2026-04-02 09:00 UTC" in render(result, record)
