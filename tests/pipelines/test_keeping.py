"""Levels that a file lacks are made while its full pixels are read, and nothing but the time it takes tells so."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from drawn_job import ROLES, draw_pixels, write_scene
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from results import assert_same, leftovers

from pipelines import keeping
from pipelines.engine.journal import Journal, set_aside
from pipelines.opening import OpenScene, open_job
from pipelines.run import How, survey_job
from pipelines.walk import begin, later, steps_left
from survey.api import looking
from survey.detection.scales import plan_passes
from survey.imagery import chips
from survey.imagery.chips import level_grid, read_chip
from survey.imagery.levels import keep_levels
from survey.imagery.scene import Imagery, open_scene
from survey.imagery.tiles import Tiling, cut
from survey.imagery.visibility import Visibility
from survey.settings import read_job

SCALES = {"mine_at": (0.24, 0.34), "crater": (1.9, 3.8, 7.7)}
few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """No overviews, sides that no block divides, and ground without data."""
    pixels, _ = draw_pixels(711, 603, seed=7)
    pixels[:, 300:363, 200:501] = 0
    pixels[:, 500:, 590:] = 0
    path = write_scene(tmp_path_factory.mktemp("keeping") / "a.tif", pixels, nodata=0, compress="deflate")
    return open_scene(path, Imagery(paths=(str(path),)))


@pytest.fixture
def decoded(monkeypatch):
    """How many full pixels were read so far."""
    count = []
    inner = chips._bands

    def counting(dataset, inside, wanted):
        count.append((inside[1] - inside[0]) * (inside[3] - inside[2]))
        return inner(dataset, inside, wanted)

    monkeypatch.setattr(chips, "_bands", counting)
    return lambda: sum(count)


def keep_all(scene, tiling, levels=(2, 3), roles=ROLES):
    fine, coarse = plan_passes(scene.grid.gsd_m, SCALES)
    assert (fine.level, coarse.level) == (0, 2)
    for tile in cut(level_grid(scene, 0), 0, tiling):
        seen = looking.look_at(scene, replace(fine, reduced=levels), tile, (roles, Visibility()))
        keep_levels(Path(scene.kept), seen.reduced, roles)


def place_of(scene, *passes):
    return OpenScene(scene, passes, scene.grid.outline(), {})


def same(one, other):
    return one.pixels.tobytes() == other.pixels.tobytes() and one.valid.tobytes() == other.valid.tobytes()


@few
@given(
    size=st.integers(64, 900),
    origin=st.tuples(st.integers(-200, 200), st.integers(-200, 200)),
    slab=st.sampled_from([64, 1024]),
    window=st.tuples(st.integers(-20, 150), st.integers(1, 90), st.integers(-20, 120), st.integers(1, 90)),
)
def test_what_is_kept_is_what_would_be_read(scene, tmp_path_factory, size, origin, slab, window):
    keeping_it = replace(scene, kept=str(tmp_path_factory.mktemp("levels")))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(looking, "_SLAB", slab)
        keep_all(keeping_it, Tiling(size=size, origin=origin))
        part = window[0], window[0] + window[1], window[2], window[2] + window[3]
        read = [read_chip(scene, level, part, ROLES) for level in (2, 3)]
        patched.setattr(chips, "_read", None)  # no pixel of the file is asked for
        for level, chip in zip((2, 3), read, strict=True):
            assert same(read_chip(keeping_it, level, part, ROLES), chip)


@pytest.mark.parametrize("hurt", ["cut off", "one bit", "gone", "other bands", "a folder"])
def test_what_is_no_longer_whole_is_read_again(scene, tmp_path, decoded, monkeypatch, hurt):
    monkeypatch.setattr(chips, "_PIECE_PX", 256)
    keeping_it = replace(scene, kept=str(tmp_path / "levels"))
    keep_all(keeping_it, Tiling(size=256))
    window = (0, 178, 0, 151)
    whole = read_chip(scene, 2, window, ROLES)
    victim = sorted((tmp_path / "levels").glob("2-*/*"))[2]
    content = bytearray(victim.read_bytes())
    victim.unlink()
    if hurt == "cut off":
        victim.write_bytes(content[:-7])
    elif hurt == "one bit":
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
    elif hurt == "other bands":
        other = tmp_path / "levels" / "2-green-red-blue"
        other.mkdir()
        (other / victim.name).write_bytes(content)
    elif hurt == "a folder":
        victim.mkdir()
    before = decoded()
    assert same(read_chip(keeping_it, 2, window, ROLES), whole)
    assert 0 < decoded() - before < 711 * 603


def test_no_room_for_levels_costs_nothing_but_time(scene, tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "levels").write_text("where the folder would be")
    keeping_it = replace(scene, kept=str(tmp_path / "levels"))
    keep_all(keeping_it, Tiling(size=256))
    assert "they are read again" in caplog.text
    assert not [one for one in caplog.records if one.levelname != "INFO"]
    assert same(read_chip(keeping_it, 2, (0, 178, 0, 151), ROLES), read_chip(scene, 2, (0, 178, 0, 151), ROLES))


def test_a_job_reads_full_pixels_once(drawn, second_scene, watch, decoded, monkeypatch):
    second_scene(drawn.parent)
    job = read_job(drawn)
    survey_job(job, How(workers=1), watch)
    once = decoded()
    assert not (drawn.parent / "out" / keeping.FOLDER).exists()
    assert leftovers(drawn.parent / "out") == []
    shutil.move(drawn.parent / "out", drawn.parent / "kept")
    monkeypatch.setattr(keeping, "with_levels", lambda scenes, journal: scenes)
    survey_job(job, How(workers=1), watch)
    # Pictures of objects are read by both.
    assert decoded() - once >= once + 0.9 * (700 * 900 + 500 * 600)
    assert_same(drawn.parent / "kept", drawn.parent / "out")


def test_a_job_that_was_stopped_goes_on_with_what_is_kept(drawn, watch, decoded):
    drawn.write_text(drawn.read_text() + "\n[execution]\ntile_px = 256\n")
    job = read_job(drawn)
    survey_job(job, How(workers=1), watch)
    shutil.move(drawn.parent / "out", drawn.parent / "clean")
    folder, read = drawn.parent / "out", []
    for lost in (False, True):
        begun = watch.tiles
        survey_job(job, How(workers=1, stopped_by=lambda begun=begun: 2 * (watch.tiles >= begun + 12)), watch)
        assert watch.tiles == begun + 12
        assert any((folder / keeping.FOLDER).rglob("*-*-*-*"))
        if lost:
            shutil.rmtree(folder / keeping.FOLDER)
        before = decoded()
        survey_job(job, How(workers=1), watch)
        read.append(decoded() - before)
        assert_same(drawn.parent / "clean", folder)
        assert not (folder / keeping.FOLDER).exists()
        shutil.rmtree(folder)
    assert read[0] < read[1]


def test_tiles_made_of_what_others_keep_wait_for_them(drawn, second_scene):
    second_scene(drawn.parent)
    drawn.write_text(drawn.read_text() + "\n[execution]\ntile_px = 256\n")
    job = read_job(drawn)
    opened = open_job(job)
    with Journal(job.job.output, job.job.name) as journal:
        begin(job, opened, journal)
        scenes = keeping.with_levels(opened.scenes, journal)
        assert all(one.finest.reduced == (2,) for one in scenes)
        laid = list(steps_left(scenes, journal))
        handed = list(later(iter(laid), 3))
    assert sorted(map(repr, handed)) == sorted(map(repr, laid))
    fine = [number for number, step in enumerate(handed) if step.a_pass.finest]
    for number, step in enumerate(handed):
        if not step.a_pass.finest:
            own = [one for one in fine if handed[one].place is step.place]
            between = [one for one in fine if own[-1] < one < number]
            assert own[-1] < number
            assert len(between) >= 3 or number > fine[-1]


def test_levels_that_would_be_rounded_twice_or_cut_in_two_are_read(scene):
    fine, coarse = plan_passes(scene.grid.gsd_m, SCALES)
    made = keeping.keeping(place_of(scene, fine, coarse), Path("x"))
    assert (made.finest.reduced, made.scene.kept) == ((2,), "x")
    has_it = replace(scene, levels=(*scene.levels, (302, 356), (151, 178)))
    for other in (
        place_of(scene, replace(fine, level=1), coarse),
        place_of(scene, replace(fine, multiple=2), coarse),
        place_of(has_it, fine, coarse),
    ):
        left = keeping.keeping(other, Path("x"))
        assert (left.finest.reduced, left.scene.kept) == ((), None)


def test_a_damaged_file_gives_what_it_gave_without(drawn, watch, monkeypatch):
    drawn.write_text(drawn.read_text() + "\n[execution]\ntile_px = 256\n")
    path = drawn.parent / "a.tif"
    with rasterio.open(path) as image:
        pixels = image.read()
    write_scene(path, pixels, compress="deflate")
    content = bytearray(path.read_bytes())
    with rasterio.open(path) as image:
        begin = int(image.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    content[begin : begin + 4000] = b"\xff" * 4000
    path.write_bytes(content)
    job = read_job(drawn)
    survey_job(job, How(workers=1), watch)
    assert watch.texts == []
    shutil.move(drawn.parent / "out", drawn.parent / "kept")
    monkeypatch.setattr(keeping, "with_levels", lambda scenes, journal: scenes)
    survey_job(job, How(workers=1), watch)
    assert_same(drawn.parent / "kept", drawn.parent / "out")
    with Journal(job.job.output, job.job.name) as journal:
        (row,) = journal.scenes().values()
        assert {"partial", "unread"} <= {entry.state for entry in journal.entries(row.key)}


def test_who_starts_over_finds_nothing_kept(drawn, watch):
    """A source behind a virtual raster that changed is seen by no key: there starting over has to help."""
    drawn.write_text(drawn.read_text() + "\n[execution]\ntile_px = 256\n")
    job = read_job(drawn)
    survey_job(job, How(workers=1, stopped_by=lambda: 2 * (watch.tiles >= 3)), watch)
    (before,) = (job.job.output / keeping.FOLDER).iterdir()
    for start_over in (False, True):
        if start_over:
            set_aside(job.job.output)
        with Journal(job.job.output, job.job.name) as journal:
            opened = open_job(job)
            begin(job, opened, journal)
            (place,) = keeping.with_levels(opened.scenes, journal)
        assert (place.scene.kept != str(before)) == start_over
        assert before.exists() != start_over


def test_what_no_scene_can_use_any_more_goes(drawn, watch):
    stopped = How(workers=1, stopped_by=lambda: 2 * (watch.tiles >= watch.until))
    drawn.write_text(drawn.read_text() + "\n[execution]\ntile_px = 256\n")
    folder = drawn.parent / "out" / keeping.FOLDER
    watch.until = 3
    survey_job(read_job(drawn), stopped, watch)
    (before,) = folder.iterdir()
    drawn.write_text(drawn.read_text() + '[detection]\nfamilies = ["AT", "indicator"]\n')
    watch.until = watch.tiles + 3
    survey_job(read_job(drawn), stopped, watch)
    (after,) = folder.iterdir()
    assert after.name != before.name


def test_two_workers_give_what_one_gives_that_keeps_nothing(drawn, second_scene, watch, monkeypatch):
    second_scene(drawn.parent)
    drawn.write_text(drawn.read_text() + "\n[execution]\ntile_px = 200\ntile_origin = [33, -70]\n")
    survey_job(read_job(drawn), How(workers=2), watch)
    shutil.move(drawn.parent / "out", drawn.parent / "kept")
    monkeypatch.setattr(keeping, "with_levels", lambda scenes, journal: scenes)
    survey_job(read_job(drawn), How(workers=1), watch)
    assert_same(drawn.parent / "kept", drawn.parent / "out")


def alpha(pixels, rng):
    seen = np.where(rng.random(pixels.shape[1:]) < 0.9, 255, 0).astype(np.uint8)
    return np.concatenate([pixels, seen[None]]), {"photometric": "RGB", "alpha": "unspecified"}, ROLES


def deep(pixels, rng):
    return pixels.astype(np.uint16) * 37, {"nodata": 37 * int(pixels[0, 5, 5])}, ROLES


def floating(pixels, rng):
    return np.where(rng.random(pixels.shape) < 0.98, pixels / 255, np.nan).astype(np.float32), {}, ROLES


def photograph(pixels, rng):
    return pixels, {"compress": "jpeg", "photometric": "YCBCR", "interleave": "pixel"}, ROLES


def heights(pixels, rng):
    metres = 900 + rng.normal(0, 0.2, pixels.shape[1:]).cumsum(axis=0)[None]
    return np.concatenate([pixels.astype(np.float32), metres.astype(np.float32)]), {}, (*ROLES, "elevation")


@pytest.mark.parametrize("kind", [alpha, deep, floating, photograph, heights])
def test_whatever_the_file_holds(tmp_path, monkeypatch, kind):
    pixels, options, roles = kind(draw_pixels(331, 271, seed=5)[0], np.random.default_rng(2))
    path = write_scene(tmp_path / "a.tif", pixels, **{"compress": "deflate", **options})
    bands = {role: number for number, role in enumerate(roles, 1)}
    scene = open_scene(path, Imagery(paths=(str(path),), bands=bands))
    keeping_it = replace(scene, kept=str(tmp_path / "levels"))
    keep_all(keeping_it, Tiling(size=100, origin=(-30, 17)), roles=roles)
    read = [read_chip(scene, level, (-3, 90, -2, 70), roles) for level in (2, 3)]
    monkeypatch.setattr(chips, "_read", None)
    for level, chip in zip((2, 3), read, strict=True):
        assert chip.valid.any()
        assert same(read_chip(keeping_it, level, (-3, 90, -2, 70), roles), chip)
