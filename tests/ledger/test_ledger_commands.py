"""``survey ledger`` as a user meets it: whole batches, refusals, two writers, reports with and without a survey."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import pytest
import shapely
from made_records import SAMPLE, work

from pipelines.cli import main
from pipelines.engine.lock import release_lock, take_lock
from pipelines.ledger_survey import with_statuses
from survey.exports.geopackage import write
from survey.exports.tables import write_run
from survey.layers import DISTRICTS, HAZARD_AREAS
from survey.ledger.reading import COLUMNS, read_rows
from survey.ledger.vocabulary import Ledger
from survey.provenance import run_record
from tests.exports.example_result import table

ROOT = Path(__file__).parents[2]
FUZULI = shapely.box(47.20, 39.45, 47.30, 39.55)
AREAS = [shapely.box(47.21 + 0.01 * i, 39.50, 47.21 + 0.01 * i + 0.001, 39.501) for i in range(3)]
"""Three areas of about 0.95 ha each."""


def write_batch(path, *records):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(records)
    return path


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["ledger", *(str(one) for one in arguments)])
        shown = capsys.readouterr()
        return ended.value.code or 0, shown.out, shown.err

    return call


@pytest.fixture
def ledger(tmp_path):
    return Path(shutil.copy(SAMPLE, tmp_path / "ledger.csv"))


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey") / "out"
    folder.mkdir()
    methods = ["Manual clearance", "Manual clearance", "Verification by an analyst"]
    areas = [
        {"area_id": f"area-{i}", "area_ha": 0.953, "area_m2": 9530.0, "density_class": ("high", "low", "low")[i],
         "method_primary": methods[i], "method_sequence": methods[i], "status": "open", "district_name": "Fuzuli",
         "machines": None, "n_unverified": 60, "n_items": 5}
        for i in range(3)
    ]  # fmt: skip
    district = {"district_code": "F", "district_name": "Fuzuli", "aliases": "Füzuli", "district_ha": 9553.0,
                "analysed_ha": 100.0, "not_assessable_ha": 3.0, "not_analysed_ha": 9450.0}  # fmt: skip
    layers = {
        "hazard_areas": table(HAZARD_AREAS, areas, [shapely.MultiPolygon([one]) for one in AREAS]),
        "districts": table(DISTRICTS, [district], [shapely.MultiPolygon([FUZULI])]),
    }
    write(folder / "survey.gpkg", layers)
    when = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
    write_run(folder / "run.json", run_record({"run_id": "abc123"}, (when, when), {}, [], name="fuzuli"))
    return folder


def test_a_batch_is_added_whole_and_what_was_there_stays(run, ledger, tmp_path):
    before = ledger.read_bytes()
    batch = write_batch(tmp_path / "batch.csv", work(name="a"), work(name="b", districts="Füzuli"))
    code, out, err = run("add", batch, "--ledger", ledger)
    assert (code, err) == (0, "")
    assert "2 records added" in out
    after = ledger.read_bytes()
    assert after.startswith(before)
    rows, _ = read_rows(ledger)
    assert len(rows) == 15
    assert all(row.values["recorded_at"].endswith("Z") for row in rows[-2:])
    assert rows[-1].values["districts"] == "Füzuli", "as it was written"


def test_one_wrong_row_keeps_the_whole_batch_out(run, ledger, tmp_path):
    before = ledger.read_bytes()
    wrong = [work(name="a"), work(agency="Nobody", area="-4"), work(date_to="2022-03-01", districts="Atlantis")]
    code, _, err = run("add", write_batch(tmp_path / "batch.csv", *wrong), "--ledger", ledger)
    assert code == 1
    assert err.count("\n") == 1, "one paragraph"
    for place in ("Row 3, column agency", "Row 3, column area", "Row 4, column date_to", "Row 4, column districts"):
        assert place in err
    assert "nothing was stored" in err
    assert ledger.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"ledger.csv", "batch.csv"}


def test_the_same_batch_twice_is_found(run, ledger, tmp_path):
    square = "POLYGON ((47.30 39.50, 47.3123456789123 39.50, 47.31 39.51, 47.30 39.51, 47.30 39.50))"
    batch = write_batch(tmp_path / "batch.csv", work(name="a"), work(districts="Fuzuli", geometry=square))
    assert run("add", batch, "--ledger", ledger)[0] == 0
    before = ledger.read_bytes()
    code, _, err = run("add", batch, "--ledger", ledger)
    assert code == 1
    assert err.count("repeats row") == 2
    assert ledger.read_bytes() == before


def test_a_ledger_begins_with_its_first_batch(run, tmp_path):
    new = tmp_path / "new" / "ledger.csv"
    assert run("add", SAMPLE, "--ledger", new)[0] == 0
    assert run("check", "--ledger", new)[1].strip().endswith("13 records in order, 13 of them in force")


def test_a_geopackage_does_what_a_csv_does(run, tmp_path, survey):
    place = tmp_path / "ledger.gpkg"
    assert run("add", SAMPLE, "--ledger", place)[0] == 0
    ground = gpd.GeoDataFrame(
        [work(districts="Fuzuli", area="0.95", state="completed", decision="handed_over")],
        geometry=[AREAS[0]],
        crs="EPSG:4326",
    ).to_crs("EPSG:32638")
    ground.to_file(tmp_path / "batch.gpkg", layer="april")
    code, _, err = run("add", tmp_path / "batch.gpkg", "--ledger", place, "--survey", survey)
    assert (code, err) == (0, "")
    reports = []
    for name in ("a", "b"):
        assert run("report", "--ledger", place, "--from", "2022-04-01", "--to", "2022-04-14", "--survey", survey,
                   "--output", tmp_path / f"{name}.md")[0] == 0  # fmt: skip
        reports.append((tmp_path / f"{name}.md").read_text(encoding="utf-8"))
    assert reports[0] == reports[1]
    assert "at least 24,273.9 ha and 55,406 items" in reports[0]
    assert gpd.read_file(place, layer="ledger").crs == "EPSG:4326"


def test_check_stores_nothing(run, ledger, tmp_path):
    before = ledger.read_bytes()
    batch = write_batch(tmp_path / "batch.csv", work(name="a"))
    code, out, _ = run("check", batch, "--ledger", ledger)
    assert code == 0
    assert "1 records fit" in out
    assert ledger.read_bytes() == before
    code, _, err = run("check", write_batch(batch, work(agency="Nobody")), "--ledger", ledger)
    assert code == 1
    assert "Row 2, column agency" in err


def test_districts_measure_exactly(run, ledger, tmp_path, survey):
    far = write_batch(
        tmp_path / "far.csv", work(districts="Fuzuli", area="1", geometry=shapely.box(47.4, 39.5, 47.41, 39.51).wkt)
    )
    assert run("check", far, "--ledger", ledger)[0] == 0, "inside the rough bounds of the real district"
    code, _, err = run("check", far, "--ledger", ledger, "--survey", survey)
    assert code == 1
    assert "Row 2, column geometry: lies elsewhere: 0%" in err
    much = write_batch(tmp_path / "much.csv", work(districts="Fizuli", area="20,000.5"))
    assert run("check", much, "--ledger", ledger)[0] == 0
    code, _, err = run("check", much, "--ledger", ledger, "--survey", survey)
    assert "Row 2, column area: 20,000.5 ha are more than Fuzuli has (9,5" in err
    boundaries = ROOT / "data" / "sample" / "districts.geojson"
    assert run("check", much, "--ledger", ledger, "--districts", boundaries)[0] == 0


def test_a_programmes_own_names_are_added(run, ledger, tmp_path):
    batch = write_batch(tmp_path / "batch.csv", work(agency="Halo", districts="Talish"))
    assert run("check", batch, "--ledger", ledger)[0] == 1
    names = tmp_path / "names.toml"
    names.write_text(
        '[[agency]]\nname = "HALO Trust"\nspellings = ["Halo"]\n[[district]]\nname = "Talish"\n', encoding="utf-8"
    )
    assert run("check", batch, "--ledger", ledger, "--names", names)[0] == 0
    names.write_text("[[agency]]\nnam = 1\n", encoding="utf-8")
    assert run("check", batch, "--ledger", ledger, "--names", names)[0] == 2


def test_a_second_writer_is_refused_while_the_first_works(run, ledger, tmp_path):
    batch = write_batch(tmp_path / "batch.csv", work(name="a"))
    lock = ledger.with_name(f".{ledger.name}.lock")
    handle, _ = take_lock(lock)
    before = ledger.read_bytes()
    code, _, err = run("add", batch, "--ledger", ledger)
    assert code == 1
    assert "Another program" in err
    assert ledger.read_bytes() == before
    release_lock(handle, lock)
    assert run("add", batch, "--ledger", ledger)[0] == 0


def test_of_many_writers_at_once_none_loses_what_it_was_told_is_stored(ledger, tmp_path):
    script = "import sys; from pipelines.cli import main; main(['ledger', 'add', sys.argv[1], '--ledger', sys.argv[2]])"
    writers = []
    for i in range(4):
        batch = write_batch(
            tmp_path / f"batch{i}.csv", *(work(record_id=f"w{i}-{k}", name=f"{i}-{k}") for k in range(5))
        )
        writers.append(
            subprocess.Popen(
                [sys.executable, "-c", script, str(batch), str(ledger)],
                cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    told = [writer.communicate()[1] for writer in writers]
    stored = {row.values["record_id"] for row in read_rows(ledger)[0]}
    assert any(writer.returncode == 0 for writer in writers)
    for i, (writer, words) in enumerate(zip(writers, told, strict=True)):
        mine = {f"w{i}-{k}" for k in range(5)}
        if writer.returncode == 0:
            assert mine <= stored
        else:
            assert "Another program" in words, words
            assert not mine & stored


def test_a_write_that_fails_leaves_the_ledger_as_it_was(run, ledger, tmp_path, monkeypatch):
    before = ledger.read_bytes()

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    code, _, err = run("add", write_batch(tmp_path / "batch.csv", work(name="a")), "--ledger", ledger)
    assert code == 1
    assert "No space left" in err
    assert ledger.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"ledger.csv", "batch.csv"}


def test_a_damaged_ledger_is_refused_by_row_and_column(run, ledger):
    ledger.write_text(ledger.read_text(encoding="utf-8").replace("8372.9", "8372,9"), encoding="utf-8")
    code, _, err = run("report", "--ledger", ledger, "--from", "2022-04-01", "--to", "2022-04-14", "--output", "x.md")
    assert code == 1
    assert "Row 2" in err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--from", "2022-04-14", "--to", "2022-04-01", "--output", "x.md"), "reversed"),
        (("--from", "2022-04-01", "--to", "2022-04-14", "--output", "x.pdf"), r".md or .html"),
        (("--from", "2022-04-01", "--to", "14.04.2022", "--output", "x.md"), "2022"),
    ],
)
def test_misuse_is_told(run, ledger, options, why):
    code, _, err = run("report", "--ledger", ledger, *options)
    assert code == 2
    assert why in err


def test_a_survey_says_what_remains(run, ledger, tmp_path, survey):
    batch = write_batch(
        tmp_path / "batch.csv",
        work(districts="Fuzuli", area="0.95", state="completed", decision="handed over", geometry=AREAS[0].wkt),
        work(area="", state="suspended", area_ids="area-1", name="hill"),
        {"kind": "asset", "agency": "ANAMA", "assets": "manual teams", "count": "3", "name": "M", "state": "at hand",
         "date_to": "2022-01-01", "source": "Roster", "source_date": "2022"},
        {"kind": "project", "agency": "ANAMA", "name": "Hill", "state": "under way", "date_to": "2022-04-10",
         "area_ids": "area-1", "assets": "2 manual teams", "source": "Plan", "source_date": "2022"},
    )  # fmt: skip
    assert run("add", batch, "--ledger", ledger, "--survey", survey)[0] == 0
    page = tmp_path / "report.html"
    text = tmp_path / "report.md"
    options = ("--from", "2022-04-01", "--to", "2022-04-14", "--survey", survey, "--finish-by", "2022-12-31")
    assert run("report", "--ledger", ledger, *options, "--output", text, "--output", page)[0] == 0
    report = text.read_text(encoding="utf-8")
    assert "| low | 1.9" in report
    assert "ha are handed over" in report
    assert "area-0" in report
    assert "released" in report
    assert "| suspended |" in report
    assert "9,453.00 ha of these districts is not known" in report
    assert "All remaining hazard areas: no end in sight, for none is on record of: analyst." in report
    assert "the bottleneck is the manual team" in report
    assert "Project Hill: done by" in report
    assert "run abc123" in report
    assert "They are not taken off any hazard area" in report
    assert "To finish by 31 December 2022" in report
    assert page.read_text(encoding="utf-8").count("<table") >= report.count("| --- |") / 3


def test_areas_on_the_map_get_their_status_from_the_ledger(run, ledger, tmp_path, survey):
    batch = write_batch(
        tmp_path / "batch.csv",
        work(
            record_id="done",
            districts="Fuzuli",
            area="0.95",
            state="completed",
            decision="handed over",
            geometry=AREAS[0].wkt,
        ),
        work(record_id="hill", area="", state="suspended", area_ids="area-1", name="hill"),
    )
    assert run("add", batch, "--ledger", ledger)[0] == 0
    areas, districts = (gpd.read_file(survey / "survey.gpkg", layer=name) for name in ("hazard_areas", "districts"))
    made = with_statuses(Ledger(path=ledger), areas, districts)
    assert made["status"].tolist() == ["released", "suspended", "open"]
    assert made["ledger_records"].fillna("").tolist() == ["done", "hill", ""]


def test_accidents_become_a_file_of_evidence(run, ledger, tmp_path):
    code, _, err = run("evidence", "--ledger", ledger, "--output", tmp_path / "e.gpkg")
    assert code == 1
    assert "none with its place recorded" in err
    place = {"kind": "accident", "districts": "Tartar", "date_to": "2022-04-03", "civilian_casualties": "2",
             "geometry": "POINT (46.9 40.3)", "source": "Police", "source_date": "2022-04-04"}  # fmt: skip
    assert run("add", write_batch(tmp_path / "batch.csv", place), "--ledger", ledger)[0] == 0
    assert run("evidence", "--ledger", ledger, "--output", tmp_path / "e.gpkg")[0] == 0
    made = gpd.read_file(tmp_path / "e.gpkg")
    assert made["evidence_type"].tolist() == ["Mine/ERW accidents with known location"]


@pytest.mark.parametrize("command", ["add", "check", "report", "evidence"])
def test_every_command_has_an_example(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"Example: survey ledger {command}" in " ".join(out.split())
