"""Ground unlike the ground a model learned from is told; ground like it is not."""

from __future__ import annotations

import numpy as np
import pytest

from survey.memory.drift import background, drift, is_strange


def grounds(names, seed=0, rows=400):
    """Measures of ground of some sites, each a little apart from the others."""
    rng = np.random.default_rng(seed)
    features, groups = [], []
    for name in names:
        features.append(rng.normal(rng.normal(0, 0.2, 5), 1.0, (rows, 5)))
        groups += [name] * rows
    return np.concatenate(features).astype(np.float32), np.array(groups, dtype=object)


@pytest.mark.parametrize("sites", [3, 40])
def test_strange_is_what_lies_further_off_than_the_sites_from_each_other(sites):
    features, groups = grounds([f"s{n}" for n in range(sites)])
    known = background(features, np.ones(len(features)), groups)
    assert known["sites"] == sites
    like, _ = grounds(["new"], seed=7)
    assert not is_strange(drift(like, np.ones(len(like)), known), known)
    assert is_strange(drift(like + 2, np.ones(len(like)), known), known)


def test_of_one_site_nothing_is_usual():
    features, groups = grounds(["only"])
    known = background(features, np.ones(len(features)), groups)
    assert known["usual"] is None
    assert not is_strange(9.0, known)
    assert background(features[:0], np.ones(0), groups[:0]) == {}


def test_shares_of_rows_count():
    features, groups = grounds(["a", "b"])
    twice = background(np.concatenate([features, features]), np.ones(2 * len(features)), np.concatenate([groups] * 2))
    weighed = background(features, np.full(len(features), 2.0), groups)
    assert np.allclose(twice["mean"], weighed["mean"], atol=1e-4)
    assert np.allclose(twice["spread"], weighed["spread"], atol=1e-4)
    assert twice["usual"] == pytest.approx(weighed["usual"], abs=1e-3)


def test_every_shipped_model_knows_its_ground():
    from survey.api import load_model

    for roles in (("red", "green", "blue"), ("nir", "green", "blue"), ("thermal",)):
        model = load_model(None, roles)
        known = model.card["background"]
        assert known["usual"] > 0
        assert len(known["mean"]) == model.hazard.estimators_[0].n_features_in_
