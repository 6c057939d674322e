from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn import ORIGIN, districts_from, drawn_objects, piece, square

from survey.contamination.assessment import Contamination, assess
from survey.contamination.effort import (
    area_days,
    calendar,
    check_rates,
    machines_at_hand,
    rated_machines,
    read_productivity,
    read_resources,
    step_days,
)
from survey.contamination.methodology import Methodology
from survey.contamination.rules import read_rules
from survey.errors import JobError

AREAS = pd.DataFrame(
    {
        "method_sequence": [
            "Verification by an analyst > Mechanical preparation > Manual clearance > "
            "Follow-up search (manual or dogs)",
            "EOD spot task",
        ],
        "area_m2": [10_000.0, 80.0],
        "n_unverified": [60, 0],
        "n_items": [80, 1],
        "machines": ["MEMATT;GCS-200", ""],
    }
)


def days(machines: dict | None = None) -> pd.DataFrame:
    rates = read_productivity()
    return step_days(AREAS, read_rules(), rates, machines_at_hand(rates, None) if machines is None else machines)


def test_every_figure_has_its_source_and_every_method_its_rate() -> None:
    rates = read_productivity()
    check_rates(read_rules(), rates)
    assert all(rate.source and rate.slow <= rate.typical <= rate.fast for rate in rates.method.values())
    assert all(machine.source for machine in rates.machine.values())
    memmat = rates.machine["MEMATT"]
    assert memmat.rated_for == ("AP",)
    assert memmat.width_m == 1.7
    assert memmat.m2_per_day.fast == 1700.0 * 6


def test_days_are_work_over_rate() -> None:
    steps = days().set_index("method")
    manual = steps.loc["Manual clearance"]
    assert manual["effort_days_min"] == pytest.approx(10_000 / 500)
    assert manual["effort_days_typical"] == pytest.approx(10_000 / 300)
    assert manual["effort_days_max"] == pytest.approx(10_000 / 100)
    assert steps.loc["Verification by an analyst", "effort_days_typical"] == pytest.approx(60 / 600)
    assert steps.loc["EOD spot task", "effort_days_typical"] == pytest.approx(1 / 3)
    machine = steps.loc["Mechanical preparation"]
    assert machine["effort_days_min"] == pytest.approx(10_000 / 10_200)
    assert machine["effort_days_typical"] == pytest.approx(10_000 / 4800)
    assert machine["effort_days_max"] == pytest.approx(10_000 / 1240)
    whole = area_days(days(), 2)
    assert whole["effort_days_typical"].iloc[0] == pytest.approx(
        steps["effort_days_typical"].drop("EOD spot task").sum(), abs=0.01
    )
    assert (whole["effort_days_min"] <= whole["effort_days_typical"]).all()


def test_machines_are_rated_for_the_hazard_and_the_slope() -> None:
    areas = pd.DataFrame(
        {
            "n_AT": [1, 0, 0, 1],
            "n_mine_unspecified": [0, 0, 0, 0],
            "n_AP_blast": [0, 1, 0, 1],
            "n_AP_frag": [0, 0, 0, 0],
            "n_AP_directional": [0, 0, 0, 0],
            "slope_p90_deg": [5.0, np.nan, 5.0, 45.0],
        }
    )
    machines = {k: v for k, v in read_productivity().machine.items() if k in ("MEMATT", "GCS-200")}
    assert rated_machines(areas, machines) == ["GCS-200", "MEMATT;GCS-200", "MEMATT;GCS-200", ""]
    assert rated_machines(areas, {}) == ["", "", "", ""]
    assert rated_machines(areas.iloc[:0], machines) == []


RESOURCES = """
[teams."manual team"]
count = 4
[teams.analyst]
count = 1
[teams."EOD team"]
count = 2
[machines.MEMATT]
count = 13
[machines."Local flail"]
count = 1
rated_for = ["AP", "AT"]
max_slope_deg = 15.0
m2_per_day = { slow = 500.0, typical = 1000.0, fast = 2000.0 }
"""


def resource_file(tmp_path: Path, text: str = RESOURCES) -> Path:
    path = tmp_path / "resources.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_calendar_names_the_bottleneck(tmp_path: Path) -> None:
    rates = read_productivity()
    at_hand = read_resources(resource_file(tmp_path), rates)
    machines = machines_at_hand(rates, at_hand)
    assert set(machines) == {"MEMATT", "Local flail"}
    table = calendar(days(machines), at_hand).set_index("resource")
    manual = 10_000 / 300 + 10_000 / 500
    assert table.loc["manual team", "days_typical"] == np.ceil(manual / 4)
    assert table.loc["manual team", "bottleneck"]
    assert not table.loc["analyst", "bottleneck"]
    assert table.loc["machine", "teams"] == 14


def test_what_is_not_at_hand_holds_everything_up(tmp_path: Path) -> None:
    rates = read_productivity()
    at_hand = read_resources(resource_file(tmp_path, "[teams.analyst]\ncount = 1\n"), rates)
    assert machines_at_hand(rates, at_hand) == {}
    table = calendar(days(), at_hand).set_index("resource")
    assert table.loc["manual team", "note"] == "none at hand"
    assert np.isnan(table.loc["manual team", "days_typical"])
    assert table.loc["manual team", "bottleneck"]
    assert not table.loc["analyst", "bottleneck"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[teams.dragoons]\ncount = 1\n", "no kind of team 'dragoons'"),
        ("[machines.Unheard]\ncount = 1\n", "give its rated_for, max_slope_deg, m2_per_day"),
        ("[machines.MEMATT]\ncount = -1\n", "machines.MEMATT.count"),
        ("[machines.MEMATT]\nnumber = 1\n", "machines.MEMATT"),
        ("[teams", "cannot be read"),
    ],
)
def test_a_resource_file_with_a_mistake_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(JobError, match=says):
        read_resources(resource_file(tmp_path, text), read_productivity())


def test_a_productivity_table_without_a_method_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rates.toml"
    path.write_text("protocol = 1\n[method]\n[machine]\n", encoding="utf-8")
    with pytest.raises(JobError, match=r"no rates for 'other_means'.*Add \[method.other_means\]"):
        check_rates(read_rules(), read_productivity(path))


def test_totals_by_district_and_method_share_out_what_straddles(tmp_path: Path) -> None:
    xy = np.array([[990.0, 500.0], [1012.0, 500.0], [300.0, 300.0]]) + ORIGIN
    settings = Contamination(methodology=Methodology(resources=resource_file(tmp_path)))
    layers = assess(
        drawn_objects(xy, "mine_ap", verification="confirmed"),
        [piece(square(0, 0, 2000, 1000))],
        districts_from([square(0, 0, 1000), square(1000, 0, 1000)]),
        settings,
        "run",
    )
    areas, districts, methods = layers["hazard_areas"], layers["districts"], layers["district_methods"]
    assert districts["effort_days_typical"].sum() == pytest.approx(areas["effort_days_typical"].sum(), abs=0.05)
    assert methods["effort_days_max"].sum() == pytest.approx(areas["effort_days_max"].sum(), abs=0.2)
    assert methods["primary_ha"].sum() == pytest.approx(areas["area_ha"].sum(), abs=5e-4)
    assert districts["hazard_area_ha"].sum() == pytest.approx(areas["area_ha"].sum(), abs=2e-4)
    assert set(methods["district_code"]) == {"D0", "D1"}
    assert layers["calendar"]["bottleneck"].sum() >= 1
    assert set(areas["machines"]) == {"MEMATT;Local flail"}
