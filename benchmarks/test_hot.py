"""The functions a survey spends its time in, one by one: `pytest benchmarks/test_hot.py --benchmark-enable`.

A drawn test site is what they look at: real photographs are not part of the project. ``--benchmark-autosave`` and
``--benchmark-compare`` set a change against what was saved before it.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from survey.api import load_model
from survey.api.judging import first_stage, worth_judging
from survey.detection.candidates import peaks_of, strength_of
from survey.detection.channels import channels_of, pyramid
from survey.detection.networks import network_answers, rough_answers
from survey.detection.objects import outline_of
from survey.detection.scales import plan_passes
from survey.detection.search import octaves_of, search
from survey.memory.committee import networks_of
from survey.synthetic.scene import SceneSettings, draw_scene
from survey.synthetic.site import TEST_SITES, site_of

SIDE = 1024
MARGIN = 128
ACROSS = 9.6


@pytest.fixture(scope="module")
def ground():
    """A drawn window at 2.5 cm, its octaves, the finest pass over it and the candidates that pass the sieve."""
    seed = TEST_SITES[0]
    scene = draw_scene(SceneSettings(width_px=SIDE, height_px=SIDE, gsd_m=0.025, site=site_of(seed)), seed)
    model = load_model(None, ("red", "green", "blue"))
    a_pass = plan_passes(0.025, model.scales_by_class)[0]
    octaves = octaves_of(scene.pixels, scene.valid, a_pass)
    core = (MARGIN, SIDE - MARGIN, MARGIN, SIDE - MARGIN)

    def look():
        return search(octaves, scene.valid, (0, 0), core, a_pass, first_stage(model))

    return SimpleNamespace(scene=scene, model=model, octaves=octaves, look=look, found=look())


def test_channels(benchmark, ground):
    assert benchmark(channels_of, ground.scene.pixels).shape == (SIDE, SIDE, 3)


def test_halving(benchmark, ground):
    assert set(benchmark(pyramid, ground.octaves[0], 3)) == {0, 1, 2, 3}


def test_how_far_pixels_stand_out(benchmark, ground):
    assert benchmark(strength_of, ground.octaves[1], ACROSS / 2, 4).total.max() > 0


def test_candidates(benchmark, ground):
    total = strength_of(ground.octaves[1], ACROSS / 2, 4).total
    assert len(benchmark(peaks_of, total, ACROSS / 2, 3.0)[0])


def test_the_whole_search(benchmark, ground):
    assert len(benchmark(ground.look).row) == len(ground.found.row)


def test_networks_asked_roughly(benchmark, ground):
    network = networks_of(ground.model.hazard)[0]
    assert len(benchmark(rough_answers, network, ground.found.features)) == len(ground.found.row)


def test_networks_asked_exactly(benchmark, ground):
    network = networks_of(ground.model.hazard)[0]
    assert len(benchmark(network_answers, network, ground.found.features)) == len(ground.found.row)


def test_what_is_worth_judging(benchmark, ground):
    may = benchmark(worth_judging, ground.found.features, ground.found.diameter_m, ground.model)
    assert may.any()
    assert not may.all()


def test_an_outline(benchmark, ground):
    octave = ground.octaves[0]
    assert benchmark(outline_of, octave, SIDE // 2, SIDE // 2, ACROSS).length_px > 0
