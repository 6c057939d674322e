"""Slope of the ground, summarised by hazard area."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Terrain(BaseModel):
    """Settings of the terrain: job table ``[terrain]``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dem: Path | None = None
