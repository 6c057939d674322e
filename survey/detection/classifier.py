"""Judge candidates: how probable it is that each is a hazard object, and of which class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import expit, logit

from survey.detection.networks import ROUGH, is_exact, network_answers, rough_answers

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


def probability_of(features: NDArray[np.float32], hazard: Any, calibration: tuple[float, float]) -> NDArray[np.float64]:
    """Calibrated probability that each candidate is a hazard object, shape (n,).

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
    hazard : scikit-learn classifier of two classes, the second of which is "hazard"
    calibration : (slope, intercept)
        Of the logistic curve from the logit of the classifier's answer to a probability (Platt scaling).
    """
    if len(features) == 0:
        return np.empty(0)
    slope, intercept = calibration
    raw = answers_of(hazard, features)[:, 1]
    return np.asarray(expit(slope * logit(np.clip(raw.astype(np.float64), _EDGE, 1 - _EDGE)) + intercept))


def may_reach(
    features: NDArray[np.float32], hazard: Any, calibration: tuple[float, float], least: float
) -> NDArray[np.bool_]:
    """Which candidates may be as probable as ``least``: all that are, and few that are not.

    Networks are asked roughly, trees of a committee not at all; of another classifier the answer is exact.

    Parameters
    ----------
    features, hazard, calibration
        As of :func:`probability_of`.
    least : float
        Above 0.
    """
    from sklearn.ensemble import VotingClassifier

    slope, intercept = calibration
    one = is_exact(hazard)
    if not len(features) or slope <= 0 or not (one or isinstance(hazard, VotingClassifier)):
        return probability_of(features, hazard, calibration) >= least
    members, shares = ([hazard], np.ones(1)) if one else (map(_thawed, hazard.estimators_), _shares(hazard))
    total = np.zeros(len(features))
    for member, share in zip(members, shares, strict=True):
        total += share * (rough_answers(member, features) + ROUGH if is_exact(member) else 1.0)
    # Not-a-number is no answer: such a candidate is asked about exactly.
    return ~(total < expit((logit(least) - intercept) / slope))


def _shares(committee: Any) -> NDArray[np.float64]:
    return np.asarray(committee.weights, dtype=np.float64) / np.sum(committee.weights)


def _thawed(classifier: Any) -> Any:
    from sklearn.frozen import FrozenEstimator

    return classifier.estimator if isinstance(classifier, FrozenEstimator) else classifier


def answers_of(classifier: Any, features: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Probabilities of the classes, shape (n, number of classes).

    Of trees and of the networks of a committee each row is the same whatever rows come with it; of other classifiers as
    far as their library's products allow.
    """
    if len(features) == 0:
        return np.empty((0, len(classifier.classes_)))
    from sklearn.ensemble import VotingClassifier

    if isinstance(classifier, VotingClassifier) and classifier.voting == "soft":
        answers = [answers_of(member, features) for member in classifier.estimators_]
        return np.average(answers, axis=0, weights=classifier.weights)
    fitted = _thawed(classifier)
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
