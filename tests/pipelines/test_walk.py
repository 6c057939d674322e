"""What the coordinator keeps while tiles are surveyed: the journal's word for each, and nothing of its own."""

from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace

import pytest
import rasterio

from pipelines.engine.journal import Entry, Journal, SceneRow
from pipelines.opening import open_job
from pipelines.run import How, survey_job
from pipelines.walk import Step, plan_walk, steps_left
from survey.api import looking, passes, survey_damaged_tile
from survey.imagery.tiles import Tile
from survey.settings import read_job


@pytest.fixture
def place(drawn):
    return open_job(read_job(drawn)).scenes[0]


def enlarged(place, side, job):
    """The same scene said to be ``side`` pixels wide and high; its pixels are never read here."""
    grid = replace(place.scene.grid, width=side, height=side)
    scene = replace(place.scene, grid=grid, levels=((side, side),))
    opened = open_job(job)
    return replace(
        place, scene=scene, passes=passes(scene, opened.model, job.detection), region=grid.outline().buffer(1)
    )


def peak_of_a_walk(place, folder):
    """Tiles, and the most memory that was held at once while they were handed out one by one and noted."""
    with Journal(folder, "job") as journal:
        journal.begin_scene(SceneRow("key", place.scene.name, place.scene.path, 256, (0, 0), {}))
        gc.collect()
        tracemalloc.start()
        left, handed = plan_walk([place], journal).left, 0
        for step in steps_left([place], journal):
            handed += 1
            journal.record("key", Entry(step.tile, "done", sightings=b"s" * 200))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert handed == left
        assert plan_walk([place], journal).left == 0
    return handed, peak


def test_a_larger_scene_costs_the_coordinator_no_memory(place, drawn, tmp_path):
    job = read_job(drawn)
    few, small = peak_of_a_walk(enlarged(place, 3_000, job), tmp_path / "small")
    many, large = peak_of_a_walk(enlarged(place, 15_000, job), tmp_path / "large")
    assert many > 15 * few > 1000
    # A step alone is over 200 bytes: a list of them would be 700 kB more.
    assert large - small < 50_000


def test_no_step_outlives_its_tile(drawn, watch):
    drawn.write_text(drawn.read_text() + "\n[execution]\ntile_px = 64\n")
    alive = []

    class Counting(type(watch)):
        def advanced(self, pixels, hectares, objects):
            super().advanced(pixels, hectares, objects)
            if self.tiles % 40 == 0:
                alive.append(sum(isinstance(one, Step) for one in gc.get_objects()))

    assert survey_job(read_job(drawn), How(workers=1), Counting()).exit_code == 0
    assert len(alive) >= 4
    assert max(alive) <= 4


def test_rounds_take_what_is_left(place, tmp_path):
    """A tile that was split comes back in quarters, which come back until each has a word in the journal."""
    with Journal(tmp_path / "out", "job") as journal:
        journal.begin_scene(SceneRow("key", place.scene.name, place.scene.path, 2048, (0, 0), {}))
        first = next(step for step in steps_left([place], journal) if step.a_pass.finest)
        whole = plan_walk([place], journal)
        journal.record("key", Entry(first.tile, "split"))
        quarters = first.quarters()
        tiles = [one.tile for one in steps_left([place], journal)]
        begin = tiles.index(quarters[0].tile)
        assert tiles[begin : begin + len(quarters)] == [one.tile for one in quarters]
        assert all(one.by_block for one in steps_left([place], journal, by_block=True))
        walk = plan_walk([place], journal)
        assert (walk.total_px, walk.left) == (whole.total_px, whole.left - 1 + len(quarters))
        journal.record("key", Entry(quarters[1].tile, "failed", reason="gone"))
        assert quarters[1].tile not in [one.tile for one in steps_left([place], journal)]
        assert plan_walk([place], journal).done_px == quarters[1].pixels


def test_a_tile_of_which_nothing_can_be_read_has_failed_however_it_is_cut(drawn, monkeypatch, tmp_path):
    job = read_job(drawn)
    picture = tmp_path / "a.tif"
    with rasterio.open(picture) as image:
        profile, pixels = image.profile, image.read()
    profile |= {"compress": "deflate", "tiled": True, "blockxsize": 128, "blockysize": 128}
    with rasterio.open(picture, "w", **profile) as image:
        image.write(pixels)
    opened = open_job(job)
    place = opened.scenes[0]
    content = bytearray(picture.read_bytes())
    with rasterio.open(picture) as image:
        offsets = [
            [int(image.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE")]
            for (row, col), _ in image.block_windows(1)
        ]
    for start, size in offsets:
        content[start : start + size] = bytes(size)
    picture.write_bytes(content)
    monkeypatch.setattr(looking, "_SLAB", 64)
    a_pass = place.finest
    whole = Tile(a_pass.level, 0, 700, 0, 900)
    result = survey_damaged_tile(place.scene, a_pass, whole, opened.model)
    parts = [part for one in result.unread if (part := one.within(whole)) is not None]
    assert len(parts) > 1
    assert sum((one.row1 - one.row0) * (one.col1 - one.col0) for one in parts) == 700 * 900
