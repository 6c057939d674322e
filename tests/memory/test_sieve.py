from __future__ import annotations

import numpy as np
import pytest

from survey.memory.sieve import OBJECTS_KEPT, fit_sieve


@pytest.fixture(scope="module")
def looks():
    """First looks of which two tell objects from the rest, half of the way; an object has two candidates."""
    first, objects, sites = _made_up(4)
    return first, np.where(objects >= 0, 0.5, 1.0), objects, sites


def _made_up(seed):
    rng = np.random.default_rng(seed)
    objects = np.where(rng.random(20_000) < 0.05, rng.integers(0, 500, 20_000), -1)
    first = rng.normal(0, 1, (20_000, 8)).astype(np.float32)
    first[objects >= 0, 0] += 2.0
    first[objects >= 0, 1] -= 1.0
    sites = np.where(objects >= 0, objects % 40, rng.integers(0, 40, 20_000))
    return first, objects, np.array([f"site {i}" for i in sites], dtype=object)


def test_a_sieve_keeps_its_share_of_objects_and_drops_most_of_the_rest(looks):
    sieve, least = fit_sieve(*looks)
    first, objects, _ = _made_up(5)
    kept = sieve.predict_proba(first)[:, 1] >= least
    with_any = np.unique(objects[kept & (objects >= 0)])
    assert len(with_any) / len(np.unique(objects[objects >= 0])) == pytest.approx(OBJECTS_KEPT, abs=0.04)
    assert kept[objects < 0].mean() < 0.5


def test_the_same_candidates_give_the_same_sieve(looks):
    (one, least), (other, again) = fit_sieve(*looks), fit_sieve(*looks)
    assert least == again
    assert all(np.array_equal(a, b) for a, b in zip(one.coefs_, other.coefs_, strict=True))
