from __future__ import annotations

from datetime import UTC, datetime

import pytest
import typer
from typer.testing import CliRunner

import pipelines.export
import pipelines.report
from survey.errors import OutputError
from survey.exports.geopackage import write
from survey.exports.tables import write_run
from survey.provenance import run_record
from tests.exports.example_result import a_result


@pytest.fixture
def output(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    when = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
    images = [{"path": "../gone.tif", "status": "surveyed"}, {"path": "../bad.tif", "status": "refused"}]
    write(folder / "survey.gpkg", a_result(), chips={"hazard_objects-0": b"\x89PNG"})
    write_run(folder / "run.json", run_record({"run_id": "abc"}, (when, when), {}, images, name="job"))
    return folder


def run(command, *arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_report_is_written_again_from_the_outputs(output):
    shown = run(pipelines.report.command, output)
    assert shown.exit_code == 0, shown.output
    text = (output / "report.html").read_text(encoding="utf-8")
    assert "120.00 ha" in text
    assert "data:image/png;base64," in text
    assert "gone.tif" not in (output / "survey.qgs").read_text(encoding="utf-8")


def test_packages_are_written_from_the_outputs(output, tmp_path):
    shown = run(pipelines.export.command, output, "--profile", "public", "--to", tmp_path / "public")
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "public" / "districts.csv").exists()


def test_a_folder_that_is_no_output_folder(tmp_path, output):
    with pytest.raises(OutputError, match=r"no run\.json"):
        pipelines.report.report(tmp_path)
    with pytest.raises(OutputError, match=r"no run\.json"):
        pipelines.export.export(tmp_path, "public", tmp_path / "x")
    (output / "run.json").write_text("{")
    with pytest.raises(OutputError, match="damaged"):
        pipelines.report.report(output)
