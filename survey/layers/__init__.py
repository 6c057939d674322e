"""Every table the product reads or writes, declared once: columns, types, units, domains, geometry.

A table leaves a stage through :func:`conform`; nothing else casts, orders or checks columns.
"""

from __future__ import annotations

from survey.layers.areas import AREA_DISTRICTS, AREA_EVIDENCE, EVIDENCE, HAZARD_AREAS, MINE_ROWS, TURNING_POINTS
from survey.layers.columns import (
    AREA_STATUSES,
    CELL_CLASSES,
    COVERAGE_STATUSES,
    DENSITY_CLASSES,
    DISTRICT_CLASSES,
    EVIDENCE_CLASSES,
    LAND_CLASSES,
    PATTERNS,
    VERIFICATIONS,
)
from survey.layers.districts import (
    CALENDAR,
    COVERAGE,
    DENSITY_GRID,
    DISTRICT_COVERAGE,
    DISTRICT_METHODS,
    DISTRICT_OBJECTS,
    DISTRICTS,
)
from survey.layers.ledger import ACCIDENTS, LEDGER
from survey.layers.memory import AUDIT, EXAMPLE_EVENTS, EXAMPLES, LABEL_PROBLEMS
from survey.layers.objects import CANDIDATES, HAZARD_OBJECTS, REVIEW_OUTLINES, REVIEWS
from survey.layers.runs import RUNS
from survey.layers.table import ANY_GEOMETRY, Column, Kind, Layer, conform
from survey.layers.truth import LABELS, REVIEWED
from survey.layers.waist import COVERAGE_PIECES, SIGHTINGS

OUTPUT_LAYERS = (
    HAZARD_OBJECTS,
    HAZARD_AREAS,
    DENSITY_GRID,
    DISTRICTS,
    COVERAGE,
    CANDIDATES,
    AREA_DISTRICTS,
    DISTRICT_COVERAGE,
    TURNING_POINTS,
    MINE_ROWS,
    EVIDENCE,
    AREA_EVIDENCE,
    DISTRICT_OBJECTS,
    DISTRICT_METHODS,
    CALENDAR,
    REVIEWS,
    REVIEW_OUTLINES,
    RUNS,
)
"""Layers of ``survey.gpkg`` in the order they are written."""

__all__ = [
    "ACCIDENTS",
    "ANY_GEOMETRY",
    "AREA_DISTRICTS",
    "AREA_EVIDENCE",
    "AREA_STATUSES",
    "AUDIT",
    "CALENDAR",
    "CANDIDATES",
    "CELL_CLASSES",
    "COVERAGE",
    "COVERAGE_PIECES",
    "COVERAGE_STATUSES",
    "DENSITY_CLASSES",
    "DENSITY_GRID",
    "DISTRICTS",
    "DISTRICT_CLASSES",
    "DISTRICT_COVERAGE",
    "DISTRICT_METHODS",
    "DISTRICT_OBJECTS",
    "EVIDENCE",
    "EVIDENCE_CLASSES",
    "EXAMPLES",
    "EXAMPLE_EVENTS",
    "HAZARD_AREAS",
    "HAZARD_OBJECTS",
    "LABELS",
    "LABEL_PROBLEMS",
    "LAND_CLASSES",
    "LEDGER",
    "MINE_ROWS",
    "OUTPUT_LAYERS",
    "PATTERNS",
    "REVIEWED",
    "REVIEWS",
    "REVIEW_OUTLINES",
    "RUNS",
    "SIGHTINGS",
    "TURNING_POINTS",
    "VERIFICATIONS",
    "Column",
    "Kind",
    "Layer",
    "conform",
]
