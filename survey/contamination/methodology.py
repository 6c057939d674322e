"""A suggested method for each hazard area, with its reasons; the planner decides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from survey.contamination.rules import FIELDS, Rule, Rules, read_rules
from survey.hazards import MINE_FAMILIES

JOIN = " > "
"""What stands between the methods of a sequence."""

_COUNTS: dict[str, tuple[str, ...]] = {
    "n_mines": MINE_FAMILIES,
    "n_at": ("AT",),
    "n_tripwire": ("AP_frag", "AP_directional"),
    "n_cm": ("CM",),
    "n_uxo": ("UXO", "AXO"),
    "n_ied": ("IED_suspect",),
    "n_unknown": ("unknown",),
}
_FAR_M = 1e9
"""Distance to the nearest item of another area where there is none, metres."""


class Methodology(BaseModel):
    """Settings of the suggested methods: job table ``[methodology]``.

    Attributes
    ----------
    path : Path, optional
        The programme's rule table, in the form of the packaged ``methods.toml``.
    limits : dict
        Limits in place of the table's own.
    productivity : Path, optional
        The programme's rates, in the form of the packaged ``productivity.toml``.
    resources : Path, optional
        Teams and machines at hand: gives a calendar estimate, and only these machines are suggested.
    air_temperature_c : float, optional
        Air temperature to plan for, degrees Celsius; limits dogs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = None
    limits: dict[str, float] = {}
    productivity: Path | None = None
    resources: Path | None = None
    air_temperature_c: float | None = Field(default=None, ge=-60.0, le=60.0)


@dataclass(frozen=True)
class Advice:
    """What one combination of rules comes to."""

    primary: str
    sequence: tuple[str, ...]
    fired: tuple[str, ...]
    reasons: str


def inputs_of(areas: pd.DataFrame, settings: Methodology) -> pd.DataFrame:
    """Return what the rules ask about, one column for each of :data:`~survey.contamination.rules.FIELDS`.

    Parameters
    ----------
    areas : DataFrame
        Layer ``HAZARD_AREAS``, written or in the making.
    settings : Methodology
    """
    inputs = pd.DataFrame(index=areas.index)
    by_family = _by_family(areas)
    for name, families in _COUNTS.items():
        inputs[name] = by_family[[f for f in families if f in by_family]].sum(axis=1).astype("float64")
    inputs["machine_rated"] = areas["machines"].fillna("").astype(str).ne("").to_numpy()
    inputs["air_temperature_c"] = np.nan if settings.air_temperature_c is None else settings.air_temperature_c
    inputs["nearest_item_m"] = areas["nearest_item_m"].astype("float64").fillna(_FAR_M)
    for field in FIELDS:
        if field in inputs:
            continue
        values = areas[field]
        if field == "land_cover":
            inputs[field] = values.fillna("").astype(str)
        elif field in ("density_class", "pattern", "land_class"):
            inputs[field] = values.astype(object)
        elif field == "provisional":
            inputs[field] = values.astype(bool)
        else:
            inputs[field] = values.astype("float64")
    return inputs


def _by_family(areas: pd.DataFrame) -> pd.DataFrame:
    """Return objects by family from their columns, or from text such as ``AT 12; AP_blast 3``."""
    columns = [c for c in areas.columns if c.startswith("n_") and c[2:] in sum(_COUNTS.values(), ())]
    if columns:
        return areas[columns].rename(columns=lambda c: c[2:])
    rows = []
    for text in areas["by_family"].fillna(""):
        pairs = (part.rsplit(" ", 1) for part in str(text).split("; ") if part)
        rows.append({family: int(number) for family, number in pairs})
    every = sorted({family for families in _COUNTS.values() for family in families})
    return pd.DataFrame(rows, index=areas.index).reindex(columns=every).fillna(0)


def suggest(areas: pd.DataFrame, rules: Rules, settings: Methodology) -> pd.DataFrame:
    """Return the suggested methods on the areas' index.

    Returns
    -------
    DataFrame
        ``method_primary``, ``method_sequence`` (labels, joined with ``>``), ``method_reasons``, ``rules_fired``,
        ``rules_version``.
    """
    inputs = inputs_of(areas, settings)
    columns = [rules.met(rule, inputs) for rule in (*rules.gates, *rules.modifiers)]
    met = np.column_stack(columns) if columns else np.zeros((len(areas), 0), dtype=bool)
    first = np.argmax(np.column_stack([rules.met(rule, inputs) for rule in rules.rules]), axis=1)
    cases, case = np.unique(np.column_stack([first, met]).astype(np.int64), axis=0, return_inverse=True)
    advice = [_advise(rules, int(row[0]), row[1:].astype(bool)) for row in cases]
    label = {code: method.label for code, method in rules.methods.items()}
    texts = np.array(
        [[label[a.primary], JOIN.join(label[m] for m in a.sequence), a.reasons, ";".join(a.fired)] for a in advice],
        dtype=object,
    ).reshape(-1, 4)[case.reshape(-1)]
    names = ["method_primary", "method_sequence", "method_reasons", "rules_fired"]
    return pd.DataFrame(texts, columns=names, index=areas.index).assign(rules_version=rules.version)


def _advise(rules: Rules, first: int, met: np.ndarray) -> Advice:
    """Work out primary method, sequence and reasons from the rules that are met."""
    gates = [gate for gate, fires in zip(rules.gates, met, strict=False) if fires]
    rule = rules.rules[first]
    sequence, primary = list(rule.methods), rule.primary or rule.methods[0]
    fired: list[Rule] = [*gates, rule]
    for modifier, fires in zip(rules.modifiers, met[len(rules.gates) :], strict=True):
        if not fires or not _applies(rules, modifier, sequence):
            continue
        fired.append(modifier)
        sequence = [modifier.replace.get(m, m) for m in sequence]
        primary = modifier.replace.get(primary, primary)
        sequence = [m for m in sequence if m not in modifier.drop and rules.methods[m].kind not in modifier.drop]
        sequence = [*modifier.first, *(m for m in sequence if m not in modifier.first)]
        sequence += [m for m in modifier.last if m not in sequence]
        primary = modifier.primary or primary
    sequence = _searched(rules, sequence)
    if primary not in sequence:
        primary = sequence[0] if sequence else rules.rules[-1].methods[0]
    front = [m for gate in gates for m in gate.first]
    whole = list(dict.fromkeys([*front, *(sequence or [primary])]))
    reasons = " ".join(f"{r.id}: {r.reason}" for r in fired)
    return Advice(primary, tuple(whole), tuple(r.id for r in fired), reasons)


def _applies(rules: Rules, modifier: Rule, sequence: list[str]) -> bool:
    """Return whether what a modifier wants present or absent in the sequence is so."""

    def stands(name: str) -> bool:
        return any(name in (m, rules.methods[m].kind) for m in sequence)

    if modifier.present is not None and not stands(modifier.present):
        return False
    return modifier.absent is None or not stands(modifier.absent)


def _searched(rules: Rules, sequence: list[str]) -> list[str]:
    """Return the sequence with a search after its last mechanical step, whatever the rule table says.

    IMAS 09.50: no machine alone leaves ground that meets the clearance standard.
    """
    kinds = [rules.methods[m].kind for m in sequence]
    if "mechanical" not in kinds:
        return sequence
    after = kinds[len(kinds) - kinds[::-1].index("mechanical") :]
    if "manual" in after or "dogs" in after:
        return sequence
    known: list[str] = [code for code in ("follow_up_search", "manual_search") if code in rules.methods]
    known += [code for code, method in rules.methods.items() if method.kind == "manual"]
    return [*sequence, known[0]]


def explain(area: pd.DataFrame, rules: Rules, settings: Methodology) -> pd.DataFrame:
    """Return why an area was given its method: every rule, whether it fired, what it asked and what it was told.

    Parameters
    ----------
    area : DataFrame of one row
        Layer ``HAZARD_AREAS``.
    rules : Rules
        Their ``version`` should be the area's ``rules_version``.
    settings : Methodology

    Returns
    -------
    DataFrame
        ``rule``, ``part`` (gate, rule or modifier), ``fired``, ``conditions`` (limits put in), ``inputs``, ``facts``
        (the inputs in words), ``reason``, ``source``.
    """
    inputs = inputs_of(area, settings)
    fired = set(suggest(area, rules, settings)["rules_fired"].iloc[0].split(";"))
    rows = []
    for part, group in (("gate", rules.gates), ("rule", rules.rules), ("modifier", rules.modifiers)):
        for rule in group:
            every, some = rules.conditions(rule)
            asked = dict.fromkeys(condition.field for condition in (*every, *some))
            values = {field: _told(inputs[field].iloc[0]) for field in asked}
            told = ", ".join(f"{field} = {value}" for field, value in values.items())
            facts = "; ".join(f"{FIELDS[field]}: {value}" for field, value in values.items())
            parts = [" and ".join(rule.all), f"({' or '.join(rule.any)})" if rule.any else ""]
            parts += [f"{rule.present} in the sequence" if rule.present else ""]
            parts += [f"no {rule.absent} in the sequence" if rule.absent else ""]
            conditions = _with_limits(" and ".join(filter(None, parts)) or "always", rules)
            rows.append((rule.id, part, rule.id in fired, conditions, told, facts, rule.reason, rule.source))
    return pd.DataFrame(rows, columns=["rule", "part", "fired", "conditions", "inputs", "facts", "reason", "source"])


def _with_limits(text: str, rules: Rules) -> str:
    return re.sub(r"\$(\w+)", lambda name: f"{rules.limits[name[1]]:g} ({name[1]})", text)


def _told(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "not known"
    if isinstance(value, float):
        return "none near" if value >= _FAR_M else f"{value:.4g}"
    return str(value) or "none"


def methodology_rules(settings: Methodology) -> Rules:
    """Return the rule table the settings ask for, checked."""
    return read_rules(settings.path, settings.limits)
