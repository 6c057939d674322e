"""The clearance ledger."""

from __future__ import annotations

from survey.hazards import FAMILIES
from survey.layers.columns import maybe, text
from survey.layers.table import ANY_GEOMETRY, Layer

LEDGER = Layer(
    "ledger",
    "Clearance ledger: what was reported and by whom, append-only",
    ANY_GEOMETRY,
    (
        text("record_id", "identity of the record; made from its content where none is given"),
        text("kind", "activity, accident, asset, project or withdrawal"),
        maybe("corrects", "text", "record that this one takes the place of, or withdraws"),
        maybe("agency", "text", "who did it"),
        maybe("districts", "text", "where, joined with ';'; of an activity, empty means everywhere"),
        maybe("basis", "text", "of an activity: period (done between the dates) or cumulative (done up to a date)"),
        maybe("date_from", "text", "first day, ISO 8601; of a cumulative figure, since when, where that is stated"),
        maybe("date_to", "text", "last day, ISO 8601; of an asset, when it is or will be at hand"),
        maybe("activity", "text", "what was done: clearance, battle_area_clearance, technical_survey ..."),
        maybe("method", "text", "how, in words"),
        maybe("assets", "text", "with what: kinds of team and machine with their number, joined with ';'"),
        maybe("area", "text", "how much ground, in the unit beside it"),
        maybe("unit", "text", "m2, ha or km2"),
        maybe("area_qualifier", "text", "exact (default), about or at_least"),
        maybe("items", "text", "items found: a number, or kinds with numbers such as 'AP 12; UXO 71'"),
        maybe("items_qualifier", "text", "exact (default), about or at_least"),
        maybe("name", "text", "task, project, lot of assets or accident it speaks of"),
        maybe("area_ids", "text", "hazard areas of a survey it speaks of as a whole, joined with ';'"),
        maybe("state", "text", "state of the work, project or asset"),
        maybe("decision", "text", "the authority's decision on completed ground: handed_over or refused"),
        maybe("count", "text", "how many assets or projects"),
        maybe("accident_type", "text", "of an accident: what happened, in words; the items are what exploded"),
        maybe("civilian_casualties", "text", "of an accident: civilians killed or injured"),
        maybe("military_casualties", "text", "of an accident: service people killed or injured"),
        maybe("accuracy_m", "text", "of an accident: accuracy of its place", "m"),
        text("source", "publication or document the figures come from"),
        text("source_date", "its date: year, month or day, ISO 8601"),
        maybe("note", "text", "free text"),
        maybe("recorded_at", "text", "when it was added to the ledger, UTC; written by the ledger"),
    ),
    key="record_id",
)
"""Everything as text, as it was written. Geometry: ground of the work, or place of an accident, EPSG:4326; in a CSV,
column ``geometry`` as WKT."""

ACCIDENTS = Layer(
    "accidents",
    "Accidents as evidence, for the job table [evidence]",
    ANY_GEOMETRY,
    (
        text("evidence_id", "record of the ledger"),
        text("evidence_type", "accident with known or unknown location, as in the evidence table"),
        text("reliability", "reliability of the source"),
        text("source", "publication and its date"),
        text("date", "day of the accident, ISO 8601"),
        text("family", "family of what exploded", domain=FAMILIES, nullable=True),
        maybe("accuracy_m", "float", "accuracy of the place", "m"),
    ),
    key="evidence_id",
)
"""Geometry: a point, or the ground on which it happened somewhere."""
