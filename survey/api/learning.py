"""Learn a model from labelled scenes in memory, with any scikit-learn classifier and measures of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
import skops.io
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from survey.api.judging import Measure, OwnModel, feature_set_of
from survey.api.tiles import with_measures
from survey.detection.features import FEATURE_SET, picture_width
from survey.detection.scales import LADDER_M, plan_passes
from survey.detection.search import FirstStage, octaves_of, search
from survey.errors import LayerError, ModelError
from survey.hazards import HazardClass, admit, classes
from survey.imagery.chips import level_grid, read_chip
from survey.imagery.scene import Role, Scene
from survey.imagery.tiles import Tiling, cut
from survey.memory import judges
from survey.memory.calibration import Places, calibrated, platt
from survey.memory.committee import networks_of
from survey.memory.estimators import strange_types
from survey.memory.labelling import NOTHING, UNDECIDED, Labelled, label_candidates, labelled
from survey.memory.modelfile import Model
from survey.memory.sizes import sizes_for
from survey.memory.training import Fitted, Training, calibrate_on_objects, fit, recipe
from survey.provenance import digest, file_identity, software_version

_SEARCHABLE: tuple[tuple[Role, ...], ...] = (("red", "green", "blue"), ("nir", "green", "blue"), ("thermal",))
_LEAST_STRENGTH = 2.0
"""Strength from which something is a candidate where no shipped model says: no published figure."""
_NEGATIVES = 500
"""Negatives kept of one tile and size; each stands for as many as were left out."""
_BLOCK_M = 25.0
"""Side of the blocks of ground that are held out together where sites are not named: no published figure."""


@dataclass(frozen=True)
class LabelledScene:
    """A scene somebody has looked through.

    Attributes
    ----------
    scene : Scene
    labels : GeoDataFrame
        Outlines with ``class_code``; ``occlusion`` (0-1) where known. Any CRS.
    reviewed : GeoDataFrame
        Ground inside which everything was labelled: only there is "no label" a negative.
    site : str
        What is held out together; empty: blocks of 25 m of the ground.
    """

    scene: Scene
    labels: gpd.GeoDataFrame
    reviewed: gpd.GeoDataFrame
    site: str = ""


@dataclass(frozen=True)
class _Rows:
    features: NDArray[np.float32]
    codes: NDArray[np.object_]
    weights: NDArray[np.float64]
    groups: NDArray[np.object_]
    picture: NDArray[np.object_]
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    diameter_m: NDArray[np.float64]

    @property
    def places(self) -> Places:
        pictures = np.unique(self.picture.astype(str), return_inverse=True)[1]
        return Places(pictures, self.x_m, self.y_m, self.diameter_m)

    @classmethod
    def joined(cls, parts: Sequence[_Rows]) -> _Rows:
        filled = [part for part in parts if len(part.codes)]
        if not filled:
            raise ModelError("The reviewed ground holds no candidate at all. Give labelled objects and ground around.")
        return cls(**{name: np.concatenate([getattr(one, name) for one in filled]) for name in vars(filled[0])})


def learn(
    scenes: Sequence[LabelledScene],
    estimator: Any = None,
    measures: Sequence[Measure] = (),
    *,
    version: str = "own-1",
    settings: Training | None = None,
) -> OwnModel:
    """Learn a model from labelled scenes, in memory; nothing is remembered and no champion is asked.

    `survey train` does more: it audits labels, learns from a memory of all that was ever labelled, keeps the classes
    of the model before, and compares. Its groups are other ones, so that figures of both differ.

    Parameters
    ----------
    scenes : sequence of LabelledScene
    estimator : scikit-learn classifier with ``predict_proba``, optional
        Who says whether a candidate is a hazard object, and, a second copy of it, which class. It is cloned, not
        fitted itself. Default: a committee of trees and networks, the networks of which begin with those of the shipped
        model of these bands where that has not learned from the very images, as with `survey train`.
    measures : sequence of callables
        Measures of your own, beside the shipped ones; see :data:`survey.api.Measure`.
    version : str
        What the model is called.
    settings : Training, optional
        Folds and seed; the committee where there is no estimator. Default: :func:`survey.memory.training.recipe` for
        as many objects as are labelled.

    Returns
    -------
    OwnModel
        To be given to :func:`survey.plan`; ``card["metrics"]`` has what was measured on ground that was held out.

    Raises
    ------
    LayerError
        A table lacks a column or a CRS, or a class is not known.
    ModelError
        There is too little to learn from.
    ImageryError
        Pixels cannot be read.
    """
    names = feature_set_of(measures)
    if estimator is not None and not hasattr(estimator, "predict_proba"):
        raise ModelError(f"{type(estimator).__name__} has no predict_proba: wrap it in CalibratedClassifierCV.")
    roles = _common_roles([one.scene for one in scenes])
    outlines = [_on_plane(one) for one in scenes]
    sizes = _sizes(outlines)
    shipped = _shipped_for(roles, scenes)
    least = _LEAST_STRENGTH if shipped is None else shipped.least_strength
    parts = [_rows(one, known, sizes, (roles, least), measures) for one, known in zip(scenes, outlines, strict=True)]
    rows = _Rows.joined(parts)
    numbers = np.unique(rows.groups.astype(str), return_inverse=True)[1]
    starts = () if shipped is None or measures else networks_of(shipped.hazard)
    # Measures of the researcher's own come after the picture; then the trees read everything.
    plain = 0 if measures else rows.features.shape[1] - picture_width(len(roles))
    settings = settings or recipe(sum(len(known.codes) for known, _ in outlines), starts=starts, plain=plain)
    if estimator is None:
        fitted = fit(rows.features, rows.codes, rows.weights, numbers, settings)
    else:
        fitted = _fit_own(estimator, rows, numbers, settings)
    fitted = calibrate_on_objects(fitted, rows.codes, rows.weights, rows.places)
    brought = _classes(sizes, max(one.scene.grid.gsd_cm for one in scenes))
    card = {
        "version": version,
        "roles": list(roles),
        "scales_by_class": {code: list(scales) for code, scales in sizes.items()},
        "least_strength": least,
        "feature_set": names,
        "classes": {one.code: asdict(one) for one in brought},
        "estimator": "committee" if estimator is None else " ".join(repr(estimator).split()),
        "settings": settings.model_dump(),
        "software_version": software_version(),
        "limits": "A researcher's own model, compared with no other. What it does elsewhere is unmeasured.",
        **_measured(rows, fitted, [one.scene.name for one in scenes]),
    }
    if fitted.committees and (settings.shares or settings.epochs):
        card["searched"] = fitted.searched
    if estimator is None and settings.committee.starts and shipped is not None:
        card["begun_with"] = shipped.version
    for one in brought:
        admit(one)
    reference = rows.features[np.random.default_rng(0).permutation(len(rows.codes))[:32]]
    return OwnModel(
        version=version,
        digest=digest(card),
        roles=roles,
        scales_by_class=sizes,
        least_strength=least,
        feature_set=names,
        hazard=fitted.hazard,
        namer=fitted.namer,
        calibration=fitted.calibration,
        card=card,
        measures=tuple(measures),
        reference=reference,
    )


def _measured(rows: _Rows, fitted: Fitted, scenes: list[str]) -> dict[str, Any]:
    """What the card says of the examples, and of the answers on ground that was held out."""
    positive = rows.codes != NOTHING
    counts = pd.Series(rows.codes[positive]).value_counts().sort_index()
    average_precision = average_precision_score(positive, fitted.held_out, sample_weight=rows.weights)
    return {
        "calibration": list(fitted.calibration),
        "data": {
            "scenes": scenes,
            "object_candidates_by_class": {str(code): int(n) for code, n in counts.items()},
            "candidates": len(rows.codes),
            "groups": len(np.unique(rows.groups.astype(str))),
        },
        "metrics": {
            "candidate_average_precision": float(average_precision),
            "candidate_prevalence": float(rows.weights[positive].sum() / rows.weights.sum()),
        },
    }


def save_model(path: str | Path, model: OwnModel, *, trust: Sequence[str] = ()) -> Path:
    """Write a learned model as a model file, which appears whole or not at all.

    Parameters
    ----------
    path : str or Path
    model : OwnModel
        From :func:`learn`. Measures of your own are not in the file: their names are.
    trust : sequence of str
        Types beyond the audited list that the file may hold; whoever loads it has to name them, too.

    Raises
    ------
    ModelError
        The model holds a type that is not trusted, or was not made by :func:`learn`.
    """
    if model.reference is None:
        raise ModelError(f"Model {model.version} was not learned here but read from {model.path}: copy that file.")
    for estimator in (model.hazard, model.namer):
        strange = strange_types(skops.io.dumps(estimator), trust)
        if strange:
            raise ModelError(
                f"Model {model.version} holds types that no audit covers ({', '.join(strange)}): a file with them is "
                f"refused. Choose another estimator, or trust them by name: trust={list(strange)!r}, here and in "
                "load_model."
            )
    judges.save_model(Path(path), judges.Judges(model.hazard, model.namer), model.card, model.reference)
    return Path(path)


def _common_roles(scenes: Sequence[Scene]) -> tuple[Role, ...]:
    if not scenes:
        raise ModelError("Give at least one labelled scene.")
    for roles in _SEARCHABLE:
        if all(set(roles) <= set(scene.roles) for scene in scenes):
            return roles
    shown = "; ".join(f"{scene.name}: {', '.join(scene.roles)}" for scene in scenes)
    raise ModelError(
        f"The scenes have no set of bands in common that can be searched ({shown}). Name them with bands=."
    )


def _shipped_for(roles: tuple[Role, ...], scenes: Sequence[LabelledScene]) -> Model | None:
    """Return the shipped model of these bands that has not learned from one of the scenes' images; None without."""
    try:
        model = judges.load_model(None, roles)
    except ModelError:
        return None
    known = set(model.card.get("images", ()))
    files = [Path(one.scene.path) for one in scenes if Path(one.scene.path).is_file()]
    if (
        model.roles != roles
        or model.feature_set != FEATURE_SET
        or any(file_identity(one)["sha256"] in known for one in files)
    ):
        return None
    return model


def _on_plane(one: LabelledScene) -> tuple[Labelled, shapely.Geometry]:
    """Labels and reviewed ground in metres from the scene's first corner, along its rows and columns."""
    for name, table in (("labels", one.labels), ("reviewed ground", one.reviewed)):
        if table.crs is None:
            raise LayerError(f"The {name} of {one.scene.name} have no CRS. Set it with set_crs.")
    if "class_code" not in one.labels:
        raise LayerError(f"The labels of {one.scene.name} have no column class_code (they have {list(one.labels)}).")
    strange = sorted(set(one.labels["class_code"]) - set(classes()))
    if strange:
        raise LayerError(
            f"The labels of {one.scene.name} name the class {strange[0]!r}, which is not known. Admit it first: "
            "survey.hazards.admit(HazardClass(...))."
        )
    grid = one.scene.grid

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(grid.to_pixel(points[:, 0], points[:, 1])) * grid.gsd_m

    outlines = np.array(shapely.transform(one.labels.to_crs(grid.crs).geometry.to_numpy(), place), dtype=object)
    if len(outlines) and (shapely.get_dimensions(outlines) < 2).any():
        raise LayerError(
            f"The labels of {one.scene.name} must be outlines (polygons); buffer points to their plan size."
        )
    ground = shapely.transform(one.reviewed.to_crs(grid.crs).union_all(), place)
    hidden = one.labels["occlusion"].to_numpy(float) if "occlusion" in one.labels else np.zeros(len(outlines))
    return labelled(outlines, one.labels["class_code"].to_numpy(dtype=object), hidden), ground


def _sizes(outlines: Sequence[tuple[Labelled, shapely.Geometry]]) -> dict[str, tuple[float, ...]]:
    """Sizes each labelled class is looked for at."""
    codes = np.concatenate([known.codes for known, _ in outlines])
    sides = np.concatenate([known.sides for known, _ in outlines])
    wanted = sorted(code for code in set(codes) if classes()[code].family != "clutter")
    if not wanted:
        raise ModelError("The scenes have no label of a hazard object. Give labelled objects, at least two dozen.")
    return {code: sizes_for(sides[codes == code, 0], sides[codes == code, 1], LADDER_M) for code in wanted}


def _classes(sizes: dict[str, tuple[float, ...]], gsd_cm: float) -> list[HazardClass]:
    """Classes as the model knows them: looked for up to the coarsest imagery it has learned from."""
    return [replace(classes()[code], max_gsd_cm=max(classes()[code].max_gsd_cm, gsd_cm * 1.02)) for code in sizes]


def _rows(
    one: LabelledScene,
    known: tuple[Labelled, shapely.Geometry],
    sizes: dict[str, tuple[float, ...]],
    how: tuple[tuple[Role, ...], float],
    measures: Sequence[Measure],
) -> _Rows:
    """Candidates on the reviewed ground of a scene with the class of what they lie on."""
    scene, (labels, ground), (roles, least) = one.scene, known, how
    harmless = np.array([classes()[code].family == "clutter" for code in labels.codes], dtype=bool)
    labels = replace(labels, codes=np.where(harmless, "!", labels.codes))
    shapely.prepare(ground)
    reviewed = one.reviewed.to_crs(scene.grid.crs).union_all()
    parts = []
    for a_pass in plan_passes(scene.grid.gsd_m, sizes):
        for tile in cut(level_grid(scene, a_pass.level), a_pass.level, Tiling(), reviewed):
            chip = read_chip(scene, a_pass.level, tile.window(a_pass.halo, a_pass.multiple), roles)
            if not chip.valid.any():
                continue
            octaves = octaves_of(chip.pixels, chip.valid, a_pass)
            core = (tile.row0, tile.row1, tile.col0, tile.col1)
            found = search(octaves, chip.valid, (chip.row, chip.col), core, a_pass, FirstStage(least))
            row, col = found.level_pixel()
            ratio = scene.grid.height / chip.grid.height, scene.grid.width / chip.grid.width
            y, x = (
                np.asarray((at + 0.5) * step * scene.grid.gsd_m) for at, step in zip((row, col), ratio, strict=True)
            )
            codes, _ = label_candidates(x, y, found.diameter_m, labels)
            said = shapely.contains_xy(ground, x, y) & (codes != UNDECIDED)
            chosen, weights = _thinned(codes, said, found.diameter_m, (tile.row0, tile.col0, a_pass.level))
            codes[codes == "!"] = NOTHING
            kept = with_measures(found.take(chosen), octaves, (chip.row, chip.col), measures)
            blocks = [f"{scene.name}/{int(b)}/{int(a)}" for a, b in zip(x // _BLOCK_M, y // _BLOCK_M, strict=True)]
            groups = np.array([one.site] * len(x) if one.site else blocks, dtype=object)
            name = np.full(len(weights), scene.name, dtype=object)
            places = name, x[chosen], y[chosen], kept.diameter_m
            parts.append(_Rows(kept.features, codes[chosen], weights, groups[chosen], *places))
    return _Rows.joined(parts)


def _thinned(
    codes: NDArray[np.object_], said: NDArray[np.bool_], diameter_m: NDArray[np.float64], seed: tuple[int, int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which to keep, all that lie on a label and some of the others, and how many candidates each of these is."""
    rng = np.random.default_rng(seed)
    weights = np.ones(len(codes))
    kept = [np.flatnonzero(said & (codes != NOTHING))]
    for size in np.unique(diameter_m):
        here = np.flatnonzero(said & (codes == NOTHING) & (diameter_m == size))
        drawn = rng.permutation(here)[:_NEGATIVES]
        weights[drawn] = len(here) / max(1, len(drawn))
        kept.append(drawn)
    chosen = np.isin(np.arange(len(codes)), np.concatenate(kept))
    return chosen, weights[chosen]


def _fit_own(estimator: Any, rows: _Rows, groups: NDArray[np.int64], settings: Training) -> Fitted:
    """Fit copies of an estimator, calibrated on groups that were held out; weights count in the calibration only.

    Not every estimator takes weights, and a pipeline takes them by other names.
    """
    positive = (rows.codes != NOTHING).astype(np.int64)
    with_objects = len(np.unique(groups[positive == 1]))
    if with_objects < 2 or positive.all():
        raise ModelError(
            f"A model needs labelled objects from at least two sites or blocks and candidates that are none; here are "
            f"{int(positive.sum())} object candidates from {with_objects} and {int((positive == 0).sum())} others."
        )
    folds = GroupKFold(min(settings.folds, with_objects), shuffle=True, random_state=settings.seed)
    raw = cross_val_predict(
        clone(estimator), rows.features, positive, groups=groups, cv=folds, method="predict_proba"
    )[:, 1]  # fmt: skip
    calibration = platt(raw, positive, rows.weights)
    hazard = clone(estimator).fit(rows.features, positive)
    named = rows.codes[positive == 1].astype(str)
    namer = clone(estimator).fit(rows.features[positive == 1], named) if len(set(named)) > 1 else _one_name(rows, named)
    return Fitted(hazard, namer, calibration, calibrated(raw, calibration))


def _one_name(rows: _Rows, named: NDArray[np.str_]) -> Any:
    """Return who names the class where there is only one: many estimators refuse to be fitted on one class."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior").fit(rows.features[rows.codes != NOTHING], named)
