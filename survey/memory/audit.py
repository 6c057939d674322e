"""Look labels over before they are remembered: bad labels are what ruins a classifier.

Each problem has an action. What cannot be used (outside the imagery, on ground without data, a class nobody knows)
is always refused; the same label twice is merged; what looks wrong is refused unless the user accepts it or, where
that is possible, has it fixed. Where too many labels of one batch look wrong, the whole batch is refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.spatial import cKDTree

from survey.hazards import HazardClass, classes

SUSPICIOUS = ("contradicts", "size", "offset", "loose", "nothing_there")
"""Problems a user may accept."""
FIXABLE = ("offset", "loose")
"""Problems that can be mended: the outline is moved or shrunk to the object beneath it."""

_SIZE = (0.4, 2.5)
_SIGNATURE_SIZE = (0.25, 4.0)
_INDICATOR_SIZE = (0.08, 15.0)
"""Multiples of the class's plan length between which a label's longer side must lie: no published figure."""
_OVERLAP = 0.5
"""Two outlines are of one object where each one's centre lies within this share of the other's shorter half side."""


class Policy(BaseModel):
    """What is done about labels that look wrong.

    Attributes
    ----------
    accept, fix : tuple of str
        Problems to be taken as they are, or mended.
    most_suspicious : float
        Share of a batch's labels that may look wrong before the whole batch is refused: no published figure.
    few : int
        With so few suspicious labels or fewer a batch is never refused whole.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accept: tuple[str, ...] = ("loose",)
    fix: tuple[str, ...] = ()
    most_suspicious: float = Field(default=0.2, ge=0, le=1)
    few: int = Field(default=3, ge=0)


@dataclass(frozen=True)
class Beneath:
    """What stands out beneath a label in the pixels.

    Attributes
    ----------
    valid_share : float
        Share of its pixels that hold data.
    seen : bool
        Whether something stands out where the label is.
    offset_m : (across, down) or None
        To what stands out near by, where nothing does beneath; metres.
    diameter_m : float or None
        Size of what stands out most beneath it.
    """

    valid_share: float
    seen: bool
    offset_m: tuple[float, float] | None
    diameter_m: float | None


def unknown_class(code: str, known: Collection[str]) -> str:
    """Sentence about a class that is not known, with the nearest name."""
    nearest = difflib.get_close_matches(code, list(known), n=1, cutoff=0.0)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    return f"{code!r} is no class that is known{hint} `--new-class {code}` admits it."


def size_problem(one: HazardClass, length_m: float) -> str | None:
    """Sentence about a label whose size is at odds with its class."""
    # The trace of something buried is as large as the patch that was dug or warms up, not as the thing itself.
    traced = one.family in ("mine_unspecified", "unknown")
    low, high = _SIGNATURE_SIZE if traced else _SIZE if one.is_item else _INDICATOR_SIZE
    if low * one.length_m <= length_m <= high * one.length_m:
        return None
    return (
        f"It is {length_m:.2f} m long; {one.label.lower()} ({one.code}) is about {one.length_m:.2f} m. Is it another "
        "class?"
    )


def beneath_problem(code: str, length_m: float, beneath: Beneath) -> tuple[str, str] | None:
    """Problem and sentence about an outline that does not sit on what is beneath it."""
    if beneath.offset_m is not None:
        away = float(np.hypot(*beneath.offset_m))
        return "offset", f"Nothing stands out beneath it; something does {away:.2f} m away."
    if not beneath.seen:
        return "nothing_there", "Nothing stands out beneath it or near by; is it covered, or in another place?"
    plan = classes()[code].length_m
    if beneath.diameter_m is not None and length_m > 1.6 * plan and beneath.diameter_m < 0.55 * length_m:
        return (
            "loose",
            f"The outline is {length_m:.2f} m long, what stands out in it about {beneath.diameter_m:.2f} m.",
        )
    return None


def same_object(first: pd.DataFrame, second: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows (one of each table) that are of one object in one image.

    Parameters
    ----------
    first, second : DataFrame
        ``image_digest``, ``x_m``, ``y_m`` (centre in metres on the image's own plane) and ``width_m``.

    Returns
    -------
    (i, j) : int arrays
        Positions of the rows.
    """
    pairs_i: list[NDArray[np.int64]] = []
    pairs_j: list[NDArray[np.int64]] = []
    groups = dict(
        iter(pd.DataFrame(second[["image_digest"]]).reset_index(drop=True).groupby("image_digest").groups.items())
    )
    digests = first["image_digest"].to_numpy(dtype=object)
    for image, members in groups.items():
        mine = np.flatnonzero(digests == image)
        if not len(mine):
            continue
        theirs = np.asarray(members, dtype=np.int64)
        here = first[["x_m", "y_m"]].to_numpy(float)[mine]
        there = second[["x_m", "y_m"]].to_numpy(float)[theirs]
        wide = first["width_m"].to_numpy(float)[mine], second["width_m"].to_numpy(float)[theirs]
        reach = _OVERLAP * max(float(wide[0].max()), float(wide[1].max()))
        near = cKDTree(here).sparse_distance_matrix(cKDTree(there), reach, output_type="coo_matrix")
        close = near.data <= _OVERLAP * np.minimum(wide[0][near.row], wide[1][near.col])
        pairs_i.append(mine[near.row[close]])
        pairs_j.append(theirs[near.col[close]])
    if not pairs_i:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate(pairs_i), np.concatenate(pairs_j)


def action_for(problem: str, policy: Policy) -> str:
    """What is done about a label with a problem."""
    if problem == "duplicate":
        return "merged"
    if problem in policy.fix and problem in FIXABLE:
        return "fixed"
    if problem in policy.accept and problem in SUSPICIOUS:
        return "accepted"
    return "refused"


def moved(outline: shapely.Geometry, offset: tuple[float, float]) -> shapely.Geometry:
    """Outline moved by an offset, in the unit of its coordinates."""
    return shapely.transform(outline, lambda points: points + np.asarray(offset))


def batch_refusal(audit: pd.DataFrame, n_labels: int, policy: Policy) -> str | None:
    """Sentence that refuses a whole batch, where too many of its labels look wrong; else None.

    Parameters
    ----------
    audit : DataFrame
        Layer ``AUDIT``.
    n_labels : int
        Labels in the batch.
    """
    suspicious = audit[audit["problem"].isin((*SUSPICIOUS, "unknown_class")) & (audit["action"] == "refused")]
    count = suspicious["row"].nunique()
    if count <= policy.few or count <= policy.most_suspicious * n_labels:
        return None
    kinds = suspicious.groupby("problem")["row"].nunique().sort_values(ascending=False)
    listed = ", ".join(f"{name} {n}" for name, n in kinds.items())
    return (
        f"{count} of {n_labels} labels look wrong ({listed}), so the whole batch is refused: what else is in it cannot "
        "be trusted."
    )
