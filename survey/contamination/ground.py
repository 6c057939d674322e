"""Imaged ground as one map: pieces of many scenes, projected once, each spot of ground in one piece only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from survey.contamination.overlay import CRUMB_M2, outline, split
from survey.contamination.plane import Bools, Floats, Geometries, Ints, Plane, polygons_only
from survey.hazards import FAMILIES, ITEM_FAMILIES
from survey.layers import COVERAGE_PIECES, COVERAGE_STATUSES, conform
from survey.threads import in_threads

NO_ITEMS = "no mine, submunition or other explosive item could be seen at this resolution"
"""Reason of ground on which only indicators could have been seen."""

_LITTLE_SEEN = 0.5
"""Detectability below which another scene of the same ground is asked first. No published threshold."""

OUTSIDE_INTEREST = "outside the area of interest"


def join_coverage(
    coverage: Iterable[gpd.GeoDataFrame], plane: Plane, area_of_interest: gpd.GeoDataFrame | None = None
) -> tuple[pd.DataFrame, Geometries]:
    """Return imaged ground as disjoint pieces on the plane, and the outlines of the scenes.

    Where scenes overlap, assessable ground comes before ground that is not assessable, and that before ground
    that was not analysed; ground of which half or more could be seen before ground that showed less; among equals
    the finer ground sampling distance, then the newer image, then the name.
    The first gives image, resolution and detectability; a family that any scene could have shown counts as seen.

    Parameters
    ----------
    coverage : iterable of GeoDataFrame
        Each in the layer ``COVERAGE_PIECES``, in the CRS of its scene.
    plane : Plane
    area_of_interest : GeoDataFrame, optional
        Ground outside it counts as not analysed.

    Returns
    -------
    pieces : DataFrame
        Columns of ``COVERAGE_PIECES`` and ``shape`` (MultiPolygon on the plane), in order of precedence.
    footprints : array of geometry
        All ground of each scene, whatever could be done with it; scenes overlap.
    """
    # Scenes of one CRS go through together: thousands of small tables would cost more than their geometry.
    by_crs: dict[Any, list[gpd.GeoDataFrame]] = {}
    for scene in coverage:
        if len(scene):
            by_crs.setdefault(scene.crs, []).append(scene)
    projected = [_on_plane(pd.concat(scenes, ignore_index=True), plane) for scenes in by_crs.values()]
    tables = [table for table, _ in projected if len(table)]
    if not tables:
        empty = pd.DataFrame(conform(pd.DataFrame(), COVERAGE_PIECES).drop(columns="geometry"))
        return empty.assign(scene="", shape=np.zeros(0, object)), np.zeros(0, object)
    footprints = np.concatenate([footprint for _, footprint in projected])
    pieces = pd.concat(tables, ignore_index=True)
    if area_of_interest is not None:
        pieces = _limited(pieces, area_of_interest, plane)
    pieces = _ranked(pieces)
    return _seen_by_any(_disjoint(pieces), pieces), footprints


def _on_plane(scenes: gpd.GeoDataFrame, plane: Plane) -> tuple[pd.DataFrame, Geometries]:
    """Dissolve equal pieces in the CRS of their scene, where their cells fit exactly, and project them once."""
    pieces = conform(scenes, COVERAGE_PIECES)
    shapes = polygons_only(np.asarray(pieces.geometry.values, dtype=object))
    pieces = pd.DataFrame(pieces.drop(columns="geometry"))
    pieces["families"] = pieces["families"].map({f: ordered(f) for f in pieces["families"].unique()})
    pieces.loc[pieces["status"] == "not_analysed", "families"] = ""
    # Ground on which no item could have been seen may still have shown a trench.
    hidden = pieces["status"] == "not_assessable"
    pieces.loc[hidden, "families"] = pieces.loc[hidden, "families"].map(_without_items)
    items = {f: any(name in ITEM_FAMILIES for name in f.split(";")) for f in pieces["families"].unique()}
    only_indicators = (pieces["status"] == "analysed") & ~pieces["families"].map(items).astype(bool)
    pieces.loc[only_indicators, ["status", "reason"]] = ["not_assessable", NO_ITEMS]
    pieces.loc[pieces["status"] == "analysed", "reason"] = ""
    kept = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    pieces, shapes = pieces[kept].reset_index(drop=True), shapes[kept]
    if len(pieces) == 0:
        return pd.DataFrame(pieces), shapes
    group = pieces.groupby(list(pieces.columns), dropna=False, sort=True).ngroup().to_numpy()
    first = np.unique(group, return_index=True)[1]
    dissolved = pieces.iloc[first].reset_index(drop=True)
    whole = _together(shapes, group)
    scene = dissolved["image"].astype("category").cat.codes.to_numpy(dtype=np.int64)
    footprints = polygons_only(np.array([outline(whole[scene == n]) for n in range(scene.max() + 1)], dtype=object))
    # A scene whose pieces add up to its outline is cut up without overlaps: its pieces need not be compared.
    parts = np.bincount(scene, weights=shapely.area(whole), minlength=len(footprints))
    exact = np.abs(parts - shapely.area(footprints)) <= 1e-9 * parts
    dissolved["scene"] = [f"{scenes.crs}/{n}" if fits else "" for n, fits in zip(scene, exact[scene], strict=True)]
    whole, footprints = (
        polygons_only(plane.project(gpd.GeoSeries(one, crs=scenes.crs), "coverage pieces"))
        for one in (whole, footprints)
    )
    return pd.DataFrame(dissolved.assign(shape=whole)), footprints


def _together(shapes: Geometries, group: Ints) -> Geometries:
    """Return the union of the shapes of each group, in the order of the groups."""
    order = np.argsort(group, kind="stable")
    collections = shapely.geometrycollections(shapes[order], indices=group[order])
    alone = shapely.get_num_geometries(collections) == 1
    result = collections.copy()
    result[alone] = shapes[order][np.searchsorted(group[order], np.flatnonzero(alone))]
    result[~alone] = in_threads(shapely.union_all, collections[~alone][:, None], axis=1)
    return polygons_only(result)


def _without_items(families: str) -> str:
    return ";".join(f for f in families.split(";") if f and f not in ITEM_FAMILIES)


def detectability_of(ground: pd.DataFrame) -> Floats:
    """Return the share of each family's objects that could have been seen on each piece, shape (pieces, FAMILIES).

    Where a piece does not speak of a family, or says that it could not be seen though something passes for it, it
    is that of the families seen there together.
    """
    texts = ground["detectability_by_family"].fillna("").to_numpy(dtype=object)
    overall = ground["detectability"].to_numpy(dtype=np.float64)
    known, which = np.unique(texts.astype(str), return_inverse=True)
    table = np.full((len(known), len(FAMILIES)), np.nan)
    for row, text in enumerate(known.tolist()):
        for part in filter(None, text.split("; ")):
            family, value = part.rsplit(" ", 1)
            if family in FAMILIES:
                table[row, FAMILIES.index(family)] = float(value)
    shares = table[which.reshape(-1)]
    return np.where(np.nan_to_num(shares) > 0, shares, overall[:, None])


def ordered(families: str) -> str:
    """Return family names joined with ``;`` in the order of :data:`survey.hazards.FAMILIES`."""
    names = {f.strip() for f in families.split(";")}
    return ";".join(f for f in FAMILIES if f in names)


def area_on_plane(area_of_interest: gpd.GeoDataFrame, plane: Plane) -> shapely.Geometry:
    """Return the area of interest as one shape on the plane."""
    return shapely.union_all(polygons_only(plane.project(area_of_interest.geometry, "area of interest")))


def _limited(pieces: pd.DataFrame, area_of_interest: gpd.GeoDataFrame, plane: Plane) -> pd.DataFrame:
    """Split pieces at the area of interest; outside it nothing was analysed."""
    interest = area_on_plane(area_of_interest, plane)
    shapes = pieces["shape"].to_numpy(dtype=object)
    within, beyond = split(shapes, np.full(len(shapes), interest, dtype=object))
    inside = pieces.assign(shape=within)
    outside = pieces.assign(
        shape=beyond,
        status="not_analysed",
        reason=OUTSIDE_INTEREST,
        families="",
        detectability=0.0,
    )
    both = pd.concat([inside, outside], ignore_index=True)
    return pd.DataFrame(both[~shapely.is_empty(both["shape"].to_numpy(dtype=object))])


def _ranked(pieces: pd.DataFrame) -> pd.DataFrame:
    """Order pieces by precedence."""
    rank = pieces["status"].map({status: i for i, status in enumerate(COVERAGE_STATUSES)})
    newest_first = -pieces["acquired_at"].astype("int64").where(pieces["acquired_at"].notna(), 0)
    # A scene that hid less than half is asked before a finer one that hid more.
    hid = pieces["detectability"] < _LITTLE_SEEN
    keys = pieces.assign(rank=rank, newest=newest_first, hid=hid)
    by = ["rank", "hid", "gsd_cm", "newest", "image", "reason", "families", "detectability", "vegetation"]
    by += ["detectability_by_family", "shadow", "effective_gsd_cm"]
    order = keys.sort_values(by, kind="stable").index
    return pd.DataFrame(pieces.loc[order].reset_index(drop=True))


def _disjoint(pieces: pd.DataFrame) -> pd.DataFrame:
    """Take from every piece what pieces of higher precedence cover."""
    whole = pieces["shape"].to_numpy(dtype=object)
    rest = whole.copy()
    low, high = shapely.STRtree(whole).query(whole, predicate="intersects")
    scene = pieces["scene"].to_numpy(dtype=object)
    pairs = (high < low) & ((scene[low] != scene[high]) | (scene[low] == ""))
    low, high = low[pairs], high[pairs]
    order = np.lexsort((high, low))
    low, high = low[order], high[order]
    # Pass k subtracts the k-th neighbour of every piece at once.
    turn = np.arange(len(low)) - np.searchsorted(low, low)
    for k in range(int(turn.max()) + 1 if len(turn) else 0):
        now = (turn == k) & ~shapely.is_empty(rest[low])
        _, rest[low[now]] = split(rest[low[now]], whole[high[now]])
    return pd.DataFrame(pieces.assign(shape=rest)[shapely.area(rest) > CRUMB_M2].reset_index(drop=True))


def _seen_by_any(disjoint: pd.DataFrame, pieces: pd.DataFrame) -> pd.DataFrame:
    """Split pieces where another scene could have shown a family that the first could not."""
    seeing = pieces[pieces["families"] != ""]
    for families in sorted(seeing["families"].unique()):
        eyes, own = (seeing.loc[seeing["families"] == families, name].to_numpy(object) for name in ("shape", "scene"))
        wanted = set(families.split(";"))
        lacking = np.array([not wanted <= set(f.split(";")) for f in disjoint["families"]], dtype=bool)
        # No ground that is not analysed lies under an analysed piece: that would have come first.
        blind = ["not_analysed"] if wanted.isdisjoint(ITEM_FAMILIES) else ["not_analysed", "not_assessable"]
        lacking &= ~disjoint["status"].isin(blind).to_numpy()
        if not lacking.any():
            continue
        shapes = np.array(disjoint["shape"], dtype=object)
        position = np.flatnonzero(lacking)
        mine, eye = shapely.STRtree(eyes).query(shapes[position], predicate="intersects")
        # Pieces of one scene that is cut up without overlaps touch each other, and share nothing.
        scene = disjoint["scene"].to_numpy(object)[position]
        apart = (scene[mine] != own[eye]) | (own[eye] == "")
        mine, eye = mine[apart], eye[apart]
        if len(mine) == 0:
            continue
        order = np.argsort(mine, kind="stable")
        seen_by, dense = np.unique(mine[order], return_inverse=True)
        views = shapely.geometrycollections(eyes[eye[order]], indices=dense)
        views = polygons_only(shapely.union_all(views[:, None], axis=1))
        position = position[seen_by]
        seen, shapes[position] = split(shapes[position], views)
        added = disjoint.iloc[position].assign(shape=seen)
        both = {f: ordered(f"{f};{families}") for f in added["families"].unique()}
        added["families"] = added["families"].map(both)
        disjoint = pd.concat([disjoint.assign(shape=shapes), added], ignore_index=True)
        kept = shapely.area(disjoint["shape"].to_numpy(dtype=object)) > CRUMB_M2
        disjoint = pd.DataFrame(disjoint[kept].reset_index(drop=True))
    return disjoint


def share_out(shapes: Geometries, districts: Geometries) -> tuple[Ints, Ints, Geometries]:
    """Cut shapes by districts; only what crosses a boundary is cut.

    Returns
    -------
    shape, district : int arrays
        Position of the shape and of the district.
    parts : array of geometry
        What they share.
    """
    if len(shapes) == 0 or len(districts) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, object)
    tree = shapely.STRtree(shapes)
    district, shape = tree.query(districts, predicate="intersects")
    inner_district, inner_shape = tree.query(districts, predicate="contains")
    inside: Bools = np.isin(district * len(shapes) + shape, inner_district * len(shapes) + inner_shape)
    parts = shapes[shape]
    parts[~inside], _ = split(parts[~inside], districts[district[~inside]])
    areas: Floats = shapely.area(parts)
    kept = areas > 0.0
    order = np.lexsort((district[kept], shape[kept]))
    return shape[kept][order], district[kept][order], parts[kept][order]
