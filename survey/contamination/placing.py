"""Objects on the plane: where each lies, in which district, what it counts, and how visible its like was."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from survey.contamination.plane import Geometries, Plane, flat_crs
from survey.hazards import ITEM_FAMILIES, MINE_FAMILIES

COUNTED_FAMILIES = (*ITEM_FAMILIES, "unknown")
"""Families that density counts. An unknown object is a suspected item whose class is not known: it counts."""


def place(
    objects: gpd.GeoDataFrame, plane: Plane, districts: Geometries, ground: pd.DataFrame, floor: float
) -> pd.DataFrame:
    """Return what the map plane must know of every object, on the objects' index.

    Parameters
    ----------
    objects : GeoDataFrame
        Layer ``HAZARD_OBJECTS``, any CRS.
    plane : Plane
    districts : array of geometry
        Disjoint, on the plane.
    ground : DataFrame
        From :func:`survey.contamination.ground.join_coverage`.
    floor : float
        Smallest detectability that is divided by.

    Returns
    -------
    DataFrame
        ``x``, ``y`` (representative point, m), ``district`` (position or -1), ``active`` (neither rejected nor
        clutter), ``confirmed``, ``item`` (density counts it), ``mine``,
        ``indicator``, ``weight`` (1 where confirmed, else the probability), ``detectability``, ``expected``
        (weight over detectability).
    """
    x, y = _points(objects, plane)
    tree = shapely.STRtree(shapely.points(x, y)) if len(x) else None
    piece = assign(ground["shape"].to_numpy(dtype=object), tree, len(x))
    status = np.append(ground["status"].to_numpy(dtype=object), "")[piece]
    seen = np.append(ground["detectability"].to_numpy(dtype=np.float64), 1.0)[piece]
    family = objects["family"].astype(object)
    confirmed = (objects["verification"] == "confirmed").to_numpy()
    active = (objects["verification"] != "rejected").to_numpy() & (family != "clutter").to_numpy()
    weight = np.where(confirmed, 1.0, np.clip(objects["probability"].to_numpy(dtype=np.float64), 0.0, 1.0))
    detectability = np.where(status == "analysed", np.maximum(seen, floor), 1.0)
    return pd.DataFrame(
        {
            "x": x,
            "y": y,
            "district": assign(districts, tree, len(x)),
            "active": active,
            "confirmed": confirmed,
            "item": family.isin(COUNTED_FAMILIES).to_numpy(),
            "mine": family.isin(MINE_FAMILIES).to_numpy(),
            "indicator": (family == "indicator").to_numpy(),
            "weight": weight,
            "detectability": detectability,
            "expected": weight / detectability,
        },
        index=objects.index,
    )


def _points(objects: gpd.GeoDataFrame, plane: Plane) -> tuple[np.ndarray, np.ndarray]:
    """Return a point inside each outline, on the plane; of an object without outline, its longitude and latitude."""
    if len(objects) == 0:
        return np.zeros(0), np.zeros(0)
    shapes = np.asarray(objects.geometry.values, dtype=object)
    bare = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    inside = shapely.point_on_surface(shapes[~bare])
    coords = np.empty((len(shapes), 2))
    for chosen, points, crs in (
        (~bare, inside, objects.crs),
        (bare, shapely.points(objects["lon"][bare], objects["lat"][bare]), 4326),
    ):
        if chosen.any():
            source = flat_crs(crs, "hazard objects")
            coords[chosen] = shapely.get_coordinates(plane.transform(points, source, plane.crs, "hazard objects"))
    return coords[:, 0], coords[:, 1]


def assign(shapes: Geometries, points: shapely.STRtree | None, count: int) -> np.ndarray:
    """Return the position of the shape each point lies in, or -1; on a boundary, of the first that touches it.

    Parameters
    ----------
    shapes : array of Polygon or MultiPolygon
        On the plane, disjoint.
    points : STRtree of Point, optional
        The tree holds the points, so that each shape is prepared once and asked about many points.
    count : int
        How many points there are.
    """
    found = np.full(count, len(shapes), dtype=np.int64)
    if points is not None and len(shapes):
        shape, point = points.query(shapes, predicate="intersects")
        np.minimum.at(found, point, shape)
    found[found == len(shapes)] = -1
    return found
