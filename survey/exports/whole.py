"""A file appears under its final name only when it is whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from survey.errors import OutputError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary name in the same folder; on success sync it to disk and rename it to ``path``.

    On failure the temporary file goes, and what stood at ``path`` stays as it was.

    Raises
    ------
    OutputError
        The folder cannot be written to, or there is no space.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=f".partial{path.suffix}", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise OutputError(_why(path, error)) from error
    partial = Path(name)
    try:
        yield partial
        # mkstemp makes private files; an output is as readable as the user's other files.
        mask = os.umask(0)
        os.umask(mask)
        partial.chmod(0o666 & ~mask)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(_why(path, error)) from error
    finally:
        for left in (partial, *(partial.with_name(partial.name + end) for end in ("-journal", "-wal", "-shm"))):
            left.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file with line feeds as line ends, whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system knows how."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _why(path: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{path} cannot be written: {reason}. Free space, or choose an output folder you may write to."
