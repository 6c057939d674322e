from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from survey.rounding import largest_remainder, largest_remainder_by_group

hectares = st.floats(0, 1e6, allow_nan=False)


@given(arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 8)), elements=hectares))
def test_parts_add_up_to_the_rounded_whole_and_move_by_less_than_a_unit(parts: np.ndarray) -> None:
    total = parts.sum(axis=1)
    rounded = largest_remainder(parts, total)
    assert np.abs(rounded.sum(axis=1) - np.round(total, 4)).max() < 1e-6
    assert np.abs(rounded - parts).max() <= 1e-4 + 1e-6
    assert (rounded >= 0).all()


@given(st.lists(st.tuples(st.integers(0, 4), hectares), max_size=30))
def test_parts_of_groups_add_up_to_their_groups(drawn: list[tuple[int, float]]) -> None:
    group = np.array([g for g, _ in drawn], dtype=np.int64)
    parts = np.array([p for _, p in drawn], dtype=float)
    total = np.bincount(group, weights=parts, minlength=5)
    rounded = largest_remainder_by_group(parts, group, total, decimals=2)
    sums = np.bincount(group, weights=rounded, minlength=5)
    assert np.abs(sums - np.round(total, 2)).max() < 1e-5
