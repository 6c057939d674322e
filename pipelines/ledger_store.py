"""The ledger's file: read, and added to under a lock, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.engine.lock import release_lock, take_lock
from survey.errors import JobError, LedgerError
from survey.exports import geopackage
from survey.exports.whole import write_text
from survey.layers import LEDGER
from survey.ledger.book import Book, open_book, refuse
from survey.ledger.fields import Row
from survey.ledger.reading import csv_of, identity, read_rows, table_of
from survey.ledger.vocabulary import Vocabulary


@dataclass(frozen=True)
class Grounds:
    """What records are checked against: words, and the ground of districts by name where it is known (EPSG:4326)."""

    words: Vocabulary
    districts: Mapping[str, Any]


def read_book(path: Path, grounds: Grounds) -> Book:
    """Return the ledger of a file, checked.

    Raises
    ------
    LedgerError
        It cannot be read, or a record in it is wrong, by row and column.
    """
    rows, problems = read_rows(path)
    book, more = open_book(rows, grounds.words, grounds.districts)
    refuse([*problems, *more], str(path), "the ledger cannot be used as it stands.")
    return book


def check_batch(batch: Path, ledger: Path, grounds: Grounds) -> tuple[list[Row], list[Row]]:
    """Return the rows of the ledger and those of a batch that fits it.

    Raises
    ------
    LedgerError
        Something is wrong in the batch, by row and column; or the ledger itself cannot be used.
    """
    kept: list[Row] = []
    if ledger.exists():
        kept = [record.row for record in read_book(ledger, grounds).records]
    rows, problems = read_rows(batch)
    if not rows and not problems:
        raise LedgerError(f"{batch} holds no record; nothing was stored. Write one record a row under the header.")
    # The ledger alone is in order, so whatever is wrong now is wrong in the batch.
    _, more = open_book([*kept, *rows], grounds.words, grounds.districts)
    refuse([*problems, *more], str(batch), "nothing was stored.")
    return kept, rows


def add(batch: Path, ledger: Path, grounds: Grounds) -> Sequence[Row]:
    """Add a batch of records to a ledger, all of them or none, and return them as they were stored.

    What stood in the ledger before stands there afterwards, unchanged and in the same order.

    Raises
    ------
    LedgerError
        Something is wrong in the batch, or another program is adding to the ledger.
    OutputError
        The file cannot be written.
    """
    if ledger.suffix.lower() not in (".csv", ".gpkg"):
        raise JobError(f"{ledger} is no ledger: its name ends in .csv or .gpkg. Name such a file.")
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with _alone(ledger):
        kept, rows = check_batch(batch, ledger, grounds)
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        stored = [
            replace(row, values={**row.values, "record_id": identity(row), "recorded_at": moment}) for row in rows
        ]
        named = [replace(row, values={**row.values, "record_id": identity(row)}) for row in kept]
        if ledger.suffix.lower() == ".csv":
            write_text(ledger, csv_of([*named, *stored]))
        else:
            geopackage.write_plain(ledger, {LEDGER: table_of([*named, *stored])})
    return stored


@contextmanager
def _alone(ledger: Path) -> Iterator[None]:
    """Hold the ledger's lock, so that of two programs one is refused and nothing is lost."""
    lock = ledger.with_name(f".{ledger.name}.lock")
    handle, owner = take_lock(lock)
    if handle is None:
        raise LedgerError(
            f"Another program (process {owner}) is adding to {ledger}; nothing was stored. Run the command again when "
            "it is done."
        )
    try:
        yield
    finally:
        release_lock(handle, lock)
