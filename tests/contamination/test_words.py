"""The product never says clear, safe, cancelled or reduced of land that was only looked at."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from drawn import ORIGIN, districts_from, drawn_objects, piece, square

import survey.contamination
from survey import layers
from survey.contamination.assessment import Contamination, assess

FORBIDDEN = re.compile(r"\b(clear|cleared|clearer|safe|safely|safety|cancel\w*|reduced?|released)\b", re.IGNORECASE)
FOLDER = Path(survey.contamination.__file__).parent
ROOT = FOLDER.parents[1]
WORDED = [
    path
    for path in sorted([*ROOT.glob("survey/**/*.py"), *ROOT.glob("pipelines/**/*.py")])
    # Records of people who did the work may say what they did.
    if "ledger" not in str(path.relative_to(ROOT))
]
ALLOWED = {"released"}
"""A state of work that only ever comes from a record of the authority (layers.AREA_STATUSES)."""


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from texts_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_of(inner)


def strings_in(path: Path) -> Iterator[str]:
    """Every string of a module that is not documentation."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def offending(texts: Iterator[str]) -> list[str]:
    return [text for text in texts if any(m.group().lower() not in ALLOWED for m in FORBIDDEN.finditer(text))]


@pytest.mark.parametrize("path", sorted(ROOT.glob("survey/**/*.toml")), ids=lambda p: p.name)
def test_tables_of_rules_and_rates(path: Path) -> None:
    assert offending(texts_of(tomllib.loads(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("path", WORDED, ids=lambda p: str(p.relative_to(ROOT)))
def test_strings_styles_and_help(path: Path) -> None:
    assert offending(strings_in(path)) == []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    commands = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "command"]
    assert offending(ast.get_docstring(node) or "" for node in commands) == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("survey/exports/templates/*")), ids=lambda p: p.name)
def test_templates_of_the_report(path: Path) -> None:
    assert offending(iter(path.read_text(encoding="utf-8").splitlines())) == []


def test_titles_columns_and_domains_of_every_layer() -> None:
    declared = [value for value in vars(layers).values() if isinstance(value, layers.Layer)]
    texts: list[str] = []
    for layer in declared:
        texts += [layer.name, layer.title]
        for column in layer.columns:
            texts += [column.name, column.description, *(column.domain or ())]
    assert len(declared) > 10
    assert offending(iter(texts)) == []
    assert [text for text in texts if text in ALLOWED] == ["released"]


def test_what_is_written_about_drawn_ground() -> None:
    rng = np.random.default_rng(0)
    codes = list(rng.choice(["mine_at", "mine_ap", "submunition", "shell", "trench", "unknown_object"], 80))
    verdicts = list(rng.choice(["unverified", "confirmed", "rejected", "uncertain"], 80))
    xy = rng.uniform(0, 2000, (80, 2)) + ORIGIN
    result = assess(
        drawn_objects(xy, codes, verification=verdicts),
        [piece(square(0, 0, 1500)), piece(square(1500, 0, 300), "not_assessable", image="b")],
        districts_from([square(0, 0, 2000)]),
        Contamination(),
        "run",
    )
    for layer in result.values():
        text = layer.drop(columns="geometry", errors="ignore").select_dtypes(["str", "object"])
        assert offending(iter(pd.unique(text.astype(object).to_numpy().ravel()).astype(str))) == []
    nothing = result["density_grid"].query("density_class == 'none_detected'")
    assert len(nothing) > 0


def test_the_test_itself_sees_what_it_looks_for() -> None:
    assert offending(iter(["The ground is clear.", "Safe to walk", "area reduced", "Manual clearance", "unclear"])) == [
        "The ground is clear.",
        "Safe to walk",
        "area reduced",
    ]
