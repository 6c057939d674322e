"""`import survey`: a researcher's few names, typed, and as quick as ever for who asks for none of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import survey
import survey.api

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", [name for name in survey.__all__ if name != "__version__"])
def test_a_name_of_the_front_door_is_that_of_the_top_floor(name):
    assert getattr(survey, name) is getattr(survey.api, name)
    assert getattr(survey, name).__doc__


def test_type_checkers_see_the_same_names():
    stub = (ROOT / "survey" / "__init__.pyi").read_text(encoding="utf-8")
    assert {*re.findall(r"import (\w+) as \1$", stub, re.M), "__version__"} == set(survey.__all__)
    assert (ROOT / "survey" / "py.typed").exists()


def test_a_name_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(AttributeError, match=r"no attribute 'detct'; it offers .*detect"):
        survey.detct  # noqa: B018


def test_nothing_heavy_is_loaded_before_it_is_asked_for():
    code = "import survey, sys; print(survey.__version__, 'numpy' in sys.modules, 'survey.api' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert told.split() == [survey.__version__, "False", "False"]


def test_who_plans_and_maps_does_not_wait_for_what_learns():
    modules = "pipelines.opening, pipelines.drifting, pipelines.map, pipelines.outputs, pipelines.walk, survey.api"
    code = f"import {modules}, sys; print(*sorted({{'sklearn', 'skops'}} & {{*sys.modules}}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert told == "\n"
