from __future__ import annotations

import numpy as np
import pytest

from survey.memory.sieve import OBJECTS_KEPT, fit_sieve


@pytest.fixture(scope="module")
def looks():
    """First looks of which two tell objects from the rest, half of the way."""
    rng = np.random.default_rng(4)
    positive = rng.random(20_000) < 0.05
    first = rng.normal(0, 1, (20_000, 8)).astype(np.float32)
    first[positive, 0] += 2.0
    first[positive, 1] -= 1.0
    return first, positive, np.array([f"site {i}" for i in rng.integers(0, 40, 20_000)], dtype=object)


def test_a_sieve_keeps_its_share_of_objects_and_drops_most_of_the_rest(looks):
    first, positive, sites = looks
    sieve, least = fit_sieve(first, positive, sites)
    rng = np.random.default_rng(5)
    new = rng.normal(0, 1, (20_000, 8)).astype(np.float32)
    there = rng.random(20_000) < 0.05
    new[there, 0] += 2.0
    new[there, 1] -= 1.0
    kept = sieve.predict_proba(new)[:, 1] >= least
    assert kept[there].mean() == pytest.approx(OBJECTS_KEPT, abs=0.04)
    assert kept[~there].mean() < 0.5


def test_the_same_candidates_give_the_same_sieve(looks):
    (one, least), (other, again) = fit_sieve(*looks), fit_sieve(*looks)
    assert least == again
    assert all(np.array_equal(a, b) for a, b in zip(one.coefs_, other.coefs_, strict=True))
