from __future__ import annotations

import json

import pytest

from survey.errors import JobError
from survey.settings import Job, nearest, read_job

GOOD = """
[job]
name = "a"
output = "out/a"
[imagery]
paths = ["x.tif"]
[districts]
path = "d.geojson"
name_field = "name"
"""


@pytest.fixture
def write(tmp_path):
    def to(text):
        path = tmp_path / "job.toml"
        path.write_text(text)
        return path

    return to


def test_paths_are_absolute_and_defaults_stand(write, tmp_path):
    job = read_job(write(GOOD + '[terrain]\ndem = "../dem.tif"\n[model]\npath = "models"\n'))
    assert job.imagery.paths == (str(tmp_path / "x.tif"),)
    assert job.districts.path == tmp_path / "d.geojson"
    assert job.job.output == tmp_path / "out" / "a"
    assert job.terrain.dem == tmp_path.parent / "dem.tif"
    assert job.model.path == tmp_path / "models"
    assert job.job.crs == "EPSG:4326"
    assert job.contamination.terrain == job.terrain
    assert job.execution.tiling.size == job.execution.tile_px


def test_patterns_are_expanded_sorted_and_without_duplicates(write, tmp_path):
    for name in ("b.tif", "a.tif", "c.txt"):
        (tmp_path / name).touch()
    remote = "/vsicurl/https://example.org/x*.tif"
    text = GOOD.replace('["x.tif"]', f'["*.tif", "a.tif", "./b.tif", "{remote}", "https://example.org/y.tif"]')
    assert read_job(write(text)).imagery.paths == (
        str(tmp_path / "a.tif"),
        str(tmp_path / "b.tif"),
        remote,
        "https://example.org/y.tif",
    )


def test_a_file_whose_name_looks_like_a_pattern_is_found(write, tmp_path):
    (tmp_path / "a[1].tif").touch()
    assert read_job(write(GOOD.replace("x.tif", "a[1].tif"))).imagery.paths == (str(tmp_path / "a[1].tif"),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[job]", "[jobb]"), ["no table 'jobb'", "'job'", "needs the table [job]"]),
        (("name_field", "name_feild"), ["[districts]", "'name_feild'", "did you mean 'name_field'"]),
        (('name = "a"', ""), ["[job] needs the key 'name'"]),
        (('output = "out/a"', "output = 3"), ["[job] output"]),
        (('name = "a"', 'name = "../a"'), ["[job] name"]),
        (('["x.tif"]', "[]"), ["[imagery] paths"]),
        (('["x.tif"]', '["none/*.tif"]'), ["'none/*.tif'", "matches no file"]),
        (("[districts]", "[model]\ntreshold = 0.4\n[districts]"), ["[model]", "did you mean 'threshold'"]),
        (("[districts]", "[model]\nthreshold = 1.4\n[districts]"), ["[model] threshold", "1.4"]),
        (("[districts]", '[model]\nthreshold = "high"\n[districts]'), ["[model] threshold", "'high'"]),
        (
            ("[districts]", "[model]\nthreshold = 0.5\nfalse_alarms_per_ha = 1\n[districts]"),
            ["[model]", "not both"],
        ),
        (("[districts]", '[detection]\nfamilies = ["APblast"]\n[districts]'), ["'APblast'", "AP_blast"]),
        (("[districts]", "[execution]\nworkers = 0\n[districts]"), ["[execution] workers"]),
        (("[districts]", "[execution]\nworker = 2\n[districts]"), ["did you mean 'workers'"]),
        (('["x.tif"]', '["x.tif"]\nbands = {redd = 1}'), ["'redd'", "did you mean 'red'"]),
        (('output = "out/a"', 'output = "out/a"\ncrs = "EPSG:1"'), ["[job] crs", "EPSG:32638"]),
        (("[job]", "[job"), ["not valid TOML"]),
    ],
)
def test_refusals_name_the_place_and_the_remedy(write, change, said):
    with pytest.raises(JobError) as refused:
        read_job(write(GOOD.replace(*change)))
    text = str(refused.value)
    assert "job.toml" in text
    assert "\n" not in text
    for part in said:
        assert part in text


def test_unreadable_files(tmp_path):
    with pytest.raises(JobError, match="cannot be read"):
        read_job(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'[job]\nname = "\xe9"')
    with pytest.raises(JobError, match="UTF-8"):
        read_job(tmp_path / "latin.toml")


def test_every_settings_class_refuses_unknown_keys():
    schema = Job.model_json_schema()
    json.dumps(schema)
    tables = [schema, *schema["$defs"].values()]
    assert all(table["additionalProperties"] is False for table in tables if table.get("type") == "object")


def test_nearest():
    assert nearest("pathes", list(Job.model_fields["imagery"].annotation.model_fields)) == "paths"
