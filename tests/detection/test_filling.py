import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from survey.detection import filling
from survey.detection.filling import fill_invalid

BLOCK = 8


def noise(rows, cols, bands=2):
    return np.random.default_rng(5).integers(0, 256, (bands, rows, cols)).astype(np.uint8)


def with_gaps(rows, cols, seed):
    """Return a mask with a frame's edge, a jagged one, a hole of a pixel and a wide one."""
    rng = np.random.default_rng(seed)
    valid = np.ones((rows, cols), bool)
    valid[: rng.integers(0, 2 * BLOCK)] = False
    for row, width in enumerate(rng.integers(0, 3 * BLOCK, rows)):
        valid[row, cols - width :] = False
    row, col = rng.integers(0, rows - 20), rng.integers(0, cols - 20)
    valid[row : row + 20, col : col + 14] = False
    valid[rng.random(valid.shape) < 0.01] = False
    return valid


def test_nothing_is_copied_where_all_is_valid():
    pixels = noise(16, 16)
    assert fill_invalid(pixels, np.ones((16, 16), bool), BLOCK) is pixels


@pytest.mark.parametrize("seed", range(4))
def test_an_invalid_pixel_takes_the_value_of_the_nearest_valid_one(seed):
    valid = with_gaps(64, 72, seed)
    number = np.arange(64 * 72).reshape(64, 72)
    pixels = np.stack([number // 256, number % 256]).astype(np.uint8) * valid
    filled = fill_invalid(pixels, valid, BLOCK).astype(int)
    assert np.array_equal(filled[:, valid], pixels[:, valid])
    places = np.argwhere(valid)
    reached = 0
    for row, col in np.argwhere(~valid):
        nearest = np.hypot(*(places - (row, col)).T).min()
        if nearest <= 0.9 * BLOCK:
            taken = divmod(filled[0, row, col] * 256 + filled[1, row, col], 72)
            assert valid[taken]
            assert np.hypot(taken[0] - row, taken[1] - col) <= 1.05 * nearest
            reached += 1
    assert reached > 100


def test_what_crosses_the_edge_of_an_image_goes_on_beyond_it():
    pixels = np.full((1, 48, 48), 90, np.uint8)
    pixels[:, 20:24, :] = 200
    valid = np.zeros((48, 48), bool)
    valid[:, 16:] = True
    filled = fill_invalid(pixels * valid, valid, BLOCK)
    assert (filled[0, 20:24, 8:] == 200).all()
    assert (filled[0, :20, 8:] == 90).all()


def test_far_from_what_was_seen_it_is_a_mean_of_it_and_a_middle_grey_beyond():
    pixels = noise(64, 64, bands=1)
    valid = np.ones((64, 64), bool)
    valid[30:, 30:] = False
    filled = fill_invalid(pixels * valid, valid, 16)
    assert filled[0, 45, 47] == pixels[0, 29, 47]
    around = pixels[0, 16:64, 16:64][valid[16:64, 16:64]].mean()
    # A block with nothing valid takes its neighbours'; one with none around it either a middle grey.
    assert filled[0, 47, 47] == pytest.approx(around, abs=1.01)
    assert (filled[0, 48:, 48:] == 128).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.tuples(*[st.integers(1, 6)] * 2), st.tuples(*[st.integers(1, 3)] * 2))
def test_it_is_the_same_through_any_window_one_block_wider(seed, first, size):
    valid = with_gaps(80, 96, seed)
    pixels = noise(80, 96) * valid
    whole = fill_invalid(pixels, valid, BLOCK)
    rows, cols = (slice(BLOCK * a, BLOCK * (a + n)) for a, n in zip(first, size, strict=True))
    wide = tuple(slice(one.start - BLOCK, one.stop + BLOCK) for one in (rows, cols))
    part = fill_invalid(np.ascontiguousarray(pixels[:, *wide]), np.ascontiguousarray(valid[wide]), BLOCK)
    assert np.array_equal(part[:, BLOCK:-BLOCK, BLOCK:-BLOCK], whole[:, rows, cols])


def test_gaps_at_an_edge_are_filled_as_if_all_of_the_image_were_looked_at(monkeypatch):
    pixels = noise(160, 192)
    valid = np.ones((160, 192), bool)
    valid[:21] = False
    valid[40:, -37:] = False
    valid[70, 5] = False
    dirty = pixels * valid
    filled = fill_invalid(dirty, valid, BLOCK)
    monkeypatch.setattr(filling, "_FEW_RECTANGLES", 0)
    assert np.array_equal(filled, fill_invalid(dirty, valid, BLOCK))
