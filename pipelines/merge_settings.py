"""What several jobs must agree on before their outputs are joined, and what they know of the ground besides imagery."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import geopandas as gpd
    import pandas as pd

    from survey.contamination.assessment import Contamination, Context

_SECTIONS = ("areas", "density", "methodology", "terrain", "evidence", "ledger")
"""Tables of the job file that the map plane obeys; they must agree."""
_EVIDENCE_ALREADY_READ = frozenset({"table"})
"""Of [evidence], only the authority's table is asked again; what was evidence stands in the outputs."""


def common_settings(records: Mapping[Path, Mapping[str, Any]]) -> Contamination:
    """Return the settings of the map plane that all jobs share; files count by their content, wherever they lie.

    Parameters
    ----------
    records : mapping of Path to mapping
        Content of ``run.json`` by output folder.

    Raises
    ------
    JobError
        Two jobs differ, by table and key; or the settings cannot be used.
    """
    from pydantic import ValidationError

    from survey.contamination.assessment import Contamination
    from survey.errors import JobError

    (first, record), *others = records.items()
    sections = _sections(record)
    for folder, other in others:
        for name, own in _sections(other).items():
            differ = [key for key in {**sections[name], **own} if _said(sections[name], key) != _said(own, key)]
            if differ:
                raise JobError(
                    f"{first} and {folder} were made with different settings in [{name}] "
                    f"({', '.join(sorted(differ))}); joined, their figures would mean two things. Run `survey map` on "
                    f"one with the other's settings, then join."
                )
    crs = record.get("settings", {}).get("job", {}).get("crs", "EPSG:4326")
    known = {name: own for name, own in sections.items() if own and name != "ledger"}
    try:
        return Contamination.model_validate({"crs": crs, **known})
    except ValidationError as error:
        raise JobError(f"The settings in {first / 'run.json'} cannot be used: {error}.") from error


def _sections(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    settings = record.get("settings", {})
    sections = {name: dict(settings.get(name) or {}) for name in _SECTIONS}
    sections["evidence"] = {
        key: sections["evidence"][key] for key in _EVIDENCE_ALREADY_READ & set(sections["evidence"])
    }
    return sections


def _said(section: Mapping[str, Any], key: str) -> str:
    """Return what a setting says, comparable: a file is what it holds."""
    from survey.provenance import canonical_json, file_identity

    value = section.get(key)
    if isinstance(value, str) and Path(value).is_absolute() and Path(value).is_file():
        return str(file_identity(Path(value))["sha256"])
    return canonical_json(value)


def context_of(
    evidence: pd.DataFrame, coverage: Sequence[gpd.GeoDataFrame], districts: gpd.GeoDataFrame, settings: Contamination
) -> Context:
    """Return what the jobs knew of the ground besides imagery.

    Parameters
    ----------
    evidence : DataFrame
        Layer ``EVIDENCE`` of all jobs, each piece once.
    coverage : sequence of GeoDataFrame
        Layer ``COVERAGE`` of each job; tells which ground was outside its area of interest.
    districts : GeoDataFrame
    settings : Contamination
        From :func:`common_settings`.
    """
    from pipelines.map_settings import read_land_cover
    from survey.contamination.assessment import Context
    from survey.layers import EVIDENCE, conform

    return Context(
        area_of_interest=_area_of_interest(coverage, districts),
        evidence=conform(evidence, EVIDENCE) if len(evidence) else None,
        land_cover=read_land_cover(settings.terrain),
    )


def _area_of_interest(coverage: Sequence[gpd.GeoDataFrame], districts: gpd.GeoDataFrame) -> gpd.GeoDataFrame | None:
    """Return the ground that at least one job was to look at, where each job left some out."""
    import geopandas as gpd
    import shapely

    from survey.contamination.ground import OUTSIDE_INTEREST

    left_out = [table[table["reason"] == OUTSIDE_INTEREST].to_crs(districts.crs).union_all() for table in coverage]
    nobody = shapely.intersection_all(left_out)
    if any(shape.is_empty for shape in left_out) or nobody.is_empty:
        return None
    return gpd.GeoDataFrame(geometry=[shapely.difference(districts.union_all(), nobody)], crs=districts.crs)


def with_statuses(records: Mapping[Path, Mapping[str, Any]], layers: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the hazard areas with the state of work that the jobs' common ledger gives them."""
    from survey.ledger.vocabulary import Ledger

    ledger = Ledger.model_validate(_sections(next(iter(records.values())))["ledger"])
    if ledger.path is None:
        return layers["hazard_areas"]
    from pipelines.ledger_survey import with_statuses as states

    return states(ledger, layers["hazard_areas"], layers["districts"])
