from __future__ import annotations

import json

import numpy as np
import pytest

from survey.errors import JobError, MemoryFolderError, ModelError
from survey.memory.committee import Committee
from survey.memory.judges import Judges, load_file, load_model, save_model
from survey.memory.lock import only_writer
from survey.memory.modelfile import champion_path, join_elder
from survey.memory.register import Register, make_register, open_register
from survey.memory.table import Table
from survey.memory.training import Training, fit

SMALL = Training(committee=Committee(iterations=5, leaves=4, leaf_samples=5, networks=0))
ROLES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    codes = rng.choice(np.array(["", "mine_at", "crater"], dtype=object), 300)
    features = rng.normal(0, 1, (300, 5)).astype(np.float32)
    features[:, 0] += 2 * (codes == "mine_at")
    features[:, 1] += 2 * (codes == "crater")
    return fit(Table(features, codes, np.ones(300), np.arange(300) % 3), SMALL), features


@pytest.fixture
def file(fitted, tmp_path):
    """Write a model file."""

    def write(version="v", codes=("mine_at", "crater"), **more):
        card = {
            "version": version, "roles": list(ROLES), "scales_by_class": {code: [0.24] for code in codes},
            "least_strength": 1.0, "feature_set": "x", "calibration": [1.0, 0.0], **more,
        }  # fmt: skip
        path = tmp_path / f"{version}.survey-model"
        save_model(path, Judges(fitted[0].hazard, fitted[0].namer), card, fitted[1][:8])
        return path

    return write


@pytest.fixture
def register(tmp_path, file):
    register = make_register(tmp_path / "models")
    for version in ("rgb-1", "rgb-2", "rgb-3"):
        register.add(file(version), version)
    return register


def test_an_empty_register_has_no_champion(tmp_path):
    register = make_register(tmp_path / "models")
    assert register.champion() is None
    assert register.versions() == []
    assert register.next_version("rgb") == "rgb-1"
    with pytest.raises(ModelError, match="has no champion yet"):
        load_model(tmp_path / "models", ROLES)


def test_promotions_are_written_down_and_taken_back(register):
    for version in register.versions():
        register.promote(version, f"because of {version}")
    assert register.champion() == "rgb-3"
    assert load_model(register.folder, ROLES).version == "rgb-3"
    assert champion_path(register.folder) == register.path("rgb-3")
    assert register.rollback("worse in the hills") == "rgb-2"
    assert register.rollback("worse there, too") == "rgb-1"
    assert load_model(register.folder, ROLES).version == "rgb-1"
    with pytest.raises(JobError, match="jobs used the shipped model"):
        register.rollback("again")
    whys = [(one["version"], one["why"]) for one in register.history()]
    assert whys[2:] == [("rgb-3", "because of rgb-3"), ("rgb-2", "worse in the hills"), ("rgb-1", "worse there, too")]


def test_a_version_is_never_written_over(register, file):
    before = register.path("rgb-2").read_bytes()
    with pytest.raises(ModelError, match="never written over"):
        register.add(file("other"), "rgb-2")
    assert register.path("rgb-2").read_bytes() == before
    assert register.next_version("rgb") == "rgb-4"


def test_a_kill_between_history_and_pointer_leaves_the_old_champion(register, monkeypatch):
    register.promote("rgb-1", "first")

    def killed(self, path, text):
        if path.name == "champion.json":
            raise KeyboardInterrupt
        return replace(self, path, text)

    replace = Register._replace
    monkeypatch.setattr(Register, "_replace", killed)
    with pytest.raises(KeyboardInterrupt):
        register.promote("rgb-2", "second")
    assert open_register(register.folder).champion() == "rgb-1"
    assert load_model(register.folder, ROLES).version == "rgb-1"


def test_what_is_no_register_is_refused(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="not empty and no model register"):
        make_register(tmp_path / "other")
    with pytest.raises(ModelError, match="no model register"):
        open_register(tmp_path / "none")


def test_a_damaged_pointer_is_refused_and_can_be_put_right(register):
    register.promote("rgb-1", "first")
    (register.folder / "champion.json").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        register.champion()
    register.promote("rgb-2", "put right")
    assert register.champion() == "rgb-2"


def test_a_pointer_cannot_lead_out_of_the_register(register):
    (register.folder / "champion.json").write_text(json.dumps({"version": "../../etc/passwd"}))
    assert champion_path(register.folder).parent == register.folder / "versions"
    with pytest.raises(ModelError):
        load_model(register.folder, ROLES)


def test_only_one_process_changes_a_register(register):
    with only_writer(register.folder), pytest.raises(MemoryFolderError), only_writer(register.folder, 0.2):
        pass


def test_a_model_keeps_the_classes_of_its_elder(file):
    elder = file("elder", codes=("mine_at", "crater"))
    younger = file("younger", codes=("mine_at",), elder={"version": "elder", "shift": -1.5})
    join_elder(younger, elder.read_bytes())
    model = load_file(younger)
    assert set(model.classes) == {"mine_at", "crater"}
    assert model.own_classes == ("mine_at",)
    assert model.elder.version == "elder"
    alone = load_file(file("alone", codes=("mine_at",)))
    assert model.digest != alone.digest


@pytest.mark.parametrize("shift", [None, "much", float("inf"), {"shell": "much"}, {"shell": float("nan")}])
def test_an_elder_without_a_shift_is_refused(file, shift):
    younger = file("younger", elder={"version": "elder", "shift": shift})
    join_elder(younger, file("elder").read_bytes())
    with pytest.raises(ModelError, match="does not fit"):
        load_file(younger)


def test_a_chain_of_elders_ends(file):
    elder = file("first")
    for number in range(4):
        younger = file(f"next-{number}", elder={"version": "x", "shift": 0.0})
        join_elder(younger, elder.read_bytes())
        elder = younger
    with pytest.raises(ModelError, match="more than 3"):
        load_file(elder)


def test_a_damaged_elder_is_refused(file):
    younger = file("younger", elder={"version": "elder", "shift": 0.0})
    join_elder(younger, file("elder").read_bytes()[:-500])
    with pytest.raises(ModelError):
        load_file(younger)


def test_a_class_of_its_own_becomes_known_with_the_model(file):
    from survey.hazards import classes

    fields = {
        "code": "mine_own", "label": "Own", "family": "AT", "length_m": 0.3, "width_m": 0.3, "max_gsd_cm": 3.0
    }  # fmt: skip
    model = load_file(file("own", codes=("mine_own",), classes={"mine_own": fields}))
    assert model.classes == ("mine_own",)
    assert classes()["mine_own"].family == "AT"
    with pytest.raises(ModelError, match=r"card.json is damaged.*family"):
        load_file(file("bad", codes=("mine_own",), classes={"mine_own": fields | {"family": "UXO"}}))
