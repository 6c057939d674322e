"""The narrow waist between the two planes: what the tiles of one scene hand over."""

from __future__ import annotations

from survey.hazards import FAMILIES
from survey.layers.columns import BY_FAMILY, COVERAGE_STATUSES, EFFECTIVE_GSD, SHADOW, number, text
from survey.layers.table import Column, Layer

SIGHTINGS = Layer(
    "sightings",
    "What the classifier saw in one scene, before scenes are joined",
    "Polygon",
    (
        text("image", "name of the scene"),
        Column("row", "int", "row of the representative point, scene pixels at full resolution", "px"),
        Column("col", "int", "column of the representative point, scene pixels at full resolution", "px"),
        text("class_code", "most probable class; post: one of a line, if there is a line"),
        text("family", "family of that class", domain=FAMILIES),
        number("probability", "calibrated probability that it is a hazard object", "0-1"),
        number("length_m", "longer side of the outline", "m"),
        number("width_m", "shorter side of the outline", "m"),
        number("area_m2", "area of the outline", "m2"),
    ),
)
"""Geometry: the outline in the CRS of the scene."""

COVERAGE_PIECES = Layer(
    "coverage_pieces",
    "Ground of one scene by what could be done with it",
    "MultiPolygon",
    (
        text("image", "name of the scene"),
        text("status", "analysed, not assessable or not analysed", domain=COVERAGE_STATUSES),
        text("reason", "why it is not analysed or not assessable; empty where analysed"),
        text("families", "families that could be seen there, joined with ';'"),
        number("detectability", "fraction of those families' objects that could be seen", "0-1"),
        number("gsd_cm", "ground sampling distance", "cm"),
        Column("acquired_at", "time", "when the image was taken", nullable=True),
        number("vegetation", "share of the ground under vegetation; null where not measured", "0-1", nullable=True),
        BY_FAMILY,
        SHADOW,
        EFFECTIVE_GSD,
    ),
)
"""Geometry: cells of the scene's coverage grid, in the CRS of the scene."""
