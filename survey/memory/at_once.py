"""Do independent fits at once, with the same result on any number of cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

Result = TypeVar("Result")


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def at_once(calls: Sequence[Callable[[], Result]]) -> list[Result]:
    """Call each, as many at a time as there are cores, and return what they return, in their order.

    Within a call libraries keep to one thread: sums that are split among threads round differently with their number.
    """

    def alone(call: Callable[[], Result]) -> Result:
        # OpenMP counts the threads of each calling thread by itself.
        with threadpool_limits(1, user_api="openmp"):
            return call()

    with threadpool_limits(1), ThreadPoolExecutor(max(1, min(len(calls), cores()))) as pool:
        return list(pool.map(alone, calls))
