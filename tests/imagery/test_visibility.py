from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasters import RGB, noise, scene_of, write

from survey.detection.channels import channels_of
from survey.hazards import HazardClass
from survey.imagery.chips import level_grid, read_chip
from survey.imagery.levels import block_sums
from survey.imagery.pieces import coverage_pieces
from survey.imagery.seen import Sought
from survey.imagery.tiles import Tiling, cut
from survey.imagery.visibility import (
    ANALYSED,
    BLIND,
    BLUR,
    DARK,
    NULL,
    VEGETATION,
    WHOLE,
    Visibility,
    assess_cells,
    cell_pixels,
    reach_pixels,
)

HEIGHT, WIDTH, GSD = 207, 301, 0.3
JUDGED = Visibility()
SOUGHT = Sought((HazardClass("big", "Big", "AT", 3.0, 3.0, 100.0),), JUDGED)
MINES = Sought(
    (
        HazardClass("at", "AT", "AT", 0.32, 0.32, 4.0),
        HazardClass("ap", "AP", "AP_blast", 0.12, 0.11, 2.5),
        HazardClass("crater", "Crater", "indicator", 3.0, 3.0, 20.0),
    ),
    JUDGED,
)
GREEN, SOIL, BLACK = (60, 130, 40), (150, 125, 100), (30, 28, 26)


def blocks_of(scene, tiling, level=0, failing=(), roles=RGB):
    grid = level_grid(scene, level)
    reach = reach_pixels(grid.gsd_m)
    blocks, failures = [], []
    for number, tile in enumerate(cut(grid, level, tiling)):
        if number in failing:
            failures.append((tile, "damaged"))
        else:
            chip = read_chip(scene, level, tile.window(reach, 8), roles)
            blocks.append(assess_cells(chip, channels_of(chip.pixels)[..., 0], tile, roles, JUDGED))
    return blocks, failures


def pieces_of(scene, tiling, level=0, failing=(), sought=SOUGHT, roles=RGB):
    return coverage_pieces(scene, level, *blocks_of(scene, tiling, level, failing, roles), sought)


def drawn(tmp_path, halves, *, gsd=0.02, grain=12, size=800, **profile):
    """A scene whose left and right halves have the given colours, with fine grain."""
    rng = np.random.default_rng(7)
    pixels = np.empty((len(halves[0]), size, size))
    for half, colour in zip((slice(0, size // 2), slice(size // 2, size)), halves, strict=True):
        pixels[:, :, half] = np.array(colour)[:, None, None]
    pixels += rng.normal(0, grain, (size, size))
    return scene_of(write(tmp_path / "drawn.tif", np.clip(pixels, 5, 245).astype(np.uint8), gsd=gsd, **profile))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    pixels = noise(HEIGHT, WIDTH)
    pixels[:, 120:200, 20:150] = cv2.GaussianBlur(pixels[:, 120:200, 20:150].transpose(1, 2, 0), (0, 0), 3).transpose(
        2, 0, 1
    )
    pixels[0, 30:100, 150:200] //= 3
    pixels[2, 30:100, 150:200] //= 3  # green
    pixels[:, 5:25, 200:260] //= 6  # dark
    pixels[:, 30:91, 40:120] = 0  # no data
    pixels[:, 100:160, 200:270] = 255  # saturated
    return scene_of(write(tmp_path_factory.mktemp("seen") / "a.tif", pixels, gsd=GSD, nodata=0))


@pytest.mark.parametrize("level", [0, 1])
@settings(max_examples=8, deadline=None)
@given(
    tiling=st.builds(
        Tiling, size=st.integers(64, 250), origin=st.tuples(st.integers(-200, 200), st.integers(-200, 200))
    )
)
def test_cells_are_the_same_for_any_tiling(scene, level, tiling):
    once, cut_up = pieces_of(scene, Tiling(), level), pieces_of(scene, tiling, level)
    assert len(once) > 5
    assert once.to_wkb().equals(cut_up.to_wkb())
    whole = blocks_of(scene, Tiling(), level)[0][0]
    for block in blocks_of(scene, tiling, level)[0]:
        rows, cols = block.codes.shape
        place = (slice(block.row, block.row + rows), slice(block.col, block.col + cols))
        assert (block.codes == whole.codes[place]).all()
        assert (block.measures == whole.measures[(slice(None), *place)]).all()


def test_ground_by_status(scene):
    table = pieces_of(scene, Tiling())
    # Cells end at the raster's edge, and together they are the raster, each spot once.
    assert table.geometry.area.sum() == pytest.approx(HEIGHT * WIDTH * GSD**2, abs=1e-3)
    assert table.geometry.union_all().symmetric_difference(scene.grid.outline()).area < 1e-3
    assert set(table["status"]) == {"analysed", "not_assessable", "not_analysed"}
    pixel, side = GSD**2, cell_pixels(scene.grid.gsd_m)
    empty, around = 61 * 80 * pixel, (61 + 2 * side) * (80 + 2 * side) * pixel
    assert empty <= table.geometry.area[table["status"] == "not_analysed"].sum() <= around
    blind = table[table["reason"] == "black or saturated pixels"]
    least, most = (60 - 8 * side) * (70 - 8 * side) * pixel, (60 + 8 * side) * (70 + 8 * side) * pixel
    assert least <= blind.geometry.area.sum() <= most
    assert (table.loc[table["status"] != "analysed", "detectability"] == 0).all()
    assert (table.loc[table["status"] != "analysed", "families"] == "").all()
    assert (table.loc[table["status"] == "analysed", "reason"] == "").all()


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


def by_family(row):
    return {name: float(value) for name, value in (part.rsplit(" ", 1) for part in row.split("; "))}


def test_vegetation_hides_small_objects_more_than_large_ones(tmp_path):
    table = pieces_of(drawn(tmp_path, (GREEN, SOIL)), Tiling(), sought=MINES).sort_values("vegetation")
    bare, green = table.iloc[0], table.iloc[-1]
    assert bare["vegetation"] < 0.02
    assert green["vegetation"] > 0.98
    assert set(bare["families"].split(";")) == {"AT", "AP_blast", "indicator"}
    assert set(green["families"].split(";")) == {"AT", "indicator"}
    seen = by_family(green["detectability_by_family"])
    kept = JUDGED.seen_in_vegetation
    assert seen == pytest.approx({"AP_blast": kept.small, "AT": kept.medium, "indicator": kept.large}, abs=0.02)
    assert green["detectability"] == pytest.approx(kept.medium, abs=0.02)
    assert bare["detectability"] > 0.98


def test_where_no_item_could_be_seen_under_plants_ground_is_not_assessable_and_says_why(tmp_path):
    only_small = Sought(MINES.classes[1:], JUDGED)
    table = pieces_of(drawn(tmp_path, (GREEN, SOIL)), Tiling(), sought=only_small)
    hidden = table[table["status"] == "not_assessable"]
    assert set(hidden["reason"]) == {"under vegetation"}
    assert set(hidden["families"]) == {"indicator"}
    assert hidden.geometry.area.sum() == pytest.approx(8 * 16, abs=1)


def test_near_infrared_tells_vegetation_where_there_is_such_a_band(tmp_path):
    roles = ("nir", "green", "blue")
    scene = drawn(tmp_path, ((180, 60, 60), (120, 115, 110)), names=roles)
    cells = blocks_of(scene, Tiling(), roles=roles)[0][0].measures[VEGETATION]
    assert (cells[:, :3] > 0.95 * WHOLE).all()
    assert (cells[:, 5:] < 0.05 * WHOLE).all()


def test_deep_shadow_lowers_what_could_be_seen(tmp_path):
    table = pieces_of(drawn(tmp_path, (BLACK, SOIL), grain=4), Tiling(), sought=MINES).sort_values("shadow")
    assert table.iloc[0]["shadow"] < 0.02
    assert table.iloc[-1]["shadow"] > 0.98
    assert table.iloc[-1]["detectability"] == pytest.approx(JUDGED.seen_in_shadow, abs=0.02)


@pytest.mark.parametrize(("sigma", "times"), [(0, 1), (2, 2), (4, 4), (8, 8)])
def test_blur_is_told_from_texture_and_leaves_a_coarser_image(tmp_path, sigma, times):
    # Texture at every scale, as ground has: noise added up over ever larger blotches.
    rng = np.random.default_rng(3)
    ground = np.zeros((600, 600))
    for octave in range(7):
        side = 600 // 2**octave + 1
        ground += cv2.resize(rng.normal(0, 9, (side, side)), (600, 600), interpolation=cv2.INTER_CUBIC)
    if sigma:
        ground = cv2.GaussianBlur(ground, (0, 0), sigma)
    pixels = np.clip(ground + 120, 5, 245)[None].repeat(3, axis=0).astype(np.uint8)
    scene = scene_of(write(tmp_path / "a.tif", pixels, gsd=0.02))
    blur = blocks_of(scene, Tiling())[0][0].measures[BLUR]
    assert np.median(blur) == times
    table = pieces_of(scene, Tiling(), sought=MINES)
    assert np.average(table["effective_gsd_cm"], weights=table.area) == pytest.approx(2 * times, rel=0.25)
    ap_seen = [("AP_blast" in f) * a for f, a in zip(table["families"], table.area, strict=True)]
    assert (sum(ap_seen) > 0.8 * table.area.sum()) == (times == 1)
    if times == 8:
        assert set(table["reason"]) == {"blurred"}


def test_even_ground_does_not_pass_for_blurred(tmp_path):
    rng = np.random.default_rng(5)
    pixels = np.clip(rng.normal(140, 1.0, (3, 400, 400)), 0, 255).astype(np.uint8)
    scene = scene_of(write(tmp_path / "a.tif", pixels, gsd=0.02))
    assert (blocks_of(scene, Tiling())[0][0].measures[BLUR] == NULL).all()
    table = pieces_of(scene, Tiling(), sought=MINES)
    assert table["status"].tolist() == ["analysed"]
    assert table["effective_gsd_cm"].isna().all()


def test_even_ground_is_as_sharp_as_most_of_its_scene(tmp_path):
    rng = np.random.default_rng(5)
    pixels = np.full((400, 1200), 140.0)
    pixels[:, 400:] = cv2.GaussianBlur(rng.normal(0, 400, (400, 800)), (0, 0), 4) + 140
    stack = np.clip(pixels, 5, 245)[None].repeat(3, axis=0).astype(np.uint8)
    scene = scene_of(write(tmp_path / "a.tif", stack, gsd=0.005))
    table = pieces_of(scene, Tiling(), sought=MINES)
    assert table["effective_gsd_cm"].min() == pytest.approx(1.0, rel=1e-3)


def test_an_elevation_model_alone_tells_nothing_of_what_could_be_seen(tmp_path):
    scene = scene_of(write(tmp_path / "e.tif", noise(300, 300, bands=1), gsd=0.02, names=("elevation",)))
    block = blocks_of(scene, Tiling(), roles=("elevation",))[0][0]
    assert (block.measures == NULL).all()
    assert (block.codes == ANALYSED).all()


def test_thermal_imagery_tells_nothing_of_plants_shadow_and_sharpness(tmp_path):
    scene = scene_of(write(tmp_path / "t.tif", noise(300, 300, bands=1), gsd=0.02, names=("thermal",)))
    block = blocks_of(scene, Tiling(), roles=("thermal",))[0][0]
    assert (block.measures[[VEGETATION, DARK, BLUR]] == NULL).all()
    assert (block.measures[BLIND] < 0.1 * WHOLE).all()
    table = pieces_of(scene, Tiling(), sought=MINES, roles=("thermal",))
    assert table[["vegetation", "shadow", "effective_gsd_cm"]].isna().all(axis=None)
    assert (table["detectability"] > 0.9).all()


def test_a_class_that_the_pixels_are_too_coarse_for_is_not_among_the_families(tmp_path):
    table = pieces_of(drawn(tmp_path, (SOIL, SOIL), gsd=0.03), Tiling(), sought=MINES)
    assert set(table["families"]) == {"AT;indicator"}
    coarser = pieces_of(drawn(tmp_path, (SOIL, SOIL), gsd=0.08), Tiling(), sought=MINES)
    assert set(coarser["families"]) == {"indicator"}


@given(side=st.integers(1, 40), rows=st.integers(1, 4), cols=st.integers(1, 4), seed=st.integers(0, 99))
def test_sums_over_blocks_are_exact(side, rows, cols, seed):
    rng = np.random.default_rng(seed)
    for kind, top in ((np.uint8, 255), (np.uint16, 65535)):
        band = rng.integers(0, top, (rows * side, cols * side), endpoint=True).astype(kind)
        expected = band.astype(np.int64).reshape(rows, side, cols, side).sum(axis=(1, 3))
        assert (block_sums(band, side) == expected).all()
