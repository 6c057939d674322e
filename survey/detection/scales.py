"""Which sizes are looked for, and at which reduction of the imagery each of them is seen best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# The ladder of sizes: diameters in metres, a factor of the square root of two apart.
LADDER_M = tuple(round(0.06 * 2 ** (step / 2), 4) for step in range(17))

# A size is searched in the octave in which it is from 7 to 14 pixels across. Below 5 pixels at full
# resolution it is not searched: a rule of thumb of the Johnson kind, no published threshold.
PIXELS_ACROSS = 7.0
FEWEST_PIXELS_ACROSS = 5.0

# What stands out at a size is sought one octave coarser than it is measured, where it is still half as many pixels
# across: a quarter of the work, and a peak there tells its finer pixel by the side that rises.
SOUGHT_HALVED_FROM = PIXELS_ACROSS

# Octaves that one pass over the pixels serves by halving what it has read.
_OCTAVES_A_PASS = 3

# Sums of filter supports and the circles around, in diameters, and the blocks statistics are taken in.
REACH_IN_DIAMETERS = 6.2
REACH_IN_BLOCKS = 3
BLOCK = 8


@dataclass(frozen=True)
class Pass:
    """One walk over a level of a scene that looks for some sizes.

    Attributes
    ----------
    level : int
        The scene reduced 2**level times.
    scales : tuple of (octave, diameter_px, diameter_m)
        Sizes looked for: halvings of the level, diameter in pixels there, and in metres.
    halo : int
        Pixels of the level that have to be read around a core.
    multiple : int
        Windows start and end at multiples of so many pixels from the scene's origin.
    finest : bool
        Whether this is the finest pass of the scene, the one that measures what could be seen.
    gsd_m : float
        Ground sampling distance of the level, metres.
    sampled : int
        Every so many-th row and column of pixels is kept for a picture of the scene; 0: none.
    reduced : tuple of int
        Levels that the file lacks and further passes are to read, made of the pixels of this one.
    """

    level: int
    scales: tuple[tuple[int, float, float], ...]
    halo: int
    multiple: int
    finest: bool
    gsd_m: float
    sampled: int = 0
    reduced: tuple[int, ...] = ()

    @property
    def octaves(self) -> tuple[int, ...]:
        """Octaves the scales need, ascending."""
        return tuple(sorted({octave for octave, _, _ in self.scales}))


def nearest_scale(diameter_m: float) -> float:
    """Step of the ladder nearest to a diameter (metres), by ratio."""
    return min(LADDER_M, key=lambda step: abs(math.log(step / diameter_m)))


def plan_passes(gsd_m: float, scales_by_class: Mapping[str, Sequence[float]]) -> tuple[Pass, ...]:
    """Group the sizes of the wanted classes into passes over the imagery, finest first.

    Parameters
    ----------
    gsd_m : float
        Ground sampling distance at full resolution, metres.
    scales_by_class : mapping of class code to diameters in metres (steps of the ladder)

    Returns
    -------
    tuple of Pass; empty where the imagery is too coarse for every size.
    """
    wanted = sorted({scale for scales in scales_by_class.values() for scale in scales})
    by_octave: dict[int, list[float]] = {}
    for diameter in wanted:
        across = diameter / gsd_m
        if across < FEWEST_PIXELS_ACROSS:
            continue
        by_octave.setdefault(max(0, math.floor(math.log2(across / PIXELS_ACROSS) + 1e-9)), []).append(diameter)
    passes: list[Pass] = []
    while by_octave:
        first = min(by_octave)
        # One octave finer is read too: the inside of an object is measured there.
        level = max(0, first - 1)
        scales: list[tuple[int, float, float]] = []
        for octave in sorted(by_octave):
            if octave < first + _OCTAVES_A_PASS:
                pixel = gsd_m * 2**octave
                scales += [(octave - level, diameter / pixel, diameter) for diameter in by_octave.pop(octave)]
        deepest = max(octave for octave, _, _ in scales)
        reach = max(across * 2**octave for octave, across, _ in scales) * REACH_IN_DIAMETERS
        multiple = BLOCK * 2**deepest
        halo = math.ceil(reach) + REACH_IN_BLOCKS * multiple
        passes.append(Pass(level, tuple(scales), halo, multiple, not passes, gsd_m * 2**level))
    return tuple(passes)
