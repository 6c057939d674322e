"""The floors of the house (CONTRIBUTING.md): stages never import each other, the library never the tools."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = {"cores", "errors", "hazards", "heap", "layers", "places", "provenance", "rounding", "threads", "vectors"}
STAGES = {"imagery", "detection", "contamination", "ledger", "memory", "exports", "synthetic"}
TOP = {"api", "settings"}
MAKERS = {"models"}  # scripts that make the shipped models use the house from outside
SILENT = ("typer", "rich", "click", "dask", "distributed", "pipelines")

MODULES = sorted((ROOT / "survey").rglob("*.py"))


def imports(path):
    """Modules a file imports, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            if node.module == "survey":
                yield from (f"survey.{alias.name}" for alias in node.names if alias.name != "__version__")


def room(path):
    return path.relative_to(ROOT / "survey").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_floor(path):
    here = room(path)
    if here in MAKERS:
        return
    rooms = {name.split(".")[1] for name in imports(path) if name.startswith("survey.")}
    if here in GROUND or here == "__init__":
        assert rooms <= GROUND
    elif here in STAGES:
        assert rooms <= GROUND | {here}
    else:
        assert here in TOP
        assert rooms <= GROUND | STAGES | {here}
    strangers = {name.split(".")[0] for name in imports(path)} & set(SILENT)
    assert not strangers, "the library neither prints nor knows its tools"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_library_does_not_print(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    printed = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    assert not printed or room(path) in MAKERS


def test_every_room_is_known():
    rooms = {room(path) for path in MODULES}
    assert rooms <= GROUND | STAGES | TOP | MAKERS | {"__init__"}


def test_nothing_loads_a_pickle():
    for path in [*MODULES, *(ROOT / "pipelines").rglob("*.py")]:
        roots = {name.split(".")[0] for name in imports(path)}
        assert not roots & {"pickle", "joblib", "dill", "cloudpickle", "marshal"}, path
