"""What the situation report says where sources disagree, where records overlap, and where there is nothing to say."""

from __future__ import annotations

from datetime import date

import pytest
from made_records import SPAN, WORDS, book, work

from survey.errors import LedgerError
from survey.ledger.schedule import Plans
from survey.ledger.situation import situation


def said(*records):
    """Every sentence of the report."""
    report = situation(book(*records), WORDS, SPAN, Plans())
    return [line.text for section in report.sections for line in section.lines]


def test_sources_that_disagree_are_both_shown_and_the_figure_is_a_range():
    lines = said(work(source="Bulletin A", area="10"), work(source="Bulletin B", area="12"))
    assert any("10 to 12 ha" in line for line in lines), lines
    for source, area in (("Bulletin A", "10"), ("Bulletin B", "12")):
        assert f"ANAMA, 1–14 April 2022: {area} ha according to {source}." in lines


def test_records_that_overlap_are_told():
    lines = said(work(date_to="2022-04-08", area="5"), work(date_from="2022-04-05", area="7"))
    assert any("overlap and cannot be told apart" in line for line in lines)


def test_a_reversed_period_is_refused():
    with pytest.raises(LedgerError, match="Swap the two days"):
        situation(book(work()), WORDS, (date(2022, 4, 14), date(2022, 4, 1)), Plans())
