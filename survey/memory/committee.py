"""A committee that says whether a candidate is a hazard object: boosted trees and small networks, averaged.

Trees read single measures well, networks read the picture in them (the turned detail); measured on held-out
ground, their mean is better than either (docs/detection.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import Bunch

Floats = NDArray[np.float32]

# scikit-learn bins by a sample of so many rows where there are more, and then without weights.
_MANY_ROWS = 200_000
_STEPS = 255

# What a fitted network keeps only to go on training: it doubles the file and answers nothing.
_ONLY_FOR_TRAINING = ("_optimizer", "_random_state", "loss_curve_", "best_loss_", "validation_scores_")


class Committee(BaseModel):
    """Who sits in a committee.

    Attributes
    ----------
    iterations, learning_rate, leaves, leaf_samples, l2, feature_share
        Of scikit-learn's HistGradientBoostingClassifier.
    networks : int
        Number of networks; 0 leaves the trees alone.
    hidden : tuple of int
        Neurons of each hidden layer of a network.
    epochs : int
    penalty : float
        L2 penalty on the weights of a network.
    trees_share : float
        Share of the vote that the trees have; the networks share the rest evenly.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    iterations: int = Field(default=200, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    leaves: int = Field(default=31, ge=2)
    leaf_samples: int = Field(default=30, ge=1)
    l2: float = Field(default=3.0, ge=0)
    feature_share: float = Field(default=0.15, gt=0, le=1)
    networks: int = Field(default=3, ge=0)
    hidden: tuple[int, ...] = (128, 64)
    epochs: int = Field(default=14, ge=1)
    penalty: float = Field(default=0.01, ge=0)
    trees_share: float = Field(default=0.5, gt=0, le=1)


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
    return trees.fit(_on_steps(features), classes, sample_weight=weights)


def _on_steps(features: Floats) -> Floats:
    """Move each measure to the nearest of at most 255 of its own quantiles.

    The trees bin their inputs so in any case; but the weighted quantiles scikit-learn takes of fewer than 200,000
    rows cost it more than the trees do (47 s of 50 s for 20,000 rows of 555 measures).
    """
    if len(features) > _MANY_ROWS:
        return features
    shares = (np.arange(_STEPS) + 0.5) / _STEPS
    moved = np.empty_like(features)
    for column, values in enumerate(features.T):
        steps = np.unique(np.quantile(values, shares, method="inverted_cdf"))
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
    members: list[Any] = [fit_trees(features, positive, weights, settings, seed)]
    if settings.networks:
        centre, scale = _scaling(features, weights)
        scaled = (features - centre) / scale
        for number in range(settings.networks):
            members.append(_network(scaled, positive, weights, settings, seed + 1 + number))
            _fold_scaling(members[-1], centre, scale)
    return seated(members, settings.trees_share)


def _network(
    scaled: Floats, positive: NDArray[np.int64], weights: NDArray[np.float64], settings: Committee, seed: int
) -> MLPClassifier:
    network = MLPClassifier(
        settings.hidden,
        alpha=settings.penalty,
        # Small tables are seen in small batches, or there would be few steps to learn by.
        batch_size=int(np.clip(len(scaled) // 20, 16, 256)),
        learning_rate_init=1e-3,
        max_iter=settings.epochs,
        n_iter_no_change=settings.epochs + 1,
        random_state=seed,
    )
    # All epochs are always run: fit() would warn that it has not converged, partial_fit() does one epoch a call.
    for epoch in range(settings.epochs):
        if epoch == round(0.6 * settings.epochs):
            network.set_params(learning_rate_init=2e-4)
            network._optimizer.learning_rate_init = network._optimizer.learning_rate = 2e-4
        network.partial_fit(scaled, positive, classes=[0, 1], sample_weight=weights.astype(scaled.dtype))
    return network


def _scaling(features: Floats, weights: NDArray[np.float64]) -> tuple[Floats, Floats]:
    share = (weights / weights.sum()).astype(np.float32)
    centre = share @ features
    spread = np.sqrt(np.maximum(share @ features**2 - centre**2, 0))
    return centre, np.where(spread > 1e-3, spread, 1).astype(np.float32)


def _fold_scaling(network: MLPClassifier, centre: Floats, scale: Floats) -> None:
    """Let the first layer scale its inputs itself, and drop what answers nothing."""
    first = network.coefs_[0] / scale[:, None]
    network.intercepts_[0] = (network.intercepts_[0] - centre @ first).astype(np.float32)
    network.coefs_[0] = first.astype(np.float32)
    for name in _ONLY_FOR_TRAINING:
        if hasattr(network, name):
            delattr(network, name)


def seated(members: Sequence[Any], trees_share: float) -> VotingClassifier:
    """Let fitted members vote: trees first, then networks.

    Parameters
    ----------
    members : sequence of fitted classifiers of classes 0 and 1
    trees_share : float
        Share of the vote that the trees have where there are networks.
    """
    named = [("trees", FrozenEstimator(members[0]))]
    named += [(f"network_{i}", FrozenEstimator(member)) for i, member in enumerate(members[1:], 1)]
    networks = len(members) - 1
    weights = [trees_share if networks else 1.0] + [(1 - trees_share) / networks for _ in members[1:]]
    vote = VotingClassifier(named, voting="soft", weights=weights, n_jobs=1)
    # The members are fitted; what fit() would add is set here, so that no row is looked at twice.
    vote.estimators_ = [member for _, member in named]
    vote.named_estimators_ = Bunch(**dict(named))
    vote.le_ = LabelEncoder().fit([0, 1])
    vote.classes_ = vote.le_.classes_
    return vote
