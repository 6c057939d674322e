from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import textured

from survey.detection.channels import channels_of, pyramid


def test_one_band_stays_as_it_is_and_grey_has_no_colour():
    one = textured(16, 24, bands=1)
    assert np.array_equal(channels_of(one)[..., 0], one[0])
    grey = np.repeat(one, 3, axis=0)
    made = channels_of(grey)
    assert np.array_equal(made[..., 0], one[0])
    assert (made[..., 1:] == 128).all()


def test_opponent_colours():
    red, blue = np.zeros((3, 1, 1), np.uint8), np.zeros((3, 1, 1), np.uint8)
    red[0], blue[2] = 160, 160
    assert channels_of(red)[0, 0].tolist() == [40, 248, 188]
    assert channels_of(blue)[0, 0].tolist() == [40, 128, 8]


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.integers(0, 6)] * 2), st.tuples(*[st.integers(1, 4)] * 2))
def test_octaves_are_the_same_through_any_window_on_multiples(first, size):
    whole = pyramid(channels_of(textured(160, 160)), 2)
    rows, cols = (slice(16 * a, 16 * (a + n)) for a, n in zip(first, size, strict=True))
    part = pyramid(whole[0][rows, cols], 2)
    for octave, image in part.items():
        r, c = (slice(s.start >> octave, s.stop >> octave) for s in (rows, cols))
        assert np.array_equal(image, whole[octave][r, c])


def test_an_octave_is_the_rounded_mean():
    image = channels_of(textured(32, 48))
    mean = image.reshape(16, 2, 24, 2, 3).mean(axis=(1, 3))
    assert np.abs(pyramid(image, 1)[1] - mean).max() <= 0.5
