"""How the layers behave in QGIS: default styles as QML, with forms, drop-downs and map tips; layer metadata."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

import pandas as pd
from pyproj import CRS

from survey.exports.lawful import lawful_xml
from survey.exports.styles import FAMILY_LABELS, draw
from survey.hazards import classes
from survey.layers import CANDIDATES, COVERAGE, DENSITY_GRID, DISTRICTS, HAZARD_AREAS, HAZARD_OBJECTS, Column, Layer
from survey.provenance import DISCLAIMER

_GEOMETRY_TYPES = {None: "4", "Point": "0", "LineString": "1", "Polygon": "2", "MultiPolygon": "2"}
_REVIEW_FIELDS = ("verification", "class_code", "reviewer_role", "notes")
_CHIP_LAYERS = ("survey_object_chips_layer", "object_chips", "survey — object_chips")
"""What the layer of chips may be called: its id in the project, its own name, and what QGIS names it when added."""
_CHIP = (
    "'data:image/jpeg;base64,' || to_base64(coalesce("
    + ", ".join(f"attribute(get_feature('{name}', 'object_id', \"object_id\"), 'chip')" for name in _CHIP_LAYERS)
    + "))"
)


def layer_style(layer: Layer) -> str:
    """Return the default style of a layer as QML: symbols, labels, field names, drop-downs, form, map tip."""
    root = Element("qgis", {"version": "3.22.16", "styleCategories": "AllStyleCategories"})
    draw(root, layer)
    _fields(root, layer)
    if layer in (HAZARD_OBJECTS, CANDIDATES):
        _review_form(root, layer)
        _chip_relation(root)
    _map_tip(root, layer)
    SubElement(root, "layerGeometryType").text = _GEOMETRY_TYPES[layer.geometry]
    head = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return head + lawful_xml(root) + "\n"


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
    return lawful_xml(root)


def _fields(root: Element, layer: Layer) -> None:
    configuration = SubElement(root, "fieldConfiguration")
    aliases = SubElement(root, "aliases")
    editable = SubElement(root, "editable")
    reviewed = layer in (HAZARD_OBJECTS, CANDIDATES)
    for index, column in enumerate(layer.columns, start=1):
        field = SubElement(configuration, "field", {"name": column.name, "configurationFlags": "None"})
        field.append(_widget(column))
        SubElement(aliases, "alias", {"field": column.name, "index": str(index), "name": label_of(column)})
        may = "1" if reviewed and column.name in _REVIEW_FIELDS else "0"
        SubElement(editable, "field", {"name": column.name, "editable": may})


def label_of(column: Column) -> str:
    """Return what people call a column.

    Examples
    --------
    >>> from survey.layers import HAZARD_AREAS
    >>> [label_of(column) for column in HAZARD_AREAS.columns[4:6]]
    ['Area [m2]', 'Area [ha]']
    """
    name, unit = column.name, column.unit
    if unit and name.endswith(f"_{unit}"):
        name = name.removesuffix(f"_{unit}")
    words = name.replace("_", " ").capitalize().replace("Gsd", "GSD").replace(" id", " ID")
    return f"{words} [{unit}]" if unit else words


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


def _chip_relation(root: Element) -> None:
    """Relate objects to their chips, so that QGIS adds the table of chips with the layer when the form needs it."""
    relation = SubElement(
        SubElement(root, "referencingLayers"), "relation",
        {"id": "object_chips", "name": "Image of the object", "strength": "Association", "layerId": _CHIP_LAYERS[0],
         "layerName": "object_chips", "layerSource": "./survey.gpkg|layername=object_chips", "providerKey": "ogr",
         "referencedLayer": "", "referencingLayer": _CHIP_LAYERS[0], "dataSource": ""},
    )  # fmt: skip
    SubElement(relation, "fieldRef", {"referencedField": "object_id", "referencingField": "object_id"})


def _js(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _shown(column: str) -> str:
    """Return what a map tip shows of a column of text: a tip is HTML, and its text comes from data."""
    return f"[% replace(\"{column}\", map('&', '&amp;', '<', '&lt;')) %]"


_TIPS = {
    HAZARD_OBJECTS.name: f'{_shown("class_code")} [% format_number("probability", 2) %], {_shown("verification")}',
    CANDIDATES.name: f'{_shown("class_code")} [% format_number("probability", 2) %], below the threshold',
    HAZARD_AREAS.name: f'{_shown("land_class")}, [% format_number("area_ha", 2) %] ha, [% "n_objects" %] objects<br/>'
    f"Suggested: {_shown('method_primary')}",
    DENSITY_GRID.name: f"{_shown('density_class')} ({_shown('class_range')}), "
    '[% format_number("density_per_ha", 2) %] per ha, could be seen: [% format_number("detectability", 2) %]',
    DISTRICTS.name: f'{_shown("district_name")}: [% format_number("analysed_ha", 1) %] ha analysed, '
    '[% "n_objects" %] objects, could be seen: [% format_number("mean_detectability", 2) %]',
    COVERAGE.name: f"{_shown('status')} {_shown('reason')}<br/>could be seen: {_shown('detectability_by_family')}",
}


def _map_tip(root: Element, layer: Layer) -> None:
    tip = _TIPS.get(layer.name)
    if tip is None:
        return
    if layer in (HAZARD_OBJECTS, CANDIDATES):
        tip += f'<br/><img width="200" src="[% {_CHIP} %]"/>'
    SubElement(root, "mapTip").text = tip
