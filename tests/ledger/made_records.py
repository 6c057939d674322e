"""Records for tests, made from a few words."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import shapely

from survey.ledger.book import Book, open_book, refuse
from survey.ledger.fields import Row
from survey.ledger.reading import read_rows
from survey.ledger.vocabulary import read_vocabulary

WORDS = read_vocabulary()
SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "ledger.csv"
SPAN = (date(2022, 4, 1), date(2022, 4, 14))
SOURCE = {"source": "Weekly report", "source_date": "2022-04-20"}


def work(**values: str) -> dict[str, str]:
    """Return an activity: clearance by ANAMA of 10 ha in 1-14 April 2022, but for what is given."""
    base = {
        "kind": "activity", "agency": "ANAMA", "basis": "period", "date_from": "2022-04-01", "date_to": "2022-04-14",
        "activity": "clearance", "area": "10", "unit": "ha", **SOURCE,
    }  # fmt: skip
    return {key: value for key, value in {**base, **values}.items() if value}


def rows(*records: dict[str, str]) -> list[Row]:
    """Return rows; a value ``geometry`` is WKT."""
    made = []
    for number, values in enumerate(records, start=2):
        shape = shapely.from_wkt(values["geometry"]) if "geometry" in values else None
        kept = {key: value for key, value in values.items() if key != "geometry"}
        made.append(Row(number, kept, shape, "made.csv"))
    return made


def book(*records: dict[str, str]) -> Book:
    """Return a ledger in order."""
    made, problems = open_book(rows(*records), WORDS)
    refuse(problems, "made.csv", "refused.")
    return made


def problems(*records: dict[str, str]) -> list[tuple[int, str]]:
    """Return row and column of everything that is wrong."""
    return [(one.row, one.column) for one in sorted(open_book(rows(*records), WORDS)[1])]


def sample_book() -> Book:
    """Return the sample's ledger."""
    made, found = open_book(read_rows(SAMPLE)[0], WORDS)
    assert not found
    return made
