"""The model that a job names is built in the server that workers are forked from, and they use that one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.engine.executor import AHEAD
from pipelines.run import _workers_asked_for

ROOT = Path(__file__).parents[2]

# What the server does, and then, in the same process, what coordinator and worker do.
SERVER = """
import sys
import pipelines.engine.warm
from pathlib import Path
from pipelines.engine import parcels
from pipelines.opening import open_job
from survey.settings import read_job
job = read_job(sys.argv[1])
opened = open_job(job)
ref = parcels.as_ref(None if job.model.path is None else Path(opened.model.path), opened.model)
ahead = list(parcels._AHEAD.values())
print(len(ahead), any(parcels.model_of(ref) is one for one in ahead), opened.model.version)
"""


def served(job, ahead):
    environment = {**os.environ, AHEAD: json.dumps(ahead), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", SERVER, job], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()


@pytest.mark.parametrize("kind", ["file", "register", "shipped"])
def test_workers_use_the_model_that_was_built_ahead(drawn, model, kind):
    text, named = drawn.read_text(), f'path = "{model.as_posix()}"'
    assert named in text
    if kind == "register":
        folder = drawn.parent / "models"
        (folder / "versions").mkdir(parents=True)
        shutil.copy(model, folder / "versions" / "drawn-1.survey-model")
        (folder / "champion.json").write_text('{"version": "drawn-1"}')
        drawn.write_text(text.replace(named, 'path = "models"'))
    elif kind == "shipped":
        drawn.write_text(text.replace(named, ""))
    version = served(drawn, {"job": str(drawn)})
    assert version[:2] == ["1", "True"]
    assert (version[2] == "drawn-1") == (kind != "shipped")


@pytest.mark.parametrize("spoil", ["[job", 'name = "other"'])
def test_a_job_that_cannot_be_read_is_told_by_who_reads_it(drawn, spoil):
    other = drawn.parent / "other.toml"
    other.write_text(spoil)
    assert served(drawn, {"job": str(other)})[:2] == ["0", "False"]


def test_how_many_workers_a_job_asks_for(drawn):
    assert _workers_asked_for(drawn) is None
    drawn.write_text(drawn.read_text() + "\n[execution]\nworkers = 1\n")
    assert _workers_asked_for(drawn) == 1
    for text in ("[execution", "execution = 3", "workers = 1"):
        drawn.write_text(text)
        assert _workers_asked_for(drawn) is None
    assert _workers_asked_for(drawn.parent / "none.toml") is None
