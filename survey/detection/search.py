"""The road of one tile: channels, octaves, candidates, a first look that drops most, features of the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from survey.detection.candidates import finer_pixels, peaks_of, strength_of
from survey.detection.channels import channels_of, pyramid
from survey.detection.features import first_look, first_look_width, measure
from survey.detection.filling import fill_invalid
from survey.detection.networks import ROUGH, network_answers, rough_answers
from survey.detection.patches import STEPS, detail_samples, patches_of, polar_samples
from survey.detection.scales import BLOCK, REACH_IN_BLOCKS, REACH_IN_DIAMETERS, SOUGHT_HALVED_FROM, Pass, plan_passes

if TYPE_CHECKING:
    from sklearn.neural_network import MLPClassifier

Ints = NDArray[np.int64]
Octaves = Mapping[int, NDArray[np.uint8]]

# Candidates measured at once: few enough that their patches stay in the processor's cache.
_BATCH = 256

NUDGES = ((-0.1, 0.0, 1.0), (0.1, 0.0, 1.0), (0.0, -0.1, 1.0), (0.0, 0.1, 1.0), (0.0, 0.0, 0.88), (0.0, 0.0, 1.14))
"""How far down and right of its place, in diameters, and at what multiple of its size a candidate is measured again."""


@dataclass(frozen=True)
class FirstStage:
    """What is worth measuring.

    Attributes
    ----------
    strength : float
        From which a local maximum is a candidate.
    sieve : MLPClassifier, optional
        Asked about the first look at a candidate; default all are measured.
    least : float
        Answer of the sieve from which a candidate is measured.
    """

    strength: float
    sieve: MLPClassifier | None = None
    least: float = 0.0

    def keeps(self, features: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which candidates are worth measuring.

        Parameters
        ----------
        features : float32 array, shape (n, at least as many as the sieve reads)
            They begin with the first look.
        """
        if self.sieve is None or not len(features):
            return np.ones(len(features), bool)
        first = features[:, : self.sieve.n_features_in_]
        answers = rough_answers(self.sieve, first)
        kept = answers >= self.least + ROUGH
        # Not-a-number is no answer either.
        near = np.flatnonzero(~kept & ~(answers < self.least - ROUGH))
        kept[near] = network_answers(self.sieve, first[near])[:, 1] >= self.least
        return kept


@dataclass(frozen=True)
class Found:
    """Candidates of one tile; every array has one entry a candidate.

    Attributes
    ----------
    octave : int array
        Halvings of the level.
    row, col : int arrays
        Representative pixel, pixels of the octave counted from the scene's origin.
    diameter_m, diameter_px : float arrays
        Size at which it stands out, metres and pixels of the octave.
    strength : float32 array
    features : float32 array, shape (n, number of features)
    """

    octave: Ints
    row: Ints
    col: Ints
    diameter_m: NDArray[np.float64]
    diameter_px: NDArray[np.float64]
    strength: NDArray[np.float32]
    features: NDArray[np.float32]

    def level_pixel(self) -> tuple[Ints, Ints]:
        """Row and column in pixels of the level: the one just past the middle of the octave's pixel."""
        return _middle(self.row, self.octave), _middle(self.col, self.octave)

    def take(self, which: NDArray[np.bool_] | Ints) -> Found:
        """Only some of the candidates."""
        return Found(**{name: values[which] for name, values in vars(self).items()})


def _middle(index: Ints, octave: Ints | int) -> Ints:
    return index * 2**octave + 2**octave // 2


def octaves_of(pixels: NDArray[np.uint8], valid: NDArray[np.bool_], a_pass: Pass) -> Octaves:
    """Channels of a chip at every octave the pass needs; arrays of shape (row, col, channel)."""
    block = BLOCK * 2 ** max(a_pass.octaves)
    return pyramid(channels_of(fill_invalid(pixels, valid, block)), 1 + max(a_pass.octaves))


def search(
    octaves: Octaves,
    valid: NDArray[np.bool_],
    corner: tuple[int, int],
    core: tuple[int, int, int, int],
    a_pass: Pass,
    stage: FirstStage,
) -> Found:
    """Candidates whose representative pixel lies in a core and that are worth measuring, with their features.

    Parameters
    ----------
    octaves : mapping of int to uint8 array, shape (row, col, channel)
        From :func:`octaves_of`.
    valid : bool array, shape (row, col)
        Of the chip, at the level.
    corner : (row, col)
        First pixel of the chip, pixels of the level.
    core : (row0, row1, col0, col1)
        Half open, pixels of the level.
    a_pass : Pass
    stage : FirstStage
    """
    parts: list[Found] = []
    for octave, across, diameter in a_pass.scales:
        top, left = corner[0] >> octave, corner[1] >> octave
        peaks = _peaks(octaves, (octave, across, diameter), (corner, core), valid, stage)
        count = len(peaks.row)
        parts.append(
            Found(
                octave=np.full(count, octave),
                row=peaks.row + top,
                col=peaks.col + left,
                diameter_m=np.full(count, diameter),
                diameter_px=np.full(count, across),
                strength=peaks.strength,
                features=_features(octaves, (octave, across), peaks.row, peaks.col, peaks.first),
            )
        )
    return joined(parts)


def joined(parts: Sequence[Found]) -> Found:
    """Candidates of at least one part as one."""
    return Found(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})


@dataclass(frozen=True)
class _Peaks:
    """Local maxima of the strength at one size; ``row`` and ``col`` are pixels of its octave, from the chip's first."""

    row: Ints
    col: Ints
    strength: NDArray[np.float32]
    first: NDArray[np.float32]


def _peaks(
    octaves: Octaves,
    scale: tuple[int, float, float],
    where: tuple[tuple[int, int], tuple[int, int, int, int]],
    valid: NDArray[np.bool_],
    stage: FirstStage,
) -> _Peaks:
    (octave, across, diameter), (corner, core) = scale, where
    halved = int(across >= SOUGHT_HALVED_FROM)
    sought, size, block = octave + halved, across / 2**halved, BLOCK >> halved
    start = corner[0] >> sought, corner[1] >> sought
    part = _around(core, octaves[sought].shape[:2], (start, sought), (size, block))
    strength = strength_of(octaves[sought][part], size, block)
    # What is cut off by an edge may stand out most beyond it: it is found where it was seen.
    seen = _seen(valid, sought)[part]
    total = strength.total if seen.all() else np.where(seen, strength.total, np.float32(0))
    at_row, at_col = peaks_of(total, size, stage.strength)
    row, col = finer_pixels(total, at_row, at_col) if halved else (at_row, at_col)
    row, col = row + (part[0].start << halved), col + (part[1].start << halved)
    inside = _inside((row, col), octave, (corner, core), valid)
    first = first_look(strength, at_row[inside], at_col[inside], size, (diameter, across))
    kept = stage.keeps(first)
    chosen = np.flatnonzero(inside)[kept]
    return _Peaks(row[chosen], col[chosen], strength.total[at_row[chosen], at_col[chosen]], first[kept])


def _seen(valid: NDArray[np.bool_], octave: int) -> NDArray[np.bool_]:
    """Whether the representative pixels of an octave's pixels are valid."""
    side = 2**octave
    return valid[side // 2 :: side, side // 2 :: side]


def _inside(
    at: tuple[Ints, Ints],
    octave: int,
    where: tuple[tuple[int, int], tuple[int, int, int, int]],
    valid: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Whether the representative pixels of candidates lie in the core and are valid."""
    corner, core = where
    row, col = (_middle(index + (first >> octave), octave) for index, first in zip(at, corner, strict=True))
    inside = (row >= core[0]) & (row < core[1]) & (col >= core[2]) & (col < core[3])
    inside[inside] = valid[row[inside] - corner[0], col[inside] - corner[1]]
    return np.asarray(inside)


def _around(
    core: tuple[int, int, int, int],
    shape: tuple[int, int],
    at: tuple[tuple[int, int], int],
    seen: tuple[float, int],
) -> tuple[slice, slice]:
    """Part of an octave that a size needs around a core: less than the chip, which is read for the largest size."""
    (start, octave), (across, block) = at, seen
    reach = math.ceil(across * REACH_IN_DIAMETERS) + REACH_IN_BLOCKS * block

    def side(low: int, high: int, first: int, count: int) -> slice:
        begin, end = (low >> octave) - first - reach, (high >> octave) - first + reach
        return slice(max(0, begin // block * block), min(count, -(-end // block) * block))

    return side(core[0], core[1], start[0], shape[0]), side(core[2], core[3], start[1], shape[1])


def _features(
    octaves: Octaves,
    scale: tuple[int, float],
    row: NDArray[Any],
    col: NDArray[Any],
    first: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Measure places of one size, a batch at a time; the scale is an octave and a diameter in pixels of it."""
    octave, across = scale
    parts = []
    for start in range(0, max(len(row), 1), _BATCH):
        batch = slice(start, start + _BATCH)
        down, right = row[batch].astype(float), col[batch].astype(float)
        polar = polar_samples(octaves[octave], down, right, across)
        if octave == 0:
            detail = detail_samples(octaves[0], down, right, across)
        else:
            # The middle of a pixel lies between two pixels of the octave below.
            detail = detail_samples(octaves[octave - 1], 2 * down + 0.5, 2 * right + 0.5, 2 * across)
        parts.append(measure(patches_of(polar, detail), first[batch]))
    return np.concatenate(parts)


def nudged(octaves: Octaves, found: Found, corner: tuple[int, int], which: Ints) -> NDArray[np.float32]:
    """Measure candidates a little off their place or size, as a survey may well meet the same thing elsewhere.

    Parameters
    ----------
    octaves : mapping of int to uint8 array, shape (row, col, channel)
        That they were found in.
    found : Found
    corner : (row, col)
        First pixel of the chip, pixels of the level.
    which : int array, shape (n,)
        Of :data:`NUDGES`, for each candidate.

    Returns
    -------
    float32 array, shape (n, number of features)
        The first look is that of the place itself.
    """
    looked = first_look_width(octaves[min(octaves)].shape[2])
    rows = np.empty_like(found.features)
    kinds = zip(found.octave.tolist(), found.diameter_px.tolist(), which.tolist(), strict=True)
    for octave, across, nudge in sorted(set(kinds)):
        mine = np.flatnonzero((found.octave == octave) & (found.diameter_px == across) & (which == nudge))
        down, right, times = NUDGES[nudge]
        row, col = (
            index[mine] - (first >> octave) + round(step * across * STEPS) / STEPS
            for index, first, step in zip((found.row, found.col), corner, (down, right), strict=True)
        )
        rows[mine] = _features(octaves, (octave, across * times), row, col, found.features[mine, :looked])
    return rows


@dataclass(frozen=True)
class InPicture:
    """Candidates of one pass over a whole small picture in memory.

    Attributes
    ----------
    found : Found
    octaves : mapping of int to uint8 array, shape (row, col, channel)
        That they were found in.
    corner : (row, col)
        First pixel of these, pixels of the level.
    x, y : float arrays, shape (n,)
        Metres right and down from the corner of the picture's first pixel.
    """

    found: Found
    octaves: Octaves
    corner: tuple[int, int]
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def search_passes(
    pixels: NDArray[np.uint8],
    valid: NDArray[np.bool_],
    gsd_m: float,
    scales_by_class: Mapping[str, Sequence[float]],
    stage: FirstStage,
) -> Iterator[InPicture]:
    """Search a whole small picture in memory, pass by pass; parameters as of :func:`search_picture`."""
    for a_pass in plan_passes(gsd_m, scales_by_class):
        side = 2**a_pass.level
        rows, cols = valid.shape[0] // side, valid.shape[1] // side
        if min(rows, cols) < 1:
            continue
        whole = pixels[:, : rows * side, : cols * side]
        seen = valid[: rows * side : side, : cols * side : side]
        level = np.stack([cv2.resize(band, (cols, rows), interpolation=cv2.INTER_AREA) for band in whole])
        level *= seen
        halo = -(-a_pass.halo // a_pass.multiple) * a_pass.multiple
        margins = [(halo, -(-(n + halo) // a_pass.multiple) * a_pass.multiple - n) for n in (rows, cols)]
        seen = np.pad(seen, margins)
        octaves = octaves_of(np.pad(level, ((0, 0), *margins)), seen, a_pass)
        found = search(octaves, seen, (-halo, -halo), (0, rows, 0, cols), a_pass, stage)
        row, col = found.level_pixel()
        yield InPicture(found, octaves, (-halo, -halo), (col + 0.5) * side * gsd_m, (row + 0.5) * side * gsd_m)


def search_picture(
    pixels: NDArray[np.uint8],
    valid: NDArray[np.bool_],
    gsd_m: float,
    scales_by_class: Mapping[str, Sequence[float]],
    stage: FirstStage,
) -> tuple[Found, NDArray[np.float64], NDArray[np.float64]]:
    """Candidates of a whole small picture in memory, at every size: what a model is trained on.

    Parameters
    ----------
    pixels : uint8 array, shape (band, row, col)
    valid : bool array, shape (row, col)
    gsd_m : float
        Metres a pixel.
    scales_by_class : mapping of class code to diameters in metres
    stage : FirstStage

    Returns
    -------
    found : Found
    x, y : float arrays, shape (n,)
        Metres right and down from the corner of the first pixel.
    """
    passes = list(search_passes(pixels, valid, gsd_m, scales_by_class, stage))
    right, down = (np.concatenate([getattr(one, name) for one in passes]) for name in ("x", "y"))
    return joined([one.found for one in passes]), right, down
