"""Learn a model from labelled scenes in memory, with any scikit-learn classifier and measures of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
import skops.io
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from survey.api.judging import Measure, OwnModel, feature_set_of
from survey.api.labelled import LabelledRows, LabelledScene, on_plane, rows_of
from survey.detection.features import FEATURE_SET, picture_width
from survey.detection.scales import LADDER_M
from survey.errors import ModelError
from survey.hazards import HazardClass, admit, classes
from survey.imagery.scene import Role, Scene
from survey.memory import judges
from survey.memory.calibration import calibrated, platt
from survey.memory.committee import networks_of
from survey.memory.estimators import strange_types
from survey.memory.labelling import NOTHING, Labelled
from survey.memory.modelfile import Model
from survey.memory.sizes import sizes_for
from survey.memory.table import Table
from survey.memory.training import Fitted, Training, calibrate_on_objects, fit, recipe
from survey.provenance import digest, file_identity, software_version

_SEARCHABLE: tuple[tuple[Role, ...], ...] = (("red", "green", "blue"), ("nir", "green", "blue"), ("thermal",))
_LEAST_STRENGTH = 2.0
"""Strength from which something is a candidate where no shipped model says: no published figure."""


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
    outlines = [on_plane(one) for one in scenes]
    sizes = _sizes(outlines)
    shipped = _shipped_for(roles, scenes)
    least = _LEAST_STRENGTH if shipped is None else shipped.least_strength
    count = sum(len(known.codes) for known, _ in outlines)
    # Measures of the researcher's own are taken of places as they are, and an estimator of theirs is taught those.
    nudging = estimator is None and not measures and (settings or recipe(count)).nudged
    how = roles, least, nudging
    parts = [rows_of(one, known, sizes, how, measures) for one, known in zip(scenes, outlines, strict=True)]
    rows = LabelledRows.joined(parts)
    numbers = np.unique(rows.groups.astype(str), return_inverse=True)[1]
    starts = () if shipped is None or measures else networks_of(shipped.hazard)
    # Measures of the researcher's own come after the picture; then the trees read everything.
    plain = 0 if measures else rows.features.shape[1] - picture_width(len(roles))
    settings = settings or recipe(count, starts=starts, plain=plain)
    settings = settings.model_copy(update={"nudged": nudging})
    if estimator is None:
        fitted = fit(Table(rows.features, rows.codes, rows.weights, numbers, rows.nudged), settings)
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


def _measured(rows: LabelledRows, fitted: Fitted, scenes: list[str]) -> dict[str, Any]:
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


def _fit_own(estimator: Any, rows: LabelledRows, groups: NDArray[np.int64], settings: Training) -> Fitted:
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


def _one_name(rows: LabelledRows, named: NDArray[np.str_]) -> Any:
    """Return who names the class where there is only one: many estimators refuse to be fitted on one class."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior").fit(rows.features[rows.codes != NOTHING], named)
