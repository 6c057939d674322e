"""An output folder as later commands read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.results import images_of, read_record
from survey.errors import OutputError


def test_images_are_seen_from_the_output_folder():
    record = {
        "imagery": [
            {"path": "../a.tif"},
            {"path": "/flights/b.tif", "status": "surveyed"},
            {"path": "/vsis3/bucket/c.tif"},
            {"path": "d.tif", "status": "refused"},
        ]
    }
    found = images_of(record, Path("out"))
    assert found == [Path("out/../a.tif"), Path("/flights/b.tif"), Path("/vsis3/bucket/c.tif")]


@pytest.mark.parametrize("text", ['{"name": ', "[]", "\x00\x00"])
def test_a_damaged_record_is_told_with_how_to_mend_it(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(OutputError, match=r"run.json is damaged: .*survey map"):
        read_record(tmp_path)


def test_a_folder_without_a_record_is_no_output(tmp_path):
    with pytest.raises(OutputError, match="no output folder of a run"):
        read_record(tmp_path)
