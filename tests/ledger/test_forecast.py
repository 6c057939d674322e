"""What finishes when, and what holds it up."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_records import SOURCE, book

from survey.ledger.forecast import Team, bottleneck, finishes, teams_of, working_days

FRIDAY = date(2022, 4, 15)


def asset(**values):
    base = {"kind": "asset", "agency": "ANAMA", "assets": "machine", "count": "2", "state": "at hand",
            "date_to": "2022-01-01", "name": "lot 1", **SOURCE}  # fmt: skip
    return {**base, **values}


def done(days, teams, start=FRIDAY, week=5):
    (one,) = finishes({"machine": (days, days, days)}, {"machine": teams}, start, week)
    return one.days[1]


@pytest.mark.parametrize(
    ("days", "week", "end"),
    [
        (1.0, 5, FRIDAY),
        (2.0, 5, FRIDAY),
        (2.1, 5, date(2022, 4, 18)),
        (2.1, 6, date(2022, 4, 16)),
        (2.1, 7, date(2022, 4, 16)),
        (12.0, 5, date(2022, 4, 22)),
        (0.0, 5, FRIDAY),
    ],
)
def test_two_teams_do_two_team_days_a_working_day(days, week, end):
    assert done(days, [Team(2, date(2022, 1, 1), "r")], week=week) == end


def test_work_waits_for_what_is_expected():
    assert done(1.0, [Team(1, date(2022, 4, 30), "r")]) == date(2022, 5, 2), "30 April 2022 is a Saturday"


def test_what_comes_later_helps_from_then_on():
    now, later = Team(1, date(2022, 1, 1), "a"), Team(3, date(2022, 4, 20), "b")
    # Friday, Monday, Tuesday with one machine, then four: 3 + 4 + 4 = 11.
    assert done(11.0, [now, later]) == date(2022, 4, 21)
    assert done(11.1, [now, later]) == date(2022, 4, 22)
    assert done(3.0, [now, later]) == date(2022, 4, 19)


def test_without_teams_there_is_no_end():
    assert done(1.0, []) is None
    slowest = bottleneck(
        finishes({"machine": (1, 1, 1), "analyst": (9, 9, 9)}, {"analyst": [Team(1, FRIDAY, "r")]}, FRIDAY, 5)
    )
    assert slowest.resource == "machine"


def test_the_bottleneck_finishes_last():
    teams = {"machine": [Team(1, FRIDAY, "r")], "dog team": [Team(5, FRIDAY, "s")]}
    slowest = bottleneck(finishes({"machine": (2, 4, 8), "dog team": (5, 10, 20)}, teams, FRIDAY, 5))
    assert slowest.resource == "machine"


@given(
    st.floats(0.1, 500.0),
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 90)), min_size=1, max_size=4),
    st.integers(1, 7),
)
def test_the_finish_is_the_first_day_with_enough_team_days(days, lots, week):
    """Counted day by day."""
    teams = [Team(count, date.fromordinal(FRIDAY.toordinal() + wait), "r") for count, wait in lots]
    end = done(days, teams, week=week)
    left, today = days, FRIDAY
    while True:
        if today.weekday() < week:
            left -= sum(team.count for team in teams if team.since <= today)
        if left <= 1e-6:
            break
        today = date.fromordinal(today.toordinal() + 1)
    assert end == today


def test_the_newest_record_on_a_lot_stands():
    expected = asset(record_id="e", state="expected", count="13", date_to="2022-04-30", source_date="2022-04")
    arrived = asset(record_id="a", count="12", date_to="2022-07-08", source_date="2022-07-10")
    for order in ((expected, arrived), (arrived, expected)):
        assert teams_of(book(*order).in_force) == {"machine": (Team(12, date(2022, 7, 8), "a"),)}
    gone = asset(record_id="g", state="withdrawn", count="12", date_to="2022-09-01", source_date="2022-09-10")
    assert teams_of(book(expected, arrived, gone).in_force) == {}


def test_lots_of_other_names_add_up():
    made = teams_of(book(asset(record_id="a"), asset(record_id="b", name="lot 2", count="3")).in_force)
    assert sum(team.count for team in made["machine"]) == 5


def test_working_days_are_counted_with_both_ends():
    assert working_days(FRIDAY, date(2022, 4, 18), 5) == 2
    assert working_days(FRIDAY, date(2022, 4, 14), 5) == 0
    assert working_days(FRIDAY, date(2022, 4, 21), 7) == 7
