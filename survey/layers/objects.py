"""Suspected objects, and what people said of them."""

from __future__ import annotations

from survey.hazards import FAMILIES
from survey.layers.columns import DISTRICT, EVIDENCE_CLASSES, RUN_ID, VERIFICATIONS, number, text
from survey.layers.table import Column, Layer

HAZARD_OBJECTS = Layer(
    "hazard_objects",
    "Suspected hazard objects",
    "MultiPolygon",
    (
        text("object_id", "digest of scene, scene pixel and class: the same in every run"),
        text("class_code", "most probable class"),
        text("family", "family of hazard", domain=FAMILIES),
        number("probability", "calibrated probability that it is a hazard object", "0-1"),
        text("evidence_class", "indication until a person verifies it", domain=EVIDENCE_CLASSES),
        text("verification", "verdict of a person", domain=VERIFICATIONS),
        number("lon", "longitude of the centroid, WGS 84", "deg"),
        number("lat", "latitude of the centroid, WGS 84", "deg"),
        number("length_m", "longer side of the outline", "m"),
        number("width_m", "shorter side of the outline", "m"),
        number("area_m2", "area of the outline", "m2"),
        number("gsd_cm", "ground sampling distance of the image", "cm"),
        number("position_error_m", "standard error of the position", "m"),
        text("image", "scene the object was seen in"),
        Column("acquired_at", "time", "when the image was taken", nullable=True),
        *DISTRICT,
        text("area_id", "hazard area the object belongs to; null where it was rejected", nullable=True),
        text("model_version", "model that saw it"),
        RUN_ID,
        text("notes", "free text", nullable=True),
        text("reviewer_role", "role of the reviewer", nullable=True),
        Column("reviewed_at", "time", "when it was reviewed", nullable=True),
    ),
    key="object_id",
)

CANDIDATES = Layer(
    "candidates",
    "Objects below the threshold, kept for evaluation and review",
    "MultiPolygon",
    HAZARD_OBJECTS.columns,
    key="object_id",
)

REVIEWS = Layer(
    "reviews",
    "Verdicts of people, append-only",
    None,
    (
        text("object_id", "object the verdict is about"),
        text("verification", "verdict", domain=VERIFICATIONS),
        text("class_code", "class according to the reviewer"),
        text("reviewer_role", "role of the reviewer", nullable=True),
        Column("reviewed_at", "time", "when"),
        text("reason", "why", nullable=True),
        text("source", "file the verdict came from"),
    ),
)

REVIEW_OUTLINES = Layer(
    "review_outlines",
    "Outlines drawn or moved by reviewers, append-only",
    "MultiPolygon",
    (
        text("object_id", "object the outline is of"),
        text("class_code", "class according to the reviewer"),
        Column("reviewed_at", "time", "when"),
        text("source", "file the outline came from"),
    ),
)
"""Goes with the row of ``reviews`` of the same object and time."""
