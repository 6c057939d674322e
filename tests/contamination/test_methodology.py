from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn import ORIGIN, districts_from, drawn_objects, piece, square

from survey.contamination.assessment import Contamination, assess
from survey.contamination.methodology import JOIN, Methodology, explain, methodology_rules, suggest
from survey.contamination.rules import FIELDS, read_rules
from survey.errors import JobError

PACKAGED = resources.files("survey.contamination").joinpath("methods.toml").read_text(encoding="utf-8")
MACHINE = "Mechanical preparation"
FOLLOW_UP = "Follow-up search (manual or dogs)"

PLAIN = {
    "area_m2": 5000.0,
    "by_family": "",
    "n_objects": 5,
    "n_items": 5,
    "n_unverified": 0,
    "n_indicators": 0,
    "n_records": 0,
    "n_rows": 0,
    "density_per_ha": 5.0,
    "observed_fraction": 1.0,
    "detectability": 0.9,
    "nearest_item_m": np.nan,
    "slope_p90_deg": 5.0,
    "vegetation_p90": 0.1,
    "density_class": "medium",
    "pattern": "scatter",
    "land_class": "cha_proposed",
    "land_cover": "",
    "provisional": False,
    "machines": "GCS-200",
}
"""An area of verified objects on level, open ground that was well seen."""


def advised(settings: Methodology | None = None, **told: object) -> tuple[str, list[str], list[str]]:
    area = pd.DataFrame([PLAIN | told])
    settings = settings or Methodology()
    row = suggest(area, methodology_rules(settings), settings).iloc[0]
    return row["method_primary"], row["method_sequence"].split(JOIN), row["rules_fired"].split(";")


LONE_SHELL = {"by_family": "UXO 1", "n_items": 1, "n_objects": 1, "density_class": "low", "nearest_item_m": 400.0}

CASES = [
    # What the area holds; the primary method; its sequence; the rules that fire.
    ("R0", {"by_family": "AT 5", "detectability": 0.49}, "Survey by other means", 0, None),
    ("R0 not at the limit", {"by_family": "AT 5", "detectability": 0.5}, "Technical survey of row ends and boundary",
     0, None),
    ("R1", {"by_family": "indicator 4", "n_items": 0, "n_indicators": 4, "density_class": "low"},
     "Non-technical survey follow-up", 0, ["Non-technical survey follow-up", "Targeted technical survey"]),
    ("R2", {"by_family": "AT 5", "provisional": True, "n_unverified": 5}, "Verification by an analyst", 0, None),
    ("R3", LONE_SHELL, "EOD spot task", 0, ["EOD spot task", "Visual battle area clearance"]),
    ("R3 no other item anywhere", LONE_SHELL | {"nearest_item_m": np.nan}, "EOD spot task", 0, None),
    ("R3 not with another item near", LONE_SHELL | {"nearest_item_m": 50.0}, "Surface battle area clearance", 0, None),
    ("R3 not for a mine", LONE_SHELL | {"by_family": "AT 1"}, "Targeted technical survey", 0, None),
    ("R4", {"by_family": "CM 5"}, "Cluster munition remnants survey", 0,
     ["Cluster munition remnants survey", "Subsurface battle area clearance"]),
    ("R4 not among mines", {"by_family": "AT 1; CM 5"}, "Technical survey of row ends and boundary", 0, None),
    ("R5 low", {"by_family": "UXO 5", "density_class": "low"}, "Surface battle area clearance", 0,
     ["Surface battle area clearance"]),
    ("R5 medium", {"by_family": "UXO 5"}, "Surface battle area clearance", 0,
     ["Surface battle area clearance", "Subsurface battle area clearance"]),
    ("R5 very high", {"by_family": "AXO 5", "density_class": "very_high"}, "Surface battle area clearance", 0,
     ["Surface battle area clearance", "Subsurface battle area clearance"]),
    ("R6", {"by_family": "AP_blast 2", "density_class": "low"}, "Targeted technical survey", 0,
     ["Targeted technical survey", "Mine detection dogs", "Manual clearance"]),
    ("R7 medium", {"by_family": "AT 5"}, "Technical survey of row ends and boundary", 0,
     ["Technical survey of row ends and boundary", MACHINE, "Mine detection dogs", FOLLOW_UP]),
    ("R7 in rows at low density", {"by_family": "AT 5", "density_class": "low", "n_rows": 1, "pattern": "row"},
     "Technical survey of row ends and boundary", 0, None),
    ("R8 high", {"by_family": "AP_blast 20", "density_class": "high"}, "Manual clearance", 1,
     [MACHINE, "Manual clearance", FOLLOW_UP]),
    ("R8 very high", {"by_family": "AP_blast 99", "density_class": "very_high"}, "Manual clearance", 1, None),
    ("default", {"by_family": "unknown 3", "density_class": "medium"}, "Non-technical survey follow-up", 0,
     ["Non-technical survey follow-up", "Targeted technical survey"]),
    ("R9 slope", {"by_family": "AT 5", "slope_p90_deg": 20.1}, "Technical survey of row ends and boundary", 0,
     ["Technical survey of row ends and boundary", "Mine detection dogs"]),
    ("R9 slope at the limit", {"by_family": "AT 5", "slope_p90_deg": 20.0}, "Technical survey of row ends and boundary",
     0, ["Technical survey of row ends and boundary", MACHINE, "Mine detection dogs", FOLLOW_UP]),
    ("R9 no machine rated", {"by_family": "AT 9", "density_class": "high", "machines": ""}, "Manual clearance", 0,
     ["Manual clearance"]),
    ("R9 orchard", {"by_family": "AT 5", "land_cover": "orchard"}, "Technical survey of row ends and boundary", 0,
     ["Technical survey of row ends and boundary", "Mine detection dogs"]),
    ("R10", {"by_family": "AP_frag 5", "vegetation_p90": 0.4}, "Technical survey of row ends and boundary", 1,
     ["Mechanical vegetation removal", "Technical survey of row ends and boundary", MACHINE, FOLLOW_UP]),
    ("R10 on a slope", {"by_family": "AP_frag 5", "vegetation_p90": 0.4, "slope_p90_deg": 25.0},
     "Technical survey of row ends and boundary", 1,
     ["Manual vegetation removal after wire drill", "Technical survey of row ends and boundary"]),
    ("R10 not without tripwire mines", {"by_family": "AP_blast 5", "vegetation_p90": 0.4},
     "Technical survey of row ends and boundary", 0, None),
    ("R11 improvised devices", {"by_family": "AT 3; IED_suspect 2"}, "IEDD search", 0,
     ["IEDD search", "Technical survey of row ends and boundary"]),
    ("R11 built-up", {"by_family": "UXO 5", "density_class": "low", "land_cover": "built_up"},
     "Surface battle area clearance", 0, ["Surface battle area clearance", "Manual search"]),
    ("R13 vegetation", {"by_family": "AP_blast 2", "density_class": "low", "vegetation_p90": 0.7},
     "Targeted technical survey", 0, ["Targeted technical survey", "Manual search", "Manual clearance"]),
    ("R13 very high in rows", {"by_family": "AT 90", "density_class": "very_high", "n_rows": 3},
     "Technical survey of row ends and boundary", 0,
     ["Technical survey of row ends and boundary", MACHINE, "Manual search", FOLLOW_UP]),
    ("R13 slope too steep for dogs", {"by_family": "AP_blast 2", "density_class": "low", "slope_p90_deg": 31.0},
     "Targeted technical survey", 0, ["Targeted technical survey", "Manual search", "Manual clearance"]),
    ("R14 metal", {"by_family": "AT 5", "land_cover": "metal"}, "Technical survey of row ends and boundary", 0, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "told", "wanted", "place", "sequence"), CASES, ids=[c[0] for c in CASES])
def test_the_decision_table_case_by_case(
    name: str, told: dict[str, object], wanted: str, place: int, sequence: list[str] | None
) -> None:
    primary, steps, fired = advised(**told)
    gate = name.split()[0] in ("R0", "R1", "R2") and "not" not in name
    assert steps[place] == wanted
    if not gate:
        assert primary == wanted
    if sequence is not None:
        assert steps == sequence
    rule = name.split()[0]
    if "not" in name:
        assert not any(f.rstrip("ab") == rule for f in fired)
    elif rule not in ("default",) and name != "R9 slope at the limit":
        assert any(f.rstrip("ab") == rule for f in fired)


def test_gates_stand_in_front_and_the_primary_method_stays_that_of_the_rules() -> None:
    primary, steps, fired = advised(by_family="AT 5", detectability=0.1, provisional=True)
    assert primary == "Technical survey of row ends and boundary"
    assert steps[:3] == ["Survey by other means", "Verification by an analyst", primary]
    assert fired[:3] == ["R0", "R2", "R7"]


def test_heat_is_planned_for() -> None:
    hot = Methodology(air_temperature_c=35.0)
    assert "Mine detection dogs" not in advised(hot, by_family="AT 5")[1]
    assert "Mine detection dogs" in advised(Methodology(air_temperature_c=30.0), by_family="AT 5")[1]


def test_an_unknown_slope_keeps_the_machine_and_says_so() -> None:
    area = pd.DataFrame([PLAIN | {"by_family": "AT 5", "slope_p90_deg": np.nan}])
    row = suggest(area, read_rules(), Methodology()).iloc[0]
    assert MACHINE in row["method_sequence"]
    assert "R9b: The slope is not known" in row["method_reasons"]


def test_limits_can_be_set_and_change_the_version() -> None:
    gentle = Methodology(limits={"mech_max_slope_deg": 4.0})
    assert MACHINE not in advised(gentle, by_family="AT 5")[1]
    assert methodology_rules(gentle).version != read_rules().version
    with pytest.raises(JobError, match="Did you mean 'mech_max_slope_deg'"):
        read_rules(limits={"mech_slope": 1.0})


def test_every_mechanical_step_is_followed_by_a_search_in_every_case() -> None:
    rng = np.random.default_rng(0)
    count = 3000
    families = ["AT", "AP_blast", "AP_frag", "CM", "UXO", "IED_suspect", "unknown", "indicator"]
    numbers = rng.integers(0, 4, (count, len(families)))
    areas = pd.DataFrame([PLAIN] * count).assign(
        by_family=["; ".join(f"{f} {n}" for f, n in zip(families, row, strict=True) if n) for row in numbers],
        n_items=numbers[:, :7].sum(axis=1),
        n_indicators=numbers[:, 7],
        density_class=rng.choice(["low", "medium", "high", "very_high"], count),
        slope_p90_deg=rng.choice([0.0, 25.0, 40.0, np.nan], count),
        vegetation_p90=rng.choice([0.0, 0.5, 0.9, np.nan], count),
        land_cover=rng.choice(["", "rock", "built_up;ruin"], count),
        machines=rng.choice(["", "MEMATT"], count),
        provisional=rng.choice([True, False], count),
        n_rows=rng.integers(0, 2, count),
    )
    rules = read_rules()
    kind = {m.label: m.kind for m in rules.methods.values()}
    result = suggest(areas, rules, Methodology())
    for row, area in zip(result.itertuples(), areas.itertuples(), strict=True):
        kinds = [kind[label] for label in row.method_sequence.split(JOIN)]
        assert row.method_primary in row.method_sequence.split(JOIN)
        if "mechanical" in kinds:
            last = len(kinds) - kinds[::-1].index("mechanical")
            assert "manual" in kinds[last:] or "dogs" in kinds[last:]
            assert area.machines
            assert not area.slope_p90_deg > 20.0
        if area.provisional:
            assert "Verification by an analyst" in row.method_sequence


def edited(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = PACKAGED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "methods.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('"n_cm > 0"', '"n_cn > 0"'), "R4.*no field 'n_cn'.*Did you mean 'n_cm'"),
        (('"n_cm > 0"', '"n_cm is a lot"'), "no condition"),
        (('"n_cm > 0"', '"n_cm > $many"'), "no limit 'many'"),
        (('"n_cm > 0"', '"n_cm > some"'), "not a number"),
        (('"density_class == low"', '"density_class == lo"'), "may be low, medium.*Did you mean 'low'"),
        (('"land_cover has rock"', '"land_cover == rock"'), "'has' goes with land_cover"),
        (('"land_cover has rock"', '"land_cover has stone"'), "land_cover may be"),
        (('methods = ["cmrs"', 'methods = ["cmr"'), "no method 'cmr'.*Did you mean 'cmrs'"),
        (('drop = ["mechanical"]', 'drop = ["machines"]'), "neither a method nor a kind"),
        (('primary = "manual_clearance"', 'primary = "mdd"'), "not among its methods"),
        (('id = "R4"', 'id = "R3"'), "'R3' stands there twice"),
        (('id = "default"\n', 'id = "default"\nall = ["n_items > 0"]\n'), "no default"),
        (('id = "R5a"\nall', 'id = "R5a"\nany = ["n_at > 0"]\nall'), "never apply"),
        (('all = ["n_cm > 0", "n_mines == 0"]', 'all = ["n_cm > 0", "n_cm == 0"]'), "'R4' can never apply"),
        (('id = "R4"\nall = ["n_cm > 0", "n_mines == 0"]', 'id = "R4"'), "can never apply"),
        (('first = ["other_means"]', 'firts = ["other_means"]'), "firts"),
        (('reason = "Submunitions', 'last = ["mdd"]\nreason = "Submunitions'), "may not hold 'last'"),
        (("protocol = 1", "protocol = 2"), "protocol"),
        (("[limits]", "[limits"), "cannot be read"),
    ],
)  # fmt: skip
def test_a_rule_table_with_a_mistake_is_refused(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    with pytest.raises(JobError, match=says):
        read_rules(edited(tmp_path, change))


def test_a_missing_rule_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="cannot be read"):
        read_rules(tmp_path / "nowhere.toml")


def test_an_edited_table_is_obeyed(tmp_path: Path) -> None:
    path = edited(tmp_path, ('methods = ["targeted_ts", "mdd", "manual_clearance"]', 'methods = ["manual_clearance"]'))
    primary, steps, _ = advised(Methodology(path=path), by_family="AT 2", density_class="low")
    assert primary == "Manual clearance"
    assert steps == ["Manual clearance"]


def test_no_table_can_take_the_search_after_a_machine_away(tmp_path: Path) -> None:
    path = edited(tmp_path, ('id = "R12"\npresent = "mechanical"\nlast', 'id = "R12"\npresent = "eod"\nlast'))
    rules = methodology_rules(Methodology(path=path))
    area = pd.DataFrame([PLAIN | {"by_family": "AT 5", "vegetation_p90": 0.1, "density_class": "medium"}])
    stripped = edited(
        tmp_path,
        ('id = "R12"\npresent = "mechanical"\nlast', 'id = "R12"\npresent = "eod"\nlast'),
        ('methods = ["ts_boundary", "mechanical_preparation", "mdd"]', 'methods = ["mechanical_preparation"]'),
    )
    assert suggest(area, rules, Methodology())["method_sequence"].iloc[0].endswith("Mine detection dogs")
    alone = suggest(area, read_rules(stripped), Methodology())["method_sequence"].iloc[0]
    assert alone == JOIN.join([MACHINE, FOLLOW_UP])


def test_every_rule_gives_its_reason_and_source() -> None:
    table = tomllib.loads(PACKAGED)
    for rule in (*table["gate"], *table["rule"], *table["modifier"]):
        assert rule["reason"].endswith(".")
        assert rule["source"]
    assert set(FIELDS) >= {"detectability", "density_class", "slope_p90_deg"}


def test_explain_answers_from_the_written_layer() -> None:
    xy = np.random.default_rng(0).uniform(0, 60, (40, 2)) + ORIGIN + 400
    layers = assess(
        drawn_objects(xy, "mine_ap"),
        [piece(square(0, 0, 1000), vegetation=0.2)],
        districts_from([square(0, 0, 1000)]),
        Contamination(),
        "run",
    )
    areas = layers["hazard_areas"]
    told = explain(areas.iloc[[0]].drop(columns="geometry"), read_rules(), Methodology())
    assert set(told.loc[told["fired"], "rule"]) == set(areas["rules_fired"].iloc[0].split(";"))
    r8 = told.set_index("rule").loc["R8"]
    assert r8["fired"]
    assert "n_mines = 40" in r8["inputs"]
    assert "density_class = high" in r8["inputs"] or "density_class = very_high" in r8["inputs"]
    assert told.set_index("rule").loc["R9b", "inputs"] == "slope_p90_deg = not known"
    assert areas["rules_version"].iloc[0] == read_rules().version
