from __future__ import annotations

import json
import zipfile

import pytest

from survey.api import load_model
from survey.detection.features import FEATURE_SET
from survey.errors import ModelError
from survey.memory.modelfile import shipped_models


@pytest.mark.parametrize("path", list(shipped_models()), ids=lambda path: path.stem)
def test_what_ships_was_trained_on_the_measures_of_this_version(path):
    with zipfile.ZipFile(path) as archive:
        roles = json.loads(archive.read("card.json"))["roles"]
    assert load_model(path, roles).feature_set == FEATURE_SET
    assert path.stat().st_size <= 5_000_000


def test_a_model_of_other_measures_is_refused(tmp_path):
    source = next(iter(shipped_models()))
    path = tmp_path / "old.survey-model"
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(path, "w") as copy:
        for name in archive.namelist():
            data = archive.read(name)
            if name == "card.json":
                card = json.loads(data)
                data = json.dumps(card | {"feature_set": "rings-1"}).encode()
            copy.writestr(name, data)
    with pytest.raises(ModelError, match="measures rings-1"):
        load_model(path, card["roles"])
