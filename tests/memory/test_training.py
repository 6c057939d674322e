from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from survey.errors import ModelError
from survey.memory.committee import Committee
from survey.memory.labelling import UNDECIDED
from survey.memory.training import Training, calibrated, fit

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
    one, two = fit(features, *rest, SETTINGS), fit(features, *rest, SETTINGS)
    assert one.calibration == two.calibration
    assert one.held_out.tobytes() == two.held_out.tobytes()
    for name in ("hazard", "namer"):
        first, second = (getattr(fitted, name).predict_proba(features) for fitted in (one, two))
        assert first.tobytes() == second.tobytes()


def test_it_learns_both_questions():
    features, codes, weights, groups = table()
    fitted = fit(features, codes, weights, groups, SETTINGS)
    hazard = codes != ""
    assert fitted.held_out[hazard].mean() > fitted.held_out[~hazard].mean() + 0.3
    assert fitted.namer.classes_.tolist() == ["crater", "mine_at"]
    assert (fitted.namer.predict(features[hazard]) == codes[hazard]).mean() > 0.9
    # Calibrated: the mean of the probabilities is the share of hazards, each row by its weight.
    share = np.average(hazard, weights=weights)
    assert np.average(fitted.held_out, weights=weights) == pytest.approx(share, abs=0.01)


def test_a_site_is_never_asked_about_itself():
    features, codes, weights, groups = table()
    before = fit(features, codes, weights, groups, SETTINGS).held_out
    mine = groups == 0
    changed = codes.copy()
    turned = np.flatnonzero(mine)[:15]
    changed[turned] = np.where(codes[turned] == "", "mine_at", "")
    after = fit(features, changed, weights, groups, SETTINGS).held_out
    # Other labels at site 0 move only the curve laid over the raw answers about site 0, a straight line in logits.
    line = np.polyfit(logit(before[mine]), logit(after[mine]), 1)
    assert np.allclose(np.polyval(line, logit(before[mine])), logit(after[mine]), atol=1e-6)
    line = np.polyfit(logit(before[~mine]), logit(after[~mine]), 1)
    assert not np.allclose(np.polyval(line, logit(before[~mine])), logit(after[~mine]), atol=1e-3)


def test_the_curve_rises_and_leaves_probabilities():
    raw = np.array([0.0, 0.2, 0.5, 1.0])
    assert calibrated(raw, (1.0, 0.0)) == pytest.approx(raw, abs=1e-8)
    assert (np.diff(calibrated(raw, (0.7, -1.0))) > 0).all()


def one_site(features, codes, weights, groups):
    return features, codes, weights, np.zeros_like(groups)


def no_object(features, codes, weights, groups):
    return features, np.full_like(codes, ""), weights, groups


def nothing_else(features, codes, weights, groups):
    return features, np.full_like(codes, "crater"), weights, groups


@pytest.mark.parametrize("change", [one_site, no_object, nothing_else])
def test_too_little_to_learn_from_is_refused(change):
    with pytest.raises(ModelError, match="at least two sites"):
        fit(*change(*table()), SETTINGS)


def test_undecided_rows_are_refused():
    features, codes, weights, groups = table()
    codes[3] = UNDECIDED
    with pytest.raises(ModelError, match="Undecided"):
        fit(features, codes, weights, groups, SETTINGS)


def test_rarer_objects_are_less_probable():
    features, codes, weights, groups = table()
    usual = fit(features, codes, weights, groups, SETTINGS).held_out
    rare = fit(features, codes, weights, groups, SETTINGS.model_copy(update={"rarity": 5.0})).held_out
    assert (rare < usual).all()
    share = np.average(codes != "", weights=np.where(codes != "", weights / 5, weights))
    assert np.average(rare, weights=np.where(codes != "", weights / 5, weights)) == pytest.approx(share, abs=0.01)
