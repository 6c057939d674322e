"""The report from the sample's ledger shows exactly what was reported for 10 November 2020 to 14 April 2022."""

from __future__ import annotations

import csv
import re
from dataclasses import asdict

import pytest
from made_records import SAMPLE, SPAN, WORDS, sample_book
from markupsafe import escape

from survey.exports.situation import render_markdown, render_page
from survey.ledger.schedule import Plans
from survey.ledger.situation import situation


@pytest.fixture(scope="module")
def report():
    return situation(sample_book(), WORDS, SPAN, Plans())


@pytest.fixture(scope="module")
def markdown(report):
    return render_markdown(asdict(report))


@pytest.fixture(scope="module")
def plain(markdown):
    """The report without the numbers of its notes."""
    return re.sub(r"\[\^\d+\](?!:)", "", markdown)


@pytest.mark.parametrize(
    "sentence",
    [
        "ANAMA: 8,372.9 ha and 30,572 items to date; 506.4 ha and 595 items in 1–14 April 2022.",
        "Ministry of Defense: 15,026 ha and 17,635 items to date; 492.06 ha and 71 UXO in 1–14 April 2022.",
        "Ministry of Emergency Situations: at least 100 ha and 4,097 items to date.",
        "State Border Service: 775 ha and 3,102 items to date; about 69 ha and 38 items in 1–14 April 2022.",
        "Clearance reported to date, as of 14 April 2022: at least 24,273.9 ha and 55,406 items (4 agencies).",
        "18,000 ha analysed by aerial survey in 5 districts (Fuzuli, Gubadli, Jabrayil, Tartar, Zangilan): looked at, "
        "not cleared, and not added to it.",
        "19 projects completed.",
        "14 projects under way.",
        "13 machines (MEMATT) expected by 30 April 2022, ANAMA.",
        "What remains is not known: the report was made without a survey.",
        "No figure for the period from: Ministry of Emergency Situations.",
    ],
)
def test_the_reported_figures_stand_there(plain, sentence):
    assert sentence in plain


@pytest.mark.parametrize(
    "row",
    [
        "| ANAMA | not stated | 10 November 2020 to 14 April 2022 | 8,372.9 ha | 30,572 |  | 3.651 |",
        "| Ministry of Emergency Situations | Aghdam, Fuzuli | to 13 April 2022 | at least 100 ha | 4,097 |  | "
        "at most 40.97 |",
        "| All agencies |  |  | at least 24,273.9 ha | 55,406 |  | at most 2.283 |",
        "| All agencies |  |  | about 1,067.46 ha | 704 | 71 UXO, 633 unspecified | about 0.66 |",
    ],
)
def test_the_tables_hold_them_by_agency_and_district(plain, row):
    assert row in plain


def test_what_was_looked_at_is_in_no_sum(plain):
    for number in ("42,273.9", "19,067", "18,506.4"):
        assert number not in plain


def test_two_reports_of_one_accident_stand_side_by_side(plain):
    assert "people hurt: civilians 1 to 2, service people 1 (sources disagree)" in plain
    assert plain.count("hurt according to") == 2


def test_every_figure_leads_to_a_record_and_its_source(report, markdown):
    sources = {
        row["record_id"]: row["source"] for row in csv.DictReader(SAMPLE.read_text(encoding="utf-8").splitlines())
    }
    notes = {note.number: note.text for note in report.notes}
    for text in notes.values():
        identity = re.match(r"Record (\S+) ", text)
        assert identity is not None
        assert sources[identity[1]] in text
    cells = [
        cell
        for section in report.sections
        for table in section.tables
        for row in (*table.rows, *([table.total] if table.total else []))
        for cell in row[table.text_columns :]
    ]
    figures = [cell for cell in cells if re.search(r"\d", cell.text) and "unspecified" not in cell.text]
    assert len(figures) > 30
    for cell in figures:
        assert cell.notes or cell.text == "71 UXO", cell
        assert set(cell.notes) <= set(notes)
    for number in re.findall(r"\[\^(\d+)\](?!:)", markdown):
        assert f"[^{number}]: " in markdown


def test_every_reported_number_is_cited_where_it_stands(report):
    lines = [line for section in report.sections for line in section.lines if re.search(r"\d", line.text)]
    assert all(line.notes for line in lines)


def test_page_and_markdown_say_the_same(report, markdown):
    page = render_page(asdict(report))
    for section in report.sections:
        for line in section.lines:
            assert escape(line.text) in page
    assert page.count("<svg") == 1
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(?!#)", page)


def test_another_period_shows_no_figure_of_this_one():
    earlier = situation(sample_book(), WORDS, (SPAN[0].replace(month=3), SPAN[0].replace(month=3, day=31)), Plans())
    text = render_markdown(asdict(earlier))
    assert "506.4" not in text
    assert "8,372.9" not in text, "a figure to 14 April says nothing of March"
    assert "18,000 ha analysed by aerial survey" in text


def test_the_trend_draws_what_states_since_when(report):
    drawn = {(one.agency, one.basis): round(one.per_day, 1) for one in report.trend}
    assert drawn == {
        ("ANAMA", "cumulative"): 16.1,
        ("ANAMA", "period"): 36.2,
        ("Ministry of Defense", "period"): 35.1,
        ("State Border Service", "cumulative"): 1.5,
        ("State Border Service", "period"): 5.3,
    }
