"""What could have been seen in each kind of cell: a share of objects by family, and what hid the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from survey.hazards import FAMILIES, ITEM_FAMILIES, HazardClass
from survey.imagery.grid import Grid
from survey.imagery.scene import Scene
from survey.imagery.visibility import BLIND, BLUR, COVERED, DARK, NULL, VEGETATION, WHOLE, Visibility

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

REASONS = {
    BLIND: "black or saturated pixels",
    BLUR: "blurred",
    COVERED: "under vegetation",
    DARK: "in deep shadow",
}
"""Why nothing could have been seen, by what is to blame most."""

_JUDGED = 4
"""Cells are judged in blocks of so many a side (8 m): coverage of a whole survey must not be confetti."""


@dataclass(frozen=True)
class Sought:
    """What is looked for in a scene and where, and how it is judged whether it could have been seen.

    Attributes
    ----------
    classes : tuple of HazardClass
        Those the model knows and the job wants, resolved at the scene's ground sampling distance or not.
    settings : Visibility
    region : geometry, optional
        Ground of interest, CRS of the scene; cells beyond it have no say in what is judged of the others.
    """

    classes: tuple[HazardClass, ...]
    settings: Visibility
    region: shapely.Geometry | None = None


def kinds_of(measures: NDArray[np.uint8], analysed: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return every combination of measures that occurs, shape (kinds, 5), and which each cell has; -1 for none.

    Shares are the means of the cells' blocks; the width of a blur is what more than half of a block has at least.
    """
    columns = []
    for plane, cells in enumerate(measures):
        blocks = _blocks(cells)
        known = blocks != NULL
        count = known.sum(axis=-1)
        if plane == BLUR:
            value = np.ones(count.shape, np.int64)
            for wide in (2, 4, 8):
                value[2 * ((blocks >= wide) & known).sum(axis=-1) > count] = wide
        else:
            total = np.where(known, blocks, 0).sum(axis=-1, dtype=np.int64)
            value = (total + count // 2) // np.maximum(count, 1)
        columns.append(np.where(count > 0, value, NULL))
    packed = np.zeros(columns[0].shape, np.int64)
    for column in columns:
        packed = packed * 256 + column
    cells = packed.repeat(_JUDGED, axis=0).repeat(_JUDGED, axis=1)[: analysed.shape[0], : analysed.shape[1]]
    found, which = np.unique(cells[analysed], return_inverse=True)
    kind = np.full(analysed.shape, -1, np.int64)
    kind[analysed] = which.reshape(-1)
    shifts = 8 * np.arange(len(columns) - 1, -1, -1)
    return found[:, None] >> shifts & 255, kind


def _blocks(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cells by block, shape (row, col, 4); what lies past the edge is null."""
    rows, cols = cells.shape
    padded = np.pad(cells, ((0, -rows % _JUDGED), (0, -cols % _JUDGED)), constant_values=NULL)
    rows, cols = padded.shape[0] // _JUDGED, padded.shape[1] // _JUDGED
    return padded.reshape(rows, _JUDGED, cols, _JUDGED).swapaxes(1, 2).reshape(rows, cols, _JUDGED**2)


@dataclass(frozen=True)
class Seen:
    """What could have been seen in each kind of cell.

    Attributes
    ----------
    families : tuple of str
    by_family : array, shape (family, kind)
        Share of the family's objects that could have been seen.
    shown : bool array, shape (family, kind)
        Whether the family counts as seen.
    detectability : array, shape (kind,)
        Mean over the families of items seen; where there are none, over the indicators.
    blame : int array, shape (kind,)
        Key of :data:`REASONS`, or -1 where a family of items was seen.
    vegetation, shadow, sharp_cm : array, shape (kind,)
        Shares, and the ground sampling distance that the blur leaves; NaN where not measured.
    """

    families: tuple[str, ...]
    by_family: Floats
    shown: Bools
    detectability: Floats
    blame: Ints
    vegetation: Floats
    shadow: Floats
    sharp_cm: Floats


def judge(kinds: Ints, cells: Ints, where: tuple[Scene, Grid], sought: Sought) -> Seen:
    """Judge what could have been seen in each kind of cell.

    Parameters
    ----------
    kinds : int array, shape (kind, 5)
        From :func:`kinds_of`.
    cells : int array, shape (kind,)
        How many cells are of each kind.
    where : the scene, and the grid of the level the cells were measured on
    sought : Sought
    """
    scene, grid = where
    settings = sought.settings
    share = np.where(kinds == NULL, np.nan, kinds / WHOLE).T
    covered, dark, blind = (np.nan_to_num(share[plane]) for plane in (COVERED, DARK, BLIND))
    width, gsd_cm = kinds[:, BLUR], scene.grid.gsd_cm
    told = width != NULL
    # Even ground does not show whether it is blurred: it is taken for as sharp as most of the scene is.
    usual = max((1, 2, 4, 8), key=lambda wide: cells[width == wide].sum()) if told.any() else 1
    width = np.where(told, width, usual)
    sharp_cm = np.where(width > 1, np.maximum(gsd_cm, grid.gsd_cm * width), gsd_cm)

    resolved = [one for one in sought.classes if one.resolved_at(gsd_cm)]
    families = tuple(f for f in FAMILIES if f in {one.family for one in resolved} - {"unknown", "clutter"})
    item = np.array([f in ITEM_FAMILIES for f in families], bool)
    by_family, if_sharp = np.zeros((2, len(families), len(kinds)))
    for i, family in enumerate(families):
        members = [one for one in resolved if one.family == family]
        for one in members:
            through = _in_vegetation(one, settings)
            view = 1.0 - blind - covered * (1.0 - through) - dark * (1.0 - settings.seen_in_shadow)
            view = np.clip(view, 0.0, 1.0) / len(members)
            if_sharp[i] += view
            by_family[i] += np.where(sharp_cm <= one.coarsest_cm, view, 0.0)
    least = max(settings.least_detectability, 1e-9)
    shown = by_family >= least
    any_item = shown[item].any(axis=0)
    counted = shown & np.where(any_item, item[:, None], True)
    number = counted.sum(axis=0)
    mean = np.divide((by_family * counted).sum(axis=0), number, out=np.zeros(len(kinds)), where=number > 0)
    hidden = [covered * (1 - settings.seen_in_vegetation.small), dark * (1 - settings.seen_in_shadow), blind]
    blame = np.array([COVERED, DARK, BLIND])[np.argmax(hidden, axis=0)]
    blame = np.where((if_sharp[item] >= least).any(axis=0), BLUR, blame)
    return Seen(
        families,
        by_family,
        shown,
        mean,
        np.where(any_item, -1, blame),
        share[VEGETATION],
        share[DARK],
        sharp_cm if told.any() else np.full(len(kinds), np.nan),
    )


def _in_vegetation(one: HazardClass, settings: Visibility) -> float:
    seen = settings.seen_in_vegetation
    if one.length_m < settings.small_m:
        return seen.small
    return seen.large if one.length_m >= settings.large_m else seen.medium
