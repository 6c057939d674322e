"""What the map in ``report.html`` draws: outlines in decimetres around the survey's middle, with their words."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely

from survey.exports.styles import CHA, DENSITY, FAMILY_MARKS, INDICATION, SHA
from survey.hazards import classes

MOST_OBJECTS = 4_000
"""Objects drawn: the most probable; the report says how many are not."""
MOST_CELLS = 12_000
_DECIMETRES = 10.0
_DRAWN = ("districts", "coverage", "density_grid", "hazard_areas", "hazard_objects")
LITTLE_SEEN = 0.5
"""Below this detectability "nothing detected" is drawn apart: no published threshold."""


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of a scene, north up in EPSG:4326: PNG, JPEG or WebP bytes and its bounds in degrees."""

    image: bytes
    west: float
    south: float
    east: float
    north: float


def as_data(image: bytes) -> str:
    """Return a PNG, JPEG or WebP image as an address that needs no request."""
    kind = "png" if image[:4] == b"\x89PNG" else "webp" if image[:4] == b"RIFF" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def map_payload(layers: Mapping[str, pd.DataFrame], thumbnails: Sequence[Thumbnail] = ()) -> dict[str, Any]:
    """Return layers, styles and words of the map as plain values.

    Parameters
    ----------
    layers : mapping of str to DataFrame
        The result's layers; those missing or empty are left out.
    thumbnails : sequence of Thumbnail
        Drawn beneath.
    """
    tables = {
        name: table
        for name, table in layers.items()
        if isinstance(table, gpd.GeoDataFrame) and len(table) and not table.geometry.is_empty.all()
    }
    wanted = [tables[name] for name in ("coverage", "hazard_objects", "hazard_areas", "districts") if name in tables]
    if not wanted:
        return {"extent": [-1, -1, 1, 1], "layers": [], "names": [], "left_out": {}}
    # What was looked at sets the view; districts may be far larger.
    close = [_bounds(one) for one in wanted[:-1] or wanted]
    west, south = np.min(close, axis=0)[:2]
    east, north = np.max(close, axis=0)[2:]
    middle = ((west + east) / 2, (south + north) / 2)
    to_plane = pyproj.Transformer.from_crs(
        "EPSG:4326", f"+proj=laea +lon_0={middle[0]} +lat_0={middle[1]} +datum=WGS84 +units=m", always_xy=True
    )
    plane = pyproj.CRS(to_plane.target_crs)
    left_out: dict[str, int] = {}
    tables = {name: _reduced(name, table, left_out) for name, table in tables.items() if name in _DRAWN}
    flat = {name: table.to_crs(plane) for name, table in tables.items() if len(table)}
    extent = np.array(shapely.box(*_extent(flat)).bounds)
    tolerance_m = float(max(extent[2] - extent[0], extent[3] - extent[1])) / 4000.0
    drawn = [
        _images(thumbnails, to_plane),
        _districts(flat.get("districts"), tolerance_m),
        _coverage(flat.get("coverage"), tolerance_m),
        _density(flat.get("density_grid"), on="hazard_areas" not in flat),
        _areas(flat.get("hazard_areas"), tolerance_m),
        _objects(flat.get("hazard_objects")),
    ]
    return {
        "extent": [round(float(v) * _DECIMETRES) for v in extent],
        "layers": [one for one in drawn if one is not None],
        "names": _names(flat.get("districts"), extent),
        "left_out": left_out,
    }


def _reduced(name: str, table: gpd.GeoDataFrame, left_out: dict[str, int]) -> gpd.GeoDataFrame:
    """Keep what a browser can draw: the most probable objects, the densest cells."""
    if name == "hazard_objects":
        table, most = table[table["verification"] != "rejected"], MOST_OBJECTS
        if len(table) > most:
            table = table.sort_values(["probability", "object_id"], ascending=[False, True])
    elif name == "density_grid":
        most = MOST_CELLS
        if len(table) > most:
            order = {value: i for i, value in enumerate(("not_assessable", "none_detected", *DENSITY))}
            rank = table["density_class"].map(order)
            table = table.assign(_rank=rank).sort_values(["_rank", "cell_id"], ascending=[False, True])
    else:
        return table
    if len(table) > most:
        left_out[name] = len(table) - most
    return table[:most]


def _bounds(table: gpd.GeoDataFrame) -> np.ndarray[Any, Any]:
    return np.asarray(table.to_crs("EPSG:4326").total_bounds)


def _extent(flat: Mapping[str, gpd.GeoDataFrame]) -> tuple[float, float, float, float]:
    names = [name for name in ("coverage", "hazard_objects", "hazard_areas") if name in flat]
    seen = []
    for name in names or ["districts"]:
        table = flat[name]
        if name == "coverage":
            looked_at = table[table["status"] != "not_analysed"]
            table = looked_at if len(looked_at) else table
        seen.append(table.total_bounds)
    west, south = np.min(seen, axis=0)[:2]
    east, north = np.max(seen, axis=0)[2:]
    return float(west), float(south), float(east), float(north)


def _images(thumbnails: Sequence[Thumbnail], to_plane: pyproj.Transformer) -> dict[str, Any] | None:
    if not thumbnails:
        return None
    images = []
    for one in thumbnails:
        x, y = to_plane.transform(
            [one.west, one.east, one.west, one.east], [one.south, one.south, one.north, one.north]
        )
        images.append(
            {
                "src": as_data(one.image),
                "west": round(min(x) * _DECIMETRES),
                "east": round(max(x) * _DECIMETRES),
                "south": round(min(y) * _DECIMETRES),
                "north": round(max(y) * _DECIMETRES),
            }
        )
    return {"name": "imagery", "label": "Imagery", "on": True, "images": images}


def _layer(
    name: str, label: str, styles: dict[str, dict[str, Any]], features: list[dict[str, Any]], on: bool = True
) -> dict[str, Any]:
    return {"name": name, "label": label, "on": on, "styles": styles, "features": features}


def _polygons(
    table: gpd.GeoDataFrame, style: Sequence[str], tips: Sequence[str], tolerance_m: float
) -> list[dict[str, Any]]:
    outlines = table.geometry.to_numpy()
    if tolerance_m:
        outlines = shapely.simplify(outlines, tolerance_m)
    features = []
    for outline, which, tip in zip(outlines, style, tips, strict=True):
        rings = []
        for part in shapely.get_parts(outline):
            for ring in (part.exterior, *part.interiors):
                corners = np.round(shapely.get_coordinates(ring)[:-1] * _DECIMETRES).astype(int)
                if len(corners):
                    rings.append(corners.ravel().tolist())
        if rings:
            features.append({"style": which, "tip": tip, "rings": rings})
    return features


def _districts(table: gpd.GeoDataFrame | None, tolerance_m: float) -> dict[str, Any] | None:
    if table is None:
        return None
    tips = [
        f"{row.district_name}\n{row.analysed_ha:,.2f} of {row.district_ha:,.0f} ha analysed, {row.n_objects} objects"
        for row in table.itertuples()
    ]
    styles = {"district": {"line": "#333333", "width": 1.6, "dash": [8, 3, 2, 3]}}
    return _layer("districts", "Districts", styles, _polygons(table, ["district"] * len(table), tips, tolerance_m))


def _names(table: gpd.GeoDataFrame | None, extent: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """Name of each district, on the part of it that the map shows at first."""
    if table is None:
        return []
    window = shapely.box(*extent)
    places = shapely.point_on_surface(shapely.intersection(shapely.make_valid(table.geometry.to_numpy()), window))
    return [
        {"text": str(name), "x": round(place.x * _DECIMETRES), "y": round(place.y * _DECIMETRES)}
        for name, place in zip(table["district_name"], places, strict=True)
        if not place.is_empty
    ]


def _coverage(table: gpd.GeoDataFrame | None, tolerance_m: float) -> dict[str, Any] | None:
    if table is None:
        return None
    words = {"analysed": "Analysed", "not_assessable": "Not assessable", "not_analysed": "Not analysed"}
    tips = [
        f"{words[row.status]}{': ' + row.reason if row.reason else ''}\n{row.area_ha:,.2f} ha"
        + (f"\n{row.detectability:.0%} of items could have been seen" if row.status == "analysed" else "")
        for row in table.itertuples()
    ]
    styles = {
        "analysed": {"line": "#0072B2", "width": 1.2},
        "little_seen": {"hatch": "#0072B2", "gap": 8, "both": "dots", "line": "#0072B2", "width": 1.2},
        "not_assessable": {"hatch": "#6b6b6b", "gap": 8, "line": "#6b6b6b", "width": 0.7},
        "not_analysed": {"hatch": "#d2d2d2", "gap": 16, "both": True},
    }
    little = (table["status"] == "analysed") & (table["detectability"] < LITTLE_SEEN)
    looks = table["status"].mask(little, "little_seen").tolist()
    return _layer("coverage", "Coverage", styles, _polygons(table, looks, tips, tolerance_m))


def _density(table: gpd.GeoDataFrame | None, on: bool) -> dict[str, Any] | None:
    # Beneath an area its colour mixes with the area's; where there are areas, it waits to be asked for.
    if table is None:
        return None
    tips = [
        "Not assessable: nothing could have been seen"
        if row.density_class == "not_assessable"
        else f"Density: {row.density_class.replace('_', ' ')}\n{row.density_per_ha:.2f} per ha "
        f"({row.density_low:.2f} to {row.density_high:.2f}); {row.detectability:.0%} of items could have been seen"
        for row in table.itertuples()
    ]
    styles: dict[str, dict[str, Any]] = {
        name: {"fill": colour + "c8", "line": "#ffffff60", "width": 0.5} for name, colour in DENSITY.items()
    }
    styles["none_detected"] = {"line": "#6b6b6b40", "width": 0.5}
    styles["little_seen"] = {"hatch": "#8a8a8a", "gap": 8, "both": "dots", "line": "#6b6b6b40", "width": 0.5}
    styles["not_assessable"] = {"hatch": "#8a8a8a", "gap": 8}
    little = (table["density_class"] == "none_detected") & (table["detectability"] < LITTLE_SEEN)
    looks = table["density_class"].mask(little, "little_seen").tolist()
    return _layer(
        "density_grid", "Density of suspected items", styles,
        _polygons(table, looks, tips, 0.0), on,
    )  # fmt: skip


def _areas(table: gpd.GeoDataFrame | None, tolerance_m: float) -> dict[str, Any] | None:
    if table is None:
        return None
    words = {
        "cha_proposed": "Proposed confirmed hazardous area",
        "sha_proposed": "Proposed suspected hazardous area",
        "indication": "Indication",
    }
    tips = [
        f"{words[row.land_class]}, {row.area_ha:,.2f} ha, {row.n_objects} objects ({row.n_confirmed} confirmed)\n"
        f"Suggested{', provisional' if row.provisional else ''}: {row.method_primary}"
        for row in table.itertuples()
    ]
    styles = {
        "cha_proposed": {"fades": True, "fill": CHA + "80", "line": CHA, "width": 1.6},
        "sha_proposed": {"fades": True, "fill": SHA + "80", "line": SHA, "width": 1.6},
        "indication": {"fades": True, "fill": INDICATION + "80", "line": "#b8860b", "width": 1.4, "dash": [5, 3]},
    }
    fine = min(tolerance_m, 0.3)
    return _layer("hazard_areas", "Hazard areas", styles, _polygons(table, table["land_class"].tolist(), tips, fine))


def _objects(table: gpd.GeoDataFrame | None) -> dict[str, Any] | None:
    if table is None:
        return None
    known = classes()
    centre = shapely.centroid(table.geometry.to_numpy())
    features = [
        {
            "style": row.family,
            "x": round(place.x * _DECIMETRES),
            "y": round(place.y * _DECIMETRES),
            "strong": row.verification == "confirmed",
            "tip": f"{known[row.class_code].label if row.class_code in known else row.class_code}, "
            f"p = {row.probability:.2f}, {row.verification}\n{row.lat:.6f}, {row.lon:.6f}",
        }
        for row, place in zip(table.itertuples(), centre, strict=True)
        if not place.is_empty
    ]
    styles = {name: {"mark": mark, "fill": colour, "size": 5} for name, (mark, colour) in FAMILY_MARKS.items()}
    styles["clutter"] = {"mark": "circle", "fill": "#bdbdbd", "size": 4}
    return _layer("hazard_objects", "Suspected objects", styles, features)
