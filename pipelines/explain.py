"""``survey explain``: why a hazard area was given its method, in plain sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import shapely

_LISTED = 10
"""Areas named where the one asked for is not there."""


def command(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT_DIR", help="Output folder of a run.", show_default=False)],
    area_id: Annotated[
        str, typer.Argument(metavar="AREA_ID", help="The area, or the beginning of its id.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say why an area was given its method: the rules that fired, what they were told, and their sources.

    Example: survey explain out/fuzuli-2026-04 4b3017fa55bd06c7
    """
    told = explanation(output, area_id)
    typer.echo(json.dumps(told, indent=2, ensure_ascii=False) if as_json else sentences(told))


def explanation(output: Path, area_id: str) -> dict[str, Any]:
    """Return why an area was given its method, as JSON has it.

    Parameters
    ----------
    output : Path
        Output folder of a run, or of ``survey merge``.
    area_id : str
        Or so much of its beginning as names one area.

    Raises
    ------
    OutputError
        The folder holds no whole result.
    JobError
        There is no such area; the rule table of the run cannot be read.
    """
    from survey.contamination.methodology import explain
    from survey.errors import OutputError
    from survey.exports import geopackage
    from survey.layers import AREA_DISTRICTS, AREA_EVIDENCE, COVERAGE, DISTRICTS, HAZARD_AREAS

    source = output / "survey.gpkg"
    if not source.exists():
        raise OutputError(f"{output} holds no survey.gpkg: it is no output folder of a run. `survey run` makes one.")
    areas = geopackage.read(source, HAZARD_AREAS)
    area = areas[areas["area_id"] == _found(area_id, areas, output)]
    outline, area = area.geometry.iloc[0], area.drop(columns="geometry")
    row = area.iloc[0]
    shares = geopackage.read(source, AREA_DISTRICTS)
    shares = shares[shares["area_id"] == row["area_id"]].sort_values("area_m2", ascending=False)
    names = geopackage.read(source, DISTRICTS)[["district_code", "district_name"]]
    shares = shares.merge(names, how="left", on="district_code")
    evidence = geopackage.read(source, AREA_EVIDENCE)
    evidence = evidence[evidence["area_id"] == row["area_id"]]
    methodology, rules = _rules_of(output)
    told: dict[str, Any] = {
        "area": {name: _plain(row[name]) for name in area.columns},
        "districts": [{name: _plain(value) for name, value in one.items()} for one in shares.to_dict("records")],
        "not_seen": _not_seen(geopackage.read(source, COVERAGE), outline),
        "evidence": [{name: _plain(value) for name, value in one.items()} for one in evidence.to_dict("records")],
        "rules_changed": rules.version != row["rules_version"],
        "rules": [],
    }
    if not told["rules_changed"]:
        told["rules"] = explain(area, rules, methodology).to_dict("records")
    return told


def _found(area_id: str, areas: pd.DataFrame, output: Path) -> str:
    """Return the id of the one area that is meant."""
    from survey.errors import JobError
    from survey.settings import nearest

    known = areas["area_id"].tolist()
    if area_id in known:
        return area_id
    begins = [one for one in known if area_id and one.startswith(area_id)]
    if len(begins) == 1:
        return str(begins[0])
    if not known:
        raise JobError(f"{output} holds no hazard area, so there is none to explain.")
    if begins:
        raise JobError(f"{len(begins)} areas of {output} begin with {area_id!r}: {_listed(begins)}. Give more of it.")
    largest = areas.sort_values("area_m2", ascending=False)["area_id"].tolist()
    raise JobError(
        f"{output} holds no hazard area {area_id!r}; the nearest id is {nearest(area_id, known)!r}. "
        f"It holds {len(known)}, the largest first: {_listed(largest)}. Column area_id of hazard_areas names them all."
    )


def _not_seen(coverage: gpd.GeoDataFrame, outline: shapely.Geometry) -> dict[str, float]:
    """Share of the analysed ground inside an outline, by family of items, on which the family could not be seen.

    Families that could be seen on all of it are left out.
    """
    import numpy as np
    import shapely

    from survey.hazards import ITEM_FAMILIES, classes

    analysed = coverage[coverage["status"] == "analysed"]
    # Shares need no projection: the ground is small.
    ground = shapely.area(shapely.intersection(analysed.geometry.to_numpy(), outline))
    known = {one.family for one in classes().values()} - {"mine_unspecified"}
    hidden = {}
    for family in (one for one in ITEM_FAMILIES if one in known):
        unseen = np.array([family not in families.split(";") for families in analysed["families"]], bool)
        hidden[family] = float(ground[unseen].sum())
    return {family: area / float(ground.sum()) for family, area in hidden.items() if area > 0.005 * ground.sum()}


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _rules_of(output: Path) -> tuple[Any, Any]:
    """Return the settings of the methodology of a run, and its rule table as it is now."""
    from pipelines.results import read_record
    from survey.contamination.methodology import Methodology, methodology_rules

    settings = read_record(output).get("settings", {}).get("methodology", {})
    methodology = Methodology.model_validate(settings)
    return methodology, methodology_rules(methodology)


def _plain(value: Any) -> Any:
    """Return a value of a table as JSON has it."""
    import pandas as pd

    if pd.isna(value):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def sentences(told: dict[str, Any]) -> str:
    """Return an explanation as text."""
    area = told["area"]
    lines = [
        f"Hazard area {area['area_id']}, {area['area_ha']:,.2f} ha, {_where(told)}",
        "",
        f"Suggested method{', provisional' if area['provisional'] else ''}: {area['method_primary']}.",
        f"In this order: {area['method_sequence']}.",
        f"Effort: {_days(area)} team-days.",
        "It is a suggestion for the planner's review; the authority decides.",
        "",
        "What it rests on",
        *(f"  {_evidence(one)}" for one in told["evidence"]),
        f"  Land class {area['land_class']}: {area['land_class_reason']}",
        f"  Density {area['density_per_ha']:.2f} items per hectare ({area['density_low']:.2f} to "
        f"{area['density_high']:.2f}), class {area['density_class']}; the interval {_touched(area)}.",
        f"  {_seen(told)}",
        f"  Outline: {area['delineation']}, fade-out {area['fadeout_m']:g} m ({area['fadeout_rule']}).",
        "",
    ]
    if told["rules_changed"]:
        lines += [
            f"The rule table has changed since (then {area['rules_version']}). What it said then:",
            f"  {area['method_reasons']}",
            "Run `survey map` to apply the table as it is now.",
        ]
        return "\n".join(lines)
    fired = [one for one in told["rules"] if one["fired"]]
    lines.append(f"Rules that fired (table {area['rules_version']})")
    for one in fired:
        lines += [
            f"  {one['rule']} ({one['part']}): {one['reason']}",
            f"    asked: {one['conditions']}",
            *([f"    told: {one['facts']}"] if one["facts"] else []),
            f"    source: {one['source']}",
        ]
    rest = [one for one in told["rules"] if not one["fired"]]
    lines += ["", "Rules that did not fire, or came after the one that gave the method"]
    lines += [f"  {one['rule']}: asked {one['conditions']}; told {one['facts'] or 'nothing'}" for one in rest]
    lines += ["", str(area["residual_note"])]
    return "\n".join(lines)


def _where(told: dict[str, Any]) -> str:
    if len(told["districts"]) < 2:
        return told["area"]["district_name"] or "outside every district"
    return ", ".join(
        f"{one['district_name'] or one['district_code']} {one['area_m2'] / 1e4:,.2f} ha" for one in told["districts"]
    )


def _touched(area: dict[str, Any]) -> str:
    same = area["class_range"] == area["density_class"]
    return "stays in it" if same else f"touches {area['class_range']}"


def _days(area: dict[str, Any]) -> str:
    low, usual, high = (area[f"effort_days_{name}"] for name in ("min", "typical", "max"))
    return f"{usual:,.1f} ({low:,.1f} to {high:,.1f})"


def _evidence(one: dict[str, Any]) -> str:
    source = f", source {one['sources']}" if one["sources"] else ""
    return (
        f"{one['n']} x {one['evidence_type']} from {one['origin']}: {one['evidence_class']}, {one['reliability']}, "
        f"weight {one['weight']:g}{source}."
    )


def _seen(told: dict[str, Any]) -> str:
    from survey.exports.styles import FAMILY_LABELS

    area = told["area"]
    if not area["observed_fraction"]:
        return "None of the area was analysed."
    seen = (
        f"{area['observed_fraction']:.0%} of the area was analysed; of the items that its imagery can show, "
        f"{area['detectability']:.0%} could have been seen there."
    )
    hidden = [f"{FAMILY_LABELS[family].lower()} ({share:.0%})" for family, share in told["not_seen"].items()]
    return seen + (f" Not to be seen, on so much of what was analysed: {'; '.join(hidden)}." if hidden else "")
