from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from pipelines import calibrating, make_models
from pipelines.model_examples import read_examples
from survey.api import load_model
from survey.memory.committee import Committee
from survey.memory.training import Training

SMALL = Training(committee=Committee(iterations=15, leaves=8, networks=1, hidden=(8,), epochs=2, trees_share=0.25))


def test_an_object_weighs_the_same_however_many_candidates_it_offers():
    codes = np.array(["rocket"] * 4 + ["mine_at"] * 2 + ["mine_ap"] + ["trench"] * 3 + ["", ""], dtype=object)
    objects = np.array([0, 0, 0, 0, 1, 1, 2, 3, 3, 3, -1, -1])
    found = make_models.weighed(np.where(codes == "", 10.0, 1.0), codes, objects)
    of = [found[objects == number].sum() for number in range(4)]
    assert of[0] == pytest.approx(of[1])
    assert of[2] == pytest.approx(2 * of[1])
    assert of[3] == pytest.approx(3.0)
    assert (found[objects < 0] == 10.0).all()


@pytest.mark.real
def test_a_model_of_drawn_ground_is_calibrated_on_ground_it_has_not_learned_from(tmp_path, monkeypatch):
    monkeypatch.setitem(make_models.TRAINING, "rgb", SMALL)
    monkeypatch.setattr(make_models, "survey_drawn", partial(calibrating.survey_drawn, pictures=6))
    card = make_models.make_model("rgb", tmp_path, [], (20, 0), tmp_path / "examples.npz")
    model = load_model(tmp_path / "rgb.survey-model", ("red", "green", "blue"))
    assert json.loads((tmp_path / "rgb.json").read_text()) == card
    assert tuple(card["calibration"]) == pytest.approx(model.calibration)
    assert card["calibration"] != [1.0, 0.0]
    assert card["metrics"]["drawn"]["n_truth"] > 20
    # Kept examples give the same classifiers.
    parts = read_examples(tmp_path / "examples.npz")
    assert sum(len(part.codes) for part in parts) > 1000
    features = np.concatenate([part.features for part in parts]).astype(np.float32)[:50]
    assert np.isfinite(model.hazard.predict_proba(features)).all()
