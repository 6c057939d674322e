"""Notebooks tell a story with the library: no functions of their own, and no outputs in the repository.

They are run by `.ci/run` (nbmake), which also renders them into the documentation.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells(path, kind):
    read = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in read["cells"] if cell["cell_type"] == kind]


def code(cell):
    """Python of a cell: lines for the shell and for IPython become `pass`."""
    lines = "".join(cell["source"]).splitlines()
    return "\n".join(
        line[: len(line) - len(line.lstrip())] + "pass" if line.lstrip().startswith(("!", "%")) else line
        for line in lines
    )


def test_there_are_the_four():
    assert [path.name[:2] for path in NOTEBOOKS] == ["1-", "2-", "3-", "4-"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path):
    for cell in cells(path, "code"):
        assert cell["outputs"] == [], "run: jupyter nbconvert --clear-output --inplace notebooks/*.ipynb"
        assert cell["execution_count"] is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_defines_no_function(path):
    for cell in cells(path, "code"):
        nodes = list(ast.walk(ast.parse(code(cell))))
        assert not [one for one in nodes if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_that_drawn_ground_is_no_field(path):
    text = " ".join("".join(cell["source"]) for cell in cells(path, "markdown")).lower()
    assert any(word in text for word in ("drawn", "sample"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_pictures(path):
    drawn = [cell for cell in cells(path, "code") if "plt." in code(cell) or ".plot" in code(cell)]
    assert len(drawn) >= 2
