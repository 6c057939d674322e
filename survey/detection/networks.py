"""Answers of small networks that are the same to the last bit whatever rows come together, on any processor.

A matrix product in floating point is rounded in an order that depends on the library, the processor and the place of a
row among the others; an object at a tile's edge would then depend on how the scene was cut. Here inputs and weights are
whole multiples of two powers of two, few enough that every sum of their products is exact, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

if TYPE_CHECKING:
    from sklearn.neural_network import MLPClassifier

Doubles = NDArray[np.float64]

# Inputs are held to this magnitude once a column's largest weight is about 1: a network is saturated long before.
_FARTHEST = 2.0**6
# Bits of a double's whole numbers, and how those left by the number of terms are shared between inputs and weights.
_WHOLE_BITS = 53
_WEIGHT_BITS = 20
# Rows that are asked about at once: few enough that they stay in the processor's cache from layer to layer.
_BATCH = 256

# Weights of a neuron that is never active shrink in training until they are below single precision's normal numbers:
# a product with such takes a hundred times as long, and adds nothing.
_NOTHING = 1e-20

ROUGH = 1e-3
"""Bound of what a rough answer is off by: a hundred times what was measured of the shipped networks."""


def network_answers(network: MLPClassifier, features: NDArray[np.float32]) -> Doubles:
    """Probabilities of the two classes, shape (n, 2).

    Parameters
    ----------
    network : MLPClassifier
        Of two classes, with rectified hidden neurons (scikit-learn's default).
    features : float32 array, shape (n, number of features)

    Notes
    -----
    Agrees with ``network.predict_proba`` to about 1e-5.
    """
    layers = [
        (_whole(weights.astype(np.float64)), bias.astype(np.float64))
        for weights, bias in zip(network.coefs_, network.intercepts_, strict=True)
    ]
    logits = np.empty(len(features))
    for start in range(0, len(features), _BATCH):
        rows = slice(start, start + _BATCH)
        values = _exact_product(features[rows], layers[0][0])
        values += layers[0][1]
        for whole, bias in layers[1:]:
            np.maximum(values, 0, out=values)
            values = _exact_product(values, whole)
            values += bias
        logits[rows] = values[:, 0]
    positive = np.asarray(expit(logits))
    return np.column_stack([1 - positive, positive])


def rough_answers(network: MLPClassifier, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of the second class, shape (n,), within :data:`ROUGH` of :func:`network_answers`.

    Three times as fast, in single precision: for what lies so far from a decision that no rounding matters.

    Parameters
    ----------
    network : MLPClassifier
        As of :func:`network_answers`.
    features : float32 array, shape (n, number of features)
    """
    layers = []
    for weights, bias in zip(network.coefs_, network.intercepts_, strict=True):
        whole = _whole(weights.astype(np.float64))
        farthest = np.minimum(whole.most / whole.input_scale, np.finfo(np.float32).max).astype(np.float32)
        near = np.where(np.abs(weights) < _NOTHING, 0, weights)
        layers.append((farthest, near.astype(np.float32), bias.astype(np.float32)))
    logits = np.empty(len(features), np.float32)
    for start in range(0, len(features), _BATCH):
        values = features[start : start + _BATCH]
        least = -layers[0][0]
        for farthest, weights, bias in layers:
            values = np.minimum(values, farthest)
            # What a hidden neuron is held to from below is nothing.
            values = np.maximum(values, least, out=values) @ weights
            values += bias
            least = np.zeros(1, np.float32)
        logits[start : start + _BATCH] = values[:, 0]
    return np.asarray(expit(logits))


def is_exact(classifier: object) -> TypeGuard[MLPClassifier]:
    """Whether a classifier is a network that :func:`network_answers` can ask."""
    # Whoever has one has loaded the library; whoever only plans need not wait for it.
    from sklearn.neural_network import MLPClassifier

    return (
        isinstance(classifier, MLPClassifier)
        and classifier.activation == "relu"
        and getattr(classifier, "out_activation_", None) == "logistic"
        and classifier.n_outputs_ == 1
    )


@dataclass(frozen=True)
class _Whole:
    """Weights of a layer as whole numbers, and what inputs are multiplied with, and held to, to be whole too."""

    weights: Doubles
    input_scale: Doubles
    most: float
    unit: float


def _whole(weights: Doubles) -> _Whole:
    """Round weights, shape (k, m), so that no sum of k products with rounded inputs has to be."""
    # Powers of two, taken from weights alone: the same for every row, and multiplying by them rounds nothing.
    _, exponent = np.frexp(np.abs(weights).max(axis=1))
    scale = np.ldexp(1.0, exponent)
    weight_step = 2.0**-_WEIGHT_BITS
    input_bits = _WHOLE_BITS - _WEIGHT_BITS - int(np.ceil(np.log2(max(2, len(weights)))))
    input_step = 2 * _FARTHEST * 2.0**-input_bits
    rounded = np.rint(weights / scale[:, None] / weight_step)
    return _Whole(rounded, scale / input_step, _FARTHEST / input_step, input_step * weight_step)


def _exact_product(values: NDArray[Any], layer: _Whole) -> Doubles:
    """Product of values, shape (n, k), and the weights of a layer."""
    inputs: Doubles = values * layer.input_scale
    # Twice as fast as numpy's clip.
    np.minimum(inputs, layer.most, out=inputs)
    np.maximum(inputs, -layer.most, out=inputs)
    np.rint(inputs, out=inputs)
    product: Doubles = inputs @ layer.weights
    product *= layer.unit
    return product
