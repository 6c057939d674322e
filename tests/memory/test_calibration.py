from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from survey.memory.calibration import Places, after, best_of_places, calibrated, platt


def test_the_curve_rises_and_leaves_probabilities():
    raw = np.array([0.0, 0.2, 0.5, 1.0])
    assert calibrated(raw, (1.0, 0.0)) == pytest.approx(raw, abs=1e-8)
    assert (np.diff(calibrated(raw, (0.7, -1.0))) > 0).all()


def test_the_curve_gives_back_what_was_true():
    rng = np.random.default_rng(0)
    raw = rng.uniform(0.01, 0.99, 40_000)
    truth = rng.random(40_000) < calibrated(raw, (0.6, -1.2))
    assert platt(raw, truth, np.ones(40_000)) == pytest.approx((0.6, -1.2), abs=0.05)
    # A row that stands for two is the same as two rows.
    twice = platt(np.r_[raw, raw[:100]], np.r_[truth, truth[:100]], np.ones(40_100))
    assert platt(raw, truth, np.where(np.arange(40_000) < 100, 2.0, 1.0)) == pytest.approx(twice, abs=1e-5)


def test_two_curves_are_one():
    raw = np.linspace(0.05, 0.95, 7)
    assert calibrated(raw, after((0.8, 0.3), (1.5, -0.4))) == pytest.approx(
        calibrated(calibrated(raw, (0.8, 0.3)), (1.5, -0.4))
    )


def plainly(score, places):
    """The definition, one after the other."""
    kept = []
    order = sorted(range(len(score)), key=lambda i: (-score[i], places.x_m[i], places.y_m[i]))
    for one in order:
        near = any(
            places.picture[one] == places.picture[other]
            and np.hypot(places.x_m[one] - places.x_m[other], places.y_m[one] - places.y_m[other])
            < 0.6 * max(places.diameter_m[one], places.diameter_m[other])
            for other in kept
        )
        if not near:
            kept.append(one)
    return sorted(kept)


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_the_best_of_each_place_is_kept(seed, count):
    rng = np.random.default_rng(seed)
    places = Places(
        rng.integers(0, 3, count),
        rng.uniform(0, 2, count),
        rng.uniform(0, 2, count),
        rng.choice([0.2, 0.5, 1.0], count),
    )
    score = rng.random(count)
    assert np.flatnonzero(best_of_places(score, places)).tolist() == plainly(score, places)


def test_of_nothing_nothing_is_kept():
    none = np.empty(0)
    assert best_of_places(none, Places(np.empty(0, int), none, none, none)).tolist() == []
