"""Give memory back that the C library keeps after arrays are gone."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Return what is free in the heap to the system, where the C library can; what one tile needed is then not kept.

    A tile takes large arrays and many small blocks in turn, so that the heap of a worker would grow by tens of MiB
    over tiles of different sizes (measured by ``benchmarks/batch.py``).
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found
