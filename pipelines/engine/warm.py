"""What the fork server loads before it makes workers, so that they start at once and share what they never change."""

from __future__ import annotations

import gc
import json
import os

from pipelines.engine.executor import AHEAD
from pipelines.engine.parcels import load_ahead

if AHEAD in os.environ:
    load_ahead(*json.loads(os.environ[AHEAD]))

# Every object that is there by now is passed over by the collector: looking at one would copy its page in each worker.
gc.collect()
gc.freeze()
