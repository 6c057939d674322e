"""Imagery unlike the ground of the shipped models is told by site and channel; the sample's is not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import rasterio
from drawn_job import NORTH, ROLES, WEST, write_scene

from pipelines.drifting import sampled, sites_of, strange_ground
from pipelines.engine.executor import Pool
from pipelines.engine.parcels import as_ref
from survey.api import load_model
from survey.imagery.scene import Imagery, open_scene

SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "imagery"
FIELD = SAMPLE / "field_a.tif"
GSD = 0.0165


@pytest.fixture(scope="module")
def rgb():
    return load_model(None, ROLES)


def scene_of(path, **imagery):
    return open_scene(path, Imagery(paths=(str(path),), **imagery))


def said_of(model, *scenes):
    opened = SimpleNamespace(model=model, scenes=[SimpleNamespace(scene=one) for one in scenes])
    return strange_ground(opened, as_ref(None, model), Pool(1))


def noise(side=1400, seed=0, bands=3):
    return np.random.default_rng(seed).integers(0, 256, (bands, side, side), np.uint8)


@pytest.fixture(scope="module")
def field():
    with rasterio.open(FIELD) as image:
        return image.read()[:3], abs(image.transform.a)


def test_the_sample_is_like_the_ground_of_the_shipped_model(rgb):
    scenes = [scene_of(path) for path in sorted(SAMPLE.glob("*.tif"))]
    assert len(scenes) == 3
    assert all(sampled([one], rgb).count > 300 for one in scenes)
    assert said_of(rgb, *scenes) == []


@pytest.mark.parametrize("roles", [ROLES, ("nir", "green", "blue"), ("thermal",)])
def test_noise_is_unlike_the_ground_of_every_shipped_model(roles, tmp_path):
    path = write_scene(tmp_path / "noise.tif", noise(bands=len(roles)), gsd=GSD)
    scene = scene_of(path, bands={role: number for number, role in enumerate(roles, 1)})
    model = load_model(None, roles)
    (sentence,) = said_of(model, scene)
    assert sentence.startswith(f"The ground of noise.tif is unlike the ground that model {model.version} learned from")
    assert ("in the thermal band (" in sentence) == (len(roles) == 1)


def test_blur_is_strange_in_brightness_alone(rgb, field, tmp_path):
    pixels, gsd = field
    blurred = np.stack([cv2.GaussianBlur(band, (0, 0), 4) for band in pixels])
    (sentence,) = said_of(rgb, scene_of(write_scene(tmp_path / "blurred.tif", blurred, gsd=gsd)))
    assert "in brightness (" in sentence


def test_a_picture_without_colour_is_strange_in_the_colour_differences(rgb, field, tmp_path):
    pixels, gsd = field
    grey = np.repeat(pixels[1:2], 3, axis=0)
    (sentence,) = said_of(rgb, scene_of(write_scene(tmp_path / "grey.tif", grey, gsd=gsd)))
    assert "red against green and in red and green against blue" in sentence


def test_a_little_more_light_is_not_strange(rgb, field, tmp_path):
    pixels, gsd = field
    lit = np.clip(pixels * np.array([1.1, 1.15, 1.05])[:, None, None], 0, 255).astype(np.uint8)
    assert said_of(rgb, scene_of(write_scene(tmp_path / "lit.tif", lit, gsd=gsd))) == []


def test_many_small_frames_of_a_field_are_one_site_and_one_sentence(rgb, field, tmp_path):
    pixels, gsd = field
    grey = np.repeat(pixels[1:2], 3, axis=0)
    frames = [
        scene_of(
            write_scene(
                tmp_path / f"{number:02d}.tif", grey[:, 200:300, 100 * number : 100 * number + 100], gsd=gsd,
                west=WEST + 20 * number,
            )
        )
        for number in range(7)
    ]  # fmt: skip
    # One frame alone is too small to tell anything.
    assert sampled(frames[:1], rgb) is None
    assert [len(site) for site in sites_of(frames)] == [7]
    (sentence,) = said_of(rgb, *frames)
    assert "00.tif and 6 more images near by" in sentence


def test_sites_are_told_one_by_one(rgb, tmp_path):
    field = scene_of(FIELD)
    near, far = (
        scene_of(write_scene(tmp_path / name, noise(400, seed), gsd=GSD, north=NORTH - south))
        for name, seed, south in (("near.tif", 1, 0), ("far.tif", 2, 900))
    )
    assert [[one.name for one in site] for site in sites_of([near, far, field])] == [
        ["near.tif"], ["far.tif"], ["field_a.tif"],
    ]  # fmt: skip
    said = said_of(rgb, near, far, field)
    assert [next(name for name in ("near", "far", "field_a") if f"{name}.tif" in one) for one in said] == [
        "near",
        "far",
    ]


def test_the_same_ground_on_another_day_is_another_site(tmp_path):
    path = write_scene(tmp_path / "a.tif", noise(100), gsd=GSD)
    days = [scene_of(path, acquired=f"2024-05-0{day}T10:00:00+00:00") for day in (1, 1, 2)]
    assert [len(site) for site in sites_of(days)] == [2, 1]


def test_ground_without_anything_that_stands_out_tells_nothing(rgb, tmp_path):
    assert said_of(rgb, scene_of(write_scene(tmp_path / "flat.tif", np.full((3, 600, 600), 90, np.uint8)))) == []
