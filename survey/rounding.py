"""Rounding that keeps sums: the parts of a whole, rounded, add up to the whole, rounded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def largest_remainder(parts: Floats, total: Floats, decimals: int = 4) -> Floats:
    """Round the parts of each row so that they add up to the rounded total.

    Every part is rounded down and the units that are left go to the parts with the largest remainders
    (Hamilton's method), ties to the first column. No part moves by more than one unit.

    Parameters
    ----------
    parts : array, shape (rows, columns)
        Not negative.
    total : array, shape (rows,)
        Sum of each row, to within a few units.
    decimals : int
        Decimals kept; 4 of a hectare are a square metre.

    Examples
    --------
    >>> import numpy as np
    >>> largest_remainder(np.array([[0.5, 0.25, 0.25]]), np.array([1.0]), decimals=0)
    array([[1., 0., 0.]])
    """
    scale = 10.0**decimals
    scaled = np.maximum(np.asarray(parts, dtype=np.float64), 0.0) * scale
    down = np.floor(scaled + 1e-9)
    left = np.rint(np.asarray(total, dtype=np.float64) * scale) - down.sum(axis=1)
    order = np.argsort(-(scaled - down), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(parts.shape[1]), parts.shape), axis=1)
    down += rank < left[:, None]
    # Floating sums of the parts may exceed the total by a unit; it is taken from the largest part.
    over = np.minimum(left, 0.0)
    largest = np.argmax(down, axis=1)
    down[np.arange(len(down)), largest] += over
    return np.asarray(down / scale)


def largest_remainder_by_group(parts: Floats, group: npt.NDArray[np.int64], total: Floats, decimals: int = 4) -> Floats:
    """Round ``parts`` so that those of one group add up to the group's rounded total.

    Parameters
    ----------
    parts : array, shape (n,)
    group : int array, shape (n,)
        Group of each part, an index into ``total``.
    total : array, shape (groups,)
    decimals : int
    """
    scale = 10.0**decimals
    scaled = np.maximum(np.asarray(parts, dtype=np.float64), 0.0) * scale
    down = np.floor(scaled + 1e-9)
    left = np.rint(np.asarray(total) * scale) - np.bincount(group, weights=down, minlength=len(total))
    order = np.lexsort((np.arange(len(parts)), -(scaled - down), group))
    first = np.searchsorted(group[order], np.arange(len(total)))
    rank = np.arange(len(parts)) - first[group[order]]
    down[order] += rank < left[group[order]]
    over = np.flatnonzero(left < 0)
    for index in over:  # floating noise only: a handful of groups at most
        members = np.flatnonzero(group == index)
        if len(members):
            down[members[np.argmax(down[members])]] += left[index]
    return np.asarray(down / scale)
