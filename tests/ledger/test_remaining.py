"""What remains: every square metre in one state, overlap counted once, the newest record standing."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import WORDS, book, work

from survey.ledger.remaining import STATES, Worked, by_district, by_group, cut, states_of, statuses

AREAS = np.array([shapely.box(0, 0, 100, 100), shapely.box(200, 0, 300, 50)], dtype=object)
IDS = ["a", "b"]


def worked(ground, state="completed", decision="", **values):
    record = book(work(state=state, decision=decision, **values)).records[0]
    ((known, made),) = states_of([record], WORDS.stage, date(2022, 4, 20))
    return Worked(known, made, ground)


def handed(ground, **values):
    return worked(ground, decision="handed_over", **{"area": "50", **values})


def test_without_records_everything_is_open():
    pieces = cut(AREAS, [], IDS)
    assert pieces["open"].tolist() == [10_000, 5_000]
    assert statuses(pieces) == ["open", "open"]


def test_ground_that_two_records_hand_over_counts_once():
    pieces = cut(AREAS, [handed(shapely.box(0, 0, 60, 100)), handed(shapely.box(40, 0, 80, 100), name="x")], IDS)
    assert pieces["handed_over"].tolist() == [8_000, 0]
    assert pieces["open"].tolist() == [2_000, 5_000]
    assert statuses(pieces) == ["worked_on", "open"]


def test_areas_that_share_ground_count_it_once():
    areas = np.array([shapely.box(0, 0, 100, 100), shapely.box(50, 0, 150, 100)], dtype=object)
    pieces = cut(areas, [handed(shapely.box(0, 0, 150, 100))], IDS)
    assert pieces["area_m2"].sum() == 15_000
    assert pieces["handed_over"].sum() == 15_000
    assert statuses(pieces) == ["released", "released"]


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"state": "completed", "decision": "handed_over"}, "released"),
        ({"state": "completed"}, "closed"),
        ({"state": "completed", "decision": "refused"}, "worked_on"),
        ({"state": "suspended"}, "suspended"),
        ({"state": "under_way"}, "worked_on"),
        ({"state": ""}, "worked_on"),
        ({"state": "completed", "activity": "technical_survey"}, "closed"),
        ({"state": "completed", "decision": "handed_over", "activity": "NTS"}, "released"),
    ],
)
def test_the_status_follows_from_the_record(values, status):
    assert statuses(cut(AREAS, [worked(AREAS[0], **values)], IDS)) == [status, "open"]


@pytest.mark.parametrize(
    "values",
    [
        {"state": "planned"},
        {"activity": "aerial_survey", "state": "completed"},
        {"activity": "non_technical_survey", "state": "completed"},
        {"activity": "eod_spot_task", "state": "completed", "decision": "handed_over"},
    ],
)
def test_what_never_touched_the_ground_changes_no_status(values):
    records = book(work(**values)).records
    assert states_of(records, WORDS.stage, date(2022, 4, 20)) == []


def test_a_record_of_later_says_nothing_yet():
    assert states_of(book(work(state="completed")).records, WORDS.stage, date(2022, 4, 13)) == []


def test_the_newest_record_stands_on_every_piece_of_ground():
    surveyed = worked(AREAS[0], area="1", date_to="2022-04-02", activity="TS", name="1")
    again = worked(shapely.box(0, 0, 50, 100), state="under_way", date_to="2022-04-09", name="2")
    for order in ([surveyed, again], [again, surveyed]):
        pieces = cut(AREAS, order, IDS)
        assert (pieces["closed"][0], pieces["worked_on"][0]) == (5_000, 5_000)
        assert statuses(pieces)[0] == "worked_on"


def test_an_area_named_without_a_polygon_is_meant_as_a_whole():
    pieces = cut(AREAS, [handed(None, area="0.5", area_ids="b"), worked(None, state="suspended", area_ids="a")], IDS)
    assert statuses(pieces) == ["suspended", "released"]
    assert pieces["records"].map(len).tolist() == [1, 1]


@pytest.mark.parametrize("ground", [None, AREAS[1]])
def test_fewer_hectares_than_the_ground_has_hand_nothing_over(ground):
    """An area of half a hectare, of which a fifth was finished: where is not recorded."""
    pieces = cut(AREAS, [handed(ground, area="0.1", area_ids="b" if ground is None else "")], IDS)
    assert statuses(pieces) == ["open", "worked_on"]
    assert pieces["handed_over"].sum() == 0


def test_a_corner_left_out_keeps_the_area_from_being_released():
    pieces = cut(AREAS, [handed(shapely.box(0, 0, 100, 99))], IDS)
    assert statuses(pieces)[0] == "worked_on"
    pieces = cut(AREAS, [handed(shapely.box(-1, -1, 100, 99.95))], IDS)
    assert statuses(pieces)[0] == "released", "the noise of digitising"


boxes = st.tuples(*[st.integers(-50, 350)] * 2, st.integers(1, 200), st.integers(1, 200)).map(
    lambda b: shapely.box(b[0], b[1], b[0] + b[2], b[1] + b[3])
)
made = st.tuples(boxes, st.sampled_from([("completed", "handed_over"), ("completed", ""), ("suspended", ""), ("", "")]))


@given(st.lists(made, max_size=6), st.randoms())
@settings(max_examples=30, deadline=None)
def test_every_square_metre_is_in_one_state_whatever_the_order(shapes, random):
    some = [
        worked(ground, state, decision, area="50", name=str(i), date_to=f"2022-04-{2 + i % 4:02d}")
        for i, (ground, (state, decision)) in enumerate(shapes)
    ]
    pieces = cut(AREAS, some, IDS)
    columns = [*STATES, "open"]
    assert (pieces[columns].sum(axis=1) == pieces["area_m2"]).all()
    assert (pieces[columns] >= 0).all().all()
    union = shapely.union_all([one.ground for one in some] or [shapely.MultiPolygon()])
    free = shapely.area(shapely.difference(shapely.union_all(AREAS), union))
    assert pieces["open"].sum() == pytest.approx(free, abs=2.0)
    random.shuffle(some)
    again = cut(AREAS, some, IDS)
    assert (again[columns] == pieces[columns]).all().all()
    groups = by_group(pieces, ["low", "high"])
    districts = by_district(pieces, np.array([shapely.box(-10, -10, 55.5, 200), shapely.box(55.5, -10, 250, 200)]), IDS)
    for column in ("area_m2", "remaining", *columns):
        assert groups[column].sum() == districts[column].sum()
    assert groups["remaining"].sum() == pieces["area_m2"].sum() - pieces["handed_over"].sum()
