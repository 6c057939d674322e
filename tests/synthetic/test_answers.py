import geopandas as gpd
import pyogrio
import pytest

from survey.errors import OutputError
from survey.layers import LABELS, REVIEWED, conform
from survey.synthetic.answers import write_truth
from survey.synthetic.scene import SceneSettings, draw_scene


def scene(objects):
    return draw_scene(SceneSettings(width_px=200, height_px=200, objects_per_ha=objects), 5)


def test_truth_goes_round_and_is_the_same_bytes(tmp_path):
    drawn = scene({"mine_at": 2000.0})
    for name in ("one.gpkg", "two.gpkg"):
        write_truth(tmp_path / name, drawn.labels, drawn.reviewed)
    assert (tmp_path / "one.gpkg").read_bytes() == (tmp_path / "two.gpkg").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.gpkg", "two.gpkg"]
    back = gpd.read_file(tmp_path / "one.gpkg", layer="labels")
    assert conform(back, LABELS).drop(columns="geometry").equals(drawn.labels.drop(columns="geometry"))
    assert back.crs == drawn.labels.crs
    ground = gpd.read_file(tmp_path / "one.gpkg", layer="reviewed")
    assert conform(ground, REVIEWED).area.iloc[0] == pytest.approx(16.0)


def test_empty_truth_keeps_its_layers_and_types(tmp_path):
    drawn = scene({})
    write_truth(tmp_path / "empty.gpkg", drawn.labels, drawn.reviewed)
    info = pyogrio.read_info(tmp_path / "empty.gpkg", layer="labels")
    assert (info["features"], info["geometry_type"]) == (0, "Polygon")
    assert list(info["fields"]) == ["class_code", "occlusion", "site"]
    assert list(info["dtypes"]) == ["object", "float64", "object"]


def test_a_missing_folder_is_refused(tmp_path):
    drawn = scene({})
    with pytest.raises(OutputError, match="make the folder"):
        write_truth(tmp_path / "nowhere" / "truth.gpkg", drawn.labels, drawn.reviewed)
