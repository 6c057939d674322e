from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from drawn_job import DISC_M, GSD, ROLES, write_job
from drawn_labels import write_labels, write_site
from virtual import bind, write_band_file

from pipelines.fitting import fit_challenger
from pipelines.learn import Request as Learning
from pipelines.learn import learn
from pipelines.measuring import Search, cache_path, measure_memory
from pipelines.remembered import gather
from pipelines.train import Request, export_rows, train
from pipelines.trial import _settings_of
from survey.api import judge
from survey.detection.search import NUDGES
from survey.errors import ModelError
from survey.memory.audit import Policy
from survey.memory.committee import Committee, networks_of
from survey.memory.examples import open_memory
from survey.memory.judges import load_file, load_model
from survey.memory.register import open_register
from survey.memory.training import Training

ROOT = Path(__file__).parents[2]
SMALL = Training(
    committee=Committee(
        iterations=15, leaves=6, leaf_samples=5, feature_share=0.1, networks=1, hidden=(8,), epochs=3, penalty=0.1
    ),
    folds=3,
)


@pytest.fixture(scope="session")
def ground(tmp_path_factory):
    """Five sites with labels: image, labels, reviewed of each."""
    folder = tmp_path_factory.mktemp("ground")
    return [write_site(folder, number, size=300, discs=10) for number in range(5)]


def remember(memory, folder, sites, change=lambda labels: labels, **more):
    """Learn sites in one batch."""
    labels = gpd.GeoDataFrame(pd.concat([one[1] for one in sites], ignore_index=True), crs=sites[0][1].crs)
    reviewed = gpd.GeoDataFrame(pd.concat([one[2] for one in sites], ignore_index=True), crs=sites[0][2].crs)
    name = "-".join(one[0].stem for one in sites)
    path = write_labels(folder / f"{name}.gpkg", change(labels), reviewed)
    return learn(Learning(memory, path, tuple(str(one[0]) for one in sites), **more))


@pytest.fixture(scope="session")
def learned(ground, tmp_path_factory):
    """A memory of three sites and a register with a champion trained from it; not to be changed."""
    folder = tmp_path_factory.mktemp("learned")
    remember(folder / "memory", folder, ground[:3])
    trained = train(asked(folder))
    return folder, trained


@pytest.fixture
def own(learned, tmp_path):
    """A copy that may be changed."""
    import shutil

    shutil.copytree(learned[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def asked(folder, **more):
    return Request(folder / "memory", folder / "models", **{"with_shipped": False, "training": SMALL} | more)


def count(sites):
    """Objects on sites."""
    return sum(len(one[1]) for one in sites)


def test_a_first_model_is_promoted_when_it_beats_the_floor(learned, ground):
    folder, trained = learned
    assert trained.promoted
    assert "above the floor" in trained.verdict["why"]
    register = open_register(folder / "models")
    assert register.champion() == trained.version == "rgb-1"
    card = register.card("rgb-1")
    assert card["memory"]["objects_by_class"] == {"mine_at": count(ground[:3])}
    assert card["memory"]["groups"] == ["site 0", "site 1", "site 2"]
    assert card["metrics"]["overall"]["challenger"]["ap"] > 0.8
    assert load_model(folder / "models", ("red", "green", "blue")).classes == ("mine_at",)


def test_the_champion_of_a_register_surveys(learned, ground, tmp_path, survey):
    folder, _ = learned
    image, labels, reviewed = ground[4]
    box = gpd.GeoDataFrame({"name": ["D"], "code": ["D"]}, geometry=reviewed.buffer(30), crs=reviewed.crs)
    box.to_file(tmp_path / "districts.geojson")
    job = write_job(tmp_path, folder / "models", paths=(image.as_posix(),))
    code, out, err = survey("run", job, "--workers", "1")
    assert code == 0, out + err
    found = gpd.read_file(tmp_path / "out" / "survey.gpkg", layer="hazard_objects").to_crs(labels.crs)
    assert set(found["model_version"]) == {"rgb-1"}
    hits = labels.geometry.apply(lambda one: found.intersects(one).any())
    assert hits.sum() >= 0.8 * len(labels)
    assert len(found) <= 1.2 * len(labels)


def test_more_of_the_same_is_promoted_on_the_same_folds(own, ground):
    remember(own / "memory", own, ground[3:4])
    trained = train(asked(own))
    assert trained.promoted, trained.verdict["against"]
    assert trained.verdict["why"] == "nothing that matters is surely worse than with rgb-1"
    assert trained.verdict["champion"] == "rgb-1"
    assert trained.verdict["champion_answers"] == "refitted"
    assert trained.verdict["comparison"]["overall"]["champion"]["ap"] is not None
    assert trained.verdict["comparison"]["overall"]["n_objects"] == count(ground[:4])
    history = open_register(own / "models").history()
    assert [one["version"] for one in history] == ["rgb-1", "rgb-2"]


def test_networks_of_few_objects_begin_with_those_of_the_shipped_model(own):
    shipped = load_model(None, ("red", "green", "blue"))
    request = asked(own, with_shipped=True, training=None, force="test")
    data = gather(request, None, lambda _: None)
    assert len(data.starts) == len(networks_of(shipped.hazard)) > 0
    challenger = fit_challenger(data, None, request)
    assert challenger.card["begun_with"] == shipped.version
    assert challenger.settings.committee.hidden == tuple(data.starts[0].hidden_layer_sizes)
    assert "starts" not in challenger.card["settings"]["committee"]
    # A champion that began so is fitted again from the same beginning.
    champion = dataclasses.replace(shipped, card=challenger.card)
    assert _settings_of(champion, challenger, data) == challenger.settings
    other = dataclasses.replace(shipped, card={**challenger.card, "begun_with": "rgb-0"})
    assert _settings_of(other, challenger, data).committee.starts == ()


def test_none_begins_with_a_model_that_knows_the_ground_that_is_held_out(own, monkeypatch):
    request = asked(own, with_shipped=True, training=None)
    digest = str(gather(request, None, lambda _: None).clips["image_digest"].iloc[0])
    shipped = load_model(None, ("red", "green", "blue"))
    knows = dataclasses.replace(shipped, card={**shipped.card, "images": [digest]})
    monkeypatch.setattr("pipelines.remembered.load_model", lambda *_: knows)
    assert gather(request, None, lambda _: None).starts == ()
    assert gather(asked(own), None, lambda _: None).starts == ()


def poison(labels):
    """Every third label moved to where nothing is."""
    bad = labels.copy()
    for place, row in enumerate(bad.index[::3]):
        bad.loc[row, "geometry"] = shapely.affinity.translate(labels.geometry[row], 1.1 + 0.05 * place, 0.9)
    return bad


def test_a_poisoned_batch_that_passes_the_audit_is_not_promoted(own, ground):
    everything = Policy(accept=("contradicts", "size", "offset", "loose", "nothing_there"))
    remember(own / "memory", own, ground[3:5], poison, policy=everything)
    trained = train(asked(own))
    assert not trained.promoted
    assert trained.verdict["against"]
    assert trained.verdict["why"] == "; ".join(trained.verdict["against"]), "a refusal is no praise"
    assert open_register(own / "models").champion() == "rgb-1"
    forced = train(asked(own, force="a test of force"))
    assert forced.promoted
    assert open_register(own / "models").history()[-1]["why"] == "forced: a test of force"


def test_a_test_group_is_learned_from_by_neither(own, ground):
    remember(own / "memory", own, ground[3:4])
    trained = train(asked(own, test_groups=("site 3",)))
    card = open_register(own / "models").card(trained.version)
    assert "site 3" not in card["memory"]["groups"]
    assert trained.verdict["comparison"]["overall"]["n_objects"] == len(ground[3][1])
    assert {"overall", "class mine_at", "site site 3"} == set(trained.verdict["comparison"])


def test_the_same_memory_gives_the_same_model_on_any_worker_count(own):
    answers = []
    for workers in (1, 2):
        for path in (own / "memory" / "features").rglob("*.parquet"):
            path.unlink()
        trained = train(asked(own, workers=workers))
        model = load_file(open_register(own / "models").path(trained.version))
        memory = open_memory(own / "memory")
        rows = measure_memory(memory, Search(model.scales_by_class["mine_at"], model.least_strength, model.roles))
        probability, codes = judge(rows.features, rows.diameter_m, rows.strength, model)
        answers.append((probability.tobytes(), codes.tolist(), rows.weights.tobytes()))
    assert answers[0] == answers[1]


def reject(folder, ground, example):
    """Learn that a remembered object of the first site is none."""
    from test_learn import reviewed_result

    path = reviewed_result(folder, ground[0][0], example.to_crs(ground[0][1].crs), ["rejected"])
    os.utime(path, (path.stat().st_mtime + 60,) * 2)
    return learn(Learning(folder / "memory", path, (str(ground[0][0]),)))


def test_a_champion_is_fitted_again_with_what_people_had_rejected(own, ground):
    reject(own, ground, open_memory(own / "memory").examples().iloc[[0]])
    first, second = (train(asked(own, force="to compare")).verdict["comparison"]["overall"] for _ in range(2))
    assert second["champion"] == first["challenger"] == second["challenger"]


def test_rejected_objects_are_hard_negatives(own, ground):
    memory = open_memory(own / "memory")
    search = Search((0.24, 0.3394), 2.0, ("red", "green", "blue"))
    before = measure_memory(memory, search)
    gone = memory.examples()["example_id"].iloc[0]
    assert (before.codes[before.example == gone] == "mine_at").all()
    assert reject(own, ground, memory.examples().iloc[[0]]).counts == {"rejected": 1}
    after = measure_memory(open_memory(own / "memory"), dataclasses.replace(search, nudged=True))
    assert (after.codes[after.example == gone] == "").all()
    # And looked at from every side, as objects are.
    assert set(np.bincount(after.nudged.of, minlength=len(after))[after.example == gone]) == {len(NUDGES)}
    assert (after.weights[after.example == gone] == 1).all()
    assert (after.codes == "mine_at").sum() == (before.codes == "mine_at").sum() - (before.example == gone).sum()


def test_the_cache_is_only_a_cache(own, monkeypatch):
    memory = open_memory(own / "memory")
    search = Search((0.24, 0.3394), 2.0, ("red", "green", "blue"))
    first = measure_memory(memory, search)
    path = cache_path(memory, memory.segments[0], search.roles)
    assert path.exists()
    path.write_bytes(b"damaged")
    again = measure_memory(memory, search)
    assert again.features.tobytes() == first.features.tobytes()
    # Another feature set is measured anew from the clips, beside the old one.
    monkeypatch.setattr("pipelines.measuring.FEATURE_SET", "another")
    anew = measure_memory(memory, dataclasses.replace(search))
    assert anew.features.tobytes() == first.features.tobytes()
    assert cache_path(memory, memory.segments[0], search.roles) != path


def test_further_looks_are_kept_with_their_rows(own):
    memory = open_memory(own / "memory")
    search = Search((0.24, 0.3394), 2.0, ("red", "green", "blue"))
    plain = measure_memory(memory, search)
    assert plain.nudged is None
    first, cached = (measure_memory(memory, dataclasses.replace(search, nudged=True)) for _ in range(2))
    assert first.features.tobytes() == plain.features.tobytes()
    for rows in (first, cached):
        assert rows.nudged.features.shape == (len(rows.nudged.of), rows.features.shape[1])
        looks = np.bincount(rows.nudged.of, minlength=len(rows))
        assert set(looks[rows.codes != ""]) == {len(NUDGES)}
        assert set(looks[rows.codes == ""]) == {0, 1}
        # A look is like its row, and unlike the others.
        own_size = rows.diameter_m[rows.nudged.of] == 0.24
        apart = np.abs(rows.nudged.features - rows.features[rows.nudged.of]).mean(axis=1)
        others = np.abs(rows.nudged.features - np.roll(rows.features[rows.nudged.of], 50, axis=0)).mean(axis=1)
        assert np.median(apart[own_size]) < 0.7 * np.median(others[own_size])
    assert first.nudged.features.tobytes() == cached.nudged.features.tobytes()
    assert first.nudged.of.tolist() == cached.nudged.of.tolist()


def test_looks_by_other_nudges_are_measured_anew(own, monkeypatch):
    memory = open_memory(own / "memory")
    search = Search((0.24,), 2.0, ("red", "green", "blue"), nudged=True)
    before = measure_memory(memory, search)
    monkeypatch.setattr("pipelines.measuring.NUDGES", NUDGES[:2])
    after = measure_memory(memory, search)
    assert after.features.tobytes() == before.features.tobytes()
    assert set(np.bincount(after.nudged.of, minlength=len(after))[after.codes != ""]) == {2}


def test_a_memory_without_any_candidate_is_kept_in_the_cache_too(own):
    memory = open_memory(own / "memory")
    bands = ("red", "green", "blue")
    for least in (1e6, 1e6, 2e6, 2.0):
        rows = measure_memory(memory, Search((0.24,), least, bands, nudged=True))
        assert (len(rows) > 0) == (rows.nudged is not None) == (least == 2.0)


def test_a_champion_that_was_taught_looks_is_fitted_again_with_them(own):
    champion = load_file(open_register(own / "models").path("rgb-1"))
    assert gather(asked(own), champion, lambda _: None).rows.nudged is None
    settings = SMALL.model_copy(update={"nudged": True}).model_dump()
    taught = dataclasses.replace(champion, card={**champion.card, "settings": settings})
    assert gather(asked(own), taught, lambda _: None).rows.nudged is not None


def test_the_card_says_whether_looks_were_taught(own):
    nudging = SMALL.model_copy(update={"nudged": True})
    data = gather(asked(own, training=nudging), None, lambda _: None)
    assert fit_challenger(data, None, asked(own, training=nudging)).card["settings"]["nudged"]
    assert not fit_challenger(data, None, asked(own)).card["settings"]["nudged"]
    without = dataclasses.replace(data, rows=dataclasses.replace(data.rows, nudged=None))
    assert not fit_challenger(without, None, asked(own, training=nudging)).card["settings"]["nudged"]


def test_what_one_clip_gives_is_what_the_image_gives(own, ground):
    """Features measured from a clip around one label are those a survey measures there."""
    image, labels, _ = ground[4]
    alone, whole = own / "alone", own / "whole"
    path = write_labels(own / "one.gpkg", labels.iloc[:1])
    learn(Learning(alone, path, (str(image),)))
    learn(Learning(whole, path, (str(image),), reviewed_everything=True))
    search = Search((0.24, 0.3394), 2.0, ("red", "green", "blue"))
    few, many = (measure_memory(open_memory(one), search) for one in (alone, whole))
    on = many.codes == "mine_at"
    assert (few.codes == "mine_at").sum() == on.sum() > 0
    assert np.allclose(few.features[few.codes == "mine_at"], many.features[on], atol=0.2)


def bumps(folder, site, rng):
    """Bind a picture that shows nothing and an elevation model in which every object stands 8 cm high."""
    path, labels, reviewed = site
    with rasterio.open(path) as dataset:
        shape, transform = dataset.shape, dataset.transform
    noise = cv2.GaussianBlur(rng.normal(0, 30, (*shape, 3)), (0, 0), 1.5) + 120
    blank = write_band_file(folder / f"blank-{path.name}", noise.transpose(2, 0, 1).astype(np.uint8), path)
    row, col = np.mgrid[: shape[0], : shape[1]] + 0.5
    metres = 340 + 0.002 * row + rng.normal(0, 0.004, shape)
    for at in labels.geometry.centroid:
        x, y = ~transform * (at.x, at.y)
        metres += 0.08 * (np.hypot(row - y, col - x) < DISC_M / 2 / GSD)
    model = write_band_file(folder / f"height-{path.name}", metres[None].astype(np.float32), path)
    roles = [(role, blank, number) for number, role in enumerate(ROLES, start=1)]
    return bind(folder / f"{path.stem}.vrt", [*roles, ("elevation", model, 1)]), labels, reviewed


def test_what_only_stands_higher_is_found_by_who_looks_at_elevation(ground, tmp_path, survey):
    rng = np.random.default_rng(5)
    sites = [bumps(tmp_path, site, rng) for site in ground]
    remember(tmp_path / "memory", tmp_path, sites[:4], policy=Policy(accept=("nothing_there",)))
    learned = {}
    for name, bands in (("flat", ROLES), ("high", (*ROLES, "elevation"))):
        asks = Request(tmp_path / "memory", tmp_path / name, with_shipped=False, training=SMALL, bands=bands)
        learned[name] = train(asks).verdict["comparison"]["overall"]["challenger"]["ap"]
    assert learned["flat"] < 0.3
    assert learned["high"] > 0.8
    image, labels, reviewed = sites[4]
    box = gpd.GeoDataFrame({"name": ["D"], "code": ["D"]}, geometry=reviewed.buffer(30), crs=reviewed.crs)
    box.to_file(tmp_path / "districts.geojson")
    job = write_job(tmp_path, tmp_path / "high", paths=(image.as_posix(),))
    code, out, err = survey("run", job, "--workers", "1")
    assert code == 0, out + err
    found = gpd.read_file(tmp_path / "out" / "survey.gpkg", layer="hazard_objects").to_crs(labels.crs)
    assert labels.geometry.apply(lambda one: found.intersects(one).any()).sum() >= 0.8 * len(labels)


def test_more_bands_than_a_model_looks_at_are_refused_in_words(own):
    with pytest.raises(ModelError, match="A model looks at one to 4 bands"):
        train(asked(own, bands=("red", "green", "blue", "nir", "rededge")))
    with pytest.raises(ModelError, match="not at elevation alone"):
        train(asked(own, bands=("elevation",)))


def test_too_little_is_refused_in_words(tmp_path, ground, survey):
    remember(tmp_path / "memory", tmp_path, ground[:1], lambda labels: labels.iloc[:4])
    with pytest.raises(ModelError, match=r"too few objects.*mine_at 4.*needs 10"):
        train(asked(tmp_path))
    code, _, err = survey("train", "--memory", tmp_path / "none", "--models", tmp_path / "models")
    assert code == 1
    assert "no object memory" in err


KILLED = """
import os, signal, sys
from pathlib import Path
import survey.memory.register as register
from pipelines.train import Request, train
from survey.memory.training import Training

def end(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

point, folder, small = sys.argv[1:]
if point == "before the version":
    register.Register.add = end
elif point == "before the promotion":
    register.Register.promote = end
else:
    replace = register.Register._replace
    register.Register._replace = lambda self, path, text: end() if path.name == "champion.json" else replace(
        self, path, text
    )
folder = Path(folder)
train(Request(folder / "memory", folder / "models", with_shipped=False, force="test",
              training=Training.model_validate_json(small)))
"""


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("before the version", marks=pytest.mark.real),
        pytest.param("before the promotion", marks=pytest.mark.real),
        "within the promotion",
    ],
)
def test_a_kill_leaves_the_register_whole(own, point):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, point, str(own), SMALL.model_dump_json()],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=240, capture_output=True,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    register = open_register(own / "models")
    assert register.champion() == "rgb-1"
    assert set(register.versions()) <= {"rgb-1", "rgb-2"}
    for version in register.versions():
        load_file(register.path(version))


def test_the_memory_leaves_as_a_table(own):
    said = export_rows(asked(own), own / "table.npz")
    assert "X (" in said
    with np.load(own / "table.npz", allow_pickle=False) as table:
        assert len({len(table[name]) for name in table.files}) == 1
        assert set(table["y"]) == {"", "mine_at"}
        assert set(table["groups"]) == {"site 0", "site 1", "site 2"}


def test_models_are_listed_shown_promoted_and_rolled_back(own, ground, survey):
    models = ("--models", own / "models")
    train(asked(own, force="a second one"))
    code, out, _ = survey("models", "list", *models)
    assert code == 0
    assert "* rgb-2" in out
    card = json.loads(survey("models", "show", "rgb-2", *models)[1])
    scored = card["metrics"]["overall"]
    assert f"AP {scored['challenger']['ap']:.3f} of {scored['n_objects']} held-out objects" in out
    assert ("champion then" in out) == ("champion" in scored)
    code, out, _ = survey("models", "show", "rgb-1", *models)
    assert f'"mine_at": {count(ground[:3])}' in out
    assert survey("models", "promote", "rgb-1", *models, "--why", "steadier")[0] == 0
    assert open_register(own / "models").champion() == "rgb-1"
    assert survey("models", "rollback", *models)[1] == "rgb-2 is the champion again.\n"
    code, _, err = survey("models", "show", "rgb-9", *models)
    assert code == 2
    assert "has no version 'rgb-9'" in err
