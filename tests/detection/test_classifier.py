from __future__ import annotations

import numpy as np
import pytest

from survey.detection.classifier import answers_of, may_reach, name_of, probability_of
from survey.memory.committee import Committee, fit_committee, networks_of, seated


@pytest.fixture(scope="module")
def asked():
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (3000, 40)).astype(np.float32)
    positive = (features[:, 0] + features[:, 1] > 0).astype(np.int64)
    small = Committee(iterations=3, networks=2, hidden=(32, 16), epochs=2)
    return fit_committee(features, positive, np.ones(3000), small, seed=0), features


def test_an_answer_does_not_depend_on_what_is_asked_beside_it(asked):
    committee, features = asked
    together = answers_of(committee, features)
    assert together.shape == (3000, 2)
    assert np.allclose(together, committee.predict_proba(features), atol=1e-5)
    for rows in (slice(0, 1), slice(5, 700), slice(1023, 1026), slice(17, 2999)):
        assert answers_of(committee, features[rows]).tobytes() == together[rows].tobytes()


def test_nothing_asked_nothing_answered(asked):
    committee, features = asked
    assert probability_of(features[:0], committee, (1.0, 0.0)).shape == (0,)
    assert name_of(features[:0], committee).shape == (0,)


def test_the_calibration_bends_the_answers(asked):
    committee, features = asked
    plain = probability_of(features[:50], committee, (1.0, 0.0))
    assert np.allclose(plain, committee.predict_proba(features[:50])[:, 1], atol=1e-5)
    assert (probability_of(features[:50], committee, (1.0, -2.0)) < plain).all()


class Undecided:
    classes_ = np.array(["crater", "mine_at", "shell"])

    def predict_proba(self, features):
        return np.where(features[:, :1] > 0, [[0.1, 0.8, 0.1]], [[0.4, 0.3, 0.3]])


def test_a_class_without_half_of_the_probability_is_not_named():
    features = np.array([[1.0], [-1.0]], np.float32)
    assert name_of(features, Undecided()).tolist() == ["mine_at", "unknown_object"]


@pytest.mark.parametrize("least", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("calibration", [(1.0, 0.0), (0.9, -1.5), (1.3, 0.8), (-1.0, 0.0)])
def test_all_that_reach_a_probability_may_and_of_networks_hardly_any_other(asked, least, calibration):
    committee, features = asked
    reached = probability_of(features, committee, calibration) >= least
    may = may_reach(features, committee, calibration, least)
    assert may[reached].all()
    alone = seated(networks_of(committee), 0.0)
    reached = probability_of(features, alone, calibration) >= least
    may = may_reach(features, alone, calibration, least)
    assert may[reached].all()
    assert (may & ~reached).sum() < 0.01 * len(features)


def test_another_classifier_is_asked_exactly(asked):
    committee, features = asked
    trees = committee.estimators_[0].estimator
    reached = probability_of(features, trees, (1.0, 0.0)) >= 0.3
    assert (may_reach(features, trees, (1.0, 0.0), 0.3) == reached).all()
