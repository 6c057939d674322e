"""Where every number comes from: the software's version, and digests of settings, imagery and model."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import survey
from survey.errors import OutputError

_LIBRARIES = (
    "numpy",
    "scipy",
    "pandas",
    "shapely",
    "geopandas",
    "pyproj",
    "rasterio",
    "pyogrio",
    "opencv-python-headless",
    "scikit-learn",
    "skops",
)
_WHOLE_BYTES = 64 * 2**20
"""Files up to this size are digested whole, larger ones by samples."""
_SAMPLE_BYTES = 2**18
_SAMPLES = 64


def software_version() -> str:
    """Version of this software."""
    return survey.__version__


def versions() -> dict[str, str]:
    """Versions of this software, of Python and of the libraries that the figures depend on."""
    found = {"survey": software_version(), "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def canonical_json(value: Any) -> str:
    """Write a value as JSON that is the same for equal values: sorted keys, no spaces, UTC times.

    Models, mappings, sequences, sets (sorted), paths (with ``/``), times and enumerations are understood.

    Raises
    ------
    TypeError
        Something else is inside.
    ValueError
        A number is not finite.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value, as 64 hexadecimal digits.

    Examples
    --------
    >>> digest({"a": 1, "b": (2, 3)}) == digest({"b": [2, 3], "a": 1})
    True
    """
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def file_identity(path: Path) -> dict[str, Any]:
    """Name, size and SHA-256 of a file: what makes it the same file in another folder.

    Files over 64 MiB are digested by their size, first and last bytes and 64 samples between, so that
    terabytes of imagery need no reading; a change between the samples that keeps the size goes unseen.

    Raises
    ------
    OutputError
        The file cannot be read.
    """
    try:
        size = path.stat().st_size
        content = hashlib.sha256()
        with path.open("rb") as file:
            if size <= _WHOLE_BYTES:
                for chunk in iter(lambda: file.read(2**20), b""):
                    content.update(chunk)
            else:
                content.update(str(size).encode("ascii"))
                for number in range(_SAMPLES + 1):
                    file.seek((size - _SAMPLE_BYTES) * number // _SAMPLES)
                    content.update(file.read(_SAMPLE_BYTES))
    except OSError as error:
        raise OutputError(f"{path} cannot be read to note where the figures come from: {error.strerror}.") from error
    return {"name": path.name, "bytes": size, "sha256": content.hexdigest()}


def imagery_digest(identities: Iterable[Mapping[str, Any]]) -> str:
    """Digest of the imagery of a job, whatever the order it is named in and the folder it lies in."""
    return digest(sorted(canonical_json(identity) for identity in identities))


def run_id(settings_digest: str, imagery_digest: str, model_digest: str) -> str:
    """Digest of settings, imagery and model, as 16 hexadecimal digits: equal inputs, equal id."""
    return digest({"settings": settings_digest, "imagery": imagery_digest, "model": model_digest})[:16]


def run_record(
    ids: Mapping[str, str],
    times: tuple[datetime, datetime],
    settings: Any,
    imagery: Iterable[Mapping[str, Any]],
    **more: Any,
) -> dict[str, Any]:
    """Return the content of ``run.json``: provenance and totals.

    Parameters
    ----------
    ids : mapping of str
        ``run_id``, ``settings_digest``, ``imagery_digest``, ``model_version`` ...
    times : tuple of datetime
        Start and end of the run.
    settings : model or mapping
        As they were in force, defaults included.
    imagery : iterable of mapping
        One per image: ``path`` (absolute, or relative to the output folder), and what is known of it
        (``name``, ``bytes``, ``sha256``, ``gsd_cm``, ``crs``, ``status``, ``reason``, ``acquired_at``).
    more
        ``model`` (its card), ``totals``, ``districts``, ``problems``, ``notes`` (sentences) ...
    """
    started, finished = times
    return {
        "format": "survey-run",
        "protocol": 1,
        **ids,
        "software_version": software_version(),
        "versions": versions(),
        "started_at": started,
        "finished_at": finished,
        "seconds": (finished - started).total_seconds(),
        "settings": settings,
        "imagery": list(imagery),
        "disclaimer": DISCLAIMER,
        **more,
    }


DISCLAIMER = (
    "A detection is an indication, not evidence, until a person has verified it. Ground where nothing was detected "
    "is not free of explosive hazards: what the imagery could not show is counted apart, as not assessable or not "
    "analysed. Hazard areas and methods are proposals to the mine action authority, which alone decides."
)
"""Said wherever results are shown."""


def plain(value: Any) -> Any:
    """Return a value as JSON has it: models, tables of values, paths, times and sets turned into plain ones."""
    return _plain(value)


def _plain(value: Any) -> Any:
    if value is None or (isinstance(value, (str, bool, int)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no place in JSON; leave the value out.")
        return value
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(one) for one in value), key=canonical_json)
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "item"):  # numpy scalars
        return _plain(value.item())
    raise TypeError(f"{type(value).__name__} has no place in JSON.")
