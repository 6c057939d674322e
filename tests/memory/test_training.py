from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit
from sklearn.neural_network import MLPClassifier

from survey.errors import ModelError
from survey.memory import at_once, training
from survey.memory.calibration import Places, best_of_places, calibrated
from survey.memory.committee import Committee, fit_committee
from survey.memory.labelling import UNDECIDED
from survey.memory.table import Table
from survey.memory.training import Training, calibrate_on_objects, fit, recipe

SETTINGS = Training(
    committee=Committee(iterations=5, leaves=4, leaf_samples=5, feature_share=0.5, networks=1, hidden=(8,), epochs=3)
)


def table(seed=0, count=300):
    """Two classes and nothing, told apart by the first two of six features; three sites."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(np.array(["", "", "mine_at", "crater"], dtype=object), count)
    features = rng.normal(0, 1, (count, 6)).astype(np.float32)
    features[codes == "mine_at", 0] += 3
    features[codes == "crater", 1] += 3
    return features, codes, np.where(codes == "", 2.0, 1.0), rng.integers(0, 3, count)


def test_the_same_table_gives_the_same_model():
    features, *rest = table()
    one, two = fit(Table(features, *rest), SETTINGS), fit(Table(features, *rest), SETTINGS)
    assert one.calibration == two.calibration
    assert one.held_out.tobytes() == two.held_out.tobytes()
    for name in ("hazard", "namer"):
        first, second = (getattr(fitted, name).predict_proba(features) for fitted in (one, two))
        assert first.tobytes() == second.tobytes()


def test_it_learns_both_questions():
    features, codes, weights, groups = table()
    fitted = fit(Table(features, codes, weights, groups), SETTINGS)
    hazard = codes != ""
    assert fitted.held_out[hazard].mean() > fitted.held_out[~hazard].mean() + 0.3
    assert fitted.namer.classes_.tolist() == ["crater", "mine_at"]
    assert (fitted.namer.predict(features[hazard]) == codes[hazard]).mean() > 0.9
    # Calibrated: the mean of the probabilities is the share of hazards, each row by its weight.
    share = np.average(hazard, weights=weights)
    assert np.average(fitted.held_out, weights=weights) == pytest.approx(share, abs=0.01)


def test_a_fit_is_the_same_on_any_number_of_cores(monkeypatch):
    features, codes, weights, groups = table()
    answers = []
    for cores in (1, 3):
        monkeypatch.setattr(at_once, "cores", lambda cores=cores: cores)
        fitted = fit(Table(features, codes, weights, groups), SETTINGS)
        answers.append((fitted.held_out.tobytes(), fitted.hazard.predict_proba(features).tobytes()))
    assert answers[0] == answers[1]


def test_held_out_answers_are_those_of_a_committee_fitted_on_the_other_sites():
    features, codes, weights, groups = table()
    fitted = fit(Table(features, codes, weights, groups), SETTINGS)
    inside, positive = groups != 0, (codes != "").astype(np.int64)
    heavier = training._heavier(weights[inside], positive[inside], SETTINGS)
    apart = fit_committee(features[inside], positive[inside], heavier, SETTINGS.committee, SETTINGS.seed)
    raw = apart.predict_proba(features[~inside])[:, 1]
    assert calibrated(raw, fitted.calibration) == pytest.approx(fitted.held_out[~inside], abs=1e-6)


def test_few_objects_are_looked_at_further_and_held_back():
    few, many = recipe(60, plain=300), recipe(6000, plain=300)
    assert (few.nudged, many.nudged) == (True, False)
    assert few.committee == many.committee.model_copy(
        update={name: getattr(few.committee, name) for name in ("penalty", "iterations", "leaves")}
    )
    assert few.committee.trees_read == 300


def test_a_site_is_never_asked_about_itself():
    features, codes, weights, groups = table()
    before = fit(Table(features, codes, weights, groups), SETTINGS).held_out
    mine = groups == 0
    changed = codes.copy()
    turned = np.flatnonzero(mine)[:15]
    changed[turned] = np.where(codes[turned] == "", "mine_at", "")
    after = fit(Table(features, changed, weights, groups), SETTINGS).held_out
    # Other labels at site 0 move only the curve laid over the raw answers about site 0, a straight line in logits.
    line = np.polyfit(logit(before[mine]), logit(after[mine]), 1)
    assert np.allclose(np.polyval(line, logit(before[mine])), logit(after[mine]), atol=1e-6)
    line = np.polyfit(logit(before[~mine]), logit(after[~mine]), 1)
    assert not np.allclose(np.polyval(line, logit(before[~mine])), logit(after[~mine]), atol=1e-3)


def one_site(features, codes, weights, groups):
    return features, codes, weights, np.zeros_like(groups)


def no_object(features, codes, weights, groups):
    return features, np.full_like(codes, ""), weights, groups


def nothing_else(features, codes, weights, groups):
    return features, np.full_like(codes, "crater"), weights, groups


@pytest.mark.parametrize("change", [one_site, no_object, nothing_else])
def test_too_little_to_learn_from_is_refused(change):
    with pytest.raises(ModelError, match="at least two sites"):
        fit(Table(*change(*table())), SETTINGS)


def test_undecided_rows_are_refused():
    features, codes, weights, groups = table()
    codes[3] = UNDECIDED
    with pytest.raises(ModelError, match="Undecided"):
        fit(Table(features, codes, weights, groups), SETTINGS)


def test_objects_are_calibrated_as_a_survey_shows_them():
    """Five candidates stand on every object, one on every other place: an object is the likeliest of its five."""
    rng = np.random.default_rng(4)
    objects, others = 60, 240
    copies = np.r_[np.repeat(np.arange(objects), 5), objects + np.arange(others)]
    codes = np.where(copies < objects, "mine_at", "").astype(object)
    features = rng.normal(0, 1, (len(codes), 6)).astype(np.float32)
    features[codes != "", 0] += 1.5
    groups, weights = copies % 3, np.ones(len(codes))
    places = Places(np.zeros(len(codes), int), copies * 10.0 + rng.uniform(0, 0.05, len(codes)), np.zeros(len(codes)),
                    np.full(len(codes), 0.3))  # fmt: skip
    fitted = fit(Table(features, codes, weights, groups), SETTINGS)
    on_objects = calibrate_on_objects(fitted, codes, weights, places)
    shown = best_of_places(fitted.held_out, places)
    assert shown.sum() == objects + others
    right = codes[shown] != ""
    assert on_objects.held_out[shown].mean() == pytest.approx(right.mean(), abs=0.01)
    assert abs(fitted.held_out[shown].mean() - right.mean()) > 0.1
    # One curve does both: what the model will answer is what was calibrated.
    raw = calibrated(fitted.held_out, (1 / fitted.calibration[0], -fitted.calibration[1] / fitted.calibration[0]))
    assert calibrated(raw, on_objects.calibration) == pytest.approx(on_objects.held_out, abs=1e-6)


def test_trees_have_a_vote_each_beside_networks_that_have_seen_other_objects():
    start = MLPClassifier((8,)).partial_fit(np.eye(5, dtype=np.float32), np.arange(5) % 2, classes=[0, 1])
    begun = recipe(60, starts=(start,)).committee
    assert (begun.members, begun.trees_share) == (4, 0.25)
    assert begun.hidden == (8,)
    assert recipe(60).committee.trees_share == 0.5
    assert recipe(6000, starts=(start,)).committee.starts == ()
