"""Locks that two programs cannot hold at once; the system lets go of them when a process ends, however it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from survey.errors import OutputError


def take_lock(path: Path) -> tuple[IO[str], str] | tuple[None, str]:
    """Take a lock file, without waiting.

    Returns
    -------
    handle : file or None
        To be given to :func:`release_lock`; None where another process holds the lock.
    owner : str
        Number of the process that holds it.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    while True:
        try:
            handle = path.open("a+", encoding="ascii")
        except OSError as error:
            raise OutputError(
                f"{path.parent} cannot be written to ({error.strerror}). Mend its permissions, or use another folder."
            ) from error
        if not _try_lock(handle):
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            handle.close()
            return None, owner
        # The owner before may have removed the file between opening and locking.
        if _same(handle, path):
            break
        handle.close()
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle, str(os.getpid())


def release_lock(handle: IO[str], path: Path) -> None:
    """Let go of a lock and remove its file."""
    if sys.platform != "win32":
        path.unlink(missing_ok=True)
    handle.close()
    if sys.platform == "win32":
        path.unlink(missing_ok=True)


def _same(handle: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _try_lock(handle: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
