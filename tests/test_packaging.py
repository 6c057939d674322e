"""What is declared agrees: packages here and there, what is imported, and no address of a machine in any file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {
    "matplotlib-base": "matplotlib",
    "psycopg-c": "psycopg-binary",
    "python-build": "build",
    "py-opencv": "opencv-python-headless",
}
IMPORT_NAMES = {"opencv-python-headless": "cv2", "scikit-learn": "sklearn"}


def declared():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def bounds(requirements):
    return dict(re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+)", one).groups() for one in requirements)


def test_environment_and_pyproject_name_the_same_packages():
    project = declared()
    wanted = bounds(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted |= bounds(extra)
    text = (ROOT / "environment.yml").read_text()
    listed = bounds(re.findall(r"^  - ([a-z0-9-]+>=[0-9.]+)$", text, re.M))
    assert f">={listed.pop('python')}" == project["requires-python"]
    assert {CONDA_NAMES.get(name, name): version for name, version in listed.items()} == wanted


def test_every_lower_bound_has_its_reason():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    bare = [line for line in lines if re.match(r'\s+"[a-z0-9-]+>=', line) and "  # " not in line]
    assert not bare


def imported(folder):
    names = set()
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"survey", "pipelines"}


def test_what_is_imported_is_declared():
    project = declared()
    runtime = {IMPORT_NAMES.get(name, name) for name in bounds(project["dependencies"])}
    optional = {name for extra in project["optional-dependencies"].values() for name in bounds(extra)}
    assert imported("survey") <= runtime
    assert imported("pipelines") <= runtime | optional


def test_the_qgis_plugin_ships_beside_the_wheel_not_in_it():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    assert "qgis_plugin" in build["sdist"]["include"]
    assert build["wheel"]["packages"] == ["survey", "pipelines"]
    metadata = (ROOT / "qgis_plugin" / "survey_hazards" / "metadata.txt").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "(.+)"', (ROOT / "survey" / "__init__.py").read_text(encoding="utf-8"))
    assert version is not None
    assert f"\nversion={version[1]}\n" in metadata
    assert imported("qgis_plugin") == {"processing", "qgis", "survey_hazards"}, "it starts the command, imports none"


def tracked():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode != 0:
        pytest.skip("needs: a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).exists()]


def test_no_file_names_a_package_index_or_a_machine():
    # Split, so that this file does not hold what it looks for.
    here = [re.escape(one) for one in {ROOT.as_posix(), *([sys.prefix] if sys.prefix != sys.base_prefix else [])}]
    index = ["index" + "-url", "find" + "-links", r"https?://\S*/" + "simple"]
    forbidden = re.compile("|".join([*index, *(rf"{place}\b" for place in here), r"/(home|Users)/\w"]))
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data[:4096] and forbidden.search(data.decode("utf-8", errors="replace")):
            found.append(path.relative_to(ROOT).as_posix())
    assert not found


def test_sample_is_small_enough():
    size = sum(path.stat().st_size for path in tracked() if ROOT / "data/sample" in path.parents)
    assert 0 < size <= 15e6
