from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from survey.memory.committee import Committee
from survey.memory.table import Nudged, Table, joined_looks, looks_at
from survey.memory.training import Training, fit

KINDS = 6
SETTINGS = Training(
    committee=Committee(iterations=5, leaves=4, leaf_samples=5, feature_share=0.5, networks=1, hidden=(8,), epochs=3),
    nudged=True,
)


def table(seed=0, count=300):
    """Objects and negatives of three sites; every look is its row's features and a number of its own."""
    rng = np.random.default_rng(seed)
    codes = np.where(rng.random(count) < 0.2, "mine_at", "").astype(object)
    features = rng.normal(0, 1, (count, 4)).astype(np.float32)
    features[codes != "", 0] += 2
    of, _ = looks_at(codes, KINDS, rng)
    looks = features[of] + rng.normal(0, 0.2, (len(of), 4)).astype(np.float32)
    return Table(features, codes, np.where(codes == "", 3.0, 1.0), np.arange(count) % 3, Nudged(looks, of))


def test_objects_are_looked_at_by_every_nudge_and_half_of_the_negatives_by_one():
    codes = np.array(["", "mine_at"] * 500, dtype=object)
    of, which = looks_at(codes, KINDS, np.random.default_rng(0))
    on = codes[of] != ""
    assert sorted(zip(of[on].tolist(), which[on].tolist(), strict=True)) == [
        (row, kind) for row in range(1, 1000, 2) for kind in range(KINDS)
    ]
    assert 200 < (~on).sum() == len(np.unique(of[~on])) < 300
    assert set(which[~on].tolist()) == set(range(KINDS))
    # What a person called harmless is known as well as an object: its own look is taught, too.
    harmless = np.array(["!", "", ""], dtype=object)
    of, _ = looks_at(harmless, KINDS, np.random.default_rng(1))
    assert (of == 0).sum() == KINDS
    nothing = np.array(["", "", ""], dtype=object)
    taught = Table(np.eye(3, dtype=np.float32), nothing, np.ones(3), np.zeros(3, int), Nudged(np.ones((6, 3)), of[:6]))
    assert taught.taught()[2] == pytest.approx([1 / 7, 1, 1, *[1 / 7] * 6])


def test_looks_share_the_weight_of_their_row_and_a_nudged_negative_is_not_taught_as_it_lies():
    whole = table()
    features, codes, weights = whole.taught()
    for name in ("", "mine_at"):
        assert weights[codes == name].sum() == pytest.approx(whole.weights[whole.codes == name].sum())
    assert (codes == "").sum() == (whole.codes == "").sum()
    assert (codes != "").sum() == (1 + KINDS) * (whole.codes != "").sum()
    taught = {row.tobytes() for row in features}
    moved = np.isin(np.arange(len(whole.codes)), whole.nudged.of) & (whole.codes == "")
    assert [row.tobytes() in taught for row in whole.features] == (~moved).tolist()
    plain = Table(whole.features, whole.codes, whole.weights, whole.groups)
    assert plain.taught()[0] is whole.features


def test_looks_follow_their_rows():
    whole = table()
    some = np.random.default_rng(1).random(len(whole.codes)) < 0.4
    part, rest = whole.take(some), whole.take(~some)
    again = joined_looks([(len(part.codes), part.nudged), (3, None), (len(rest.codes), rest.nudged)])
    features = np.concatenate([part.features, np.zeros((3, 4), np.float32), rest.features])

    def pairs(rows, looks):
        return sorted((rows[of].tobytes(), look.tobytes()) for of, look in zip(looks.of, looks.features, strict=True))

    assert pairs(features, again) == pairs(whole.features, whole.nudged)
    assert joined_looks([(5, None), (0, None)]) is None


def test_looks_are_taught_only_where_that_is_asked_for():
    whole = table()
    plain = Table(whole.features, whole.codes, whole.weights, whole.groups)
    without = SETTINGS.model_copy(update={"nudged": False})
    assert fit(whole, without).held_out.tobytes() == fit(plain, without).held_out.tobytes()
    assert fit(whole, SETTINGS).held_out.tobytes() != fit(plain, SETTINGS).held_out.tobytes()
    assert fit(plain, SETTINGS).held_out.tobytes() == fit(plain, without).held_out.tobytes()


def test_a_site_is_not_asked_about_by_who_was_taught_a_look_at_it():
    whole = table()
    mine = whole.groups == 0
    other = whole.nudged.features.copy()
    other[mine[whole.nudged.of]] += 5
    changed = Table(whole.features, whole.codes, whole.weights, whole.groups, Nudged(other, whole.nudged.of))
    before, after = fit(whole, SETTINGS).held_out, fit(changed, SETTINGS).held_out
    # Other looks at site 0 move only the curve laid over the raw answers about site 0, a straight line in logits.
    for rows, straight in ((mine, True), (~mine, False)):
        line = np.polyfit(logit(before[rows]), logit(after[rows]), 1)
        assert np.allclose(np.polyval(line, logit(before[rows])), logit(after[rows]), atol=1e-6) == straight
