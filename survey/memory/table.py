"""Labelled candidates as a classifier is taught them: an object by several looks at it, a little off its place or size.

What is learned from one exact look at a few dozen objects does not carry to the next ground, where a candidate of such
an object lies a little beside it or is a little larger (docs/detection.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from survey.memory.labelling import NOTHING

Taught = tuple[NDArray[np.float32], NDArray[np.object_], NDArray[np.float64]]


@dataclass(frozen=True)
class Nudged:
    """Further looks at rows of a table.

    Attributes
    ----------
    features : float32 array, shape (m, number of features)
    of : int array, shape (m,)
        Row of the table that each is a look at.
    """

    features: NDArray[np.float32]
    of: NDArray[np.int64]

    def take(self, which: NDArray[Any], count: int) -> Nudged:
        """Looks at some rows, none of them twice, of a table of so many."""
        place = np.full(count, -1, dtype=np.int64)
        chosen = np.arange(count)[which]
        place[chosen] = np.arange(len(chosen))
        kept = place[self.of] >= 0
        return Nudged(self.features[kept], place[self.of[kept]])


@dataclass(frozen=True)
class Table:
    """Labelled candidates.

    Attributes
    ----------
    features : float32 array, shape (n, number of features)
    codes : object array, shape (n,)
        Class codes; the empty string for a negative.
    weights : float array, shape (n,)
        How many candidates a row stands for (negatives are thinned out).
    groups : int array, shape (n,)
        Site of each row; a site is never on both sides of a fold.
    nudged : Nudged, optional
    """

    features: NDArray[np.float32]
    codes: NDArray[np.object_]
    weights: NDArray[np.float64]
    groups: NDArray[np.int64]
    nudged: Nudged | None = None

    @property
    def positive(self) -> NDArray[np.int64]:
        """1 for rows on an object, 0 for negatives, shape (n,)."""
        return (self.codes != NOTHING).astype(np.int64)

    def take(self, which: NDArray[Any]) -> Table:
        """Only some of the rows."""
        looks = None if self.nudged is None else self.nudged.take(which, len(self.codes))
        return Table(self.features[which], self.codes[which], self.weights[which], self.groups[which], looks)

    def taught(self) -> Taught:
        """Features, codes and weights of all looks that a classifier is fitted on; looks at one row share its weight.

        What is looked at by every nudge is taught as it lies, too. A negative that is nudged once is not, so that there
        are no more of them.
        """
        if self.nudged is None:
            return self.features, self.codes, self.weights
        looks = np.bincount(self.nudged.of, minlength=len(self.codes))
        own = looks != 1
        share = self.weights / (looks + own)
        of = np.concatenate([np.flatnonzero(own), self.nudged.of])
        return np.concatenate([self.features[own], self.nudged.features]), self.codes[of], share[of]


def looks_at(
    codes: NDArray[np.object_], kinds: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which rows are looked at again, and by which of so many nudges: objects by all, every other negative by one.

    Parameters
    ----------
    codes : object array, shape (n,)
        Class codes; what a person called harmless, by whatever code, is an object here.
    kinds : int
    rng : numpy.random.Generator

    Returns
    -------
    of, which : int arrays, shape (m,)
    """
    objects = np.flatnonzero(codes != NOTHING)
    negatives = np.flatnonzero((codes == NOTHING) & (rng.random(len(codes)) < 0.5))
    of = np.concatenate([np.repeat(objects, kinds), negatives])
    return of, np.concatenate([np.tile(np.arange(kinds), len(objects)), rng.integers(0, kinds, len(negatives))])


def joined_looks(parts: Sequence[tuple[int, Nudged | None]]) -> Nudged | None:
    """Looks at the rows of several tables, each with its number of rows, as at those of one; None without any."""
    starts = np.cumsum([0, *(count for count, _ in parts)])
    some = [(start, one) for start, (_, one) in zip(starts[:-1], parts, strict=True) if one is not None and len(one.of)]
    if not some:
        return None
    return Nudged(
        np.concatenate([one.features for _, one in some]), np.concatenate([one.of + start for start, one in some])
    )
