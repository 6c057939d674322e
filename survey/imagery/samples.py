"""Some pixels of what is surveyed, kept for a small picture of the scene: nothing is read twice for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from survey.imagery.chips import Chip
from survey.imagery.tiles import Tile


@dataclass(frozen=True)
class Sample:
    """Every so many-th pixel of a part of a level.

    Attributes
    ----------
    row, col : int
        Of the first, counted in samples from the scene's origin.
    pixels : uint8 array, shape (band + 1, row, col)
        Bands as they were read, and 255 where they are valid.
    """

    row: int
    col: int
    pixels: NDArray[np.uint8]


def sampled(chip: Chip, part: Tile | None, step: int) -> list[Sample]:
    """Every ``step``-th pixel, by row and column from the scene's origin, of a part of a chip; none of no part."""
    if part is None:
        return []
    first_row, first_col = -(-part.row0 // step), -(-part.col0 // step)
    rows = slice(first_row * step - chip.row, part.row1 - chip.row, step)
    cols = slice(first_col * step - chip.col, part.col1 - chip.col, step)
    seen = np.where(chip.valid[rows, cols], 255, 0).astype(np.uint8)
    return [Sample(first_row, first_col, np.concatenate([chip.pixels[:, rows, cols], seen[None]]))]


def join_samples(parts: Sequence[Sample]) -> Sample | None:
    """One sample of samples that lie below each other, top first; None of none."""
    if not parts:
        return None
    return Sample(parts[0].row, parts[0].col, np.concatenate([one.pixels for one in parts], axis=1))
