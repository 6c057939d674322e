"""Evidence of contamination: what a verdict makes of an object, and what did not come from imagery."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from survey.contamination.plane import Plane, as_multipolygons, flat_crs, plausible, polygons_only
from survey.errors import JobError, LayerError
from survey.hazards import FAMILIES, ITEM_FAMILIES
from survey.layers import EVIDENCE, conform

Texts = npt.NDArray[np.object_]

_MOST_ACCURACY_M = 100_000.0
"""Position errors above this are no place in a district, metres."""


class Evidence(BaseModel):
    """Settings of other evidence: job table ``[evidence]``.

    Attributes
    ----------
    path, layer : optional
        File of points or polygons that did not come from the imagery, and its layer.
    type_field, id_field, reliability_field, source_field, date_field, family_field, accuracy_field : str
        Columns with the type (as in the table), an identity, the reliability of the source (high, medium, low or
        unknown), the source, the date, the hazard family, and the accuracy of the position in metres. All but
        the type may be absent.
    accuracy_m : float
        Accuracy of a position that states none, metres. No published threshold.
    table : Path, optional
        The national authority's table, in the form of the packaged ``evidence.toml``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = None
    layer: str | None = None
    type_field: str = "evidence_type"
    id_field: str = "evidence_id"
    reliability_field: str = "reliability"
    source_field: str = "source"
    date_field: str = "date"
    family_field: str = "family"
    accuracy_field: str = "accuracy_m"
    accuracy_m: float = Field(default=25.0, gt=0.0, le=5000.0)
    table: Path | None = None


class EvidenceType(BaseModel):
    """What one type of evidence counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    evidence_class: Literal["direct", "indirect"] = Field(alias="class")
    weight: float = Field(ge=0.0)
    fadeout_m: float = Field(ge=0.0, le=2000.0)


class LandClassRule(BaseModel):
    """From which sums of weights an area is proposed as confirmed or suspected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cha_from_direct: float = Field(gt=0.0)
    sha_from_indirect: float = Field(gt=0.0)


class ImageryEvidence(BaseModel):
    """What confirmed objects are evidence of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: str
    indicator: str
    unknown: str
    class_code: dict[str, str] = {}


class EvidenceTable(BaseModel):
    """The table of evidence types: packaged, or the national authority's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Literal[1]
    land_class: LandClassRule
    reliability: dict[str, float]
    type: dict[str, EvidenceType]
    imagery: ImageryEvidence

    def named(self, name: str, where: str) -> EvidenceType:
        """Return a type by name, or refuse with the nearest."""
        if name not in self.type:
            near = difflib.get_close_matches(name, self.type, n=1, cutoff=0.0)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise JobError(f"{where}: there is no evidence type {name!r}.{hint} Add it to the evidence table if new.")
        return self.type[name]


def read_evidence_table(path: Path | None = None) -> EvidenceTable:
    """Return the packaged table, or the one at ``path``.

    Raises
    ------
    JobError
        The file cannot be read, has an unknown key, or names a type it does not declare.
    """
    where = str(path or "evidence.toml")
    try:
        packaged = resources.files("survey.contamination").joinpath("evidence.toml")
        text = packaged.read_text(encoding="utf-8") if path is None else path.read_text(encoding="utf-8")
        table = EvidenceTable.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise JobError(f"The evidence table {where} cannot be read: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise JobError(f"The evidence table {where} is not usable at {place}: {first['msg']}.") from error
    of = table.imagery
    for name in (of.item, of.indicator, of.unknown, *of.class_code.values()):
        table.named(name, where)
    return table


def prepare_evidence(table: gpd.GeoDataFrame, settings: Evidence) -> gpd.GeoDataFrame:
    """Return evidence that did not come from imagery, in the layer ``EVIDENCE``, in its own CRS.

    Points and lines become the ground their accuracy speaks of; polygons stay as they are.

    Raises
    ------
    JobError
        A type, reliability or family that is not known, or the column with the type is missing.
    LayerError
        No CRS.
    """
    if table.crs is None:
        raise LayerError("The evidence has no CRS. Assign the one it was drawn in, for instance EPSG:4326.")
    if settings.type_field not in table.columns:
        raise JobError(
            f"The evidence has no column {settings.type_field!r} ([evidence] type_field). There are: "
            f"{', '.join(str(c) for c in table.columns if c != table.geometry.name)}."
        )
    rules = read_evidence_table(settings.table)
    types = [str(name).strip() for name in table[settings.type_field]]
    known = [rules.named(name, f"Evidence row {row + 1}") for row, name in enumerate(types)]
    reliability = _known(table, settings.reliability_field, tuple(rules.reliability), "unknown")
    family = _known(table, settings.family_field, FAMILIES, None)
    accuracy = pd.to_numeric(_column(table, settings.accuracy_field), errors="coerce").fillna(settings.accuracy_m)
    far = (accuracy > _MOST_ACCURACY_M).to_numpy()
    if far.any():
        row = int(np.argmax(far))
        raise LayerError(
            f"Evidence row {row + 1} is said to be placed within {accuracy.iloc[row]:g} m, which places it nowhere "
            f"(at most {_MOST_ACCURACY_M:g} m). Correct {settings.accuracy_field!r}, or remove the row."
        )
    prepared = gpd.GeoDataFrame(
        {
            "evidence_type": types,
            "evidence_class": [k.evidence_class for k in known],
            "reliability": reliability,
            "weight": [k.weight * rules.reliability[r] for k, r in zip(known, reliability, strict=True)],
            "family": family,
            "accuracy_m": accuracy.clip(lower=0.0).to_numpy(dtype=np.float64),
            "fadeout_m": [k.fadeout_m for k in known],
            "reported_at": pd.to_datetime(_column(table, settings.date_field), errors="coerce", utc=True).to_numpy(),
            "source": _column(table, settings.source_field).astype(object).to_numpy(),
        },
        geometry=_grounds(table, accuracy.to_numpy(dtype=np.float64)),
    )
    given = _column(table, settings.id_field)
    content = prepared.geometry.to_wkb().astype(object)
    prepared["evidence_id"] = [
        str(name) if pd.notna(name) else hashlib.sha256(wkb + kind.encode()).hexdigest()[:16]
        for name, wkb, kind in zip(given, content, types, strict=True)
    ]
    prepared = prepared.sort_values("evidence_id", kind="stable", ignore_index=True)
    return conform(prepared, EVIDENCE)


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    if name in table.columns:
        return table[name].reset_index(drop=True)
    return pd.Series([None] * len(table), dtype=object)


def _known(table: pd.DataFrame, field: str, values: tuple[str, ...], default: str | None) -> list[Any]:
    """Return a column whose values are all known ones, ``default`` where empty."""
    result = []
    for row, value in enumerate(_column(table, field)):
        empty = value is None or (isinstance(value, float) and np.isnan(value)) or str(value).strip() == ""
        text = default if empty else str(value).strip()
        if text is not None and text not in values:
            raise JobError(f"Evidence row {row + 1}: {field} is {text!r}; it may be one of {', '.join(values)}.")
        result.append(text)
    return result


def _grounds(table: gpd.GeoDataFrame, accuracy_m: npt.NDArray[np.float64]) -> gpd.GeoSeries:
    """Return the ground each piece of evidence speaks of, in the CRS of the table."""
    shapes = np.array(table.geometry.values, dtype=object)
    wrong = ~plausible(shapes, flat_crs(table.crs, "pieces of evidence"))
    if wrong.any():
        raise LayerError(f"Evidence row {int(np.argmax(wrong)) + 1} has coordinates that cannot be in its CRS.")
    flat = shapely.get_dimensions(shapes) == 2
    shapes[flat] = polygons_only(shapes[flat])
    # A line whose points are all one is that point; it could not be split or buffered as a line.
    shapes[~flat] = shapely.make_valid(shapes[~flat])
    missing = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    if missing.any():
        raise LayerError(f"Evidence row {int(np.argmax(missing)) + 1} has no geometry. Locate it, or remove the row.")
    plane = Plane.around([gpd.GeoDataFrame(geometry=shapes, crs=table.crs)])
    shapes = plane.project(gpd.GeoSeries(shapes, crs=table.crs), "evidence")
    thin = shapely.get_dimensions(shapes) < 2
    shapes[thin] = shapely.buffer(shapes[thin], np.maximum(accuracy_m[thin], 1.0), quad_segs=4)
    return plane.export(as_multipolygons(polygons_only(shapes)), table.crs, "evidence")


def imagery_types(objects: gpd.GeoDataFrame, table: EvidenceTable) -> tuple[Texts, Texts]:
    """Return the evidence type and class each object would have; an indication until a person confirms it."""
    family = objects["family"].astype(object)
    by_family = np.select(
        [family.isin(ITEM_FAMILIES).to_numpy(), (family == "indicator").to_numpy()],
        [table.imagery.item, table.imagery.indicator],
        default=table.imagery.unknown,
    ).astype(object)
    code = objects["class_code"].astype(object)
    for name, kind in table.imagery.class_code.items():
        by_family[(code == name).to_numpy()] = kind
    classes = pd.Series(by_family).map({n: t.evidence_class for n, t in table.type.items()}).to_numpy(dtype=object)
    confirmed = (objects["verification"] == "confirmed").to_numpy()
    return by_family, np.where(confirmed, classes, "indication").astype(object)


def area_evidence(
    objects: gpd.GeoDataFrame, area_of: npt.NDArray[np.int64], records: pd.DataFrame, table: EvidenceTable
) -> pd.DataFrame:
    """Return what each area rests on: one row for each type and reliability.

    Parameters
    ----------
    objects : GeoDataFrame
        Those that make areas.
    area_of : int array
        Area of each object, then of each record.
    records : DataFrame
        Layer ``EVIDENCE``.
    table : EvidenceTable

    Returns
    -------
    DataFrame
        ``area`` (position), ``origin`` (imagery or record), ``evidence_type``, ``evidence_class``, ``reliability``,
        ``n``, ``weight`` (sum), ``evidence_ids`` (records only), ``sources``.
    """
    kinds, classes = imagery_types(objects, table)
    weights = {name: kind.weight for name, kind in table.type.items()}
    seen = pd.DataFrame(
        {
            "area": area_of[: len(objects)],
            "origin": "imagery",
            "evidence_type": kinds,
            "evidence_class": classes,
            "reliability": np.where(classes == "indication", "unverified", "confirmed by a person"),
            "weight": np.where(classes == "indication", 0.0, pd.Series(kinds).map(weights).astype("float64")),
        }
    )
    keys = ["area", "origin", "evidence_class", "evidence_type", "reliability"]
    counted = seen.groupby(keys, sort=True).agg(n=("weight", "size"), weight=("weight", "sum")).reset_index()
    if len(records) == 0:
        return counted.assign(evidence_ids=None, sources=None)
    told = pd.DataFrame(records.drop(columns="geometry", errors="ignore")).assign(
        area=area_of[len(objects) :], origin="record"
    )
    grouped = told.groupby(keys, sort=True)
    listed = grouped.agg(
        n=("weight", "size"),
        weight=("weight", "sum"),
        evidence_ids=("evidence_id", ";".join),
        sources=("source", lambda s: ";".join(sorted({str(v) for v in s.dropna()})) or None),
    ).reset_index()
    both = pd.concat([counted, listed], ignore_index=True) if len(counted) else listed
    return both.sort_values(keys, kind="stable", ignore_index=True)


def judge(evidence: pd.DataFrame, table: EvidenceTable, count: int) -> pd.DataFrame:
    """Return what the evidence supports in each of ``count`` areas; the authority decides.

    Returns
    -------
    DataFrame
        ``land_class``, ``land_class_reason``, ``provisional``, ``evidence_of_contamination``, ``direct_evidence``,
        ``indirect_evidence``.
    """
    rule = table.land_class
    area = evidence["area"].to_numpy()
    classes = evidence["evidence_class"].to_numpy(dtype=object)
    weight = evidence["weight"].to_numpy(dtype=np.float64)

    def total(wanted: str, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        sums = np.bincount(area, weights=np.where(classes == wanted, values, 0.0), minlength=count)
        return np.asarray(sums, dtype=np.float64)

    direct, indirect = total("direct", weight), total("indirect", weight)
    unverified = total("indication", evidence["n"].to_numpy(dtype=np.float64))
    confirmed, suspected = direct >= rule.cha_from_direct, indirect >= rule.sha_from_indirect
    reasons = [
        f"Direct evidence weighs {rule.cha_from_direct:g} or more.",
        f"Indirect evidence weighs {rule.sha_from_indirect:g} or more, direct evidence less than "
        f"{rule.cha_from_direct:g}.",
        "Nothing but evidence that is not verified, or weighs too little.",
    ]
    number = np.select([confirmed, suspected], [0, 1], default=2)
    return pd.DataFrame(
        {
            "land_class": np.array(["cha_proposed", "sha_proposed", "indication"], dtype=object)[number],
            "land_class_reason": np.array(reasons, dtype=object)[number],
            "provisional": unverified > 0,
            "evidence_of_contamination": np.select(
                [direct > 0, indirect > 0], ["Direct", "Indirect"], default="None"
            ).astype(object),
            "direct_evidence": _listed(evidence[classes == "direct"], count),
            "indirect_evidence": _listed(evidence[classes == "indirect"], count),
        }
    )


def _listed(evidence: pd.DataFrame, count: int) -> Texts:
    """Return the types of evidence of each area, joined with ``;``, empty where none."""
    result = np.full(count, "", dtype=object)
    kinds = evidence.drop_duplicates(["area", "evidence_type"]).sort_values(["area", "evidence_type"])
    joined = kinds.groupby("area")["evidence_type"].agg(";".join)
    result[joined.index.to_numpy(dtype=np.int64)] = joined.to_numpy(dtype=object)
    return result
