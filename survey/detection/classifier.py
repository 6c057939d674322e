"""Judge candidates: how probable it is that each is a hazard object, and of which class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import expit, logit
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator

from survey.detection.networks import is_exact, network_answers

EMITTED = 0.05
"""Least probability of an object that is kept at all (contract, Evaluation)."""

# Answers are held this far from 0 and 1 before their logit is taken.
_EDGE = 1e-9
# Below this share of the probability for one class the object is named unknown.
_NAMED = 0.5


# Rows that are put to another classifier at once: matrix products round differently for other numbers of rows.
_BATCH = 256


class Detection(BaseModel):
    """What is looked for (table ``[detection]``).

    Attributes
    ----------
    families : tuple of str, optional
        Families of hazard that are wanted; default all that the model knows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    families: tuple[str, ...] | None = None


def probability_of(
    features: NDArray[np.float32], hazard: Any, calibration: tuple[float, float], least: float = 0.0
) -> NDArray[np.float64]:
    """Calibrated probability that each candidate is a hazard object, shape (n,).

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
    hazard : scikit-learn classifier of two classes, the second of which is "hazard"
    calibration : (slope, intercept)
        Of the logistic curve from the logit of the classifier's answer to a probability (Platt scaling).
    least : float
        Candidates that surely lie below it are told 0, without asking every member of a committee.
    """
    if len(features) == 0:
        return np.empty(0)
    slope, intercept = calibration
    enough = float(expit((logit(least) - intercept) / slope)) if least > 0 and slope > 0 else 0.0
    raw = (
        _vote(hazard, features, enough) if isinstance(hazard, VotingClassifier) else answers_of(hazard, features)[:, 1]
    )
    bounded = np.clip(raw.astype(np.float64), _EDGE, 1 - _EDGE)
    return np.where(raw < enough, 0.0, expit(slope * logit(bounded) + intercept))


def _vote(committee: VotingClassifier, features: NDArray[np.float32], enough: float) -> NDArray[np.float64]:
    """Mean answer of the members by their weights; where it cannot reach ``enough`` any more, what it is so far."""
    shares = np.asarray(committee.weights, dtype=np.float64) / np.sum(committee.weights)
    # The first member, the trees, costs the most: it is asked last, and only where it can still matter.
    members = list(zip(committee.estimators_, shares, strict=True))
    total = np.zeros(len(features))
    for member, share in members[1:]:
        total += share * answers_of(member, features)[:, 1]
    member, share = members[0]
    open_ = np.flatnonzero(total + share >= enough)
    total[open_] += share * answers_of(member, features[open_])[:, 1]
    return total


def answers_of(classifier: Any, features: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Probabilities of the classes, shape (n, number of classes).

    Of trees and of the networks of a committee each row is the same whatever rows come with it; of other classifiers as
    far as their library's products allow.
    """
    if len(features) == 0:
        return np.empty((0, len(classifier.classes_)))
    if isinstance(classifier, VotingClassifier) and classifier.voting == "soft":
        answers = [answers_of(member, features) for member in classifier.estimators_]
        return np.average(answers, axis=0, weights=classifier.weights)
    fitted = classifier.estimator if isinstance(classifier, FrozenEstimator) else classifier
    if is_exact(fitted):
        return network_answers(fitted, features)
    short = -len(features) % _BATCH
    padded = np.concatenate([features, np.zeros((short, features.shape[1]), features.dtype)])
    parts = [classifier.predict_proba(padded[i : i + _BATCH]) for i in range(0, len(padded), _BATCH)]
    return np.asarray(np.concatenate(parts)[: len(features)])


def name_of(features: NDArray[np.float32], namer: Any) -> NDArray[np.object_]:
    """Class code of each object; ``unknown_object`` where no class holds half of the probability.

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
    namer : scikit-learn classifier whose classes are class codes
    """
    if len(features) == 0:
        return np.empty(0, object)
    share = answers_of(namer, features)
    best = share.argmax(axis=1)
    codes = np.asarray(namer.classes_, dtype=object)[best]
    return np.where(share[np.arange(len(share)), best] >= _NAMED, codes, "unknown_object")
