"""What the fork server loads before it makes workers, so that they start at once and share what they never change."""

from __future__ import annotations

import gc
import json
import os
import signal
from collections.abc import Mapping
from typing import Any

# What is loaded stays; looking through it for garbage again and again takes a tenth of the time.
gc.disable()
# Whoever stops a run at the keyboard asks the coordinator, while this loads, too.
signal.signal(signal.SIGINT, signal.SIG_IGN)

from pipelines.engine.executor import AHEAD  # noqa: E402
from pipelines.engine.parcels import load_ahead  # noqa: E402
from survey.errors import SurveyError  # noqa: E402
from survey.settings import read_job  # noqa: E402

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
gc.freeze()
gc.enable()
