"""``survey.gpkg`` and its project in a real QGIS."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.transform import from_origin

from survey.exports.geopackage import write
from survey.exports.profiles import export
from survey.exports.project import write_project
from survey.exports.reviews import harvest
from survey.hazards import classes
from survey.layers import OUTPUT_LAYERS, TURNING_POINTS, VERIFICATIONS
from tests.exports.example_result import WEST, a_result
from tests.real.qgis_here import ENVIRONMENT, NEEDS, PYTHON, has_qgis

CHIP = b"\x89PNG and so on"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not has_qgis(), reason=NEEDS),
]


@pytest.fixture(scope="module")
def look(tmp_path_factory):
    """What QGIS made of the small result, after its folder was moved."""
    made = tmp_path_factory.mktemp("made") / "job" / "out"
    made.mkdir(parents=True)
    profile = {"driver": "GTiff", "width": 60, "height": 50, "count": 3, "dtype": "uint8", "crs": "EPSG:4326"}
    image = made.parent / "ortho.tif"
    with rasterio.open(image, "w", transform=from_origin(WEST, 39.61, 1e-4, 1e-4), **profile) as raster:
        raster.write(np.full((3, 50, 60), 120, np.uint8))
    tables = a_result()
    tables["hazard_objects"]["area_id"] = pd.Series(["hazard_areas-0"] * 6, dtype="str")
    write(made / "survey.gpkg", tables, chips={"hazard_objects-0": CHIP})
    write_project(made / "survey.qgs", made / "survey.gpkg", tables, [image], title="Fuzuli & around")
    moved = tmp_path_factory.mktemp("moved") / "job"
    shutil.move(made.parent, moved)
    out = moved / "out"
    run = subprocess.run(
        [PYTHON, Path(__file__).with_name("look_in_qgis.py"), out / "survey.gpkg", out / "survey.qgs", out],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert (out / "look.json").exists(), run.stderr
    return json.loads((out / "look.json").read_text()) | {"folder": out, "stderr": run.stderr}


def test_every_layer_is_valid_and_styled(look):
    assert set(look["layers"]) == {layer.name for layer in OUTPUT_LAYERS} | {"object_chips"}
    for layer in OUTPUT_LAYERS:
        row = look["layers"][layer.name]
        assert row["valid"], layer.name
        assert row["title"] == layer.title
        if layer.geometry:
            assert row["crs"] == "EPSG:4326"
            assert row["indexed"], layer.name
        for column in layer.columns:
            assert row["aliases"][column.name], (layer.name, column.name)
    assert "Warning" not in look["stderr"], look["stderr"]


def test_colours_are_those_of_the_field(look):
    areas = look["layers"]["hazard_areas"]
    assert areas["renderer"] == "categorizedSymbol"
    assert areas["categories"]["cha_proposed"] == [["SimpleFill", "#80ff0000"]]
    assert areas["categories"]["sha_proposed"] == [["SimpleFill", "#80f4a718"]]
    density = look["layers"]["density_grid"]["categories"]
    assert density["none_detected"] == [["SimpleFill", "#00000000"]]
    assert density["not_assessable"][0][0] == "LinePatternFill"
    coverage = look["layers"]["coverage"]["categories"]
    assert coverage["not_assessable"][0][0] == "LinePatternFill"
    assert [kind for kind, _ in coverage["not_analysed"]].count("LinePatternFill") == 2
    families = look["layers"]["hazard_objects"]["categories"]
    assert {"AT", "AP_blast", "CM", "UXO", "indicator", "unknown"} <= set(families)


def test_forms_have_drop_downs_and_let_only_the_review_be_edited(look):
    objects = look["layers"]["hazard_objects"]
    assert objects["maps"]["verification"] == sorted(VERIFICATIONS)
    assert objects["maps"]["class_code"] == sorted(classes())
    assert set(objects["editable"]) <= {"fid", "verification", "class_code", "reviewer_role", "notes"}
    for layer in OUTPUT_LAYERS:
        for column in layer.columns:
            if column.domain is not None:
                assert look["layers"][layer.name]["maps"][column.name] == sorted(column.domain)


def test_a_map_shows_the_colours_where_the_polygons_are(look):
    def is_green(name):
        red, green, blue = (int(name[i : i + 2], 16) for i in (1, 3, 5))
        return green > red + 12 and green > blue + 12

    areas = dict(look["drawn"]["hazard_areas"])
    # Half red, half paper (#F4F1EA).
    (inside,) = areas["cha_proposed"]
    mixed = [int(inside[i : i + 2], 16) for i in (1, 3, 5)]
    assert mixed == pytest.approx([(255 + 0xF4) / 2, 0xF1 / 2, 0xEA / 2], abs=3)
    cells: dict[str, list[list[str]]] = {}
    for name, near in look["drawn"]["density_grid"]:
        assert not any(map(is_green, near))
        cells.setdefault(name, []).append(near)
    assert cells["none_detected"][0] == ["#f4f1ea"], "no detection leaves the ground as it is"
    assert len(cells["none_detected"][1]) > 1, "where little could have been seen it looks different"
    assert len(cells["not_assessable"][0]) > 1, "hatched"
    tones = [min(int(name[1:3], 16) for name in cells[c][0]) for c in ("low", "medium", "high", "very_high")]
    assert tones == sorted(tones, reverse=True), "the denser, the darker"


def test_the_project_opens_with_nothing_missing(look):
    assert look["project_read"]
    assert all(valid for valid, _, _ in look["project"].values()), look["project"]
    assert sum(raster for _, raster, _ in look["project"].values()) == 1
    assert look["project"]["hazard_areas"][2] == "categorizedSymbol"
    assert (
        look["order"].index("hazard_objects") < look["order"].index("hazard_areas") < look["order"].index("districts")
    )
    assert look["order"].index("districts") < look["order"].index("imagery_0")
    assert look["project_crs"] == "EPSG:32638"
    text = (look["folder"] / "survey.qgs").read_text(encoding="utf-8")
    assert "/made" not in text
    assert "../ortho.tif" in text


def test_the_map_tip_and_the_form_find_the_chip(look):
    assert "mine_at 0.95, confirmed" in look["tip"]
    assert f"base64,{base64.b64encode(CHIP).decode('ascii')}" in look["tip"]


def test_a_map_tip_shows_markup_in_a_name_as_text(look):
    assert any("Zəngilan &lt;b>&amp;amp;&lt;/b>:" in tip for tip in look["district_tips"]), look["district_tips"]


def test_relations_are_resolved(look):
    assert all(valid for valid, _ in look["relations"].values()), look["relations"]
    assert len(look["relations"]) == 5
    assert look["related"]["area_objects"] == 6
    assert TURNING_POINTS.name in look["layers"]


def test_the_geopackage_passes_gdals_validator(look, tmp_path):
    if subprocess.run([PYTHON, "-c", "import osgeo_utils"], env=ENVIRONMENT, capture_output=True).returncode:
        pytest.skip("needs GDAL's validator: apt-get install python3-gdal")
    write(tmp_path / "survey.gpkg", a_result(), chips={"hazard_objects-0": CHIP})
    write(tmp_path / "empty.gpkg", {})
    export("imsma", a_result(), {}, tmp_path / "imsma")
    for path in (tmp_path / "survey.gpkg", tmp_path / "empty.gpkg", tmp_path / "imsma" / "imsma.gpkg"):
        command = [PYTHON, "-m", "osgeo_utils.samples.validate_gpkg", "-k", "--warning-as-error", path]
        said = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
        assert said.returncode == 0, said.stdout + said.stderr


def test_a_review_made_in_qgis_comes_back_with_every_verdict(look):
    assert look["saved"], look["errors"]
    assert look["drawn_defaults"]["verification"] == "confirmed"
    found = harvest(look["folder"] / "survey.gpkg")
    verdicts = found.verdicts
    one = verdicts.loc["hazard_objects-1"]
    assert (one["verification"], one["reviewer_role"]) == ("confirmed", "analyst")
    assert one["reason"] == "verdict changed: seen at the fence"
    assert abs(one["reviewed_at"] - pd.Timestamp.now("UTC")) < pd.Timedelta(minutes=10)
    assert verdicts.loc["hazard_objects-2", "class_code"] == "shell"
    assert verdicts.loc["hazard_objects-3", "verification"] == "rejected"
    assert verdicts.loc["hazard_objects-0", "reason"] == "outline changed"
    (drawn,) = (name for name in verdicts.index if name.startswith("drawn-"))
    assert verdicts.loc[drawn, ["verification", "class_code"]].tolist() == ["confirmed", "mine_ap"]
    assert set(found.outlines["object_id"]) == {"hazard_objects-0", drawn}
    assert len(verdicts) == 5
    # QGIS leaves the file in write-ahead mode; reading it must not make it look as if somebody held it.
    write(look["folder"] / "survey.gpkg", {"reviews": found.reviews}, stamp=found.stamp)
    assert harvest(look["folder"] / "survey.gpkg").verdicts.equals(verdicts)
