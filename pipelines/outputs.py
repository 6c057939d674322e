"""Write the outputs of a job, each whole or not at all, and sum them up."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.engine.journal import Journal
from pipelines.map import Made
from pipelines.opening import Opened
from survey.errors import ImageryError, OutputError
from survey.exports import geopackage
from survey.exports.project import write_project
from survey.exports.report import write_report
from survey.exports.tables import write_districts, write_run
from survey.layers import DISTRICTS, RUNS, conform
from survey.provenance import run_record, software_version
from survey.settings import Job

_SUMMED = tuple(column.name for column in DISTRICTS.columns if column.unit == "ha")
_LEAST_FREE_BYTES = 50 * 2**20


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Attributes
    ----------
    exit_code : int
        0 done, 3 done but some imagery could not be analysed, 130 or 143 stopped.
    districts : DataFrame or None
        Layer ``districts``; None where the run was stopped.
    outputs : tuple of Path
    problems : tuple of dict
        ``image`` and ``reason`` of what could not be analysed.
    totals : dict
    """

    exit_code: int
    districts: pd.DataFrame | None
    outputs: tuple[Path, ...]
    problems: tuple[dict[str, str], ...]
    totals: dict[str, Any]


def check_room(folder: Path) -> None:
    """Refuse to begin where outputs could not be written.

    Raises
    ------
    OutputError
    """
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE_BYTES:
        raise OutputError(
            f"Only {free / 2**20:.0f} MiB are free in {folder}; a run needs {_LEAST_FREE_BYTES / 2**20:.0f} MiB and "
            "more. Free space, or choose another folder in [job] output."
        )
    geopackage.refuse_if_open(folder / "survey.gpkg")


def write_outputs(job: Job, opened: Opened, journal: Journal, made: Made) -> Summary:
    """Write ``survey.gpkg``, ``survey.qgs``, ``districts.csv``, ``report.html`` and ``run.json``.

    Raises
    ------
    OutputError
        A file cannot be written, or another program holds it.
    ImageryError
        Not one tile could be read: there is nothing to write.
    """
    if made.n_tiles and made.n_failed == made.n_tiles:
        raise ImageryError(f"No tile of the job could be read. {made.failures[0]['reason']}")
    folder = job.job.output
    started = datetime.fromisoformat(journal.get("started_at"))
    finished = datetime.now(UTC)
    runs = {
        "run_id": made.ids["run_id"],
        "started_at": started,
        "finished_at": finished,
        "software_version": software_version(),
        **{key: made.ids[key] for key in ("model_version", "settings_digest", "imagery_digest")},
        "n_tiles": made.n_tiles,
        "n_failed": made.n_failed,
    }
    layers = {**made.layers, "runs": conform(pd.DataFrame([runs]), RUNS)}
    problems = [{"image": one.path, "reason": one.reason} for one in opened.refused] + made.failures
    districts = layers["districts"]
    totals: dict[str, Any] = {
        "n_tiles": made.n_tiles,
        "n_failed": made.n_failed,
        "n_objects": int((layers["hazard_objects"]["verification"] != "rejected").sum()),
        "n_candidates": len(layers["candidates"]),
        "n_areas": len(layers["hazard_areas"]),
        "threshold": made.threshold,
        **{column: float(districts[column].sum()) for column in _SUMMED},
    }
    record = run_record(
        made.ids,
        (started, finished),
        job,
        _images(opened, folder),
        name=job.job.name,
        model=opened.model.card,
        totals=totals,
        problems=problems,
        notes=journal.get("strange_ground", []),
    )
    names = ("survey.gpkg", "survey.qgs", "districts.csv", "report.html", "run.json")
    paths = tuple(folder / name for name in names)
    pictures = made.pictures
    geopackage.write(paths[0], layers, crs=job.job.crs, chips=pictures.chips, stamp=made.stamp)
    images = [Path(place.scene.path) for place in opened.scenes]
    write_project(paths[1], paths[0], layers, images, title=job.job.name)
    write_districts(paths[2], districts)
    write_report(paths[3], layers, record, chips=pictures.chips, thumbnails=pictures.thumbnails)
    write_run(paths[4], record)
    return Summary(3 if problems else 0, districts, paths, tuple(problems), totals)


def _images(opened: Opened, folder: Path) -> list[dict[str, Any]]:
    images: list[dict[str, Any]] = [
        {
            **place.identity,
            "path": _from(folder, place.scene.path),
            "crs": _crs_name(place.scene.grid.crs),
            "gsd_cm": place.scene.grid.gsd_cm,
            "acquired_at": place.scene.acquired_at,
            "status": "surveyed",
        }
        for place in opened.scenes
    ]
    images += [
        {"path": _from(folder, scene.path), "name": scene.name, "status": "outside", "reason": "outside the districts"}
        for scene in opened.outside
    ]
    images += [
        {"path": _from(folder, one.path), "name": Path(one.path).name, "status": "refused", "reason": one.reason}
        for one in opened.refused
    ]
    return images


def _from(folder: Path, path: str) -> str:
    """Path relative to the output folder, so that both can move together; addresses as they are."""
    if not Path(path).is_absolute() or path.startswith("/vsi"):
        return path
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive, on Windows
        return path


def _crs_name(wkt: str) -> str:
    from pyproj import CRS

    crs = CRS.from_wkt(wkt)
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else str(crs.name)
