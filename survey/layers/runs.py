"""Where the numbers come from."""

from __future__ import annotations

from survey.layers.columns import RUN_ID, count, text
from survey.layers.table import Column, Layer

RUNS = Layer(
    "runs",
    "Provenance",
    None,
    (
        RUN_ID,
        Column("started_at", "time", "start of the run"),
        Column("finished_at", "time", "end of the run"),
        text("software_version", "version of this software"),
        text("model_version", "model used"),
        text("settings_digest", "digest of the settings"),
        text("imagery_digest", "digest of the imagery"),
        count("n_tiles", "tiles in the job"),
        count("n_failed", "tiles that could not be analysed"),
    ),
    key="run_id",
)
