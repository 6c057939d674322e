"""Ground in hectares: what was looked at, how much is where, and by district."""

from __future__ import annotations

from survey.hazards import FAMILIES
from survey.layers.columns import (
    BY_FAMILY,
    CELL_CLASSES,
    COVERAGE_STATUSES,
    DISTRICT_CLASSES,
    EFFECTIVE_GSD,
    RUN_ID,
    SHADOW,
    count,
    maybe,
    number,
    text,
)
from survey.layers.table import Column, Layer

COVERAGE = Layer(
    "coverage",
    "What could be looked at, and what could not and why",
    "MultiPolygon",
    (
        text("status", "analysed, not assessable or not analysed", domain=COVERAGE_STATUSES),
        text("reason", "why it is not analysed or not assessable; empty where analysed"),
        text("families", "families that could be seen there, joined with ';'"),
        number("detectability", "share of those families' objects that could be seen", "0-1", nullable=True),
        text("image", "scene the ground belongs to", nullable=True),
        number("gsd_cm", "ground sampling distance", "cm", nullable=True),
        number("area_ha", "area on the ground", "ha"),
        RUN_ID,
        BY_FAMILY,
        maybe("vegetation", "float", "share of the ground under vegetation; null where not measured", "0-1"),
        SHADOW,
        EFFECTIVE_GSD,
    ),
)

DENSITY_GRID = Layer(
    "density_grid",
    "Density of suspected items by grid cell",
    "Polygon",
    (
        text("cell_id", "column and row of the cell in the job's grid"),
        number("observed_fraction", "share of the cell that was analysed", "0-1"),
        count("n_confirmed", "confirmed items in the cell"),
        count("n_unverified", "unverified items in the cell"),
        number("expected_objects", "confirmed items and probabilities of the unverified, over detectability"),
        number("density_per_ha", "over a support of at least 1 ha around the cell", "1/ha", nullable=True),
        number("density_low", "lower end of the interval", "1/ha", nullable=True),
        number("density_high", "upper end of the interval", "1/ha", nullable=True),
        text("density_class", "class that holds the estimate", domain=CELL_CLASSES),
        text("class_range", "classes the interval touches"),
        text("confirmed_class", "the same from confirmed items alone", domain=CELL_CLASSES),
        count("n_indicators", "indicators in the cell, kept apart from items"),
        number("detectability", "share of items that could have been seen there", "0-1"),
        text("district_code", "district of the cell's centre", nullable=True),
        RUN_ID,
    ),
    key="cell_id",
)

DISTRICTS = Layer(
    "districts",
    "Contamination by district",
    "MultiPolygon",
    (
        text("district_code", "code of the district"),
        text("district_name", "name of the district"),
        number("district_ha", "area of the district", "ha"),
        number("analysed_ha", "ground where a wanted family of items could have been seen", "ha"),
        number("not_assessable_ha", "imaged ground where nothing could have been seen", "ha"),
        number("not_analysed_ha", "ground not looked at", "ha"),
        number("none_detected_ha", "analysed ground with no detection (not: without hazard)", "ha"),
        number("low_ha", "analysed ground of low density", "ha"),
        number("medium_ha", "analysed ground of medium density", "ha"),
        number("high_ha", "analysed ground of high density", "ha"),
        number("very_high_ha", "analysed ground of very high density", "ha"),
        number("hazard_area_ha", "hazard areas inside the district", "ha"),
        count("n_objects", "objects in the district"),
        count("n_areas", "hazard areas that touch the district"),
        number("density_per_ha", "expected items over analysed ground, 1 ha at least", "1/ha", nullable=True),
        text(
            "contamination_class",
            "highest class that holds at least 1 % of the analysed ground; null where none was analysed",
            domain=DISTRICT_CLASSES,
            nullable=True,
        ),
        text("confirmed_class", "the same from confirmed objects alone", domain=DISTRICT_CLASSES, nullable=True),
        text("method_primary", "suggested method that covers most hectares", nullable=True),
        Column("imagery_from", "time", "earliest acquisition", nullable=True),
        Column("imagery_to", "time", "latest acquisition", nullable=True),
        RUN_ID,
        maybe("aliases", "text", "other spellings of the name, joined with ';'"),
        maybe("confirmed_none_detected_ha", "float", "analysed ground without a confirmed item", "ha"),
        maybe("confirmed_low_ha", "float", "analysed ground of low density from confirmed items alone", "ha"),
        maybe("confirmed_medium_ha", "float", "the same, medium density", "ha"),
        maybe("confirmed_high_ha", "float", "the same, high density", "ha"),
        maybe("confirmed_very_high_ha", "float", "the same, very high density", "ha"),
        maybe("cha_proposed_ha", "float", "hazard areas proposed as confirmed", "ha"),
        maybe("sha_proposed_ha", "float", "hazard areas proposed as suspected", "ha"),
        maybe("indication_ha", "float", "hazard areas that are indications only", "ha"),
        maybe("n_confirmed", "int", "objects in the district that a person confirmed"),
        maybe("mean_detectability", "float", "share of items that could have been seen, by analysed ground", "0-1"),
        maybe("effort_days_min", "float", "team-days for its share of the areas, fastest published rate", "d"),
        maybe("effort_days_typical", "float", "team-days, typical rate", "d"),
        maybe("effort_days_max", "float", "team-days, slowest published rate", "d"),
        maybe("repairs", "text", "what was mended in the boundary"),
    ),
    key="district_code",
)

DISTRICT_COVERAGE = Layer(
    "district_coverage",
    "Coverage by district and family of hazard",
    None,
    (
        text("district_code", "district"),
        text("family", "family of hazard", domain=FAMILIES),
        number("analysed_ha", "ground where the family could have been seen", "ha"),
        number("not_assessable_ha", "imaged ground where it could not", "ha"),
        maybe("detectability", "float", "share of its objects that could have been seen on the analysed", "0-1"),
    ),
)

DISTRICT_OBJECTS = Layer(
    "district_objects",
    "Objects by district and family of hazard",
    None,
    (
        text("district_code", "district"),
        text("family", "family of hazard", domain=FAMILIES),
        count("n_confirmed", "confirmed by a person"),
        count("n_unverified", "not confirmed"),
        count("n_rejected", "rejected by a person; kept on record, counted nowhere else"),
        number("expected_objects", "confirmed objects and probabilities of the others, over detectability"),
        RUN_ID,
    ),
)

DISTRICT_METHODS = Layer(
    "district_methods",
    "Hectares and effort by district and suggested method",
    None,
    (
        text("district_code", "district"),
        text("method", "suggested method"),
        number("primary_ha", "hazard areas of which it is the primary method", "ha"),
        number("area_ha", "hazard areas in whose sequence it stands", "ha"),
        count("n_areas", "hazard areas in whose sequence it stands"),
        number("effort_days_min", "team-days, fastest published rate", "d"),
        number("effort_days_typical", "team-days, typical rate", "d"),
        number("effort_days_max", "team-days, slowest published rate", "d"),
        RUN_ID,
    ),
)

CALENDAR = Layer(
    "calendar",
    "How long the resources at hand would take",
    None,
    (
        text("resource", "kind of team or machine"),
        count("teams", "how many there are"),
        number("days_min", "working days at the fastest published rate; null with none at hand", "d", nullable=True),
        number("days_typical", "working days at the typical rate; null with none at hand", "d", nullable=True),
        number("days_max", "working days at the slowest published rate; null with none at hand", "d", nullable=True),
        Column("bottleneck", "bool", "true for the resource that takes longest at the typical rate"),
        text("note", "what the figure leaves out", nullable=True),
        RUN_ID,
    ),
)
