from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import flat_disc, textured

from survey.detection.objects import Outline, outline_of, to_polygons


@settings(max_examples=40, deadline=None)
@given(st.floats(7.5, 14), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.sampled_from([30, 240]))
def test_the_outline_of_a_disc_is_as_large_and_lies_there(diameter, down, across, brightness):
    image = flat_disc(96, 47 + down, 44 + across, diameter, object_=brightness)
    outline = outline_of(image, 47, 44, diameter)
    polygon = to_polygons([outline])[0]
    assert polygon.area == pytest.approx(np.pi * diameter**2 / 4, rel=0.15)
    # Corner origin: the middle of pixel 47 is at 47.5.
    assert polygon.centroid.x == pytest.approx(44.5 + across, abs=0.4)
    assert polygon.centroid.y == pytest.approx(47.5 + down, abs=0.4)
    assert outline.width_px <= outline.length_px
    assert outline.length_px == pytest.approx(diameter, rel=0.2)


def test_a_bar_is_longer_than_wide():
    image = np.full((96, 96, 1), 140, np.uint8)
    image[46:51, 38:58] = 40
    outline = outline_of(image, 48, 48, 14.0)
    assert (outline.length_px, outline.width_px) == pytest.approx((20, 5), abs=1.3)
    assert to_polygons([outline])[0].area == pytest.approx(100, rel=0.15)


def test_where_nothing_can_be_cut_out_a_disc_of_the_size_stands():
    image = np.moveaxis(textured(96, 96, seed=1), 0, -1)
    image = np.concatenate([image[:, :48] // 4, image[:, 48:]], axis=1)  # an edge through the candidate
    outline = outline_of(np.ascontiguousarray(image), 48, 46, 10.0)
    assert (outline.length_px, outline.width_px) == (10.0, 10.0)
    assert to_polygons([outline])[0].area == pytest.approx(np.pi * 25, rel=0.03)
    assert to_polygons([outline])[0].centroid.coords[0] == pytest.approx((46.5, 48.5))


def test_at_the_corner_of_the_image():
    polygon = to_polygons([outline_of(flat_disc(40, 1, 1, 10), 1, 1, 10.0)])[0]
    assert polygon.is_valid
    assert polygon.area > 0


def test_a_ring_that_crosses_itself_becomes_valid():
    bow = Outline(np.array([[0.0, 0], [4, 4], [4, 0], [0, 5]]), 5, 4)
    polygon = to_polygons([bow])[0]
    assert polygon.is_valid
    assert polygon.area > 0
