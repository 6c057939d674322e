"""The pictures that a shipped model learns from, drawn and searched through its first stage, and what a row weighs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from pipelines.grounds import one_thread_each
from pipelines.model_examples import LEAST_STRENGTH, Examples, draw, numbered, tasks, thinned, worth_measuring
from survey.api import first_stage
from survey.detection.features import first_look_width
from survey.detection.search import FirstStage
from survey.memory.labelling import NOTHING
from survey.memory.modelfile import Model
from survey.memory.negatives import fit_pilot
from survey.memory.sieve import fit_sieve

BAND_SETS = {"rgb": ("red", "green", "blue"), "cir": ("nir", "green", "blue"), "thermal": ("thermal",)}

OWN_BANDS = {"brighton": "rgb", "seneca": "cir"}
"""Sites whose photographs have the very bands of a model: it is measured on them, held out."""

# What an object weighs by its class, where not 1: of small mines and craters few are drawn. Every object weighs the
# same however many candidates it offers (a rocket fifteen, an anti-tank mine two), or what is long and thin decides
# what is found; a trench is looked for piece by piece, and weighs by the candidate (docs/detection.md).
CLASS_WEIGHTS = {"mine_ap": 2.0, "mine_ap_fragmentation": 2.0, "mine_scatterable": 2.0, "crater": 2.0}
_BY_CANDIDATE = ("trench",)
# Candidates that an anti-tank mine offers: so many negatives an object stands against.
_AN_OBJECT = 2.3
# One of so many pictures is kept in full, to fit the sieve and the pilot that thins out the others.
_PILOT_SHARE = 10


Posts = tuple[MLPClassifier, Mapping[str, Any]]


@dataclass(frozen=True)
class Gathered:
    """What a model is fitted on: examples, and the stage that chose the candidates among them.

    ``posts``, where a judge of posts learned through that very stage, is the judge and what the card says of it.
    """

    parts: Sequence[Examples]
    stage: FirstStage
    posts: Posts | None = None


@dataclass(frozen=True)
class Pictures:
    """What is drawn: scenes, and crops of photographs drawn into, of each style.

    The sieve and the judge of posts of an ``elder`` model are taken over, where one is given.
    """

    scenes: int
    crops: int
    elder: Model | None = None


def drawn_examples(name: str, photos: Sequence[Path], pictures: Pictures) -> Gathered:
    """Draw and search all pictures: the first in full, to fit the sieve, the others through it.

    With an elder all are searched through its sieve. Of what passes easy negatives are thinned out, by a pilot that is
    fitted on the first.
    """
    into = {path: _drawn_in(name, path.parent.name) for path in photos}
    todo, elder = tasks(BAND_SETS[name], pictures.scenes, into, pictures.crops), pictures.elder
    first, rest = todo[: len(todo) // _PILOT_SHARE], todo[len(todo) // _PILOT_SHARE :]
    stage = FirstStage(LEAST_STRENGTH[name]) if elder is None else first_stage(elder)
    posts = None if elder is None or elder.posts is None else (elder.posts, dict(elder.card["posts"]))
    with one_thread_each() as pool:
        parts = list(pool.map(partial(draw, stage=stage, pilot=None), first, chunksize=2))
    if elder is None:
        stage = FirstStage(LEAST_STRENGTH[name], *_sieve_of(name, parts))
        parts = [worth_measuring(part, stage) for part in parts]
    features = np.concatenate([part.features for part in parts]).astype(np.float32)
    positive = np.concatenate([part.codes for part in parts]) != NOTHING
    pilot = fit_pilot(features, positive, np.ones(len(positive)))
    parts = [thinned(part, pilot, number) for number, part in enumerate(parts)]
    with one_thread_each() as pool:
        parts += pool.map(partial(draw, stage=stage, pilot=pilot), rest, chunksize=2)
    return Gathered(parts, stage, posts)


def _drawn_in(name: str, site: str) -> tuple[str, ...]:
    """Bands that objects are drawn into photographs of a site in, for a model of this name.

    Natural colour stands for colour infrared, red for near infrared, in ground and objects alike: a near-infrared band
    made up for the ground alone shows every object by what the two do not have in common (docs/detection.md).
    """
    return BAND_SETS[name if OWN_BANDS.get(site) == name else "rgb"]


def _sieve_of(name: str, parts: Sequence[Examples]) -> tuple[MLPClassifier, float]:
    """Fit the sieve without photographs of sites, so that none has to be held out from it."""
    drawn = [part for part in parts if part.site not in OWN_BANDS]
    width = first_look_width(len(BAND_SETS[name]))
    looks = np.concatenate([part.features[:, :width] for part in drawn]).astype(np.float32)
    codes, objects = np.concatenate([part.codes for part in drawn]), numbered(drawn)
    pictures = np.repeat(np.arange(len(drawn)), [len(part.codes) for part in drawn]).astype(object)
    return fit_sieve(looks, weighed(np.ones(len(codes)), codes, objects), objects, pictures)


def weighed(
    weights: NDArray[np.float64], codes: NDArray[np.object_], objects: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Share the weight of each object out among its candidates.

    Parameters
    ----------
    weights : float array, shape (n,)
        How many candidates a row stands for.
    codes : object array, shape (n,)
    objects : int array, shape (n,)
        Number of the object a row lies on, -1 for none.
    """
    on = objects >= 0
    share = _AN_OBJECT / np.bincount(objects[on])[objects[on]]
    share[np.isin(codes[on], _BY_CANDIDATE)] = 1.0
    found = weights.copy()
    found[on] *= share * pd.Series(codes[on]).map(CLASS_WEIGHTS).fillna(1.0).to_numpy(float)
    return found
