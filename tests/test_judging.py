"""What a model that stands on an elder says: each decides about the classes and sizes it knows."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pipelines.fitting import _shift
from pipelines.measuring import Rows
from survey.api.judging import judge, line_curve, post_probability, sizes_of
from survey.memory.modelfile import Model

MINE, SHELL = 0.34, 0.68
LIKELY = [3.0, 1.0]


def fitted(codes):
    """A model that takes the first feature for the sign of a hazard object, and names it by the second."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 2)).astype(np.float32) * 2
    hazard = LogisticRegression().fit(features, features[:, 0] > 0)
    namer = LogisticRegression().fit(features, np.where(features[:, 1] > 0, codes[0], codes[-1]))
    return hazard, namer


def model(version, sizes, least=2.0):
    hazard, namer = fitted([*sizes, "clutter"] if len(sizes) == 1 else list(sizes))
    card = {"scales_by_class": sizes}
    told = (version, version, ("thermal",), sizes, least, "any", (1.0, 0.0), card)
    return Model(*told, hazard=hazard, namer=namer)


ELDER = model("elder", {"mine_at": (MINE,), "shell": (SHELL,)})
YOUNGER = model("younger", {"mine_at": (MINE,)})


def on_top(shift):
    """The younger on top of the elder, whose probabilities are shifted by so many logits."""
    card = {**YOUNGER.card, "elder": {"shift": shift}}
    known = {**ELDER.scales_by_class, **YOUNGER.scales_by_class}
    return replace(YOUNGER, scales_by_class=known, card=card, elder=ELDER)


def _never():
    """A classifier that takes nothing for a hazard object."""
    features = np.array([[0.0, 0.0], [1e6, 0.0]], np.float32)
    return LogisticRegression().fit(features, [False, True])


def said(features, diameters, asked, strength=5.0):
    rows = np.array(features, np.float32)
    return judge(rows, np.array(diameters), np.full(len(rows), strength), asked)


def test_the_elder_decides_where_the_younger_does_not_look():
    # Named a shell by the elder's second feature, at the shell's size.
    shell = [3.0, -3.0]
    alone, _ = said([shell], [SHELL], ELDER)
    probability, codes = said([shell], [SHELL], on_top(0.0))
    assert codes.tolist() == ["shell"]
    assert probability == pytest.approx(alone)


def test_what_reviewed_ground_showed_shifts_the_elders_probability_in_logits():
    shell = [1.0, -3.0]
    alone, _ = said([shell], [MINE], replace(ELDER, scales_by_class={**ELDER.scales_by_class, "shell": (MINE, SHELL)}))
    shifted = replace(on_top(-1.5), hazard=_never())
    (after,), _ = said([shell], [MINE], shifted)
    assert np.log(after / (1 - after)) == pytest.approx(np.log(alone[0] / (1 - alone[0])) - 1.5)
    # At a size of which the younger has learned nothing the elder's word stands.
    assert said([shell], [SHELL], on_top(-1.5))[0] == pytest.approx(said([shell], [SHELL], on_top(0.0))[0])


def test_each_class_of_the_elder_answers_for_itself():
    named_shell, named_mine = [3.0, -3.0], [3.0, 3.0]
    elder = replace(ELDER, scales_by_class={"mine_at": (MINE,), "shell": (SHELL,)})
    card = {"scales_by_class": {"plate": (MINE,)}, "elder": {"shift": {"shell": -2.0}}}
    known = {**elder.scales_by_class, "plate": (MINE,)}
    younger = replace(YOUNGER, scales_by_class=known, card=card, elder=elder, hazard=_never())
    alone, codes = said([named_shell, named_mine], [SHELL, SHELL], elder)
    assert codes.tolist() == ["shell", "mine_at"]
    after, _ = said([named_shell, named_mine], [SHELL, SHELL], younger)
    odds = [np.log(one / (1 - one)) for one in (alone, after)]
    assert odds[1] - odds[0] == pytest.approx([-2.0, 0.0])


def test_reviewed_ground_lowers_only_what_was_wrongly_claimed_there():
    # Forty shells and one mine claimed where a person found nothing; a remembered shell excuses one more.
    features = np.array([[3.0, -3.0]] * 40 + [[3.0, 3.0]], np.float32)
    text, number = np.full(41, "", object), np.zeros(41)
    rows = Rows(features, text, np.ones(41), np.full(41, SHELL), np.full(41, 5.0), number, number, text, text)
    shift = _shift(ELDER, SimpleNamespace(rows=rows, counts={"plate": 12}, left={"shell": 1}))
    assert set(shift) == {"shell"}
    lowered, _ = said(features, rows.diameter_m, replace(on_top(shift), hazard=_never(), card={
        "scales_by_class": {}, "elder": {"shift": shift}}))  # fmt: skip
    assert lowered[:40].sum() == pytest.approx(2.0, rel=1e-6)
    assert lowered[40] == said(features[40:], [SHELL], ELDER)[0]


def test_a_class_of_the_younger_is_never_taken_from_the_elder():
    # At a size where the younger does not look the elder would name a mine; that class is not its to name.
    (probability,), _ = said([LIKELY], [SHELL], on_top(0.0))
    assert probability == 0.0
    (probability,), codes = said([LIKELY], [MINE], on_top(0.0))
    (alone,), _ = said([LIKELY], [MINE], YOUNGER)
    assert probability == pytest.approx(alone)
    assert codes.tolist() == ["mine_at"]


def test_the_elder_is_not_asked_of_what_it_would_not_have_proposed():
    demanding = replace(on_top(0.0), elder=replace(ELDER, least_strength=9.0))
    (probability,), _ = said([[3.0, -3.0]], [SHELL], demanding)
    assert probability == 0.0


def test_candidates_that_are_nothing_are_not_named():
    probability, codes = said([[-9.0, 1.0], LIKELY], [MINE, MINE], YOUNGER)
    assert probability[0] < 0.05 < probability[1]
    assert codes.tolist() == ["unknown_object", "mine_at"]


def test_every_size_once():
    assert sizes_of(on_top(0.0)) == (MINE, SHELL)


def with_posts(least=2.0, calibration=(1.0, 0.0)):
    """The elder with a judge of posts that takes the second feature for the sign of one."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(400, 2)).astype(np.float32) * 2
    posts = LogisticRegression().fit(features, features[:, 1] > 0)
    card = {**ELDER.card, "posts": {"calibration": list(calibration), "line": [0.5, -1.0]}}
    sizes = {**ELDER.scales_by_class, "fence": (MINE,)}
    return replace(ELDER, card=card, scales_by_class=sizes, posts=posts, least_strength=least)


def posts_said(features, diameters, asked, strength=5.0):
    rows = np.array(features, np.float32)
    return post_probability(rows, np.array(diameters), np.full(len(rows), strength), asked)


def test_posts_are_judged_beside_hazard_objects_at_their_own_sizes():
    post, none = [-9.0, 4.0], [3.0, -9.0]
    told = posts_said([post, none, post], [MINE, MINE, SHELL], with_posts())
    assert told[0] > 0.9
    # Neither what is hardly a post nor what has not the size of one is told.
    assert told[1:].tolist() == [0.0, 0.0]
    assert posts_said([post], [MINE], with_posts(least=9.0)).tolist() == [0.0]
    assert posts_said([post], [MINE], ELDER).tolist() == [0.0]
    assert said([post], [MINE], with_posts())[0] < 0.05


def test_what_is_said_of_a_post_is_calibrated():
    post = [[0.0, 1.0]]
    (plain,), (lowered,) = (posts_said(post, [MINE], with_posts(calibration=(1.0, shift))) for shift in (0.0, -1.0))
    assert np.log(lowered / (1 - lowered)) == pytest.approx(np.log(plain / (1 - plain)) - 1.0)


def test_the_elders_judge_of_posts_serves_a_younger_that_has_learned_no_fence():
    elder = with_posts()
    younger = replace(on_top(0.0), elder=elder)
    assert posts_said([[0.0, 4.0]], [MINE], younger) == posts_said([[0.0, 4.0]], [MINE], elder)
    assert line_curve(younger) == (0.5, -1.0)
    own = replace(younger, card={**younger.card, "scales_by_class": {"mine_at": (MINE,), "fence": (MINE,)}})
    assert posts_said([[0.0, 4.0]], [MINE], own).tolist() == [0.0]
    assert line_curve(own) is None
    assert line_curve(YOUNGER) is None


def test_measures_of_ones_own_come_after_those_that_the_judge_of_posts_reads():
    assert posts_said([[0.0, 4.0, 77.0]], [MINE], with_posts()) == posts_said([[0.0, 4.0]], [MINE], with_posts())
