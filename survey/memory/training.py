"""Fit the two classifiers of a model: is it a hazard object at all, and which class is it.

Everything that is measured or calibrated here is measured on groups (sites) that were held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold
from sklearn.neural_network import MLPClassifier

from survey.errors import ModelError
from survey.memory.at_once import at_once
from survey.memory.calibration import Places, after, best_of_places, calibrated, platt
from survey.memory.committee import Committee, fit_trees, member_fits, seated
from survey.memory.labelling import NOTHING, UNDECIDED
from survey.memory.table import Table

_FEW_OBJECTS = 600
"""Objects below which they are looked at from several sides and networks are held back: no published figure."""
_OF_FEW = {"penalty": 0.3, "iterations": 100, "leaves": 16}
"""Where labels are few: more penalty on the weights of networks, and half the cost of trees."""


class Training(BaseModel):
    """How a model is fitted.

    Attributes
    ----------
    committee : Committee
        Who says whether it is a hazard object.
    folds : int
        Folds over groups, for held-out answers and calibration.
    object_share : float
        Least share of the weight that objects have when the committee is fitted: of one object among a thousand
        candidates networks learn little. Probabilities are calibrated with the true weights.
    nudged : bool
        Whether the table's further looks at its rows are taught, too: what few objects there are is then known from a
        little beside them as well.
    seed : int
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    committee: Committee = Committee()
    folds: int = Field(default=3, ge=2)
    object_share: float = Field(default=0.05, ge=0, lt=1)
    nudged: bool = False
    seed: int = 0


def recipe(n_objects: int, seed: int = 0, starts: tuple[MLPClassifier, ...] = (), plain: int = 0) -> Training:
    """How a model of so many objects is fitted.

    Parameters
    ----------
    n_objects : int
    seed : int
    starts : tuple of MLPClassifier
        Networks of a model of other objects that the networks of few objects begin with.
    plain : int
        Features that come before the picture of a candidate, which is left to the networks: the trees cost half without
        it, and are as good. 0: the trees read everything.
    """
    committee = Committee(trees_read=plain, batch=512)
    if n_objects >= _FEW_OBJECTS:
        return Training(committee=committee, seed=seed)
    # Few objects would be learned by heart.
    committee = committee.model_copy(update=_OF_FEW)
    if starts:
        # Networks that begin so have seen more than the trees: these have one vote, as each of them.
        begun = {"hidden": tuple(starts[0].hidden_layer_sizes), "starts": starts, "trees_share": 1 / committee.members}
        committee = committee.model_copy(update=begun)
    return Training(committee=committee, folds=4, nudged=True, seed=seed)


# Says which class it is, of objects alone: a small question with few examples.
_NAMER = Committee(iterations=60, leaves=12, leaf_samples=20, feature_share=0.25, networks=0)


@dataclass(frozen=True)
class Fitted:
    """A fitted pair of classifiers and what they answered about groups they had not seen.

    Attributes
    ----------
    hazard : VotingClassifier, or a classifier of a researcher's own
        Classes 0 and 1.
    namer : HistGradientBoostingClassifier, or a classifier of a researcher's own
        Classes are class codes.
    calibration : (slope, intercept)
        Of the logistic curve from the logit of ``hazard`` to a probability (Platt scaling).
    held_out : float array, shape (n,)
        Calibrated probability of each training row from the fold that did not hold its group.
    """

    hazard: Any
    namer: Any
    calibration: tuple[float, float]
    held_out: NDArray[np.float64]


def fit(table: Table, settings: Training) -> Fitted:
    """Fit on labelled candidates.

    Parameters
    ----------
    table : Table
    settings : Training

    Raises
    ------
    ModelError
        There are no positives, no negatives, or too few groups to hold any out.
    """
    if (table.codes == UNDECIDED).any():
        raise ModelError("Undecided candidates cannot be learned from; leave them out first.")
    positive, groups = table.positive, table.groups
    groups_of_positives = np.unique(groups[positive == 1]).size
    if groups_of_positives < 2 or positive.all():
        raise ModelError(
            f"A model needs labelled objects from at least two sites and candidates that are none; here are "
            f"{int(positive.sum())} object candidates from {groups_of_positives} site(s) and "
            f"{int((positive == 0).sum())} others."
        )
    if not settings.nudged:
        table = replace(table, nudged=None)
    folds = GroupKFold(min(settings.folds, groups_of_positives), shuffle=True, random_state=settings.seed)
    splits = list(folds.split(table.features, positive, groups))
    # Members of all folds and of the model itself are fitted in one go, or a core would wait at the end of each.
    judging = [*hazard_fits(*table.taught(), settings), naming_fit(table.features, table.codes, settings)]
    apart = [call for split in splits for call in _answers_apart(table, split, settings)]
    done: list[Any] = at_once([*judging, *apart])
    fitted, answers = done[: len(judging)], iter(done[len(judging) :])
    raw = np.zeros(len(positive))
    for _, outside in splits:
        raw[outside] = _voted([next(answers) for _ in range(settings.committee.members)], settings.committee)
    calibration = platt(raw, positive, table.weights)
    hazard = seated(fitted[:-1], settings.committee.trees_share)
    return Fitted(hazard, fitted[-1], calibration, calibrated(raw, calibration))


def _answers_apart(
    table: Table, split: tuple[NDArray[Any], NDArray[Any]], settings: Training
) -> list[Callable[[], NDArray[np.float64]]]:
    """Answers of each member, fitted on the first rows of a split, about the others; each to be called."""
    return [partial(_answer_apart, table, split, settings, number) for number in range(settings.committee.members)]


def _answer_apart(
    table: Table, split: tuple[NDArray[Any], NDArray[Any]], settings: Training, number: int
) -> NDArray[np.float64]:
    # Rows are taken here and not before: only as many copies are held as members are fitted at a time.
    fits = hazard_fits(*table.take(split[0]).taught(), settings)
    answers: NDArray[np.float64] = fits[number]().predict_proba(table.features[split[1]])[:, 1].astype(np.float64)
    return answers


def _voted(answers: Sequence[NDArray[np.float64]], committee: Committee) -> NDArray[np.float64]:
    """Vote of the members, trees first where there are any."""
    if not (committee.iterations and committee.networks):
        return np.asarray(np.mean(answers, axis=0))
    share = committee.trees_share
    return np.asarray(share * answers[0] + (1 - share) * np.mean(answers[1:], axis=0))


def hazard_fits(
    features: NDArray[np.float32], codes: NDArray[np.object_], weights: NDArray[np.float64], settings: Training
) -> list[Callable[[], Any]]:
    """Fits of the members that say whether it is a hazard object, each to be called."""
    positive = codes != NOTHING
    heavier = _heavier(weights, positive, settings)
    return member_fits(features, positive.astype(np.int64), heavier, settings.committee, settings.seed)


def naming_fit(
    features: NDArray[np.float32], codes: NDArray[np.object_], settings: Training
) -> Callable[[], HistGradientBoostingClassifier]:
    """Fit of the trees that say which class it is, to be called."""
    positive = codes != NOTHING
    classes, counts = np.unique(codes[positive].astype(str), return_counts=True)
    # Each class weighs the same, or the commonest would lend its name to the others.
    share = dict(zip(classes, 1.0 / counts, strict=True))
    balance = np.array([share[code] for code in codes[positive]]) * positive.sum() / len(classes)
    namer = _NAMER.model_copy(update={"trees_read": settings.committee.trees_read})
    return partial(fit_trees, features[positive], codes[positive].astype(str), balance, namer, settings.seed)


def calibrate_on_objects(
    fitted: Fitted, codes: NDArray[np.object_], weights: NDArray[np.float64], places: Places
) -> Fitted:
    """Calibrate again on what a survey would show: of candidates that stand on each other only the likeliest.

    Parameters
    ----------
    fitted : Fitted
    codes : object array, shape (n,)
        Of the rows it was fitted on.
    weights : float array, shape (n,)
    places : Places
    """
    shown = best_of_places(fitted.held_out, places)
    curve = platt(fitted.held_out[shown], codes[shown] != NOTHING, weights[shown])
    return replace(fitted, calibration=after(fitted.calibration, curve), held_out=calibrated(fitted.held_out, curve))


def _heavier(weights: NDArray[np.float64], positive: NDArray[Any], settings: Training) -> NDArray[np.float64]:
    """Weights in which objects have at least their share."""
    share = settings.object_share
    objects = positive.astype(bool)
    factor = share / (1 - share) * weights[~objects].sum() / weights[objects].sum()
    return np.where(objects, weights * max(1.0, factor), weights)
