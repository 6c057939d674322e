from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from survey.detection.networks import ROUGH, is_exact, network_answers, rough_answers


@pytest.fixture(scope="module")
def asked():
    rng = np.random.default_rng(0)
    features = rng.normal(0, 1, (4000, 60)).astype(np.float32)
    features[:, 3] *= 1000
    network = MLPClassifier((48, 16), max_iter=4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.fit(features / np.where(np.arange(60) == 3, 1000, 1), features[:, 0] + features[:, 1] > 0)
    # Measures come as they are; the first layer scales them.
    network.coefs_[0][3] /= 1000
    return network, features


def test_it_answers_as_scikit_learn_does(asked):
    network, features = asked
    assert np.allclose(network_answers(network, features), network.predict_proba(features), atol=2e-5)


def test_a_rough_answer_is_near(asked):
    network, features = asked
    far = np.concatenate([features, 1e6 * features[:50]])
    off = np.abs(rough_answers(network, far) - network_answers(network, far)[:, 1])
    assert off.max() < ROUGH / 10
    assert rough_answers(network, features[:0]).shape == (0,)


def test_weights_that_are_hardly_numbers_change_no_rough_answer(asked):
    network, features = asked
    idle = copy.deepcopy(network)
    # As training leaves a neuron that is never active: it is told nothing, and tells nothing.
    idle.coefs_[0][:, 7], idle.intercepts_[0][7], idle.coefs_[1][7] = 0, 0.5, 1e-39
    off = np.abs(rough_answers(idle, features) - network_answers(idle, features)[:, 1])
    assert (idle.coefs_[1][7] > 0).all()
    assert off.max() < ROUGH / 10


def test_an_answer_is_the_same_to_the_last_bit_alone_and_among_others(asked):
    network, features = asked
    together = network_answers(network, features)
    for rows in (slice(0, 1), slice(5, 6), slice(17, 700), slice(1023, 1026), slice(None, None, 3)):
        assert network_answers(network, features[rows]).tobytes() == together[rows].tobytes()
    turned = network_answers(network, np.asfortranarray(features))
    assert turned.tobytes() == together.tobytes()


def test_far_values_are_held(asked):
    network, features = asked
    far = features[:1].copy()
    far[0, 0] = 1e12
    assert np.isfinite(network_answers(network, far)).all()


def test_what_can_be_asked_exactly(asked):
    network, features = asked
    assert is_exact(network)
    assert not is_exact(MLPClassifier())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        three = MLPClassifier((4,), max_iter=2).fit(features[:90], np.arange(90) % 3)
        tanh = MLPClassifier((4,), max_iter=2, activation="tanh").fit(features[:90], np.arange(90) % 2)
    assert not is_exact(three)
    assert not is_exact(tanh)
