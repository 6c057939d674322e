"""Join what people said of objects with what was detected: no verdict and no confirmed object is lost."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from survey.exports.geopackage import read
from survey.exports.reviews import Harvest
from survey.hazards import classes
from survey.layers import CANDIDATES, HAZARD_OBJECTS, conform

_KEPT = ("confirmed", "uncertain")
"""Verdicts whose object stays on the map although nothing was detected there this time."""


def with_verdicts(
    objects: gpd.GeoDataFrame, candidates: gpd.GeoDataFrame, harvest: Harvest, geopackage: Path
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Return objects and candidates as people judged, renamed, moved and added them.

    A candidate that a person confirmed or doubts becomes an object. An object that was confirmed and is
    not detected any more is carried over from the GeoPackage before.

    Parameters
    ----------
    objects, candidates : GeoDataFrame
        Layers ``HAZARD_OBJECTS`` and ``CANDIDATES`` in EPSG:4326.
    harvest : Harvest
    geopackage : Path
        What the last run wrote, if there is one.
    """
    verdicts = harvest.verdicts
    if verdicts.empty:
        return objects, candidates
    found = pd.concat([objects.assign(_hazard=True), candidates.assign(_hazard=False)], ignore_index=True)
    outlines = _last_outlines(harvest)
    lost = [one for one in verdicts.index[verdicts["verification"].isin(_KEPT)] if one not in set(found["object_id"])]
    added = _carried(lost, geopackage, objects.crs)
    drawn = [one for one in lost if one not in set(added["object_id"]) and one in outlines.index]
    added = pd.concat([added, *(_drawn(one, outlines, verdicts, found) for one in drawn)], ignore_index=True)
    if len(added):
        found = pd.concat([found, added.assign(_hazard=True)], ignore_index=True)
    found = gpd.GeoDataFrame(found, geometry="geometry", crs=objects.crs)
    said = {str(name): row for name, row in verdicts.to_dict("index").items()}
    for row in found.index[found["object_id"].isin(said)]:
        _judge(found, row, said[found.at[row, "object_id"]], outlines)
    hazard = found["_hazard"].astype(bool) | found["verification"].isin(_KEPT)
    return (
        conform(found[hazard].sort_values("object_id").reset_index(drop=True), HAZARD_OBJECTS, crs=objects.crs),
        conform(found[~hazard].sort_values("object_id").reset_index(drop=True), CANDIDATES, crs=objects.crs),
    )


def _last_outlines(harvest: Harvest) -> gpd.GeoDataFrame:
    outlines = harvest.outlines.to_crs("EPSG:4326")
    return outlines.drop_duplicates("object_id", keep="last").set_index("object_id")


def _judge(found: gpd.GeoDataFrame, row: Hashable, verdict: Mapping[Hashable, Any], outlines: gpd.GeoDataFrame) -> None:
    code = str(verdict["class_code"])
    found.loc[row, "verification"] = verdict["verification"]
    found.loc[row, "class_code"] = code
    if code in classes():
        found.loc[row, "family"] = classes()[code].family
    for column in ("reviewer_role", "reviewed_at"):
        if column in found.columns:
            found.loc[row, column] = verdict[column]
    object_id = found.at[row, "object_id"]
    if object_id in outlines.index:
        for name, value in _measured(outlines.at[object_id, "geometry"]).items():
            found.at[row, name] = value


def _carried(lost: list[str], geopackage: Path, crs: Any) -> gpd.GeoDataFrame:
    """Rows of the GeoPackage before, of objects that are not detected any more."""
    if not lost or not geopackage.exists():
        return HAZARD_OBJECTS.empty(crs)
    tables = [gpd.GeoDataFrame(read(geopackage, layer)).to_crs(crs) for layer in (HAZARD_OBJECTS, CANDIDATES)]
    before = pd.concat(tables, ignore_index=True)
    before = before[before["object_id"].isin(lost)].drop_duplicates("object_id")
    return gpd.GeoDataFrame(before, geometry="geometry", crs=crs)


def _drawn(
    object_id: str, outlines: gpd.GeoDataFrame, verdicts: pd.DataFrame, found: gpd.GeoDataFrame
) -> gpd.GeoDataFrame:
    """Row of an object that a reviewer drew."""
    code = str(verdicts.at[object_id, "class_code"])
    known = classes().get(code)
    row = {
        "object_id": object_id,
        "class_code": code,
        "family": "unknown" if known is None else known.family,
        "probability": 1.0,
        "evidence_class": "indication",
        "verification": verdicts.at[object_id, "verification"],
        "gsd_cm": float(found["gsd_cm"].min()) if len(found) else 0.0,
        "position_error_m": float(found["position_error_m"].max()) if len(found) else 0.0,
        "image": "drawn by a reviewer",
        "model_version": "none",
        "run_id": found["run_id"].iloc[0] if len(found) else "",
        "notes": "drawn by a reviewer",
        **_measured(outlines.at[object_id, "geometry"]),
    }
    return gpd.GeoDataFrame([row], geometry="geometry", crs="EPSG:4326")


def _measured(outline: shapely.Geometry) -> dict[str, Any]:
    """Outline, position and size of what a reviewer drew, in EPSG:4326."""
    whole = outline if isinstance(outline, shapely.MultiPolygon) else shapely.MultiPolygon([outline])
    centre = whole.centroid
    plane = f"+proj=laea +lat_0={centre.y} +lon_0={centre.x} +datum=WGS84 +units=m"
    flat = gpd.GeoSeries([whole], crs="EPSG:4326").to_crs(plane).iloc[0]
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(flat))[:3]
    sides = sorted(math.dist(a, b) for a, b in pairwise(corners))
    return {
        "geometry": whole,
        "lon": centre.x,
        "lat": centre.y,
        "length_m": sides[1],
        "width_m": sides[0],
        "area_m2": float(flat.area),
    }
