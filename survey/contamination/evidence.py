"""Evidence that did not come from imagery, and what a person's verdict makes of what did."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict

from survey.hazards import ITEM_FAMILIES


class Evidence(BaseModel):
    """Settings of other evidence: job table ``[evidence]``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = None
    layer: str | None = None


def evidence_classes(objects: gpd.GeoDataFrame) -> npt.NDArray[np.object_]:
    """Return what each object is evidence of: an indication until a person confirms it."""
    confirmed = (objects["verification"] == "confirmed").to_numpy()
    item = objects["family"].isin(ITEM_FAMILIES).to_numpy()
    classes = np.select([confirmed & item, confirmed], ["direct", "indirect"], default="indication")
    return classes.astype(object)


def judge(objects: gpd.GeoDataFrame, placed: pd.DataFrame, area_of: npt.NDArray[np.int64], count: int) -> pd.DataFrame:
    """Return ``land_class`` and ``provisional`` of each area."""
    classes = evidence_classes(objects)[placed["active"].to_numpy()]
    direct = np.bincount(area_of[classes == "direct"], minlength=count) > 0
    indirect = np.bincount(area_of[classes == "indirect"], minlength=count) > 0
    unverified = np.bincount(area_of[classes == "indication"], minlength=count) > 0
    land_class = np.select([direct, indirect], ["cha_proposed", "sha_proposed"], default="indication")
    return pd.DataFrame({"land_class": land_class, "provisional": unverified})
