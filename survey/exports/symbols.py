"""QGIS symbols as XML elements: fills, hatches and centroid markers. Colours are ``r,g,b,a``, widths millimetres."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement

Properties = Mapping[str, str]


def rgba(hex_colour: str, opacity: float = 1.0) -> str:
    """Return a colour as QGIS writes it.

    Examples
    --------
    >>> rgba("#FF0000", 0.5)
    '255,0,0,128'
    """
    red, green, blue = (int(hex_colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"{red},{green},{blue},{round(255 * opacity)}"


def symbol(name: str, layers: list[Element], kind: str = "fill") -> Element:
    """Return a symbol (``fill``, ``line`` or ``marker``) of the given symbol layers, drawn in that order."""
    element = Element("symbol", {"type": kind, "name": name, "alpha": "1", "clip_to_extent": "1", "force_rhr": "0"})
    element.extend(layers)
    return element


def fill(colour: str | None, outline: str | None, width_mm: float = 0.3, dash: str = "solid") -> Element:
    """Return a plain fill; ``None`` leaves the inside or the outline out."""
    return _layer(
        "SimpleFill",
        {
            "color": colour or "0,0,0,0",
            "style": "solid" if colour else "no",
            "outline_color": outline or "0,0,0,0",
            "outline_style": dash if outline else "no",
            "outline_width": f"{width_mm:g}",
            "outline_width_unit": "MM",
            "joinstyle": "round",
        },
    )


def hatch(colour: str, angle: float, distance_mm: float, width_mm: float = 0.25) -> Element:
    """Return parallel lines across the inside."""
    element = _layer(
        "LinePatternFill",
        {
            "angle": f"{angle:g}",
            "color": colour,
            "distance": f"{distance_mm:g}",
            "distance_unit": "MM",
            "line_width": f"{width_mm:g}",
            "line_width_unit": "MM",
        },
    )
    line = SubElement(element, "symbol", {"type": "line", "name": "@0@0", "alpha": "1", "clip_to_extent": "1"})
    line.append(
        _layer(
            "SimpleLine",
            {
                "line_color": colour,
                "line_style": "solid",
                "line_width": f"{width_mm:g}",
                "line_width_unit": "MM",
                "capstyle": "flat",
            },
        )
    )
    return element


def dots(colour: str, distance_mm: float, size_mm: float = 0.5) -> Element:
    """Return a lattice of dots across the inside."""
    element = _layer(
        "PointPatternFill",
        {
            "distance_x": f"{distance_mm:g}",
            "distance_y": f"{distance_mm:g}",
            "displacement_x": f"{distance_mm / 2:g}",
            "distance_x_unit": "MM",
            "distance_y_unit": "MM",
        },
    )
    element.append(_marker("@0@0", "circle", colour, colour, size_mm, 0.0))
    return element


def line(colour: str, width_mm: float, dash: str = "solid") -> Element:
    """Return a line."""
    return _layer(
        "SimpleLine",
        {"line_color": colour, "line_style": dash, "line_width": f"{width_mm:g}", "line_width_unit": "MM"},
    )


def point(shape: str, colour: str, outline: str, size_mm: float, width_mm: float = 0.3) -> Element:
    """Return a marker."""
    (layer,) = _marker("", shape, colour, outline, size_mm, width_mm)
    return layer


def at_centroid(shape: str, colour: str, outline: str, size_mm: float, width_mm: float = 0.3) -> Element:
    """Return a marker on the centroid, for outlines too small to be seen."""
    element = _layer("CentroidFill", {"point_on_all_parts": "0", "point_on_surface": "1", "clip_points": "0"})
    element.append(_marker("@0@1", shape, colour, outline, size_mm, width_mm))
    return element


def data_defined(layer: Element, expressions: Mapping[str, str]) -> Element:
    """Let expressions on the feature decide properties of a symbol layer (e.g. ``outlineColor``)."""
    for old in layer.findall("data_defined_properties"):
        layer.remove(old)
    holder = SubElement(layer, "data_defined_properties")
    top = SubElement(holder, "Option", {"type": "Map"})
    SubElement(top, "Option", {"name": "name", "type": "QString", "value": ""})
    properties = SubElement(top, "Option", {"name": "properties", "type": "Map"})
    for name, expression in expressions.items():
        one = SubElement(properties, "Option", {"name": name, "type": "Map"})
        SubElement(one, "Option", {"name": "active", "type": "bool", "value": "true"})
        SubElement(one, "Option", {"name": "expression", "type": "QString", "value": expression})
        SubElement(one, "Option", {"name": "type", "type": "int", "value": "3"})
    SubElement(top, "Option", {"name": "type", "type": "QString", "value": "collection"})
    return layer


def _marker(name: str, shape: str, colour: str, outline: str, size_mm: float, width_mm: float) -> Element:
    marker = Element("symbol", {"type": "marker", "name": name, "alpha": "1", "clip_to_extent": "1"})
    marker.append(
        _layer(
            "SimpleMarker",
            {
                "name": shape,
                "color": colour,
                "outline_color": outline,
                "outline_style": "solid" if width_mm else "no",
                "outline_width": f"{width_mm:g}",
                "outline_width_unit": "MM",
                "size": f"{size_mm:g}",
                "size_unit": "MM",
            },
        )
    )
    return marker


def _layer(kind: str, properties: Properties) -> Element:
    """Return a symbol layer; its properties stand in the new form (Option) and the old (prop)."""
    element = Element("layer", {"class": kind, "enabled": "1", "pass": "0", "locked": "0"})
    options = SubElement(element, "Option", {"type": "Map"})
    for name, value in properties.items():
        SubElement(options, "Option", {"name": name, "type": "QString", "value": value})
    for name, value in properties.items():
        SubElement(element, "prop", {"k": name, "v": value})
    return element
