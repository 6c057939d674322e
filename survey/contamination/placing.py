"""Objects on the plane: where each lies, in which district, what it counts, and how visible its like was."""

from __future__ import annotations

from functools import partial

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from survey.contamination.ground import detectability_of
from survey.contamination.plane import Bools, Floats, Geometries, Ints, Plane, flat_crs
from survey.hazards import FAMILIES, ITEM_FAMILIES, MINE_FAMILIES
from survey.threads import in_threads

COUNTED_FAMILIES = (*ITEM_FAMILIES, "unknown")
"""Families that density counts. An unknown object is a suspected item whose class is not known: it counts."""


def which(x: Floats, y: Floats, shapes: Geometries) -> Ints:
    """Return the position of the shape each point lies in, or -1; on a boundary, of the first that touches it.

    For a few large shapes, such as districts: no tree is built, no point becomes an object.

    Parameters
    ----------
    x, y : float arrays, shape (n,)
        On the plane, metres.
    shapes : array of Polygon or MultiPolygon
        On the plane.
    """
    found = np.full(len(x), -1, dtype=np.int64)
    for number in reversed(range(len(shapes))):
        west, south, east, north = shapely.bounds(shapes[number])
        near = np.flatnonzero((x >= west) & (x <= east) & (y >= south) & (y <= north))
        inside = in_threads(partial(_touches, shapely.to_wkb(shapes[number])), x[near], y[near])
        found[near[inside.astype(bool)]] = number
    return found


def _touches(shape: bytes, x: Floats, y: Floats) -> Bools:
    # A copy for each thread: a prepared shape makes its index at the first question, and two that ask the same shape
    # at once tear the heap (seen with GEOS 3.14: "double free or corruption").
    inside: Bools = shapely.intersects_xy(shapely.from_wkb(shape), x, y)
    return inside


def place(objects: gpd.GeoDataFrame, plane: Plane, districts: Geometries) -> pd.DataFrame:
    """Return where every object lies and what it counts, on the objects' index.

    Parameters
    ----------
    objects : GeoDataFrame
        Layer ``HAZARD_OBJECTS``, any CRS.
    plane : Plane
    districts : array of geometry
        Disjoint, on the plane.

    Returns
    -------
    placed : DataFrame
        ``x``, ``y`` (representative point, m), ``district`` (position or -1), ``family`` (position in
        ``FAMILIES``), ``active`` (neither rejected nor clutter), ``confirmed``, ``item`` (density counts it), ``mine``,
        ``indicator``, ``weight`` (1 where confirmed, else the probability).
    """
    x, y = _points(objects, plane)
    family = objects["family"].astype(object)
    confirmed = (objects["verification"] == "confirmed").to_numpy()
    active = (objects["verification"] != "rejected").to_numpy() & (family != "clutter").to_numpy()
    placed = pd.DataFrame(
        {
            "x": x,
            "y": y,
            "district": which(x, y, districts),
            "family": family.map({name: i for i, name in enumerate(FAMILIES)}).to_numpy(dtype=np.int64),
            "active": active,
            "confirmed": confirmed,
            "item": family.isin(COUNTED_FAMILIES).to_numpy(),
            "mine": family.isin(MINE_FAMILIES).to_numpy(),
            "indicator": (family == "indicator").to_numpy(),
            "weight": np.where(confirmed, 1.0, np.clip(objects["probability"].to_numpy(dtype=np.float64), 0.0, 1.0)),
        },
        index=objects.index,
    )
    return placed


def with_visibility(placed: pd.DataFrame, ground: pd.DataFrame, floor: float) -> pd.DataFrame:
    """Add how visible objects of its family were where each lies: ``detectability``, and ``expected``, weight over it.

    Parameters
    ----------
    placed : DataFrame
        From :func:`place`.
    ground : DataFrame
        From :func:`survey.contamination.ground.join_coverage`. Where nothing could be measured, it is taken
        for 1: how much was missed there is not known, and the ground is not assessable anyway.
    floor : float
        Smallest detectability that is divided by.
    """
    piece = _piece_under(placed, ground["shape"].to_numpy(dtype=object))
    measured = (ground["status"] == "analysed") | (ground["detectability_by_family"].fillna("") != "")
    measured &= ground["status"] != "not_analysed"
    known = np.append(measured.to_numpy(dtype=bool), False)[piece]
    shares = np.vstack([detectability_of(ground), np.ones(len(FAMILIES))])[piece, placed["family"].to_numpy()]
    detectability = np.where(known & (shares > 0), np.maximum(shares, floor), 1.0)
    return placed.assign(detectability=detectability, expected=placed["weight"] / detectability)


def _piece_under(placed: pd.DataFrame, shapes: Geometries) -> Ints:
    """Position of the piece of ground each object lies on, or -1; on a boundary, of the first that touches it."""
    found = np.full(len(placed), len(shapes), dtype=np.int64)
    if len(placed) and len(shapes):
        # The points are in the tree, so that each piece is prepared once and asked about many points.
        tree = shapely.STRtree(in_threads(shapely.points, placed["x"].to_numpy(), placed["y"].to_numpy()))
        shape, point = tree.query(shapes, predicate="intersects")
        np.minimum.at(found, point, shape)
    found[found == len(shapes)] = -1
    return found


def _points(objects: gpd.GeoDataFrame, plane: Plane) -> tuple[np.ndarray, np.ndarray]:
    """Return a point inside each outline, on the plane; of an object without outline, its longitude and latitude."""
    if len(objects) == 0:
        return np.zeros(0), np.zeros(0)
    shapes = np.asarray(objects.geometry.values, dtype=object)
    bare = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    inside = in_threads(shapely.point_on_surface, shapes[~bare])
    coords = np.empty((len(shapes), 2))
    for chosen, points, crs in (
        (~bare, inside, objects.crs),
        (bare, shapely.points(objects["lon"][bare], objects["lat"][bare]), 4326),
    ):
        if chosen.any():
            source = flat_crs(crs, "hazard objects")
            coords[chosen] = shapely.get_coordinates(plane.transform(points, source, plane.crs, "hazard objects"))
    return coords[:, 0], coords[:, 1]
