"""Ground unlike the ground a model learned from is told; ground like it is not."""

from __future__ import annotations

import numpy as np
import pytest

from survey.memory.drift import background, drift, ground_of

PARTS = np.array([0, 0, 1, 1, 1, -1])


def rows_of(rng, rows=400):
    """Measures of one site, a little apart from those of others; a feature's own spread is wider than that."""
    return rng.normal(rng.normal(0, 0.05, 6), np.exp(rng.normal(0, 0.06, 6)), (rows, 6)).astype(np.float32)


def known_of(sites, seed=0):
    rng = np.random.default_rng(seed)
    features = np.concatenate([rows_of(rng) for _ in range(sites)])
    groups = np.repeat([f"s{number}" for number in range(sites)], 400).astype(object)
    return background(features, np.ones(len(features)), groups, PARTS)


def reached(features, known):
    return drift(ground_of(features, np.ones(len(features))), known, PARTS)


def test_differences_are_counted_in_steps_between_sites():
    known = known_of(60)
    like = rows_of(np.random.default_rng(7))
    assert reached(like, known).max() < 1
    # Half of what candidates differ among themselves, many times what sites do; in the part it is in.
    moved = like + np.float32(0.5) * (PARTS == 1)
    assert reached(moved, known)[0] < 1 < reached(moved, known)[1]
    # The same mean and another spread.
    assert reached(like * np.where(PARTS == 0, 2, 1), known)[0] > 1
    # The size, which is of no part, may be what it is.
    assert reached(like + 9 * (PARTS == -1), known).max() < 1


@pytest.mark.parametrize("sites", [5, 10, 40])
def test_few_of_the_sites_that_are_like_the_others_are_strange(sites):
    rng = np.random.default_rng(3)
    told = [reached(rows_of(rng), known_of(sites, seed)).max() > 1 for seed in range(20) for _ in range(10)]
    assert np.mean(told) < 0.12


def test_a_small_sample_is_told_only_where_it_is_further_off():
    known = known_of(60)
    rng = np.random.default_rng(5)
    assert np.mean([reached(rows_of(rng, rows=30), known).max() > 1 for _ in range(100)]) < 0.2
    step = np.float32(0.2) * (PARTS == 0)
    many, few = (np.mean([reached(rows_of(rng, rows) + step, known)[0] > 1 for _ in range(50)]) for rows in (2000, 25))
    assert many > 0.9 > 0.5 > few


def test_of_one_site_nothing_is_known():
    features = rows_of(np.random.default_rng(1))
    assert reached(features + 9, known_of(1)) is None
    ones, group = np.ones(len(features)), np.full(len(features), "s", object)
    assert background(features[:0], ones[:0], group[:0], PARTS) == {}
    # Too few candidates make no site.
    assert background(features[:50], ones[:50], group[:50], PARTS) == {}


def test_two_sites_are_hardly_enough_to_call_anything_strange():
    features = rows_of(np.random.default_rng(1))
    assert reached(features + np.float32(0.5), known_of(2)).max() < 1


def test_weights_stand_for_rows_that_were_left_out():
    rng = np.random.default_rng(2)
    features = rng.normal(0, 1, (20_000, 6))
    thinned = features[:, 0] > 0
    weights = np.where(thinned, 1.0, 10.0)
    kept = thinned | (rng.random(len(features)) < 0.1)
    whole, part = ground_of(features, np.ones(len(features))), ground_of(features[kept], weights[kept])
    assert np.allclose(whole.mean, part.mean, atol=0.07)
    assert np.allclose(whole.variance, part.variance, atol=0.07)
    assert part.count < kept.sum() / 2


@pytest.mark.parametrize(
    "change",
    [
        {"limits": []}, {"limits": [1.0, 1.0, 1.0, 0.0]}, {"mean": [1.0]}, {"within": None}, {"spread": [[1.0]] * 6},
        {"mean": ["a"] * 6}, {"usual": None}, {"usual": float("nan")}, {"sites": 1}, {"mean_apart": [float("inf")] * 6},
    ],
)  # fmt: skip
def test_a_card_that_cannot_be_used_tells_nothing(change):
    features = rows_of(np.random.default_rng(1))
    known = known_of(30)
    assert reached(features + 9, known).max() > 1
    assert reached(features + 9, known | change) is None


@pytest.mark.parametrize("known", [{}, [], "text", {"mean": [0.0] * 6, "spread": [1.0] * 6, "sites": 9, "usual": 0.4}])
def test_cards_of_earlier_versions_tell_nothing(known):
    assert reached(rows_of(np.random.default_rng(1)), known) is None


def test_every_shipped_model_knows_its_ground():
    from survey.api import load_model

    for roles in (("red", "green", "blue"), ("nir", "green", "blue"), ("thermal",)):
        model = load_model(None, roles)
        known = model.card["background"]
        # Of the 30 sessions and zones of thermal frames 18 show enough that stands out: too few to be counted by.
        assert known["sites"] > (20 if len(roles) > 1 else 15)
        assert known["usual"] > 1 or known["sites"] < 20
        assert len(known["mean"]) == model.hazard.estimators_[0].n_features_in_
