"""Detections and known objects laid on the same reviewed ground, in metres: what an evaluation counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from survey.errors import LayerError
from survey.hazards import classes
from survey.memory.ground import Ground, ground_of, plane_of
from survey.memory.matching import Marks, Matching, Targets, marks, targets

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Evaluating(BaseModel):
    """How to evaluate.

    Attributes
    ----------
    classes : tuple of str, optional
        Only these classes count, in the truth and among the detections.
    resolved_only : bool
        Leave out known objects of a class that the imagery over them is too coarse for.
    min_probability : float
        Detections below it are not emitted and do not count.
    resamples, level, seed
        Of the bootstrap: how many, the mass of the interval, and the seed.
    bins : int
        Equal-mass bins of the calibration.
    site_field : str
        Column that names the site, in ``reviewed`` (else in the labels).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: tuple[str, ...] | None = None
    resolved_only: bool = False
    min_probability: float = Field(default=0.05, ge=0.0, le=1.0)
    resamples: int = Field(default=1000, ge=1)
    level: float = Field(default=0.9, gt=0.0, lt=1.0)
    seed: int = 0
    bins: int = Field(default=10, ge=1)
    site_field: str = "site"
    matching: Matching = Matching()


@dataclass(frozen=True)
class Comparison:
    """Detections and known objects on the reviewed ground, in one equal-area plane."""

    found: Marks
    found_class: NDArray[np.str_]
    found_item: Bools
    emitted: Bools
    found_unit: NDArray[np.int64]
    known: Targets
    known_class: NDArray[np.str_]
    known_item: Bools
    known_unit: NDArray[np.int64]
    pixels: Floats
    occlusion: Floats
    ground: Ground
    gsd_m: float

    def restrict(self, found: Bools, known: Bools) -> Comparison:
        """Return the detections and objects for which the masks are true."""
        return Comparison(
            self.found.where(found), self.found_class[found], self.found_item[found], self.emitted[found],
            self.found_unit[found], self.known.where(known), self.known_class[known], self.known_item[known],
            self.known_unit[known], self.pixels[known], self.occlusion[known], self.ground, self.gsd_m,
        )  # fmt: skip


def compare(
    detections: gpd.GeoDataFrame,
    truth: gpd.GeoDataFrame,
    reviewed: gpd.GeoDataFrame | None,
    coverage: gpd.GeoDataFrame | None,
    settings: Evaluating,
    notes: list[str],
) -> Comparison:
    """Lay detections and known objects on the reviewed ground; what they mean stands at ``evaluation.evaluate``.

    ``notes`` collects sentences about what the reader of the figures must know.
    """
    for table, name, wanted in (
        (detections, "detections", ("class_code", "probability", "gsd_cm")),
        (truth, "truth", ("class_code",)),
    ):
        absent = [column for column in wanted if column not in table.columns]
        if absent:
            raise LayerError(f"The {name} have no column {absent[0]!r}; it is needed to evaluate.")
    families = _families(detections)
    detections = _wanted_detections(detections, settings, families)
    truth = _wanted_truth(truth, settings, families, notes)
    reviewed = None if reviewed is None or len(reviewed) == 0 else reviewed
    coverage = None if coverage is None or len(coverage) == 0 else coverage
    plane = plane_of(*(table for table in (reviewed, truth, detections if reviewed is None else None)
                       if table is not None))  # fmt: skip
    detections, truth = detections.to_crs(plane), truth.to_crs(plane)
    coverage = None if coverage is None else coverage.to_crs(plane)
    ground = _ground(detections, truth, reviewed, coverage, settings, notes, plane)

    gsd = pd.to_numeric(detections["gsd_cm"]).to_numpy(np.float64) / 100.0
    typical = float(np.nanmedian(gsd)) if np.isfinite(gsd).any() else 0.0
    found = marks(
        shapely.force_2d(detections.geometry.to_numpy()),
        detections["probability"].to_numpy(np.float64),
        np.where(np.isfinite(gsd), gsd, typical),
    )
    found_class = detections["class_code"].to_numpy(dtype=str)
    known_class = truth["class_code"].to_numpy(dtype=str)
    shipped = classes()
    plan = np.array([shipped[code].length_m if code in shipped else 0.0 for code in known_class])
    known = targets(shapely.force_2d(truth.geometry.to_numpy()), plan, settings.matching)
    known_gsd = _gsd_over(known, coverage, typical)
    occlusion = (
        pd.to_numeric(truth["occlusion"]).to_numpy(np.float64)
        if "occlusion" in truth.columns
        else np.full(len(truth), np.nan)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = np.where(known_gsd > 0, known.length_m / known_gsd, np.nan)
    side = Comparison(
        found, found_class, _are_items(found_class, families), _emitted(detections), ground.unit_of(found.x, found.y),
        known, known_class, _are_items(known_class, families), ground.unit_of(known.x, known.y),
        pixels, occlusion, ground, typical,
    )  # fmt: skip
    keep = side.known_unit >= 0
    resolved = np.array(
        [code not in shipped or not g > 0 or shipped[code].resolved_at(100.0 * g - 1e-9)
         for code, g in zip(known_class, known_gsd, strict=True)], dtype=bool,
    )  # fmt: skip
    unresolved = int((keep & ~resolved).sum())
    if unresolved:
        fate = "left out" if settings.resolved_only else "counted all the same"
        notes.append(f"{unresolved} known objects are of a class that the imagery over them is too coarse for: {fate}.")
    if settings.resolved_only:
        keep &= resolved
    return side.restrict(side.found_unit >= 0, keep)


def _wanted_detections(table: gpd.GeoDataFrame, settings: Evaluating, families: Mapping[str, str]) -> gpd.GeoDataFrame:
    keep = table["probability"].to_numpy(np.float64) >= settings.min_probability
    if "verification" in table.columns:
        keep &= (table["verification"] != "rejected").to_numpy(bool)
    return table[keep & _may_count(table, settings, families)]


def _wanted_truth(
    table: gpd.GeoDataFrame, settings: Evaluating, families: Mapping[str, str], notes: list[str]
) -> gpd.GeoDataFrame:
    table = table[_may_count(table, settings, families)]
    strange = sorted(set(table["class_code"]) - set(families))
    if strange:
        notes.append(f"Unknown classes in the truth, counted as items: {', '.join(map(str, strange))}.")
    return table


def _may_count(table: gpd.GeoDataFrame, settings: Evaluating, families: Mapping[str, str]) -> Bools:
    """Where there is a geometry, and the class is wanted and not known to be harmless."""
    harmless = [code for code, family in families.items() if family == "clutter"]
    keep = table.geometry.notna().to_numpy(bool) & ~table.geometry.is_empty.to_numpy(bool)
    keep &= ~table["class_code"].isin(harmless).to_numpy(bool)
    if settings.classes is not None:
        keep &= table["class_code"].isin(settings.classes).to_numpy(bool)
    return np.asarray(keep, dtype=bool)


def _families(detections: gpd.GeoDataFrame) -> dict[str, str]:
    known = {code: one.family for code, one in classes().items()}
    if "family" not in detections.columns:
        return known
    own = detections.dropna(subset=["class_code", "family"]).drop_duplicates("class_code")
    return {**dict(zip(own["class_code"], own["family"], strict=True)), **known}


def _are_items(codes: NDArray[np.str_], families: Mapping[str, str]) -> Bools:
    return np.array([families.get(code) != "indicator" for code in codes], dtype=bool)


def _emitted(detections: gpd.GeoDataFrame) -> Bools:
    if "emitted" not in detections.columns:
        return np.ones(len(detections), dtype=bool)
    return np.asarray(detections["emitted"], dtype=bool)


def _ground(
    detections: gpd.GeoDataFrame,
    truth: gpd.GeoDataFrame,
    reviewed: gpd.GeoDataFrame | None,
    coverage: gpd.GeoDataFrame | None,
    settings: Evaluating,
    notes: list[str],
    plane: Any,
) -> Ground:
    field = settings.site_field
    tables = [truth.columns, () if reviewed is None else reviewed.columns]
    if field != Evaluating().site_field and not any(field in columns for columns in tables):
        known = ", ".join(sorted({*tables[0], *tables[1]} - {"geometry"}))
        raise LayerError(f"The truth has no column {field!r} to tell sites by; it has {known}. Name one of these.")
    analysed = None if coverage is None else coverage[coverage["status"] == "analysed"]
    if reviewed is not None:
        area = reviewed.to_crs(plane)
        if analysed is not None:
            whole = shapely.union_all(shapely.make_valid(area.geometry.to_numpy()))
            seen = shapely.union_all(shapely.intersection(shapely.make_valid(analysed.geometry.to_numpy()), whole))
            share = seen.area / whole.area if whole.area else 1.0
            if share < 0.99:
                notes.append(
                    f"Only {share:.0%} of the reviewed ground was analysed; objects on the rest count as missed."
                )
    elif analysed is not None and len(analysed):
        area = analysed[["geometry"]]
        notes.append("The truth has no layer 'reviewed': all analysed ground is taken to be labelled completely.")
    else:
        everything = np.r_[truth.geometry.to_numpy(), detections.geometry.to_numpy()]
        hull = shapely.buffer(shapely.convex_hull(shapely.geometrycollections(everything)), 10.0)
        area = gpd.GeoDataFrame(geometry=[hull], crs=plane)
        notes.append("Neither reviewed nor analysed ground is given: hectares are the hull of everything plus 10 m.")
    if field not in area.columns and field in truth.columns and truth[field].notna().any():
        named = truth[truth[field].notna()]
        nearest = shapely.STRtree(named.geometry.to_numpy()).nearest(area.geometry.to_numpy())
        area = area.assign(**{field: named[field].to_numpy()[nearest]})
    return ground_of(area, field)


def _gsd_over(known: Targets, coverage: gpd.GeoDataFrame | None, typical: float) -> Floats:
    """Return the finest GSD (m) of the coverage over each object; where there is none, the typical one."""
    gsd = np.full(len(known), typical)
    if coverage is None or not len(known) or "gsd_cm" not in coverage.columns:
        return gsd
    pieces = coverage[coverage["gsd_cm"].notna() & (coverage["status"] != "not_analysed")]
    point, piece = shapely.STRtree(pieces.geometry.to_numpy()).query(
        shapely.points(known.x, known.y), predicate="intersects"
    )
    if len(point):
        finest = pd.Series(pieces["gsd_cm"].to_numpy(np.float64)[piece] / 100.0).groupby(point).min()
        gsd[finest.index] = finest.to_numpy()
    return gsd
