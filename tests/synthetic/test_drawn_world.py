import math

import numpy as np
import pytest

from survey.errors import JobError
from survey.hazards import classes
from survey.synthetic.kinds import KINDS, kinds_of
from survey.synthetic.site import TEST_SITES, site_of
from survey.synthetic.world import build_world

EXTENT = (0.0, 80.0, 0.0, 80.0)
MANY = {"mine_at": 60.0, "mine_ap": 80.0, "mine_scatterable": 80.0, "shell": 20.0, "crater": 10.0, "trench": 4.0}


def test_every_drawable_class_is_known_and_every_known_item_class_can_be_drawn():
    drawn = {kind.class_code for kind in KINDS.values()} - {None}
    assert drawn <= set(classes())
    assert drawn == set(classes()) - {"unknown_object", "clutter"}


@pytest.mark.parametrize("code", ["mine_at", "mine_ap", "mine_scatterable", "submunition", "mortar_bomb", "shell"])
def test_plan_sizes_surround_those_of_the_hazard_table(code):
    site = site_of(TEST_SITES[3])
    things = [
        thing for seed in range(4) for thing in build_world(site, EXTENT, {code: 200.0}, seed, clutter=0.0).things
    ]
    lengths = [thing.length_m for thing in things]
    assert min(lengths) <= classes()[code].length_m * 1.05
    assert max(lengths) >= classes()[code].length_m * 0.95
    kinds = kinds_of(code)
    for thing in things:
        kind = KINDS[thing.kind]
        assert kind in kinds
        assert kind.length_m[0] <= thing.length_m <= kind.length_m[1]


def test_the_same_seed_lays_out_the_same_world():
    site = site_of(TEST_SITES[0])
    assert build_world(site, EXTENT, MANY, 4) == build_world(site, EXTENT, MANY, 4)
    assert build_world(site, EXTENT, MANY, 4) != build_world(site, EXTENT, MANY, 5)


def test_hazards_do_not_lie_in_one_another():
    world = build_world(site_of(TEST_SITES[1]), EXTENT, MANY, 2)
    hazards = [thing for thing in world.things if thing.class_code is not None and not thing.path]
    assert len(hazards) > 60
    for index, one in enumerate(hazards):
        for other in hazards[index + 1 :]:
            apart = math.hypot(one.x_m - other.x_m, one.y_m - other.y_m)
            assert apart > 0.5 * (max(one.length_m, one.width_m) + max(other.length_m, other.width_m))


def test_densities_are_kept_on_average():
    counts = [
        len(build_world(site_of(seed), EXTENT, {"mine_at": 60.0}, seed, clutter=0.0).things) for seed in range(12)
    ]
    assert np.mean(counts) == pytest.approx(60.0 * 0.64, rel=0.2)


def test_some_fields_are_laid_in_rows():
    """Distances to the nearest neighbour vary less in rows than without a pattern (about 0.52 of their mean)."""
    spreads = []
    for seed in range(12):
        world = build_world(site_of(seed), EXTENT, {"mine_at": 90.0}, seed, clutter=0.0)
        places = np.array([(thing.x_m, thing.y_m) for thing in world.things])
        apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)) + np.eye(len(places)) * 1e9
        nearest = apart.min(axis=1)
        spreads.append(nearest.std() / nearest.mean())
    assert min(spreads) < 0.40
    assert max(spreads) > 0.45


def test_a_site_has_hundreds_of_harmless_things_a_hectare_and_none_is_labelled():
    world = build_world(site_of(TEST_SITES[2]), EXTENT, {}, 1)
    assert len(world.things) > 300
    assert {thing.class_code for thing in world.things} == {None}


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(JobError, match="'ufo' cannot be drawn"):
        build_world(site_of(1), EXTENT, {"ufo": 1.0}, 1)
    with pytest.raises(JobError, match="no ground"):
        build_world(site_of(1), (0.0, 0.0, 0.0, 5.0), {}, 1)
