from __future__ import annotations

import numpy as np
import pytest
from pictures import flat_disc, textured

from survey.detection.features import (
    MEASURES,
    detail_patches,
    edge_coherence,
    measure,
    polar_patches,
    ring_contrast,
    ring_spread,
)

SIDE, MIDDLE, DIAMETER = 101, np.array([50.0]), 11.0


def picture():
    """A disc with a shadow on one side, on textured ground; three channels, odd sides."""
    pixels = np.moveaxis(textured(SIDE, SIDE, seed=2, discs=[(50, 50, 11)]), 0, -1).copy()
    pixels[45:56, 57:62] = 25
    return pixels


def patches_of(image):
    return polar_patches(image, MIDDLE, MIDDLE, DIAMETER), detail_patches(image, MIDDLE, MIDDLE, DIAMETER)


def features_of(image, contrast=(1.0, 2.0, 3.0)):
    patch, detail = patches_of(image)
    return measure(patch, detail, np.array([contrast], np.float32), (0.24, DIAMETER))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_the_picture_by_quarters_turns_the_rings_and_leaves_the_features(turns):
    turned = np.ascontiguousarray(np.rot90(picture(), turns))
    (patch, detail), (other, other_detail) = patches_of(picture()), patches_of(turned)
    assert np.array_equal(np.roll(patch, -4 * turns, axis=3), other)
    assert np.array_equal(np.roll(detail, -6 * turns, axis=3), other_detail)
    assert np.allclose(features_of(picture()), features_of(turned), atol=1e-5, rtol=1e-5)


def test_a_disc_is_round_and_darker():
    image = np.repeat(flat_disc(SIDE, 50, 50, 11), 3, axis=2)
    patch, _ = patches_of(image)
    contrast, spread = ring_contrast(patch).reshape(3, 7), ring_spread(patch).reshape(3, 8)
    assert (contrast[:, :3] < -10).all()
    assert np.allclose(contrast[:, 6], 0)
    # The edge itself is drawn in pixels, off the edge every ring is even.
    assert (spread[:, [0, 1, 5, 6, 7]] == 0).all()
    coherence = edge_coherence(patch).reshape(3, 6)
    assert (coherence[:, 2] > 0.9).all()


def test_gain_and_offset_of_contrast():
    # Brightness added everywhere changes nothing but rounding; that is what lets a model go to other grounds.
    image = picture()
    brighter = image + np.uint8(20)
    assert np.allclose(features_of(image), features_of(brighter), atol=0.05)


def test_one_row_a_candidate_whatever_the_batch():
    rng = np.random.default_rng(0)
    row, col = rng.integers(20, 80, (2, 50)).astype(float)
    image = picture()
    contrast = rng.normal(0, 1, (50, 3)).astype(np.float32)
    patch, detail = polar_patches(image, row, col, DIAMETER), detail_patches(image, row, col, DIAMETER)
    together = measure(patch, detail, contrast, (0.24, DIAMETER))
    for i in range(0, 50, 7):
        one = slice(i, i + 1)
        alone = measure(patch[one], detail[one], contrast[one], (0.24, DIAMETER))
        assert alone.tobytes() == together[one].tobytes()
    assert together.dtype == np.float32
    assert np.isfinite(together).all()


def test_no_candidate_and_one_channel():
    none = np.empty(0)
    image = picture()
    empty = measure(
        polar_patches(image, none, none, DIAMETER), detail_patches(image, none, none, DIAMETER),
        np.empty((0, 3), np.float32), (0.24, DIAMETER),
    )  # fmt: skip
    assert empty.shape == (0, features_of(image).shape[1])
    one = np.ascontiguousarray(image[..., :1])
    patch, _ = patches_of(one)
    for function in MEASURES:
        assert np.isfinite(function(patch)).all()
    assert features_of(one, (1.0,)).shape[1] < empty.shape[1]
