"""The situation report in a real browser, from disk, with the network off."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from pathlib import Path

import pytest

from survey.exports.situation import render_page
from survey.ledger.book import open_book
from survey.ledger.reading import read_rows
from survey.ledger.schedule import Plans
from survey.ledger.situation import situation
from survey.ledger.vocabulary import read_vocabulary
from tests.real.browser import PROGRAM, Browser

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(PROGRAM is None, reason="needs Chromium: apt-get install chromium"),
]
SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "ledger.csv"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("situation")
    words = read_vocabulary()
    book, _ = open_book(read_rows(SAMPLE)[0], words)
    report = asdict(situation(book, words, (date(2022, 4, 1), date(2022, 4, 14)), Plans()))
    (folder / "situation.html").write_text(render_page(report), encoding="utf-8")
    browser = Browser(folder / "profile")
    browser.open(folder / "situation.html")
    yield browser
    browser.close()


def test_no_error_and_no_request(page):
    assert page.trouble == []
    assert all(address.startswith("file:") for address in page.requests)


def test_every_small_number_leads_to_its_note(page):
    dead = "[...document.querySelectorAll('sup a')].filter(a => !document.querySelector(a.getAttribute('href'))).length"
    assert page.ask("document.querySelectorAll('sup a').length") > 40
    assert page.ask(dead) == 0


def test_it_fits_a_desk_and_a_telephone(page):
    for width in (1280, 390):
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        page.wait()
        assert page.ask("document.documentElement.scrollWidth") <= width
    assert page.ask("document.querySelectorAll('#trend svg line[stroke-width]').length") >= 5
