"""Audit a batch of labels against imagery, memory and itself, and turn what stands into events."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from pipelines.clipping import Placed, known_here, level_for, to_wgs84
from pipelines.labels import REJECTED
from survey.detection.channels import MOST_BANDS
from survey.detection.scales import FEWEST_PIXELS_ACROSS, LADDER_M
from survey.detection.search import FirstStage, search_picture
from survey.hazards import classes
from survey.imagery.chips import level_grid, read_chip
from survey.imagery.scene import Scene
from survey.layers import AUDIT, EXAMPLES, conform
from survey.memory.audit import (
    Beneath,
    Policy,
    action_for,
    beneath_problem,
    moved,
    same_object,
    size_problem,
    unknown_class,
)
from survey.memory.labelling import label_candidates, labelled

# What stands out beside a label speaks against its place only where it is this much stronger than a bare candidate
# and than most that is around: camouflaged objects lie beside things that stand out, too.
_STRONG = 3.0
_STRONGEST_SHARE = 0.97
_NEAR = 1.2
# Outlines that share less than this of the ground of both are another opinion of where the object lies.
_SAME_OUTLINE = 0.75


@dataclass
class Audited:
    """What an audit came to; grows scene by scene.

    Attributes
    ----------
    problems : list of dict
        Rows of layer ``AUDIT``.
    seen : set of int
        Rows of labels that lie on some image.
    """

    problems: list[dict[str, Any]] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def note(self, label: Any, problem: str, action: str, explanation: str) -> None:
        """Add a problem of a label (a row of the placed labels, or of the file)."""
        self.problems.append(
            {
                "row": int(label["row"]), "class_code": str(label["class_code"]), "problem": problem, "action": action,
                "explanation": explanation, "image": label["image"], "geometry": label["geometry"],
            }
        )  # fmt: skip

    def table(self) -> gpd.GeoDataFrame:
        """Layer ``AUDIT``."""
        if not self.problems:
            return AUDIT.empty("EPSG:4326")
        table = gpd.GeoDataFrame(self.problems, geometry="geometry", crs="EPSG:4326")
        shapes = table.geometry.to_numpy()
        table["geometry"] = [None if one is None else _polygon(one) for one in shapes]
        return conform(table, AUDIT, crs="EPSG:4326")


def _polygon(outline: shapely.Geometry) -> shapely.Polygon:
    """A polygon for any outline: of several parts their hull, of a point or line a disc of about a decimetre."""
    if isinstance(outline, shapely.Polygon):
        return outline
    hull = outline.convex_hull
    return hull if isinstance(hull, shapely.Polygon) and not hull.is_empty else outline.buffer(1e-6)


def usable(labels: gpd.GeoDataFrame, audited: Audited) -> gpd.GeoDataFrame:
    """Labels with an outline and a known class; the others are noted."""
    keep = np.ones(len(labels), dtype=bool)
    for number, (_, label) in enumerate(labels.iterrows()):
        shape = label["geometry"]
        if shape is None or shape.is_empty or not np.isfinite(shape.bounds).all():
            audited.note({**label, "geometry": None}, "no_outline", "refused", "It has no outline and no place.")
            keep[number] = False
        elif label["class_code"] not in classes():
            audited.note(label, "unknown_class", "refused", unknown_class(label["class_code"], classes()))
            keep[number] = False
    audited.seen.update(labels["row"][~keep])
    kept = labels[keep].copy()
    valid = shapely.make_valid(shapely.force_2d(kept.geometry.to_numpy()))
    kept["geometry"] = [one if shapely.get_dimensions(one) < 2 else _polygon(one) for one in valid]
    return kept.reset_index(drop=True)


def audit_scene(placed: Placed, examples: gpd.GeoDataFrame, least: float, policy: Policy, audited: Audited) -> Placed:
    """Audit the labels on one scene; returns those that stand, with ``example_id`` and ``event``.

    Parameters
    ----------
    placed : Placed
    examples : GeoDataFrame
        What the memory holds.
    least : float
        Strength from which something stands out.
    policy : Policy
    audited : Audited
        Takes the problems.
    """
    labels = placed.labels
    audited.seen.update(int(row) for row in labels["row"])
    if not len(labels):
        return placed
    keep = np.ones(len(labels), dtype=bool)
    _against_each_other(labels, keep, audited)
    outlines = labels["local"].to_numpy(dtype=object).copy()
    for number in np.flatnonzero(keep):
        label = labels.iloc[number]
        problem = _look(label, placed.scene, least)
        if problem is None:
            continue
        name, sentence, beneath = problem
        # What was rejected is no hazard: it may be of any size, and nothing need stand out.
        if label["verdict"] == REJECTED and name not in ("nodata", "too_coarse"):
            continue
        action = action_for(name, policy)
        if action == "fixed" and beneath is not None:
            outlines[number] = _mended(label, beneath)
        audited.note(label, name, action, sentence)
        keep[number] = action != "refused"
    stand = labels[keep].copy()
    stand["local"] = outlines[keep]
    stand = _against_memory(stand.reset_index(drop=True), known_here(examples, placed), policy, audited)
    return Placed(placed.scene, placed.image_digest, stand)


def _against_each_other(labels: gpd.GeoDataFrame, keep: NDArray[np.bool_], audited: Audited) -> None:
    first, second = same_object(labels, labels)
    for i, j in zip(first, second, strict=True):
        if i >= j or not keep[j]:
            continue
        one, other = labels.iloc[i], labels.iloc[j]
        if (one["class_code"], one["verdict"]) == (other["class_code"], other["verdict"]):
            audited.note(other, "duplicate", "merged", f"It is the same object as row {one['row']} of this file.")
            keep[j] = False
        else:
            sentence = f"Row {one['row']} says {one['class_code']} ({one['verdict']}) of the same object."
            audited.note(other, "contradicts", "refused", sentence)
            if keep[i]:
                sentence = f"Row {other['row']} says {other['class_code']} ({other['verdict']}) of the same object."
                audited.note(one, "contradicts", "refused", sentence)
            keep[i] = keep[j] = False


def _look(label: pd.Series, scene: Scene, least: float) -> tuple[str, str, Beneath | None] | None:
    """First problem of a label: name, sentence, and what is beneath it."""
    length = float(label["length_m"])
    across = length / scene.grid.gsd_m
    if across < FEWEST_PIXELS_ACROSS:
        return (
            "too_coarse",
            f"It is {across:.1f} pixels long in this image; below {FEWEST_PIXELS_ACROSS:g} nothing is looked for.",
            None,
        )
    one = classes()[label["class_code"]]
    beneath = look_beneath(label, scene, least)
    if beneath.valid_share < 0.5:
        return "nodata", "The image holds no data there.", beneath
    if not label["is_point"] and one.family != "clutter":
        sentence = size_problem(one, length)
        if sentence is not None:
            return "size", sentence, beneath
    found = beneath_problem(one.code, length, beneath)
    return None if found is None else (*found, beneath)


def look_beneath(label: pd.Series, scene: Scene, least: float) -> Beneath:
    """What stands out at a label and near by."""
    length, width = float(label["length_m"]), float(label["width_m"])
    gsd = scene.grid.gsd_m
    plan = classes()[label["class_code"]].length_m
    low, high = 0.5 * min(plan, width), 1.3 * min(length, 3 * width)
    sizes = [step for step in LADDER_M if low <= step <= high and step / gsd >= FEWEST_PIXELS_ACROSS]
    sizes = sizes or [min(LADDER_M, key=lambda step: abs(step - length))]
    level = level_for(gsd, sizes)
    grid = level_grid(scene, level)
    margin = 4 * max(sizes) + _NEAR * length + 32 * grid.gsd_m
    left, top, right, bottom = shapely.bounds(label["local"])
    window = (
        int((top - margin) / grid.gsd_m), int((bottom + margin) / grid.gsd_m) + 1,
        int((left - margin) / grid.gsd_m), int((right + margin) / grid.gsd_m) + 1,
    )  # fmt: skip
    chip = read_chip(scene, level, window, scene.roles[:MOST_BANDS])
    own = shapely.transform(label["local"], lambda p: p - np.array([chip.col, chip.row]) * grid.gsd_m)
    left, top, right, bottom = (round(value / grid.gsd_m) for value in shapely.bounds(own))
    here = chip.valid[max(0, top) : bottom + 1, max(0, left) : right + 1]
    share = float(here.mean()) if here.size else 0.0
    if share < 0.5:
        return Beneath(share, False, None, None)
    found, x, y = search_picture(chip.pixels, chip.valid, grid.gsd_m, {"": sizes}, FirstStage(least / 2))
    if not len(x):
        return Beneath(share, False, None, None)
    codes = np.array([label["class_code"]], dtype=object)
    known = labelled(np.array([own], dtype=object), codes, np.zeros(1))
    _, index = label_candidates(x, y, found.diameter_m, known)
    on = index == 0
    centre = own.centroid
    away = np.hypot(x - centre.x, y - centre.y)
    within = away <= 0.3 * length
    if on.any() or within.any():
        which = np.flatnonzero(on | within)
        best = which[found.strength[which].argmax()]
        return Beneath(share, True, None, float(found.diameter_m[best]))
    strong = (found.strength >= _STRONG * least) & (found.strength >= np.quantile(found.strength, _STRONGEST_SHARE))
    fits = (found.diameter_m >= 0.6 * width) & (found.diameter_m <= 1.3 * length)
    near = np.flatnonzero(strong & fits & (away <= _NEAR * length))
    if len(near):
        best = near[found.strength[near].argmax()]
        return Beneath(
            share, False, (float(x[best] - centre.x), float(y[best] - centre.y)), float(found.diameter_m[best])
        )
    return Beneath(share, False, None, None)


def _mended(label: pd.Series, beneath: Beneath) -> shapely.Geometry:
    if beneath.offset_m is not None:
        return moved(label["local"], beneath.offset_m)
    assert beneath.diameter_m is not None
    return label["local"].centroid.buffer(beneath.diameter_m / 2)


def _against_memory(
    labels: gpd.GeoDataFrame, known: pd.DataFrame, policy: Policy, audited: Audited
) -> gpd.GeoDataFrame:
    """Give each label its example and event; drop what the memory has, refuse what contradicts it."""
    first, second = same_object(labels, known)
    match = dict(zip(first.tolist(), second.tolist(), strict=True))
    ids, events = [], []
    for number in range(len(labels)):
        label = labels.iloc[number]
        rejected = label["verdict"] == REJECTED
        event = "reject" if rejected else "add"
        if number not in match:
            ids.append(example_id(label))
            events.append(event)
            continue
        before: Any = known.iloc[match[number]]
        ids.append(before["example_id"])
        was_rejected = before["event"] == "reject"
        same = rejected == was_rejected and (rejected or before["class_code"] == label["class_code"])
        if same and _redrawn(label, before):
            sentence = f"The memory knows it (example {before['example_id']}) with another outline; this one holds now."
            audited.note(label, "duplicate", "accepted", sentence)
            events.append(event if rejected else "edit")
            continue
        if same:
            audited.note(label, "duplicate", "merged", f"The memory knows it (example {before['example_id']}).")
            events.append("")
            continue
        said = "rejected" if was_rejected else f"called {before['class_code']}"
        sentence = f"The memory knows it as {said} since {before['reviewed_at']:%Y-%m-%d} ({before['source']})."
        # A person who looked at this very object, later, has the last word; a file of labels has to say so.
        later = label["object_id"] is not None and label["reviewed_at"] >= before["reviewed_at"]
        action = "accepted" if later else action_for("contradicts", policy)
        audited.note(label, "contradicts", action, sentence)
        events.append("" if action == "refused" else event if rejected else "edit")
    labels = labels.assign(example_id=ids, event=events)
    return labels[labels["event"] != ""].reset_index(drop=True)


def _redrawn(label: Any, before: Any) -> bool:
    """Whether a label draws an object the memory knows in another way: not a point, and clearly another outline."""
    if label["is_point"]:
        return False
    if before["is_point"]:
        return True
    both = shapely.intersection(label["local"], before["local"]).area
    either = label["local"].area + before["local"].area - both
    return bool(both < _SAME_OUTLINE * either)


def example_id(label: Any) -> str:
    """Identity of an example: its image and its place in it, to the centimetre or so."""
    place = f"{label['image_digest']}|{round(label['x_m'], 2)}|{round(label['y_m'], 2)}"
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def events_of(placed: Placed, sites: Sequence[str], learned_at: datetime) -> gpd.GeoDataFrame:
    """Layer ``EXAMPLES`` of the labels that stand on a scene."""
    labels = placed.labels
    grid = placed.scene.grid
    table = pd.DataFrame(labels.drop(columns=["geometry", "local"]))
    table["site"] = list(sites)
    table["gsd_cm"] = grid.gsd_cm
    table["acquired_at"] = pd.to_datetime(pd.Series([placed.scene.acquired_at] * len(labels), dtype=object), utc=True)
    table["learned_at"] = learned_at
    outlines: Any = to_wgs84(labels["local"].to_numpy(dtype=object), grid) if len(labels) else []
    return conform(gpd.GeoDataFrame(table, geometry=outlines, crs="EPSG:4326"), EXAMPLES, crs="EPSG:4326")


def counted(events: pd.DataFrame) -> Mapping[str, int]:
    """Objects by class among events; rejections as ``rejected``."""
    names = events["class_code"].where(events["event"] != "reject", REJECTED)
    return {str(name): int(n) for name, n in names.value_counts().items()}
