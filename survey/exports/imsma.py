"""Hazard polygons, evidence points and turning points in IMSMA's terms.

Values as the domain notes collect them from public documentation (IMSMA NG wiki, GICHD minimum data requirements,
imsma-core-doc): land classes *Indication*, *SHA*, *CHA*; statuses *Open* ... *Released*; evidence of contamination
*Direct*, *Indirect*, *None*. ``imsma_id`` has at most 50 characters, ``imsma_links`` is a comma list. A programme
checks them against its own forms before import.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from survey.layers import HAZARD_AREAS, HAZARD_OBJECTS, TURNING_POINTS, Column, Layer, conform

LAND_CLASS = {"indication": "Indication", "sha_proposed": "SHA", "cha_proposed": "CHA"}
STATUS = {
    "open": "Open",
    "worked_on": "Worked on",
    "suspended": "Suspended",
    "closed": "Closed",
    "released": "Released",
}
DEVICES = {
    "AP_blast": "AP mine", "AP_frag": "AP mine", "AP_directional": "AP mine", "AT": "AT mine",
    "mine_unspecified": "Mine, unspecified", "CM": "Submunition", "UXO": "UXO", "AXO": "AXO", "IED_suspect": "IED",
    "unknown": "Unknown",
}  # fmt: skip
EVIDENCE = ("Direct", "Indirect", "None")
VISUAL, COMBATANTS = "Visual observations", "Former combatant zone"
POINT_TYPE = {"start": "Start point", "turning": "Turning point", "intermediate": "Intermediate point"}


def _text(name: str, description: str, nullable: bool = False) -> Column:
    return Column(name, "text", description, None, None, nullable)


_IDS = (
    _text("imsma_id", "identity in IMSMA, at most 50 characters"),
    _text("imsma_links", "identities it belongs to, joined with commas", nullable=True),
)
HAZARD_POLY = Layer(
    "hazard_poly",
    "Hazard polygons",
    "MultiPolygon",
    (
        *_IDS,
        _text("land_class", "Indication, SHA or CHA; proposed, the authority decides"),
        _text("status", "state of work"),
        _text("evidence_of_contamination", "Direct, Indirect or None"),
        _text("direct_evidence", "kind of direct evidence", nullable=True),
        _text("indirect_evidence", "kind of indirect evidence", nullable=True),
        _text("devices_suspected", "categories of devices, joined with commas", nullable=True),
        Column("area_m2", "float", "area on the ground", "m2"),
        Column("benchmark_lon", "float", "proposed benchmark, longitude WGS 84", "deg", None, True),
        Column("benchmark_lat", "float", "proposed benchmark, latitude WGS 84", "deg", None, True),
        _text("suggested_method", "for the planner's review", nullable=True),
        _text("adm_code", "code of the district", nullable=True),
        _text("source", "survey run"),
    ),
    key="imsma_id",
)
EVIDENCE_POINT = Layer(
    "evidence_point",
    "Evidence points",
    "Point",
    (
        *_IDS,
        _text("point_type", "Evidence point"),
        _text("device_category", "category of device, or indicator"),
        _text("evidence", "Direct once a person confirmed it, Indirect for indicators, else None"),
        _text("verification", "verdict of a person"),
        Column("probability", "float", "calibrated probability", "0-1"),
        Column("lon", "float", "longitude, WGS 84", "deg"),
        Column("lat", "float", "latitude, WGS 84", "deg"),
        Column("position_accuracy_m", "float", "standard error of the position", "m"),
        _text("adm_code", "code of the district", nullable=True),
        _text("source", "survey run"),
    ),
    key="imsma_id",
)
TURNING_POINT = Layer(
    "turning_point",
    "Turning points",
    "Point",
    (
        *_IDS,
        _text("point_type", "Start, Turning or Intermediate point"),
        Column("number", "int", "number on its ring, from 1, clockwise"),
        Column("lon", "float", "longitude, WGS 84", "deg"),
        Column("lat", "float", "latitude, WGS 84", "deg"),
        Column("bearing_deg", "float", "true bearing to the next point", "deg"),
        Column("distance_m", "float", "distance to the next point", "m"),
    ),
    key="imsma_id",
)
IMSMA_LAYERS = (HAZARD_POLY, EVIDENCE_POINT, TURNING_POINT)


def as_imsma(layers: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return hazard areas, objects and turning points in IMSMA's terms, in EPSG:4326.

    Rejected objects and clutter are left out. Each area links to its evidence points, and each of those back.
    """
    areas = layers.get(HAZARD_AREAS.name, HAZARD_AREAS.empty("EPSG:4326"))
    objects = layers.get(HAZARD_OBJECTS.name, HAZARD_OBJECTS.empty("EPSG:4326"))
    objects = objects[(objects["verification"] != "rejected") & (objects["family"] != "clutter")]
    points = layers.get(TURNING_POINTS.name, TURNING_POINTS.empty("EPSG:4326"))
    return {
        HAZARD_POLY.name: _polygons(areas, objects),
        EVIDENCE_POINT.name: _evidence(objects),
        TURNING_POINT.name: _turning(points),
    }


def domains() -> dict[str, tuple[str, ...]]:
    """Return the coded values of each coded column; case matters."""
    return {
        "land_class": tuple(LAND_CLASS.values()),
        "status": tuple(STATUS.values()),
        "evidence_of_contamination": EVIDENCE,
        "direct_evidence": (VISUAL,),
        "indirect_evidence": (COMBATANTS,),
        "point_type": ("Evidence point", *POINT_TYPE.values()),
        "device_category": (*dict.fromkeys(DEVICES.values()), "Indicator"),
    }


def poly_id(area_id: str) -> str:
    """Return the identity of a hazard polygon."""
    return f"hazard_poly_{area_id}"[:50]


def point_id(object_id: str) -> str:
    """Return the identity of an evidence point."""
    return f"evidence_point_{object_id}"[:50]


def _of(table: pd.DataFrame, column: str) -> pd.Series:
    return table[column] if column in table.columns else pd.Series([None] * len(table), index=table.index, dtype="str")


def _polygons(areas: pd.DataFrame, objects: pd.DataFrame) -> pd.DataFrame:
    members = objects.dropna(subset=["area_id"]) if "area_id" in objects.columns else objects.iloc[:0]
    links = {str(area): ",".join(point_id(str(one)) for one in part["object_id"])
             for area, part in members.groupby("area_id")}  # fmt: skip
    direct, indirect = _of(areas, "direct_evidence"), _of(areas, "indirect_evidence")
    confirmed = areas["n_confirmed"].fillna(0).astype("int64") > 0
    evidence = areas["land_class"].map({"indication": "None"}).fillna("Indirect").mask(confirmed, "Direct")
    visual = evidence.map({"Direct": VISUAL})
    combatants = evidence.map({"Indirect": COMBATANTS})
    table = {
        "imsma_id": areas["area_id"].map(poly_id),
        "imsma_links": areas["area_id"].map(links),
        "land_class": areas["land_class"].map(LAND_CLASS),
        "status": areas["status"].map(STATUS),
        "evidence_of_contamination": evidence,
        "direct_evidence": direct.where(direct.notna() & (direct != ""), visual),
        "indirect_evidence": indirect.where(indirect.notna() & (indirect != ""), combatants),
        "devices_suspected": areas["families"].map(_devices, na_action="ignore"),
        "area_m2": areas["area_m2"],
        "benchmark_lon": _of(areas, "benchmark_lon"),
        "benchmark_lat": _of(areas, "benchmark_lat"),
        "suggested_method": areas["method_primary"],
        "adm_code": areas["district_code"],
        "source": areas["run_id"],
    }  # fmt: skip
    return _located(pd.DataFrame(table, index=areas.index), areas, HAZARD_POLY)


def _devices(families: str) -> str:
    return ",".join(dict.fromkeys(DEVICES[one] for one in families.split(";") if one in DEVICES))


def _evidence(objects: pd.DataFrame) -> pd.DataFrame:
    indicator = objects["family"] == "indicator"
    confirmed = objects["verification"] == "confirmed"
    area = _of(objects, "area_id")
    table = {
        "imsma_id": objects["object_id"].map(point_id),
        "imsma_links": area.map(poly_id, na_action="ignore"),
        "point_type": "Evidence point",
        "device_category": objects["family"].map(DEVICES).where(~indicator, "Indicator"),
        "evidence": np.where(indicator, "Indirect", np.where(confirmed, "Direct", "None")),
        "verification": objects["verification"],
        "probability": objects["probability"],
        "lon": objects["lon"],
        "lat": objects["lat"],
        "position_accuracy_m": objects["position_error_m"],
        "adm_code": objects["district_code"],
        "source": objects["run_id"],
    }
    return _points(pd.DataFrame(table, index=objects.index), EVIDENCE_POINT)


def _turning(points: pd.DataFrame) -> pd.DataFrame:
    ids = [
        f"turning_point_{row['area_id']}_{row['part']}_{row['ring']}_{row['number']}"[-50:]
        for row in points.to_dict("records")
    ]
    table = {
        "imsma_id": ids,
        "imsma_links": points["area_id"].map(poly_id),
        "point_type": points["point_type"].map(POINT_TYPE),
        **{name: points[name] for name in ("number", "lon", "lat", "bearing_deg", "distance_m")},
    }
    return _points(pd.DataFrame(table, index=points.index), TURNING_POINT)


def _points(table: pd.DataFrame, layer: Layer) -> pd.DataFrame:
    places = gpd.GeoSeries(shapely.points(table["lon"], table["lat"]), index=table.index, crs="EPSG:4326")
    return conform(gpd.GeoDataFrame(table, geometry=places, crs="EPSG:4326"), layer)


def _located(table: pd.DataFrame, source: Any, layer: Layer) -> pd.DataFrame:
    outlines = source.geometry if len(source) else gpd.GeoSeries([], crs="EPSG:4326")
    located = gpd.GeoDataFrame(table, geometry=outlines, crs=outlines.crs)
    return conform(located if located.crs == "EPSG:4326" else located.to_crs("EPSG:4326"), layer)
