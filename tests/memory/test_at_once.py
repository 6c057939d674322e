from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from survey.memory import at_once
from survey.memory.committee import Committee, fit_committee


def test_results_come_in_the_order_of_the_calls_and_libraries_keep_to_one_thread():
    met = threading.Barrier(2, timeout=60)

    def call(number):
        if number < 2:
            met.wait()  # the first two are under way at the same time
        return number, {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    if at_once.cores() < 2:
        pytest.skip("needs: two cores")
    results = at_once.at_once([lambda n=n: call(n) for n in range(5)])
    assert [number for number, _ in results] == list(range(5))
    assert all(threads == {1} for _, threads in results)


def test_a_call_that_fails_says_so():
    with pytest.raises(ZeroDivisionError):
        at_once.at_once([lambda: 1, lambda: 1 // 0])


def test_a_committee_is_the_same_on_any_number_of_cores(monkeypatch):
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (3000, 30)).astype(np.float32)
    positive = (features[:, 0] * features[:, 1] > 0).astype(np.int64)
    settings = Committee(iterations=10, networks=2, hidden=(32,), epochs=3)
    answers = []
    for cores in (1, 3):
        monkeypatch.setattr(at_once, "cores", lambda cores=cores: cores)
        committee = fit_committee(features, positive, np.ones(3000), settings, seed=0)
        answers.append(committee.predict_proba(features).tobytes())
    assert answers[0] == answers[1]
