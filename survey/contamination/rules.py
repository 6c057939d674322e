"""The rule table of the methodology: read, checked, and asked which rules an area meets."""

from __future__ import annotations

import difflib
import hashlib
import itertools
import re
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from survey.contamination.plane import Bools
from survey.errors import JobError
from survey.layers import DENSITY_CLASSES, LAND_CLASSES, PATTERNS

FIELDS: dict[str, str] = {
    "area_m2": "area on the ground, m2",
    "n_objects": "objects inside",
    "n_items": "items and unknown objects inside",
    "n_unverified": "objects no person has confirmed",
    "n_indicators": "indicators inside",
    "n_records": "evidence inside that did not come from imagery",
    "n_mines": "mines inside",
    "n_at": "anti-tank mines inside",
    "n_tripwire": "fragmentation and directional mines inside",
    "n_cm": "submunitions inside",
    "n_uxo": "unexploded and abandoned ordnance inside",
    "n_ied": "suspected improvised devices inside",
    "n_unknown": "objects of unknown class inside",
    "n_rows": "mine rows recognised",
    "density_per_ha": "expected items over max(area, 1 ha)",
    "observed_fraction": "share of the area that was analysed",
    "detectability": "share of items, of families that the imagery can show, that could have been seen",
    "nearest_item_m": "distance to the nearest item of another area, m",
    "slope_p90_deg": "90th percentile of the slope, degrees",
    "vegetation_p90": "90th percentile of the vegetation cover",
    "air_temperature_c": "air temperature planned for, degrees Celsius",
    "density_class": "class of the density",
    "pattern": "arrangement of the objects",
    "land_class": "what the evidence supports",
    "land_cover": "kinds of ground that limit methods",
    "provisional": "whether it rests on unverified objects",
    "machine_rated": "whether a machine is rated for the hazard and the slope",
}
"""What conditions may ask about, and what it means."""

LAND_COVERS = ("rock", "wetland", "ruin", "cemetery", "orchard", "built_up", "metal")

_WORDS: dict[str, tuple[str, ...]] = {
    "density_class": DENSITY_CLASSES,
    "pattern": PATTERNS,
    "land_class": LAND_CLASSES,
    "land_cover": LAND_COVERS,
    "provisional": ("false", "true"),
    "machine_rated": ("false", "true"),
}
_NULLABLE = ("slope_p90_deg", "vegetation_p90", "air_temperature_c", "nearest_item_m")
_KINDS = ("desk", "survey", "mechanical", "dogs", "manual", "eod")
_CONDITION = re.compile(r"^\s*(\w+)\s*(==|!=|<=|>=|<|>|\bhas\b|\bis\b)\s*(\S+)\s*$")
_PART_OF = (
    ("n_at", "n_mines"),
    ("n_tripwire", "n_mines"),
    *((f"n_{kind}", "n_items") for kind in ("mines", "at", "tripwire", "cm", "uxo", "ied", "unknown")),
    *((f"n_{kind}", "n_objects") for kind in ("items", "indicators", "unverified", "mines")),
)
"""Counts that are part of others: no case has more of the part."""

_MOST_CASES = 300_000
"""Cases tried when it is asked whether a rule can ever match."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Method(_Strict):
    """A method: its name for people, and its kind."""

    label: str
    kind: Literal["desk", "survey", "mechanical", "dogs", "manual", "eod"]


class Rule(_Strict):
    """A row of the table; which keys it may hold depends on where it stands."""

    id: str
    all: tuple[str, ...] = ()
    any: tuple[str, ...] = ()
    present: str | None = None
    absent: str | None = None
    methods: tuple[str, ...] = ()
    primary: str | None = None
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    replace: dict[str, str] = {}
    reason: str
    source: str

    @property
    def always(self) -> bool:
        """Whether it has no condition."""
        return not (self.all or self.any)


class _File(_Strict):
    protocol: Literal[1]
    limits: dict[str, float]
    method: dict[str, Method]
    gate: tuple[Rule, ...] = ()
    rule: tuple[Rule, ...] = Field(min_length=1)
    modifier: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Condition:
    """A comparison of one field with a value."""

    field: str
    operator: str
    value: float | str

    def met(self, inputs: pd.DataFrame) -> Bools:
        """Return which rows meet it; a comparison with something unknown is not met."""
        values = inputs[self.field]
        if self.operator == "is":
            known = values.notna().to_numpy()
            return known if self.value == "known" else ~known
        if self.operator == "has":
            return values.fillna("").str.split(";").map(lambda words: self.value in words).to_numpy(dtype=bool)
        wanted: Any = self.value
        if self.field in ("provisional", "machine_rated"):
            left: npt.NDArray[Any] = values.to_numpy(dtype=bool)
            wanted = self.value == "true"
        elif self.field == "density_class":
            left = np.array([DENSITY_CLASSES.index(v) for v in values], dtype=np.int64)
            wanted = DENSITY_CLASSES.index(str(self.value))
        elif self.field in _WORDS:
            left = values.to_numpy(dtype=object)
        else:
            left = pd.to_numeric(values).to_numpy(dtype=np.float64)
        known = ~pd.isna(left)
        compared = {
            "==": left == wanted,
            "!=": left != wanted,
        }
        if self.operator in compared:
            return np.asarray(compared[self.operator] & known, dtype=bool)
        ordered = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
        return np.asarray(ordered[self.operator](left, wanted) & known, dtype=bool)


@dataclass(frozen=True)
class Rules:
    """A checked rule table.

    Attributes
    ----------
    version : str
        Digest of what it says, limits included.
    """

    limits: dict[str, float]
    methods: dict[str, Method]
    gates: tuple[Rule, ...]
    rules: tuple[Rule, ...]
    modifiers: tuple[Rule, ...]
    version: str

    def conditions(self, rule: Rule) -> tuple[list[Condition], list[Condition]]:
        """Return the conditions of ``all`` and of ``any``, limits put in."""
        return (
            [_parsed(text, self.limits, rule.id) for text in rule.all],
            [_parsed(text, self.limits, rule.id) for text in rule.any],
        )

    def met(self, rule: Rule, inputs: pd.DataFrame) -> Bools:
        """Return which rows of ``inputs`` (columns :data:`FIELDS`) meet a rule."""
        every, some = self.conditions(rule)
        result = np.ones(len(inputs), dtype=bool)
        for condition in every:
            result &= condition.met(inputs)
        if some:
            result &= np.logical_or.reduce([condition.met(inputs) for condition in some])
        return result


def read_rules(path: Path | None = None, limits: dict[str, float] | None = None) -> Rules:
    """Return the packaged rule table, or the one at ``path``, checked.

    Parameters
    ----------
    path : Path, optional
    limits : dict, optional
        Limits in place of the table's own.

    Raises
    ------
    JobError
        The file cannot be read; a key, field, word, limit or method is unknown; there is no default; a rule can
        never match because earlier ones take every case.
    """
    where = str(path or "methods.toml")
    packaged = resources.files("survey.contamination").joinpath("methods.toml")
    try:
        text = packaged.read_text(encoding="utf-8") if path is None else path.read_text(encoding="utf-8")
        table = _File.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise JobError(f"The rule table {where} cannot be read: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise JobError(f"The rule table {where} is not usable at {place}: {first['msg']}.") from error
    strange = sorted(set(limits or {}) - set(table.limits))
    if strange:
        raise JobError(f"{where}: there is no limit {strange[0]!r}.{_near(strange[0], table.limits)}")
    values = {**table.limits, **(limits or {})}
    content = table.model_dump_json() + repr(sorted(values.items()))
    version = hashlib.sha256(content.encode()).hexdigest()[:12]
    rules = Rules(values, table.method, table.gate, table.rule, table.modifier, version)
    _check(rules, where)
    return rules


def _near(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.0)
    return f" Did you mean {near[0]!r}?" if near else ""


def _parsed(text: str, limits: dict[str, float], where: str) -> Condition:
    """Read a condition such as ``slope_p90_deg > $mech_max_slope_deg``."""
    match = _CONDITION.match(text)
    if match is None:
        raise JobError(f"{where}: {text!r} is no condition; write for instance 'n_mines > 0' or 'land_cover has rock'.")
    field, operator, value = match.groups()
    if field not in FIELDS:
        raise JobError(f"{where}: there is no field {field!r} in {text!r}.{_near(field, FIELDS)}")
    if operator == "is":
        if value not in ("known", "unknown"):
            raise JobError(f"{where}: {text!r}: a field 'is known' or 'is unknown'.")
        return Condition(field, operator, value)
    if (operator == "has") != (field == "land_cover"):
        raise JobError(f"{where}: {text!r}: 'has' goes with land_cover, and land_cover with 'has'.")
    if field in _WORDS:
        if value not in _WORDS[field]:
            words = ", ".join(_WORDS[field])
            raise JobError(f"{where}: {text!r}: {field} may be {words}.{_near(value, _WORDS[field])}")
        if operator not in ("==", "!=", "has") and field != "density_class":
            raise JobError(f"{where}: {text!r}: {field} has no order; use == or !=.")
        return Condition(field, operator, value)
    if value.startswith("$"):
        if value[1:] not in limits:
            raise JobError(f"{where}: {text!r}: there is no limit {value[1:]!r}.{_near(value[1:], limits)}")
        return Condition(field, operator, float(limits[value[1:]]))
    try:
        return Condition(field, operator, float(value))
    except ValueError as error:
        raise JobError(f"{where}: {text!r}: {value!r} is not a number and not a $limit.") from error


def _check(rules: Rules, where: str) -> None:
    ids = [rule.id for rule in (*rules.gates, *rules.rules, *rules.modifiers)]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise JobError(f"{where}: rule {twice[0]!r} stands there twice.")
    allowed = {
        "gate": {"first"},
        "rule": {"methods", "primary"},
        "modifier": {"present", "absent", "first", "last", "drop", "replace", "primary"},
    }
    for place, group in (("gate", rules.gates), ("rule", rules.rules), ("modifier", rules.modifiers)):
        for rule in group:
            _check_rule(rules, rule, (where, place), allowed[place])
    kinds = {method.kind for method in rules.methods.values()}
    if "mechanical" in kinds and "manual" not in kinds:
        raise JobError(f"{where}: a machine needs a search after it; add a method of kind 'manual'.")
    last = rules.rules[-1]
    if not last.always:
        raise JobError(f"{where}: there is no default: the last [[rule]] ({last.id}) must have no condition.")
    _check_reachable(rules, where)


def _check_rule(rules: Rules, rule: Rule, where: tuple[str, str], allowed: set[str]) -> None:
    place = f"{where[0]}: {where[1]} {rule.id!r}"
    given = rule.model_fields_set - {"id", "all", "any", "reason", "source"}
    if given - allowed:
        holds = ", ".join(sorted(allowed))
        raise JobError(f"{place} may not hold {sorted(given - allowed)[0]!r}; a {where[1]} holds {holds}.")
    if where[1] == "rule" and not rule.methods:
        raise JobError(f"{place} names no methods.")
    if where[1] == "rule" and rule.primary is not None and rule.primary not in rule.methods:
        raise JobError(f"{place}: the primary method {rule.primary!r} is not among its methods.")
    if where[1] == "gate" and rule.always:
        raise JobError(f"{place} has no condition; it would stand in front of every area.")
    named = [*rule.methods, *rule.first, *rule.last, *rule.replace, *rule.replace.values()]
    named += [rule.primary] if rule.primary else []
    for name in named:
        if name not in rules.methods:
            raise JobError(f"{place}: there is no method {name!r}.{_near(name, rules.methods)}")
    for name in (*rule.drop, *(n for n in (rule.present, rule.absent) if n)):
        if name not in rules.methods and name not in _KINDS:
            raise JobError(f"{place}: {name!r} is neither a method nor a kind.{_near(name, [*_KINDS, *rules.methods])}")
    for text in (*rule.all, *rule.any):
        _parsed(text, rules.limits, place)


def _check_reachable(rules: Rules, where: str) -> None:
    """Refuse a rule that can never be the first to match.

    Every field is tried at, and on either side of, each value it is compared with: between those values no
    condition changes.
    """
    for number, rule in enumerate(rules.rules):
        earlier = rules.rules[:number]
        cases = _cases(rules, (*earlier, rule))
        if cases is None:
            continue
        left = rules.met(rule, cases)
        for other in earlier:
            left &= ~rules.met(other, cases)
        if not left.any():
            raise JobError(
                f"{where}: rule {rule.id!r} can never apply: its conditions contradict each other, or the rules "
                f"before it take every such case. Move it up, or remove it."
            )


def _cases(rules: Rules, group: tuple[Rule, ...]) -> pd.DataFrame | None:
    """Return every case the rules can tell apart, or None where they are too many to try."""
    values: dict[str, list[Any]] = {}
    for rule in group:
        for condition in itertools.chain(*rules.conditions(rule)):
            field = condition.field
            if field == "land_cover":
                values.setdefault(field, [""]).append(str(condition.value))
            elif field in _WORDS:
                values[field] = [w == "true" for w in _WORDS[field]] if "true" in _WORDS[field] else list(_WORDS[field])
            elif condition.operator != "is":
                v = float(condition.value)
                step = 1.0 if field.startswith("n_") else max(abs(v) * 1e-6, 1e-9)
                values.setdefault(field, []).extend(w for w in (v - step, v, v + step) if w >= 0)
            if field in _NULLABLE:
                values.setdefault(field, [1.0]).append(None)
    numbers = [f for f in values if f.startswith("n_")]
    most = max((v for f in numbers for v in values[f] if v is not None), default=0.0)
    for field in numbers:
        values[field].append(most)  # so that a part can be as many as its whole
    columns = {f: list(dict.fromkeys(v)) for f, v in values.items()}
    count = int(np.prod([len(v) for v in columns.values()])) if columns else 1
    if count > _MOST_CASES:
        return None
    table = pd.DataFrame(list(itertools.product(*columns.values())), columns=list(columns))
    for part, whole in _PART_OF:
        if part in table and whole in table:
            table = table[table[part] <= table[whole]]
    table = table.reset_index(drop=True)
    for field in FIELDS:
        if field not in table:
            table[field] = "" if field == "land_cover" else _WORDS[field][0] if field in _WORDS else 0.0
    for field in ("provisional", "machine_rated"):
        if field not in columns:
            table[field] = False
    return table
