"""Estimators and measures of a researcher's own: learned, used, kept in a file, and refused where they must be."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import survey
from survey.api import LabelledScene, Tile, feature_set_of
from survey.detection.patches import RADII
from survey.errors import LayerError, ModelError
from survey.memory.committee import Committee
from survey.memory.training import Training

SAMPLE = "data/sample"


def darkness(patches):
    """Brightness of the inside less that of the ring around, grey levels."""
    inside, around = RADII <= 0.7, (RADII >= 1.2) & (RADII <= 1.9)
    bright = patches[:, 0].mean(axis=2)
    return bright[:, inside].mean(axis=1) - bright[:, around].mean(axis=1)


def sums(patches):
    return patches[:, 0].sum()


@pytest.fixture(scope="module")
def labelled_scene():
    """The anti-tank mines of the sample's labels on a part of the ground: quick to learn, and real pixels."""
    scene = survey.open_scene(f"{SAMPLE}/imagery/field_a.tif")
    labels = gpd.read_file(f"{SAMPLE}/labels.gpkg", layer="labels")
    reviewed = gpd.read_file(f"{SAMPLE}/labels.gpkg", layer="reviewed")
    return LabelledScene(scene, labels[labels["class_code"].isin(["mine_at", "shell"])], reviewed)


@pytest.fixture(scope="module")
def forest(labelled_scene):
    estimator = ExtraTreesClassifier(60, min_samples_leaf=2, class_weight="balanced", random_state=0)
    return survey.learn([labelled_scene], estimator, [darkness], version="forest-1")


def a_piece(scene):
    """One tile of 512 pixels, and the scene planned."""
    planned = survey.plan(scene)
    return planned, (planned.pieces[0][0], Tile(planned.pieces[0][0].level, 0, 512, 0, 512))


def test_an_estimator_of_ones_own_learns_and_is_measured_on_held_out_ground(forest, labelled_scene):
    metrics = forest.card["metrics"]
    assert metrics["candidate_average_precision"] > 3 * metrics["candidate_prevalence"]
    assert forest.classes == ("mine_at", "shell")
    assert isinstance(forest.hazard, ExtraTreesClassifier)
    assert forest.hazard.n_features_in_ == forest.reference.shape[1]


def test_what_it_finds_is_the_same_for_every_tiling(forest, labelled_scene):
    scene = labelled_scene.scene
    mines = labelled_scene.labels[labelled_scene.labels["class_code"] == "mine_at"].to_crs(scene.grid.crs)
    region = mines.geometry.iloc[2].centroid.buffer(15).intersection(scene.grid.outline())
    found = []
    for size, origin in ((2048, (0, 0)), (300, (77, 131))):
        planned = survey.plan(scene, forest, tiling=survey.Tiling(size=size, origin=origin), region=region)
        found.append(survey.survey_raster(planned, threshold=0.05))
    assert len(found[0]["hazard_objects"]) >= 1
    for name in ("hazard_objects", "candidates", "districts", "coverage"):
        assert found[0][name].equals(found[1][name]), name


def test_a_measure_of_ones_own_is_read(forest, labelled_scene):
    without = feature_set_of()
    assert forest.feature_set == f"{without}+darkness"
    shipped = survey.load_model(roles=labelled_scene.scene.roles)
    assert forest.reference.shape[1] == shipped.hazard.estimators_[0].n_features_in_ + 1


def test_a_stored_model_asks_for_its_measures_and_answers_the_same(forest, labelled_scene, tmp_path):
    path = survey.save_model(tmp_path / "forest.survey-model", forest)
    with pytest.raises(ModelError, match=r"measures=\[darkness\]"):
        survey.load_model(path)
    with pytest.raises(ModelError, match=r"measures=\[darkness\]"):
        survey.load_model(path, measures=[sums])
    again = survey.load_model(path, measures=[darkness])
    planned, piece = a_piece(labelled_scene.scene)
    answers = [
        survey.detect(
            survey.Plan(planned.scene, model, planned.detection, (piece,), (), (), planned.region), piece
        ).sightings
        for model in (forest, again)
    ]
    assert answers[0].equals(answers[1])


def test_a_type_that_is_not_audited_needs_to_be_trusted_by_name_at_both_ends(labelled_scene, tmp_path):
    pipeline = make_pipeline(StandardScaler(), PCA(8, random_state=0), KNeighborsClassifier(3, algorithm="kd_tree"))
    model = survey.learn([labelled_scene], pipeline, settings=Training(folds=2))
    path = tmp_path / "near.survey-model"
    with pytest.raises(ModelError, match="KDTree") as refused:
        survey.save_model(path, model)
    assert not path.exists()
    names = refused.value.args[0].split("trust=[")[1].split("]")[0].replace("'", "").split(", ")
    survey.save_model(path, model, trust=names)
    with pytest.raises(ModelError, match=r"not trusted .*KDTree"):
        survey.load_model(path)
    assert survey.load_model(path, trust=names).version == "own-1"


def test_an_estimator_within_the_audited_types_needs_no_trust(labelled_scene, tmp_path):
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    model = survey.learn([labelled_scene], pipeline, settings=Training(folds=2))
    path = survey.save_model(tmp_path / "line.survey-model", model)
    assert survey.load_model(path).feature_set == feature_set_of()


def test_the_committee_is_taught_looks_and_an_own_estimator_is_not(labelled_scene, forest):
    small = Committee(iterations=3, leaves=4, networks=1, hidden=(4,), epochs=1)
    settings = Training(committee=small, folds=2, nudged=True)
    nudging, plain = (
        survey.learn([labelled_scene], settings=settings.model_copy(update={"nudged": one})) for one in (True, False)
    )
    assert nudging.card["settings"]["nudged"]
    assert nudging.card["data"] == plain.card["data"]
    assert nudging.calibration != plain.calibration
    assert not forest.card["settings"]["nudged"]
    assert not survey.learn([labelled_scene], None, [darkness], settings=settings).card["settings"]["nudged"]


def test_refusals_say_what_to_do(labelled_scene, forest):
    with pytest.raises(ModelError, match="no predict_proba: wrap it in CalibratedClassifierCV"):
        survey.learn([labelled_scene], RidgeClassifier())
    with pytest.raises(ModelError, match="needs a name of its own"):
        survey.learn([labelled_scene], measures=[lambda patches: patches[:, 0, 0, 0]])
    with pytest.raises(ModelError, match=r"Measure sums answered \d+ patches with an array of shape \(\)"):
        survey.learn([labelled_scene], LogisticRegression(), [sums])
    nameless = LabelledScene(
        labelled_scene.scene, labelled_scene.labels.assign(class_code="mine_x"), labelled_scene.reviewed
    )
    with pytest.raises(LayerError, match="'mine_x', which is not known"):
        survey.learn([nameless])
    nothing = LabelledScene(labelled_scene.scene, labelled_scene.labels[:0], labelled_scene.reviewed)
    with pytest.raises(ModelError, match="no label of a hazard object"):
        survey.learn([nothing], LogisticRegression())


def test_a_plan_says_what_can_be_seen(labelled_scene):
    planned = survey.plan(labelled_scene.scene)
    assert "mine_at" in planned.seen
    assert "mine_scatterable" in planned.too_coarse
    assert not set(planned.seen) & set(planned.too_coarse)
    assert [a_pass.finest for a_pass, _ in planned.pieces].count(True) >= 1


def test_one_raster_is_evaluated_beside_its_floors():
    scene = survey.open_scene(f"{SAMPLE}/imagery/close_c.tif")
    layers = survey.survey_raster(scene)
    truth = gpd.read_file(f"{SAMPLE}/truth.gpkg", layer="labels")
    reviewed = gpd.read_file(f"{SAMPLE}/truth.gpkg", layer="reviewed")
    here = reviewed[reviewed.to_crs(scene.grid.crs).intersects(scene.grid.outline())]
    report = survey.evaluate(layers, truth, here)
    assert report["ap"] > report["blind_ap"]
    row = layers["districts"].iloc[0]
    assert row.district_name == "close_c.tif"
    assert np.isclose(row.analysed_ha + row.not_assessable_ha + row.not_analysed_ha, row.district_ha, atol=1e-8)
    assert np.isclose(row.district_ha, 1600 * 1200 * 0.008**2 / 1e4, rtol=2e-3)  # scale of the map projection
