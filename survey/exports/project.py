"""``survey.qgs``: a QGIS project beside ``survey.gpkg``, with layers in order, relations, and the orthomosaics beneath.

Every path in it is relative, so that the folder may be moved.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, fromstring, indent

import geopandas as gpd
import numpy as np
import pandas as pd
from pyproj import CRS

from survey.exports.lawful import lawful_xml
from survey.exports.qgis import layer_style
from survey.exports.whole import write_text
from survey.layers import (
    AREA_DISTRICTS,
    CANDIDATES,
    COVERAGE,
    DENSITY_GRID,
    DISTRICTS,
    EVIDENCE,
    HAZARD_AREAS,
    HAZARD_OBJECTS,
    MINE_ROWS,
    OUTPUT_LAYERS,
    REVIEW_OUTLINES,
    REVIEWS,
    TURNING_POINTS,
    Layer,
)

_TOP_DOWN = (
    TURNING_POINTS, HAZARD_OBJECTS, CANDIDATES, REVIEW_OUTLINES, MINE_ROWS, EVIDENCE, HAZARD_AREAS, DENSITY_GRID,
    COVERAGE, DISTRICTS,
)  # fmt: skip
_HIDDEN = (CANDIDATES.name, REVIEW_OUTLINES.name)
"""In the tree, but not drawn until asked for."""
_RELATIONS = (
    ("area_objects", "Objects of the area", HAZARD_AREAS, "area_id", HAZARD_OBJECTS.name, "area_id"),
    ("area_turning_points", "Turning points of the area", HAZARD_AREAS, "area_id", TURNING_POINTS.name, "area_id"),
    ("area_shares", "Shares of the area by district", HAZARD_AREAS, "area_id", AREA_DISTRICTS.name, "area_id"),
    ("object_reviews", "Verdicts on the object", HAZARD_OBJECTS, "object_id", REVIEWS.name, "object_id"),
    ("object_chips", "Image of the object", HAZARD_OBJECTS, "object_id", "object_chips", "object_id"),
)
_KINDS = {"Point": "Point", "LineString": "Line", "Polygon": "Polygon", "MultiPolygon": "Polygon", None: "No geometry"}


def write_project(
    path: Path, geopackage: Path, layers: Mapping[str, pd.DataFrame], imagery: Sequence[Path] = (), *, title: str = ""
) -> None:
    """Write a QGIS project (3.22 and later), whole or not at all.

    Parameters
    ----------
    path : Path
        The project, ``survey.qgs``.
    geopackage : Path
        ``survey.gpkg``; by what it is called from the project's folder.
    layers : mapping of str to DataFrame
        What the GeoPackage holds: gives CRS and extent.
    imagery : sequence of Path
        Orthomosaics, topmost first.
    title : str
    """
    source = _relative(geopackage, path.parent)
    home = _home(layers)
    root = Element("qgis", {"projectname": title, "version": "3.22.16-Białowieża"})
    SubElement(root, "title").text = title
    plane = _plane(home)
    SubElement(root, "projectCrs").append(_crs(plane))
    tree = SubElement(root, "layer-tree-group")
    maps = SubElement(root, "projectlayers")
    chips = Layer("object_chips", "Image chips of objects", None, ())
    tables = [layer for layer in OUTPUT_LAYERS if layer.geometry is None]
    for layer in _TOP_DOWN:
        _tree_layer(
            tree, layer_id(layer.name), layer.title, f"{source}|layername={layer.name}", layer.name not in _HIDDEN
        )
    rasters = SubElement(tree, "layer-tree-group", {"name": "Imagery", "expanded": "0", "checked": "Qt::Checked"})
    folded = SubElement(tree, "layer-tree-group", {"name": "Tables", "expanded": "0", "checked": "Qt::Checked"})
    for layer in (*tables, chips):
        _tree_layer(folded, layer_id(layer.name), layer.title, f"{source}|layername={layer.name}", True)
    crs = _crs_of(layers)
    for layer in (*_TOP_DOWN, *tables, chips):
        maps.append(_vector(layer, f"{source}|layername={layer.name}", crs))
    for number, image in enumerate(imagery):
        named = _relative(image, path.parent)
        name = layer_id(f"imagery_{number}")
        _tree_layer(rasters, name, image.name, named, True, provider="gdal")
        maps.append(_raster(name, image.name, named))
    _order(root, [*(layer_id(one.name) for one in _TOP_DOWN), *(layer_id(f"imagery_{n}") for n in range(len(imagery)))])
    _relations(root)
    _canvas(root, home, plane)
    properties = SubElement(root, "properties")
    SubElement(SubElement(properties, "Paths"), "Absolute", {"type": "bool"}).text = "false"
    SubElement(SubElement(properties, "SpatialRefSys"), "ProjectionsEnabled", {"type": "int"}).text = "1"
    indent(root, " ")
    head = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    write_text(path, head + lawful_xml(root) + "\n")


def layer_id(name: str) -> str:
    """Return the id of a layer in the project; QGIS gives ids of ten letters or fewer a new one."""
    return f"survey_{name}_layer"


def _relative(target: Path, folder: Path) -> str:
    """Return ``target`` as seen from a folder; remote and other drives' paths as they are."""
    named = target.as_posix()
    if named.startswith(("/vsi", "http:", "https:")):
        return named
    try:
        seen = Path(os.path.relpath(target.absolute(), folder.absolute())).as_posix()
    except ValueError:  # another drive on Windows
        return named
    return seen if seen.startswith("..") else f"./{seen}"


def _tree_layer(tree: Element, name: str, title: str, source: str, shown: bool, *, provider: str = "ogr") -> None:
    SubElement(
        tree, "layer-tree-layer",
        {"id": name, "name": title, "source": source, "providerKey": provider, "expanded": "0",
         "checked": "Qt::Checked" if shown else "Qt::Unchecked"},
    )  # fmt: skip


def _vector(layer: Layer, source: str, crs: CRS) -> Element:
    style = fromstring(layer_style(layer).split("\n", 1)[1])
    element = Element("maplayer", {**style.attrib, "type": "vector", "geometry": _KINDS[layer.geometry]})
    element.attrib.pop("version", None)
    for tag, text in (("id", layer_id(layer.name)), ("datasource", source), ("layername", layer.title)):
        SubElement(element, tag).text = text
    if layer.geometry is not None:
        SubElement(element, "srs").append(_crs(crs))
    SubElement(element, "provider", {"encoding": "UTF-8"}).text = "ogr"
    element.extend(list(style))
    return element


def _raster(name: str, title: str, source: str) -> Element:
    element = Element("maplayer", {"type": "raster"})
    for tag, text in (("id", name), ("datasource", source), ("layername", title), ("provider", "gdal")):
        SubElement(element, tag).text = text
    return element


def _order(root: Element, names: list[str]) -> None:
    order = SubElement(root, "layerorder")
    for name in names:
        SubElement(order, "layer", {"id": name})


def _relations(root: Element) -> None:
    relations = SubElement(root, "relations")
    for name, title, parent, key, child, field in _RELATIONS:
        relation = SubElement(
            relations, "relation",
            {"id": name, "name": title, "referencedLayer": layer_id(parent.name), "referencingLayer": layer_id(child),
             "strength": "Association"},
        )  # fmt: skip
        SubElement(relation, "fieldRef", {"referencedField": key, "referencingField": field})


def _canvas(root: Element, home: tuple[float, float, float, float], plane: CRS) -> None:
    corners = gpd.GeoSeries.from_xy([home[0], home[2]], [home[1], home[3]], crs="EPSG:4326").to_crs(plane)
    west, south, east, north = corners.total_bounds
    margin = 0.05 * max(east - west, north - south, 10.0)
    canvas = SubElement(root, "mapcanvas", {"name": "theMapCanvas", "annotationsVisible": "1"})
    SubElement(canvas, "units").text = "meters"
    extent = SubElement(canvas, "extent")
    for tag, value in (
        ("xmin", west - margin),
        ("ymin", south - margin),
        ("xmax", east + margin),
        ("ymax", north + margin),
    ):
        SubElement(extent, tag).text = f"{value:.3f}"
    SubElement(canvas, "destinationsrs").append(_crs(plane))


def _home(layers: Mapping[str, pd.DataFrame]) -> tuple[float, float, float, float]:
    """Bounds (degrees) of what was looked at and found; of the districts where nothing was."""
    for names in ((COVERAGE.name, HAZARD_OBJECTS.name, HAZARD_AREAS.name), (DISTRICTS.name,)):
        bounds = []
        for name in names:
            table = layers.get(name)
            if isinstance(table, gpd.GeoDataFrame):
                kept = table[table["status"] != "not_analysed"] if name == COVERAGE.name and len(table) else table
                if len(kept) and np.isfinite(kept.total_bounds).all():
                    bounds.append(kept.to_crs("EPSG:4326").total_bounds)
        if bounds:
            west, south = np.min(bounds, axis=0)[:2]
            east, north = np.max(bounds, axis=0)[2:]
            return float(west), float(south), float(east), float(north)
    return -180.0, -80.0, 180.0, 80.0


def _plane(home: tuple[float, float, float, float]) -> CRS:
    """UTM zone of the middle, for a map in metres."""
    longitude, latitude = (home[0] + home[2]) / 2, (home[1] + home[3]) / 2
    zone = min(int((longitude + 180) // 6) + 1, 60)
    return CRS.from_epsg((32600 if latitude >= 0 else 32700) + zone)


def _crs_of(layers: Mapping[str, pd.DataFrame]) -> CRS:
    for table in layers.values():
        if isinstance(table, gpd.GeoDataFrame) and table.crs is not None:
            return CRS.from_user_input(table.crs)
    return CRS.from_epsg(4326)


def _crs(crs: CRS) -> Element:
    element = Element("spatialrefsys", {"nativeFormat": "Wkt"})
    SubElement(element, "wkt").text = crs.to_wkt()
    epsg = crs.to_epsg()
    if epsg is not None:
        SubElement(element, "authid").text = f"EPSG:{epsg}"
    return element
