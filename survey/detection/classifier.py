"""Judge candidates: how probable it is that each is a hazard object, and of which class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import expit, logit

EMITTED = 0.05
"""Least probability of an object that is kept at all (contract, Evaluation)."""

# Answers are held this far from 0 and 1 before their logit is taken.
_EDGE = 1e-9
# Below this share of the probability for one class the object is named unknown.
_NAMED = 0.5


# Rows that are put to a classifier at once: matrix products round differently for other numbers of rows.
_BATCH = 1024


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
    raw = np.clip(answers_of(hazard, features)[:, 1].astype(np.float64), _EDGE, 1 - _EDGE)
    slope, intercept = calibration
    return np.asarray(expit(slope * logit(raw) + intercept))


def answers_of(classifier: Any, features: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Probabilities of the classes, shape (n, number of classes), each row the same whatever rows come with it."""
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
