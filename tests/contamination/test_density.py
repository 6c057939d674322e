from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn import ORIGIN, districts_from, drawn_objects, piece, square
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import gamma

from survey.contamination.assessment import Contamination, assess
from survey.contamination.density import Density, density_estimate


def grid_of(
    xy: list[tuple[float, float]], *, cell_m: float = 50.0, detectability: float = 1.0, **drawn: object
) -> pd.DataFrame:
    objects = drawn_objects(np.array(xy, dtype=float).reshape(-1, 2) + ORIGIN, **drawn)  # type: ignore[arg-type]
    settings = Contamination(density=Density(cell_m=cell_m))
    scenes = [piece(square(0, 0, 1000), detectability=detectability)]
    return assess(objects, scenes, districts_from([square(0, 0, 1000)]), settings, "run")["density_grid"]


def test_one_object_does_not_make_a_small_cell_dense() -> None:
    grid = grid_of([(500, 500)], probability=0.8)
    touched = grid[grid["density_class"] != "none_detected"]
    assert len(touched) == 9  # a block of 150 m around the object's cell: 2.25 ha
    assert touched["density_per_ha"].to_numpy() == pytest.approx(0.8 / 2.25, abs=1e-3)
    assert set(touched["density_class"]) == {"low"}
    assert grid["expected_objects"].sum() == pytest.approx(0.8)
    assert grid["n_unverified"].sum() == 1
    assert (grid["confirmed_class"] == "none_detected").all()


@pytest.mark.parametrize(("cell_m", "cells"), [(25.0, 25), (50.0, 9), (100.0, 1), (200.0, 1)])
def test_the_support_is_the_smallest_odd_block_of_at_least_a_hectare(cell_m: float, cells: int) -> None:
    grid = grid_of([(500, 500)], cell_m=cell_m, verification="confirmed")
    touched = grid[grid["confirmed_class"] != "none_detected"]
    assert len(touched) == cells
    assert touched["density_per_ha"].to_numpy() == pytest.approx(1e4 / (cells * cell_m**2), abs=1e-3)


def test_what_could_not_be_seen_raises_density_and_widens_the_interval() -> None:
    sharp = grid_of([(500, 500)], verification="confirmed")
    dim = grid_of([(500, 500)], verification="confirmed", detectability=0.5)
    assert dim["density_per_ha"].max() == pytest.approx(2 * sharp["density_per_ha"].max(), rel=1e-3)
    empty_sharp = sharp[sharp["density_class"] == "none_detected"]
    empty_dim = dim[dim["density_class"] == "none_detected"]
    assert (empty_sharp["density_low"] == 0).all()
    assert empty_dim["density_high"].median() == pytest.approx(2 * empty_sharp["density_high"].median(), rel=1e-3)
    assert set(empty_dim["detectability"]) == {0.5}


def test_the_interval_is_the_gamma_posterior_with_the_jeffreys_prior() -> None:
    count = np.array([0.0, 1.0, 7.0])
    seen = np.full(3, 0.5)
    density, low, high = density_estimate((count, count / seen), np.full(3, 2.0), np.full(3, 2.0), seen, 0.9)
    assert density == pytest.approx(count / seen / 2.0)
    assert high == pytest.approx(gamma.ppf(0.95, count + 0.5) / (seen * 2.0))
    assert low[1:] == pytest.approx(gamma.ppf(0.05, count[1:] + 0.5) / (seen[1:] * 2.0))
    assert low[0] == 0.0


@given(st.floats(0, 50), st.floats(0.1, 1), st.floats(1e-4, 5))
def test_the_interval_holds_the_estimate(count: float, seen: float, observed_ha: float) -> None:
    support = np.array([max(observed_ha, 1.0)])
    found = (np.array([count]), np.array([count / seen]))
    density, low, high = density_estimate(found, support, np.array([observed_ha]), np.array([seen]), 0.9)
    assert low[0] <= density[0] <= high[0]


def test_ground_hardly_looked_at_does_not_pass_for_ground_with_nothing_on_it() -> None:
    grid = grid_of([])
    rim = grid[grid["observed_fraction"] < 0.3]
    inside = grid[grid["observed_fraction"] > 0.999]
    assert rim["density_high"].max() > 2 * inside["density_high"].min()


def test_indicators_are_counted_apart_from_items() -> None:
    grid = grid_of([(500, 500)], class_code="crater", verification="confirmed")
    assert grid["n_indicators"].sum() == 1
    assert grid["n_confirmed"].sum() == 0
    assert (grid["density_class"] == "none_detected").all()


def test_a_cell_of_ground_that_is_not_assessable_says_so_and_has_no_density() -> None:
    scenes = [piece(square(0, 0, 500)), piece(square(500, 0, 500, 500), "not_assessable", image="b")]
    layers = assess(
        drawn_objects(np.array([[750.0, 250.0]]) + ORIGIN),
        scenes,
        districts_from([square(0, 0, 1000)]),
        Contamination(),
        "run",
    )
    grid = layers["density_grid"]
    blind = grid[grid["density_class"] == "not_assessable"]
    assert len(blind) > 50
    assert blind["density_per_ha"].isna().all()
    assert (blind["detectability"] == 0).all()
    assert (blind["observed_fraction"] == 0).all()
    assert blind["n_unverified"].sum() == 1
    assert layers["districts"]["low_ha"].iloc[0] == 0.0


def test_failed_tiles_make_no_cells() -> None:
    scenes = [piece(square(0, 0, 500), "not_analysed", reason="damaged block")]
    layers = assess(
        drawn_objects(np.zeros((0, 2))), scenes, districts_from([square(0, 0, 1000)]), Contamination(), "run"
    )
    assert len(layers["density_grid"]) == 0
    assert "damaged block" in set(layers["coverage"]["reason"])
    assert layers["districts"]["not_assessable_ha"].iloc[0] == 0.0


def test_the_classes_of_a_district_are_the_classes_of_its_cells() -> None:
    rng = np.random.default_rng(1)
    xy = [*map(tuple, rng.normal(500, 20, (200, 2)))]
    objects = drawn_objects(np.array(xy) + ORIGIN, verification=["confirmed"] * 20 + ["unverified"] * 180)
    layers = assess(objects, [piece(square(0, 0, 1000))], districts_from([square(0, 0, 1000)]), Contamination(), "run")
    district, grid = layers["districts"].iloc[0], layers["density_grid"]
    hectares = grid.assign(ha=grid["observed_fraction"] * 0.25).groupby("density_class")["ha"].sum()
    for name, value in hectares.items():
        assert district[f"{name}_ha"] == pytest.approx(value, abs=2e-3)
    assert district["contamination_class"] == "very_high"
    assert district["confirmed_class"] == "medium"
    assert district["confirmed_medium_ha"] > 0
    assert district["density_per_ha"] == pytest.approx((20 + 0.8 * 180) / district["analysed_ha"], rel=1e-3)


def test_classes_must_ascend_and_cells_have_a_sensible_size() -> None:
    with pytest.raises(ValidationError, match="must ascend"):
        Density(medium_per_ha=20.0)
    with pytest.raises(ValidationError):
        Density(cell_m=1.0)
