"""One writer at a time in a folder: a lock that the system lets go of when the process ends, however it ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from survey.errors import MemoryFolderError, OutputError

_NAME = ".lock"
_POLL_S = 0.2


@contextmanager
def only_writer(folder: Path, wait_s: float = 60.0) -> Iterator[None]:
    """Hold a folder's lock; wait for another writer, but not for ever.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    wait_s : float
        Seconds after which another writer is not waited for any longer.

    Raises
    ------
    MemoryFolderError
        Another process still writes into the folder.
    OutputError
        The folder cannot be written to.
    """
    path = folder / _NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+", encoding="ascii")
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written to ({error.strerror}). Mend its permissions, or name another folder."
        ) from error
    with handle:
        until = time.monotonic() + wait_s
        while not _locked(handle):
            if time.monotonic() >= until:
                handle.seek(0)
                owner = handle.read().strip() or "unknown"
                raise MemoryFolderError(
                    f"Another process ({owner}) has been writing into {folder} for {wait_s:.0f} s. Wait for it to end, "
                    "then run the same command again; nothing of yours was written."
                )
            time.sleep(_POLL_S)
        # The file stays: removing it would let a third process lock a name that is no more.
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _locked(handle: IO[str]) -> bool:
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
