"""How the layers look and behave in QGIS: default styles, labels, forms with drop-downs, metadata.

Colours: land classes as in TN 07.11/01 (CHA #FF0000, SHA #F4A718, both at 50 %); the outline tells the status of
work. Density has another channel, one hue from light to dark (ColorBrewer Purples, colour-blind safe), so that a
red area and a dense cell are not mixed up. ``none_detected`` is left without colour, for it is no good news;
what could not be seen or was not looked at is hatched. Families of objects differ in shape as well as in colour
(Okabe and Ito 2008).
"""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element, SubElement, tostring

import pandas as pd
from pyproj import CRS

from survey.exports.symbols import at_centroid, data_defined, dots, fill, hatch, line, point, rgba, symbol
from survey.hazards import classes
from survey.layers import (
    CANDIDATES,
    COVERAGE,
    DENSITY_GRID,
    DISTRICTS,
    EVIDENCE,
    HAZARD_AREAS,
    HAZARD_OBJECTS,
    MINE_ROWS,
    REVIEW_OUTLINES,
    TURNING_POINTS,
    Column,
    Layer,
)
from survey.provenance import DISCLAIMER

CHA, SHA, INDICATION = "#FF0000", "#F4A718", "#FFE9A8"
DENSITY = {"low": "#CBC9E2", "medium": "#9E9AC8", "high": "#756BB1", "very_high": "#54278F"}
GREY = "#6B6B6B"
FAMILY_MARKS: dict[str, tuple[str, str]] = {
    "AP_blast": ("circle", "#D55E00"),
    "AP_frag": ("star", "#D55E00"),
    "AP_directional": ("semi_circle", "#D55E00"),
    "AT": ("square", "#CC0000"),
    "mine_unspecified": ("pentagon", "#CC79A7"),
    "CM": ("triangle", "#0072B2"),
    "UXO": ("diamond", "#0072B2"),
    "AXO": ("diamond", "#56B4E9"),
    "IED_suspect": ("cross_fill", "#000000"),
    "indicator": ("hexagon", "#8C8C8C"),
    "unknown": ("circle", "#F0E442"),
}
"""Marker and colour of each family of hazard."""

FAMILY_LABELS = {
    "AP_blast": "Anti-personnel mine, blast",
    "AP_frag": "Anti-personnel mine, fragmentation",
    "AP_directional": "Anti-personnel mine, directional",
    "AT": "Anti-tank mine",
    "mine_unspecified": "Mine, type not known",
    "CM": "Submunition",
    "UXO": "Unexploded ordnance",
    "AXO": "Abandoned ordnance",
    "IED_suspect": "Suspected improvised device",
    "indicator": "Indicator (trench, crater ...)",
    "unknown": "Unknown object",
    "clutter": "Clutter, known harmless",
}

_GEOMETRY_TYPES = {None: "4", "Point": "0", "LineString": "1", "Polygon": "2", "MultiPolygon": "2"}
_REVIEW_FIELDS = ("verification", "class_code", "reviewer_role", "notes")
_CHIP = (
    "'data:image/png;base64,' || to_base64(attribute(get_feature('object_chips', 'object_id', \"object_id\"), 'chip'))"
)


def layer_style(layer: Layer) -> str:
    """Return the default style of a layer as QML: symbols, labels, field names, drop-downs, form, map tip."""
    root = Element("qgis", {"version": "3.22.16", "styleCategories": "AllStyleCategories"})
    make = _RENDERERS.get(layer.name)
    if make is not None:
        root.append(make())
    _scales(root, layer)
    _labels(root, layer)
    _fields(root, layer)
    if layer in (HAZARD_OBJECTS, CANDIDATES):
        _review_form(root, layer)
    _map_tip(root, layer)
    SubElement(root, "layerGeometryType").text = _GEOMETRY_TYPES[layer.geometry]
    head = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return head + tostring(root, encoding="unicode") + "\n"


def layer_metadata(layer: Layer, table: pd.DataFrame, crs: CRS) -> str:
    """Return title, abstract, licence of use, CRS, extent and lineage of a layer as QGIS metadata."""
    root = Element("qgis", {"version": "3.22.16"})
    for tag, text in (
        ("identifier", f"survey.gpkg/{layer.name}"),
        ("parentidentifier", "survey.gpkg"),
        ("language", "ENG"),
        ("type", "dataset"),
        ("title", layer.title),
        ("abstract", f"{layer.title}. {DISCLAIMER}"),
    ):
        SubElement(root, tag).text = text
    SubElement(root, "constraints", {"type": "access"}).text = "restricted: holds locations of suspected hazards"
    SubElement(root, "fees")
    if layer.geometry is not None:
        epsg = crs.to_epsg()
        spatial = SubElement(SubElement(root, "crs"), "spatialrefsys", {"nativeFormat": "Wkt"})
        SubElement(spatial, "authid").text = f"EPSG:{epsg}" if epsg else ""
        SubElement(spatial, "description").text = crs.name
        if len(table):
            west, south, east, north = table.total_bounds
            extent = SubElement(root, "extent")
            SubElement(
                extent, "spatial",
                {"minx": repr(float(west)), "miny": repr(float(south)), "maxx": repr(float(east)),
                 "maxy": repr(float(north)), "minz": "0", "maxz": "0", "crs": f"EPSG:{epsg}", "dimensions": "2"},
            )  # fmt: skip
    for run in table["run_id"].dropna().unique() if "run_id" in table.columns else ():
        SubElement(root, "history").text = f"Made by survey run {run}; table 'runs' holds versions and digests."
    return tostring(root, encoding="unicode")


def _objects() -> Element:
    outline = {"confirmed": "#000000", "rejected": "#BDBDBD", "uncertain": "#FFFFFF", "unverified": "#FFFFFF"}
    stroke = "CASE " + " ".join(
        f"WHEN \"verification\"='{verdict}' THEN '{rgba(colour)}'" for verdict, colour in outline.items()
    )
    entries: list[tuple[str, str, Element]] = []
    for family, (shape, colour) in FAMILY_MARKS.items():
        marker = at_centroid(shape, rgba(colour, 0.9), rgba("#FFFFFF"), 2.8, 0.35)
        inner = marker.find("symbol/layer")
        assert inner is not None
        data_defined(
            inner,
            {
                "outlineColor": f"{stroke} END",
                "outlineWidth": "CASE WHEN \"verification\"='confirmed' THEN 0.7 ELSE 0.3 END",
            },
        )
        edge = fill(None, rgba(colour), 0.4)
        entries.append((family, FAMILY_LABELS[family], symbol(str(len(entries)), [edge, marker])))
    return _categorised("family", entries)


def _candidates() -> Element:
    marker = at_centroid("circle", rgba("#FFFFFF", 0.0), rgba(GREY), 1.6, 0.3)
    return _single(symbol("0", [fill(None, rgba(GREY, 0.8), 0.2, "dot"), marker]))


def _areas() -> Element:
    edge = {
        "outlineColor": "CASE WHEN \"status\"='open' THEN '255,0,0,255' "
        "WHEN \"status\"='worked_on' THEN '244,167,24,255' "
        "WHEN \"status\"='suspended' THEN '107,107,107,255' ELSE '153,204,0,255' END",
        "outlineStyle": "CASE WHEN \"status\"='worked_on' THEN 'dash' "
        "WHEN \"status\"='suspended' THEN 'dot' ELSE 'solid' END",
    }
    looks = (
        ("cha_proposed", "Confirmed hazardous area (proposed)", CHA, 0.5),
        ("sha_proposed", "Suspected hazardous area (proposed)", SHA, 0.5),
        ("indication", "Indication, not verified", INDICATION, 0.5),
    )
    entries = [
        (value, label, symbol(str(i), [data_defined(fill(rgba(colour, opacity), rgba("#FF0000"), 0.5), edge)]))
        for i, (value, label, colour, opacity) in enumerate(looks)
    ]
    return _categorised("land_class", entries)


def _density() -> Element:
    thin = rgba("#FFFFFF", 0.35)
    entries = [
        (
            value,
            f"{value.replace('_', ' ').capitalize()} density",
            symbol(str(i), [fill(rgba(colour, 0.75), thin, 0.1)]),
        )
        for i, (value, colour) in enumerate(DENSITY.items())
    ]
    faint = rgba(GREY, 0.45)
    entries += [
        ("none_detected", "No detection (does not mean: no hazard)", symbol("4", [fill(None, faint, 0.1)])),
        (
            "little_seen",
            "No detection, and less than half could have been seen",
            symbol("5", [dots(rgba(GREY, 0.7), 2.0), fill(None, faint, 0.1)]),
        ),
        (
            "not_assessable",
            "Not assessable: nothing could have been seen",
            symbol("6", [hatch(rgba(GREY, 0.85), 45, 1.6), fill(None, faint, 0.1)]),
        ),
    ]
    return _categorised(
        "CASE WHEN \"density_class\"='none_detected' AND \"detectability\"<0.5 THEN 'little_seen' "
        'ELSE "density_class" END',
        entries,
    )


def _districts() -> Element:
    # The fill is for the overview only: beneath the cells it would look like a density of its own.
    looks: list[tuple[str, str, str | None]] = [("none_detected", "No detection on the analysed ground", None)]
    looks += [(value, f"{value.replace('_', ' ').capitalize()} density", colour) for value, colour in DENSITY.items()]
    entries = []
    for number, (value, label, colour) in enumerate(looks):
        inside = rgba(colour, 0.6) if colour else None
        body = fill(inside, rgba("#333333"), 0.5, "dash dot")
        if inside:
            scale = _MIN_SCALE[DENSITY_GRID.name]
            data_defined(body, {"fillColor": f"if(coalesce(@map_scale, 0) <= {scale}, '0,0,0,0', '{inside}')"})
        entries.append((value, label, symbol(str(number), [body])))
    return _categorised("contamination_class", entries)


def _coverage() -> Element:
    entries = [
        ("analysed", "Analysed", symbol("0", [fill(None, rgba("#0072B2"), 0.3)])),
        (
            "not_assessable",
            "Not assessable (imaged, but nothing could have been seen)",
            symbol("1", [hatch(rgba(GREY, 0.85), 45, 1.6), fill(None, rgba(GREY), 0.2)]),
        ),
        (
            "not_analysed",
            "Not analysed (not looked at)",
            symbol(
                "2",
                [
                    hatch(rgba(GREY, 0.6), 45, 3.0, 0.2),
                    hatch(rgba(GREY, 0.6), 135, 3.0, 0.2),
                    fill(None, rgba(GREY), 0.2),
                ],
            ),
        ),
    ]
    return _categorised("status", entries)


def _drawn() -> Element:
    return _single(symbol("0", [fill(None, rgba("#000000"), 0.4, "dash")]))


def _turning_points() -> Element:
    start = "CASE WHEN \"point_type\"='start' THEN '0,0,0,255' ELSE '255,255,255,255' END"
    size = "CASE WHEN \"point_type\"='intermediate' THEN 1.0 ELSE 1.8 END"
    mark = data_defined(point("circle", rgba("#FFFFFF"), rgba("#000000"), 1.8, 0.3), {"fillColor": start, "size": size})
    return _single(symbol("0", [mark], "marker"))


def _mine_rows() -> Element:
    return _single(symbol("0", [line(rgba("#FFFFFF", 0.7), 1.0), line(rgba("#7A0000"), 0.4, "dash dot")], "line"))


def _evidence() -> Element:
    entries = [
        (value, label, symbol(str(i), [fill(rgba(colour, 0.2), rgba(colour), 0.5),
                                       at_centroid("star", rgba(colour), rgba("#FFFFFF"), 3.5)]))
        for i, (value, label, colour) in enumerate(
            (("direct", "Direct evidence, not from imagery", "#000000"),
             ("indirect", "Indirect evidence, not from imagery", "#0072B2"))
        )
    ]  # fmt: skip
    return _categorised("evidence_class", entries)


_RENDERERS: dict[str, Callable[[], Element]] = {
    HAZARD_OBJECTS.name: _objects,
    CANDIDATES.name: _candidates,
    HAZARD_AREAS.name: _areas,
    DENSITY_GRID.name: _density,
    DISTRICTS.name: _districts,
    COVERAGE.name: _coverage,
    REVIEW_OUTLINES.name: _drawn,
    TURNING_POINTS.name: _turning_points,
    MINE_ROWS.name: _mine_rows,
    EVIDENCE.name: _evidence,
}


def _categorised(attribute: str, entries: list[tuple[str, str, Element]]) -> Element:
    element = Element(
        "renderer-v2",
        {"type": "categorizedSymbol", "attr": attribute, "forceraster": "0", "symbollevels": "0", "enableorderby": "0"},
    )
    categories = SubElement(element, "categories")
    symbols = SubElement(element, "symbols")
    for value, label, look in entries:
        SubElement(
            categories, "category",
            {"value": value, "type": "string", "label": label, "symbol": look.attrib["name"], "render": "true"},
        )  # fmt: skip
        symbols.append(look)
    return element


def _single(look: Element) -> Element:
    element = Element(
        "renderer-v2", {"type": "singleSymbol", "forceraster": "0", "symbollevels": "0", "enableorderby": "0"}
    )
    SubElement(element, "symbols").append(look)
    return element


_MIN_SCALE = {
    CANDIDATES.name: 5_000,
    DENSITY_GRID.name: 250_000,
    HAZARD_OBJECTS.name: 100_000,
    TURNING_POINTS.name: 5_000,
    MINE_ROWS.name: 25_000,
}
"""Not drawn when zoomed out further than 1 : this."""
_LABELS = {
    DISTRICTS.name: (
        '"district_name" || \'\\n\' || format_number("analysed_ha", 1) || \' ha analysed\'', 10, 2_000_000, "#333333",
    ),
    HAZARD_AREAS.name: (
        'format_number("area_ha", 2) || \' ha\\n\' || "n_objects" || \' obj.\'', 8, 15_000, "#7A0000",
    ),
    HAZARD_OBJECTS.name: ('"class_code" || \' \' || format_number("probability", 2)', 7, 1_000, "#202020"),
}  # fmt: skip
"""Expression, size in points, furthest scale and colour of the labels."""


def _scales(root: Element, layer: Layer) -> None:
    limit = _MIN_SCALE.get(layer.name)
    root.set("hasScaleBasedVisibilityFlag", "1" if limit else "0")
    root.set("minScale", str(limit or 100_000_000))
    root.set("maxScale", "0")


def _labels(root: Element, layer: Layer) -> None:
    wanted = _LABELS.get(layer.name)
    root.set("labelsEnabled", "1" if wanted else "0")
    if wanted is None:
        return
    expression, size, scale, colour = wanted
    settings = SubElement(SubElement(root, "labeling", {"type": "simple"}), "settings", {"calloutType": "simple"})
    style = SubElement(
        settings, "text-style",
        {"fieldName": expression, "isExpression": "1", "fontSize": str(size), "fontSizeUnit": "Point",
         "fontFamily": "Sans Serif", "textColor": rgba(colour), "textOpacity": "1", "multilineHeight": "1"},
    )  # fmt: skip
    SubElement(
        style, "text-buffer",
        {"bufferDraw": "1", "bufferSize": "0.8", "bufferSizeUnits": "MM", "bufferColor": rgba("#FFFFFF"),
         "bufferOpacity": "0.85", "bufferNoFill": "1"},
    )  # fmt: skip
    SubElement(settings, "placement", {"placement": "4" if layer is DISTRICTS else "1", "centroidWhole": "1"})
    SubElement(
        settings,
        "rendering",
        {"scaleVisibility": "1", "scaleMin": "0", "scaleMax": str(scale), "drawLabels": "1", "obstacle": "0"},
    )


def _fields(root: Element, layer: Layer) -> None:
    configuration = SubElement(root, "fieldConfiguration")
    aliases = SubElement(root, "aliases")
    editable = SubElement(root, "editable")
    reviewed = layer in (HAZARD_OBJECTS, CANDIDATES)
    for index, column in enumerate(layer.columns, start=1):
        field = SubElement(configuration, "field", {"name": column.name, "configurationFlags": "None"})
        field.append(_widget(column))
        unit = f" [{column.unit}]" if column.unit else ""
        label = column.name.replace("_", " ").capitalize() + unit
        SubElement(aliases, "alias", {"field": column.name, "index": str(index), "name": label})
        may = "1" if reviewed and column.name in _REVIEW_FIELDS else "0"
        SubElement(editable, "field", {"name": column.name, "editable": may})


def _widget(column: Column) -> Element:
    if column.name == "class_code":
        return _value_map({one.label: code for code, one in classes().items()})
    if column.name == "family":
        return _value_map({FAMILY_LABELS[value]: value for value in column.domain or ()})
    if column.domain is not None:
        return _value_map({value.replace("_", " ").capitalize(): value for value in column.domain})
    kind = {"time": "DateTime", "bool": "CheckBox"}.get(column.kind, "TextEdit")
    widget = Element("editWidget", {"type": kind})
    options = SubElement(SubElement(widget, "config"), "Option", {"type": "Map"})
    if column.name in ("notes", "method_reasons"):
        SubElement(options, "Option", {"name": "IsMultiline", "type": "bool", "value": "true"})
    return widget


def _value_map(choices: dict[str, str]) -> Element:
    widget = Element("editWidget", {"type": "ValueMap"})
    options = SubElement(SubElement(widget, "config"), "Option", {"type": "Map"})
    entries = SubElement(options, "Option", {"name": "map", "type": "List"})
    for label, value in choices.items():
        entry = SubElement(entries, "Option", {"type": "Map"})
        SubElement(entry, "Option", {"name": label, "type": "QString", "value": value})
    return widget


def _review_form(root: Element, layer: Layer) -> None:
    """Add a form that asks for the verdict first, shows the chip, and notes the time by itself."""
    defaults = SubElement(root, "defaults")
    for field, expression, again in (
        ("reviewed_at", "now()", "1"),
        ("verification", "'confirmed'", "0"),
        ("class_code", "'unknown_object'", "0"),
    ):
        SubElement(defaults, "default", {"field": field, "expression": expression, "applyOnUpdate": again})
    SubElement(root, "editorlayout").text = "tablayout"
    form = SubElement(root, "attributeEditorForm")
    names = layer.names

    def group(title: str, fields: list[str]) -> Element:
        box = SubElement(
            form, "attributeEditorContainer", {"name": title, "columnCount": "1", "groupBox": "1", "showLabel": "1"}
        )
        for name in fields:
            SubElement(
                box, "attributeEditorField", {"name": name, "index": str(names.index(name) + 1), "showLabel": "1"}
            )
        return box

    review = group("Review", [*_REVIEW_FIELDS, "reviewed_at"])
    html = SubElement(review, "attributeEditorHtmlElement", {"name": "Image", "showLabel": "0"})
    html.text = (
        f'<script>document.write("<img width=256 src=\'" + expression.evaluate("{_js(_CHIP)}") + "\'>");</script>'
    )
    rest = [name for name in names if name not in (*_REVIEW_FIELDS, "reviewed_at")]
    group("Measured", rest)


def _js(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


_TIPS = {
    HAZARD_OBJECTS.name: '[% "class_code" %] [% format_number("probability", 2) %], [% "verification" %]',
    CANDIDATES.name: '[% "class_code" %] [% format_number("probability", 2) %], below the threshold',
    HAZARD_AREAS.name: '[% "land_class" %], [% format_number("area_ha", 2) %] ha, [% "n_objects" %] objects<br/>'
    'Suggested: [% "method_primary" %]',
    DENSITY_GRID.name: '[% "density_class" %] ([% "class_range" %]), [% format_number("density_per_ha", 2) %] per ha, '
    'could be seen: [% format_number("detectability", 2) %]',
    DISTRICTS.name: '[% "district_name" %]: [% format_number("analysed_ha", 1) %] ha analysed, '
    '[% "n_objects" %] objects',
    COVERAGE.name: '[% "status" %] [% "reason" %]',
}


def _map_tip(root: Element, layer: Layer) -> None:
    tip = _TIPS.get(layer.name)
    if tip is None:
        return
    if layer in (HAZARD_OBJECTS, CANDIDATES):
        tip += f'<br/><img width="200" src="[% {_CHIP} %]"/>'
    SubElement(root, "mapTip").text = tip
