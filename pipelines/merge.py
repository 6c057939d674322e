"""``survey merge``: several jobs' outputs as one set of layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    import pandas as pd

    from survey.exports.reviews import Harvest

_LEAST_M = 2.0
_ERRORS = 3.0
"""Two jobs' objects are one where they lie within max(2 m, 3 x position error), as scenes of one job are."""


def command(
    outputs: Annotated[
        list[Path], typer.Argument(metavar="OUTPUT_DIR...", help="Output folders of runs.", show_default=False)
    ],
    to: Annotated[Path, typer.Option(help="New folder for the joined outputs.", show_default=False)],
) -> None:
    """Join several jobs' outputs: objects and ground that several saw count once, districts are summed anew.

    Example: survey merge out/fuzuli-april out/fuzuli-may --to out/fuzuli
    """
    for path in merge(outputs, to):
        typer.echo(str(path))


@dataclass(frozen=True)
class _Output:
    folder: Path
    record: dict[str, Any]
    layers: dict[str, pd.DataFrame]
    harvest: Harvest


def merge(outputs: Sequence[Path], to: Path) -> list[Path]:
    """Join several jobs' outputs into one set of layers, from their objects and coverage; no pixel is read.

    Verdicts that people left in the files are harvested first. Where jobs overlap, ground counts once by the
    precedence of the map plane, and objects of two jobs that are one (max(2 m, 3 x position error), the same family)
    become one: the confirmed one, else the one seen in finer imagery, else the more probable.

    Parameters
    ----------
    outputs : sequence of Path
        At least two output folders.
    to : Path
        New or empty folder.

    Returns
    -------
    list of Path

    Raises
    ------
    JobError
        Fewer than two folders, one named twice, a target in use, or jobs with other map-plane settings.
    OutputError, LayerError, DistrictError
        A folder holds no whole result, or their districts disagree.
    """
    import pandas as pd

    from pipelines.merge_settings import common_settings, context_of, with_statuses
    from survey.contamination.assessment import assess
    from survey.errors import JobError
    from survey.exports import geopackage
    from survey.exports.project import write_project
    from survey.exports.report import write_report
    from survey.exports.tables import write_districts, write_run
    from survey.layers import EVIDENCE, RUNS
    from survey.provenance import digest

    if len({path.resolve() for path in outputs}) != len(outputs) or len(outputs) < 2:  # noqa: PLR2004
        raise JobError("Name at least two different output folders to join.")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise JobError(f"{to} holds something already; name a new folder.")
    parts = [_read(path) for path in outputs]
    records = {part.folder: part.record for part in parts}
    settings = common_settings(records)
    ids = sorted(str(part.record.get("run_id", "")) for part in parts)
    run_id = digest(["merge", *ids])[:16]
    reviews, outlines = _verdicts(parts)
    objects, candidates = _objects(parts, run_id)
    districts = _districts(parts)
    evidence = _joined([part.layers[EVIDENCE.name] for part in parts]).drop_duplicates("evidence_id")
    context = context_of(evidence, [part.layers["coverage"] for part in parts], districts, settings)
    layers = assess(objects, [_pieces(part) for part in parts], districts, settings, run_id, context)
    layers["hazard_areas"] = with_statuses(records, layers)
    runs = pd.concat([part.layers[RUNS.name] for part in parts], ignore_index=True).drop_duplicates("run_id")
    layers |= {"candidates": candidates, "reviews": reviews, "review_outlines": outlines, "runs": runs}
    chips: dict[str, bytes] = {}
    for part in parts:
        chips |= geopackage.read_chips(part.folder / "survey.gpkg")
    chips = {name: chip for name, chip in chips.items() if name in set(layers["hazard_objects"]["object_id"])}
    record = _record(parts, run_id, to)
    source = to / "survey.gpkg"
    geopackage.write(source, layers, crs=settings.crs, chips=chips)
    images = [to / one["path"] for one in record["imagery"] if one.get("status", "surveyed") == "surveyed"]
    write_project(to / "survey.qgs", source, layers, images, title=record["name"])
    write_districts(to / "districts.csv", layers["districts"])
    write_report(to / "report.html", layers, record, chips=chips)
    write_run(to / "run.json", record)
    return [to / name for name in ("survey.gpkg", "survey.qgs", "districts.csv", "report.html", "run.json")]


def _read(folder: Path) -> _Output:
    from pipelines.results import read_result
    from survey.exports.reviews import harvest
    from survey.layers import OUTPUT_LAYERS

    layers, record = read_result(folder, OUTPUT_LAYERS)
    found = harvest(folder / "survey.gpkg", source=f"{folder.name}/survey.gpkg")
    return _Output(folder, record, layers, found)


def _joined(tables: Sequence[Any]) -> Any:
    """Rows of several tables in the CRS of the first that has one."""
    import pandas as pd

    filled = [table for table in tables if len(table)] or list(tables[:1])
    crs = getattr(filled[0], "crs", None)
    if crs is not None:
        filled = [table.to_crs(crs) for table in filled]
    return pd.concat(filled, ignore_index=True)


def _districts(parts: Sequence[_Output]) -> gpd.GeoDataFrame:
    """Districts of all jobs, each once; the same code must mean the same ground."""
    import shapely

    from survey.contamination.districts import prepare_districts
    from survey.errors import DistrictError

    table: Any = _joined([part.layers["districts"] for part in parts])
    for code, same in table.groupby("district_code"):
        outlines = same.geometry.to_numpy()
        for other in outlines[1:]:
            differs = shapely.symmetric_difference(shapely.make_valid(outlines[0]), shapely.make_valid(other)).area
            if differs > 1e-6 * outlines[0].area:
                raise DistrictError(
                    f"District {code!r} has another outline in another job. Run the jobs again with one districts file."
                )
    return prepare_districts(table.drop_duplicates("district_code"), "district_name", "district_code")


def _pieces(part: _Output) -> gpd.GeoDataFrame:
    """Return the ground of a job's images, with why some of it was not analysed, and the dates they were taken on."""
    from survey.layers import COVERAGE_PIECES, conform

    table: Any = part.layers["coverage"]
    seen = table[(table["status"] != "not_analysed") | table["image"].notna()]
    dates = {str(one.get("name")): one.get("acquired_at") for one in part.record.get("imagery", [])}
    seen = seen.assign(acquired_at=seen["image"].map(dates), image=seen["image"].fillna(""))
    for column in ("detectability", "gsd_cm"):
        seen[column] = seen[column].fillna(0.0)
    fitted: Any = conform(seen, COVERAGE_PIECES, crs=table.crs)
    return cast("gpd.GeoDataFrame", fitted)


def _verdicts(parts: Sequence[_Output]) -> tuple[pd.DataFrame, pd.DataFrame]:
    from survey.layers import REVIEW_OUTLINES, REVIEWS, conform

    reviews = _joined([part.harvest.reviews for part in parts]).drop_duplicates(ignore_index=True)
    outlines = _joined([part.harvest.outlines for part in parts])
    return (
        conform(reviews.sort_values("reviewed_at", kind="stable", ignore_index=True), REVIEWS),
        conform(outlines.sort_values("reviewed_at", kind="stable", ignore_index=True), REVIEW_OUTLINES),
    )


def _objects(parts: Sequence[_Output], run_id: str) -> tuple[gpd.GeoDataFrame, pd.DataFrame]:
    """Objects and candidates of all jobs with the verdicts people left; what two jobs saw counts once."""
    from pipelines.verdicts import with_verdicts
    from survey.layers import CANDIDATES, HAZARD_OBJECTS, conform

    objects, candidates = [], []
    for number, part in enumerate(parts):
        own: Any = part.layers["hazard_objects"]
        below: Any = part.layers["candidates"]
        judged = with_verdicts(
            own.to_crs("EPSG:4326"), below.to_crs("EPSG:4326"), part.harvest, part.folder / "survey.gpkg"
        )
        objects.append(judged[0].assign(_job=number))
        candidates.append(judged[1].assign(_job=number))
    kept = _once(_joined(objects))
    below = _joined(candidates)
    below = _once(below[~below["object_id"].isin(kept["object_id"])])
    fitted: Any = conform(kept.assign(run_id=run_id), HAZARD_OBJECTS)
    return fitted, conform(below.assign(run_id=run_id), CANDIDATES)


def _once(table: Any) -> Any:
    """One row for each object: by its id, then by place, family and job."""
    import numpy as np
    import shapely

    if table.empty:
        return table
    rank = table["verification"].map({"confirmed": 0, "rejected": 1, "uncertain": 2, "unverified": 3})
    table = table.assign(_rank=rank, _less=-table["probability"])
    table = table.sort_values(["_rank", "gsd_cm", "_less", "object_id"], kind="stable", ignore_index=True)
    table = table.drop_duplicates("object_id", ignore_index=True)
    plane = table.estimate_utm_crs()
    centre = shapely.centroid(table.to_crs(plane).geometry.to_numpy())
    job, family = table["_job"].to_numpy(), table["family"].to_numpy()
    error = table["position_error_m"].to_numpy(np.float64)
    reach = max(_LEAST_M, _ERRORS * float(error.max()))
    first, second = shapely.STRtree(centre).query(centre, predicate="dwithin", distance=reach)
    near = (first < second) & (job[first] != job[second]) & (family[first] == family[second])
    first, second = first[near], second[near]
    limit = np.maximum(_LEAST_M, _ERRORS * np.maximum(error[first], error[second]))
    apart = shapely.distance(centre[first], centre[second])
    near = apart <= limit
    first, second, apart = first[near], second[near], apart[near]
    keep = np.ones(len(table), dtype=bool)
    taken: set[tuple[int, int]] = set()
    # Nearest pairs first, and an object absorbs at most one of each other job.
    for one, other in zip(*(side[np.lexsort((second, first, apart))] for side in (first, second)), strict=True):
        if keep[one] and keep[other] and (one, job[other]) not in taken:
            keep[other] = False
            taken.add((int(one), int(job[other])))
    return table[keep]


def _record(parts: Sequence[_Output], run_id: str, to: Path) -> dict[str, Any]:
    import os
    from datetime import datetime

    from pipelines.results import is_address
    from survey.provenance import run_record

    records = [part.record for part in parts]
    images = []
    for part in parts:
        for one in part.record.get("imagery", []):
            path = str(one["path"])
            images.append(one if is_address(path) else one | {"path": os.path.relpath(part.folder / path, to)})
    models = sorted({str(record.get("model_version", "")) for record in records})
    digests = {record.get("model_digest") for record in records}
    started = datetime.fromisoformat(min(record["started_at"] for record in records))
    finished = datetime.fromisoformat(max(record["finished_at"] for record in records))
    return run_record(
        {"run_id": run_id, "model_version": "; ".join(models)},
        (started, finished),
        records[0].get("settings", {}),
        images,
        name=" + ".join(str(record.get("name", "")) for record in records),
        # The card, where all jobs had the model that it describes.
        **({"model": records[0]["model"]} if len(digests) == 1 and "model" in records[0] else {}),
        problems=[problem for record in records for problem in record.get("problems", [])],
        merged=[{key: record.get(key) for key in ("name", "run_id")} for record in records],
    )
