"""Checksums that came with the imagery: an image that differs from its own is not surveyed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from survey.errors import ImageryError, JobError
from survey.imagery.trust import is_remote

_LINE = re.compile(r"^([0-9a-fA-F]{64}) [ *](.+)$")


def read_checksums(path: Path | None) -> dict[Path, str]:
    """Read a list as ``sha256sum`` writes it: SHA-256 by file, names relative to the list's folder.

    Raises
    ------
    JobError
    """
    if path is None:
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(
            f"[imagery] checksums {path} cannot be read ({error}). Name a list that sha256sum wrote."
        ) from error
    known: dict[Path, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match is None or "\0" in line:
            raise JobError(
                f"[imagery] checksums {path}, line {number}: not a SHA-256 and a file name. Write the list with "
                "`sha256sum *.tif`."
            )
        known[(path.parent / match[2]).resolve()] = match[1].lower()
    return known


def refuse_changed(path: str, known: Mapping[Path, str]) -> None:
    """Refuse a local image whose bytes are not those its checksum was taken of; one without a checksum passes.

    Raises
    ------
    ImageryError
    """
    if not known or is_remote(path):
        return
    wanted = known.get(Path(path).resolve())
    if wanted is None:
        return
    try:
        with Path(path).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageryError(f"{path} cannot be read ({error.strerror}). Leave it out, or copy it again.") from error
    if found != wanted:
        raise ImageryError(
            f"{path} differs from its checksum (SHA-256 {found[:12]}…, listed {wanted[:12]}…): it was damaged or "
            "changed since. Copy it again from its source, or leave it out."
        )
