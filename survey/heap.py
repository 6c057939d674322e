"""Let the C library keep what one tile needs for the next, and give back what it keeps between tiles."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache

# glibc's numbers (mallopt(3)) and what they are set to, bytes: arrays of a tile come from the heap and stay in it,
# instead of being mapped, zeroed and unmapped each time, which is a third of the time of a filter.
_SETTINGS = {"M_TRIM_THRESHOLD": (-1, 1 << 25), "M_TOP_PAD": (-2, 1 << 22), "M_MMAP_THRESHOLD": (-3, 1 << 23)}


def give_back() -> None:
    """Return what is free in the heap to the system, where the C library can; what one tile needed is then not kept.

    A tile takes large arrays and many small blocks in turn, so that the heap of a worker would grow by tens of MiB
    over tiles of different sizes (measured by ``benchmarks/batch.py``). Until the next call the heap keeps what it has.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    found: Callable[[int], int] | None = getattr(library, "malloc_trim", None)
    settle: Callable[[int, int], int] | None = getattr(library, "mallopt", None)
    if found is not None and settle is not None:
        for number, value in _SETTINGS.values():
            settle(number, value)
    return found
