"""Every kind of thing that can be drawn shows where it lies, and is labelled if and only if it is a hazard."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine

from survey.synthetic.kinds import KINDS
from survey.synthetic.noise import Frame
from survey.synthetic.scene import View, photograph
from survey.synthetic.site import TEST_SITES, Light, Sensor, site_of
from survey.synthetic.world import Thing, World

SIDE_PX = 120
SUN = Light(azimuth_deg=120.0, elevation_deg=50.0, diffuse=0.3)
HIGH_SUN = 1.0  # metres of shadow a metre of height throws at most, under that sun


def picture(thing, gsd_m):
    soil = site_of(TEST_SITES[7]).soil.model_copy(
        update={"first": "loess", "second": "loess", "wetness": 0.0, "stoniness": 0.0}
    )
    site = site_of(TEST_SITES[7]).model_copy(update={"covers": (("bare", 1.0),), "soil": soil})
    frame = Frame(SIDE_PX, SIDE_PX, gsd_m, 2.0 - SIDE_PX * gsd_m / 2, 2.0 + SIDE_PX * gsd_m / 2)
    place = Affine(1, 0, 6e5, 0, 1, 4.4e6)
    view = View(frame, ("red", "green", "blue"), "EPSG:32638", place, SUN, Sensor(blur_px=0.4, noise=0.0))
    return photograph(World(site, (0.0, 10.0, 0.0, 10.0), (), () if thing is None else (thing,)), view)


@cache
def drawn(name):
    """A thing of middling size, and the pixels of the picture with it and without."""
    kind = KINDS[name]
    length = sum(kind.length_m) / 2
    width = length if kind.width_m is None else sum(kind.width_m) / 2
    height = sum(kind.height_m) / 2 * (length if kind.of_length else 1.0)
    thing = Thing(name, 2.0, 2.0, 0.6, length, width, height, age=0.1, seed=5)
    gsd_m = max(length * kind.reach / 50, 0.002)
    if kind.outline == "path":
        thing = replace(thing, path=((-length / 2, 0.0), (0.0, 0.2), (length / 2, 0.0)))
        gsd_m = 0.02
    return thing, picture(thing, gsd_m), picture(None, gsd_m).pixels


@pytest.mark.parametrize("name", KINDS)
def test_it_shows_where_it_lies_and_changes_nothing_far_away(name):
    thing, seen, empty = drawn(name)
    kind = KINDS[name]
    change = np.abs(seen.pixels.astype(float) - empty).max(axis=0)
    plan = shapely.transform(thing.outline(), lambda xy: xy + np.array([6e5, 4.4e6]))
    # Posts and wires are far smaller than the plan of a fence: as many pixels as a small thing has are enough.
    near = rasterio.features.rasterize([plan], change.shape, transform=seen.transform, all_touched=True).astype(bool)
    assert (change[near] >= 6).sum() >= 20
    grown = kind.reach * max(thing.length_m, thing.width_m) + HIGH_SUN * thing.height_m + 0.3
    far = rasterio.features.rasterize([plan.buffer(grown)], change.shape, transform=seen.transform) == 0
    assert change[far].max(initial=0.0) <= 2


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.class_code])
def test_a_hazard_is_labelled_with_its_class_and_its_size(name):
    thing, seen, _ = drawn(name)
    assert seen.labels["class_code"].tolist() == [KINDS[name].class_code]
    ring = seen.labels.geometry.iloc[0].minimum_rotated_rectangle.exterior
    sides = np.hypot(*np.diff(np.array(ring.coords), axis=0).T)
    assert sides.max() == pytest.approx(thing.length_m, rel=0.02)
    if not thing.path:
        assert sides.min() == pytest.approx(min(thing.width_m, thing.length_m), rel=0.02)
        assert seen.labels["occlusion"].iloc[0] < 0.1


def test_harmless_things_are_never_labelled():
    assert [name for name, kind in KINDS.items() if kind.class_code is None and len(drawn(name)[1].labels)] == []


@pytest.mark.parametrize("name", ["crater_small", "tyre", "bush", "mortar_82"])
def test_the_same_thing_is_drawn_the_same_and_another_seed_differently(name):
    thing, seen, _ = drawn(name)
    gsd_m = seen.transform.a
    assert np.array_equal(picture(thing, gsd_m).pixels, seen.pixels)
    assert not np.array_equal(picture(replace(thing, seed=6), gsd_m).pixels, seen.pixels)
