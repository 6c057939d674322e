"""Wrong input is told by row and column; nothing wrong is taken for right."""

from __future__ import annotations

import pytest
import shapely
from made_records import SOURCE, WORDS, book, problems, rows, work

from survey.errors import LedgerError
from survey.ledger.book import open_book, refuse, square_metres
from survey.ledger.reading import csv_of, identity, rows_of

FUZULI = "POLYGON ((47.30 39.50, 47.31 39.50, 47.31 39.51, 47.30 39.51, 47.30 39.50))"
FRANCE = "POLYGON ((2.30 48.50, 2.31 48.50, 2.31 48.51, 2.30 48.51, 2.30 48.50))"
BOW_TIE = "POLYGON ((47.30 39.50, 47.31 39.51, 47.31 39.50, 47.30 39.51, 47.30 39.50))"


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"agency": "ANAMMA Ltd"}, "agency"),
        ({"agency": ""}, "agency"),
        ({"area": "-5"}, "area"),
        ({"area": "lots"}, "area"),
        ({"area": "1,234"}, "area"),
        ({"unit": "acres"}, "unit"),
        ({"unit": ""}, "unit"),
        ({"area": "10 ha", "unit": "m2"}, "unit"),
        ({"area_qualifier": "maybe"}, "area_qualifier"),
        ({"date_to": "2022-03-01"}, "date_to"),
        ({"date_from": "14.04.2022"}, "date_from"),
        ({"date_from": ""}, "date_from"),
        ({"date_to": "2022-02-30"}, "date_to"),
        ({"date_to": ""}, "date_to"),
        ({"date_to": "2022-05-01"}, "date_to"),
        ({"districts": "Atlantis"}, "districts"),
        ({"districts": "Shusha", "area": "40000"}, "area"),
        ({"districts": "Fuzuli", "geometry": FRANCE}, "geometry"),
        ({"districts": "Tartar", "geometry": FUZULI}, "geometry"),
        ({"geometry": BOW_TIE}, "geometry"),
        ({"geometry": "POINT (47.3 39.5)"}, "geometry"),
        ({"geometry": "POLYGON ((690000 4380000, 690100 4380000, 690100 4380100, 690000 4380000))"}, "geometry"),
        ({"geometry": FUZULI, "area": "500"}, "area"),
        ({"items": "-3"}, "items"),
        ({"items": "AP -3"}, "items"),
        ({"items": "some"}, "items"),
        ({"items": "AP 3; AP 4"}, "items"),
        ({"items": "bananas 4"}, "items"),
        ({"items": "2.5"}, "items"),
        ({"activity": "gardening"}, "activity"),
        ({"basis": "sometimes"}, "basis"),
        ({"state": "released"}, "state"),
        ({"decision": "handed over"}, "decision"),
        ({"activity": "aerial survey", "state": "completed", "decision": "handed over"}, "decision"),
        ({"count": "3"}, "count"),
        ({"source": ""}, "source"),
        ({"source_date": "last week"}, "source_date"),
        ({"source_date": "2022-13"}, "source_date"),
        ({"note": "=HYPERLINK(A1)"}, "note"),
        ({"corrects": "nobody"}, "corrects"),
        ({"kind": "rumour"}, "kind"),
    ],
)
def test_what_is_wrong_is_told_by_row_and_column(change, column):
    assert (3, column) in problems(work(name="in order"), work(**change))
    assert all(row == 3 for row, _ in problems(work(name="in order"), work(**change)))


def test_an_unknown_agency_is_answered_with_the_nearest():
    _, found = open_book(rows(work(agency="Ministry of Defens")), WORDS)
    assert "Did you mean 'Ministry of Defense'?" in str(found[0])


@pytest.mark.parametrize("name", ["Zangilan", "Zengilan", "Zəngilan", "ZƏNGİLAN", "zengilan"])
def test_districts_go_by_all_their_spellings(name):
    assert book(work(districts=name)).records[0].districts == {"Zangilan"}


@pytest.mark.parametrize(
    ("area", "unit"), [("506.4", "ha"), ("5064000", "m2"), ("5,064,000", "m²"), ("5.064", "sq km"), ("506.4 ha", "")]
)
def test_units_are_one_quantity(area, unit):
    assert book(work(area=area, unit=unit)).records[0].area.words("ha") == "506.4 ha"


def test_everything_wrong_is_told_at_once():
    found = problems(work(agency="Nobody", area="-1"), work(districts="Atlantis", date_to="2022-03-01"))
    assert found == [(2, "agency"), (2, "area"), (3, "date_to"), (3, "districts")]


def test_a_long_list_of_mistakes_is_cut_and_counted():
    _, found = open_book(rows(*(work(agency="Nobody", name=str(i)) for i in range(30))), WORDS)
    with pytest.raises(LedgerError, match=r"nothing was stored\. Row 2, column agency.*And 10 more\."):
        refuse(found, "batch.csv", "nothing was stored.")


def test_what_is_repeated_is_found_in_any_unit_and_spelling():
    one = work(record_id="a", districts="Fuzuli", area="10", unit="ha")
    same = work(record_id="b", districts="Füzuli", area="100000", unit="m2", agency="Azerbaijan Mine Action Agency")
    assert problems(one, same) == [(3, "(row)")]


def test_one_source_cannot_say_two_things_of_the_same():
    assert problems(work(area="10"), work(area="12")) == [(3, "(row)")]
    assert problems(work(area="10"), work(area="12", source="Another")) == []
    assert problems(work(area="10", name="A"), work(area="12", name="B")) == []


def test_an_identity_is_taken_once():
    assert problems(work(record_id="a"), work(record_id="a", area="11")) == [(3, "record_id")]


def test_corrections_name_a_record_that_still_stands():
    first = work(record_id="a")
    assert problems(first, work(record_id="b", area="9", corrects="a")) == []
    twice = [work(record_id="b", area="9", corrects="a"), work(record_id="c", area="8", corrects="a", source="X")]
    assert (4, "corrects") in problems(first, *twice)
    asset = {"record_id": "m", "kind": "asset", "agency": "ANAMA", "assets": "machine", "count": "2",
             "state": "expected", "date_to": "2022-04-30", "corrects": "a", **SOURCE}  # fmt: skip
    assert (3, "corrects") in problems(first, asset)
    ring = [work(record_id="a", corrects="b"), work(record_id="b", corrects="a", area="9")]
    assert "corrects" in {column for _, column in problems(*ring)}
    assert (2, "corrects") in problems(work(record_id="a", corrects="a"))


def test_a_later_correction_wins_wherever_it_stands():
    records = [
        work(record_id="a"),
        work(record_id="b", area="9", corrects="a"),
        work(record_id="c", area="8", corrects="b"),
    ]
    for order in (records, records[::-1]):
        made = book(*order)
        assert [record.record_id for record in made.in_force] == ["c"]
        assert made.replaced_by == {"a": "b", "b": "c"}


def test_square_metres_are_those_of_the_ellipsoid():
    shape = shapely.from_wkt(FUZULI)
    plane = shapely.box(47.30, 39.50, 47.31, 39.51)
    assert square_metres(shape) == pytest.approx(954_687, rel=1e-3)
    assert square_metres(shapely.reverse(plane)) == pytest.approx(square_metres(plane), rel=1e-12)
    holed = shapely.difference(plane, shapely.box(47.302, 39.502, 47.304, 39.504))
    assert 0 < square_metres(holed) < square_metres(plane)


def test_a_csv_comes_out_as_it_went_in():
    text = csv_of(
        rows(work(record_id="a", note='say "so", \nhere', geometry=FUZULI), work(record_id="b", area="1 000.5"))
    )
    again, found = rows_of(text, "again.csv")
    assert found == []
    assert csv_of(again) == text
    assert [identity(row) for row in again] == ["a", "b"]


def test_semicolons_are_no_hindrance():
    header = "kind;agency;basis;date_to;activity;area;unit;source;source_date"
    text = f"{header}\nactivity;SBS;total;2022-04-13;clearance;775;ha;News;2022\n"
    made, found = open_book(rows_of(text, "x.csv")[0], WORDS)
    assert found == []
    assert made.records[0].agency == "State Border Service"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("kind,source,source_date,hectars\n", "did you mean"),
        ("kind,kind,source,source_date\n", "twice"),
        ("agency,source,source_date\n", "lacks the column 'kind'"),
        ('kind,source,source_date\n"activity,x\n', "no CSV"),
    ],
)
def test_a_file_that_is_no_ledger_is_refused(text, why):
    with pytest.raises(LedgerError, match=why):
        rows_of(text, "x.csv")


def test_cells_beyond_the_header_are_told():
    _, found = rows_of("kind,source,source_date\nactivity,x,2022,more\n", "x.csv")
    assert [(one.row, one.column) for one in found] == [(2, "(row)")]


def test_ground_that_is_no_wkt_is_told():
    _, found = rows_of("kind,source,source_date,geometry\nactivity,x,2022,here and there\n", "x.csv")
    assert [(one.row, one.column) for one in found] == [(2, "geometry")]
