from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import typer
from rasterio.transform import from_origin
from typer.testing import CliRunner

from pipelines.evaluate import command, evaluate
from survey.errors import LayerError, OutputError
from survey.memory.comparison import Evaluating

WEST, NORTH, GSD = 690_000.0, 4_370_000.0, 0.04
CRS = "EPSG:32638"
pytestmark = pytest.mark.filterwarnings("ignore:Use .* matmul:PendingDeprecationWarning")


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """One drawn image with six mines, two of them found, and a false alarm; imagery named by run.json."""
    folder = tmp_path_factory.mktemp("survey")
    rng = np.random.default_rng(0)
    pixels = rng.normal(100, 3, (900, 1200)).clip(0, 255)
    row, column = np.mgrid[:900, :1200]
    centres = rng.uniform(100, 800, (6, 2))
    for r, c in centres:
        pixels[(row - r) ** 2 + (column - c) ** 2 <= 16] = 200
    profile = {"driver": "GTiff", "width": 1200, "height": 900, "count": 1, "dtype": "uint8", "crs": CRS}
    with rasterio.open(folder / "a.tif", "w", transform=from_origin(WEST, NORTH, GSD, GSD), **profile) as image:
        image.write(pixels.astype(np.uint8), 1)
    x, y = WEST + (centres[:, 1] + 0.5) * GSD, NORTH - (centres[:, 0] + 0.5) * GSD
    boxes = shapely.box(x - 0.16, y - 0.16, x + 0.16, y + 0.16)
    labels = gpd.GeoDataFrame({"class_code": ["mine_at"] * 6}, geometry=boxes, crs=CRS)
    ground = gpd.GeoDataFrame(geometry=[shapely.box(WEST, NORTH - 36, WEST + 48, NORTH)], crs=CRS)
    labels.to_crs("EPSG:4326").to_file(folder / "truth.gpkg", layer="labels")
    ground.to_file(folder / "truth.gpkg", layer="reviewed")
    objects = gpd.GeoDataFrame(
        {"class_code": "mine_at", "family": "AT", "probability": [0.9, 0.8, 0.7], "gsd_cm": 4.0},
        geometry=[*boxes[:2], shapely.box(WEST + 1, NORTH - 2, WEST + 2, NORTH - 1)],
        crs=CRS,
    ).to_crs("EPSG:4326")
    objects.to_file(folder / "survey.gpkg", layer="hazard_objects")
    objects.iloc[:1].assign(geometry=gpd.GeoSeries([boxes[2]], crs=CRS).to_crs("EPSG:4326"), probability=0.3).to_file(
        folder / "survey.gpkg", layer="candidates"
    )
    (folder / "run.json").write_text(json.dumps({"imagery": [{"path": "a.tif"}, {"path": "gone.tif"}]}))
    return folder


def run(*arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "160"})


def test_figures_baseline_and_curves(survey):
    report = evaluate(survey / "survey.gpkg", survey / "truth.gpkg", plot=survey / "curves.png")
    assert report["ap"] == pytest.approx(2 / 6 + 1 / 6 * 3 / 4)
    assert report["operating"]["recall"] == pytest.approx(2 / 6)
    # Clean discs on weak noise: even the baseline finds them first.
    assert report["baseline"]["ap"] == pytest.approx(1.0)
    assert (survey / "curves.png").stat().st_size > 10_000


def test_the_same_image_twice_is_not_counted_twice(survey):
    twice = [survey / "a.tif", survey / "a.tif"]
    once = evaluate(survey / "survey.gpkg", survey / "truth.gpkg", imagery=twice[:1])
    again = evaluate(survey / "survey.gpkg", survey / "truth.gpkg", imagery=twice)
    assert once["baseline"] == again["baseline"]


def test_json_for_machines_and_a_table_for_people(survey):
    shown = run(survey / "survey.gpkg", survey / "truth.gpkg", "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.output)["n_truth"] == 6
    table = run(survey / "survey.gpkg", survey / "truth.gpkg")
    assert table.exit_code == 0
    for words in (
        "average precision",
        "blind guesses",
        "brightness blobs",
        "finds nothing",
        "mine_at",
        "One site only",
    ):
        assert words in table.output


def test_files_that_are_not_there_or_hold_something_else(survey):
    with pytest.raises(OutputError, match="does not exist"):
        evaluate(survey / "none.gpkg", survey / "truth.gpkg")
    with pytest.raises(LayerError, match="no layer 'labels'"):
        evaluate(survey / "survey.gpkg", survey / "survey.gpkg")
    with pytest.raises(LayerError, match="no column 'sektor'"):
        evaluate(survey / "survey.gpkg", survey / "truth.gpkg", Evaluating(site_field="sektor"))
    with pytest.raises(OutputError, match=r"cannot be written"):
        evaluate(survey / "survey.gpkg", survey / "truth.gpkg", plot=survey / "curves.xyz")
