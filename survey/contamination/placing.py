"""Objects on the plane: where each lies, in which district, what it counts, and how visible its like was."""

from __future__ import annotations

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from survey.contamination.ground import detectability_of
from survey.contamination.plane import Floats, Geometries, Ints, Plane, flat_crs
from survey.contamination.threads import in_threads
from survey.hazards import FAMILIES, ITEM_FAMILIES, MINE_FAMILIES

COUNTED_FAMILIES = (*ITEM_FAMILIES, "unknown")
"""Families that density counts. An unknown object is a suspected item whose class is not known: it counts."""


@dataclass(frozen=True)
class Points:
    """Points on the plane in a tree, so that each shape is prepared once and asked about many points."""

    tree: shapely.STRtree
    count: int

    @classmethod
    def of(cls, x: Floats, y: Floats) -> Points:
        """Return the points with these coordinates, metres."""
        return cls(shapely.STRtree(shapely.points(x, y)), len(x))

    def within(self, shapes: Geometries) -> Ints:
        """Return the position of the shape each point lies in, or -1; on a boundary, of the first that touches it.

        Parameters
        ----------
        shapes : array of Polygon or MultiPolygon
            On the plane, disjoint.
        """
        found = np.full(self.count, len(shapes), dtype=np.int64)
        if self.count and len(shapes):
            shape, point = self.tree.query(shapes, predicate="intersects")
            np.minimum.at(found, point, shape)
        found[found == len(shapes)] = -1
        return found


def place(objects: gpd.GeoDataFrame, plane: Plane, districts: Geometries) -> tuple[pd.DataFrame, Points]:
    """Return where every object lies and what it counts, on the objects' index, and a tree of their points.

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
    points : Points
    """
    x, y = _points(objects, plane)
    points = Points.of(x, y)
    family = objects["family"].astype(object)
    confirmed = (objects["verification"] == "confirmed").to_numpy()
    active = (objects["verification"] != "rejected").to_numpy() & (family != "clutter").to_numpy()
    placed = pd.DataFrame(
        {
            "x": x,
            "y": y,
            "district": points.within(districts),
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
    return placed, points


def with_visibility(placed: pd.DataFrame, points: Points, ground: pd.DataFrame, floor: float) -> pd.DataFrame:
    """Add how visible objects of its family were where each lies: ``detectability``, and ``expected``, weight over it.

    Parameters
    ----------
    placed, points
        From :func:`place`.
    ground : DataFrame
        From :func:`survey.contamination.ground.join_coverage`. Where nothing could be measured, it is taken
        for 1: how much was missed there is not known, and the ground is not assessable anyway.
    floor : float
        Smallest detectability that is divided by.
    """
    piece = points.within(ground["shape"].to_numpy(dtype=object))
    measured = (ground["status"] == "analysed") | (ground["detectability_by_family"].fillna("") != "")
    measured &= ground["status"] != "not_analysed"
    known = np.append(measured.to_numpy(dtype=bool), False)[piece]
    shares = np.vstack([detectability_of(ground), np.ones(len(FAMILIES))])[piece, placed["family"].to_numpy()]
    detectability = np.where(known & (shares > 0), np.maximum(shares, floor), 1.0)
    return placed.assign(detectability=detectability, expected=placed["weight"] / detectability)


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
