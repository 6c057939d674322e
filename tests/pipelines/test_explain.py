"""Why an area was given its method, told from the outputs of a run."""

from __future__ import annotations

import json

import pytest

from pipelines.explain import explanation, sentences
from pipelines.run import How, survey_job
from survey.errors import JobError, OutputError
from survey.exports.geopackage import read
from survey.layers import COVERAGE, HAZARD_AREAS
from survey.settings import read_job


@pytest.fixture
def output(drawn, watch):
    survey_job(read_job(drawn), How(workers=1), watch)
    return drawn.parent / "out"


def test_an_area_is_explained_by_the_rules_that_fired(output, cli):
    areas = read(output / "survey.gpkg", HAZARD_AREAS)
    area = areas.iloc[0]
    told = explanation(output, area["area_id"])
    fired = [rule for rule in told["rules"] if rule["fired"]]
    assert {rule["rule"] for rule in fired} == set(area["rules_fired"].split(";"))
    assert all(rule["source"] and rule["reason"] for rule in fired)
    text = sentences(told)
    assert area["method_primary"] in text
    assert area["method_sequence"] in text
    for rule in fired:
        assert f"  {rule['rule']} ({rule['part']}): {rule['reason']}" in text
        assert f"source: {rule['source']}" in text
    assert "whether it rests on unverified objects: True" in text
    # What the imagery cannot show is said beside what could have been seen of the rest.
    coverage = read(output / "survey.gpkg", COVERAGE)
    shown = set(";".join(coverage.loc[coverage["status"] == "analysed", "families"]).split(";"))
    assert "AT" in shown
    assert "AP_frag" not in shown
    assert told["not_seen"]["AP_frag"] == pytest.approx(1)
    assert "AT" not in told["not_seen"]
    assert "anti-personnel mine, fragmentation (100%)" in text
    assert sum(one["area_m2"] for one in told["districts"]) / 1e4 == pytest.approx(area["area_ha"], abs=1e-4)
    assert "$" not in text
    assert "nan" not in text.lower().replace("ordnance", "")

    begun = cli("explain", output, area["area_id"][:6])
    assert begun.returncode == 0, begun.stderr
    assert begun.stdout.strip() == text.strip()
    as_json = cli("explain", output, area["area_id"], "--json")
    assert json.loads(as_json.stdout) == json.loads(json.dumps(told))

    unknown = cli("explain", output, "no-such-area")
    assert unknown.returncode == 2
    assert "the nearest id is" in unknown.stderr
    assert area["area_id"] in unknown.stderr
    assert "Traceback" not in unknown.stderr


def test_what_cannot_be_explained(output, tmp_path):
    with pytest.raises(OutputError, match=r"no survey\.gpkg"):
        explanation(tmp_path / "nowhere", "a")
    run = output / "run.json"
    record = json.loads(run.read_text())
    area = read(output / "survey.gpkg", HAZARD_AREAS).iloc[0]
    record["settings"]["methodology"]["limits"] = {"min_detectability": 0.9}
    run.write_text(json.dumps(record))
    told = explanation(output, area["area_id"])
    assert told["rules_changed"]
    assert "The rule table has changed since" in sentences(told)
    assert area["method_reasons"] in sentences(told)
    run.write_text("{")
    with pytest.raises(OutputError, match="damaged"):
        explanation(output, area["area_id"])
    with pytest.raises(JobError, match="holds no hazard area ''"):
        explanation(output, "")
