"""How the layers look in QGIS: symbols, scales and labels.

Colours: land classes as in TN 07.11/01 (CHA #FF0000, SHA #F4A718, both at 50 %); the outline tells the status of
work. Density has another channel, one hue from light to dark (ColorBrewer Purples, colour-blind safe), so that a
red area and a dense cell are not mixed up. ``none_detected`` is left without colour, for it is no good news;
what could not be seen or was not looked at is hatched. Families of objects differ in shape as well as in colour
(Okabe and Ito 2008).
"""

from __future__ import annotations

from collections.abc import Callable
from xml.etree.ElementTree import Element, SubElement

from survey.exports.symbols import at_centroid, data_defined, dots, fill, hatch, line, point, rgba, symbol
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
    Layer,
)

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

_SCALE = "coalesce(@map_scale, 10000)"
_OUTLINES_ALONE, _GROUND_SHOWS, _HATCHED = 250, 250, 25_000
"""Scales (1 : this) at which markers give way to outlines, fills to the ground, and hatches to flat colours."""

_MIN_SCALE = {
    CANDIDATES.name: 5_000,
    DENSITY_GRID.name: 250_000,
    HAZARD_OBJECTS.name: 100_000,
    TURNING_POINTS.name: 5_000,
    MINE_ROWS.name: 25_000,
}
"""Not drawn when zoomed out further than 1 : this."""


def draw(root: Element, layer: Layer) -> None:
    """Add to a style how a layer is drawn: symbols, scales, labels."""
    make = _RENDERERS.get(layer.name)
    if make is not None:
        root.append(make())
    _scales(root, layer)
    _labels(root, layer)


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
        # Close by, the marker would hide what it marks.
        data_defined(marker, {"enabled": f"{_SCALE} >= {_OUTLINES_ALONE}"})
        edge = fill(None, rgba(colour), 0.4)
        entries.append((family, FAMILY_LABELS[family], symbol(str(len(entries)), [edge, marker])))
    return _categorised("family", entries)


def _candidates() -> Element:
    marker = at_centroid("circle", rgba("#FFFFFF", 0.0), rgba(GREY), 1.6, 0.3)
    data_defined(marker, {"enabled": f"{_SCALE} >= {_OUTLINES_ALONE}"})
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
    entries = []
    for number, (value, label, colour, opacity) in enumerate(looks):
        inside = rgba(colour, opacity)
        # Close by, the image must show through for a reviewer.
        near = {"fillColor": f"if({_SCALE} < {_GROUND_SHOWS}, '{rgba(colour, 0.0)}', '{inside}')"}
        look = data_defined(fill(inside, rgba("#FF0000"), 0.5), {**edge, **near})
        entries.append((value, label, symbol(str(number), [look])))
    return _categorised("land_class", entries)


def _density() -> Element:
    """Lines the closer the denser, so that areas and imagery show through; flat colours from afar."""
    entries = []
    for number, (value, colour) in enumerate(DENSITY.items()):
        flat = data_defined(fill(rgba(colour, 0.8), rgba("#FFFFFF", 0.35), 0.1), {"enabled": f"{_SCALE} > {_HATCHED}"})
        lines = hatch(rgba(colour), 0, (4.0, 3.0, 2.2, 1.5)[number], (0.25, 0.3, 0.35, 0.45)[number])
        data_defined(lines, {"enabled": f"{_SCALE} <= {_HATCHED} AND {_SCALE} >= {_GROUND_SHOWS}"})
        edge = fill(None, rgba(colour), 0.25)
        label = f"{value.replace('_', ' ').capitalize()} density"
        entries.append((value, label, symbol(str(number), [flat, lines, edge])))
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
    # The fill is for the overview only, for beneath the cells it would look like a density of its own; and as
    # strong as the share of the district that was analysed, for it says nothing of the rest.
    looks: list[tuple[str, str, str | None]] = [("none_detected", "No detection on the analysed ground", None)]
    looks += [(value, f"{value.replace('_', ' ').capitalize()} density", colour) for value, colour in DENSITY.items()]
    entries = []
    for number, (value, label, colour) in enumerate(looks):
        body = fill(rgba(colour, 0.7) if colour else None, rgba("#333333"), 0.5, "dash dot")
        if colour:
            share = 'coalesce("analysed_ha" / nullif("district_ha", 0), 0)'
            red, green, blue, strongest = rgba(colour, 0.7).split(",")
            scale = _MIN_SCALE[DENSITY_GRID.name]
            data_defined(
                body,
                {
                    "fillColor": f"if(coalesce(@map_scale, 0) <= {scale}, '0,0,0,0', "
                    f"color_rgba({red}, {green}, {blue}, {strongest} * {share}))"
                },
            )
        entries.append((value, label, symbol(str(number), [body])))
    little = symbol(str(len(looks)), [dots(rgba(GREY, 0.5), 3.0), fill(None, rgba("#333333"), 0.5, "dash dot")])
    entries.append(("little_seen", "No detection, and less than half could have been seen", little))
    return _categorised(
        "CASE WHEN \"contamination_class\"='none_detected' AND \"mean_detectability\"<0.5 THEN 'little_seen' "
        'ELSE "contamination_class" END',
        entries,
    )


def _coverage() -> Element:
    entries = [
        ("analysed", "Analysed", symbol("0", [fill(None, rgba("#0072B2"), 0.3)])),
        (
            "little_seen",
            "Analysed, but less than half could have been seen",
            symbol("3", [dots(rgba("#0072B2", 0.6), 2.0), fill(None, rgba("#0072B2"), 0.3)]),
        ),
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
                    hatch(rgba(GREY, 0.35), 45, 3.5, 0.2),
                    hatch(rgba(GREY, 0.35), 135, 3.5, 0.2),
                    fill(None, rgba(GREY), 0.2),
                ],
            ),
        ),
    ]
    return _categorised(
        'CASE WHEN "status"=\'analysed\' AND "detectability"<0.5 THEN \'little_seen\' ELSE "status" END', entries
    )


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


_LABELS = {
    DISTRICTS.name: (
        '"district_name" || \'\\n\' || format_number("analysed_ha", 1) || \' of \' || format_number("district_ha", 0) '
        "|| ' ha analysed'", 10, 2_000_000, "#333333",
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
    # Around the marker of an object; horizontally inside an area or a district.
    around = {"placement": "0", "dist": "2", "distUnits": "MM", "centroidInside": "1"}
    SubElement(settings, "placement", around if layer is HAZARD_OBJECTS else {"placement": "4"})
    SubElement(
        settings,
        "rendering",
        {"scaleVisibility": "1", "scaleMin": "0", "scaleMax": str(scale), "drawLabels": "1", "obstacle": "0"},
    )
