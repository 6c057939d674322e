"""The object memory."""

from __future__ import annotations

from survey.layers.columns import number, text
from survey.layers.table import Column, Layer

EXAMPLE_EVENTS = ("add", "edit", "reject")

EXAMPLES = Layer(
    "examples",
    "What people said of objects, append-only; the last row of an example holds",
    "Polygon",
    (
        text("example_id", "digest of image and place: the same object in the same image is one example"),
        text("event", "add, edit (another class or outline) or reject (it is no hazard)", domain=EXAMPLE_EVENTS),
        text("class_code", "class according to who said so"),
        text("site", "site that is held out together; empty: a block of ground", nullable=True),
        text("image", "name of the image it was seen in"),
        text("image_digest", "SHA-256 of the image"),
        number("gsd_cm", "ground sampling distance of the image", "cm"),
        number("length_m", "longer side of the outline, or the class's plan size for a point", "m"),
        number("width_m", "shorter side", "m"),
        number("occlusion", "covered share of the object", "0-1", nullable=True),
        Column("is_point", "bool", "labelled as a point: the outline is a disc of the class's plan size"),
        Column("acquired_at", "time", "when the image was taken", nullable=True),
        text("object_id", "object of a survey it was, where it was one", nullable=True),
        text("reviewer_role", "role of who said so", nullable=True),
        Column("reviewed_at", "time", "when it was said"),
        text("reason", "why", nullable=True),
        text("source", "file it came from"),
        Column("learned_at", "time", "when it entered the memory"),
    ),
)
"""Geometry: the outline in EPSG:4326."""

_UNUSABLE = ("no_outline", "outside", "nodata", "unknown_class", "too_coarse")
LABEL_PROBLEMS = (*_UNUSABLE, "duplicate", "contradicts", "size", "offset", "loose", "nothing_there")

AUDIT = Layer(
    "audit",
    "Labels that were not taken as they are, and why",
    "Polygon",
    (
        Column("row", "int", "row of the label in its file, from 0"),
        text("class_code", "class the label names"),
        text("problem", "what is wrong with it", domain=LABEL_PROBLEMS),
        text("action", "refused, fixed, accepted or merged", domain=("refused", "fixed", "accepted", "merged")),
        text("explanation", "in a sentence"),
        text("image", "image it was looked for in", nullable=True),
    ),
)
"""Geometry: the outline as it was given, in EPSG:4326."""
