"""Mines laid in rows: which ones, how far apart, on what bearing, and how sure that it is no accident.

A row is a strip that holds more mines than chance puts there. Of every cluster, one bearing after another is
tried; the one whose strips are most uneven is refined, and each strip is tested against mines scattered at
random (an a-contrario test: the number of such strips expected by chance, Desolneux, Moisan and Morel 2000,
https://doi.org/10.1023/A:1026593302236). Rows are a bonus, never required: many fields have no pattern.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import shapely
from pydantic import BaseModel, ConfigDict, Field
from scipy.spatial import cKDTree
from scipy.special import bdtrc, pdtrc

from survey.contamination.plane import Floats, Ints

_ALIGNED = 8.0
"""Rayleigh statistic of the bearings to the two nearest neighbours from which a cluster is looked at: random
clusters reach it in one case of a hundred or so, rows of five and more practically always."""

_MOST = 0.8
"""Share of the mines of a cluster that must stand in rows for its rows to be judged together."""

_RIM_M = 0.25
"""Ground on either side of a strip that belongs to it, metres: its mines do not lie on its very border."""

_BLOCK_M = 500.0
"""Clusters more than twice this wide, metres, are searched in squares of this size; rows may be found in pieces."""

_PASSES = 4
"""Bearings looked for in one cluster."""


class Rows(BaseModel):
    """How rows are recognised: job table ``[areas.rows]``. No published thresholds.

    Attributes
    ----------
    min_mines : int
        Fewest mines in a row.
    gap_m : float
        Largest distance between neighbours in a row, metres.
    width_m : float
        Rows are about this wide from one side to the other, metres: three times the standard deviation across.
    by_chance : float
        A strip counts as a row where fewer such strips than this are expected by chance.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_mines: int = Field(default=5, ge=4)
    gap_m: float = Field(default=20.0, gt=0.0)
    width_m: float = Field(default=3.0, gt=0.0)
    by_chance: float = Field(default=1e-3, gt=0.0, lt=1.0)


@dataclass(frozen=True)
class FoundRows:
    """Rows and who stands in them.

    Attributes
    ----------
    row_of : int array, shape (points,)
        Row of each point, or -1.
    table : DataFrame, shape (rows, …)
        ``group``, ``n_mines``, ``x0``, ``y0``, ``x1``, ``y1`` (ends, metres), ``bearing_deg`` (on the plane, 0 to
        180), ``length_m``, ``spacing_m`` (median), ``spread_m`` (standard deviation across), ``confidence``.
    """

    row_of: Ints
    table: pd.DataFrame


_COLUMNS = (
    "group",
    "n_mines",
    "x0",
    "y0",
    "x1",
    "y1",
    "bearing_deg",
    "length_m",
    "spacing_m",
    "spread_m",
    "confidence",
)


def find_rows(xy: Floats, group: Ints, settings: Rows) -> FoundRows:
    """Look for rows among the points of each group.

    Parameters
    ----------
    xy : array, shape (n, 2)
        Metres on the plane.
    group : int array, shape (n,)
        Points of different groups are never in one row.
    settings : Rows
    """
    row_of = np.full(len(xy), -1, dtype=np.int64)
    found: list[tuple[float, ...]] = []
    for members in _worth_a_look(xy, _in_blocks(xy, group), settings):
        left = members
        for _ in range(_PASSES):
            if len(left) < settings.min_mines:
                break
            rows = _rows_on_one_bearing(xy[left], settings)
            if not rows:
                break
            taken = np.zeros(len(left), dtype=bool)
            for inside, measures in rows:
                row_of[left[inside]] = len(found)
                found.append((float(group[left[0]]), *measures))
                taken[inside] = True
            left = left[~taken]
    table = pd.DataFrame(found, columns=list(_COLUMNS)).astype({"group": "int64", "n_mines": "int64"})
    return FoundRows(row_of, table)


def _in_blocks(xy: Floats, group: Ints) -> Ints:
    """Return groups of which those of kilometres are cut into blocks: the work grows with the square of their size."""
    if len(xy) == 0:
        return group
    _, dense = np.unique(group, return_inverse=True)
    dense = dense.reshape(-1)
    low, high = np.full((dense.max() + 1, 2), np.inf), np.full((dense.max() + 1, 2), -np.inf)
    np.minimum.at(low, dense, xy)
    np.maximum.at(high, dense, xy)
    wide = ((high - low).max(axis=1) > 2.0 * _BLOCK_M)[dense]
    block = np.where(wide[:, None], np.floor((xy - low[dense]) / _BLOCK_M), 0).astype(np.int64)
    _, part = np.unique(np.column_stack([dense, block]), axis=0, return_inverse=True)
    return np.asarray(part.reshape(-1), dtype=np.int64)


def _worth_a_look(xy: Floats, group: Ints, settings: Rows) -> list[Ints]:
    """Return the members of the groups whose nearest neighbours point the same way."""
    if len(xy) < settings.min_mines:
        return []
    # Groups are set apart in a third dimension, so that neighbours are of the same group.
    apart = np.column_stack([xy, group * (10.0 * settings.gap_m)])
    distance, neighbour = cKDTree(apart).query(apart, k=3, distance_upper_bound=settings.gap_m)
    near = np.isfinite(distance[:, 1:]) & (distance[:, 1:] > 0)
    at, which = np.nonzero(near)
    step = xy[neighbour[at, which + 1]] - xy[at]
    double = 2.0 * np.arctan2(step[:, 0], step[:, 1])
    count = int(group.max()) + 1
    owner = group[at]
    pairs = np.bincount(owner, minlength=count)
    aligned = np.zeros(count, dtype=bool)
    for times in (1.0, 2.0):  # rows on one bearing, and rows at right angles
        pull = np.hypot(
            np.bincount(owner, weights=np.cos(times * double), minlength=count),
            np.bincount(owner, weights=np.sin(times * double), minlength=count),
        )
        aligned |= np.divide(pull**2, pairs, out=np.zeros(count), where=pairs > 0) >= _ALIGNED
    enough = np.bincount(group, minlength=count) >= settings.min_mines
    order = np.argsort(group, kind="stable")
    bounds = np.searchsorted(group[order], np.arange(count + 1))
    return [order[bounds[g] : bounds[g + 1]] for g in np.flatnonzero(aligned & enough)]


def _rows_on_one_bearing(xy: Floats, settings: Rows) -> list[tuple[Ints, tuple[float, ...]]]:
    """Return the rows on the bearing whose strips are most uneven: their points, and their measures.

    Wide strips find ragged rows, narrow ones find rows close together; the width that finds more mines wins.
    """
    centre = xy.mean(axis=0)
    middle = xy - centre
    best: list[tuple[Ints, tuple[float, ...]]] = []
    for width_m in (settings.width_m, settings.width_m / 2.0, settings.width_m / 4.0):
        bearing, tests = _most_uneven_bearing(middle, width_m)
        strips = [
            candidate
            for strip in _strips(middle, bearing, width_m)
            for candidate in _unbroken(middle, strip, bearing, settings)
        ]
        rows = []
        for row, measures in _beyond_chance(middle, strips, tests, settings):
            n, x0, y0, x1, y1, *rest = measures
            ends = (x0 + centre[0], y0 + centre[1], x1 + centre[0], y1 + centre[1])
            rows.append((row, (n, *ends, *rest)))
        if sum(len(row) for row, _ in rows) > sum(len(row) for row, _ in best):
            best = rows
    return best


def _beyond_chance(
    middle: Floats, strips: list[Ints], tests: int, settings: Rows
) -> list[tuple[Ints, tuple[float, ...]]]:
    """Return the strips that are rows: each alone, or all together, hold more mines than chance would put there."""
    measured = [(strip, _measured(middle, strip, settings)) for strip in strips]
    kept = [(strip, measures) for strip, measures in measured if measures is not None]
    if not kept:
        return []
    inside = sum(len(strip) for strip, _ in kept)
    longest = max(measures[6] for _, measures in kept)
    spacing = float(np.median([measures[7] for _, measures in kept]))
    hull = shapely.convex_hull(shapely.multipoints(middle))
    # The ground the mines might have lain on: their hull, but not that alone where one row is nearly all there is.
    single = max(len(strip) for strip, _ in kept) >= 0.7 * len(middle)
    ground = float(shapely.area(shapely.buffer(hull, longest / 4.0 if single else max(spacing, 1.0))))
    # No strip is taken for narrower than the others are: the few mines of a short one may lie close by chance.
    common = 5.0 * float(np.sqrt(np.mean([measures[8] ** 2 for _, measures in kept])))
    areas = [measures[6] * (max(measures[9], common) + 2.0 * _RIM_M) for _, measures in kept]
    # Two mines fix a line; only those beyond them are a surprise.
    more = min(inside - 2 * len(kept) - 1, len(middle))
    joint = tests * float(bdtrc(more, len(middle), min(sum(areas) / ground, 1.0)))
    if inside < _MOST * len(middle):
        joint = 1.0
    rows = []
    for (strip, measures), area in zip(kept, areas, strict=True):
        density = max((len(middle) - 2) / ground, _density_beside(middle, measures, area))
        alone = tests * (float(pdtrc(len(strip) - 3, density * area)) if len(strip) > 2 else 1.0)
        by_chance = min(alone, joint)
        if by_chance <= settings.by_chance:
            rows.append((strip, (*measures[:9], 1.0 - by_chance)))
    return rows


def _most_uneven_bearing(middle: Floats, width_m: float) -> tuple[float, int]:
    """Return the bearing, radians, whose strips hold mines most unevenly, and how many strips were looked at."""
    reach = max(2.0 * float(np.hypot(*middle.T).max()), width_m)
    step = min(width_m / reach, np.radians(4.0))
    coarse = np.arange(0.0, np.pi, step)
    best = coarse[np.argmax(_unevenness(middle, coarse, width_m))]
    fine = best + np.linspace(-1.5, 1.5, 25) * step
    best = float(fine[np.argmax(_unevenness(middle, fine, width_m / 2.0))])
    return best, len(coarse) * len(middle)


def _strips(middle: Floats, bearing: float, width_m: float) -> list[Ints]:
    """Split points into strips along a bearing, where hardly any lie between two crowds."""
    across = middle[:, 0] * np.cos(bearing) - middle[:, 1] * np.sin(bearing)
    order = np.argsort(across, kind="stable")
    step = width_m / 10.0
    position = np.floor((across[order] - across[order[0]]) / step).astype(np.int64) + 10
    counts = np.bincount(position, minlength=int(position[-1]) + 11).astype(np.float64)
    kernel = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    crowd = np.convolve(counts, kernel, mode="same")
    # Below a quarter of the crowd within one width on the thinner of its two sides, the ground lies between strips.
    left = pd.Series(crowd).rolling(11, min_periods=1).max().to_numpy()
    right = pd.Series(crowd[::-1]).rolling(11, min_periods=1).max().to_numpy()[::-1]
    between = crowd <= 0.25 * np.minimum(left, right)
    number = np.cumsum(between)[position]
    return np.split(order, np.flatnonzero(np.diff(number)) + 1)


def _unevenness(middle: Floats, bearings: Floats, width_m: float) -> Floats:
    """Return, by bearing, how many more mines share a strip than would if they were spread over its neighbours."""
    across = np.outer(np.cos(bearings), middle[:, 0]) - np.outer(np.sin(bearings), middle[:, 1])
    strip = np.floor(across / width_m).astype(np.int64)
    strip -= strip.min()
    width = int(strip.max()) + 1
    line = np.arange(len(bearings))[:, None] * width
    counts = np.bincount((strip + line).ravel(), minlength=len(bearings) * width).reshape(len(bearings), width)
    running = np.cumsum(np.pad(counts, ((0, 0), (5, 4))), axis=1)
    around = (running[:, 9:] - running[:, :-9]) / 9.0
    # Neighbouring strips count together: a row may lie on the border of two.
    pairs = counts[:, 1:] + counts[:, :-1] if width > 1 else counts
    means = around[:, 1:] + around[:, :-1] if width > 1 else around
    return np.asarray((pairs * (pairs - means)).sum(axis=1), dtype=np.float64)


def _unbroken(middle: Floats, strip: Ints, bearing: float, settings: Rows) -> list[Ints]:
    """Split a strip where neighbours are too far apart for one row."""
    if len(strip) < settings.min_mines:
        return []
    along = middle[strip, 0] * np.sin(bearing) + middle[strip, 1] * np.cos(bearing)
    order = strip[np.argsort(along, kind="stable")]
    gaps = np.diff(np.sort(along))
    widest = min(settings.gap_m, max(6.0 * float(np.median(gaps)), 5.0))
    parts = np.split(order, np.flatnonzero(gaps > widest) + 1)
    return [part for part in parts if len(part) >= settings.min_mines]


def _density_beside(middle: Floats, measures: tuple[float, ...], area: float) -> float:
    """Return mines per square metre beside a strip, two of its widths on either side: a row in a crowd is no row."""
    start, end = np.array(measures[1:3]), np.array(measures[3:5])
    length = measures[6]
    unit = (end - start) / length
    along = (middle - start) @ unit
    away = np.abs((middle - start) @ np.array([unit[1], -unit[0]]))
    width = area / length
    beside = (along >= 0) & (along <= length) & (away > width / 2.0) & (away <= 2.5 * width)
    return float(beside.sum()) / (4.0 * width * length)


def _measured(middle: Floats, row: Ints, settings: Rows) -> tuple[float, ...] | None:
    """Return count, ends, bearing, length, spacing, spread and width of a strip, or None where it is too wide."""
    points = middle[row]
    centre = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - centre, full_matrices=False)
    direction = axes[0] if axes[0][1] > 0 or (axes[0][1] == 0 and axes[0][0] > 0) else -axes[0]
    along = np.sort((points - centre) @ direction)
    across = (points - centre) @ np.array([direction[1], -direction[0]])
    spread, width = float(np.sqrt(np.mean(across**2))), float(np.ptp(across))
    length = float(along[-1] - along[0])
    if spread > settings.width_m / 3.0 or length < 4.0 * max(width, 0.5):
        return None
    start, end = centre + direction * along[0], centre + direction * along[-1]
    bearing = float(np.degrees(np.arctan2(direction[0], direction[1])) % 180.0)
    return (len(row), *start, *end, bearing, length, float(np.median(np.diff(along))), spread, width)


def extended(found: FoundRows, beyond_m: Floats) -> Floats:
    """Return the ends of each row moved outwards, shape (rows, 2, 2)."""
    table = found.table
    start, end = table[["x0", "y0"]].to_numpy(dtype=np.float64), table[["x1", "y1"]].to_numpy(dtype=np.float64)
    unit = (end - start) / np.maximum(table["length_m"].to_numpy(dtype=np.float64), 1e-9)[:, None]
    return np.stack([start - unit * beyond_m[:, None], end + unit * beyond_m[:, None]], axis=1)
