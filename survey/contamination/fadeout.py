"""How far a hazard area reaches beyond its evidence: a table that an authority can replace."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from survey.contamination.plane import Floats
from survey.errors import JobError
from survey.hazards import FAMILIES

FADEOUT_PATTERNS = ("row", "row_end", "scatter", "single")


@dataclass(frozen=True)
class Fadeout:
    """Distances by family and pattern, metres, and where they come from."""

    metres: pd.DataFrame
    source: str

    def distance(self, family: npt.ArrayLike, pattern: npt.ArrayLike) -> Floats:
        """Return the distance for each pair of family and pattern, metres."""
        rows = pd.Index(self.metres.index).get_indexer(pd.Index(np.asarray(family, dtype=object)))
        columns = pd.Index(self.metres.columns).get_indexer(pd.Index(np.asarray(pattern, dtype=object)))
        return np.asarray(self.metres.to_numpy()[rows, columns], dtype=np.float64)


def read_fadeout(path: Path | None = None) -> Fadeout:
    """Return the packaged table, with the families of ``path`` in place of its own.

    Raises
    ------
    JobError
        The file cannot be read, or names an unknown family or pattern, or a distance that is none.
    """
    packaged = resources.files("survey.contamination").joinpath("fadeout.toml").read_text(encoding="utf-8")
    table = tomllib.loads(packaged)
    families, source = dict(table["family"]), str(table["source"])
    if path is not None:
        own = _read(path)
        source = str(own.get("source", f"{path.name}, no source given"))
        families |= own.get("family", {})
    rows = {family: _row(family, distances, path) for family, distances in families.items()}
    metres = pd.DataFrame.from_dict(rows, orient="index", columns=list(FADEOUT_PATTERNS))
    return Fadeout(metres.reindex([f for f in FAMILIES if f in rows]), source)


def _read(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise JobError(f"The fade-out table {path} cannot be read: {error}.") from error
    for key in table:
        if key not in ("protocol", "source", "family"):
            raise JobError(f"{path}: unknown key {key!r}; it may hold protocol, source and [family.NAME] tables.")
    return table


def _row(family: str, distances: dict[str, float], path: Path | None) -> list[float]:
    where = f"{path or 'fadeout.toml'}: [family.{family}]"
    if family not in FAMILIES:
        near = difflib.get_close_matches(family, FAMILIES, n=1, cutoff=0.0)[0]
        raise JobError(f"{where}: there is no family {family!r}. Did you mean {near!r}?")
    strange = set(distances) ^ set(FADEOUT_PATTERNS)
    if strange:
        raise JobError(f"{where} must give {', '.join(FADEOUT_PATTERNS)}, nothing else (see {sorted(strange)[0]!r}).")
    for pattern, metres in distances.items():
        if isinstance(metres, bool) or not isinstance(metres, int | float) or not 0.0 <= metres <= 2000.0:
            raise JobError(f"{where}: {pattern} = {metres!r} is not a distance of 0 to 2000 metres.")
    return [float(distances[pattern]) for pattern in FADEOUT_PATTERNS]
