"""The model register: a folder of immutable versions and one pointer to the champion.

``versions/NAME.survey-model`` is never changed once it is there; ``champion.json`` is replaced by one rename, so that
a kill leaves the old or the new champion; ``history.jsonl`` says who promoted what, when and why.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from survey.errors import JobError, ModelError, OutputError
from survey.memory.lock import only_writer
from survey.memory.modelfile import POINTER, VERSIONS, read_card

_SUFFIX = ".survey-model"
_HISTORY = "history.jsonl"


@dataclass(frozen=True)
class Register:
    """A model register. Every change holds its lock.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    def versions(self) -> list[str]:
        """Names of the versions, oldest first."""
        return sorted(path.name.removesuffix(_SUFFIX) for path in (self.folder / VERSIONS).glob(f"[!.]*{_SUFFIX}"))

    def path(self, version: str) -> Path:
        """File of a version.

        Raises
        ------
        JobError
            There is no such version.
        """
        known = self.versions()
        if version not in known:
            raise JobError(f"{self.folder} has no version {version!r}; it has {', '.join(known) or 'none'}.")
        return self.folder / VERSIONS / f"{version}{_SUFFIX}"

    def card(self, version: str) -> dict[str, Any]:
        """Card of a version."""
        return read_card(self.path(version))

    def champion(self) -> str | None:
        """Version that surveys use; None in an empty register.

        Raises
        ------
        ModelError
            The pointer is damaged.
        """
        try:
            return str(self._pointer()["version"])
        except FileNotFoundError:
            return None

    def history(self) -> list[dict[str, Any]]:
        """Promotions, oldest first: ``version``, ``before``, ``at``, ``by``, ``why``.

        Raises
        ------
        ModelError
            A line of it is damaged.
        """
        path = self.folder / _HISTORY
        try:
            lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
            return [_promotion(line) for line in lines if line]
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(
                f"{path} is damaged ({error}). Put it back from a copy, or move it away: champions stay, what was said "
                "of them before is gone."
            ) from error

    def next_version(self, name: str) -> str:
        """Name for a version to come: ``NAME-N``."""
        numbers = [int(found[1]) for one in self.versions() if (found := re.fullmatch(r".*-(\d+)", one))]
        return f"{name}-{max(numbers, default=0) + 1}"

    def add(self, model: Path, version: str) -> Path:
        """Take a model file into the register under a name that was free, by one rename.

        Raises
        ------
        ModelError
            The name is taken.
        OutputError
            It cannot be written.
        """
        target = self.folder / VERSIONS / f"{version}{_SUFFIX}"
        if target.exists():
            raise ModelError(f"{self.folder} has a version {version!r} already; versions are never written over.")
        try:
            with model.open("rb") as file:
                os.fsync(file.fileno())
            model.replace(target)
        except OSError as error:
            raise OutputError(f"{target} cannot be written ({error.strerror}). Nothing has changed.") from error
        return target

    def promote(self, version: str, why: str, by: str = "survey train") -> None:
        """Make a version the champion.

        Raises
        ------
        JobError
            There is no such version.
        """
        self.path(version)
        entry = {
            "version": version, "before": self.champion_or_none(),
            "at": datetime.now(UTC).isoformat(timespec="seconds"), "by": by, "why": why,
        }  # fmt: skip
        # History first: a kill between leaves a line about a promotion that did not come about, not one without a line.
        lines = [json.dumps(one) for one in (*self.history(), entry)]
        self._replace(self.folder / _HISTORY, "\n".join(lines) + "\n")
        self._replace(self.folder / POINTER, json.dumps(entry, indent=1) + "\n")

    def champion_or_none(self) -> str | None:
        """Champion, or None where the pointer is missing or damaged."""
        try:
            return self.champion()
        except ModelError:
            return None

    def rollback(self, why: str) -> str:
        """Make the champion before the present one champion again; returns its name.

        Raises
        ------
        JobError
            There was none before.
        ModelError
            The pointer or the history is damaged.
        """
        pointer = self.folder / POINTER
        before = self._pointer()["before"] if pointer.exists() else None
        if before is None:
            raise JobError(
                f"The register {self.folder} had no champion before the present one: jobs used the shipped model. Take "
                "[model] path out of the job to use it again, or choose a version with `survey models promote`."
            )
        steps = [one for one in self.history() if one["version"] == before]
        earlier = steps[-1]["before"] if steps else None
        self.promote(before, why, "survey models rollback")
        # Going back twice goes back two steps.
        entry = self._pointer() | {"before": earlier}
        self._replace(pointer, json.dumps(entry, indent=1) + "\n")
        return str(before)

    def _pointer(self) -> dict[str, Any]:
        path = self.folder / POINTER
        try:
            return _promotion(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(
                f"{path} is damaged ({error}). Put it right with `survey models promote VERSION --models DIR`."
            ) from error

    def _replace(self, path: Path, text: str) -> None:
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            mask = os.umask(0)
            os.umask(mask)
            Path(name).chmod(0o666 & ~mask)
            Path(name).replace(path)
        except OSError as error:
            raise OutputError(f"{path} cannot be written ({error.strerror}). The champion is as it was.") from error


def _promotion(text: str) -> dict[str, Any]:
    """Read a promotion; ``before`` is null where there was no champion.

    Raises
    ------
    ValueError
    """
    found = json.loads(text)
    if not isinstance(found, dict) or not isinstance(found.get("version"), str):
        raise ValueError("it names no version")
    if not isinstance(found.setdefault("before", None), str | None):
        raise ValueError("what was champion before is no text")
    return found


def open_register(folder: Path) -> Register:
    """Open a register for reading.

    Raises
    ------
    ModelError
        The folder is no register.
    """
    if not (folder / VERSIONS).is_dir():
        raise ModelError(f"{folder} is no model register. `survey train --models {folder}` makes one.")
    return Register(folder)


def make_register(folder: Path) -> Register:
    """Make an empty register, or open the one that is there.

    Raises
    ------
    ModelError
        The folder holds something else.
    """
    if not (folder / VERSIONS).is_dir():
        foreign = [one.name for one in folder.iterdir() if not one.name.startswith(".")] if folder.exists() else []
        if foreign:
            raise ModelError(f"{folder} is not empty and no model register (it holds {foreign[0]}). Name a new folder.")
        with only_writer(folder):
            (folder / VERSIONS).mkdir(exist_ok=True)
    return Register(folder)
