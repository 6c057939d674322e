"""No order of records, split of a period or choice of unit changes a total; nothing is counted twice."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import SOURCE, SPAN, book, work

from survey.ledger.facts import hectares_of, items_of
from survey.ledger.sums import in_period, items_by_kind, latest_cumulative, summed

DISTRICTS = ["Aghdam", "Fuzuli", "Jabrayil", "Lachin"]
AGENCIES = ["ANAMA", "Ministry of Defense", "State Border Service"]
UNITS = {"m2": Decimal(10_000), "ha": Decimal(1), "km2": Decimal("0.01")}
START = date(2022, 4, 1)


def in_span(*records):
    return in_period(book(*records).in_force, *SPAN)[0]


def hectares(records):
    return summed(records, hectares_of).figure


@st.composite
def apart(draw):
    """Records that share nothing: each a task of its own."""
    count = draw(st.integers(1, 8))
    made = []
    for number in range(count):
        first = START + timedelta(days=draw(st.integers(0, 13)))
        last = min(first + timedelta(days=draw(st.integers(0, 13))), SPAN[1])
        area = draw(st.decimals(min_value=0, max_value=5000, places=4))
        made.append(
            work(
                record_id=f"r{number}",
                agency=draw(st.sampled_from(AGENCIES)),
                districts=draw(st.sampled_from(DISTRICTS)),
                date_from=str(first),
                date_to=str(last),
                area=f"{area:f}",
                items=str(draw(st.integers(0, 10_000))),
                name=f"task {number}",
                area_qualifier=draw(st.sampled_from(["exact", "about", "at_least"])),
            )
        )
    return made


@given(apart(), st.randoms())
@settings(max_examples=30, deadline=None)
def test_no_order_changes_a_total(records, random):
    shuffled = records.copy()
    random.shuffle(shuffled)
    for measure in (hectares_of, items_of):
        before, after = (summed(in_span(*some), measure).figure for some in (records, shuffled))
        assert before == after
        assert before.low == sum(Decimal(r["area" if measure is hectares_of else "items"]) for r in records)


@given(apart(), st.data())
@settings(max_examples=30, deadline=None)
def test_no_unit_changes_a_total(records, data):
    other = []
    for record in records:
        unit = data.draw(st.sampled_from(list(UNITS)))
        other.append({**record, "area": f"{Decimal(record['area']) * UNITS[unit]:f}", "unit": unit})
    assert hectares(in_span(*records)) == hectares(in_span(*other))


@given(apart(), st.data())
@settings(max_examples=30, deadline=None)
def test_no_split_of_a_period_changes_a_total(records, data):
    split = []
    for record in records:
        first, last = date.fromisoformat(record["date_from"]), date.fromisoformat(record["date_to"])
        if first == last:
            split.append(record)
            continue
        cut = first + timedelta(days=data.draw(st.integers(0, (last - first).days - 1)))
        area, items = Decimal(record["area"]), int(record["items"])
        early_area = (area * data.draw(st.integers(0, 100)) / 100).quantize(Decimal("0.0001"))
        early_items = data.draw(st.integers(0, items))
        shares = [("a", first, cut, early_area, early_items)]
        shares.append(("b", cut + timedelta(days=1), last, area - early_area, items - early_items))
        split += [
            {**record, "record_id": record["record_id"] + end, "date_from": str(one), "date_to": str(two),
             "area": f"{part:f}", "items": str(found)}
            for end, one, two, part, found in shares
        ]  # fmt: skip
    for measure in (hectares_of, items_of):
        whole, parts = (summed(in_span(*some), measure).figure for some in (records, split))
        assert (whole.low, whole.high, whole.about) == (parts.low, parts.high, parts.about)
        assert not parts.disagree
        # The whole and its parts together still count once.
        both = summed(in_span(*records, *(part for part in split if part not in records)), measure).figure
        assert (both.low, both.high, both.disagree) == (whole.low, whole.high, False)


@given(apart(), st.data())
@settings(max_examples=25, deadline=None)
def test_what_a_second_source_repeats_counts_once(records, data):
    again = [
        {**record, "record_id": f"again {i}", "source": "Another paper"}
        for i, record in enumerate(records)
        if data.draw(st.booleans())
    ]
    before, after = hectares(in_span(*records)), hectares(in_span(*records, *again))
    assert (before.low, before.high) == (after.low, after.high)
    assert not after.disagree
    assert set(after.records) >= {record["record_id"] for record in again}


@given(st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13), st.integers(0, 500)), min_size=1, max_size=7))
@settings(max_examples=60, deadline=None)
def test_whatever_overlaps_a_sum_lies_between_the_largest_and_all(periods):
    """Periods of one agency that may overlap in every way."""
    unique = {(min(a, b), max(a, b)): area for a, b, area in periods}
    records = [
        work(date_from=str(START + timedelta(days=a)), date_to=str(START + timedelta(days=b)), area=str(area))
        for (a, b), area in unique.items()
    ]
    figure = hectares(in_span(*records))
    areas = list(unique.values())
    assert max(areas) <= figure.high <= sum(areas)
    assert figure.low <= figure.high
    shared = any(a < d and c < b for (a, b) in unique for (c, d) in unique if (a, b) != (c, d))
    if not shared and not any(b == c for (a, b) in unique for (c, d) in unique if (a, b) != (c, d)):
        assert figure.low == figure.high == sum(areas)


def test_a_part_is_not_added_to_its_whole():
    whole = work(record_id="whole", area="100", districts="Aghdam; Fuzuli")
    part = work(record_id="part", area="40", districts="Fuzuli", source="District office")
    done = summed(in_span(whole, part), hectares_of)
    assert done.figure.words("ha") == "100 ha"
    assert [fact.record.record_id for fact in done.parts] == ["part"]


def test_parts_that_exceed_their_whole_are_shown_as_disagreeing():
    whole = work(record_id="whole", area="100", districts="Aghdam; Fuzuli")
    part = work(record_id="part", area="140", districts="Fuzuli", source="District office")
    figure = hectares(in_span(whole, part))
    assert figure.disagree
    assert figure.words("ha") == "100 to 140 ha"


@pytest.mark.parametrize("second", ["60", "70"])
def test_districts_that_make_up_the_whole_must_agree_with_it(second):
    whole = work(record_id="whole", area="100", districts="Aghdam; Fuzuli")
    parts = [
        work(record_id="a", area="40", districts="Aghdam", source="Offices"),
        work(record_id="b", area=second, districts="Fuzuli", source="Offices"),
    ]
    figure = hectares(in_span(whole, *parts))
    assert figure.disagree is (second == "70")
    assert figure.low == 100


def test_weeks_that_contradict_the_fortnight_are_shown_beside_it():
    records = [
        work(record_id="both", area="100"),
        work(record_id="first", area="60", date_to="2022-04-07"),
        work(record_id="second", area="60", date_from="2022-04-08"),
    ]
    figure = hectares(in_span(*records))
    assert figure.words("ha") == "100 to 120 ha"
    assert figure.records == ("both", "first", "second")


def test_periods_that_cross_are_given_as_a_range():
    records = [work(area="60", date_to="2022-04-10"), work(area="50", date_from="2022-04-08")]
    done = summed(in_span(*records), hectares_of)
    assert done.figure.words("ha") == "60 to 110 ha"
    assert len(done.overlapping) == 2
    assert items_by_kind(done) == {}


def test_a_period_that_reaches_beyond_is_not_shared_out():
    inside, across = in_period(book(work(date_to="2022-04-20", source_date="2022-05")).in_force, *SPAN)
    assert inside == []
    assert len(across) == 1


def test_a_period_and_a_figure_to_date_are_never_added():
    records = book(work(), work(basis="cumulative", date_from="2020-11-10", area="500")).in_force
    with pytest.raises(ValueError, match="never added"):
        summed(records, hectares_of)


def test_the_newest_figure_to_date_stands_and_a_fall_is_told():
    records = book(
        work(record_id="old", basis="cumulative", date_from="2020-11-10", date_to="2022-03-31", area="9000"),
        work(record_id="new", basis="cumulative", date_from="2020-11-10", date_to="2022-04-14", area="8372.9"),
        work(record_id="later", basis="cumulative", date_from="2020-11-10", date_to="2022-04-18", area="8500"),
    ).in_force
    newest, fallen = latest_cumulative(records, SPAN[1])
    assert [record.record_id for record in newest] == ["new"]
    assert [record.record_id for record in fallen] == ["old"]


def test_this_year_lies_inside_the_figure_since_the_war():
    records = book(
        work(record_id="war", basis="cumulative", date_from="2020-11-10", area="8000"),
        work(record_id="year", basis="cumulative", date_from="2022-01-01", area="900"),
    ).in_force
    assert hectares(latest_cumulative(records, SPAN[1])[0]).words() == "8,000"


def test_a_correction_takes_the_place_of_what_it_corrects():
    records = [
        work(record_id="wrong", area="506.4"),
        work(record_id="right", area="50.64", corrects="wrong", source="Erratum"),
    ]
    assert hectares(in_span(*records)).words("ha") == "50.64 ha"
    withdrawn = {"record_id": "gone", "kind": "withdrawal", "corrects": "right", **SOURCE}
    assert in_span(*records, withdrawn) == []


def test_the_same_ground_worked_on_twice_is_not_more_land():
    square = "POLYGON ((47.30 39.50, 47.31 39.50, 47.31 39.51, 47.30 39.51, 47.30 39.50))"  # 95.4 ha
    once = work(districts="Fuzuli", area="90", geometry=square, name="A", date_to="2022-04-05")
    again = work(districts="Fuzuli", area="80", geometry=square, name="B", date_from="2022-04-06")
    figure = hectares(in_span(once, again))
    assert figure.words("ha") == "90 to 170 ha"
    progress = {**again, "area": "5"}
    assert hectares(in_span(once, progress)).words("ha") == "95 ha"
    assert summed(in_span({**once, "items": "3"}, {**again, "items": "4"}), items_of).figure.words() == "7"


def test_items_are_kept_by_kind():
    records = [
        work(items="AP 12; anti-tank mines 3"),
        work(agency="MoD", items="71 UXO"),
        work(agency="SBS", items="5"),
    ]
    kinds = items_by_kind(summed(in_span(*records), items_of))
    assert {kind: figure.words() for kind, figure in kinds.items()} == {
        "AP": "12",
        "AT": "3",
        "UXO": "71",
        "unspecified": "5",
    }
