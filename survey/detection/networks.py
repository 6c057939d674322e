"""Answers of small networks that are the same to the last bit whatever rows come together, on any processor.

A matrix product in floating point is rounded in an order that depends on the library, the processor and the place of a
row among the others; an object at a tile's edge would then depend on how the scene was cut. Here inputs and weights are
whole multiples of two powers of two, few enough that every sum of their products is exact, in any order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.neural_network import MLPClassifier

Doubles = NDArray[np.float64]

# Inputs are held to this magnitude once a column's largest weight is about 1: a network is saturated long before.
_FARTHEST = 2.0**6
# Bits of a double's whole numbers, and how those left by the number of terms are shared between inputs and weights.
_WHOLE_BITS = 53
_WEIGHT_BITS = 20


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
    values = features.astype(np.float64)
    for layer, (weights, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True)):
        if layer:
            np.maximum(values, 0, out=values)
        values = _exact_product(values, weights.astype(np.float64))
        values += bias.astype(np.float64)
    positive = np.asarray(expit(values[:, 0]))
    return np.column_stack([1 - positive, positive])


def is_exact(classifier: object) -> bool:
    """Whether a classifier is a network that :func:`network_answers` can ask."""
    return (
        isinstance(classifier, MLPClassifier)
        and classifier.activation == "relu"
        and getattr(classifier, "out_activation_", None) == "logistic"
        and classifier.n_outputs_ == 1
    )


def _exact_product(values: Doubles, weights: Doubles) -> Doubles:
    """Product of (n, k) and (k, m), of numbers that are rounded first so that no sum has to be."""
    # Powers of two, taken from weights alone: the same for every row, and multiplying by them rounds nothing.
    _, exponent = np.frexp(np.abs(weights).max(axis=1))
    scale = np.ldexp(1.0, exponent)
    weight_step = 2.0**-_WEIGHT_BITS
    input_bits = _WHOLE_BITS - _WEIGHT_BITS - int(np.ceil(np.log2(max(2, len(weights)))))
    input_step = 2 * _FARTHEST * 2.0**-input_bits
    inputs = values * scale
    np.clip(inputs, -_FARTHEST, _FARTHEST, out=inputs)
    inputs /= input_step
    np.rint(inputs, out=inputs)
    whole = np.rint(weights / scale[:, None] / weight_step)
    return (inputs @ whole) * (input_step * weight_step)
