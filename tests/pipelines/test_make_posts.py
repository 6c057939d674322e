from __future__ import annotations

import json
import shutil
from functools import partial

import numpy as np
import pytest

from pipelines import make_posts
from pipelines.post_examples import FIRST_UNSEEN, joined_examples, post_examples, scene_with_fences
from survey.api import first_stage, load_model
from survey.memory.committee import Committee
from survey.memory.modelfile import chosen_path, unpack

ROLES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def drawn():
    """A scene with fences that is learned from, and one that is not."""
    return scene_with_fences(2, ROLES), scene_with_fences(FIRST_UNSEEN + 2, ROLES)


def test_a_post_is_where_one_was_drawn(drawn):
    scene, _ = drawn
    examples = post_examples(scene, first_stage(load_model(roles=ROLES)), 7)
    assert set(examples.picture) == {7}
    assert 0 < examples.is_post.sum() < 0.2 * len(examples.is_post)
    where = np.column_stack(~scene.transform * (scene.posts[:, 0], scene.posts[:, 1])) * scene.gsd_m
    away = np.hypot(*(examples.place_m[:, None, :2] - where).T).min(axis=0)
    assert (away[examples.is_post] <= 0.12).all()
    assert (away[~examples.is_post] > 0.25).all()
    twice = joined_examples([examples, examples])
    assert len(twice.features) == 2 * len(examples.features)


def test_scenes_that_are_not_learned_from_are_other_scenes_with_room_for_a_fence(drawn):
    learned, unseen = drawn
    assert unseen.pixels[0].size > 2 * learned.pixels[0].size
    assert set(unseen.labels["class_code"]) <= {"fence"}
    assert set(learned.labels["site"]).isdisjoint(unseen.labels["site"])


@pytest.mark.real
def test_a_judge_of_posts_is_added_and_the_rest_of_the_model_stays(tmp_path, monkeypatch):
    shipped = chosen_path(None, ROLES)
    path = tmp_path / "rgb.survey-model"
    shutil.copy(shipped, path)
    monkeypatch.setattr(make_posts, "SETTINGS", Committee(hidden=(16,), epochs=8, batch=256))
    monkeypatch.setattr(make_posts, "gather", partial(make_posts.gather, scenes=40))
    monkeypatch.setattr(make_posts, "unseen_scenes", partial(make_posts.unseen_scenes, count=10))
    said = make_posts.make_posts(path, [], {}, tmp_path / "kept.npz")
    before, after = unpack(shipped), unpack(path)
    assert [name for name in after if after[name] != before.get(name)] == ["card.json", "posts.skops"]
    model = load_model(path, ROLES)
    assert model.card["posts"] == said == json.loads((tmp_path / "rgb.json").read_text())["posts"]
    assert said["metrics"]["drawn"]["n_truth"] >= 3
    with np.load(tmp_path / "kept.npz", allow_pickle=False) as kept:
        assert int(kept["is_post"].sum()) == said["data"]["post_candidates"] > 100
