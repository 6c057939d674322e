"""What is known to be there, to measure a survey against or to learn from."""

from __future__ import annotations

from survey.layers.columns import text
from survey.layers.table import Column, Layer

LABELS = Layer(
    "labels",
    "Objects known to be there",
    "Polygon",
    (
        text("class_code", "class of the object"),
        Column("occlusion", "float", "covered share of the object", "0-1", None, True),
        text("site", "site that is held out together", nullable=True),
    ),
)

REVIEWED = Layer(
    "reviewed",
    "Ground inside which everything is labelled",
    "Polygon",
    (text("site", "site that is held out together", nullable=True),),
)
