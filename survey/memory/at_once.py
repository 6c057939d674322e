"""Do independent fits at once, with the same result on any number of cores."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

from survey.cores import cores

Result = TypeVar("Result")


def at_once(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """Call each, as many at a time as there are cores, and return what they return, in their order.

    Within a call libraries keep to one thread: sums that are split among threads round differently with their number.
    """

    def alone(call: Callable[[], Result]) -> Result:
        # OpenMP counts the threads of each calling thread by itself.
        with threadpool_limits(1, user_api="openmp"):
            return call()

    with warnings.catch_warnings():
        # scikit-learn sets the filters of all threads back for a moment in each; one that looks then finds none.
        warnings.filterwarnings("ignore", message="`sklearn.utils.parallel.delayed` should be used")
        with threadpool_limits(1), ThreadPoolExecutor(max(1, min(len(calls), cores()))) as pool:
            return list(pool.map(alone, calls))
