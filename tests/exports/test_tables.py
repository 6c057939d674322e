from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from survey import provenance
from survey.errors import OutputError
from survey.exports.tables import csv_text, write_districts, write_run
from survey.layers import DISTRICTS
from tests.exports.example_result import a_result


@pytest.fixture
def result():
    return a_result()


def test_districts_as_csv(tmp_path, result):
    write_districts(tmp_path / "districts.csv", result["districts"])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "districts.csv").read_text(encoding="utf-8"))))
    assert [row["district_code"] for row in rows] == ["AZ-FUZ", "AZ-ZAN"]
    assert rows[1]["district_name"] == "Zəngilan <b>&amp;</b>"
    assert list(rows[0]) == DISTRICTS.names
    assert float(rows[0]["analysed_ha"]) == 60.0
    assert rows[0]["imagery_from"] == "2026-04-02T09:30:00Z"


def test_text_is_never_a_formula(result):
    districts = result["districts"].assign(district_name=["=1+1", "@SUM(A1)"])
    rows = list(csv.DictReader(io.StringIO(csv_text(districts, DISTRICTS))))
    assert [row["district_name"] for row in rows] == ["'=1+1", "'@SUM(A1)"]


def test_an_unwritable_folder_is_said(tmp_path, result):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_districts(tmp_path / "file" / "districts.csv", result["districts"])


class Some(BaseModel):
    size: float = 0.5
    path: Path = Path("a/b")


def test_the_record_of_a_run(tmp_path):
    times = (datetime(2026, 4, 2, 9, 0, tzinfo=UTC), datetime(2026, 4, 2, 9, 1, tzinfo=UTC))
    record = provenance.run_record(
        {"run_id": "abc"}, times, Some(), [{"path": Path("a.tif"), "gsd_cm": np.float32(2)}], totals={"n": np.int64(3)}
    )
    write_run(tmp_path / "run.json", record)
    back = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert back["imagery"] == [{"path": "a.tif", "gsd_cm": 2.0}]
    assert (back["seconds"], back["settings"], back["totals"]) == (60.0, {"size": 0.5, "path": "a/b"}, {"n": 3})
    assert back["started_at"] == "2026-04-02T09:00:00Z"
    assert back["versions"]["survey"] == provenance.software_version()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(values)
def test_canonical_json_is_json_and_says_the_same(value):
    assert json.loads(provenance.canonical_json(value)) == value


@given(st.dictionaries(st.text(), st.integers()))
def test_a_digest_does_not_depend_on_order(value):
    assert provenance.digest(value) == provenance.digest(dict(reversed(value.items())))


def test_digests_tell_settings_imagery_and_models_apart():
    assert provenance.digest(Some()) == provenance.digest(Some(size=0.5))
    assert provenance.digest(Some()) != provenance.digest(Some(size=0.6))
    one, two = {"name": "a.tif", "sha256": "1"}, {"name": "b.tif", "sha256": "2"}
    assert provenance.imagery_digest([one, two]) == provenance.imagery_digest([two, one])
    assert provenance.imagery_digest([one]) != provenance.imagery_digest([one, one])
    ids = {provenance.run_id(*parts) for parts in (("a", "b", "c"), ("b", "a", "c"), ("a", "b", "d"))}
    assert len(ids) == 3
    assert all(len(one) == 16 for one in ids)


def test_what_has_no_place_in_json_is_refused():
    with pytest.raises(ValueError, match="no place in JSON"):
        provenance.canonical_json({"a": float("nan")})
    with pytest.raises(TypeError, match="object"):
        provenance.canonical_json(object())


def test_a_file_is_the_same_in_another_folder_and_not_when_it_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_WHOLE_BYTES", 1_000)
    for size in (10, 5_000_000):
        content = bytes(range(256)) * (size // 256 + 1)
        (tmp_path / str(size)).mkdir()
        for folder in (tmp_path, tmp_path / str(size)):
            (folder / "a.tif").write_bytes(content)
        here, there = (
            provenance.file_identity(tmp_path / "a.tif"),
            provenance.file_identity(tmp_path / str(size) / "a.tif"),
        )
        assert here == there
        (tmp_path / "a.tif").write_bytes(b"x" + content[1:])
        assert provenance.file_identity(tmp_path / "a.tif") != there
    with pytest.raises(OutputError, match="cannot be read"):
        provenance.file_identity(tmp_path / "none.tif")
