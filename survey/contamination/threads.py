"""Vectorised geometry on all cores: the library lets other threads run while it works on an array."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

_MOST = 4
"""Threads at most: beyond them memory, not the processor, sets the pace."""

_WORTH = 512
"""Rows from which a call is split up."""


def in_threads(function: Callable[..., Any], *arrays: npt.NDArray[Any], **options: Any) -> npt.NDArray[Any]:
    """Return ``function(*arrays, **options)`` for a function that works row by row, on several cores.

    Parameters
    ----------
    function : callable
        Takes arrays of one length, returns an array of that length.
    arrays : arrays, shape (n,)
    options
        Passed on as they are.
    """
    count = len(arrays[0])
    workers = min(_MOST, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    if count < _WORTH or workers < 2:
        return np.asarray(function(*arrays, **options))
    # More pieces than threads, since a few rows may hold most of the work.
    bounds = np.linspace(0, count, 8 * workers + 1).astype(np.int64).tolist()
    with ThreadPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(function, *(array[a:b] for array in arrays), **options)
            for a, b in pairwise(bounds)
        ]
        return np.concatenate([job.result() for job in jobs])
