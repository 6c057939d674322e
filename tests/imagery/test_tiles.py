from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from survey.imagery.grid import Grid
from survey.imagery.tiles import Tile, Tiling, cut

tilings = st.builds(Tiling, size=st.integers(64, 400), origin=st.tuples(st.integers(-500, 500), st.integers(-500, 500)))
sides = st.integers(1, 700)


def grid_of(height, width):
    return Grid("EPSG:32638", (0.5, 0, 6e5, 0, -0.5, 4e6), width, height)


@settings(max_examples=60, deadline=None)
@given(tilings, sides, sides)
def test_cores_partition_a_level(tiling, height, width):
    met = np.zeros((height, width), np.uint8)
    for tile in cut(grid_of(height, width), 2, tiling):
        assert tile.level == 2
        assert 0 < tile.row1 - tile.row0 <= tiling.size
        assert 0 < tile.col1 - tile.col0 <= tiling.size
        met[tile.row0 : tile.row1, tile.col0 : tile.col1] += 1
    assert (met == 1).all()


@settings(max_examples=30, deadline=None)
@given(tilings, st.tuples(*[st.integers(0, 600)] * 4))
def test_a_region_takes_the_tiles_it_touches_and_no_other(tiling, corners):
    grid = grid_of(500, 600)
    region = shapely.box(6e5 + corners[0] / 2, 4e6 - corners[1] / 2, 6e5 + corners[2] / 2 + 0.3, 4e6 - corners[3] / 2)
    chosen = set(cut(grid, 0, tiling, region))
    assert chosen <= set(cut(grid, 0, tiling))
    ground = region.intersection(grid.outline())
    for tile in cut(grid, 0, tiling):
        x, y = grid.to_ground(np.array([tile.col0, tile.col1]), np.array([tile.row0, tile.row1]))
        box = shapely.box(x[0], y[1], x[1], y[0])
        if box.intersection(ground).area > 1e-6:
            assert tile in chosen
        if box.distance(region) > 1e-6:
            assert tile not in chosen


def test_a_region_elsewhere_takes_nothing():
    assert list(cut(grid_of(99, 99), 0, Tiling(), shapely.box(0, 0, 1, 1))) == []


@given(st.tuples(*[st.integers(0, 5000)] * 2), st.integers(0, 300), st.sampled_from([8, 16, 32]))
def test_windows_hold_the_halo_and_lie_on_multiples(corner, halo, multiple):
    tile = Tile(0, corner[0], corner[0] + 77, corner[1], corner[1] + 130)
    row0, row1, col0, col1 = tile.window(halo, multiple)
    assert all(edge % multiple == 0 for edge in (row0, row1, col0, col1))
    assert 0 <= tile.row0 - halo - row0 < multiple
    assert 0 <= row1 - tile.row1 - halo < multiple
    assert 0 <= tile.col0 - halo - col0 < multiple
    assert 0 <= col1 - tile.col1 - halo < multiple
