"""The words a record may use, and the many ways people write them."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from survey.errors import JobError
from survey.places import Place, folded, places

Stage = Literal["looked", "survey", "worked", "spot"]


class Ledger(BaseModel):
    """Settings of the clearance ledger: job table ``[ledger]``.

    Attributes
    ----------
    path : Path, optional
        The ledger, CSV or GeoPackage. Its records give the status of hazard areas; without it every area is open.
    names : Path, optional
        Further agencies and districts, as for :func:`read_vocabulary`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = None
    names: Path | None = None


@dataclass(frozen=True)
class Words:
    """A closed list of words with other spellings of each."""

    what: str
    spellings: Mapping[str, str] = field(repr=False)
    """The word by every folded spelling."""

    @classmethod
    def of(cls, what: str, groups: Mapping[str, Iterable[str]]) -> Words:
        """Return the words that are the keys of ``groups``, each with its spellings."""
        known: dict[str, str] = {}
        for word, others in groups.items():
            for one in (word, *others):
                known[folded(one)] = word
        return cls(what, known)

    @property
    def words(self) -> list[str]:
        """The words, without their other spellings."""
        return list(dict.fromkeys(self.spellings.values()))

    def get(self, text: str) -> str | None:
        """Return the word that ``text`` is a spelling of, or None."""
        return self.spellings.get(folded(text))

    def refusal(self, text: str) -> str:
        """Say that ``text`` is not known, and what comes nearest."""
        near = difflib.get_close_matches(folded(text), self.spellings, n=1, cutoff=0.6)
        hint = f" Did you mean {self.spellings[near[0]]!r}?" if near else ""
        return f"{text!r} is no {self.what} that is known.{hint} Known: {', '.join(self.words)}."


@dataclass(frozen=True)
class Vocabulary:
    """Every closed list of the ledger.

    Attributes
    ----------
    agency, activity, unit, qualifier, item, asset, kind, basis, decision, district : Words
    state : dict of Words
        By kind of record.
    stage : dict of str
        What an activity can say about ground: looked, survey, worked or spot.
    label : dict of str
        Name of an activity as a report shows it.
    square_metres : dict of Decimal
        By unit.
    family : dict of str
        Family of hazard by kind of item, where both are the same thing.
    places : dict of Place
        By name.
    """

    agency: Words
    activity: Words
    unit: Words
    qualifier: Words
    item: Words
    asset: Words
    kind: Words
    basis: Words
    decision: Words
    district: Words
    state: Mapping[str, Words]
    stage: Mapping[str, Stage]
    label: Mapping[str, str]
    square_metres: Mapping[str, Decimal]
    family: Mapping[str, str]
    places: Mapping[str, Place]

    def with_places(self, others: Iterable[Place]) -> Vocabulary:
        """Return the vocabulary with other districts before its own; what goes by the same name is one place."""
        merged: dict[str, Place] = {}
        for one in (*others, *self.places.values()):
            mine = {folded(s) for s in (one.name, *one.spellings)}
            same = next((n for n, p in merged.items() if mine & {folded(s) for s in (p.name, *p.spellings)}), None)
            if same is None:
                merged[one.name] = one
                continue
            known = merged[same]
            more = tuple(s for s in (one.name, *one.spellings) if s != same and s not in known.spellings)
            merged[same] = replace(known, spellings=(*known.spellings, *more))
        return replace(self, places=merged, district=_districts(merged.values()))


class _Named(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    spellings: tuple[str, ...] = ()


class _District(_Named):
    most_ha: float | None = Field(default=None, gt=0.0)
    bounds: tuple[float, float, float, float] | None = None


class _Names(BaseModel):
    """A file of further names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agency: tuple[_Named, ...] = ()
    district: tuple[_District, ...] = ()


def read_vocabulary(names: Path | None = None) -> Vocabulary:
    """Return the packaged vocabulary, with the agencies and districts of a file added.

    Parameters
    ----------
    names : Path, optional
        TOML with ``[[agency]]`` (name, spellings) and ``[[district]]`` (name, spellings, most_ha, bounds).

    Raises
    ------
    JobError
        The file cannot be read or has a key that is unknown.
    """
    if names is None:
        return _packaged()
    try:
        more = _Names.model_validate(tomllib.loads(names.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise JobError(f"The names in {names} cannot be read: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise JobError(f"The names in {names} are not usable at {place}: {first['msg']}.") from error
    base = _packaged()
    agencies = {one.name: one.spellings for one in more.agency}
    known = {word: [s for s, w in base.agency.spellings.items() if w == word] for word in base.agency.words}
    grown = replace(base, agency=Words.of("agency", {**known, **agencies}))
    return grown.with_places(Place(o.name, o.spellings, o.most_ha, o.bounds) for o in more.district)


@cache
def _packaged() -> Vocabulary:
    text = resources.files("survey.ledger").joinpath("vocabulary.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)
    activities, units = table["activity"], table["unit"]
    by_name = {place.name: place for place in places()}
    return Vocabulary(
        agency=Words.of("agency", {one["name"]: one["spellings"] for one in table["agency"]}),
        activity=Words.of("activity", {n: (o["label"], *o["spellings"]) for n, o in activities.items()}),
        unit=Words.of("unit", {name: one["spellings"] for name, one in units.items()}),
        qualifier=Words.of("qualifier", table["qualifier"]),
        item=Words.of("kind of item", table["item"]),
        asset=Words.of("kind of asset", table["asset"]),
        kind=Words.of("kind of record", table["kind"]),
        basis=Words.of("basis", table["basis"]),
        decision=Words.of("decision", table["decision"]),
        district=_districts(by_name.values()),
        state={kind: Words.of("state", words) for kind, words in table["state"].items()},
        stage={name: one["stage"] for name, one in activities.items()},
        label={name: one["label"] for name, one in activities.items()},
        square_metres={name: Decimal(one["square_metres"]) for name, one in units.items()},
        family=table["family"],
        places=by_name,
    )


def _districts(known: Iterable[Place]) -> Words:
    return Words.of("district", {place.name: place.spellings for place in known})
