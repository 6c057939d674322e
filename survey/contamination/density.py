"""Density of suspected items by grid cell: what was found, over what could have been seen, with its interval.

Of ground with n items found on ``a`` hectares, of which a share ``d`` could have been seen, the density is
n / (d a), and given n as a Poisson count with the Jeffreys prior it is distributed as Gamma(n + 1/2, d a):
https://doi.org/10.1214/ss/1009213286 (Brown, Cai and DasGupta 2001) for the interval's coverage. Unverified
objects enter n with their probability, which the Poisson model does not foresee: the interval is then a guide.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import gammaincinv

from survey.contamination.cells import cell_areas
from survey.contamination.placing import which
from survey.contamination.plane import Bools, Floats, Geometries, Ints
from survey.layers import CELL_CLASSES, DISTRICT_CLASSES

_SEEN_M2 = 1e-4
"""Analysed ground in a cell below which there is none, square metres: rounding noise."""

_LEAST_HA = 1e-4
"""Smallest exposure that the upper end of an interval is taken over, hectares."""


class Density(BaseModel):
    """Settings of the density grid: job table ``[density]``.

    Attributes
    ----------
    cell_m : float
        Side of the cells, metres.
    support_ha : float
        Density is taken over the smallest odd block of cells of at least this size, hectares.
    medium_per_ha, high_per_ha, very_high_per_ha : float
        Items per hectare from which a class begins. No published threshold.
    interval : float
        Probability the interval holds.
    detectability_floor : float
        Detectability is not taken for less than this when it is divided by. No published threshold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell_m: float = Field(default=50.0, ge=5.0, le=1000.0)
    support_ha: float = Field(default=1.0, ge=1.0, le=100.0)
    medium_per_ha: float = Field(default=1.0, gt=0.0)
    high_per_ha: float = Field(default=10.0, gt=0.0)
    very_high_per_ha: float = Field(default=30.0, gt=0.0)
    interval: float = Field(default=0.9, gt=0.0, lt=1.0)
    detectability_floor: float = Field(default=0.1, gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _ascending(self) -> Density:
        if not self.medium_per_ha < self.high_per_ha < self.very_high_per_ha:
            raise ValueError("medium_per_ha, high_per_ha and very_high_per_ha must ascend")
        return self

    @property
    def reach(self) -> int:
        """Cells on each side of a cell that belong to its support."""
        block = int(np.ceil(np.sqrt(self.support_ha * 1e4) / self.cell_m - 1e-9))
        return max(block, 1) // 2

    def class_number(self, density: Floats) -> Ints:
        """Return the position of each density in ``DISTRICT_CLASSES``: 0 where nothing was found."""
        bounds = [self.medium_per_ha, self.high_per_ha, self.very_high_per_ha]
        number = 1 + np.searchsorted(bounds, density, side="right")
        return np.where(density > 0.0, number, 0).astype(np.int64)


def density_estimate(
    found: tuple[Floats, Floats], support_ha: Floats, observed_ha: Floats, detectability: Floats, interval: float
) -> tuple[Floats, Floats, Floats]:
    """Return density and the ends of its interval, items per hectare.

    Parameters
    ----------
    found : pair of arrays, shape (n,)
        Items (confirmed ones and probabilities of the others), and the same over detectability.
    support_ha : array
        What the estimate and the lower end are taken over: at least 1 ha.
    observed_ha : array
        Ground that was analysed of it; the upper end is taken over this alone, so that ground hardly looked at
        does not pass for ground with nothing on it.
    detectability : array
        Where nothing was found, the share of items that could have been seen.
    interval : float
        Probability the interval holds.
    """
    count, expected = found
    seen = np.divide(count, expected, out=np.maximum(detectability, 1e-3), where=expected > 0)
    density = expected / support_ha
    shape = count + 0.5
    low = gammaincinv(shape, (1.0 - interval) / 2.0) / (seen * support_ha)
    high = gammaincinv(shape, (1.0 + interval) / 2.0) / (seen * np.maximum(observed_ha, _LEAST_HA))
    low = np.where(count > 0, np.minimum(low, density), 0.0)
    return density, low, np.maximum(high, density)


def density_grid(ground: pd.DataFrame, placed: pd.DataFrame, districts: Geometries, settings: Density) -> pd.DataFrame:
    """Return the cells that touch imaged ground, ordered by row and column.

    Parameters
    ----------
    ground : DataFrame
        From :func:`survey.contamination.ground.join_coverage`.
    placed : DataFrame
        From :func:`survey.contamination.placing.place`.
    districts : array of geometry
        On the plane, disjoint.
    settings : Density

    Returns
    -------
    DataFrame
        Columns of ``DENSITY_GRID`` but ``run_id`` and ``district_code``; besides ``col``, ``row``,
        ``district`` (position or -1), ``number`` and ``confirmed_number`` (classes as positions in
        ``DISTRICT_CLASSES``).
    """
    cells = _cells(ground, settings.cell_m)
    keys = _Keys(cells["col"].to_numpy(), cells["row"].to_numpy(), settings.reach)
    items = placed[placed["active"] & placed["item"]]
    signs = placed[placed["active"] & placed["indicator"]]
    at = keys.of_points(items["x"].to_numpy(), items["y"].to_numpy(), settings.cell_m)
    confirmed = items["confirmed"].to_numpy()
    weight, expected = items["weight"].to_numpy(), items["expected"].to_numpy()
    cells["n_confirmed"] = keys.inside(at[confirmed], np.ones(int(confirmed.sum()))).astype(np.int64)
    cells["n_unverified"] = keys.inside(at[~confirmed], np.ones(int((~confirmed).sum()))).astype(np.int64)
    cells["expected_objects"] = keys.inside(at, expected)
    signs_at = keys.of_points(signs["x"].to_numpy(), signs["y"].to_numpy(), settings.cell_m)
    cells["n_indicators"] = keys.inside(signs_at, np.ones(len(signs))).astype(np.int64)

    analysed = cells["analysed_m2"].to_numpy()
    observed_ha = keys.around(keys.own, analysed) / 1e4
    support_ha = np.maximum(observed_ha, 1.0)
    visible = keys.around(keys.own, cells["visible_m2"].to_numpy()) / 1e4
    seen = np.divide(visible, observed_ha, out=np.ones(len(cells)), where=observed_ha > 0)
    seen = np.maximum(seen, settings.detectability_floor)
    found = (keys.around(at, weight), keys.around(at, expected))
    density, low, high = density_estimate(found, support_ha, observed_ha, seen, settings.interval)
    sure = np.where(confirmed, expected, 0.0)
    blind = analysed <= _SEEN_M2
    cells["number"] = settings.class_number(density)
    cells["confirmed_number"] = settings.class_number(keys.around(at, sure) / support_ha)
    names = np.array(CELL_CLASSES, dtype=object)
    for column, number in (("density_class", "number"), ("confirmed_class", "confirmed_number")):
        cells[column] = np.where(blind, "not_assessable", names[cells[number]])
    cells["class_range"] = np.where(blind, "not_assessable", class_range(low, high, settings))
    for column, values in (("density_per_ha", density), ("density_low", low), ("density_high", high)):
        cells[column] = np.where(blind, np.nan, np.round(values, 4))
    cells["observed_fraction"] = np.round(np.where(blind, 0.0, np.minimum(analysed / settings.cell_m**2, 1.0)), 6)
    cells["expected_objects"] = np.round(cells["expected_objects"], 6)
    own_seen = np.divide(cells["visible_m2"], analysed, out=np.zeros(len(cells)), where=~blind)
    cells["detectability"] = np.round(own_seen, 4)
    middle = (cells[["col", "row"]].to_numpy(dtype=np.float64) + 0.5) * settings.cell_m
    cells["district"] = which(middle[:, 0], middle[:, 1], districts)
    return cells


def class_range(low: Floats, high: Floats, settings: Density) -> npt.NDArray[np.object_]:
    """Return the classes an interval touches, such as ``low to high``, or the one class it stays in."""
    names = DISTRICT_CLASSES
    table = np.array([[a if a == b else f"{a} to {b}" for b in names] for a in names], dtype=object)
    result: npt.NDArray[np.object_] = table[settings.class_number(low), settings.class_number(high)]
    return result


def find_cells(cells: pd.DataFrame, wanted: pd.DataFrame) -> Ints:
    """Return the position in ``cells`` of each cell of ``wanted``, by ``col`` and ``row``, or -1."""
    if len(cells) == 0:
        return np.full(len(wanted), -1, dtype=np.int64)
    west, width = int(cells["col"].min()), int(np.ptp(cells["col"].to_numpy())) + 1
    col = wanted["col"].to_numpy() - west
    keys = cells["row"].to_numpy() * width + cells["col"].to_numpy() - west  # ascending, as the cells are ordered
    sought = wanted["row"].to_numpy() * width + col
    at = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
    return np.where((keys[at] == sought) & (col >= 0) & (col < width), at, -1)


def cell_corners(cells: pd.DataFrame, cell_m: float) -> Floats:
    """Return the rings of the cells on the plane, shape (cells, 5, 2), counter-clockwise from the south-west."""
    south_west = cells[["col", "row"]].to_numpy(dtype=np.float64)
    ring = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    return np.asarray((south_west[:, None, :] + ring[None, :, :]) * cell_m)


def _cells(ground: pd.DataFrame, cell_m: float) -> pd.DataFrame:
    """Return every cell that touches imaged ground, with how much of it was analysed, visible, under vegetation."""
    ground = ground[ground["status"] != "not_analysed"]
    table = cell_areas(ground["shape"].to_numpy(dtype=object), cell_m)
    piece, square_metres = table["shape"].to_numpy(), table["area_m2"].to_numpy()
    analysed = (ground["status"] == "analysed").to_numpy()[piece] * square_metres
    cover = ground["vegetation"].to_numpy(dtype=np.float64)[piece]
    col, row = table["col"].to_numpy(), table["row"].to_numpy()
    west, width = (int(col.min()), int(np.ptp(col)) + 1) if len(col) else (0, 1)
    key, cell = np.unique(row * width + (col - west), return_inverse=True)
    cells = pd.DataFrame({"row": key // width, "col": key % width + west})
    for name, values in (
        ("analysed_m2", analysed),
        ("visible_m2", ground["detectability"].to_numpy(dtype=np.float64)[piece] * analysed),
        ("vegetated_m2", np.nan_to_num(cover) * square_metres),
        ("vegetation_known_m2", np.isfinite(cover) * square_metres),
    ):
        cells[name] = np.bincount(cell.reshape(-1), weights=values, minlength=len(cells))
    cells["cell_id"] = [f"{c}_{r}" for c, r in zip(cells["col"].tolist(), cells["row"].tolist(), strict=True)]
    return cells


class _Keys:
    """Cells as sorted whole numbers, so that sums over a block of cells are a few binary searches."""

    def __init__(self, col: Ints, row: Ints, reach: int) -> None:
        self._reach = reach
        self._west = int(col.min()) - reach - 1 if len(col) else 0
        self._width = (int(col.max()) + reach + 2 - self._west) if len(col) else 1
        self.own = self._key(col, row)  # ascending, as the cells are ordered by row and column

    def _key(self, col: Ints, row: Ints) -> Ints:
        return np.asarray(row, np.int64) * self._width + (np.asarray(col, np.int64) - self._west)

    def of_points(self, x: Floats, y: Floats, cell_m: float) -> Ints:
        """Return the keys of the cells that points lie in; a key no block reaches where there is no cell near."""
        col, row = np.floor(x / cell_m).astype(np.int64), np.floor(y / cell_m).astype(np.int64)
        key = self._key(col, row)
        outside: Bools = (col < self._west + 1) | (col >= self._west + self._width - 1)
        key[outside] = np.iinfo(np.int64).min
        return key

    def inside(self, keys: Ints, values: Floats) -> Floats:
        """Sum values by cell."""
        return self._sums(keys, values, 0)

    def around(self, keys: Ints, values: Floats) -> Floats:
        """Sum values over the block around each cell."""
        return self._sums(keys, values, self._reach)

    def _sums(self, keys: Ints, values: Floats, reach: int) -> Floats:
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], np.asarray(values, np.float64)[order]
        # Running sums in whole units of 2**-20: exact, so that nothing found is exactly nothing.
        unit = 2.0**20
        running = np.concatenate([[0], np.cumsum(np.rint(values * unit).astype(np.int64))])
        total = np.zeros(len(self.own), np.int64)
        for dy in range(-reach, reach + 1):
            first = np.searchsorted(keys, self.own + dy * self._width - reach, side="left")
            last = np.searchsorted(keys, self.own + dy * self._width + reach, side="right")
            total += running[last] - running[first]
        return total / unit
