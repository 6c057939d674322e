from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from survey.hazards import classes
from survey.imagery.grid import Grid

GEOD = pyproj.Geod(ellps="WGS84")
# CRS, size of a pixel in its units, a place (longitude, latitude)
PLACES = [
    ("EPSG:32638", 0.05, (47.2, 39.4)),
    ("EPSG:4326", 5e-7, (47.2, 39.4)),
    ("EPSG:3857", 0.05, (47.2, 39.4)),
    ("EPSG:3857", 0.05, (30.0, 66.0)),
    ("EPSG:2227", 0.2, (-122.3, 37.8)),
]


def grid_at(crs, size, place, pixels=1001):
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*place)
    return Grid(crs, (size, 0, x - size * pixels / 2, 0, -size, y + size * pixels / 2), pixels, pixels)


@pytest.mark.parametrize(("crs", "size", "place"), PLACES)
def test_a_pixel_is_as_long_as_the_ground_under_it(crs, size, place):
    grid = grid_at(crs, size, place)
    back = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    middle, edge = np.array([500.5, 500.5]), np.array([0.0, 1001.0])
    lon, lat = back.transform(*grid.to_ground(edge, middle))
    across = GEOD.inv(lon[0], lat[0], lon[1], lat[1])[2] / 1001
    lon, lat = back.transform(*grid.to_ground(middle, edge))
    down = GEOD.inv(lon[0], lat[0], lon[1], lat[1])[2] / 1001
    assert grid.pixel_m == pytest.approx((across, down), rel=1e-5)
    assert grid.gsd_m == pytest.approx(np.sqrt(across * down), rel=1e-5)
    assert grid.gsd_cm == pytest.approx(100 * grid.gsd_m)


def test_the_stretch_of_the_projection_is_taken_out():
    # Mercator stretches by about 1 / cos(latitude); at 66 degrees north it more than doubles.
    assert grid_at("EPSG:3857", 0.05, (30.0, 66.0)).gsd_m == pytest.approx(0.05 * np.cos(np.radians(66)), rel=0.01)
    assert grid_at("EPSG:2227", 1.0, (-122.3, 37.8)).gsd_m == pytest.approx(0.3048, rel=1e-3)


@pytest.mark.parametrize("longitude", [39.0, 42.0, 45.0, 48.0])
@pytest.mark.parametrize("item", classes().values(), ids=classes())
def test_imagery_of_the_coarsest_nominal_gsd_is_fine_enough_wherever_in_a_zone(item, longitude):
    # UTM makes it up to 0.04 % coarser on the ground.
    for size, fine in ((item.max_gsd_cm, True), (1.02 * item.max_gsd_cm, False)):
        gsd_cm = grid_at("EPSG:32637" if longitude < 42 else "EPSG:32638", size / 100, (longitude, 39.4)).gsd_cm
        assert item.resolved_at(gsd_cm) == fine


@given(st.tuples(*[st.floats(0.01, 5)] * 2), st.floats(-1.5, 1.5), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_to_ground_and_back(size, turn, col, row):
    cosine, sine = np.cos(turn), np.sin(turn)
    transform = (size[0] * cosine, size[1] * sine, 6e5, size[0] * sine, -size[1] * cosine, 4e6)
    grid = Grid("EPSG:32638", transform, 100, 100)
    assert np.allclose(grid.to_pixel(*grid.to_ground(col, row)), (col, row), atol=1e-4)


def test_outline_and_reduced_cover_the_same_ground():
    grid = Grid("EPSG:32638", (0.1, 0.02, 6e5, 0.02, -0.1, 4e6), 333, 201)
    corners = grid.to_ground(np.array([0, 333, 333, 0]), np.array([0, 0, 201, 201]))
    assert grid.outline().symmetric_difference(shapely.Polygon(np.column_stack(corners))).area < 1e-6
    small = grid.reduced(167, 101)
    assert small.outline().symmetric_difference(grid.outline()).area < 1e-5
    assert small.gsd_m == pytest.approx(grid.gsd_m * np.sqrt(333 / 167 * 201 / 101), rel=1e-4)
