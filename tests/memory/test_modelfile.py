from __future__ import annotations

import copy
import io
import json
import os
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from survey.errors import ModelError
from survey.memory.committee import Committee, fit_network
from survey.memory.estimators import _as_table, stored
from survey.memory.judges import Judges, load_model, save_model
from survey.memory.modelfile import shipped_models
from survey.memory.table import Table
from survey.memory.training import Training, fit

ROLES = ("red", "green", "blue")
CARD = {
    "version": "small-1", "roles": list(ROLES), "scales_by_class": {"mine_at": [0.24, 0.34], "crater": [2.7]},
    "least_strength": 0.8, "feature_set": "polar-3", "calibration": [1.1, -0.2],
}  # fmt: skip


SIEVE = Committee(hidden=(4,), epochs=2)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    codes = rng.choice(np.array(["", "mine_at", "crater"], dtype=object), 240)
    features = rng.normal(0, 1, (240, 5)).astype(np.float32)
    features[:, 0] += 2 * (codes == "mine_at")
    features[:, 1] += 2 * (codes == "crater")
    return features, codes


@pytest.fixture(scope="module")
def fitted(table):
    features, codes = table
    settings = Training(
        committee=Committee(
            iterations=5, leaves=6, leaf_samples=5, feature_share=1.0, networks=1, hidden=(4,), epochs=2
        )
    )
    return fit(Table(features, codes, np.ones(len(codes)), np.arange(len(codes)) % 3), settings)


@pytest.fixture(scope="module")
def whole(fitted, table, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.survey-model"
    save_model(path, Judges(fitted.hazard, fitted.namer), CARD, table[0][:8])
    return path


@pytest.fixture
def changed(whole, tmp_path):
    """Write the model file again with other parts; None leaves a part out."""

    def write(**parts):
        with zipfile.ZipFile(whole) as archive:
            kept = {name: archive.read(name) for name in archive.namelist()}
        kept |= {name.replace("__", "."): data for name, data in parts.items()}
        path = tmp_path / "changed.survey-model"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in kept.items():
                if data is not None:
                    archive.writestr(name, data)
        return path

    return write


def refused(path, match):
    with pytest.raises(ModelError, match=match):
        load_model(path, ROLES)


def test_round_trip(whole, fitted, table, changed):
    model = load_model(whole, (*ROLES, "nir"))
    assert (model.version, model.roles, set(model.classes)) == ("small-1", ROLES, {"mine_at", "crater"})
    assert model.scales_by_class["mine_at"] == (0.24, 0.34)
    assert (model.least_strength, model.feature_set, model.calibration) == (0.8, "polar-3", (1.1, -0.2))
    for name in ("hazard", "namer"):
        asked = getattr(model, name).predict_proba(table[0])
        assert asked.tobytes() == getattr(fitted, name).predict_proba(table[0]).tobytes()
    assert not list(whole.parent.glob("*.part"))
    # Another compression is the same model; another card is not.
    assert load_model(changed(), ROLES).digest == model.digest
    card = json.dumps({"protocol": 2, **CARD, "version": "small-2"})
    assert load_model(changed(card__json=card), ROLES).digest != model.digest


def test_what_ships_loads():
    paths = list(shipped_models())
    assert paths
    for path in paths:
        assert path.stat().st_size <= 5_000_000
        with zipfile.ZipFile(path) as archive:
            roles = json.loads(archive.read("card.json"))["roles"]
        assert load_model(path, roles).version == load_model(None, roles).version


def test_wrong_roles(whole):
    with pytest.raises(ModelError, match="no red, green"):
        load_model(whole, ("thermal", "blue"))
    with pytest.raises(ModelError, match="fits the bands elevation"):
        load_model(None, ("elevation",))


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_nothing_pickled_is_opened(tmp_path, monkeypatch, changed):
    monkeypatch.chdir(tmp_path)
    trap = pickle.dumps(Trap())
    (tmp_path / "a.pkl").write_bytes(trap)
    refused(tmp_path / "a.pkl", "cannot be read")
    with zipfile.ZipFile(tmp_path / "b.joblib", "w") as archive:
        archive.writestr("archive/data.pkl", trap)
    refused(tmp_path / "b.joblib", "not a model file")
    refused(changed(hazard__skops=trap), "hazard.skops is damaged")
    assert not (tmp_path / "sprung").exists()


def test_missing_and_truncated_files(whole, tmp_path):
    refused(tmp_path / "none.survey-model", "cannot be read")
    data = whole.read_bytes()
    for length in (0, 10, len(data) // 2, len(data) - 5):
        cut = tmp_path / "cut.survey-model"
        cut.write_bytes(data[:length])
        refused(cut, "cannot be read")


def test_a_byte_turned_anywhere_is_refused(whole, tmp_path):
    data = whole.read_bytes()
    spoiled = tmp_path / "spoiled.survey-model"
    for at in range(200, len(data) - 500, len(data) // 12):
        spoiled.write_bytes(data[:at] + bytes([data[at] ^ 0x5A]) + data[at + 1 :])
        refused(spoiled, "spoiled")


def test_members(changed):
    refused(changed(more__txt=b"x"), "not a model file")
    refused(changed(namer__skops=None), "not a model file")


@pytest.mark.parametrize(
    "card",
    [b"{", b"[]", json.dumps({"protocol": 1}).encode(), json.dumps({"protocol": 1, **CARD, "roles": 3}).encode()],
)
def test_a_damaged_card(changed, card):
    refused(changed(card__json=card), "card.json is damaged")


def test_another_protocol(changed):
    refused(changed(card__json=json.dumps({"protocol": 3, **CARD})), "protocol 3; this version reads 1 and 2")


def test_a_file_of_before_is_read(changed, fitted, table, tmp_path):
    parts = {f"{name}__skops": skops.io.dumps(getattr(fitted, name)) for name in ("hazard", "namer")}
    model = load_model(changed(card__json=json.dumps({"protocol": 1, **CARD}), **parts), ROLES)
    for name in ("hazard", "namer"):
        asked = getattr(model, name).predict_proba(table[0])
        assert asked.tobytes() == getattr(fitted, name).predict_proba(table[0]).tobytes()
    # Written again it is of today.
    again = tmp_path / "again.survey-model"
    save_model(again, Judges(model.hazard, model.namer), model.card, table[0][:8])
    assert load_model(again, ROLES).card["protocol"] == 2


def test_trees_are_kept_as_one_table(whole, fitted):
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(io.BytesIO(archive.read("namer.skops"))) as namer:
        trees = sum(map(len, fitted.namer._predictors))
        assert trees == 60
        assert sum(name.endswith(".npy") for name in namer.namelist()) < trees
    # What is stored is as it was.
    assert all(isinstance(tree.nodes, np.ndarray) for stage in fitted.namer._predictors for tree in stage)


def other_table(**change):
    def tamper(trees):
        table = _as_table(trees._predictors)
        trees._predictors = table | {key: make(table[key]) for key, make in change.items()}

    return tamper


@pytest.mark.parametrize(
    "tamper",
    [
        other_table(sizes=lambda sizes: sizes + 1),
        other_table(sizes=lambda sizes: sizes.astype(float)),
        other_table(sizes=lambda sizes: sizes.ravel()),
        other_table(sizes=lambda sizes: np.where(np.arange(sizes.size).reshape(sizes.shape) == 0, -1, sizes)),
        other_table(nodes=lambda nodes: nodes[:-1]),
        other_table(nodes=lambda nodes: nodes["value"].copy()),
        other_table(nodes=lambda nodes: nodes.tolist()),
        lambda trees: setattr(trees, "_predictors", {}),
    ],
)
def test_a_table_of_trees_that_does_not_fit_together(changed, fitted, tamper):
    other = copy.deepcopy(fitted.hazard)
    tamper(trees_of(other))
    refused(changed(hazard__skops=skops.io.dumps(other)), "do not fit together")


def test_trees_of_another_number_a_stage(changed, fitted):
    other = copy.deepcopy(fitted.namer)
    table = _as_table(other._predictors)
    other._predictors = table | {"sizes": table["sizes"].reshape(1, -1)}
    refused(changed(namer__skops=skops.io.dumps(other)), "cannot answer")


def test_a_type_that_is_not_trusted(changed, fitted):
    sly = make_pipeline(FunctionTransformer(os.getcwd), fitted.hazard)
    refused(changed(hazard__skops=skops.io.dumps(sly)), "not trusted")


def test_other_answers(changed, whole):
    with zipfile.ZipFile(whole) as archive:
        reference = json.loads(archive.read("reference.json"))
    other = copy.deepcopy(reference)
    other["hazard"][2] += 1e-3
    refused(changed(reference__json=json.dumps(other)), "differently")
    other = {**reference, "namer": reference["namer"][:3]}
    refused(changed(reference__json=json.dumps(other)), "differently")
    refused(changed(reference__json=json.dumps({**reference, "inputs": [[1.0]]})), "cannot answer")
    refused(changed(reference__json=b"{}"), "cannot answer")


def out_of_range(nodes, inner):
    nodes["left"][inner[0]] = 10_000


def cycle(nodes, inner):
    nodes["right"][inner[-1]] = 0


def meeting(nodes, inner):
    nodes["left"][inner[0]] = nodes["right"][inner[0]]


def strange_feature(nodes, inner):
    nodes["feature_idx"][inner[0]] = 999


def strange_group(nodes, inner):
    nodes["is_categorical"][inner[0]], nodes["bitset_idx"][inner[0]] = 1, 77


def trees_of(estimator):
    return estimator.estimators_[0].estimator if isinstance(estimator, VotingClassifier) else estimator


def tampered(estimator, change):
    other = copy.deepcopy(estimator)
    predictor = trees_of(other)._predictors[1][0]
    nodes = predictor.nodes.copy()
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    assert len(inner) > 1
    change(nodes, inner)
    predictor.nodes = nodes
    return other


@pytest.mark.parametrize("store", [skops.io.dumps, stored])
@pytest.mark.parametrize("part", ["hazard", "namer"])
@pytest.mark.parametrize("change", [out_of_range, cycle, meeting, strange_feature, strange_group])
def test_a_tampered_tree(changed, fitted, part, change, store):
    data = store(tampered(getattr(fitted, part), change))
    refused(changed(**{f"{part}__skops": data}), "Refused")


@pytest.mark.parametrize("store", [skops.io.dumps, stored])
def test_a_tree_without_a_node(changed, fitted, store):
    other = copy.deepcopy(fitted.hazard)
    first = trees_of(other)._predictors[0][0]
    first.nodes = first.nodes[:0]
    refused(changed(hazard__skops=store(other)), "without a root")


def test_a_tampered_tree_deep_inside(changed, fitted):
    around = StackingClassifier([("one", fitted.hazard)])
    around.final_estimator_ = make_pipeline(FunctionTransformer(), tampered(fitted.hazard, cycle))
    refused(changed(hazard__skops=skops.io.dumps(around)), "astray")


def test_a_forest_of_another_kind_is_read(tmp_path, fitted, table):
    features, codes = table
    forest = RandomForestClassifier(5, max_depth=4, random_state=0).fit(features, codes != "")
    path = tmp_path / "forest.survey-model"
    save_model(path, Judges(forest, fitted.namer), CARD, features[:8])
    asked = load_model(path, ROLES).hazard.predict_proba(features)
    assert np.allclose(asked, forest.predict_proba(features))


def sieve_of(table, change=None):
    features, codes = table
    sieve = fit_network(features[:, :3], (codes != "").astype(np.int64), np.ones(len(codes)), SIEVE, seed=0)
    if change is not None:
        change(sieve)
    return sieve


def test_a_sieve_is_kept_and_counts(fitted, table, whole, tmp_path):
    path = tmp_path / "sieved.survey-model"
    judges = Judges(fitted.hazard, fitted.namer, sieve_of(table))
    save_model(path, judges, CARD | {"sieve": {"least": 0.3}}, table[0][:8])
    model = load_model(path, ROLES)
    assert model.card["sieve"]["least"] == 0.3
    asked = model.sieve.predict_proba(table[0][:, :3])
    assert asked.tobytes() == judges.sieve.predict_proba(table[0][:, :3]).tobytes()
    assert model.digest != load_model(whole, ROLES).digest
    save_model(path, replace(judges, sieve=sieve_of(table, lambda one: one.coefs_[0].fill(0.5))),
               CARD | {"sieve": {"least": 0.3}}, table[0][:8])  # fmt: skip
    assert load_model(path, ROLES).digest != model.digest


def widened(sieve):
    sieve.coefs_[0] = np.vstack([sieve.coefs_[0]] * 2)


@pytest.mark.parametrize(
    ("change", "least"),
    [
        (lambda one: one.coefs_[0].fill(np.nan), 0.3),
        (widened, 0.3),
        (lambda one: one.intercepts_.pop(), 0.3),
        (lambda one: setattr(one, "activation", "tanh"), 0.3),
        (lambda one: delattr(one, "n_outputs_"), 0.3),
        (None, None),
        (None, float("nan")),
        (None, "much"),
    ],
)
def test_a_sieve_that_cannot_be_asked_is_refused(fitted, table, tmp_path, change, least):
    path = tmp_path / "sieved.survey-model"
    card = CARD if least is None else CARD | {"sieve": {"least": least}}
    save_model(path, Judges(fitted.hazard, fitted.namer, sieve_of(table, change)), card, table[0][:8])
    refused(path, "sieve that cannot be asked")


def test_a_card_that_speaks_of_a_sieve_the_file_has_not_is_refused(fitted, table, tmp_path):
    path = tmp_path / "sieved.survey-model"
    save_model(path, Judges(fitted.hazard, fitted.namer), CARD | {"sieve": {"least": 0.3}}, table[0][:8])
    refused(path, "sieve that cannot be asked")


POSTS = {"calibration": [1.0, -0.5], "line": [0.8, 0.1]}


def posts_of(table, change=None):
    features, codes = table
    posts = fit_network(features, (codes != "").astype(np.int64), np.ones(len(codes)), SIEVE, seed=0)
    if change is not None:
        change(posts)
    return posts


def test_a_judge_of_posts_is_kept_and_counts(fitted, table, whole, tmp_path):
    path = tmp_path / "posts.survey-model"
    judges = Judges(fitted.hazard, fitted.namer, posts=posts_of(table))
    save_model(path, judges, CARD | {"posts": POSTS}, table[0][:8])
    model = load_model(path, ROLES)
    assert model.posts.predict_proba(table[0]).tobytes() == judges.posts.predict_proba(table[0]).tobytes()
    assert model.digest != load_model(whole, ROLES).digest


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.coefs_[0].fill(np.nan),
        lambda one: one.intercepts_.pop(),
        lambda one: setattr(one, "activation", "tanh"),
        widened,
    ],
)
def test_a_judge_of_posts_that_cannot_be_asked_is_refused(fitted, table, tmp_path, change):
    path = tmp_path / "posts.survey-model"
    judges = Judges(fitted.hazard, fitted.namer, posts=posts_of(table, change))
    save_model(path, judges, CARD | {"posts": POSTS}, table[0][:8])
    refused(path, "judge of posts that cannot be asked")


def test_a_judge_of_posts_and_the_card_belong_together(fitted, table, tmp_path):
    path = tmp_path / "posts.survey-model"
    save_model(path, Judges(fitted.hazard, fitted.namer), CARD | {"posts": POSTS}, table[0][:8])
    refused(path, "judge of posts that cannot be asked")
    save_model(path, Judges(fitted.hazard, fitted.namer, posts=posts_of(table)), CARD, table[0][:8])
    refused(path, "judge of posts that cannot be asked")


def test_a_judge_of_posts_for_other_measures_is_refused(fitted, table, tmp_path):
    path = tmp_path / "posts.survey-model"
    wider = np.concatenate([table[0], table[0]], axis=1), table[1]
    judges = Judges(fitted.hazard, fitted.namer, posts=posts_of(wider))
    save_model(path, judges, CARD | {"posts": POSTS}, table[0][:8])
    refused(path, "cannot answer its reference inputs")


@pytest.mark.parametrize("curve", [None, [1.0], [1.0, float("nan")], "steep"])
def test_curves_of_posts_that_cannot_be_used_are_refused(fitted, table, tmp_path, curve):
    path = tmp_path / "posts.survey-model"
    judges = Judges(fitted.hazard, fitted.namer, posts=posts_of(table))
    save_model(path, judges, CARD | {"posts": POSTS | {"line": curve}}, table[0][:8])
    refused(path, "posts line cannot be used")
