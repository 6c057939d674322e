"""What a job names for the map plane: tables that are read and checked, and the digest of all settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import geopandas as gpd

    from survey.contamination.terrain import Terrain
    from survey.settings import Job


def check_map_settings(job: Job) -> None:
    """Read every table that the map plane will ask for, so that a mistake in one is told before pixels are read.

    Raises
    ------
    JobError
    """
    from survey.contamination.effort import check_rates, read_productivity, read_resources
    from survey.contamination.evidence import read_evidence_table
    from survey.contamination.fadeout import read_fadeout
    from survey.contamination.methodology import methodology_rules

    rules = methodology_rules(job.methodology)
    rates = read_productivity(job.methodology.productivity)
    check_rates(rules, rates)
    if job.methodology.resources is not None:
        read_resources(job.methodology.resources, rates)
    read_evidence_table(job.evidence.table)
    read_fadeout(job.areas.fadeout)
    read_evidence(job)
    read_land_cover(job.terrain)


def read_evidence(job: Job) -> gpd.GeoDataFrame | None:
    """Read the evidence that did not come from imagery, where the job names a file of it.

    Raises
    ------
    JobError
        It cannot be read or used.
    """
    from survey.contamination.evidence import prepare_evidence

    if job.evidence.path is None:
        return None
    return prepare_evidence(_vector(job.evidence.path, job.evidence.layer, "[evidence] path"), job.evidence)


def read_land_cover(terrain: Terrain) -> gpd.GeoDataFrame | None:
    """Read the ground that limits methods, where the settings name a file of it.

    Raises
    ------
    JobError
        It cannot be read or used.
    """
    from survey.contamination.terrain import prepare_land_cover

    if terrain.land_cover is None:
        return None
    return prepare_land_cover(_vector(terrain.land_cover, None, "[terrain] land_cover"), terrain)


def _vector(path: Path, layer: str | None, where: str) -> gpd.GeoDataFrame:
    import geopandas as gpd

    from survey.errors import JobError
    from survey.vectors import VECTOR_FAULTS

    try:
        table = gpd.read_file(path, **({"layer": layer} if layer else {}))
    except VECTOR_FAULTS as error:
        raise JobError(f"{where} {path} cannot be read ({error}). Name a vector file.") from error
    if not isinstance(table, gpd.GeoDataFrame):
        raise JobError(f"{where} {path} has no geometry. Name a vector file with points or polygons.")
    return table


def settings_digest(job: Job, threshold: float) -> str:
    """Digest of the settings that results depend on: files by their content, wherever they lie."""
    from survey.provenance import digest, file_identity

    def content(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: content(one) for key, one in value.items()}
        if isinstance(value, Path):
            return file_identity(value)["sha256"] if value.is_file() else value.name
        return value

    table = job.model_dump(
        exclude={"execution": True, "imagery": {"paths", "vrt_folders", "checksums"}, "job": {"output"}, "model": True}
    )
    return digest({**content(table), "threshold": threshold})
