"""What the fork server loads before it makes workers, so that they start at once and share what they never change."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Mapping
from typing import Any

from pipelines.engine.executor import AHEAD
from pipelines.engine.parcels import load_ahead
from survey.errors import SurveyError
from survey.settings import read_job

_USUAL = ("red", "green", "blue")


def _load(ahead: Mapping[str, Any]) -> None:
    try:
        if "job" in ahead:
            job = read_job(ahead["job"])
            path, roles = job.model.path, job.imagery.bands
        else:
            path, roles = ahead["model"], ahead["roles"]
        load_ahead(None if path is None else str(path), tuple(roles or _USUAL))
    except SurveyError:
        # Whoever asks for the job or the model is told.
        return


if AHEAD in os.environ:
    _load(json.loads(os.environ[AHEAD]))

# Every object that is there by now is passed over by the collector: looking at one would copy its page in each worker.
gc.collect()
gc.freeze()
