"""The road of one tile: channels, octaves, candidates, features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from survey.detection.candidates import peaks_of, strength_of
from survey.detection.channels import channels_of, fill_invalid, pyramid
from survey.detection.features import detail_patches, measure, polar_patches
from survey.detection.scales import BLOCK, REACH_IN_DIAMETERS, Pass, plan_passes

Ints = NDArray[np.int64]


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

    def take(self, which: NDArray[np.bool_]) -> Found:
        """Only some of the candidates."""
        return Found(**{name: values[which] for name, values in vars(self).items()})


def _middle(index: Ints, octave: Ints | int) -> Ints:
    return index * 2**octave + 2**octave // 2


def octaves_of(pixels: NDArray[np.uint8], valid: NDArray[np.bool_], a_pass: Pass) -> Mapping[int, NDArray[np.uint8]]:
    """Channels of a chip at every octave the pass needs; arrays of shape (row, col, channel)."""
    block = BLOCK * 2 ** max(a_pass.octaves)
    return pyramid(channels_of(fill_invalid(pixels, valid, block)), a_pass.octaves)


def search(
    octaves: Mapping[int, NDArray[np.uint8]],
    valid: NDArray[np.bool_],
    corner: tuple[int, int],
    core: tuple[int, int, int, int],
    a_pass: Pass,
    least: float,
) -> Found:
    """Candidates whose representative pixel lies in a core, with their features.

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
    least : float
        Strength from which a local maximum is a candidate.
    """
    parts: list[Found] = []
    for octave, across, diameter in a_pass.scales:
        image = octaves[octave]
        top, left = corner[0] >> octave, corner[1] >> octave
        part = _around(core, image.shape[:2], (top, left), octave, across)
        strength = strength_of(image[part], across)
        row, col = peaks_of(strength.total, across, least)
        row, col = row + part[0].start, col + part[1].start
        at_row, at_col = _middle(row + top, octave), _middle(col + left, octave)
        inside = (at_row >= core[0]) & (at_row < core[1]) & (at_col >= core[2]) & (at_col < core[3])
        row, col, at_row, at_col = row[inside], col[inside], at_row[inside], at_col[inside]
        seen = valid[at_row - corner[0], at_col - corner[1]]
        row, col = row[seen], col[seen]
        count = len(row)
        here = row - part[0].start, col - part[1].start
        patches = polar_patches(image, row.astype(float), col.astype(float), across)
        detail = _detail(octaves, octave, row, col, across)
        parts.append(
            Found(
                octave=np.full(count, octave),
                row=row + top,
                col=col + left,
                diameter_m=np.full(count, diameter),
                diameter_px=np.full(count, across),
                strength=strength.total[here],
                features=measure(patches, detail, strength.contrast_at(*here), (diameter, across)),
            )
        )
    return Found(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def _around(
    core: tuple[int, int, int, int], shape: tuple[int, int], start: tuple[int, int], octave: int, across: float
) -> tuple[slice, slice]:
    """Part of an octave that a size needs around a core: less than the chip, which is read for the largest size."""
    reach = math.ceil(across * REACH_IN_DIAMETERS) + 4 * BLOCK

    def side(low: int, high: int, first: int, count: int) -> slice:
        begin, end = (low >> octave) - first - reach, (high >> octave) - first + reach
        return slice(max(0, begin // BLOCK * BLOCK), min(count, -(-end // BLOCK) * BLOCK))

    return side(core[0], core[1], start[0], shape[0]), side(core[2], core[3], start[1], shape[1])


def _detail(
    octaves: Mapping[int, NDArray[np.uint8]], octave: int, row: Ints, col: Ints, across: float
) -> NDArray[np.float32]:
    if octave == 0:
        return detail_patches(octaves[0], row.astype(float), col.astype(float), across)
    # The middle of a pixel lies between two pixels of the octave below.
    return detail_patches(octaves[octave - 1], 2 * row.astype(float) + 0.5, 2 * col.astype(float) + 0.5, 2 * across)


def search_picture(
    pixels: NDArray[np.uint8],
    valid: NDArray[np.bool_],
    gsd_m: float,
    scales_by_class: Mapping[str, Sequence[float]],
    least: float,
) -> tuple[Found, NDArray[np.float64], NDArray[np.float64]]:
    """Candidates of a whole small picture in memory, at every size: what a model is trained on.

    Parameters
    ----------
    pixels : uint8 array, shape (band, row, col)
    valid : bool array, shape (row, col)
    gsd_m : float
        Metres a pixel.
    scales_by_class : mapping of class code to diameters in metres
    least : float

    Returns
    -------
    found : Found
    x, y : float arrays, shape (n,)
        Metres right and down from the corner of the first pixel.
    """
    parts, right, down = [], [], []
    for a_pass in plan_passes(gsd_m, scales_by_class):
        side = 2**a_pass.level
        rows, cols = valid.shape[0] // side, valid.shape[1] // side
        if min(rows, cols) < 1:
            continue
        whole = pixels[:, : rows * side, : cols * side]
        level = np.stack([cv2.resize(band, (cols, rows), interpolation=cv2.INTER_AREA) for band in whole])
        seen = valid[: rows * side : side, : cols * side : side]
        halo = -(-a_pass.halo // a_pass.multiple) * a_pass.multiple
        margins = [(halo, -(-(n + halo) // a_pass.multiple) * a_pass.multiple - n) for n in (rows, cols)]
        seen = np.pad(seen, margins)
        octaves = octaves_of(np.pad(level, ((0, 0), *margins)), seen, a_pass)
        found = search(octaves, seen, (-halo, -halo), (0, rows, 0, cols), a_pass, least)
        row, col = found.level_pixel()
        parts.append(found)
        right.append((col + 0.5) * side * gsd_m)
        down.append((row + 0.5) * side * gsd_m)
    joined = Found(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})
    return joined, np.concatenate(right), np.concatenate(down)
