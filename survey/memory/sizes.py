"""Sizes a class is looked for at, from the labels themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# A compact object answers between these multiples of the mean of its sides and of its longer side; a long one between
# these multiples of its shorter side. They give the sizes the shipped models use for the shipped classes.
_COMPACT = (0.72, 1.1)
_LONG = (0.95, 2.8)
_SLENDER = 3.0
# Share of the labels, at either end, that may lie outside: a few boxes are always far too large or too small.
_TAIL = 0.1


def sizes_for(
    length_m: NDArray[np.float64], width_m: NDArray[np.float64], ladder_m: Sequence[float]
) -> tuple[float, ...]:
    """Steps of the ladder of sizes at which objects of these sides stand out.

    Parameters
    ----------
    length_m, width_m : float arrays, shape (n,)
        Longer and shorter sides of the labels of one class, metres.
    ladder_m : sequence of float
        Diameters that can be looked for, metres, ascending.

    Examples
    --------
    >>> import numpy as np
    >>> ladder = [round(0.06 * 2 ** (step / 2), 4) for step in range(17)]
    >>> sizes_for(np.array([0.119]), np.array([0.062]), ladder)
    (0.0849, 0.12)
    >>> sizes_for(np.array([1.9]), np.array([0.122]), ladder)
    (0.12, 0.1697, 0.24, 0.3394)
    """
    long = length_m > _SLENDER * width_m
    low = np.where(long, _LONG[0] * width_m, _COMPACT[0] * np.sqrt(length_m * width_m))
    high = np.where(long, _LONG[1] * width_m, _COMPACT[1] * length_m)
    least, most = float(np.quantile(low, _TAIL)), float(np.quantile(high, 1 - _TAIL))
    steps = np.asarray(ladder_m, dtype=float)
    chosen = steps[(steps >= least) & (steps <= most)]
    if not len(chosen):
        middle = np.sqrt(least * most)
        chosen = steps[[int(np.abs(np.log(steps / middle)).argmin())]]
    return tuple(float(step) for step in chosen)
