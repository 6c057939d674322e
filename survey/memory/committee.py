"""A committee that says whether a candidate is a hazard object: boosted trees and small networks, averaged.

Trees read single measures well, networks read the picture in them (the turned detail); measured on held-out
ground, their mean is better than either (docs/detection.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import Bunch

from survey.memory.at_once import at_once

Floats = NDArray[np.float32]

# scikit-learn bins by a sample of so many rows where there are more, and then without weights.
_MANY_ROWS = 200_000
_STEPS = 255
_USUAL_BATCH = 256
_USUAL_STEP = 1e-3
_TRACE = 1e-20
_ROWS = 100_000

# What a fitted network keeps only to go on training: it doubles the file and answers nothing.
_ONLY_FOR_TRAINING = ("_optimizer", "_random_state", "loss_curve_", "best_loss_", "validation_scores_")


class Committee(BaseModel):
    """Who sits in a committee.

    Attributes
    ----------
    iterations, learning_rate, leaves, leaf_samples, l2, feature_share
        Of scikit-learn's HistGradientBoostingClassifier; 0 iterations leave the networks alone.
    trees_read : int
        Leading features that the trees read; 0: all. The picture of a candidate comes last, which trees can do without.
    networks : int
        Number of networks; 0 leaves the trees alone.
    hidden : tuple of int
        Neurons of each hidden layer of a network.
    epochs : int
    batch : int
        Most rows that a network sees between two steps; it steps further where that is more than 256.
    penalty : float
        L2 penalty on the weights of a network.
    trees_share : float
        Share of the vote that the trees have; the networks share the rest evenly.
    starts : tuple of MLPClassifier
        Fitted networks of the same features, in turn the beginning of each network in place of chance: what they
        learned of other objects is then not learned again from a few dozen. They are no part of what is written down.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    iterations: int = Field(default=200, ge=0)
    learning_rate: float = Field(default=0.1, gt=0)
    leaves: int = Field(default=31, ge=2)
    leaf_samples: int = Field(default=30, ge=1)
    l2: float = Field(default=3.0, ge=0)
    feature_share: float = Field(default=0.15, gt=0, le=1)
    trees_read: int = Field(default=0, ge=0)
    networks: int = Field(default=3, ge=0)
    hidden: tuple[int, ...] = (128, 64)
    epochs: int = Field(default=14, ge=1)
    batch: int = Field(default=_USUAL_BATCH, ge=16)
    penalty: float = Field(default=0.01, ge=0)
    trees_share: float = Field(default=0.5, gt=0, le=1)
    starts: tuple[MLPClassifier, ...] = Field(default=(), exclude=True, repr=False)

    @property
    def members(self) -> int:
        """Number of members."""
        return bool(self.iterations) + self.networks


def fit_trees(
    features: Floats,
    classes: NDArray[Any],
    weights: NDArray[np.float64],
    settings: Committee,
    seed: int,
) -> HistGradientBoostingClassifier:
    """Fit boosted trees.

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
    classes : array, shape (n,)
    weights : float array, shape (n,)
    settings : Committee
    seed : int
    """
    trees = HistGradientBoostingClassifier(
        max_iter=settings.iterations,
        learning_rate=settings.learning_rate,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.leaf_samples,
        l2_regularization=settings.l2,
        max_features=settings.feature_share,
        early_stopping=False,
        random_state=seed,
    )
    width = features.shape[1]
    read = min(settings.trees_read or width, width)
    trees.fit(_on_steps(features[:, :read]), classes, sample_weight=weights)
    # Whoever asks them hands in whole rows; they look at the features they have learned by, which come first.
    trees.n_features_in_ = trees._n_features = width
    return trees


def _on_steps(features: Floats) -> Floats:
    """Move each measure to the nearest of at most 255 of its own quantiles.

    The trees bin their inputs so in any case; but the weighted quantiles scikit-learn takes of fewer than 200,000
    rows cost it more than the trees do (47 s of 50 s for 20,000 rows of 555 measures).
    """
    if len(features) > _MANY_ROWS:
        return features
    # The least value that a share of all do not exceed; sorting costs a tenth of numpy's quantiles.
    places = np.ceil((np.arange(_STEPS) + 0.5) / _STEPS * len(features)).astype(np.int64) - 1
    moved = np.empty_like(features)
    for column, values in enumerate(features.T):
        steps = np.unique(np.sort(values)[places])
        moved[:, column] = steps[np.searchsorted((steps[1:] + steps[:-1]) / 2, values)]
    return moved


def fit_committee(
    features: Floats,
    positive: NDArray[np.int64],
    weights: NDArray[np.float64],
    settings: Committee,
    seed: int,
) -> VotingClassifier:
    """Fit every member and seat them.

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
    positive : int array of 0 and 1, shape (n,)
    weights : float array, shape (n,)
    settings : Committee
    seed : int

    Returns
    -------
    VotingClassifier
        Soft vote of the trees and the networks; classes 0 and 1.
    """
    return seated(at_once(member_fits(features, positive, weights, settings, seed)), settings.trees_share)


def member_fits(
    features: Floats,
    positive: NDArray[np.int64],
    weights: NDArray[np.float64],
    settings: Committee,
    seed: int,
) -> list[Callable[[], Any]]:
    """Fits of the members, each to be called; parameters as of :func:`fit_committee`."""
    table = features, positive, weights, settings
    networks = [partial(fit_network, *table, seed + 1 + number) for number in range(settings.networks)]
    return [partial(fit_trees, *table, seed), *networks] if settings.iterations else list(networks)


def fit_network(
    features: Floats, positive: NDArray[np.int64], weights: NDArray[np.float64], settings: Committee, seed: int
) -> MLPClassifier:
    """Fit one network; its first layer scales the features itself. Parameters as of :func:`fit_committee`."""
    centre, scale = _scaling(features, weights)
    scaled = features - centre
    scaled /= scale
    network = _untaught(len(scaled), settings, seed)
    if settings.starts:
        rows = slice(network.batch_size)
        network.partial_fit(scaled[rows], positive[rows], classes=[0, 1])
        _begin_with(network, settings.starts[seed % len(settings.starts)], centre, scale)
    _teach(network, scaled, positive, weights.astype(scaled.dtype))
    _fold_scaling(network, centre, scale)
    return network


def _untaught(count: int, settings: Committee, seed: int) -> MLPClassifier:
    # Small tables are seen in small batches, or there would be few steps to learn by.
    batch = int(np.clip(count // 20, 16, settings.batch))
    return MLPClassifier(
        settings.hidden,
        alpha=settings.penalty,
        batch_size=batch,
        # The mean of more rows is surer of its direction: steps grow with the root of their number.
        learning_rate_init=_USUAL_STEP * float(np.sqrt(max(1.0, batch / _USUAL_BATCH))),
        max_iter=settings.epochs,
        n_iter_no_change=settings.epochs + 1,
        random_state=seed,
    )


def _teach(network: MLPClassifier, scaled: Floats, positive: NDArray[np.int64], weights: NDArray[Any]) -> None:
    # All epochs are always run: fit() would warn that it has not converged, partial_fit() does one epoch a call.
    small = network.learning_rate_init / 5
    for epoch in range(network.max_iter):
        if epoch == round(0.6 * network.max_iter):
            network.set_params(learning_rate_init=small)
            network._optimizer.learning_rate_init = network._optimizer.learning_rate = small
        network.partial_fit(scaled, positive, classes=[0, 1], sample_weight=weights)
        _without_traces(network)


def _without_traces(network: MLPClassifier) -> None:
    """Set weights to nothing that have shrunk below what single precision can hold with all its digits.

    The penalty does so to those of a neuron that is never active, and a product with one takes a hundred times as long.
    """
    for weights in network.coefs_:
        weights[np.abs(weights) < _TRACE] = 0


def _begin_with(network: MLPClassifier, start: MLPClassifier, centre: Floats, scale: Floats) -> None:
    """Give a network that has seen some rows the layers of another, for features that are scaled now."""
    layers, biases = list(start.coefs_), list(start.intercepts_)
    biases[0] = biases[0] + centre @ layers[0]
    layers[0] = layers[0] * scale[:, None]
    for own, other in zip((*network.coefs_, *network.intercepts_), (*layers, *biases), strict=True):
        own[...] = other
    _without_traces(network)
    del network._optimizer  # it has followed other weights; the next epoch makes a new one


def _scaling(features: Floats, weights: NDArray[np.float64]) -> tuple[Floats, Floats]:
    share = (weights / weights.sum()).astype(np.float32)
    centre = share @ features
    # Some rows at a time: the squares of a large table are as large as it.
    parts = (slice(start, start + _ROWS) for start in range(0, len(features), _ROWS))
    squares = sum((share[rows] @ features[rows] ** 2 for rows in parts), np.zeros(features.shape[1], np.float32))
    spread = np.sqrt(np.maximum(squares - centre**2, 0))
    return centre, np.where(spread > 1e-3, spread, 1).astype(np.float32)


def _fold_scaling(network: MLPClassifier, centre: Floats, scale: Floats) -> None:
    """Let the first layer scale its inputs itself, and drop what answers nothing."""
    first = network.coefs_[0] / scale[:, None]
    network.intercepts_[0] = (network.intercepts_[0] - centre @ first).astype(np.float32)
    network.coefs_[0] = first.astype(np.float32)
    for name in _ONLY_FOR_TRAINING:
        if hasattr(network, name):
            delattr(network, name)


def networks_of(committee: Any) -> tuple[MLPClassifier, ...]:
    """Networks that sit in a fitted committee; none where it is another classifier."""
    members = [getattr(one, "estimator", one) for one in getattr(committee, "estimators_", ())]
    return tuple(one for one in members if isinstance(one, MLPClassifier))


def seated(members: Sequence[Any], trees_share: float) -> VotingClassifier:
    """Let fitted members vote: trees first, where there are any, then networks.

    Parameters
    ----------
    members : sequence of fitted classifiers of classes 0 and 1
    trees_share : float
        Share of the vote that the trees have where there are networks too.
    """
    trees = [member for member in members if not isinstance(member, MLPClassifier)]
    networks = [member for member in members if isinstance(member, MLPClassifier)]
    of_trees = trees_share if trees and networks else float(bool(trees))
    weights = [of_trees / len(trees)] * len(trees) if trees else []
    weights += [(1 - of_trees) / len(networks)] * len(networks) if networks else []
    named = [("trees" if i == 1 else f"trees_{i}", FrozenEstimator(member)) for i, member in enumerate(trees, 1)]
    named += [(f"network_{i}", FrozenEstimator(member)) for i, member in enumerate(networks, 1)]
    vote = VotingClassifier(named, voting="soft", weights=weights, n_jobs=1)
    # The members are fitted; what fit() would add is set here, so that no row is looked at twice.
    vote.estimators_ = [member for _, member in named]
    vote.named_estimators_ = Bunch(**dict(named))
    vote.le_ = LabelEncoder().fit([0, 1])
    vote.classes_ = vote.le_.classes_
    return vote
