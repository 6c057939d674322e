"""Fit the two classifiers of a model: is it a hazard object at all, and which class is it.

Everything that is measured or calibrated here is measured on groups (sites) that were held out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GroupKFold
from sklearn.neural_network import MLPClassifier

from survey.errors import ModelError
from survey.memory.at_once import at_once
from survey.memory.calibration import Places, after, best_of_places, calibrated, platt
from survey.memory.committee import Committee, fit_trees, member_fits, seated
from survey.memory.labelling import NOTHING, UNDECIDED
from survey.memory.table import Table

_FEW_OBJECTS = 600
"""Objects below which more is searched and objects are looked at from several sides: no published figure."""
_SHARES = (0.25, 0.5, 0.75)
"""Shares of the trees that are searched among where labels are few."""
_PENALTY_OF_FEW = 0.3
"""L2 penalty on the weights of networks where labels are few."""
_EPOCHS = (14, 28)
"""Epochs of the networks that are searched among where labels are few."""
_SMALL_TABLE = 10_000
"""Candidates beyond which epochs are not searched: there they cost minutes, and were measured on small tables alone."""
_SEARCHERS = 2
"""Networks that are fitted to search; more cost more than what is fitted in the end."""
_BETTER = 0.02
"""Average precision by which another than the committee's own has to be better to be taken: less is chance."""


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
    shares : tuple of float
        Shares of the vote that trees may have; which, is searched within each fold (:func:`searched`). Empty: as the
        committee says.
    epochs : tuple of int
        Epochs that networks may be taught; searched together with the shares. Empty: as the committee says.
    nudged : bool
        Whether the table's further looks at its rows are taught, too: what few objects there are is then known from a
        little beside them as well.
    seed : int
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    committee: Committee = Committee()
    shares: tuple[float, ...] = ()
    epochs: tuple[int, ...] = ()
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
    committee = committee.model_copy(update={"penalty": _PENALTY_OF_FEW})
    if starts:
        committee = committee.model_copy(update={"hidden": tuple(starts[0].hidden_layer_sizes), "starts": starts})
    return Training(committee=committee, folds=4, shares=_SHARES, epochs=_EPOCHS, nudged=True, seed=seed)


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
    committees : tuple of Committee
        As they were searched out: that of the model, then those of the folds.
    """

    hazard: Any
    namer: Any
    calibration: tuple[float, float]
    held_out: NDArray[np.float64]
    committees: tuple[Committee, ...] = ()

    @property
    def searched(self) -> list[dict[str, float]]:
        """What the search took, for a card: for the model first, then within each fold."""
        return [{"trees_share": one.trees_share, "epochs": one.epochs} for one in self.committees]


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
    own = [searched(table.take(inside), settings) for inside, _ in splits]
    whole = searched(table, settings)
    # Members of all folds and of the model itself are fitted in one go, or a core would wait at the end of each.
    judging = [*hazard_fits(*table.taught(), whole), naming_fit(table.features, table.codes, whole)]
    apart = [one for split, how in zip(splits, own, strict=True) for one in _answers_apart(table, split, how)]
    done: list[Any] = at_once([*judging, *apart])
    fitted, answers = done[: len(judging)], iter(done[len(judging) :])
    raw = np.zeros(len(positive))
    for (_, outside), how in zip(splits, own, strict=True):
        raw[outside] = _voted([next(answers) for _ in range(how.committee.members)], how.committee)
    calibration = platt(raw, positive, table.weights)
    hazard = seated(fitted[:-1], whole.committee.trees_share)
    found = tuple(one.committee for one in (whole, *own))
    return Fitted(hazard, fitted[-1], calibration, calibrated(raw, calibration), found)


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


def searched(table: Table, settings: Training) -> Training:
    """Settings with the share of the trees and the epochs of the networks that are best on ground left out.

    Members are fitted on half of the groups and asked about the other half, and the other way round. What is searched
    out has to be better than the committee as it is on both halves, and clearly so in their mean: what is better by
    chance seldom is that twice. Nothing outside of the rows given is looked at, so that what is held out from them
    stays held out.
    """
    positive = table.positive
    halves = [half for half in _halves(table.groups, positive) if positive[half].any() and not positive[half].all()]
    committee = settings.committee
    wanted = settings.shares or settings.epochs
    if not wanted or not (committee.iterations and committee.networks) or len(halves) < 2:
        return settings
    usual = (committee.trees_share, committee.epochs)
    epochs = sorted({*(settings.epochs if len(positive) <= _SMALL_TABLE else ()), committee.epochs})
    trees, count = _instead(settings, {"networks": 0}), min(_SEARCHERS, committee.networks)
    networks = [_instead(settings, {"iterations": 0, "networks": count, "epochs": number}) for number in epochs]
    splits = ((halves[0], halves[1]), (halves[1], halves[0]))
    asked = [_answers_apart(table, split, one) for split in splits for one in (trees, *networks)]
    answers = iter(at_once([call for calls in asked for call in calls]))
    found: dict[tuple[float, int], list[float]] = {}
    for _, there in splits:
        of_trees = next(answers)
        for number in epochs:
            of_networks = np.mean([next(answers) for _ in range(count)], axis=0)
            for share in sorted({*settings.shares, committee.trees_share}):
                vote = share * of_trees + (1 - share) * of_networks
                score = float(average_precision_score(positive[there], vote, sample_weight=table.weights[there]))
                found.setdefault((share, number), []).append(score)
    surely = {
        one: float(np.mean(scores))
        for one, scores in found.items()
        if all(now > before for now, before in zip(scores, found[usual], strict=True))
        and np.mean(scores) >= np.mean(found[usual]) + _BETTER
    }
    if not surely:
        return settings
    share, number = max(surely, key=lambda one: (surely[one], -abs(one[0] - usual[0])))
    return _instead(settings, {"trees_share": share, "epochs": number})


def _instead(settings: Training, other: Mapping[str, Any]) -> Training:
    return settings.model_copy(update={"committee": settings.committee.model_copy(update=dict(other))})


def _halves(groups: NDArray[np.int64], positive: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """Two halves of the groups, dealt in turn by how many objects they hold."""
    names = np.unique(groups)
    objects = np.array([positive[groups == name].sum() for name in names])
    order = names[np.argsort(-objects, kind="stable")]
    return [np.isin(groups, order[start::2]) for start in range(2)]


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
