"""Districts under hundreds of scenes laid edge to edge: rounding adds up, and is told from ground that is lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shapely

from survey.contamination.hectares import cut_by_district
from survey.errors import LayerError

SCENES, SIDE_M = 280, 150.0
DISTRICT = np.array([shapely.box(-10, -10, SCENES * SIDE_M + 10, SIDE_M + 10)], dtype=object)


def scenes(overlap_m):
    """Squares in a row, each a little over the edge of the next."""
    west = SIDE_M * np.arange(SCENES)
    return shapely.box(west, 0.0, west + SIDE_M + overlap_m, SIDE_M)


def test_edges_drawn_twice_are_borne_however_many_scenes_there_are():
    # A fiftieth of a crumb for each edge: what 280 files of 2.25 ha had, 0.026 square metres in all.
    footprints = scenes(0.026 / 279 / SIDE_M)
    cut = cut_by_district(pd.DataFrame({"shape": footprints}), footprints, DISTRICT)
    imaged = shapely.area(cut.shapes).sum()
    assert imaged == pytest.approx(SCENES * SIDE_M**2, abs=0.1)
    assert imaged + shapely.area(cut.unseen).sum() == pytest.approx(cut.district_m2[0], abs=0.1)


def test_ground_that_is_lost_or_counted_twice_is_told():
    footprints = scenes(0.0)
    lost = footprints.copy()
    lost[100] = shapely.difference(lost[100], shapely.box(100 * SIDE_M, 0, 100 * SIDE_M + 1, 1))
    with pytest.raises(LayerError, match=r"district number 1 does not add up: 1\.000 m2"):
        cut_by_district(pd.DataFrame({"shape": lost}), footprints, DISTRICT)
    with pytest.raises(LayerError, match="does not add up"):
        cut_by_district(pd.DataFrame({"shape": scenes(1e-4)}), footprints, DISTRICT)
