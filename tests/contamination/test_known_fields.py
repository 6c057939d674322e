"""Drawn minefields whose outline is known: how much of it the proposed areas hold, and how much more they take in."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from drawn import ORIGIN, districts_from, drawn_objects, piece, square
from test_rows import drawn_rows, off_by

from survey.contamination.assessment import Contamination, assess


def areas_of(xy: np.ndarray, code: str) -> gpd.GeoDataFrame:
    objects = drawn_objects(xy + ORIGIN, code, verification="confirmed", error_m=1.0)
    ground = square(-500, -500, 1000)
    settings = Contamination(crs="EPSG:32638")
    return assess(objects, [piece(ground)], districts_from([ground]), settings, "run")["hazard_areas"]


def assert_held(areas: gpd.GeoDataFrame, truth: shapely.Geometry) -> None:
    proposed = shapely.union_all(areas.geometry.values)
    held = shapely.area(shapely.intersection(proposed, truth)) / truth.area
    allowed = shapely.buffer(truth, areas["fadeout_m"].max()).area
    assert held >= 0.98
    assert proposed.area <= 1.5 * allowed


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("code", "apart", "spacing"), [("mine_at", 12.0, 5.0), ("mine_at", 35.0, 4.0), ("mine_ap", 6.0, 1.5)]
)
def test_a_field_in_rows_is_held_and_its_bearing_known(code: str, apart: float, spacing: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bearing, rows = rng.uniform(0, 180), int(rng.integers(1, 5))
    xy = drawn_rows(rng, bearing, (rows, apart, spacing, 35, 0.3, 0.15))
    xy = xy - xy.mean(axis=0)
    areas = areas_of(xy, code)
    assert len(areas) == 1
    field = areas.iloc[0]
    assert field["pattern"] == "row"
    assert off_by(field["row_bearing_deg"], bearing) < 2.0  # UTM north is true north here: on its central meridian
    hull = shapely.convex_hull(shapely.multipoints(xy + ORIGIN))
    assert_held(areas, shapely.buffer(hull, 5.0))
    # The rows alone, where the field is taken to be no more than them.
    along = np.array([np.sin(np.radians(bearing)), np.cos(np.radians(bearing))])
    lines = [shapely.LineString([p - 4 * along, p + 4 * along]) for p in xy + ORIGIN]
    assert_held(areas, shapely.buffer(shapely.union_all(lines), 5.0))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("code", ["mine_at", "mine_ap", "mine_ap_fragmentation", "submunition"])
def test_a_scattered_field_is_held(code: str, seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    xy = rng.uniform(-0.5, 0.5, (int(rng.integers(15, 80)), 2)) * rng.uniform(40, 130, 2)
    areas = areas_of(xy, code)
    assert (areas["pattern"] == "scatter").all()
    assert_held(areas, shapely.buffer(shapely.convex_hull(shapely.multipoints(xy + ORIGIN)), 5.0))


@pytest.mark.parametrize("code", ["mine_at", "shell", "submunition"])
def test_isolated_items_are_each_a_point_and_a_radius(code: str) -> None:
    xy = np.array([[0.0, 0.0], [250.0, 0.0], [0.0, 300.0]])
    areas = areas_of(xy, code)
    assert len(areas) == 3
    assert set(areas["pattern"]) == {"single"}
    assert set(areas["delineation"]) == {"point and radius"}
    for area in areas.geometry:
        assert shapely.convex_hull(area).area == pytest.approx(area.area, rel=1e-6)
    assert_held(areas, shapely.union_all(shapely.buffer(shapely.points(xy + ORIGIN), 2.0)))
