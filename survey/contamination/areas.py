"""Hazard areas: objects and other evidence that belong together, and the ground around them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pydantic import BaseModel, ConfigDict, Field

from survey.contamination.cells import cell_areas
from survey.contamination.clusters import Mesh, mesh, together
from survey.contamination.density import Density, class_range, density_estimate
from survey.contamination.fadeout import Fadeout, read_fadeout
from survey.contamination.ground import share_out
from survey.contamination.outlines import Outlining, outlines, regrouped, touching
from survey.contamination.plane import Floats, Geometries, Ints, Plane
from survey.contamination.rounding import largest_remainder_by_group
from survey.hazards import FAMILIES
from survey.layers import DISTRICT_CLASSES


class Areas(BaseModel):
    """Settings of the hazard areas: job table ``[areas]``. Every distance is without a published threshold.

    Attributes
    ----------
    cluster_m : float
        Evidence no farther apart than this, metres, belongs together.
    fill_m : float
        Ground between three pieces of evidence no farther apart than this, metres, is part of the area.
    fadeout : Path, optional
        Table of fade-out distances in the form of the packaged ``fadeout.toml``.
    min_radius_m : float
        An area reaches at least this far beyond its evidence, metres.
    long_object_m : float
        Objects longer than this, metres, count with their outline, shorter ones with a point.
    simplify_m : float
        Vertices that move the outline by less than this, metres, are left out.
    hole_m2 : float
        Holes smaller than this, square metres, are filled.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster_m: float = Field(default=50.0, ge=1.0, le=1000.0)
    fill_m: float = Field(default=75.0, ge=1.0, le=2000.0)
    fadeout: Path | None = None
    min_radius_m: float = Field(default=5.0, ge=1.0)
    long_object_m: float = Field(default=3.0, gt=0.0)
    simplify_m: float = Field(default=0.5, ge=0.0, le=5.0)
    hole_m2: float = Field(default=2500.0, ge=100.0)


@dataclass(frozen=True)
class Members:
    """What hazard areas are made of, in order of identity.

    Attributes
    ----------
    table : DataFrame
        ``identity``, ``family``, ``item``, ``x``, ``y``, ``error_m`` (position), ``radius_m`` (half its length).
    points, owner : arrays, shapes (n, 2) and (n,)
        Points of every member, and whose they are: one of a small object, the vertices of a long one.
    shapes, shape_owner : arrays, shape (k,)
        Outlines of the members that have one.
    """

    table: pd.DataFrame
    points: Floats
    owner: Ints
    shapes: Geometries
    shape_owner: Ints


def members_of(objects: gpd.GeoDataFrame, placed: pd.DataFrame, plane: Plane, settings: Areas) -> Members:
    """Return the objects that make areas: neither rejected nor clutter. Rows follow those of ``objects``."""
    active = placed["active"].to_numpy()
    chosen, at = objects[active], placed[active]
    length = chosen["length_m"].to_numpy(dtype=np.float64)
    long = length > settings.long_object_m
    shapes = plane.project(chosen.geometry[long], "hazard objects", densify=False)
    table = pd.DataFrame(
        {
            "identity": chosen["object_id"].to_numpy(dtype=object),
            "family": chosen["family"].to_numpy(dtype=object),
            "item": at["item"].to_numpy(),
            "x": at["x"].to_numpy(),
            "y": at["y"].to_numpy(),
            "error_m": chosen["position_error_m"].to_numpy(dtype=np.float64),
            "radius_m": np.where(long, 0.0, length / 2.0),
        }
    )
    corners, of = shapely.get_coordinates(shapely.segmentize(shapes, settings.cluster_m / 4.0), return_index=True)
    points = np.vstack([table[["x", "y"]].to_numpy(dtype=np.float64), corners])
    owner = np.concatenate([np.arange(len(table)), np.flatnonzero(long)[of]])
    return Members(table, points, owner, shapes, np.flatnonzero(long))


def delineate(members: Members, settings: Areas) -> tuple[Geometries, Ints, pd.DataFrame]:
    """Return the areas, the area of each member, and what is known of each area's outline.

    Returns
    -------
    shapes : array of geometry, shape (areas,)
        Disjoint, valid, on the plane; ordered by their first member.
    area_of : int array, shape (members,)
    about : DataFrame, shape (areas, …)
        ``pattern``, ``fadeout_m``, ``fadeout_rule``.
    """
    net = mesh(members.points, settings.cluster_m, settings.fill_m)
    group = _groups(net, members)
    of_member = group[net.corner[: len(members.table)]]
    pattern = np.where(np.bincount(of_member)[of_member] == 1, "single", "scatter").astype(object)
    table = read_fadeout(settings.fadeout)
    fade = _reach(members.table, pattern, table, settings)
    corner_fade = np.zeros(len(net.xy))
    np.maximum.at(corner_fade, net.corner, fade[members.owner])
    extra = (members.shapes, of_member[members.shape_owner], fade[members.shape_owner])
    tidy = Outlining(settings.simplify_m, settings.hole_m2)
    shapes = outlines(net, group, corner_fade, extra, tidy)
    while len(links := touching(shapes)):
        joint = together(len(shapes), links)
        shapes, of_member = regrouped(shapes, joint, tidy), joint[of_member]
    about = _about(members.table, of_member, fade, pattern, len(shapes))
    return shapes, of_member, about


def _groups(net: Mesh, members: Members) -> Ints:
    """Return the cluster of each corner: by distance, and because points of one member belong together."""
    first = net.corner[members.owner]
    home = net.corner[: len(members.table)][members.owner]
    return together(len(net.xy), np.vstack([net.edges, np.column_stack([first, home])]))


def _reach(table: pd.DataFrame, pattern: np.ndarray, fadeout: Fadeout, settings: Areas) -> Floats:
    """Return how far the area reaches beyond each member: fade-out and position error in quadrature, metres.

    In steps of half a metre upward, so that outlines of many members are grown by a few distances only.
    """
    fade = fadeout.distance(table["family"], pattern)
    reach = np.hypot(fade, table["error_m"].to_numpy()) + table["radius_m"].to_numpy()
    return np.asarray(np.ceil(2.0 * np.maximum(reach, settings.min_radius_m)) / 2.0)


def _about(table: pd.DataFrame, area_of: Ints, fade: Floats, pattern: np.ndarray, count: int) -> pd.DataFrame:
    """Return the pattern of each area, and the largest fade-out with the rule it comes from."""
    widest = pd.DataFrame({"area": area_of, "fade": fade}).sort_values(["area", "fade"], kind="stable")
    last = widest.drop_duplicates("area", keep="last").index.to_numpy()
    rule = table["family"].to_numpy(dtype=object)[last] + "/" + pattern[last]
    items = np.bincount(area_of, weights=table["item"].to_numpy(), minlength=count)
    everything = np.bincount(area_of, minlength=count)
    named = np.select([items == 0, everything == 1, items < 5], ["unknown", "single", "cluster"], default="scatter")
    return pd.DataFrame({"pattern": named, "fadeout_m": fade[last], "fadeout_rule": rule})


def tally(objects: gpd.GeoDataFrame, placed: pd.DataFrame, area_of: Ints, count: int) -> pd.DataFrame:
    """Return counts of each area from the active objects, in the order of ``area_of``.

    Returns
    -------
    DataFrame, shape (areas, …)
        ``n_objects``, ``n_confirmed``, ``n_unverified``, ``n_items``, ``n_indicators``, ``items`` (sum of weights),
        ``expected`` (over detectability), ``n_FAMILY`` for each family, ``families``.
    """
    active = placed["active"].to_numpy()
    at = placed[active]
    family = objects["family"].to_numpy(dtype=object)[active]
    item, confirmed = at["item"].to_numpy(), at["confirmed"].to_numpy()

    def total(values: np.ndarray) -> Floats:
        return np.bincount(area_of, weights=values.astype(np.float64), minlength=count)

    table = pd.DataFrame(
        {
            "n_objects": total(np.ones(len(at))),
            "n_confirmed": total(confirmed),
            "n_unverified": total(~confirmed),
            "n_items": total(item),
            "n_indicators": total(at["indicator"].to_numpy()),
            "items": total(item * at["weight"].to_numpy()),
            "expected": total(item * at["expected"].to_numpy()),
        }
    )
    for name in FAMILIES:
        table[f"n_{name}"] = total(family == name)
    present = table[[f"n_{name}" for name in FAMILIES]].to_numpy() > 0
    code = present @ (1 << np.arange(len(FAMILIES)))
    words = {c: ";".join(f for i, f in enumerate(FAMILIES) if c >> i & 1) for c in np.unique(code).tolist()}
    table["families"] = [words[c] for c in code.tolist()]
    return table


def identities(members: Members, area_of: Ints, count: int) -> list[str]:
    """Return a digest of the members of each area: the same members, the same area."""
    order = np.argsort(area_of, kind="stable")
    names = members.table["identity"].to_numpy(dtype=object)[order]
    bounds = np.searchsorted(area_of[order], np.arange(count + 1)).tolist()
    return [
        hashlib.sha256("\n".join(sorted(names[a:b])).encode()).hexdigest()[:16]
        for a, b in pairwise(bounds)
    ]


def describe(tallied: pd.DataFrame, shapes: Geometries, cells: pd.DataFrame, settings: Density) -> pd.DataFrame:
    """Return size, what was seen, and density with its interval, for each area.

    What was seen of an area is taken from the grid: each cell's analysed share for the part of the area in it.
    """
    square_metres = shapely.area(shapes) if len(shapes) else np.zeros(0)
    inside = cell_areas(shapes, settings.cell_m)
    at = pd.MultiIndex.from_frame(cells[["row", "col"]]).get_indexer(pd.MultiIndex.from_frame(inside[["row", "col"]]))
    full = settings.cell_m**2
    share = inside["area_m2"].to_numpy() / full
    count = len(shapes)
    seen = {
        name: np.bincount(
            inside["shape"].to_numpy(), weights=np.append(cells[name].to_numpy(), 0.0)[at] * share, minlength=count
        )
        for name in ("analysed_m2", "visible_m2")
    }
    fraction = np.divide(seen["analysed_m2"], square_metres, out=np.zeros(count), where=square_metres > 0)
    visible = np.divide(seen["visible_m2"], seen["analysed_m2"], out=np.zeros(count), where=seen["analysed_m2"] > 0)
    support = np.maximum(square_metres / 1e4, 1.0)
    density, low, high = density_estimate(
        (tallied["items"].to_numpy(), tallied["expected"].to_numpy()),
        support,
        support,
        np.maximum(visible, settings.detectability_floor),
        settings.interval,
    )
    number = np.maximum(settings.class_number(density), 1)
    return pd.DataFrame(
        {
            "area_m2": np.round(square_metres, 2),
            "area_ha": np.round(square_metres / 1e4, 4),
            "perimeter_m": np.round(shapely.length(shapes), 1) if count else np.zeros(0),
            "observed_fraction": np.round(np.minimum(fraction, 1.0), 4),
            "detectability": np.round(visible, 4),
            "density_per_ha": np.round(density, 4),
            "density_low": np.round(low, 4),
            "density_high": np.round(high, 4),
            "density_class": np.array(DISTRICT_CLASSES, dtype=object)[number],
            "class_range": class_range(low, high, settings),
        }
    )


def share_areas(areas: pd.DataFrame, districts: Geometries) -> pd.DataFrame:
    """Share areas out by district.

    Returns
    -------
    DataFrame
        ``area``, ``district`` (positions) and ``area_m2``, to two decimals: with what lies outside every
        district they add up to the area exactly.
    """
    shapes = areas["shape"].to_numpy(dtype=object)
    area, district, parts = share_out(shapes, districts)
    inside = shapely.area(parts)
    outside = areas["area_m2"].to_numpy() - np.bincount(area, weights=inside, minlength=len(shapes))
    outside = np.where(outside < 0.01, 0.0, outside)
    both = np.concatenate([inside, outside])
    group = np.concatenate([area, np.arange(len(shapes))])
    rounded = largest_remainder_by_group(both, group, areas["area_m2"].to_numpy(), decimals=2)
    table = pd.DataFrame({"area": area, "district": district, "area_m2": rounded[: len(area)]})
    return table[table["area_m2"] > 0.0].reset_index(drop=True)


def largest_share(shares: pd.DataFrame, count: int) -> Ints:
    """Return the district that holds most of each area, or -1; of equals, the first."""
    position = np.full(count, -1, dtype=np.int64)
    order = shares.sort_values(["area", "area_m2", "district"], ascending=[True, True, False], kind="stable")
    position[order["area"].to_numpy()] = order["district"].to_numpy()
    return position


def by_object(values: pd.Series, placed: pd.DataFrame, area_of: Ints) -> np.ndarray:
    """Return the value of its area for each object, null for objects that make no area."""
    result = np.full(len(placed), None, dtype=object)
    result[placed["active"].to_numpy()] = values.to_numpy(dtype=object)[area_of]
    return result
