from __future__ import annotations

import numpy as np
import pytest
from pictures import flat_disc, textured

from survey.detection.features import (
    MEASURES,
    compressed,
    edge_coherence,
    first_look_width,
    measure,
    parts_of,
    picture_width,
    ring_contrast,
    ring_spread,
    turned_detail,
)
from survey.detection.patches import detail_samples, patches_of, polar_samples

SIDE, MIDDLE, DIAMETER = 101, np.array([50.0]), 11.0


def picture():
    """A disc with a shadow on one side, on textured ground; three channels, odd sides."""
    pixels = np.moveaxis(textured(SIDE, SIDE, seed=2, discs=[(50, 50, 11)]), 0, -1).copy()
    pixels[45:56, 57:62] = 25
    return pixels


def patches_at(image, row=MIDDLE, col=MIDDLE):
    return patches_of(polar_samples(image, row, col, DIAMETER), detail_samples(image, row, col, DIAMETER))


def features_of(image, first=(1.0, 2.0, 3.0)):
    return measure(patches_at(image), np.array([first], np.float32))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_the_picture_by_quarters_turns_the_rings_and_leaves_the_features(turns):
    turned = np.ascontiguousarray(np.rot90(picture(), turns))
    patches, other = patches_at(picture()), patches_at(turned)
    assert np.array_equal(np.roll(patches.polar, -4 * turns, axis=2), other.polar)
    assert np.array_equal(np.roll(patches.detail, -6 * turns, axis=2), other.detail)
    assert np.allclose(features_of(picture()), features_of(turned), atol=1e-5, rtol=1e-5)


def test_a_disc_is_round_and_darker():
    image = np.repeat(flat_disc(SIDE, 50, 50, 11), 3, axis=2)
    patches = patches_at(image)
    contrast, spread = ring_contrast(patches).reshape(3, 7), ring_spread(patches).reshape(3, 8)
    assert (contrast[:, :3] < -10).all()
    assert np.allclose(contrast[:, 6], 0)
    # The edge itself is drawn in pixels, off the edge every ring is even.
    assert (spread[:, [0, 1, 5, 6, 7]] == 0).all()
    coherence = edge_coherence(patches).reshape(3, 6)
    assert (coherence[:, 2] > 0.9).all()


def test_gain_and_offset_of_contrast():
    # Brightness added everywhere changes nothing but rounding; that is what lets a model go to other grounds.
    image = picture()
    brighter = image + np.uint8(20)
    assert np.allclose(features_of(image), features_of(brighter), atol=0.05)


def test_more_places_than_one_call_of_the_sampler_takes():
    # OpenCV refuses maps of 32,767 rows and more: a researcher's measure is asked for all candidates of a tile at once.
    row, col = np.random.default_rng(0).integers(20, 80, (2, 40_000)).astype(float)
    samples = polar_samples(picture(), row, col, DIAMETER)
    assert len(samples) == 40_000
    last = slice(39_990, None)
    assert np.array_equal(samples[last], polar_samples(picture(), row[last], col[last], DIAMETER))


def test_one_row_a_candidate_whatever_the_batch():
    rng = np.random.default_rng(0)
    row, col = rng.integers(20, 80, (2, 50)).astype(float)
    image = picture()
    first = rng.normal(0, 1, (50, 3)).astype(np.float32)
    together = measure(patches_at(image, row, col), first)
    for i in range(0, 50, 7):
        one = slice(i, i + 1)
        alone = measure(patches_at(image, row[one], col[one]), first[one])
        assert alone.tobytes() == together[one].tobytes()
    assert together.dtype == np.float32
    assert np.isfinite(together).all()


def test_the_picture_comes_last():
    patches = patches_at(picture())
    shown = turned_detail(patches)
    assert picture_width(len(patches.detail)) == len(shown) > 0
    assert features_of(picture())[0, -len(shown) :] == pytest.approx(compressed(shown).ravel())


def test_no_candidate_and_one_channel():
    none = np.empty(0)
    image = picture()
    empty = measure(patches_at(image, none, none), np.empty((0, 3), np.float32))
    assert empty.shape == (0, features_of(image).shape[1])
    one = np.ascontiguousarray(image[..., :1])
    patches = patches_at(one)
    for function in MEASURES:
        assert np.isfinite(function(patches)).all()
    assert features_of(one, (1.0,)).shape[1] < empty.shape[1]


@pytest.mark.parametrize("channels", [1, 3])
def test_parts_of_features_are_those_that_change_with_their_channel(channels):
    image = picture()[..., :channels]
    first = np.zeros(first_look_width(channels))
    before = features_of(image, first)[0]
    parts, channel_of = parts_of(channels)
    assert len(parts) == len(before)
    assert sorted({*parts.tolist()}) == [-1, *range(len(channel_of))]
    assert (parts[first_look_width(channels) - 2 :][:2] == -1).all()
    # Colours do not turn the rings: a channel's own changes show in its own features alone.
    for channel in range(1, channels):
        other = image.copy()
        other[..., channel] = np.random.default_rng(1).integers(0, 256, image.shape[:2])
        changed = np.flatnonzero(features_of(other, first)[0] != before)
        assert {*channel_of[parts[changed]].tolist()} == {channel}
        assert len(changed) > 0.95 * (channel_of[parts[first_look_width(channels) :]] == channel).sum()
