"""Every table the product reads or writes, declared once: columns, types, units, domains, geometry.

A table leaves a stage through :func:`conform`; nothing else casts, orders or checks columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import geopandas as gpd
import pandas as pd

from survey.errors import LayerError
from survey.hazards import FAMILIES

Kind = Literal["text", "float", "int", "bool", "time"]
_DTYPES: dict[Kind, Any] = {
    "text": "str",
    "float": "float64",
    "int": "Int64",
    "bool": "boolean",
    "time": "datetime64[ms, UTC]",
}

EVIDENCE_CLASSES = ("indication", "indirect", "direct")
VERIFICATIONS = ("unverified", "confirmed", "rejected", "uncertain")
LAND_CLASSES = ("indication", "sha_proposed", "cha_proposed")
AREA_STATUSES = ("open", "worked_on", "suspended", "closed", "released")
DENSITY_CLASSES = ("low", "medium", "high", "very_high")
CELL_CLASSES = ("none_detected", *DENSITY_CLASSES, "not_assessable")
DISTRICT_CLASSES = ("none_detected", *DENSITY_CLASSES)
COVERAGE_STATUSES = ("analysed", "not_assessable", "not_analysed")
PATTERNS = ("row", "cluster", "scatter", "single", "unknown")


@dataclass(frozen=True)
class Column:
    """One column: its name, kind, meaning, unit, closed domain, and whether null is allowed."""

    name: str
    kind: Kind
    description: str
    unit: str | None = None
    domain: tuple[str, ...] | None = None
    nullable: bool = False


@dataclass(frozen=True)
class Layer:
    """A declared table. ``geometry`` is an OGC type name, or None for a plain table."""

    name: str
    title: str
    geometry: str | None
    columns: tuple[Column, ...]
    key: str | None = None

    @property
    def names(self) -> list[str]:
        """Column names in order, without the geometry."""
        return [column.name for column in self.columns]

    def empty(self, crs: Any = None) -> pd.DataFrame:
        """Return the layer with no rows and all its types."""
        return conform(pd.DataFrame(), self, crs=crs)


def conform(table: pd.DataFrame, layer: Layer, *, crs: Any = None) -> pd.DataFrame:
    """Return ``table`` with exactly the columns, order and types of ``layer``.

    Columns that are absent and nullable are added as nulls; columns the layer does not know are dropped.

    Parameters
    ----------
    table : DataFrame or GeoDataFrame
        Any index; it is kept.
    layer : Layer
    crs : optional
        CRS the geometry must have; where the table has none (an empty table), the CRS it gets.

    Returns
    -------
    GeoDataFrame where the layer has a geometry, else DataFrame.

    Raises
    ------
    LayerError
        A column that may not be null is absent or holds nulls, a value is outside its domain, the
        key repeats, or the CRS differs.
    """
    columns: dict[str, pd.Series] = {}
    for column in layer.columns:
        columns[column.name] = _cast(table, column, layer)
    frame = pd.DataFrame(columns, index=table.index)
    if layer.key is not None and frame[layer.key].duplicated().any():
        twice = frame.loc[frame[layer.key].duplicated(), layer.key].iloc[0]
        raise LayerError(f"Layer {layer.name!r}: {layer.key} {twice!r} stands there twice; a key names one row.")
    if layer.geometry is None:
        return frame
    return _with_geometry(frame, table, layer, crs)


def _cast(table: pd.DataFrame, column: Column, layer: Layer) -> pd.Series:
    where = f"Layer {layer.name!r}, column {column.name!r}"
    dtype = _DTYPES[column.kind]
    if column.name not in table.columns:
        if not column.nullable and len(table):
            raise LayerError(f"{where} is missing; {column.description}.")
        return pd.Series([None] * len(table), index=table.index).astype(dtype)
    values = table[column.name]
    try:
        moments = pd.to_datetime(values, utc=True) if column.kind == "time" else values
        values = moments.astype(dtype)
    except (TypeError, ValueError) as error:
        raise LayerError(f"{where} must hold {column.kind}: {error}.") from error
    if not column.nullable and values.isna().any():
        raise LayerError(f"{where} holds a null in row {values.index[values.isna()][0]!r}; {column.description}.")
    if column.domain is not None:
        strange = values.dropna()
        strange = strange[~strange.isin(column.domain)]
        if len(strange):
            raise LayerError(f"{where} holds {strange.iloc[0]!r}; it may be one of {', '.join(column.domain)}.")
    return values


def _with_geometry(frame: pd.DataFrame, table: pd.DataFrame, layer: Layer, crs: Any) -> gpd.GeoDataFrame:
    if "geometry" in table.columns:
        geometry = gpd.GeoSeries(table["geometry"], index=table.index)
        if isinstance(table, gpd.GeoDataFrame) and geometry.crs is None and table.crs is not None:
            geometry = geometry.set_crs(table.crs)
    elif len(table):
        raise LayerError(f"Layer {layer.name!r} needs a geometry ({layer.geometry}).")
    else:
        geometry = gpd.GeoSeries([], index=table.index, crs=crs)
    if crs is not None:
        if geometry.crs is None:
            geometry = geometry.set_crs(crs)
        elif geometry.crs != crs:
            raise LayerError(f"Layer {layer.name!r} is in {geometry.crs}, where {crs} is expected; reproject it first.")
    return gpd.GeoDataFrame(frame, geometry=geometry, crs=geometry.crs)


def _text(name: str, description: str, *, domain: Iterable[str] | None = None, nullable: bool = False) -> Column:
    return Column(name, "text", description, None, tuple(domain) if domain else None, nullable)


def _number(name: str, description: str, unit: str | None = None, *, nullable: bool = False) -> Column:
    return Column(name, "float", description, unit, None, nullable)


def _count(name: str, description: str) -> Column:
    return Column(name, "int", description)


def _maybe(name: str, kind: Kind, description: str, unit: str | None = None) -> Column:
    return Column(name, kind, description, unit, None, nullable=True)


_DISTRICT = (
    _text("district_code", "code of the district; null outside every district", nullable=True),
    _text("district_name", "name of the district; null outside every district", nullable=True),
)
_BY_FAMILY = _maybe("detectability_by_family", "text", "share of each family's objects that could be seen, 'AT 0.820'")
_SHADOW = _maybe("shadow", "float", "share of the ground in deep shadow; null where not measured", "0-1")
_EFFECTIVE_GSD = _maybe("effective_gsd_cm", "float", "ground sampling distance that the blur leaves", "cm")
_RUN_ID = _text("run_id", "digest of settings, imagery and model")

# --- the narrow waist: what one tile hands over -------------------------------------------------

SIGHTINGS = Layer(
    "sightings",
    "What the classifier saw in one scene, before scenes are joined",
    "Polygon",
    (
        _text("image", "name of the scene"),
        Column("row", "int", "row of the representative point, scene pixels at full resolution", "px"),
        Column("col", "int", "column of the representative point, scene pixels at full resolution", "px"),
        _text("class_code", "most probable class"),
        _text("family", "family of that class", domain=FAMILIES),
        _number("probability", "calibrated probability that it is a hazard object", "0-1"),
        _number("length_m", "longer side of the outline", "m"),
        _number("width_m", "shorter side of the outline", "m"),
        _number("area_m2", "area of the outline", "m2"),
    ),
)
"""Geometry: the outline in the CRS of the scene."""

COVERAGE_PIECES = Layer(
    "coverage_pieces",
    "Ground of one scene by what could be done with it",
    "MultiPolygon",
    (
        _text("image", "name of the scene"),
        _text("status", "analysed, not assessable or not analysed", domain=COVERAGE_STATUSES),
        _text("reason", "why it is not analysed or not assessable; empty where analysed"),
        _text("families", "families that could be seen there, joined with ';'"),
        _number("detectability", "fraction of those families' objects that could be seen", "0-1"),
        _number("gsd_cm", "ground sampling distance", "cm"),
        Column("acquired_at", "time", "when the image was taken", nullable=True),
        _number("vegetation", "share of the ground under vegetation; null where not measured", "0-1", nullable=True),
        _BY_FAMILY,
        _SHADOW,
        _EFFECTIVE_GSD,
    ),
)
"""Geometry: cells of the scene's coverage grid, in the CRS of the scene."""

# --- survey.gpkg --------------------------------------------------------------------------------

HAZARD_OBJECTS = Layer(
    "hazard_objects",
    "Suspected hazard objects",
    "MultiPolygon",
    (
        _text("object_id", "digest of scene, scene pixel and class: the same in every run"),
        _text("class_code", "most probable class"),
        _text("family", "family of hazard", domain=FAMILIES),
        _number("probability", "calibrated probability that it is a hazard object", "0-1"),
        _text("evidence_class", "indication until a person verifies it", domain=EVIDENCE_CLASSES),
        _text("verification", "verdict of a person", domain=VERIFICATIONS),
        _number("lon", "longitude of the centroid, WGS 84", "deg"),
        _number("lat", "latitude of the centroid, WGS 84", "deg"),
        _number("length_m", "longer side of the outline", "m"),
        _number("width_m", "shorter side of the outline", "m"),
        _number("area_m2", "area of the outline", "m2"),
        _number("gsd_cm", "ground sampling distance of the image", "cm"),
        _number("position_error_m", "standard error of the position", "m"),
        _text("image", "scene the object was seen in"),
        Column("acquired_at", "time", "when the image was taken", nullable=True),
        *_DISTRICT,
        _text("area_id", "hazard area the object belongs to; null where it was rejected", nullable=True),
        _text("model_version", "model that saw it"),
        _RUN_ID,
        _text("notes", "free text", nullable=True),
        _text("reviewer_role", "role of the reviewer", nullable=True),
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

HAZARD_AREAS = Layer(
    "hazard_areas",
    "Suspected hazard areas (proposals to the authority)",
    "MultiPolygon",
    (
        _text("area_id", "digest of the objects it holds"),
        _text("land_class", "what the evidence supports; the authority decides", domain=LAND_CLASSES),
        _text("status", "state of work, only ever from a record", domain=AREA_STATUSES),
        Column("provisional", "bool", "true while it rests on unverified objects"),
        _number("area_m2", "area on the ground", "m2"),
        _number("area_ha", "area on the ground", "ha"),
        _count("n_objects", "objects inside"),
        _count("n_confirmed", "objects inside that a person confirmed"),
        _number("density_per_ha", "expected items over max(area, 1 ha)", "1/ha"),
        _number("density_low", "lower end of the interval", "1/ha"),
        _number("density_high", "upper end of the interval", "1/ha"),
        _text("density_class", "class that holds the estimate", domain=DENSITY_CLASSES),
        _text("class_range", "classes the interval touches"),
        _text("method_primary", "suggested method, for the planner's review"),
        _text("method_sequence", "suggested methods in order, joined with ' > '"),
        _text("method_reasons", "why, in plain sentences"),
        _text("rules_version", "digest of the rule table"),
        _number("effort_days_min", "team-days, fastest published rate", "d"),
        _number("effort_days_typical", "team-days, typical rate", "d"),
        _number("effort_days_max", "team-days, slowest published rate", "d"),
        _text("families", "families found inside, joined with ';'"),
        _text("pattern", "arrangement of the objects", domain=PATTERNS),
        _number("fadeout_m", "distance added around the evidence", "m"),
        *_DISTRICT,
        _RUN_ID,
        _maybe("fadeout_rule", "text", "family and pattern the distance was taken for, and its source"),
        _maybe("delineation", "text", "how the outline was drawn: point and radius, hull, or rows"),
        _maybe("land_class_reason", "text", "why this land class"),
        _maybe("evidence_of_contamination", "text", "Direct, Indirect or None"),
        _maybe("direct_evidence", "text", "types of direct evidence, joined with ';'"),
        _maybe("indirect_evidence", "text", "types of indirect evidence, joined with ';'"),
        _maybe("n_unverified", "int", "objects inside that no person has confirmed"),
        _maybe("n_items", "int", "objects inside that density counts: items and unknown objects"),
        _maybe("n_indicators", "int", "indicators inside"),
        _maybe("n_records", "int", "pieces of evidence inside that did not come from imagery"),
        _maybe("by_family", "text", "objects by family, such as 'AT 12; AP_blast 3'"),
        _maybe("n_rows", "int", "mine rows recognised"),
        _maybe("row_bearing_deg", "float", "bearing of the rows from true north, 0 to 180", "deg"),
        _maybe("row_spacing_m", "float", "median distance of neighbours in a row", "m"),
        _maybe("row_confidence", "float", "1 minus the number of such rows expected by chance", "0-1"),
        _maybe("perimeter_m", "float", "length of the outline", "m"),
        _maybe("observed_fraction", "float", "share of the area that was analysed", "0-1"),
        _maybe("detectability", "float", "share of items that could have been seen in the analysed part", "0-1"),
        _maybe("nearest_item_m", "float", "distance to the nearest item of another area", "m"),
        _maybe("slope_p50_deg", "float", "median slope; null where no elevation is known", "deg"),
        _maybe("slope_p90_deg", "float", "90th percentile of the slope", "deg"),
        _maybe("vegetation_p50", "float", "median share of the ground under vegetation", "0-1"),
        _maybe("vegetation_p90", "float", "90th percentile of the share under vegetation", "0-1"),
        _maybe("land_cover", "text", "kinds of ground that limit methods, joined with ';'"),
        _maybe("machines", "text", "machines rated for the hazard and the slope, joined with ';'"),
        _maybe("rules_fired", "text", "rules that fired, in order, joined with ';'"),
        _maybe("benchmark_lon", "float", "proposed benchmark, to be fixed in the field", "deg"),
        _maybe("benchmark_lat", "float", "proposed benchmark, to be fixed in the field", "deg"),
        _maybe("polygon_check", "text", "'passed', or the checks on the outline that failed"),
        _maybe("residual_note", "text", "what the area does not say"),
        _maybe("ledger_records", "text", "records of the clearance ledger that touch it, joined with ';'"),
    ),
    key="area_id",
)

TURNING_POINTS = Layer(
    "turning_points",
    "Turning points of the hazard areas",
    "Point",
    (
        _text("area_id", "hazard area"),
        Column("part", "int", "part of the area, from 1"),
        Column("ring", "int", "0 the outline, from 1 its holes"),
        Column("number", "int", "number of the point on its ring, from 1, clockwise"),
        _text("point_type", "start, turning or intermediate", domain=("start", "turning", "intermediate")),
        _number("lon", "longitude, WGS 84", "deg"),
        _number("lat", "latitude, WGS 84", "deg"),
        _number("bearing_deg", "true bearing to the next point", "deg"),
        _number("distance_m", "distance to the next point", "m"),
        _number("benchmark_bearing_deg", "true bearing from the proposed benchmark", "deg", nullable=True),
        _number("benchmark_distance_m", "distance from the proposed benchmark", "m", nullable=True),
        _RUN_ID,
    ),
)

MINE_ROWS = Layer(
    "mine_rows",
    "Mine rows recognised",
    "LineString",
    (
        _text("area_id", "hazard area the row lies in"),
        _text("family", "family of the mines", domain=FAMILIES),
        _count("n_mines", "mines in the row"),
        _number("bearing_deg", "bearing from true north, 0 to 180", "deg"),
        _number("length_m", "from the first mine to the last", "m"),
        _number("spacing_m", "median distance of neighbours", "m"),
        _number("spread_m", "standard deviation across the row", "m"),
        _number("confidence", "1 minus the number of such rows expected by chance", "0-1"),
        _RUN_ID,
    ),
)

EVIDENCE = Layer(
    "evidence",
    "Evidence that did not come from the imagery",
    "MultiPolygon",
    (
        _text("evidence_id", "identity given, or a digest of place and type"),
        _text("evidence_type", "type of evidence, as in the evidence table"),
        _text("evidence_class", "direct or indirect", domain=("indirect", "direct")),
        _text("reliability", "reliability of the source"),
        _number("weight", "what it counts: weight of its type times reliability"),
        _text("family", "family of hazard it speaks of", domain=FAMILIES, nullable=True),
        _number("accuracy_m", "accuracy of the position", "m"),
        _number("fadeout_m", "distance an area reaches beyond it", "m"),
        Column("reported_at", "time", "when it was reported", nullable=True),
        _text("source", "where it comes from", nullable=True),
        _text("area_id", "hazard area it belongs to", nullable=True),
        _text("run_id", "digest of settings, imagery and model", nullable=True),
    ),
    key="evidence_id",
)
"""Geometry: the ground it speaks of; of a point, as wide as its accuracy."""

AREA_EVIDENCE = Layer(
    "area_evidence",
    "What each hazard area rests on",
    None,
    (
        _text("area_id", "hazard area"),
        _text("origin", "imagery or record", domain=("imagery", "record")),
        _text("evidence_type", "type of evidence"),
        _text("evidence_class", "what it is evidence of", domain=EVIDENCE_CLASSES),
        _text("reliability", "reliability of the source; of imagery, whether a person confirmed it"),
        _count("n", "pieces of evidence"),
        _number("weight", "what they count together"),
        _text("evidence_ids", "records, joined with ';'", nullable=True),
        _text("sources", "where records come from, joined with ';'", nullable=True),
        _RUN_ID,
    ),
)

DENSITY_GRID = Layer(
    "density_grid",
    "Density of suspected items by grid cell",
    "Polygon",
    (
        _text("cell_id", "column and row of the cell in the job's grid"),
        _number("observed_fraction", "share of the cell that was analysed", "0-1"),
        _count("n_confirmed", "confirmed items in the cell"),
        _count("n_unverified", "unverified items in the cell"),
        _number("expected_objects", "confirmed items and probabilities of the unverified, over detectability"),
        _number("density_per_ha", "over a support of at least 1 ha around the cell", "1/ha", nullable=True),
        _number("density_low", "lower end of the interval", "1/ha", nullable=True),
        _number("density_high", "upper end of the interval", "1/ha", nullable=True),
        _text("density_class", "class that holds the estimate", domain=CELL_CLASSES),
        _text("class_range", "classes the interval touches"),
        _text("confirmed_class", "the same from confirmed items alone", domain=CELL_CLASSES),
        _count("n_indicators", "indicators in the cell, kept apart from items"),
        _number("detectability", "share of items that could have been seen there", "0-1"),
        _text("district_code", "district of the cell's centre", nullable=True),
        _RUN_ID,
    ),
    key="cell_id",
)

DISTRICTS = Layer(
    "districts",
    "Contamination by district",
    "MultiPolygon",
    (
        _text("district_code", "code of the district"),
        _text("district_name", "name of the district"),
        _number("district_ha", "area of the district", "ha"),
        _number("analysed_ha", "ground where a wanted family of items could have been seen", "ha"),
        _number("not_assessable_ha", "imaged ground where nothing could have been seen", "ha"),
        _number("not_analysed_ha", "ground not looked at", "ha"),
        _number("none_detected_ha", "analysed ground with no detection (not: without hazard)", "ha"),
        _number("low_ha", "analysed ground of low density", "ha"),
        _number("medium_ha", "analysed ground of medium density", "ha"),
        _number("high_ha", "analysed ground of high density", "ha"),
        _number("very_high_ha", "analysed ground of very high density", "ha"),
        _number("hazard_area_ha", "hazard areas inside the district", "ha"),
        _count("n_objects", "objects in the district"),
        _count("n_areas", "hazard areas that touch the district"),
        _number("density_per_ha", "expected items over analysed ground", "1/ha", nullable=True),
        _text(
            "contamination_class",
            "highest class that holds at least 1 % of the analysed ground; null where none was analysed",
            domain=DISTRICT_CLASSES,
            nullable=True,
        ),
        _text("confirmed_class", "the same from confirmed objects alone", domain=DISTRICT_CLASSES, nullable=True),
        _text("method_primary", "suggested method that covers most hectares", nullable=True),
        Column("imagery_from", "time", "earliest acquisition", nullable=True),
        Column("imagery_to", "time", "latest acquisition", nullable=True),
        _RUN_ID,
        _maybe("aliases", "text", "other spellings of the name, joined with ';'"),
        _maybe("confirmed_none_detected_ha", "float", "analysed ground without a confirmed item", "ha"),
        _maybe("confirmed_low_ha", "float", "analysed ground of low density from confirmed items alone", "ha"),
        _maybe("confirmed_medium_ha", "float", "the same, medium density", "ha"),
        _maybe("confirmed_high_ha", "float", "the same, high density", "ha"),
        _maybe("confirmed_very_high_ha", "float", "the same, very high density", "ha"),
        _maybe("cha_proposed_ha", "float", "hazard areas proposed as confirmed", "ha"),
        _maybe("sha_proposed_ha", "float", "hazard areas proposed as suspected", "ha"),
        _maybe("indication_ha", "float", "hazard areas that are indications only", "ha"),
        _maybe("n_confirmed", "int", "objects in the district that a person confirmed"),
        _maybe("mean_detectability", "float", "share of items that could have been seen, by analysed ground", "0-1"),
        _maybe("effort_days_min", "float", "team-days for its share of the areas, fastest published rate", "d"),
        _maybe("effort_days_typical", "float", "team-days, typical rate", "d"),
        _maybe("effort_days_max", "float", "team-days, slowest published rate", "d"),
        _maybe("repairs", "text", "what was mended in the boundary"),
    ),
    key="district_code",
)

COVERAGE = Layer(
    "coverage",
    "What could be looked at, and what could not and why",
    "MultiPolygon",
    (
        _text("status", "analysed, not assessable or not analysed", domain=COVERAGE_STATUSES),
        _text("reason", "why it is not analysed or not assessable; empty where analysed"),
        _text("families", "families that could be seen there, joined with ';'"),
        _number("detectability", "share of those families' objects that could be seen", "0-1", nullable=True),
        _text("image", "scene the ground belongs to", nullable=True),
        _number("gsd_cm", "ground sampling distance", "cm", nullable=True),
        _number("area_ha", "area on the ground", "ha"),
        _RUN_ID,
        _BY_FAMILY,
        _maybe("vegetation", "float", "share of the ground under vegetation; null where not measured", "0-1"),
        _SHADOW,
        _EFFECTIVE_GSD,
    ),
)

AREA_DISTRICTS = Layer(
    "area_districts",
    "Hazard areas shared out by district",
    None,
    (
        _text("area_id", "hazard area"),
        _text("district_code", "district"),
        _number("area_m2", "part of the area inside the district", "m2"),
    ),
)

DISTRICT_COVERAGE = Layer(
    "district_coverage",
    "Coverage by district and family of hazard",
    None,
    (
        _text("district_code", "district"),
        _text("family", "family of hazard", domain=FAMILIES),
        _number("analysed_ha", "ground where the family could have been seen", "ha"),
        _number("not_assessable_ha", "imaged ground where it could not", "ha"),
        _maybe("detectability", "float", "share of its objects that could have been seen on the analysed", "0-1"),
    ),
)

DISTRICT_OBJECTS = Layer(
    "district_objects",
    "Objects by district and family of hazard",
    None,
    (
        _text("district_code", "district"),
        _text("family", "family of hazard", domain=FAMILIES),
        _count("n_confirmed", "confirmed by a person"),
        _count("n_unverified", "not confirmed"),
        _count("n_rejected", "rejected by a person; kept on record, counted nowhere else"),
        _number("expected_objects", "confirmed objects and probabilities of the others, over detectability"),
        _RUN_ID,
    ),
)

DISTRICT_METHODS = Layer(
    "district_methods",
    "Hectares and effort by district and suggested method",
    None,
    (
        _text("district_code", "district"),
        _text("method", "suggested method"),
        _number("primary_ha", "hazard areas of which it is the primary method", "ha"),
        _number("area_ha", "hazard areas in whose sequence it stands", "ha"),
        _count("n_areas", "hazard areas in whose sequence it stands"),
        _number("effort_days_min", "team-days, fastest published rate", "d"),
        _number("effort_days_typical", "team-days, typical rate", "d"),
        _number("effort_days_max", "team-days, slowest published rate", "d"),
        _RUN_ID,
    ),
)

CALENDAR = Layer(
    "calendar",
    "How long the resources at hand would take",
    None,
    (
        _text("resource", "kind of team or machine"),
        _count("teams", "how many there are"),
        _number("days_min", "working days at the fastest published rate; null with none at hand", "d", nullable=True),
        _number("days_typical", "working days at the typical rate; null with none at hand", "d", nullable=True),
        _number("days_max", "working days at the slowest published rate; null with none at hand", "d", nullable=True),
        Column("bottleneck", "bool", "true for the resource that takes longest at the typical rate"),
        _text("note", "what the figure leaves out", nullable=True),
        _RUN_ID,
    ),
)

REVIEWS = Layer(
    "reviews",
    "Verdicts of people, append-only",
    None,
    (
        _text("object_id", "object the verdict is about"),
        _text("verification", "verdict", domain=VERIFICATIONS),
        _text("class_code", "class according to the reviewer"),
        _text("reviewer_role", "role of the reviewer", nullable=True),
        Column("reviewed_at", "time", "when"),
        _text("reason", "why", nullable=True),
        _text("source", "file the verdict came from"),
    ),
)

REVIEW_OUTLINES = Layer(
    "review_outlines",
    "Outlines drawn or moved by reviewers, append-only",
    "MultiPolygon",
    (
        _text("object_id", "object the outline is of"),
        _text("class_code", "class according to the reviewer"),
        Column("reviewed_at", "time", "when"),
        _text("source", "file the outline came from"),
    ),
)
"""Goes with the row of ``reviews`` of the same object and time."""

RUNS = Layer(
    "runs",
    "Provenance",
    None,
    (
        _RUN_ID,
        Column("started_at", "time", "start of the run"),
        Column("finished_at", "time", "end of the run"),
        _text("software_version", "version of this software"),
        _text("model_version", "model used"),
        _text("settings_digest", "digest of the settings"),
        _text("imagery_digest", "digest of the imagery"),
        _count("n_tiles", "tiles in the job"),
        _count("n_failed", "tiles that could not be analysed"),
    ),
    key="run_id",
)

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

# --- truth --------------------------------------------------------------------------------------

LABELS = Layer(
    "labels",
    "Objects known to be there",
    "Polygon",
    (
        _text("class_code", "class of the object"),
        Column("occlusion", "float", "covered share of the object", "0-1", None, True),
        _text("site", "site that is held out together", nullable=True),
    ),
)

REVIEWED = Layer(
    "reviewed",
    "Ground inside which everything is labelled",
    "Polygon",
    (_text("site", "site that is held out together", nullable=True),),
)

# --- clearance ledger ---------------------------------------------------------------------------

ANY_GEOMETRY = "Geometry"
"""Geometry type of a layer whose rows may have any, or none."""

LEDGER = Layer(
    "ledger",
    "Clearance ledger: what was reported and by whom, append-only",
    ANY_GEOMETRY,
    (
        _text("record_id", "identity of the record; made from its content where none is given"),
        _text("kind", "activity, accident, asset, project or withdrawal"),
        _maybe("corrects", "text", "record that this one takes the place of, or withdraws"),
        _maybe("agency", "text", "who did it"),
        _maybe("districts", "text", "where, joined with ';'; of an activity, empty means everywhere"),
        _maybe("basis", "text", "of an activity: period (done between the dates) or cumulative (done up to a date)"),
        _maybe("date_from", "text", "first day, ISO 8601; of a cumulative figure, since when, where that is stated"),
        _maybe("date_to", "text", "last day, ISO 8601; of an asset, when it is or will be at hand"),
        _maybe("activity", "text", "what was done: clearance, battle_area_clearance, technical_survey ..."),
        _maybe("method", "text", "how, in words"),
        _maybe("assets", "text", "with what: kinds of team and machine with their number, joined with ';'"),
        _maybe("area", "text", "how much ground, in the unit beside it"),
        _maybe("unit", "text", "m2, ha or km2"),
        _maybe("area_qualifier", "text", "exact (default), about or at_least"),
        _maybe("items", "text", "items found: a number, or kinds with numbers such as 'AP 12; UXO 71'"),
        _maybe("items_qualifier", "text", "exact (default), about or at_least"),
        _maybe("name", "text", "task, project, lot of assets or accident it speaks of"),
        _maybe("area_ids", "text", "hazard areas of a survey it speaks of as a whole, joined with ';'"),
        _maybe("state", "text", "state of the work, project or asset"),
        _maybe("decision", "text", "the authority's decision on completed ground: handed_over or refused"),
        _maybe("count", "text", "how many assets or projects"),
        _maybe("accident_type", "text", "of an accident: what happened, in words; the items are what exploded"),
        _maybe("civilian_casualties", "text", "of an accident: civilians killed or injured"),
        _maybe("military_casualties", "text", "of an accident: service people killed or injured"),
        _maybe("accuracy_m", "text", "of an accident: accuracy of its place", "m"),
        _text("source", "publication or document the figures come from"),
        _text("source_date", "its date: year, month or day, ISO 8601"),
        _maybe("note", "text", "free text"),
        _maybe("recorded_at", "text", "when it was added to the ledger, UTC; written by the ledger"),
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
        _text("evidence_id", "record of the ledger"),
        _text("evidence_type", "accident with known or unknown location, as in the evidence table"),
        _text("reliability", "reliability of the source"),
        _text("source", "publication and its date"),
        _text("date", "day of the accident, ISO 8601"),
        _text("family", "family of what exploded", domain=FAMILIES, nullable=True),
        _maybe("accuracy_m", "float", "accuracy of the place", "m"),
    ),
    key="evidence_id",
)
"""Geometry: a point, or the ground on which it happened somewhere."""

# --- object memory ------------------------------------------------------------------------------

EXAMPLE_EVENTS = ("add", "edit", "reject")

EXAMPLES = Layer(
    "examples",
    "What people said of objects, append-only; the last row of an example holds",
    "Polygon",
    (
        _text("example_id", "digest of image and place: the same object in the same image is one example"),
        _text("event", "add, edit (another class or outline) or reject (it is no hazard)", domain=EXAMPLE_EVENTS),
        _text("class_code", "class according to who said so"),
        _text("site", "site that is held out together; empty: a block of ground", nullable=True),
        _text("image", "name of the image it was seen in"),
        _text("image_digest", "SHA-256 of the image"),
        _number("gsd_cm", "ground sampling distance of the image", "cm"),
        _number("length_m", "longer side of the outline, or the class's plan size for a point", "m"),
        _number("width_m", "shorter side", "m"),
        _number("occlusion", "covered share of the object", "0-1", nullable=True),
        Column("is_point", "bool", "labelled as a point: the outline is a disc of the class's plan size"),
        Column("acquired_at", "time", "when the image was taken", nullable=True),
        _text("object_id", "object of a survey it was, where it was one", nullable=True),
        _text("reviewer_role", "role of who said so", nullable=True),
        Column("reviewed_at", "time", "when it was said"),
        _text("reason", "why", nullable=True),
        _text("source", "file it came from"),
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
        _text("class_code", "class the label names"),
        _text("problem", "what is wrong with it", domain=LABEL_PROBLEMS),
        _text("action", "refused, fixed, accepted or merged", domain=("refused", "fixed", "accepted", "merged")),
        _text("explanation", "in a sentence"),
        _text("image", "image it was looked for in", nullable=True),
    ),
)
"""Geometry: the outline as it was given, in EPSG:4326."""
