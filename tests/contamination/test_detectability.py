"""What could have been seen reaches every figure: objects, cells, districts, and which scene is asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn import ORIGIN, districts_from, drawn_objects, piece, square

from survey.contamination.assessment import Contamination, assess
from survey.contamination.ground import detectability_of
from survey.hazards import FAMILIES

NOTHING = drawn_objects(np.zeros((0, 2)))
BOTH = "AP_blast 0.250; AT 0.800; indicator 0.950"


def layers_of(objects, *pieces):
    return assess(objects, list(pieces), districts_from([square(0, 0, 1000)]), Contamination(), "run")


def test_each_object_is_divided_by_what_could_be_seen_of_its_own_family() -> None:
    ground = piece(square(0, 0, 1000), families="AT;AP_blast;indicator", detectability=0.5, by_family=BOTH)
    xy = np.array([[100.0, 100], [300, 300], [500, 500], [700, 700]]) + ORIGIN
    codes = ["mine_at", "mine_ap", "unknown_object", "submunition"]
    layers = layers_of(drawn_objects(xy, codes, verification="confirmed"), ground)
    expected = layers["district_objects"].set_index("family")["expected_objects"]
    assert expected.to_dict() == pytest.approx({"AT": 1 / 0.8, "AP_blast": 1 / 0.25, "unknown": 2.0, "CM": 2.0})


def test_a_family_that_passes_for_invisible_is_not_multiplied_without_end() -> None:
    ground = piece(square(0, 0, 1000), detectability=0.8, by_family="AP_blast 0.000; AT 0.800; indicator 0.950")
    hidden = piece(
        square(0, 0, 1000), "not_assessable", reason="blurred", by_family="AP_blast 0.000; AT 0.000; indicator 0.9"
    )
    thin = piece(square(0, 0, 1000), detectability=0.3, by_family="AP_blast 0.020; AT 0.300; indicator 0.9")
    mine = drawn_objects(np.array([[500.0, 500]]) + ORIGIN, "mine_ap", verification="confirmed")
    for scene, count in ((ground, 1 / 0.8), (hidden, 1.0), (thin, 1 / 0.1)):
        assert layers_of(mine, scene)["district_objects"]["expected_objects"].tolist() == pytest.approx([count])


def test_districts_tell_each_family_how_much_of_it_could_have_been_seen() -> None:
    west = piece(square(0, 0, 500, 1000), families="AT;AP_blast;indicator", detectability=0.5, by_family=BOTH)
    east = piece(square(500, 0, 500, 1000), families="AT;indicator", by_family="AP_blast 0.1; AT 0.400; indicator 0.9")
    table = layers_of(NOTHING, west, east)["district_coverage"].set_index("family")
    assert table["detectability"].to_dict() == pytest.approx(
        {"AT": 0.6, "AP_blast": 0.25, "indicator": 0.925} | dict.fromkeys(
            set(table.index) - {"AT", "AP_blast", "indicator"}, float("nan")
        ),
        abs=1e-3, nan_ok=True,
    )  # fmt: skip
    assert table.loc["AP_blast", "analysed_ha"] == pytest.approx(50.0, rel=2e-3)
    assert table.loc["AP_blast", "not_assessable_ha"] == pytest.approx(50.0, rel=2e-3)


def test_ground_on_which_no_item_could_be_seen_may_still_have_shown_indicators() -> None:
    hidden = piece(
        square(0, 0, 1000), "not_assessable", reason="under vegetation", families="AT;indicator",
        by_family="AT 0.200; indicator 0.700",
    )  # fmt: skip
    layers = layers_of(NOTHING, hidden)
    table = layers["district_coverage"].set_index("family")
    assert table.loc["AT", "analysed_ha"] == 0
    assert table.loc["indicator", "analysed_ha"] == pytest.approx(100.0, rel=2e-3)
    assert layers["districts"]["not_assessable_ha"].iloc[0] == pytest.approx(100.0, rel=2e-3)
    assert set(layers["density_grid"]["density_class"]) == {"not_assessable"}
    told = layers["coverage"].query("status == 'not_assessable'")
    assert told["reason"].tolist() == ["under vegetation"]
    assert told["families"].tolist() == ["indicator"]


def test_a_scene_that_hid_less_than_half_is_asked_before_a_finer_one_that_hid_more() -> None:
    spring = piece(square(0, 0, 1000), gsd_cm=1.0, image="spring", detectability=0.3, vegetation=0.9)
    autumn = piece(square(0, 0, 1000), gsd_cm=2.0, image="autumn", detectability=0.9, vegetation=0.1)
    for order in ((spring, autumn), (autumn, spring)):
        coverage = layers_of(NOTHING, *order)["coverage"]
        assert set(coverage["image"].dropna()) == {"autumn"}
    both_good = layers_of(NOTHING, spring.assign(detectability=0.6), autumn)["coverage"]
    assert set(both_good["image"].dropna()) == {"spring"}


def test_nothing_found_looks_different_where_little_could_be_seen() -> None:
    ground = [piece(square(0, 0, 500, 1000), detectability=0.3), piece(square(500, 0, 500, 1000), detectability=0.95)]
    layers = layers_of(NOTHING, *ground)
    grid = layers["density_grid"]
    assert set(grid["density_class"]) == {"none_detected"}
    little = grid[grid["detectability"] < 0.5]
    assert len(little) == pytest.approx(len(grid) / 2, rel=0.1)
    much = grid[grid["detectability"] > 0.9]
    assert little["density_high"].median() > 2.5 * much["density_high"].median()


def test_what_a_piece_does_not_speak_of_is_taken_from_the_whole() -> None:
    ground = pd.DataFrame({"detectability": [0.7, 0.5], "detectability_by_family": [None, "AT 0.900; CM 0.000"]})
    shares = pd.DataFrame(detectability_of(ground), columns=list(FAMILIES))
    assert shares.loc[0].eq(0.7).all()
    assert shares.loc[1, ["AT", "CM", "UXO"]].tolist() == [0.9, 0.5, 0.5]
