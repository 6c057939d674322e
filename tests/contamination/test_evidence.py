from __future__ import annotations

from importlib import resources
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from drawn import EAST, NORTH, ORIGIN, UTM, districts_from, drawn_objects, piece, square

from survey.contamination.assessment import Contamination, Context, assess
from survey.contamination.evidence import Evidence, prepare_evidence, read_evidence_table
from survey.errors import JobError, LayerError

GROUND = square(0, 0, 1000)


def records(shapes: list[shapely.Geometry], types: list[str], **columns: list) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"evidence_type": types} | columns, geometry=shapes, crs=UTM)


def at(x: float, y: float) -> shapely.Point:
    return shapely.Point(EAST + x, NORTH + y)


def layers_of(
    xy: list[tuple[float, float]], told: gpd.GeoDataFrame | None, settings: Evidence | None = None, **drawn: object
) -> dict[str, pd.DataFrame]:
    settings = settings or Evidence()
    objects = drawn_objects(np.array(xy, dtype=float).reshape(-1, 2) + ORIGIN, **drawn)  # type: ignore[arg-type]
    context = Context() if told is None else Context(evidence=prepare_evidence(told, settings))
    return assess(objects, [piece(GROUND)], districts_from([GROUND]), Contamination(evidence=settings), "run", context)


@pytest.mark.parametrize(
    ("code", "verification", "land_class", "evidence_class"),
    [
        ("mine_at", "unverified", "indication", "indication"),
        ("mine_at", "uncertain", "indication", "indication"),
        ("mine_at", "confirmed", "cha_proposed", "direct"),
        ("trench", "unverified", "indication", "indication"),
        ("trench", "confirmed", "sha_proposed", "indirect"),
        ("fence", "confirmed", "cha_proposed", "direct"),
        ("unknown_object", "confirmed", "sha_proposed", "indirect"),
    ],
)
def test_a_verdict_raises_the_evidence_and_the_land_class(
    code: str, verification: str, land_class: str, evidence_class: str
) -> None:
    layers = layers_of([(500, 500)], None, class_code=code, verification=verification)
    area = layers["hazard_areas"].iloc[0]
    assert area["land_class"] == land_class
    assert area["provisional"] == (verification != "confirmed")
    assert layers["hazard_objects"]["evidence_class"].iloc[0] == evidence_class
    assert layers["area_evidence"]["evidence_class"].iloc[0] == evidence_class
    assert area["area_id"] == layers["hazard_objects"]["area_id"].iloc[0] == layers["area_evidence"]["area_id"].iloc[0]


def test_an_accident_beside_unverified_mines_enters_their_area_and_is_listed() -> None:
    told = records(
        [at(520, 500)], ["Mine/ERW accidents with known location"], evidence_id=["A-17"], source=["police, 2021"],
        reliability=["high"], accuracy_m=[5.0],
    )  # fmt: skip
    layers = layers_of([(500, 500), (505, 505)], told)
    area = layers["hazard_areas"].iloc[0]
    assert len(layers["hazard_areas"]) == 1
    assert area["land_class"] == "cha_proposed"
    assert area["provisional"]
    assert area["evidence_of_contamination"] == "Direct"
    assert area["direct_evidence"] == "Mine/ERW accidents with known location"
    assert area["n_records"] == 1
    assert area["n_objects"] == 2
    listed = layers["area_evidence"].set_index("origin")
    assert listed.loc["record", "evidence_ids"] == "A-17"
    assert listed.loc["record", "sources"] == "police, 2021"
    assert listed.loc["imagery", "n"] == 2
    assert listed.loc["imagery", "weight"] == 0.0
    assert layers["evidence"]["area_id"].iloc[0] == area["area_id"]
    assert shapely.contains(area.geometry, layers["evidence"].geometry.iloc[0])


def test_weak_evidence_raises_nothing_and_enough_of_it_does() -> None:
    one = layers_of([], records([at(500, 500)], ["Verbal reports"], reliability=["low"]))
    assert one["hazard_areas"]["land_class"].iloc[0] == "indication"
    assert one["hazard_areas"]["evidence_of_contamination"].iloc[0] == "Indirect"
    assert one["hazard_areas"]["density_per_ha"].iloc[0] == 0.0
    two = layers_of([], records([at(500, 500), at(520, 500)], ["Verbal reports"] * 2, reliability=["low", "low"]))
    assert len(two["hazard_areas"]) == 1
    assert two["hazard_areas"]["land_class"].iloc[0] == "sha_proposed"
    assert two["hazard_areas"]["method_primary"].iloc[0] == "Non-technical survey follow-up"


def test_an_old_minefield_takes_in_what_lies_inside_it() -> None:
    field = square(300, 300, 400)
    told = records([field], ["Mine/ERW records (low reliability)"])
    layers = layers_of([(500, 500), (950, 950)], told, verification="confirmed")
    areas = layers["hazard_areas"].sort_values("area_m2", ascending=False)
    assert len(areas) == 2
    assert areas["n_objects"].tolist() == [1, 1]
    assert areas["n_records"].tolist() == [1, 0]
    outline = areas.geometry.to_crs(UTM).iloc[0]
    assert shapely.contains(outline, shapely.buffer(field, 24.0))
    assert not shapely.contains(outline, shapely.buffer(field, 30.0))


def test_points_speak_of_as_much_ground_as_their_accuracy() -> None:
    told = records([at(0, 0), at(100, 0)], ["Detonations"] * 2, accuracy_m=[40.0, None])
    prepared = prepare_evidence(told, Evidence())
    assert sorted(prepared.area) == pytest.approx([np.pi * 25**2, np.pi * 40**2], rel=0.03)
    assert prepared["evidence_id"].is_unique


def test_the_same_evidence_has_the_same_identity_in_any_order() -> None:
    told = records([at(0, 0), at(100, 0)], ["Detonations", "Verbal reports"])
    once, again = prepare_evidence(told, Evidence()), prepare_evidence(told.iloc[::-1], Evidence())
    assert once["evidence_id"].tolist() == again["evidence_id"].tolist()


@pytest.mark.parametrize(
    ("told", "error", "says"),
    [
        (records([at(0, 0)], ["Detonation"]), JobError, "row 1: .*no evidence type 'Detonation'.*'Detonations'"),
        (records([at(0, 0)], ["Detonations"], reliability=["sure"]), JobError, "reliability is 'sure'"),
        (records([at(0, 0)], ["Detonations"], family=["mines"]), JobError, "family is 'mines'"),
        (records([at(0, 0)], ["Detonations"]).rename(columns={"evidence_type": "kind"}), JobError, "no column"),
        (records([shapely.Point()], ["Detonations"]), LayerError, "row 1 has no geometry"),
        (gpd.GeoDataFrame({"evidence_type": ["Detonations"]}, geometry=[at(0, 0)]), LayerError, "no CRS"),
    ],
)
def test_evidence_that_cannot_be_used_is_refused(told: gpd.GeoDataFrame, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        prepare_evidence(told, Evidence())


def test_a_national_table_decides_what_is_direct(tmp_path: Path) -> None:
    text = resources.files("survey.contamination").joinpath("evidence.toml").read_text(encoding="utf-8")
    path = tmp_path / "national.toml"
    path.write_text(text.replace('fence = "Mine signs, fencing, etc."', 'fence = "Indirect, not specified"'))
    layers = layers_of([(500, 500)], None, Evidence(table=path), class_code="fence", verification="confirmed")
    assert layers["hazard_areas"]["land_class"].iloc[0] == "sha_proposed"
    path.write_text(text.replace('item = "Visual observations"', 'item = "Visual observation"'))
    with pytest.raises(JobError, match="Did you mean 'Visual observations'"):
        read_evidence_table(path)
    path.write_text(text.replace("weight = 1.0", "wieght = 1.0", 1))
    with pytest.raises(JobError, match="not usable at type"):
        read_evidence_table(path)
