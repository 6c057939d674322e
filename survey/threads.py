"""Vectorised geometry on all cores: the library lets other threads run while it works on an array."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from survey.cores import cores

_MOST = 4
"""Threads at most: beyond them memory, not the processor, sets the pace."""

_WORTH = 20_000
"""Coordinates from which a call is split up; arrays that are no geometry count their rows."""


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
    geometry = arrays[0].ndim == 1 and arrays[0].dtype == object
    sizes = shapely.get_num_coordinates(arrays[0]) if geometry else np.full(count, 4)
    work = np.cumsum(sizes + 1)
    workers = min(_MOST, cores())
    if count < 2 or workers < 2 or work[-1] < _WORTH:
        return np.asarray(function(*arrays, **options))
    # More pieces than threads, of the same work each, since a few rows may hold most of it.
    inner = np.searchsorted(work, np.linspace(0, work[-1], 8 * workers + 1)[1:-1])
    bounds = np.unique(np.concatenate([[0], inner, [count]])).tolist()
    pool = _pool(os.getpid(), workers)
    jobs = [pool.submit(function, *(array[a:b] for array in arrays), **options) for a, b in pairwise(bounds)]
    return np.concatenate([job.result() for job in jobs])


def give_back_memory() -> None:
    """Return freed memory to the system: millions of small shapes leave holes that glibc keeps until it is asked."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


@lru_cache(maxsize=4)
def _pool(process: int, workers: int) -> ThreadPoolExecutor:
    """Return the threads of this process: kept, because each new thread may get memory of its own and keep it."""
    return ThreadPoolExecutor(workers, thread_name_prefix=f"map-plane-{process}")
