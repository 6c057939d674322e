from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import flat_disc, textured

import survey.detection.search as searching
from survey.detection.candidates import finer_pixels, peaks_of, strength_of
from survey.detection.features import first_look_width
from survey.detection.scales import plan_passes
from survey.detection.search import FirstStage, nudged, octaves_of, search, search_passes, search_picture
from survey.memory.committee import Committee, fit_network

GSD, SIDE, STAGE = 0.03, 480, FirstStage(0.8)
SCALES = {"small": (0.24,), "large": (0.48,)}
(PASS,) = plan_passes(GSD, SCALES)
DISCS = [(60, 70, 8), (200, 133, 16), (310, 402, 9), (420, 60, 15), (5, 240, 8), (240, 240, 16)]


def scene():
    pixels = textured(SIDE, SIDE, seed=5, discs=DISCS)
    valid = np.ones((SIDE, SIDE), bool)
    valid[330:380, 150:260] = False
    pixels[:, ~valid] = 0
    return pixels, valid


def look(row0, row1, col0, col1, stage=STAGE):
    """Candidates of a core, through the window a tile would read."""
    pixels, valid = scene()
    halo, multiple = PASS.halo, PASS.multiple
    top, left = ((edge - halo) // multiple * multiple for edge in (row0, col0))
    bottom, right = (-(-(edge + halo) // multiple) * multiple for edge in (row1, col1))
    far = 512
    margins = ((far, far), (far, far))
    window = (slice(top + far, bottom + far), slice(left + far, right + far))
    part, seen = np.pad(pixels, ((0, 0), *margins))[:, window[0], window[1]], np.pad(valid, margins)[window]
    return search(octaves_of(part, seen, PASS), seen, (top, left), (row0, row1, col0, col1), PASS, stage)


@pytest.fixture(scope="module")
def whole():
    return look(0, SIDE, 0, SIDE)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.integers(0, SIDE - 1)] * 2), st.tuples(*[st.integers(1, 300)] * 2))
def test_candidates_and_features_are_the_same_bits_through_any_window(whole, corner, size):
    row0, col0 = corner
    row1, col1 = min(SIDE, row0 + size[0]), min(SIDE, col0 + size[1])
    part = look(row0, row1, col0, col1)
    row, col = whole.level_pixel()
    same = whole.take((row >= row0) & (row < row1) & (col >= col0) & (col < col1))
    for name, values in vars(part).items():
        assert values.tobytes() == getattr(same, name).tobytes(), name


def test_each_disc_is_a_candidate_at_its_size_and_nothing_invalid_is(whole):
    row, col = whole.level_pixel()
    for r, c, diameter in DISCS:
        near = np.hypot(row - r, col - c) <= 2.5
        fits = np.isclose(whole.diameter_m, 0.24 if diameter < 12 else 0.48)
        assert (near & fits).any(), (r, c)
    assert len(row) > len(DISCS)
    assert scene()[1][row, col].all()


def test_a_sieve_drops_candidates_and_changes_no_other(whole):
    first = whole.features[:, : first_look_width(3)]
    darker = first[:, 0] < np.median(first[:, 0])
    sieve = fit_network(first, darker.astype(np.int64), np.ones(len(first)), Committee(hidden=(8,), epochs=30), 0)
    stage = FirstStage(STAGE.strength, sieve, 0.5)
    kept = whole.take(stage.keeps(whole.features))
    assert 0.2 < len(kept.row) / len(whole.row) < 0.8
    assert darker[stage.keeps(whole.features)].mean() > 0.8
    sieved = look(0, SIDE, 0, SIDE, stage)
    for name, values in vars(sieved).items():
        assert values.tobytes() == getattr(kept, name).tobytes(), name


def test_a_nudged_candidate_is_measured_beside_its_place(whole, monkeypatch):
    (seen,) = search_passes(*scene(), GSD, SCALES, STAGE)
    assert seen.found.features.tobytes() == whole.features.tobytes()
    count = len(whole.row)
    as_it_lies = ((0.0, 0.0, 1.0),)
    monkeypatch.setattr(searching, "NUDGES", as_it_lies)
    assert nudged(seen.octaves, seen.found, seen.corner, np.zeros(count, int)).tobytes() == whole.features.tobytes()
    # As far again: a step of one whole pixel is the look of a candidate that lies there.
    one = whole.take(np.array([0]))
    step = 1 / float(one.diameter_px[0])
    monkeypatch.setattr(searching, "NUDGES", (*as_it_lies, (step, 0.0, 1.0), (0.0, 0.0, 1.25)))
    below = replace(one, row=one.row + 1)
    moved = nudged(seen.octaves, one, seen.corner, np.array([1]))
    assert moved.tobytes() == nudged(seen.octaves, below, seen.corner, np.array([0])).tobytes()
    larger = nudged(seen.octaves, one, seen.corner, np.array([2]))
    first = first_look_width(3)
    for look in (moved, larger):
        assert look[:, :first].tobytes() == one.features[:, :first].tobytes()
        assert not np.allclose(look[:, first:], one.features[:, first:], atol=0.01)


def test_a_picture_in_memory_gives_the_same_candidates(whole):
    found, x, y = search_picture(*scene(), GSD, SCALES, STAGE)
    assert found.features.tobytes() == whole.features.tobytes()
    row, col = whole.level_pixel()
    assert np.allclose(x, (col + 0.5) * GSD)
    assert np.allclose(y, (row + 0.5) * GSD)


@pytest.mark.parametrize("bright", [40, 240])
@pytest.mark.parametrize("diameter", [7, 10, 13])
def test_the_peak_lies_in_the_middle_of_a_disc(diameter, bright):
    strength = strength_of(flat_disc(128, 61, 66, diameter, object_=bright), float(diameter))
    peak = np.unravel_index(strength.total.argmax(), strength.total.shape)
    assert peak == (61, 66)
    assert np.sign(strength.contrast[0][61, 66]) == np.sign(bright - 140)
    row, col = peaks_of(strength.total, diameter, float(strength.total.max()))
    assert (row.tolist(), col.tolist()) == ([61], [66])


def test_flat_ground_has_no_candidate():
    total = strength_of(np.full((64, 64, 3), 130, np.uint8), 8.0).total
    assert peaks_of(total, 8.0, 0.1)[0].size == 0


def test_of_equal_neighbours_the_first_stands():
    total = np.zeros((40, 40), np.float32)
    total[10, 10:13] = 5
    total[30, 30] = 4
    row, col = peaks_of(total, 8.0, 1.0)
    assert list(zip(row.tolist(), col.tolist(), strict=True)) == [(10, 10), (30, 30)]


@given(st.floats(0.5, 3.0))
@settings(max_examples=10, deadline=None)
def test_a_higher_bar_takes_a_part_of_what_a_lower_one_takes(bar):
    total = strength_of(np.moveaxis(textured(96, 96, seed=3), 0, -1), 8.0).total
    low = set(zip(*(a.tolist() for a in peaks_of(total, 8.0, 0.5)), strict=True))
    high = set(zip(*(a.tolist() for a in peaks_of(total, 8.0, bar)), strict=True))
    assert high <= low
    assert all(total[at] >= bar for at in high)


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(20, 43)] * 2), st.floats(6.0, 16.0))
def test_a_peak_of_the_halved_picture_tells_the_pixel_of_the_whole_one(place, width):
    row, col = np.mgrid[0:64, 0:64]
    bump = np.exp(-((row - place[0]) ** 2 + (col - place[1]) ** 2) / width).astype(np.float32)
    halved = bump.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    found = finer_pixels(halved, *peaks_of(halved, 4.0, 0.1))
    assert [one.tolist() for one in found] == [[place[0]], [place[1]]]


def test_a_peak_on_the_border_stays_within_the_picture():
    row, col = finer_pixels(np.float32([[3, 1], [2, 9]]), np.array([0, 1]), np.array([0, 1]))
    assert row.tolist() == [0, 3]
    assert col.tolist() == [0, 3]


@pytest.mark.parametrize("lost", [-2, 0, 3])
@pytest.mark.parametrize("side", ["left", "top", "gap"])
def test_what_an_edge_cuts_off_is_found_where_it_was_seen(side, lost):
    pixels = textured(240, 240, seed=9, discs=[(120, 120, 8)])
    valid = np.ones((240, 240), bool)
    cut = 120 + lost  # how far the edge lies beyond the middle of the disc
    if side == "top":
        pixels, valid, at = pixels[:, cut:], valid[cut:], (0, 120)
    elif side == "left":
        pixels, valid, at = pixels[:, :, cut:], valid[:, cut:], (120, 0)
    else:
        valid[:, 60:cut] = False
        pixels[:, ~valid] = 0
        at = (120, cut)
    _, x, y = search_picture(np.ascontiguousarray(pixels), valid, GSD, SCALES, FirstStage(2.5))
    away = np.hypot(y / GSD - at[0], x / GSD - at[1])
    assert away.min() < 8
