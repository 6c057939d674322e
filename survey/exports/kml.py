"""KML for phones: areas and objects in their colours, with what matters in the balloon."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import geopandas as gpd
import pandas as pd
import shapely

from survey.exports.lawful import lawful_xml
from survey.exports.styles import CHA, FAMILY_LABELS, FAMILY_MARKS, INDICATION, SHA
from survey.exports.whole import write_text
from survey.hazards import classes
from survey.layers import HAZARD_AREAS, HAZARD_OBJECTS
from survey.provenance import DISCLAIMER

_LAND = {
    "cha_proposed": ("Proposed confirmed hazardous area", CHA),
    "sha_proposed": ("Proposed suspected hazardous area", SHA),
    "indication": ("Indication", INDICATION),
}


def write_kml(path: Path, layers: Mapping[str, pd.DataFrame], title: str) -> None:
    """Write hazard areas and objects (rejected ones left out) as KML 2.2, whole or not at all."""
    root = Element("kml", {"xmlns": "http://www.opengis.net/kml/2.2"})
    document = SubElement(root, "Document")
    SubElement(document, "name").text = title
    SubElement(document, "description").text = DISCLAIMER
    for name, (_, colour) in _LAND.items():
        _area_style(document, name, colour)
    for family, (_, colour) in FAMILY_MARKS.items():
        style = SubElement(document, "Style", {"id": family})
        icon = SubElement(style, "IconStyle")
        SubElement(icon, "color").text = _kml_colour(colour, 255)
        SubElement(icon, "scale").text = "0.8"
    _areas(document, layers.get(HAZARD_AREAS.name))
    _objects(document, layers.get(HAZARD_OBJECTS.name))
    write_text(path, '<?xml version="1.0" encoding="UTF-8"?>\n' + lawful_xml(root) + "\n")


def _area_style(document: Element, name: str, colour: str) -> None:
    style = SubElement(document, "Style", {"id": name})
    line = SubElement(style, "LineStyle")
    SubElement(line, "color").text = _kml_colour("#FF0000", 255)
    SubElement(line, "width").text = "2"
    SubElement(SubElement(style, "PolyStyle"), "color").text = _kml_colour(colour, 128)


def _areas(document: Element, table: pd.DataFrame | None) -> None:
    folder = SubElement(document, "Folder")
    SubElement(folder, "name").text = HAZARD_AREAS.title
    if not isinstance(table, gpd.GeoDataFrame) or table.empty:
        return
    for row, outline in zip(table.to_dict("records"), table.to_crs("EPSG:4326").geometry, strict=True):
        place = _placemark(folder, f"{_LAND[row['land_class']][0]} {str(row['area_id'])[:8]}", str(row["land_class"]))
        _data(
            place,
            {
                "hectares": f"{row['area_ha']:.2f}",
                "objects": f"{row['n_objects']} ({row['n_confirmed']} confirmed)",
                "density": str(row["density_class"]),
                "status": str(row["status"]),
                "suggested method": f"{row['method_primary']}{' (provisional)' if row['provisional'] else ''}",
                "area_id": str(row["area_id"]),
            },
        )
        parts = SubElement(place, "MultiGeometry")
        for part in shapely.get_parts(outline):
            polygon = SubElement(parts, "Polygon")
            for tag, rings in (("outerBoundaryIs", [part.exterior]), ("innerBoundaryIs", list(part.interiors))):
                for ring in rings:
                    line = SubElement(SubElement(polygon, tag), "LinearRing")
                    SubElement(line, "coordinates").text = " ".join(
                        f"{x:.8f},{y:.8f}" for x, y in shapely.get_coordinates(ring)
                    )


def _objects(document: Element, table: pd.DataFrame | None) -> None:
    folder = SubElement(document, "Folder")
    SubElement(folder, "name").text = HAZARD_OBJECTS.title
    if table is None or table.empty:
        return
    known = classes()
    for row in table[table["verification"] != "rejected"].to_dict("records"):
        code = str(row["class_code"])
        place = _placemark(folder, known[code].label if code in known else code, str(row["family"]))
        _data(
            place,
            {
                "probability": f"{row['probability']:.2f}",
                "verification": str(row["verification"]),
                "family": FAMILY_LABELS.get(str(row["family"]), str(row["family"])),
                "image": str(row["image"]),
                "object_id": str(row["object_id"]),
            },
        )
        SubElement(SubElement(place, "Point"), "coordinates").text = f"{row['lon']:.8f},{row['lat']:.8f}"


def _placemark(folder: Element, name: str, style: str) -> Element:
    place = SubElement(folder, "Placemark")
    SubElement(place, "name").text = name
    SubElement(place, "styleUrl").text = f"#{style}"
    return place


def _data(place: Element, values: Mapping[str, str]) -> None:
    extended = SubElement(place, "ExtendedData")
    for name, value in values.items():
        one = SubElement(extended, "Data", {"name": name})
        SubElement(one, "value").text = value


def _kml_colour(colour: str, opacity: int) -> str:
    """Return ``aabbggrr``."""
    return f"{opacity:02x}{colour[5:7]}{colour[3:5]}{colour[1:3]}".lower()
