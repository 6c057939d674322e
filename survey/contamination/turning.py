"""Turning points: the corners of hazard areas as a surveyor walks them, with bearings and distances."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely

from survey.contamination.plane import Floats, Geometries, Ints, Plane, flat_crs, transformer

BENCHMARK_M = 25.0
"""How far outside the area a benchmark is proposed, metres. No published value; a surveyor fixes it in the field."""

INTERMEDIATE_M = 50.0
"""Turning points farther apart than this, metres, get intermediate points between them (IMSMA point types)."""


def benchmarks(shapes: Geometries, plane: Plane) -> pd.DataFrame:
    """Return a proposed benchmark for each area: ``benchmark_lon``, ``benchmark_lat``, and ``x``, ``y`` on the plane.

    It lies :data:`BENCHMARK_M` beyond the northernmost corner, or the easternmost, southernmost or westernmost one
    where that is free of other areas; null where none is. Nobody has seen the spot: it is a proposal.
    """
    count = len(shapes)
    spot = np.full((count, 2), np.nan)
    if count == 0:
        return pd.DataFrame({"x": [], "y": [], "benchmark_lon": [], "benchmark_lat": []}, dtype="float64")
    coords, owner = shapely.get_coordinates(shapes, return_index=True)
    first = np.searchsorted(owner, np.arange(count))
    tree = shapely.STRtree(shapes)
    left = np.arange(count)
    for dx, dy in ((0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0)):
        reach = coords[:, 0] * dx + coords[:, 1] * dy
        farthest = np.flatnonzero(reach == np.maximum.reduceat(reach, first)[owner])
        corner = farthest[np.searchsorted(owner[farthest], left)]
        there = coords[corner] + BENCHMARK_M * np.array([dx, dy])
        taken, _ = tree.query(shapely.points(there), predicate="intersects")
        free = np.ones(len(left), dtype=bool)
        free[taken] = False
        spot[left[free]] = there[free]
        left = left[~free]
        if len(left) == 0:
            break
    lon, lat = _degrees(spot, plane)
    return pd.DataFrame({"x": spot[:, 0], "y": spot[:, 1], "benchmark_lon": lon, "benchmark_lat": lat})


def turning_points(shapes: Geometries, benchmark: Floats, plane: Plane) -> pd.DataFrame:
    """Return the corners of every ring, clockwise from the northernmost one.

    Parameters
    ----------
    shapes : array of Polygon or MultiPolygon
        On the plane.
    benchmark : array, shape (areas, 2)
        On the plane; NaN where there is none.
    plane : Plane

    Returns
    -------
    DataFrame
        ``area`` (position), ``part``, ``ring``, ``number``, ``point_type``, ``lon``, ``lat``, and true
        bearing and distance to the next point and from the benchmark.
    """
    xy, ring, about = _rings(shapes)
    following = np.arange(1, len(xy) + 1)
    last = np.append(np.diff(ring) != 0, True) if len(ring) else np.zeros(0, bool)
    start_of = np.searchsorted(ring, np.arange(len(about)))
    following[last] = start_of[ring[last]]
    leg = xy[following] - xy
    length = np.hypot(leg[:, 0], leg[:, 1])
    pieces = np.maximum(np.ceil(length / INTERMEDIATE_M - 1e-9).astype(np.int64), 1)
    at = np.repeat(np.arange(len(xy)), pieces)
    step = np.arange(len(at)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    points = xy[at] + leg[at] * (step / pieces[at])[:, None]
    first_of_ring = np.searchsorted(ring[at], np.arange(len(about)))
    number = np.arange(len(at)) - first_of_ring[ring[at]] + 1
    area = about["area"].to_numpy()[ring[at]]
    turn = plane.convergence(*_inner(shapes))
    bearing = np.degrees(np.arctan2(leg[at, 0], leg[at, 1])) + turn[area]
    lon, lat = _degrees(points, plane)
    points -= benchmark[area]  # from here on as seen from the benchmark
    seen = np.degrees(np.arctan2(points[:, 0], points[:, 1])) + turn[area]
    kind = np.where(number == 1, 0, np.where(step == 0, 1, 2))
    return pd.DataFrame(
        {
            "area": area,
            "part": about["part"].to_numpy()[ring[at]],
            "ring": about["ring"].to_numpy()[ring[at]],
            "number": number,
            "point_type": pd.Series(["start", "turning", "intermediate"], dtype="str").take(kind).array,
            "lon": np.round(lon, 8),
            "lat": np.round(lat, 8),
            "bearing_deg": _bearings(bearing),
            "distance_m": np.round(length[at] / pieces[at], 2),
            "benchmark_bearing_deg": _bearings(seen),
            "benchmark_distance_m": np.round(np.hypot(points[:, 0], points[:, 1]), 2),
        }
    )


def _bearings(degrees: Floats) -> Floats:
    """Return bearings from 0 to less than 360, rounded to a hundredth."""
    return np.asarray(np.round(degrees % 360.0, 2) % 360.0)


def _rings(shapes: Geometries) -> tuple[Floats, Ints, pd.DataFrame]:
    """Return the corners of every ring without the closing one, the ring of each, and what each ring is."""
    parts, area = shapely.get_parts(shapes, return_index=True)
    parts = shapely.orient_polygons(parts, exterior_cw=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    coords, ring = shapely.get_coordinates(rings, return_index=True)
    closing = np.append(np.diff(ring) != 0, True) if len(ring) else np.zeros(0, bool)
    coords, ring = coords[~closing], ring[~closing]
    count = np.bincount(ring, minlength=len(rings))
    first = np.cumsum(count) - count
    north = np.zeros(len(rings), np.int64)
    if len(rings):
        top = np.flatnonzero(coords[:, 1] == np.maximum.reduceat(coords[:, 1], first)[ring])
        north = top[np.searchsorted(ring[top], np.arange(len(rings)))] - first
    # Each ring is turned so that its northernmost corner comes first.
    place = (np.arange(len(ring)) - first[ring] - north[ring]) % count[ring]
    moved = np.empty(len(ring), np.int64)
    moved[first[ring] + place] = np.arange(len(ring))
    about = pd.DataFrame(
        {
            "area": area[part],
            "part": _numbered(area)[part] + 1,
            "ring": _numbered(part),
        }
    )
    return coords[moved], ring[moved], about


def _numbered(group: Ints) -> Ints:
    """Return the number, from 0, of each entry among those of its group; groups stand together."""
    if len(group) == 0:
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    return np.arange(len(group)) - np.repeat(starts, np.diff(np.append(starts, len(group))))


def _inner(shapes: Geometries) -> tuple[Floats, Floats]:
    coords = shapely.get_coordinates(shapely.centroid(shapes)) if len(shapes) else np.zeros((0, 2))
    return coords[:, 0], coords[:, 1]


def _degrees(xy: Floats, plane: Plane) -> tuple[Floats, Floats]:
    if len(xy) == 0:
        return np.zeros(0), np.zeros(0)
    known = np.isfinite(xy[:, 0])
    lon, lat = np.full(len(xy), np.nan), np.full(len(xy), np.nan)
    lon[known], lat[known] = transformer(plane.crs, flat_crs(4326, "turning points")).transform(*xy[known].T)
    return lon, lat
