from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from pipelines import calibrating, make_models
from pipelines.gathering import Pictures, weighed
from pipelines.grounds import write_drawn
from pipelines.model_examples import draw_unseen, read_examples
from survey.api import load_model
from survey.memory.committee import Committee
from survey.memory.training import Training

SMALL = Training(committee=Committee(iterations=15, leaves=8, networks=1, hidden=(8,), epochs=2, trees_share=0.25))


def test_an_object_weighs_the_same_however_many_candidates_it_offers():
    codes = np.array(["rocket"] * 4 + ["mine_at"] * 2 + ["mine_ap"] + ["trench"] * 3 + ["", ""], dtype=object)
    objects = np.array([0, 0, 0, 0, 1, 1, 2, 3, 3, 3, -1, -1])
    found = weighed(np.where(codes == "", 10.0, 1.0), codes, objects)
    of = [found[objects == number].sum() for number in range(4)]
    assert of[0] == pytest.approx(of[1])
    assert of[2] == pytest.approx(2 * of[1])
    assert of[3] == pytest.approx(3.0)
    assert (found[objects < 0] == 10.0).all()


@pytest.mark.real
def test_a_model_of_drawn_ground_is_calibrated_on_ground_it_has_not_learned_from(tmp_path, monkeypatch):
    monkeypatch.setitem(make_models.TRAINING, "rgb", SMALL)
    monkeypatch.setattr(make_models, "survey_drawn", partial(calibrating.survey_drawn, pictures=6))
    card = make_models.make_model("rgb", tmp_path, [], Pictures(20, 0), tmp_path)
    model = load_model(tmp_path / "rgb.survey-model", ("red", "green", "blue"))
    assert json.loads((tmp_path / "rgb.json").read_text()) == card
    assert tuple(card["calibration"]) == pytest.approx(model.calibration)
    assert card["calibration"] != [1.0, 0.0]
    assert card["metrics"]["drawn"]["n_truth"] > 20
    # Kept examples give the same classifiers.
    parts = read_examples(tmp_path / "rgb.npz")
    assert sum(len(part.codes) for part in parts) > 1000
    features = np.concatenate([part.features for part in parts]).astype(np.float32)[:50]
    assert np.isfinite(model.hazard.predict_proba(features)).all()


@pytest.mark.real
def test_a_model_takes_sieve_and_judge_of_posts_over_and_is_measured_without_each_site(tmp_path, monkeypatch):
    monkeypatch.setitem(make_models.TRAINING, "rgb", SMALL)
    monkeypatch.setattr(make_models, "survey_drawn", partial(calibrating.survey_drawn, pictures=6))
    # A drawn scene stands for the photograph: the road is the same.
    photos, _, _ = write_drawn(tmp_path / "brighton", [draw_unseen(50, ("red", "green", "blue"))])
    elder = load_model(None, ("red", "green", "blue"))
    card = make_models.make_model("rgb", tmp_path, photos, Pictures(16, 4, elder), tmp_path / "kept")
    model = load_model(tmp_path / "rgb.survey-model", ("red", "green", "blue"))
    looks = np.random.default_rng(0).normal(size=(20, elder.sieve.n_features_in_)).astype(np.float32)
    assert (model.sieve.predict_proba(looks) == elder.sieve.predict_proba(looks)).all()
    whole = np.random.default_rng(0).normal(size=(20, elder.posts.n_features_in_)).astype(np.float32)
    assert (model.posts.predict_proba(whole) == elder.posts.predict_proba(whole)).all()
    assert card["posts"] == elder.card["posts"]
    assert "fence" in model.classes
    assert set(card["metrics"]) == {"brighton", "drawn"}
    # The model without the site is kept as it was measured, and can be finished like the other.
    without = make_models.held_out_model(tmp_path / "kept", "rgb", "brighton")
    told = make_models.finished(without, tmp_path / "rgb-again.survey-model", None)
    assert set(told["metrics"]) == {"drawn"}
    assert "posts" not in told
    again = load_model(tmp_path / "rgb-again.survey-model", ("red", "green", "blue"))
    assert not np.array_equal(again.hazard.predict_proba(whole), model.hazard.predict_proba(whole))
