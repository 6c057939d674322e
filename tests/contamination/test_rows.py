from __future__ import annotations

import numpy as np
import pytest

from survey.contamination.rows import Rows, find_rows

FIELDS = [
    # rows, metres between rows, between mines, mines in a row, jitter, share missing
    (1, 0.0, 5.0, 20, 0.3, 0.1),
    (3, 20.0, 5.0, 40, 0.5, 0.2),
    (4, 30.0, 4.0, 25, 0.3, 0.3),
    (2, 10.0, 1.5, 40, 0.2, 0.1),
    (4, 5.0, 2.0, 50, 0.3, 0.2),
]


def drawn_rows(
    rng: np.random.Generator, bearing: float, field: tuple[int, float, float, int, float, float]
) -> np.ndarray:
    rows, apart, spacing, mines, jitter, missing = field
    turn = np.radians(bearing)
    along, across = np.array([np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), -np.sin(turn)])
    grid = [np.outer(np.arange(mines) * spacing, along) + across * k * apart for k in range(rows)]
    points = np.concatenate(grid)
    points = points + rng.normal(0, jitter, points.shape)
    return points[rng.random(len(points)) >= missing]


def off_by(found: float, true: float) -> float:
    return abs((found - true + 90.0) % 180.0 - 90.0)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("bearing", [0.0, 37.0, 90.0, 151.3])
def test_rows_are_found_with_their_bearing_and_spacing(field: tuple, bearing: float) -> None:
    rng = np.random.default_rng(int(bearing) + field[0])
    xy = drawn_rows(rng, bearing, field)
    found = find_rows(xy, np.zeros(len(xy), dtype=np.int64), Rows())
    table = found.table
    assert (found.row_of >= 0).mean() > 0.8
    assert len(table) == pytest.approx(field[0], abs=1)
    weights = table["length_m"].to_numpy()
    double = np.radians(2 * table["bearing_deg"].to_numpy())
    mean = np.degrees(np.arctan2((weights * np.sin(double)).sum(), (weights * np.cos(double)).sum())) / 2
    assert off_by(mean, bearing) < 2.0
    assert table["spacing_m"].median() == pytest.approx(field[2], rel=0.35)
    assert (table["confidence"] > 0.99).all()


def test_scatter_has_no_rows() -> None:
    rng = np.random.default_rng(4)
    rows = 0
    for _ in range(60):
        xy = rng.uniform(0, 1, (rng.integers(6, 200), 2)) * rng.uniform(20, 200, 2)
        rows += len(find_rows(xy, np.zeros(len(xy), dtype=np.int64), Rows()).table)
    assert rows == 0


def test_rows_stay_within_their_group() -> None:
    rng = np.random.default_rng(5)
    xy = drawn_rows(rng, 60.0, (1, 0.0, 5.0, 40, 0.2, 0.0))
    group = np.repeat([3, 7], 20)
    found = find_rows(xy, group, Rows())
    assert sorted(found.table["group"]) == [3, 7]
    assert set(group[found.row_of == 0]) == {3}


def test_two_rows_that_cross_are_both_found() -> None:
    rng = np.random.default_rng(6)
    first = drawn_rows(rng, 10.0, (1, 0.0, 5.0, 30, 0.2, 0.0))
    second = drawn_rows(rng, 100.0, (1, 0.0, 5.0, 30, 0.2, 0.0)) + np.array([-60.0, 70.0])
    xy = np.vstack([first, second])
    found = find_rows(xy, np.zeros(len(xy), dtype=np.int64), Rows())
    bearings = sorted(found.table["bearing_deg"])
    assert len(bearings) == 2
    assert off_by(bearings[0], 10.0) < 2.0
    assert off_by(bearings[1], 100.0) < 2.0


def test_few_mines_are_no_row() -> None:
    xy = np.column_stack([np.arange(4) * 5.0, np.zeros(4)])
    assert len(find_rows(xy, np.zeros(4, dtype=np.int64), Rows()).table) == 0
    assert len(find_rows(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), Rows()).table) == 0


def test_a_field_of_kilometres_is_searched_in_blocks() -> None:
    rng = np.random.default_rng(8)
    xy = drawn_rows(rng, 45.0, (1, 0.0, 5.0, 600, 0.3, 0.0))
    found = find_rows(xy, np.zeros(len(xy), dtype=np.int64), Rows())
    assert (found.row_of >= 0).mean() > 0.95
    assert max(off_by(b, 45.0) for b in found.table["bearing_deg"]) < 1.0
