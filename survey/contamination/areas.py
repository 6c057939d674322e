"""Hazard areas: objects and other evidence that belong together, and the ground around them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from pydantic import BaseModel, ConfigDict, Field

from survey.contamination.clusters import Mesh, mesh, together
from survey.contamination.fadeout import Fadeout, read_fadeout
from survey.contamination.outlines import Outlining, outlines, regrouped, touching
from survey.contamination.plane import Bools, Floats, Geometries, Ints, Plane, Texts, polygons_only
from survey.contamination.rows import FoundRows, Rows, extended, find_rows
from survey.hazards import FAMILIES


class Areas(BaseModel):
    """Settings of the hazard areas: job table ``[areas]``. Every distance is without a published threshold.

    Attributes
    ----------
    cluster_m : float
        Evidence no farther apart than this, metres, belongs together.
    mine_cluster_m : float
        The same between two mines: fragmentation mines stand tens of metres apart.
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
    rows : Rows
        How mine rows are recognised.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster_m: float = Field(default=50.0, ge=1.0, le=1000.0)
    mine_cluster_m: float = Field(default=75.0, ge=1.0, le=1000.0)
    fill_m: float = Field(default=75.0, ge=1.0, le=2000.0)
    fadeout: Path | None = None
    min_radius_m: float = Field(default=5.0, ge=1.0)
    long_object_m: float = Field(default=3.0, gt=0.0)
    simplify_m: float = Field(default=1.0, ge=0.0, le=5.0)
    hole_m2: float = Field(default=2500.0, ge=100.0)
    rows: Rows = Rows()


@dataclass(frozen=True)
class Members:
    """What hazard areas are made of: objects in order of identity, then other evidence.

    Attributes
    ----------
    table : DataFrame
        ``identity``, ``family``, ``item``, ``mine``, ``x``, ``y``, ``error_m`` (position), ``radius_m`` (half its
        length), ``own_fade_m`` (distance of other evidence; NaN for objects, which take it from the table).
    points, owner : arrays, shapes (n, 2) and (n,)
        Points of every member, and whose they are: one of a small object, the vertices of a long one. The first
        point of each member comes first, in the order of the table.
    shapes, shape_owner : arrays, shape (k,)
        Outlines of the members that have one.
    """

    table: pd.DataFrame
    points: Floats
    owner: Ints
    shapes: Geometries
    shape_owner: Ints


@dataclass(frozen=True)
class Delineation:
    """Hazard areas as drawn.

    Attributes
    ----------
    shapes : array of geometry, shape (areas,)
        Disjoint, valid, on the plane; ordered by their first member.
    area_of : int array, shape (members,)
    about : DataFrame, shape (areas, …)
        ``pattern``, ``delineation``, ``fadeout_m``, ``fadeout_rule`` and what is known of rows.
    rows : DataFrame
        As :class:`~survey.contamination.rows.FoundRows`, with ``area`` and ``family``.
    """

    shapes: Geometries
    area_of: Ints
    about: pd.DataFrame
    rows: pd.DataFrame


def members_of(
    objects: gpd.GeoDataFrame, placed: pd.DataFrame, evidence: gpd.GeoDataFrame, plane: Plane, settings: Areas
) -> Members:
    """Return what makes areas: objects neither rejected nor clutter, and other evidence.

    Rows follow those of ``objects``, then those of ``evidence``.
    """
    active = placed["active"].to_numpy()
    chosen, at = objects[active], placed[active]
    length = chosen["length_m"].to_numpy(dtype=np.float64)
    long = length > settings.long_object_m
    outlines_of_long = polygons_only(plane.project(chosen.geometry[long], "hazard objects", densify=False))
    grounds = polygons_only(plane.project(evidence.geometry, "evidence"))
    inner = shapely.get_coordinates(shapely.point_on_surface(grounds)) if len(grounds) else np.zeros((0, 2))
    seen = pd.DataFrame(
        {
            "identity": chosen["object_id"].to_numpy(dtype=object),
            "family": chosen["family"].to_numpy(dtype=object),
            "item": at["item"].to_numpy(),
            "mine": at["mine"].to_numpy(),
            "x": at["x"].to_numpy(),
            "y": at["y"].to_numpy(),
            "error_m": chosen["position_error_m"].to_numpy(dtype=np.float64),
            "radius_m": np.where(long, 0.0, length / 2.0),
            "own_fade_m": np.nan,
        }
    )
    told = pd.DataFrame(
        {
            "identity": "evidence " + evidence["evidence_id"].astype(object).to_numpy(dtype=object),
            "family": np.where(evidence["family"].isna(), "unknown", evidence["family"].astype(object)),
            "item": False,
            "mine": False,
            "x": inner[:, 0],
            "y": inner[:, 1],
            "error_m": evidence["accuracy_m"].to_numpy(dtype=np.float64),
            "radius_m": 0.0,
            "own_fade_m": evidence["fadeout_m"].to_numpy(dtype=np.float64),
        }
    )
    table = pd.concat([t for t in (seen, told) if len(t)] or [seen], ignore_index=True)
    shapes = np.concatenate([outlines_of_long, grounds])
    shape_owner = np.concatenate([np.flatnonzero(long), len(seen) + np.arange(len(told))])
    corners, of = shapely.get_coordinates(shapely.segmentize(shapes, settings.cluster_m / 4.0), return_index=True)
    points = np.vstack([table[["x", "y"]].to_numpy(dtype=np.float64), corners])
    return Members(table, points, np.concatenate([np.arange(len(table)), shape_owner[of]]), shapes, shape_owner)


def delineate(members: Members, settings: Areas) -> Delineation:
    """Cluster the members by ground distance, recognise rows, and draw the areas."""
    net = _net(members, settings)
    group = _groups(net, members)
    of_member = group[net.corner[: len(members.table)]]
    found, family_of_row = _rows(members, of_member, settings.rows)
    alone = np.bincount(of_member)[of_member] == 1 if len(of_member) else np.zeros(0, bool)
    pattern = np.where(alone, "single", "scatter").astype(object)
    in_row = found.row_of >= 0
    pattern[in_row] = "row"
    fadeout = read_fadeout(settings.fadeout)
    fade = _reach(members.table, pattern, fadeout, settings)
    corner_fade = np.zeros(len(net.xy))
    np.maximum.at(corner_fade, net.corner, fade[members.owner])
    lines, line_fade = _row_lines(found, fade, family_of_row, fadeout)
    extra = (
        np.concatenate([members.shapes, lines]),
        np.concatenate([of_member[members.shape_owner], found.table["group"].to_numpy()]),
        np.concatenate([fade[members.shape_owner], line_fade]),
    )
    tidy = Outlining(settings.simplify_m, settings.hole_m2)
    shapes = outlines(net, group, corner_fade, extra, tidy)
    rows = found.table.assign(family=family_of_row, area=found.table["group"])
    links = touching(shapes, np.arange(len(shapes)))
    while len(links):
        joint = together(len(shapes), links)
        shapes, changed = regrouped(shapes, joint, tidy)
        of_member = joint[of_member]
        rows["area"] = joint[rows["area"].to_numpy()]
        links = touching(shapes, changed)  # what was not joined touches nothing but what was
    about = _about(members, of_member, (fade, pattern, fadeout.source), len(shapes))
    return Delineation(shapes, of_member, about.join(_row_facts(rows, len(shapes))), rows.drop(columns="group"))


def _net(members: Members, settings: Areas) -> Mesh:
    """Join the members' points: mines over a longer distance than anything else."""
    net = mesh(members.points, max(settings.cluster_m, settings.mine_cluster_m), settings.fill_m)
    mine = np.zeros(len(net.xy), dtype=bool)
    mine[net.corner[: len(members.table)][members.table["mine"].to_numpy(dtype=bool)]] = True
    length = np.hypot(*(net.xy[net.edges[:, 0]] - net.xy[net.edges[:, 1]]).T)
    reach = np.where(mine[net.edges].all(axis=1), settings.mine_cluster_m, settings.cluster_m)
    return replace(net, edges=net.edges[length <= reach])


def _groups(net: Mesh, members: Members) -> Ints:
    """Return the cluster of each corner: by distance, and because points of one member belong together."""
    home = net.corner[: len(members.table)]
    links = [net.edges, np.column_stack([net.corner[members.owner], home[members.owner]])]
    if len(members.shapes):
        shape, point = shapely.STRtree(shapely.points(net.xy)).query(members.shapes, predicate="intersects")
        links.append(np.column_stack([home[members.shape_owner[shape]], point]))
    return together(len(net.xy), np.vstack(links))


def _rows(members: Members, of_member: Ints, settings: Rows) -> tuple[FoundRows, Texts]:
    """Return the rows among the mines, family by family, and the family of each row; groups are clusters."""
    table = members.table
    mine = np.flatnonzero(table["mine"].to_numpy())
    family = table["family"].to_numpy(dtype=object)[mine]
    names = np.array(FAMILIES, dtype=object)
    number = pd.Index(names).get_indexer(pd.Index(family))
    group = of_member[mine] * len(names) + number
    found = find_rows(table[["x", "y"]].to_numpy(dtype=np.float64)[mine], group, settings)
    row_of = np.full(len(table), -1, dtype=np.int64)
    row_of[mine] = found.row_of
    key = found.table["group"].to_numpy()
    rows = found.table.assign(group=key // len(names))
    return FoundRows(row_of, rows), names[key % len(names)]


def _reach(table: pd.DataFrame, pattern: Texts, fadeout: Fadeout, settings: Areas) -> Floats:
    """Return how far the area reaches beyond each member: fade-out and position error in quadrature, metres.

    In steps of half a metre upward, so that outlines of many members are grown by a few distances only.
    """
    own = table["own_fade_m"].to_numpy()
    fade = np.where(np.isnan(own), fadeout.distance(table["family"], pattern), own)
    error = np.where(np.isnan(own), table["error_m"].to_numpy(), 0.0)
    reach = np.maximum(np.hypot(fade, error), settings.min_radius_m) + table["radius_m"].to_numpy()
    return np.asarray(np.ceil(2.0 * reach) / 2.0)


def _row_lines(found: FoundRows, fade: Floats, family: Texts, fadeout: Fadeout) -> tuple[Geometries, Floats]:
    """Return each row as a line that runs on by what row ends add, and the distance it is grown by."""
    count = len(found.table)
    width = np.zeros(count)
    np.maximum.at(width, found.row_of[found.row_of >= 0], fade[found.row_of >= 0])
    beyond = fadeout.distance(family, np.full(count, "row_end", dtype=object)) - fadeout.distance(
        family, np.full(count, "row", dtype=object)
    )
    ends = extended(found, np.maximum(beyond, 0.0))
    lines: Geometries = shapely.linestrings(ends) if count else np.zeros(0, object)
    return lines, width


def _about(members: Members, area_of: Ints, drawn: tuple[Floats, Texts, str], count: int) -> pd.DataFrame:
    """Return the pattern of each area, how it was drawn, and the largest fade-out with its rule."""
    fade, pattern, source = drawn
    table = members.table
    widest = pd.DataFrame({"area": area_of, "fade": fade}).sort_values(["area", "fade"], kind="stable")
    last = widest.drop_duplicates("area", keep="last").index.to_numpy()
    record = table["own_fade_m"].notna().to_numpy()[last]
    rule = table["family"].to_numpy(dtype=object)[last] + "/" + pattern[last] + f" ({source})"

    def total(values: Bools) -> Floats:
        sums = np.bincount(area_of, weights=values.astype(np.float64), minlength=count)
        return np.asarray(sums, dtype=np.float64)

    items, mines = total(table["item"].to_numpy(dtype=bool)), total(table["mine"].to_numpy(dtype=bool))
    everything, in_rows = np.bincount(area_of, minlength=count), total(pattern == "row")
    rowed = (in_rows > 0) & (in_rows >= mines / 2.0)
    named = np.select(
        [items == 0, rowed, everything == 1, items < 5], ["unknown", "row", "single", "cluster"], default="scatter"
    )
    drawn_as = np.select([rowed, everything == 1], ["rows and hull", "point and radius"], default="hull")
    return pd.DataFrame(
        {
            "pattern": named,
            "delineation": drawn_as,
            "fadeout_m": fade[last],
            "fadeout_rule": np.where(record, "other evidence (evidence table)", rule),
        }
    )


def _row_facts(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return number, bearing, spacing and confidence of the rows of each area; longer rows weigh more."""
    area, length = rows["area"].to_numpy(), rows["length_m"].to_numpy()
    double = np.radians(2.0 * rows["bearing_deg"].to_numpy())
    north = np.bincount(area, weights=length * np.cos(double), minlength=count)
    east = np.bincount(area, weights=length * np.sin(double), minlength=count)
    whole = np.bincount(area, weights=length, minlength=count)

    def mean(column: str) -> Floats:
        sums = np.bincount(area, weights=length * rows[column].to_numpy(), minlength=count)
        means: Floats = np.divide(sums, whole, out=np.full(count, np.nan), where=whole > 0)
        return means

    return pd.DataFrame(
        {
            "n_rows": np.bincount(area, minlength=count),
            "row_bearing_deg": np.where(whole > 0, np.degrees(np.arctan2(east, north)) / 2.0 % 180.0, np.nan),
            "row_spacing_m": np.round(mean("spacing_m"), 2),
            "row_confidence": mean("confidence"),
        }
    )


def identities(members: Members, drawn: Delineation) -> list[str]:
    """Return a digest of the members of each area: the same members, the same area."""
    area_of, count = drawn.area_of, len(drawn.shapes)
    order = np.argsort(area_of, kind="stable")
    names = members.table["identity"].to_numpy(dtype=object)[order]
    bounds = np.searchsorted(area_of[order], np.arange(count + 1)).tolist()
    return [hashlib.sha256("\n".join(sorted(names[a:b])).encode()).hexdigest()[:16] for a, b in pairwise(bounds)]
