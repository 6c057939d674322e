"""The estimators of a model: written into its file; audited by type and by structure, and only then built.

No pickle, ever. A model that answers its reference inputs differently here than where it was made is refused.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from survey.errors import ModelError
from survey.memory.estimators import built, stored
from survey.memory.modelfile import (
    ELDER,
    POSTS,
    PROTOCOL,
    SIEVE,
    Model,
    chosen_path,
    described,
    parse,
    refuse_missing,
    unpack,
    write_parts,
)

# Networks answer in single precision, and other processors round their sums in another order.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Judges:
    """The estimators of a model.

    Attributes
    ----------
    hazard, namer : scikit-learn classifiers
        Whether a candidate is a hazard object at all, and which class it is.
    sieve : MLPClassifier, optional
        Whether it is worth measuring, by the first look at it.
    posts : MLPClassifier, optional
        Whether it is a post.
    """

    hazard: Any
    namer: Any
    sieve: Any = None
    posts: Any = None


def save_model(path: Path, judges: Judges, card: Mapping[str, Any], reference: NDArray[np.float32]) -> None:
    """Write a model file under its name only when it is whole.

    Parameters
    ----------
    path : Path
    judges : Judges
    card : mapping
        JSON-able; holds ``version``, ``roles``, ``scales_by_class``, ``least_strength``, ``feature_set``,
        ``calibration``; with a sieve ``sieve``: ``{"least": answer}``; with a judge of posts ``posts``:
        ``{"calibration": ..., "line": ...}``.
    reference : float32 array, shape (n, number of features)
        Inputs whose answers are kept in the file.
    """
    answers = {
        "inputs": reference.astype(float).tolist(),
        "hazard": judges.hazard.predict_proba(reference)[:, 1].tolist(),
        "namer": judges.namer.predict_proba(reference).tolist(),
    }
    parts = {
        "card.json": json.dumps({**card, "protocol": PROTOCOL}, indent=1, sort_keys=True).encode(),
        "hazard.skops": stored(judges.hazard),
        "namer.skops": stored(judges.namer),
        "reference.json": json.dumps(answers).encode(),
    }
    if judges.sieve is not None:
        parts[SIEVE] = stored(judges.sieve)
    if judges.posts is not None:
        parts[POSTS] = stored(judges.posts)
    write_parts(path, parts)


def load_model(path: str | Path | None, roles: Sequence[str], trust: Sequence[str] = ()) -> Model:
    """Load a model file, or the shipped model that fits the bands.

    Parameters
    ----------
    path : str, Path or None
        A model file, or a register (its champion); None for the shipped one with the most band roles among ``roles``.
    roles : sequence of str
        Band roles of the imagery.
    trust : sequence of str
        Types beyond :data:`survey.memory.estimators.TRUSTED` that the user takes the risk of.

    Raises
    ------
    ModelError
        No shipped model fits, or the file is refused.
    """
    chosen = chosen_path(path, roles)
    model = _read(chosen, unpack(chosen), trust=trust)
    refuse_missing(model, roles)
    return model


def load_file(path: Path) -> Model:
    """Load a model file, whatever bands it needs.

    Raises
    ------
    ModelError
        The file is refused.
    """
    return _read(path, unpack(path))


def _read(path: Path, parts: Mapping[str, bytes], generation: int = 1, trust: Sequence[str] = ()) -> Model:
    told = described(path, parts, generation)
    hazard, namer = (built(path, name, parts[name], trust) for name in ("hazard.skops", "namer.skops"))
    sieve = built(path, SIEVE, parts[SIEVE]) if SIEVE in parts else None
    posts = built(path, POSTS, parts[POSTS]) if POSTS in parts else None
    _refuse_strange_sieve(path, told.card, sieve)
    _refuse_strange_posts(path, told.card, posts)
    elder = None if told.elder is None else _read(path, unpack(path, io.BytesIO(parts[ELDER])), generation + 1)
    model = Model(**{**vars(told), "elder": elder}, hazard=hazard, namer=namer, sieve=sieve, posts=posts)
    _ask_reference(path, model, parse(path, "reference.json", parts["reference.json"]))
    return model


def _refuse_strange_sieve(path: Path, card: Mapping[str, Any], sieve: Any) -> None:
    """Refuse a sieve without the answer it keeps from, and anything but a network that can be asked exactly."""
    least = card.get("sieve", {}).get("least")
    if sieve is None and least is None:
        return
    if not (_can_be_asked(sieve) and isinstance(least, int | float) and math.isfinite(least)):
        raise ModelError(f"Model {path} has a sieve that cannot be asked (tampered or damaged). Refused.")


def _refuse_strange_posts(path: Path, card: Mapping[str, Any], posts: Any) -> None:
    """Refuse a judge of posts without its curves, and anything but a network that can be asked exactly."""
    if (posts is None) != ("posts" not in card) or not (posts is None or _can_be_asked(posts)):
        raise ModelError(f"Model {path} has a judge of posts that cannot be asked (tampered or damaged). Refused.")


def _can_be_asked(network: Any) -> bool:
    """Whether it is a network of two classes whose layers fit together."""
    if not isinstance(network, MLPClassifier) or network.activation != "relu":
        return False
    try:
        widths = [network.n_features_in_, *(len(bias) for bias in network.intercepts_)]
        fits = [one.shape for one in network.coefs_] == list(pairwise(widths)) and widths[-1] == network.n_outputs_ == 1
        return fits and all(np.isfinite(one).all() for one in (*network.coefs_, *network.intercepts_))
    except (AttributeError, TypeError):
        return False


def _ask_reference(path: Path, model: Model, reference: Mapping[str, Any]) -> None:
    try:
        inputs = np.asarray(reference["inputs"], dtype=np.float32)
        expectations = [np.asarray(reference[key], dtype=float) for key in ("hazard", "namer")]
        answers = (model.hazard.predict_proba(inputs)[:, 1], model.namer.predict_proba(inputs))
        if model.posts is not None:
            model.posts.predict_proba(inputs)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"Model {path} cannot answer its reference inputs ({error}). Refused.") from error
    for answer, expected in zip(answers, expectations, strict=True):
        if answer.shape != expected.shape or not np.allclose(answer, expected, atol=_TOLERANCE):
            raise ModelError(
                f"Model {path} answers its reference inputs differently here than where it was made "
                "(another scikit-learn?). Train it again with `survey train`, or use the version it names."
            )
