"""Models at work: loaded for this version, asked which classes they look for, and what they say of candidates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from survey.detection.classifier import EMITTED, Detection, may_reach, name_of, probability_of
from survey.detection.features import FEATURE_SET
from survey.detection.lines import FENCE, LEAST_POST
from survey.detection.search import FirstStage
from survey.errors import ModelError
from survey.hazards import HazardClass, classes
from survey.imagery.seen import Sought
from survey.imagery.visibility import Visibility
from survey.memory import modelfile
from survey.memory.modelfile import Model, ModelFile

Measure = Callable[[NDArray[np.float32]], NDArray[Any]]
"""A measure of a researcher's own: polar patches (n, channel, ring, angle) to numbers (n,) or (n, k).

The rings have the radii :data:`survey.detection.patches.RADII` in units of the candidate's own radius; channels are
brightness and two colour differences, or the one band of thermal imagery. It must be a named, pure function that looks
at each patch by itself: then objects stay the same for every tiling.
"""

_M = TypeVar("_M", ModelFile, Model)

# Probabilities are held this far from 0 and 1 before their logit is taken.
_EDGE = 1e-9


@dataclass(frozen=True)
class OwnModel(Model):
    """A model of a researcher's own making.

    Attributes
    ----------
    measures : tuple of callables
        Measures of the researcher's own that it reads beside the shipped ones. They are code, and so never in a file.
    reference : float32 array, optional
        Inputs whose answers are kept in its file.
    """

    measures: tuple[Measure, ...] = ()
    reference: NDArray[np.float32] | None = None


def feature_set_of(measures: Sequence[Measure] = ()) -> str:
    """Name of the measures a model reads: those of this version, and a researcher's own by the name of their function.

    Raises
    ------
    ModelError
        A function has no name of its own.

    Examples
    --------
    >>> feature_set_of().startswith("polar-")
    True
    """
    names = [getattr(one, "__name__", "<unnamed>") for one in measures]
    if not all(name.isidentifier() for name in names) or len(set(names)) < len(names):
        raise ModelError(
            f"A measure of your own needs a name of its own, by which a stored model can ask for it (these are "
            f"{', '.join(names)}). Write it with def."
        )
    return "+".join([FEATURE_SET, *names])


def load_model(
    path: str | Path | None = None,
    roles: Sequence[str] = ("red", "green", "blue"),
    *,
    measures: Sequence[Measure] = (),
    trust: Sequence[str] = (),
) -> Model:
    """Load a model file, or the shipped model that fits the bands, for detection by this version.

    Parameters
    ----------
    path : str, Path or None
        A model file, or a register (its champion); None for the shipped one with the most band roles among ``roles``.
    roles : sequence of str
        Band roles of the imagery.
    measures : sequence of callables
        Measures of your own that the model was trained with; they are code, and no file holds them.
    trust : sequence of str
        Types beyond the audited list that the file may hold, by their full names. Only for files of people you trust:
        what such a type does when it is built is not audited.

    Raises
    ------
    ModelError
        No shipped model fits, the file is refused, or it was trained on other measures.

    Examples
    --------
    >>> model = load_model(roles=("red", "green", "blue"))
    >>> "mine_at" in model.classes
    True
    """
    # Building estimators takes libraries that take longer to load than all else.
    from survey.memory import judges

    model = judges.load_model(path, roles, trust)
    _refuse_other_measures(model, measures)
    if not measures:
        return model
    return OwnModel(**vars(model), measures=tuple(measures))


def open_model(path: str | Path | None, roles: Sequence[str]) -> ModelFile:
    """Open the file of a model for detection by this version: what it says of itself; see :func:`load_model`.

    Raises
    ------
    ModelError
        No shipped model fits, the file is damaged, or the model was trained on other measures.
    """
    model = modelfile.open_model(path, roles)
    _refuse_other_measures(model)
    return model


def _refuse_other_measures(model: ModelFile, measures: Sequence[Measure] = ()) -> None:
    if model.feature_set.split("+")[0] != FEATURE_SET:
        raise ModelError(
            f"Model {model.version} was trained on the measures {model.feature_set}; this version takes "
            f"{FEATURE_SET}, and would answer at random. Train it again from its object memory with `survey train`."
        )
    wanted = feature_set_of(measures)
    if model.feature_set != wanted:
        own = ", ".join(model.feature_set.split("+")[1:])
        raise ModelError(
            f"Model {model.version} was trained on the measures {model.feature_set}, but is to be used with {wanted}. "
            f"Its own measures are functions, which no file holds: give them in Python, load_model(..., "
            f"measures=[{own}]), in this order; a job cannot use such a model."
        )


def wanted_classes(model: ModelFile, detection: Detection, gsd_cm: float) -> tuple[str, ...]:
    """Classes the model knows, the job wants and the imagery resolves."""
    return tuple(one.code for one in _wanted(model, detection) if one.resolved_at(gsd_cm))


def what_is_sought(model: ModelFile, detection: Detection, visibility: Visibility) -> Sought:
    """Return the classes the model knows and the job wants, and how it is judged whether they could be seen."""
    return Sought(_wanted(model, detection), visibility)


def _wanted(model: ModelFile, detection: Detection) -> tuple[HazardClass, ...]:
    known = (classes()[code] for code in model.classes if code in classes())
    return tuple(one for one in known if detection.families is None or one.family in detection.families)


def judge(
    features: NDArray[np.float32],
    diameter_m: NDArray[np.float64],
    strength: NDArray[Any],
    model: Model,
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """Probability and class of candidates; where a model stands on an elder, the more probable of both.

    The younger decides about the classes it knows, at the sizes it looks for them; the elder about the others. Of each
    class the elder's probabilities are shifted by what reviewed ground showed of what it calls so
    (``card["elder"]["shift"]``, in logits by class).

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
    diameter_m, strength : float arrays, shape (n,)
    model : Model

    Returns
    -------
    probability : float array, shape (n,)
    codes : object array, shape (n,)
    """
    if model.elder is None:
        probability = np.zeros(len(features))
        kept = first_stage(model).keeps(features)
        probability[kept] = probability_of(features[kept], model.hazard, model.calibration)
        codes = np.full(len(probability), "unknown_object", dtype=object)
        named = probability >= EMITTED
        codes[named] = name_of(features[named], model.namer)
        return probability, codes
    probability, codes = judge(features, diameter_m, strength, model.elder)
    looked = _looked_at(diameter_m, model)
    shift = _shift_of(codes, looked, model.card["elder"]["shift"])
    probability = expit(logit(np.clip(probability, _EDGE, 1 - _EDGE)) + shift)
    mine = np.isin(codes, model.own_classes)
    elsewhere = ~np.isin(diameter_m, sizes_of(model.elder)) | (strength < model.elder.least_strength)
    probability[mine | elsewhere] = 0.0
    own = np.zeros(len(probability))
    own[looked] = probability_of(features[looked], model.hazard, model.calibration)
    younger = own >= probability
    named = younger & (own >= EMITTED)
    codes[named] = name_of(features[named], model.namer)
    return np.where(younger, own, probability), codes


def _shift_of(
    codes: NDArray[np.object_], looked: NDArray[np.bool_], shift: Mapping[str, float] | float
) -> NDArray[np.float64]:
    """What is added to the logits of an elder: by class, or as cards of before have it, one at the sizes looked at."""
    if isinstance(shift, Mapping):
        return np.array([float(shift.get(code, 0.0)) for code in codes])
    return np.where(looked, float(shift), 0.0)


def worth_judging(features: NDArray[np.float32], diameter_m: NDArray[np.float64], model: Model) -> NDArray[np.bool_]:
    """Which candidates a model may emit: all that :func:`judge` finds probable enough, and few others, shape (n,).

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
    diameter_m : float array, shape (n,)
    model : Model
    """
    if model.elder is None:
        return may_reach(features, model.hazard, model.calibration, EMITTED)
    # What reviewed ground showed of an elder lowers its probabilities, and never raises them.
    may = worth_judging(features, diameter_m, model.elder)
    rest = np.flatnonzero(~may & _looked_at(diameter_m, model))
    may[rest] = may_reach(features[rest], model.hazard, model.calibration, EMITTED)
    return may


def post_probability(
    features: NDArray[np.float32], diameter_m: NDArray[np.float64], strength: NDArray[Any], model: Model
) -> NDArray[np.float64]:
    """Probability that each candidate is a post, shape (n,); 0 where it is hardly one, or the model judges no posts.

    Where a model stands on an elder, it is the elder's judge, unless the younger has learned of fences itself.

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
        Of candidates that the model's :func:`first_stage` keeps.
    diameter_m, strength : float arrays, shape (n,)
    model : Model
    """
    probability = np.zeros(len(features))
    judge_of_posts = _judge_of_posts(model)
    if judge_of_posts is None:
        return probability
    asked = np.isin(diameter_m, judge_of_posts.scales_by_class[FENCE]) & (strength >= judge_of_posts.least_strength)
    if judge_of_posts is not model:
        # A survey with an elder measures everything; without one, what its sieve lets pass.
        asked[asked] = first_stage(judge_of_posts).keeps(features[asked])
    posts, curve = judge_of_posts.posts, judge_of_posts.card["posts"]["calibration"]
    # A researcher's own measures come after those it reads. What is far from being a post is told roughly.
    read = features[:, : posts.n_features_in_]
    asked[asked] = may_reach(read[asked], posts, curve, LEAST_POST)
    probability[asked] = probability_of(read[asked], posts, curve)
    return np.where(probability >= LEAST_POST, probability, 0.0)


def line_curve(model: ModelFile) -> tuple[float, float] | None:
    """Slope and intercept of the curve from the score of a line of posts to a probability; None: no lines."""
    judge_of_posts = _judge_of_posts(model)
    return None if judge_of_posts is None else tuple(judge_of_posts.card["posts"]["line"])


def _judge_of_posts(model: _M) -> _M | None:
    """The model of a stack that judges posts."""
    while "posts" not in model.card:
        if model.elder is None or FENCE in model.own_classes:
            return None
        model = model.elder
    return model


def _looked_at(diameter_m: NDArray[np.float64], model: Model) -> NDArray[np.bool_]:
    """Whether candidates have a size that the model looks for itself, without its elder."""
    return np.isin(diameter_m, [size for code in model.own_classes for size in model.scales_by_class[code]])


def first_stage(model: Model) -> FirstStage:
    """What a survey with the model measures; on top of an elder everything, for its own part has no sieve."""
    if model.elder is not None or model.sieve is None:
        return FirstStage(model.least_strength)
    return FirstStage(model.least_strength, model.sieve, float(model.card["sieve"]["least"]))


def sizes_of(model: ModelFile) -> tuple[float, ...]:
    """Every size a model looks for, metres, ascending."""
    return tuple(sorted({size for sizes in model.scales_by_class.values() for size in sizes}))
