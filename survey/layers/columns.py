"""Words that columns are limited to, makers of columns, and columns that several layers have."""

from __future__ import annotations

from collections.abc import Iterable

from survey.layers.table import Column, Kind

EVIDENCE_CLASSES = ("indication", "indirect", "direct")
VERIFICATIONS = ("unverified", "confirmed", "rejected", "uncertain")
LAND_CLASSES = ("indication", "sha_proposed", "cha_proposed")
AREA_STATUSES = ("open", "worked_on", "suspended", "closed", "released")
DENSITY_CLASSES = ("low", "medium", "high", "very_high")
CELL_CLASSES = ("none_detected", *DENSITY_CLASSES, "not_assessable")
DISTRICT_CLASSES = ("none_detected", *DENSITY_CLASSES)
COVERAGE_STATUSES = ("analysed", "not_assessable", "not_analysed")
PATTERNS = ("row", "cluster", "scatter", "single", "unknown")


def text(name: str, description: str, *, domain: Iterable[str] | None = None, nullable: bool = False) -> Column:
    """Text, from a closed domain where one is given."""
    return Column(name, "text", description, None, tuple(domain) if domain else None, nullable)


def number(name: str, description: str, unit: str | None = None, *, nullable: bool = False) -> Column:
    """A float, with its unit."""
    return Column(name, "float", description, unit, None, nullable)


def count(name: str, description: str) -> Column:
    """A whole number."""
    return Column(name, "int", description)


def maybe(name: str, kind: Kind, description: str, unit: str | None = None) -> Column:
    """A column that may be null."""
    return Column(name, kind, description, unit, None, nullable=True)


DISTRICT = (
    text("district_code", "code of the district; null outside every district", nullable=True),
    text("district_name", "name of the district; null outside every district", nullable=True),
)

BY_FAMILY = maybe("detectability_by_family", "text", "share of each family's objects that could be seen, 'AT 0.820'")
SHADOW = maybe("shadow", "float", "share of the ground in deep shadow; null where not measured", "0-1")
EFFECTIVE_GSD = maybe("effective_gsd_cm", "float", "ground sampling distance that the blur leaves", "cm")
RUN_ID = text("run_id", "digest of settings, imagery and model")
