"""Effort: team-days from published rates, and what the resources at hand make of them."""

from __future__ import annotations

import tomllib
from importlib import resources as packaged_files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from survey.contamination.methodology import JOIN
from survey.contamination.plane import Floats
from survey.contamination.rules import Rules
from survey.errors import JobError
from survey.hazards import MINE_FAMILIES

PACES = ("fast", "typical", "slow")
"""Rates in the order of ``effort_days_min``, ``_typical``, ``_max``."""

EFFORT_COLUMNS = ("effort_days_min", "effort_days_typical", "effort_days_max")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pace(_Strict):
    """Square metres, or things, per team-day."""

    slow: float = Field(gt=0.0)
    typical: float = Field(gt=0.0)
    fast: float = Field(gt=0.0)

    @model_validator(mode="after")
    def _ascending(self) -> Pace:
        if not self.slow <= self.typical <= self.fast:
            raise ValueError("slow, typical and fast must ascend")
        return self


class MethodRate(Pace):
    """What one team does in a day of a method."""

    resource: str
    unit: Literal["m2", "objects", "items", "areas"]
    share: float = Field(gt=0.0, le=1.0)
    source: str
    confidence: Literal["low", "medium", "high"]


class Machine(_Strict):
    """A machine, what it is rated for, and its rate."""

    rated_for: tuple[Literal["AP", "AT"], ...]
    max_slope_deg: float = Field(gt=0.0, le=60.0)
    m2_per_day: Pace
    width_m: float | None = None
    depth_cm: float | None = None
    source: str


class Productivity(_Strict):
    """The table of rates."""

    protocol: Literal[1]
    method: dict[str, MethodRate]
    machine: dict[str, Machine]


class Teams(_Strict):
    """How many teams of a kind there are."""

    count: int = Field(ge=0, le=100_000)


class MachineAtHand(_Strict):
    """Machines of a type at hand; a type that the productivity table does not know says all about itself."""

    count: int = Field(ge=0, le=100_000)
    rated_for: tuple[Literal["AP", "AT"], ...] | None = None
    max_slope_deg: float | None = Field(default=None, gt=0.0, le=60.0)
    width_m: float | None = None
    m2_per_day: Pace | None = None


class Resources(_Strict):
    """Teams and machines at hand, by kind."""

    protocol: Literal[1] = 1
    teams: dict[str, Teams] = {}
    machines: dict[str, MachineAtHand] = {}


def read_productivity(path: Path | None = None) -> Productivity:
    """Return the packaged table of rates, or the one at ``path``.

    Raises
    ------
    JobError
        The file cannot be read or does not fit.
    """
    packaged = packaged_files.files("survey.contamination").joinpath("productivity.toml")
    text = packaged.read_text(encoding="utf-8") if path is None else _text(path)
    return Productivity.model_validate(_valid(text, str(path or "productivity.toml"), Productivity))


def read_resources(path: Path, productivity: Productivity) -> Resources:
    """Return the teams and machines at hand; machines are completed from the productivity table.

    Raises
    ------
    JobError
        The file cannot be read or does not fit, or a machine is unknown and does not say what it is rated for.
    """
    resources = Resources.model_validate(_valid(_text(path), str(path), Resources))
    kinds = {rate.resource for rate in productivity.method.values()}
    for name in resources.teams:
        if name not in kinds:
            raise JobError(f"{path}: there is no kind of team {name!r}; there are {', '.join(sorted(kinds))}.")
    for name, machine in resources.machines.items():
        missing = [k for k in ("rated_for", "max_slope_deg", "m2_per_day") if getattr(machine, k) is None]
        if missing and name not in productivity.machine:
            raise JobError(f"{path}: machine {name!r} is not in the productivity table; give its {', '.join(missing)}.")
    return resources


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"{path} cannot be read: {error}.") from error


def _valid(text: str, where: str, model: type[BaseModel]) -> Any:
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise JobError(f"{where} cannot be read: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise JobError(f"{where} is not usable at {place}: {first['msg']}.") from error


def machines_at_hand(productivity: Productivity, resources: Resources | None) -> dict[str, Machine]:
    """Return the machines that may be suggested: those at hand, or every machine the table knows."""
    if resources is None:
        return dict(productivity.machine)
    machines = {}
    for name, own in resources.machines.items():
        if own.count == 0:
            continue
        given = own.model_dump(exclude={"count"}, exclude_none=True)
        known = productivity.machine[name].model_dump() if name in productivity.machine else {"source": "resource file"}
        machines[name] = Machine.model_validate({**known, **given})
    return machines


def rated_machines(areas: pd.DataFrame, machines: dict[str, Machine]) -> list[str]:
    """Return, for each area, the machines rated for its mines and its slope, joined with ``;``.

    An area whose slope is not known is taken for level: the methodology says so in its reasons.
    """
    at = areas["n_AT"].to_numpy() > 0
    at |= areas["n_mine_unspecified"].to_numpy() > 0
    anti_personnel = areas[[f"n_{f}" for f in MINE_FAMILIES if f.startswith("AP")]].sum(axis=1).to_numpy() > 0
    slope = np.nan_to_num(areas["slope_p90_deg"].to_numpy(dtype=np.float64), nan=0.0)
    fits = np.column_stack(
        [
            (("AT" in m.rated_for) | ~at) & (("AP" in m.rated_for) | ~anti_personnel) & (slope <= m.max_slope_deg)
            for m in machines.values()
        ]
        or [np.zeros((len(areas), 0), dtype=bool)]
    )
    names = np.array(list(machines), dtype=object)
    cases, case = np.unique(fits, axis=0, return_inverse=True)
    texts = np.array([";".join(names[row]) for row in cases], dtype=object)
    return list(texts[case.reshape(-1)]) if len(areas) else []


def check_rates(rules: Rules, productivity: Productivity) -> None:
    """Refuse a rule table with a method that has no rate."""
    for code, method in rules.methods.items():
        if code not in productivity.method:
            raise JobError(f"The productivity table has no rates for {code!r} ({method.label}). Add [method.{code}].")


def step_days(
    areas: pd.DataFrame, rules: Rules, productivity: Productivity, machines: dict[str, Machine]
) -> pd.DataFrame:
    """Return the team-days of every step of every area's sequence.

    Returns
    -------
    DataFrame
        ``area`` (position), ``method`` (label), ``resource``, and ``effort_days_min``, ``_typical``, ``_max``. A
        machine's rate is that of the machines rated for the area, slowest to fastest, where there are any.
    """
    code = {method.label: name for name, method in rules.methods.items()}
    kind = {method.label: method.kind for method in rules.methods.values()}
    steps = areas["method_sequence"].str.split(JOIN, regex=False).reset_index(drop=True).explode()
    table = pd.DataFrame({"area": steps.index.to_numpy(dtype=np.int64), "method": steps.to_numpy(dtype=object)})
    work = {
        "m2": areas["area_m2"].to_numpy(dtype=np.float64),
        "objects": areas["n_unverified"].to_numpy(dtype=np.float64),
        "items": np.maximum(areas["n_items"].to_numpy(dtype=np.float64), 1.0),
        "areas": np.ones(len(areas)),
    }
    days = np.zeros((len(table), 3))
    resource = np.full(len(table), "", dtype=object)
    machine_rates = _machine_rates(areas, machines)
    for label in sorted(set(table["method"])):
        chosen = np.flatnonzero(table["method"].to_numpy() == label)
        at = table["area"].to_numpy()[chosen]
        rate = productivity.method[code[label]]
        resource[chosen] = rate.resource
        for column, pace in enumerate(PACES):
            per_day = np.full(len(at), getattr(rate, pace))
            if kind[label] == "mechanical":
                rated = machine_rates[at, column]
                per_day = np.where(np.isnan(rated), per_day, rated)
            days[chosen, column] = work[rate.unit][at] * rate.share / per_day
    for column, name in enumerate(EFFORT_COLUMNS):
        table[name] = days[:, column]
    return table.assign(resource=resource)


def _machine_rates(areas: pd.DataFrame, machines: dict[str, Machine]) -> Floats:
    """Return fast, typical and slow square metres per day of the machines rated for each area."""
    texts = areas["machines"].fillna("").to_numpy(dtype=object)
    cases, case = np.unique(texts.astype(str), return_inverse=True)
    rates = np.full((len(cases), 3), np.nan)
    for row, text in enumerate(cases):
        paces = [machines[name].m2_per_day for name in text.split(";") if name in machines]
        if paces:
            rates[row] = [
                max(p.fast for p in paces),
                float(np.mean([p.typical for p in paces])),
                min(p.slow for p in paces),
            ]
    return rates[case.reshape(-1)].reshape(-1, 3)


def area_days(steps: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the team-days of each area: the sum of its steps, rounded to a hundredth."""
    return pd.DataFrame(
        {c: np.round(np.bincount(steps["area"], weights=steps[c], minlength=count), 2) for c in EFFORT_COLUMNS}
    )


def calendar(steps: pd.DataFrame, resources: Resources) -> pd.DataFrame:
    """Return how long each resource at hand would need for its share of the work, and which one needs longest.

    Kinds of team work side by side; steps that must follow one another in an area are not scheduled, so the
    figure is the least that the bottleneck allows.
    """
    sums = steps.groupby("resource", sort=True)[list(EFFORT_COLUMNS)].sum()
    rows = []
    for resource, days in sums.iterrows():
        if resource == "machine":
            count = sum(machine.count for machine in resources.machines.values())
        else:
            count = resources.teams[str(resource)].count if resource in resources.teams else 0
        values = [float(days[c]) / count if count else np.nan for c in EFFORT_COLUMNS]
        note = None if count else "none at hand"
        rows.append((str(resource), count, *np.ceil(values), note))
    names = ["resource", "teams", "days_min", "days_typical", "days_max", "note"]
    table = pd.DataFrame(rows, columns=names)
    longest = table["days_typical"].where(table["teams"] > 0).max() if len(table) else 0.0
    missing = table["note"].notna()
    # What is not at hand at all holds everything up.
    table["bottleneck"] = missing if missing.any() else table["days_typical"] == longest
    return table
