from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasters import RGB, noise, scene_of, write

from survey.imagery.chips import level_grid, read_chip
from survey.imagery.tiles import Tiling, cut
from survey.imagery.visibility import assess_cells, cell_pixels, coverage_pieces

HEIGHT, WIDTH, GSD = 207, 301, 0.3


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    pixels = noise(HEIGHT, WIDTH)
    pixels[:, 30:91, 40:120] = 0  # no data
    pixels[:, 100:160, 200:270] = 255  # saturated
    return scene_of(write(tmp_path_factory.mktemp("seen") / "a.tif", pixels, gsd=GSD, nodata=0))


def pieces_of(scene, tiling, level=0, failing=()):
    grid = level_grid(scene, level)
    side = cell_pixels(grid.gsd_m)
    blocks, failures = [], []
    for number, tile in enumerate(cut(grid, level, tiling)):
        if number in failing:
            failures.append((tile, "damaged"))
        else:
            blocks.append(assess_cells(read_chip(scene, level, tile.window(side, 8), RGB), tile, side))
    return coverage_pieces(scene, grid, blocks, failures, ("mine",))


@pytest.mark.parametrize("level", [0, 1])
@settings(max_examples=15, deadline=None)
@given(
    tiling=st.builds(
        Tiling, size=st.integers(64, 250), origin=st.tuples(st.integers(-200, 200), st.integers(-200, 200))
    )
)
def test_cells_are_the_same_for_any_tiling(scene, level, tiling):
    once, cut_up = pieces_of(scene, Tiling(), level), pieces_of(scene, tiling, level)
    assert once.to_wkb().equals(cut_up.to_wkb())


def test_ground_by_status(scene):
    table = pieces_of(scene, Tiling()).set_index("status")
    assert table.index.tolist() == ["analysed", "not_analysed", "not_assessable"]
    pixel = GSD**2
    side = cell_pixels(scene.grid.gsd_m)
    assert side * GSD == pytest.approx(2, abs=GSD)
    # Cells end at the raster's edge, and together they are the raster.
    assert table.geometry.area.sum() == pytest.approx(HEIGHT * WIDTH * pixel, abs=1e-3)
    assert table.geometry.union_all().symmetric_difference(scene.grid.outline()).area < 1e-3
    empty, around = 61 * 80 * pixel, (61 + 2 * side) * (80 + 2 * side) * pixel
    assert empty <= table.geometry.area["not_analysed"] <= around
    blank, within = 60 * 70 * pixel, (60 - 2 * side) * (70 - 2 * side) * pixel
    assert within <= table.geometry.area["not_assessable"] <= blank * 1.06
    assert table["detectability"].to_dict() == {"analysed": 1.0, "not_analysed": 0.0, "not_assessable": 0.0}


def test_a_tile_that_failed_is_ground_not_analysed_with_its_reason(scene):
    table = pieces_of(scene, Tiling(size=105), failing=(2,))
    damaged = table[table["reason"] == "damaged"]
    assert damaged["status"].tolist() == ["not_analysed"]
    assert damaged.geometry.area.sum() == pytest.approx(105 * 91 * GSD**2)
    assert table.geometry.area.sum() == pytest.approx(HEIGHT * WIDTH * GSD**2, abs=1e-3)


def test_a_raster_smaller_than_a_cell(tmp_path):
    tiny = scene_of(write(tmp_path / "a.tif", np.full((3, 1, 2), 90, np.uint8), gsd=GSD))
    table = pieces_of(tiny, Tiling())
    assert table["status"].tolist() == ["analysed"]
    assert table.geometry.area.sum() == pytest.approx(2 * GSD**2, abs=1e-4)
