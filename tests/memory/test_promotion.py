from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from survey.memory.grouping import groups_of
from survey.memory.promotion import Answers, Promotion, Truth, compare, doubtful, losses, remarks

SETTINGS = Promotion(resamples=200)


def case(n_objects=60, n_false=400, sites=6, seed=0):
    """Objects with one candidate each, and candidates that lie on none."""
    rng = np.random.default_rng(seed)
    of_object = np.arange(n_objects) % sites
    of_false = rng.integers(0, sites, n_false)
    unit = np.r_[of_object, of_false]
    names = np.array([f"s{one}" for one in unit], dtype=object)
    truth = Truth(np.full(n_objects, "mine_at", dtype=object), names[:n_objects], of_object)
    target = np.r_[np.arange(n_objects), np.full(n_false, -1)]
    return truth, Answers(target, np.ones(len(target)), names, unit), rng


def said(answers, rng, skill):
    """Probabilities that tell objects from others with some skill."""
    hazard = answers.target >= 0
    return 1 / (1 + np.exp(-(rng.normal(0, 1, len(hazard)) + np.where(hazard, skill, -skill))))


def test_average_precision_is_that_of_its_definition():
    truth, answers, rng = case(n_objects=5, n_false=7, sites=2)
    probability = said(answers, rng, 0.5)
    found = compare(truth, answers, {"challenger": probability}, SETTINGS)["overall"]["challenger"]
    order = np.argsort(-probability)
    hit = answers.target[order] >= 0
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    assert found["ap"] == pytest.approx(precision[hit].sum() / 5)
    assert found["recall"] == pytest.approx((probability[:5] >= 0.5).mean())


def test_what_is_not_judged_by_is_said():
    truth, answers, rng = case(n_objects=60, sites=6)
    before = said(answers, rng, 2.0)
    both = {"challenger": before, "champion": before}
    assert remarks(compare(truth, answers, both, SETTINGS), SETTINGS) == []
    (few,) = remarks(compare(truth, answers, both, SETTINGS), SETTINGS.model_copy(update={"fewest": 11}))
    assert few.startswith("Of fewer than 11 objects, and so not judged: site s0, site s1")
    assert "overall" not in few
    # As good an order, and nothing of it at the threshold: no loss of average precision, and of no use.
    silent = compare(truth, answers, both | {"challenger": before * 0.4}, SETTINGS)
    (none,) = remarks(silent, SETTINGS)
    assert "shows none of the 60 objects" in none
    alone = compare(truth, answers, {"challenger": before * 0.4}, SETTINGS)
    assert remarks(alone, SETTINGS) == []


def test_weights_stand_for_candidates():
    truth, answers, rng = case(n_objects=6, n_false=5, sites=2)
    probability = said(answers, rng, 0.3)
    heavy = np.r_[np.ones(6), np.full(5, 3.0)]
    weighted = compare(truth, Answers(answers.target, heavy, answers.sites, answers.units), {"challenger": probability},
                       SETTINGS)  # fmt: skip
    times = np.r_[np.arange(6), np.repeat(np.arange(6, 11), 3)]
    repeated = Answers(*(one[times] for one in (answers.target, answers.weights, answers.sites, answers.units)))
    thrice = compare(truth, repeated, {"challenger": probability[times]}, SETTINGS)
    assert weighted["overall"]["challenger"]["ap"] == pytest.approx(thrice["overall"]["challenger"]["ap"])


def test_an_object_without_a_candidate_is_missed():
    truth, answers, _ = case(n_objects=10, n_false=0)
    shown = answers.target != 3
    fewer = Answers(*(one[shown] for one in (answers.target, answers.weights, answers.sites, answers.units)))
    found = compare(truth, fewer, {"challenger": np.full(9, 0.9)}, SETTINGS)["overall"]["challenger"]
    assert found == {"ap": pytest.approx(0.9), "recall": pytest.approx(0.9)}


def test_equals_lose_nothing_and_the_worse_is_found_out():
    truth, answers, rng = case()
    good, bad = said(answers, rng, 2.0), said(answers, rng, 0.3)
    assert losses(compare(truth, answers, {"challenger": good, "champion": good}, SETTINGS), SETTINGS) == []
    assert losses(compare(truth, answers, {"challenger": good, "champion": bad}, SETTINGS), SETTINGS) == []
    against = losses(compare(truth, answers, {"challenger": bad, "champion": good}, SETTINGS), SETTINGS)
    assert any(one.startswith("overall: average precision falls from") for one in against)


def test_a_class_that_gets_worse_stands_against_it_although_the_whole_gets_better():
    truth, answers, rng = case(n_objects=120)
    codes = np.where(np.arange(120) % 4 == 0, "mine_ap", "mine_at").astype(object)
    truth = Truth(codes, truth.sites, truth.units)
    champion, challenger = said(answers, rng, 1.2), said(answers, rng, 2.5)
    challenger[:120][codes == "mine_ap"] = 0.02
    report = compare(truth, answers, {"challenger": challenger, "champion": champion}, SETTINGS)
    assert report["class mine_at"]["ap_difference"] > 0
    assert any(one.startswith("class mine_ap:") for one in losses(report, SETTINGS))


def test_too_few_objects_are_not_judged_by_themselves():
    truth, answers, rng = case(n_objects=7, n_false=50)
    report = compare(
        truth, answers, {"challenger": said(answers, rng, 0.1), "champion": said(answers, rng, 3.0)}, SETTINGS
    )
    assert report["overall"]["ap_interval"] is None
    assert losses(report, SETTINGS) == []


def test_a_batch_of_wrong_labels_is_doubted_and_a_right_one_is_not():
    rng = np.random.default_rng(1)
    good, batch = rng.beta(6, 2, 120), np.repeat(np.array(["1-a", "2-b", "3-c"], dtype=object), 40)
    assert doubtful(good, batch, SETTINGS) == {}
    poisoned = good.copy()
    poisoned[80:92] = 0.01
    assert set(doubtful(poisoned, batch, SETTINGS)) == {"3-c"}


def clips(places, site=""):
    """Clips of ten metres at places (metres east) in UTM."""
    return pd.DataFrame(
        {
            "site": site, "crs": "EPSG:32638",
            "transform": [(0.01, 0.0, 690_000.0 + x, 0.0, -0.01, 4_370_000.0) for x in places],
            "core": [(0, 1000, 0, 1000)] * len(places),
        }
    )  # fmt: skip


def test_groups_are_sites_else_blocks_else_parts_of_ground():
    ones = np.ones(6, dtype=np.int64)
    groups, _ = groups_of(clips(range(0, 60, 10), ["a", "a", "b", "b", "c", "c"]), ones)
    assert groups.tolist() == ["a", "a", "b", "b", "c", "c"]
    groups, _ = groups_of(clips(range(0, 3000, 500)), ones)
    assert len(set(groups)) == 6
    groups, sentence = groups_of(clips(range(0, 60, 10), "a"), ones)
    assert 2 <= len(set(groups)) <= 5
    assert "one site" in sentence


def test_images_of_the_same_ground_are_never_on_both_sides():
    overlapping = clips([0, 5, 10, 15, 200, 205, 400, 405], "a")
    groups, _ = groups_of(overlapping, np.ones(8, dtype=np.int64))
    assert len(set(groups[:4])) == 1
    assert len(set(groups[4:6])) == 1
    assert len(set(groups)) >= 2
