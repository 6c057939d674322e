from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from survey.detection.scales import (
    FEWEST_PIXELS_ACROSS,
    LADDER_M,
    PIXELS_ACROSS,
    REACH_IN_DIAMETERS,
    nearest_scale,
    plan_passes,
)

ladders = st.lists(st.sampled_from(LADDER_M), min_size=1, unique=True)


def test_the_ladder_rises_by_the_root_of_two():
    for low, high in pairwise(LADDER_M):
        assert high / low == pytest.approx(math.sqrt(2), rel=2e-3)


@given(st.floats(0.06, 15))
def test_the_nearest_step_is_no_further_than_half_a_step(diameter):
    assert abs(math.log2(nearest_scale(diameter) / diameter)) <= 0.2502


@given(st.floats(0.005, 2.0), ladders)
def test_each_size_that_is_resolved_is_sought_once_at_a_good_size(gsd, ladder):
    passes = plan_passes(gsd, {"a": ladder[:1], "b": ladder})
    sought = [diameter for one in passes for _, _, diameter in one.scales]
    assert sorted(sought) == sorted(size for size in ladder if size / gsd >= FEWEST_PIXELS_ACROSS)
    for one in passes:
        assert one.gsd_m == gsd * 2**one.level
        for octave, across, diameter in one.scales:
            assert across == pytest.approx(diameter / (one.gsd_m * 2**octave))
            assert FEWEST_PIXELS_ACROSS <= across < 2 * PIXELS_ACROSS + 1e-6
            assert one.multiple % (8 * 2**octave) == 0
            assert one.halo >= REACH_IN_DIAMETERS * across * 2**octave
    assert [one.finest for one in passes] == [True] + [False] * (len(passes) - 1) if passes else True
    assert [one.level for one in passes] == sorted({one.level for one in passes})


def test_imagery_too_coarse_has_no_pass():
    assert plan_passes(1.0, {"a": (0.06, 0.12)}) == ()
