"""Grounds laid together from textures, and what is learned from objects drawn into them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio

from pipelines.boulders import with_large_things
from pipelines.furrows import with_furrows
from pipelines.growth import shade_of, with_growth
from pipelines.model_examples import (
    LEAST_STRENGTH,
    Task,
    draw,
    in_turn,
    keep_examples,
    numbered,
    read_examples,
    tasks,
)
from pipelines.textures import GSD_M, LAID, SIDE_PX, ground_of, ground_textures, write_grounds
from pipelines.twigs import with_lines
from survey.detection.search import FirstStage
from survey.memory.labelling import NOTHING

GREEN, RED = (60, 130, 40), (220, 30, 30)


@pytest.fixture
def textures(tmp_path: Path) -> Path:
    """A folder of textures: two of ground, and a cliff, a map of normals and a small one that are none."""
    folder = tmp_path / "types"
    (folder / "below").mkdir(parents=True)
    for name, colour, side in (
        ("grass_a.png", GREEN, 512),
        ("below/dirt_b.jpg", GREEN, 640),
        ("cliff_grass.png", RED, 512),
        ("grass_norm.png", RED, 512),
        ("sand.png", RED, 128),
        ("soldier.png", RED, 512),
    ):
        rng = np.random.default_rng(side)
        texture = np.clip(np.array(colour[::-1]) + rng.normal(0, 18, (side, side, 1)), 0, 255).astype(np.uint8)
        for x, y in rng.integers(0, side, (side // 4, 2)):  # stones
            cv2.circle(texture, (int(x), int(y)), int(rng.integers(3, 9)), [level // 2 for level in colour[::-1]], -1)
        cv2.imwrite(str(folder / name), texture)
    (folder / "grass.txt").write_text("no image")
    return folder


def test_only_large_images_of_ground_are_textures(textures):
    assert [path.relative_to(textures).as_posix() for path in ground_textures(textures)] == [
        "below/dirt_b.jpg",
        "grass_a.png",
    ]


def test_a_ground_shows_its_textures_and_nothing_else(textures):
    pixels, gsd = ground_of(ground_textures(textures), 3)
    assert pixels.shape == (3, SIDE_PX, SIDE_PX)
    assert GSD_M[0] <= gsd <= GSD_M[1]
    red, green, blue = (float(np.median(band)) for band in pixels)
    # Light and shade change how bright it is, not that green leads by far.
    assert green > 1.5 * red
    assert green > 2.0 * blue
    assert float(pixels[1].std()) > 5


def test_grounds_are_repeatable_differ_and_lie_apart(textures, tmp_path):
    files = ground_textures(textures)
    first, again = (write_grounds(files, tmp_path / name / "textures", 2) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    with rasterio.open(first[0]) as one, rasterio.open(first[1]) as other:
        assert one.bounds.right < other.bounds.left
        assert (one.read() != other.read()).mean() > 0.5


def test_lines_lie_on_most_lined_grounds_and_are_thin():
    plain = np.full((600, 600, 3), 128, np.float32)
    changed = []
    for number in range(30):
        lined = with_lines(plain, np.random.default_rng(number))
        assert lined.shape == plain.shape
        assert np.isfinite(lined).all()
        changed.append(float((np.abs(lined - plain).max(axis=2) > 8).mean()))
    some = [share for share in changed if share > 0]
    assert 10 <= len(some) <= 28
    assert max(some) < 0.6


def test_large_things_lie_on_most_grounds_and_cover_a_part():
    plain = np.full((1100, 1100, 3), 128, np.float32)
    changed = []
    for number in range(18):
        laid = with_large_things(plain, np.random.default_rng(number))
        assert laid.shape == plain.shape
        assert np.isfinite(laid).all()
        changed.append(float((np.abs(laid - plain).max(axis=2) > 8).mean()))
    assert 9 <= sum(share > 0.005 for share in changed) < 18
    assert (plain == 128).all()


def test_worked_ground_has_a_direction():
    plain = np.full((900, 900, 3), 128, np.float32)
    told = []
    for number in range(24):
        worked = with_furrows(plain, np.random.default_rng(number))
        assert worked.shape == plain.shape
        assert np.isfinite(worked).all()
        down, across = np.gradient(cv2.GaussianBlur(worked[..., 1], (0, 0), 2.0))
        tensor = np.array([[(down * down).sum(), (down * across).sum()], [(down * across).sum(), (across**2).sum()]])
        least, most = np.linalg.eigvalsh(tensor)
        told.append((most - least) / (most + least) if most > 0 else None)
    marked = [one for one in told if one is not None]
    assert 15 <= len(marked) < 24
    # The strength of a structure tensor's first direction over both: 0 for ground without one.
    assert np.median(marked) > 0.5
    assert (plain == 128).all()


def test_what_grows_tall_stands_on_most_grounds_and_darkens_them():
    plain = np.full((1100, 1100, 3), 128, np.float32)
    changed, darker = [], 0
    for number in range(18):
        grown = with_growth(plain, np.random.default_rng(number))
        assert grown.shape == plain.shape
        assert np.isfinite(grown).all()
        changed.append(float((np.abs(grown - plain).max(axis=2) > 8).mean()))
        darker += bool((grown.max(axis=2) < 80).mean() > 0.001)
    assert 11 <= sum(share > 0.005 for share in changed) < 18
    assert darker >= 9
    assert (plain == 128).all()


def test_shade_falls_away_from_the_sun_as_far_as_it_stands_low():
    height = np.zeros((400, 400), np.float32)
    height[180:220, 180:220] = 40.0
    # Toward larger columns; at 45 degrees as far as the block is high.
    shade = shade_of(height, (0.0, np.pi / 4))
    assert shade[200, 225:252].min() > 0.9
    assert shade[200, 268:].max() < 0.1
    assert shade[:, :176].max() < 0.1
    assert shade_of(height, (0.0, np.deg2rad(20)))[200, 300] > 0.9


def test_what_is_laid_on_a_ground_makes_it_another(textures):
    files = ground_textures(textures)
    grounds = [ground_of(files, 3, laid)[0] for laid in LAID]
    assert all((one != other).mean() > 0.5 for one, other in pairwise(grounds))


def test_objects_drawn_into_a_ground_are_learned_under_the_name_of_its_folder(textures, tmp_path):
    (path,) = write_grounds(ground_textures(textures), tmp_path / "textures", 1)
    learned = draw(Task(101_000, ("red", "green", "blue"), str(path)), FirstStage(LEAST_STRENGTH["rgb"]), None)
    assert learned.site == "textures"
    assert (learned.codes != NOTHING).sum() > 20
    assert (learned.codes == NOTHING).sum() > 200
    # A candidate is told which object it lies on.
    on = learned.codes != NOTHING
    assert ((learned.objects >= 0) == on).all()
    assert len(np.unique(learned.objects[on])) < on.sum()


def test_kept_examples_are_read_with_their_objects_told_apart(textures, tmp_path):
    paths = write_grounds(ground_textures(textures), tmp_path / "textures", 2)
    todo = [Task(101_000 + n, ("red", "green", "blue"), str(path), bool(n)) for n, path in enumerate(paths)]
    parts = [draw(task, FirstStage(LEAST_STRENGTH["rgb"]), None) for task in todo]
    keep_examples(tmp_path / "examples.npz", parts)
    read = read_examples(tmp_path / "examples.npz")
    assert [(part.site, part.varied) for part in read] == [("textures", False), ("textures", True)]
    for before, after, ids in zip(parts, read, np.split(numbered(parts), [len(parts[0].codes)]), strict=True):
        assert (after.features == before.features).all()
        assert (after.codes == before.codes).all()
        assert (after.objects == ids).all()
    assert not set(read[0].objects) & set(read[1].objects) - {-1}


def test_every_folder_of_photographs_has_its_turn():
    few, many = [Path("seneca/a.tif"), Path("seneca/b.tif")], [Path(f"textures/{n}.tif") for n in range(5)]
    turns = in_turn([*few, *many])
    assert len(turns) == 10
    assert set(turns) == {*few, *many}
    assert [path.parent.name for path in turns] == ["seneca", "textures"] * 5
    assert in_turn([]) == []


def test_photographs_are_drawn_into_in_bands_of_their_own():
    infrared, natural = ("nir", "green", "blue"), ("red", "green", "blue")
    photos = {Path("seneca/a.tif"): infrared, Path("textures/b.tif"): natural}
    listed = tasks(infrared, 2, photos, 4)
    into = [task for task in listed if task.photo is not None]
    assert len(listed) == 12
    assert {(task.photo, task.bands) for task in into} == {(str(path), bands) for path, bands in photos.items()}
    assert sum(task.varied for task in into) == 4
    assert {task.bands for task in listed if task.photo is None} == {infrared}
