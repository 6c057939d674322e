from __future__ import annotations

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from survey.memory import committee
from survey.memory.committee import Committee, fit_committee, fit_trees
from survey.memory.negatives import fit_pilot, thin_negatives

SMALL = Committee(iterations=20, leaves=6, leaf_samples=5, feature_share=1.0, networks=2, hidden=(16,), epochs=40)


def table(count=600, seed=0):
    """A question that needs two measures at once, on scales far apart; the third measure never changes."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (count, 4)).astype(np.float32)
    positive = (features[:, 0] * features[:, 1] > 0).astype(np.int64)
    features[:, 0] = features[:, 0] * 1000 + 500
    features[:, 2] = 7
    return features, positive, rng.choice([1.0, 3.0], count)


def test_a_member_is_a_plain_classifier_of_the_measures_as_they_are():
    features, positive, weights = table()
    vote = fit_committee(features, positive, weights, SMALL, seed=0)
    members = [member.estimator for member in vote.estimators_]
    assert [type(member) is MLPClassifier for member in members] == [False, True, True]
    answers = [member.predict_proba(features)[:, 1] for member in members]
    assert np.allclose(vote.predict_proba(features)[:, 1], np.average(answers, axis=0, weights=[2, 1, 1]), atol=1e-6)
    for answer in answers:
        assert ((answer > 0.5) == positive).mean() > 0.85
    assert not np.allclose(answers[1], answers[2], atol=1e-3)


def test_trees_may_read_the_leading_features_alone():
    features, positive, weights = table()
    some = fit_trees(features, positive, weights, SMALL.model_copy(update={"trees_read": 2}), 0)
    alone = fit_trees(features[:, :2], positive, weights, SMALL, 0)
    assert some.predict_proba(features).tobytes() == alone.predict_proba(features[:, :2]).tobytes()
    other = features.copy()
    other[:, 2:] += 1000
    assert some.predict_proba(other).tobytes() == some.predict_proba(features).tobytes()
    assert some.n_features_in_ == 4
    # Networks read all of them.
    vote = fit_committee(features, positive, weights, SMALL.model_copy(update={"trees_read": 2}), 0)
    assert vote.predict_proba(other).tobytes() != vote.predict_proba(features).tobytes()


def test_larger_batches_make_larger_steps():
    usual, larger, small = (
        committee._untaught(count, SMALL.model_copy(update={"batch": batch}), 0)
        for count, batch in ((20_000, 256), (20_000, 1024), (2_000, 1024))
    )
    assert (usual.batch_size, larger.batch_size, small.batch_size) == (256, 1000, 100)
    assert usual.learning_rate_init == small.learning_rate_init == 1e-3
    assert larger.learning_rate_init == pytest.approx(1e-3 * np.sqrt(1000 / 256))


def test_scaling_is_part_of_the_first_layer():
    features, positive, weights = table()
    centre, scale = committee._scaling(features, weights)
    assert np.average(features[:, 0], weights=weights) == pytest.approx(centre[0], rel=1e-4)
    assert scale[2] == 1
    scaled = (features - centre) / scale
    network = committee._untaught(len(scaled), SMALL, 5)
    committee._teach(network, scaled, positive, weights.astype(scaled.dtype))
    before = network.predict_proba(scaled)
    committee._fold_scaling(network, centre, scale)
    assert np.allclose(network.predict_proba(features), before, atol=1e-4)


def test_a_network_that_begins_with_another_learns_more_from_few_rows():
    features, positive, weights = table(4000)
    other = committee.fit_network(features, positive, weights, SMALL, 3)
    # Objects of another kind: the same two measures tell them, the other way round.
    few, held = np.arange(40), np.arange(1000, 4000)
    asked = features[held]
    scores = []
    for starts in ((), (other,)):
        settings = SMALL.model_copy(update={"epochs": 5, "starts": starts})
        network = committee.fit_network(features[few], positive[few], weights[few], settings, 1)
        scores.append((network.predict(asked) == positive[held]).mean())
    assert scores[0] < 0.75 < 0.85 < scores[1]
    again = committee.fit_network(features[few], positive[few], weights[few], settings, 1)
    assert np.array_equal(again.coefs_[0], network.coefs_[0])
    assert "starts" not in settings.model_dump()


def test_a_network_keeps_no_weights_that_are_hardly_numbers():
    features, positive, weights = table(600)
    start = committee.fit_network(features, positive, weights, SMALL, 0)
    # A neuron that is never active; what the penalty left of its weights.
    start.coefs_[0][:, 3], start.intercepts_[0][3], start.coefs_[1][3] = 1e-39, -1, 1e-39
    settings = SMALL.model_copy(update={"starts": (start,), "epochs": 3})
    begun = committee.fit_network(features, positive, weights, settings, 1)
    for layer in begun.coefs_:
        assert not ((layer != 0) & (np.abs(layer) < 1e-20)).any()


def test_without_networks_the_trees_sit_alone():
    features, positive, weights = table()
    vote = fit_committee(features, positive, weights, SMALL.model_copy(update={"networks": 0}), seed=0)
    assert len(vote.estimators_) == 1


def test_without_trees_the_networks_share_the_vote():
    features, positive, weights = table()
    vote = fit_committee(features, positive, weights, SMALL.model_copy(update={"iterations": 0}), seed=0)
    assert [type(member.estimator) for member in vote.estimators_] == [MLPClassifier, MLPClassifier]
    answers = [member.predict_proba(features)[:, 1] for member in vote.estimators_]
    assert np.allclose(vote.predict_proba(features)[:, 1], np.mean(answers, axis=0), atol=1e-6)


def test_trees_are_no_worse_for_the_steps(monkeypatch):
    features, positive, weights = table(3000)
    held, seen = slice(0, 1000), slice(1000, None)
    scores = []
    for many in (committee._MANY_ROWS, 0):
        monkeypatch.setattr(committee, "_MANY_ROWS", many)
        trees = fit_trees(features[seen], positive[seen], weights[seen], SMALL, seed=0)
        scores.append((trees.predict(features[held]) == positive[held]).mean())
    assert scores[0] > 0.9
    assert scores[0] == pytest.approx(scores[1], abs=0.02)


def test_negatives_are_thinned_by_how_easy_they_are():
    features, positive, weights = table(4000)
    positive = positive.astype(bool) & (np.arange(4000) % 4 == 0)
    pilot = fit_pilot(features[:2000], positive[:2000], weights[:2000])
    rows, stands_for = thin_negatives(features, positive, pilot, seed=1)
    assert positive[rows].sum() == positive.sum()
    assert (np.diff(rows) > 0).all()
    assert stands_for.sum() == pytest.approx(4000, rel=0.1)
    assert len(rows) < 0.6 * 4000
    dropped = np.setdiff1d(np.arange(4000), rows)
    assert pilot.trees.predict_proba(features[dropped])[:, 1].max() < pilot.hard
    assert (stands_for[positive[rows]] == 1).all()
    assert [len(part) for part in thin_negatives(features[:0], positive[:0], pilot, seed=1)] == [0, 0]
