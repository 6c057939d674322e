"""Every command of README, documentation and `--help` is run, page by page; the site is built, warnings as errors."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from documents import PAGES, ROOT, blocks, commands, help_examples, reason_not_to_run

pytestmark = pytest.mark.real

ENTRY = [sys.executable, "-c", "from pipelines.cli import main; main()"]
FRESH = {"README.md", "docs/how-to/imagery.md"}
"""Pages that begin with nothing: they write the sample and survey it themselves."""
DONE = (0, 3)


def run(words, folder):
    done = subprocess.run([*ENTRY, *words], cwd=folder, capture_output=True, text=True, timeout=900)
    assert done.returncode in DONE, f"{shlex.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def surveyed(tmp_path_factory):
    """The sample, surveyed once, and a memory and a register made from it."""
    folder = tmp_path_factory.mktemp("documents") / "my-survey"
    run(["sample", str(folder)], ROOT)
    run(["run", str(folder / "job.toml")], ROOT)
    return folder


def settled(folder, surveyed):
    """A folder as pages take it for granted: `my-survey`, `data/sample`, and outputs under the names they use."""
    for name in ("my-survey", "data/sample"):
        shutil.copytree(surveyed, folder / name)
    for name in ("out", "out/sample", "out/fuzuli-2026-04"):
        shutil.copytree(surveyed / "out", folder / name, dirs_exist_ok=True)
    for name in ("imagery", "districts.geojson", "labels.gpkg", "job.toml", "dem.tif", "truth.gpkg"):
        source = surveyed / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copyfile(source, folder / name)
    shutil.copyfile(surveyed / "ledger.csv", folder / "april.csv")
    labels = gpd.read_file(surveyed / "labels.gpkg", layer="labels").replace({"class_code": {"mine_at": "tm_57"}})
    labels.to_file(folder / "my-survey" / "tm_57.gpkg", layer="labels")
    gpd.read_file(surveyed / "labels.gpkg", layer="reviewed").to_file(
        folder / "my-survey" / "tm_57.gpkg", layer="reviewed"
    )
    return folder


def filled_in(command, folder):
    """Words of a command, patterns expanded where quoted, and an area of the result at hand in place of another's."""
    words = shlex.split(command)[1:]
    if words[0] == "explain":
        areas = gpd.read_file(folder / words[1] / "survey.gpkg", layer="hazard_areas")
        words[2] = areas["area_id"].iloc[0]
    return words


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(c.startswith("survey ") for c in commands(page))], ids=lambda path: path.stem
)
def test_commands_of_a_page_run_in_their_order(page, surveyed, tmp_path):
    name = page.relative_to(ROOT).as_posix()
    folder = tmp_path if name in FRESH else settled(tmp_path, surveyed)
    for command in commands(page):
        if command.startswith("survey ") and reason_not_to_run(command) is None:
            run(filled_in(command, folder), folder)


def test_examples_of_help_run(surveyed, tmp_path):
    folder = settled(tmp_path, surveyed)
    examples = help_examples()
    first = ["learn", "train", "ledger check"]  # a batch is checked before it is added
    for name in [*first, *(name for name in examples if name not in first)]:
        if reason_not_to_run(examples[name]) is None:
            run(filled_in(examples[name], folder), folder)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_python_of_a_page_runs(page, surveyed, tmp_path):
    settled(tmp_path, surveyed)
    code = "\n".join(blocks(page, "python"))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="needs: pip install -e '.[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, re.sub(r"^INFO.*\n", "", done.stderr, flags=re.M)[-3000:]
    for name in ("reference/job-file", "reference/models", "notebooks/1-survey-a-district", "reference/api"):
        assert (tmp_path / name / "index.html").stat().st_size > 10_000


@pytest.mark.parametrize("name", ["result", "density", "froc", "core_halo", "planes"])
def test_a_figure_is_made_by_its_script(name, surveyed, tmp_path):
    """In a copy, so that the checkout stays as it is."""
    shutil.copytree(ROOT / "docs" / "figures", tmp_path / "docs" / "figures")
    shutil.copytree(surveyed, tmp_path / "data" / "sample")
    done = subprocess.run(
        [sys.executable, f"docs/figures/{name}.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    made = next((tmp_path / "docs" / "images").glob("*.png"))
    assert 10_000 < made.stat().st_size <= 300_000
