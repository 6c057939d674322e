"""How much of each polygon lies in each square cell of a grid: exact, and without cutting any geometry.

The area of a polygon is the sum over its edges of the integral of x dy. Split every edge where it crosses a
grid line; then each bit of edge lies in one cell, adds (x - left side) dy to that cell and dy times the
cell's width to every cell to the left of it in its row. One sort and one running sum give all cells of all
polygons together. (The signed-area accumulation of font rasterisers, in double precision.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from survey.contamination.plane import Floats, Geometries, Ints

_EDGES_AT_ONCE = 2_000_000
"""Edges handled in one go; bounds the memory at a few hundred bytes each."""

_NOTHING = 1e-12
"""Share of a cell that is rounding noise."""


def cell_areas(shapes: Geometries, cell_m: float) -> pd.DataFrame:
    """Return the area of every polygon in every cell it covers.

    Parameters
    ----------
    shapes : array of Polygon or MultiPolygon, shape (n,)
        On a plane in metres; valid.
    cell_m : float
        Side of the cells, metres; cell (col, row) spans x from col * cell_m to (col + 1) * cell_m, y likewise.

    Returns
    -------
    DataFrame
        Columns ``shape`` (position in ``shapes``), ``col``, ``row``, ``area_m2``; sorted by the first three.
    """
    edges_of = np.maximum(shapely.get_num_coordinates(shapes), 1)
    stretch = np.cumsum(edges_of)
    tables = []
    start = 0
    while start < len(shapes):
        done = stretch[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(stretch, done + _EDGES_AT_ONCE, side="right")))
        tables.append(_cell_areas(shapes[start:stop], start, cell_m))
        start = stop
    if not tables:
        return pd.DataFrame(
            {"shape": np.zeros(0, np.int64), "col": np.zeros(0, np.int64), "row": np.zeros(0, np.int64), "area_m2": []}
        ).astype({"area_m2": "float64"})
    return pd.concat(tables, ignore_index=True)


def _cell_areas(shapes: Geometries, first: int, cell_m: float) -> pd.DataFrame:
    owner, start, end = _edges(shapes)
    shape, col, row, own, cover = _split(owner, start / cell_m, end / cell_m)
    shape, col, row, own, cover = _summed(shape, col, row, own, cover)
    # Cells to the left of an entry, up to the entry before it in the same row, are wholly covered (or not at all).
    new_line = np.ones(len(shape), bool)
    new_line[1:] = (shape[1:] != shape[:-1]) | (row[1:] != row[:-1])
    line = np.cumsum(new_line) - 1
    line_total = np.bincount(line, weights=cover)
    # The total of a line is zero up to rounding; taking it off keeps long lines exact.
    running = np.cumsum(cover)
    before_line = (running - cover)[new_line]
    after = line_total[line] - (running - before_line[line])
    own = own + after
    gap = np.zeros(len(shape), np.int64)
    gap[:-1] = np.where(new_line[1:], 0, col[1:] - col[:-1] - 1)
    gap[np.abs(after) < 1e-9] = 0
    run = np.repeat(np.arange(len(shape)), gap)
    step = np.arange(len(run)) - np.repeat(np.cumsum(gap) - gap, gap) + 1
    table = pd.DataFrame(
        {
            "shape": np.concatenate([shape, shape[run]]) + first,
            "col": np.concatenate([col, col[run] + step]),
            "row": np.concatenate([row, row[run]]),
            "area_m2": np.concatenate([own, after[run]]),
        }
    )
    table = table[table["area_m2"] > _NOTHING]
    table["area_m2"] = np.minimum(table["area_m2"], 1.0) * cell_m**2
    return table.sort_values(["shape", "col", "row"], ignore_index=True)


def _edges(shapes: Geometries) -> tuple[Ints, Floats, Floats]:
    """Return every edge of every ring, outer rings counter-clockwise and holes clockwise."""
    parts, shape_of_part = shapely.get_parts(shapes, return_index=True)
    parts = shapely.orient_polygons(parts)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    coords, ring_of_point = shapely.get_coordinates(rings, return_index=True)
    same = ring_of_point[1:] == ring_of_point[:-1]
    owner = shape_of_part[part_of_ring[ring_of_point[:-1][same]]]
    return owner.astype(np.int64), coords[:-1][same], coords[1:][same]


def _split(owner: Ints, start: Floats, end: Floats) -> tuple[Ints, Ints, Ints, Floats, Floats]:
    """Split edges at whole coordinates; return shape, col, row, own area and cover of every bit."""
    rising = start[:, 1] != end[:, 1]  # a level edge adds nothing to the integral of x dy
    owner, start, end = owner[rising], start[rising], end[rising]
    first = np.floor(np.minimum(start, end)).astype(np.int64) + 1
    crossed = np.maximum(np.ceil(np.maximum(start, end)).astype(np.int64) - first, 0)
    # Most edges are shorter than a cell and cross one line or none: only the others have to be sorted.
    lines = crossed.sum(axis=1)
    none, once, often = np.flatnonzero(lines == 0), np.flatnonzero(lines == 1), np.flatnonzero(lines > 1)
    axis = crossed[once, 1]
    at = (first[once, axis] - start[once, axis]) / (end[once, axis] - start[once, axis])
    edge, low, high = _crossings(start[often], end[often], first[often], crossed[often])
    bit = np.concatenate([none, once, once, often[edge]])
    t0 = np.concatenate([np.zeros(len(none) + len(once)), at, low])
    t1 = np.concatenate([np.ones(len(none)), at, np.ones(len(once)), high])
    span = end[bit] - start[bit]
    middle = start[bit] + span * ((t0 + t1) / 2.0)[:, None]
    dy = span[:, 1] * (t1 - t0)
    cell = np.floor(middle).astype(np.int64)
    return owner[bit], cell[:, 0], cell[:, 1], dy * (middle[:, 0] - cell[:, 0]), dy


def _crossings(start: Floats, end: Floats, first: Ints, count: Ints) -> tuple[Ints, Floats, Floats]:
    """Return the bits of edges between lines: the edge, and from where to where along it (0 to 1).

    Parameters
    ----------
    start, end : float arrays, shape (n, 2)
    first, count : int arrays, shape (n, 2)
        First whole coordinate that each edge crosses along each axis, and how many.
    """
    edge = [np.arange(len(start)), np.arange(len(start))]
    where = [np.zeros(len(start)), np.ones(len(start))]
    for axis in (0, 1):
        index = np.repeat(np.arange(len(start)), count[:, axis])
        step = np.arange(len(index)) - np.repeat(np.cumsum(count[:, axis]) - count[:, axis], count[:, axis])
        edge.append(index)
        where.append((first[index, axis] + step - start[index, axis]) / (end[index, axis] - start[index, axis]))
    edges, t = np.concatenate(edge), np.concatenate(where)
    order = np.lexsort((t, edges))
    edges, t = edges[order], np.clip(t[order], 0.0, 1.0)
    same = edges[1:] == edges[:-1]
    return edges[:-1][same], t[:-1][same], t[1:][same]


def _summed(shape: Ints, col: Ints, row: Ints, own: Floats, cover: Floats) -> tuple[Ints, Ints, Ints, Floats, Floats]:
    """Sum the bits of one shape in one cell; sorted by shape, row, col."""
    order = np.lexsort((col, row, shape))
    shape, col, row, own, cover = shape[order], col[order], row[order], own[order], cover[order]
    new = np.ones(len(shape), bool)
    new[1:] = (shape[1:] != shape[:-1]) | (row[1:] != row[:-1]) | (col[1:] != col[:-1])
    starts: npt.NDArray[np.intp] = np.flatnonzero(new)
    if len(starts) == 0:
        return shape, col, row, own, cover
    return shape[new], col[new], row[new], np.add.reduceat(own, starts), np.add.reduceat(cover, starts)
