"""What goes wrong with a journal, in one sentence each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from survey.errors import JournalError, OutputError

_DAMAGE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)
"""What reading raises of values that nobody wrote: SQLite keeps what a damaged file holds, whatever its kind."""


@contextmanager
def journal_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite raises, and what comes of values that nobody wrote, into one sentence.

    Raises
    ------
    JournalError
        The journal is damaged.
    OutputError
        It cannot be written.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if any(word in str(error) for word in ("full", "readonly", "disk I/O", "unable to open")):
            raise OutputError(
                f"{path} cannot be written ({error}). Free space or mend the permissions, then run again: what is "
                "done stays done."
            ) from error
        raise JournalError(f"{path} cannot be used ({error}). Start over with --restart.") from error
    except (sqlite3.DatabaseError, *_DAMAGE) as error:
        raise JournalError(
            f"{path} is damaged ({error}). Start over with --restart; the damaged file is kept aside."
        ) from error
