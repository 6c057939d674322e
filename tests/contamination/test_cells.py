from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from survey.contamination.cells import cell_areas

corner = st.integers(-12, 12).map(lambda v: v * 12.5)  # often exactly on the grid
loose = st.floats(-150, 150, allow_nan=False).map(lambda v: round(v, 3))
boxes = st.lists(st.tuples(corner, corner, corner | loose, corner | loose), min_size=1, max_size=5)


def drawn(corners: list[tuple[float, float, float, float]], turn: float) -> shapely.Geometry:
    shapes = [shapely.box(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    whole = shapely.union_all([s for s in shapes if s.area > 0][:-1] or shapes)
    hole = shapely.buffer(shapely.Point(corners[-1][:2]), 20.0, quad_segs=3)
    return shapely.affinity.rotate(shapely.difference(whole, hole), turn, origin=(0, 0))


@settings(max_examples=150, deadline=None)
@given(boxes, st.sampled_from([0.0, 90.0, 33.0]), st.sampled_from([50.0, 25.0, 7.0]))
def test_it_agrees_with_cutting_by_every_square(
    corners: list[tuple[float, float, float, float]], turn: float, cell_m: float
) -> None:
    shape = drawn(corners, turn)
    table = cell_areas(np.array([shape, shape], dtype=object), cell_m)
    assert table["area_m2"].sum() == pytest.approx(2 * shape.area, abs=1e-6)
    table = table[table["shape"] == 1]
    squares = shapely.box(
        table["col"] * cell_m, table["row"] * cell_m, (table["col"] + 1) * cell_m, (table["row"] + 1) * cell_m
    )
    cut = shapely.area(shapely.intersection(shape, squares))
    assert table["area_m2"].to_numpy() == pytest.approx(cut, abs=1e-6)
    assert not table.duplicated(["col", "row"]).any()


def test_nothing_in_nothing_out() -> None:
    for shapes in ([], [shapely.MultiPolygon()]):
        table = cell_areas(np.array(shapes, dtype=object), 50.0)
        assert list(table.columns) == ["shape", "col", "row", "area_m2"]
        assert len(table) == 0


def test_far_from_the_origin_and_far_apart_it_stays_exact() -> None:
    shape = shapely.union_all([shapely.box(1e6, -1e6, 1e6 + 70, -1e6 + 30), shapely.box(-1e6, 1e6, -1e6 + 33, 1e6 + 9)])
    table = cell_areas(np.array([shape], dtype=object), 50.0)
    assert table["area_m2"].sum() == pytest.approx(70 * 30 + 33 * 9, abs=1e-5)
