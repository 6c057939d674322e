"""Names of districts in all their spellings, from ``places.toml``; which two names are one place."""

from __future__ import annotations

import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import resources

_LETTERS = str.maketrans({"\u0259": "e", "\u018f": "E", "\u0131": "i"})
"""Azerbaijani letters that Unicode does not decompose: schwa and dotless i."""


@dataclass(frozen=True)
class Place:
    """A district as reports name it.

    Attributes
    ----------
    name : str
    spellings : tuple of str
        Others that mean the same place.
    most_ha : float or None
        No record may claim more hectares there; None where nothing is known.
    bounds : (west, south, east, north) or None
        Rough, degrees on WGS 84.
    """

    name: str
    spellings: tuple[str, ...] = ()
    most_ha: float | None = None
    bounds: tuple[float, float, float, float] | None = None


@cache
def places() -> tuple[Place, ...]:
    """Return the districts of the packaged list."""
    text = resources.files("survey").joinpath("places.toml").read_text(encoding="utf-8")
    return tuple(
        Place(one["name"], tuple(one["spellings"]), float(one["most_ha"]), tuple(one["bounds"]))
        for one in tomllib.loads(text)["district"]
    )


@cache
def known_spellings() -> dict[str, tuple[str, ...]]:
    """Return all spellings of a district by any of them, :func:`folded`."""
    groups = [(place.name, *place.spellings) for place in places()]
    return {folded(one): group for group in groups for one in group}


def folded(name: str) -> str:
    """Return a name without case, accents and spaces, so that spellings can be compared.

    Examples
    --------
    >>> folded("Zəngilan"), folded("  zengilan ")
    ('zengilan', 'zengilan')
    """
    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    return "".join(c for c in plain.casefold() if c.isalnum() and not unicodedata.combining(c))
