"""``survey map``: the map plane alone, from the journal; no pixel is read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    import pandas as pd

    from pipelines.album import Album
    from pipelines.engine.journal import Entry, Journal
    from pipelines.opening import Opened, OpenScene
    from survey.api import Model, Pass
    from survey.contamination.terrain import Terrain
    from survey.imagery.scene import Scene
    from survey.imagery.tiles import Tile
    from survey.settings import Job


def command(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job file (TOML).", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON, one a line.")] = False,
) -> None:
    """Make the layers again from what a run has seen: new districts, thresholds, rules or verdicts; no pixels read.

    Example: survey map data/sample/job.toml
    """
    from pipelines.outputs import write_outputs
    from pipelines.progress import watch_for
    from survey.settings import read_job

    read = read_job(job)
    watch = watch_for(as_json=as_json)
    with _journal_of(read) as journal:
        opened = reopened(read, journal)
        summary = write_outputs(read, opened, journal, make_layers(read, opened, journal))
    watch.finished(summary)
    raise typer.Exit(summary.exit_code)


@dataclass(frozen=True)
class Made:
    """Layers of a job and what they rest on.

    Attributes
    ----------
    layers : dict of (Geo)DataFrame
        By name; all of ``OUTPUT_LAYERS`` but ``runs``.
    ids : dict of str
        ``run_id``, ``settings_digest``, ``imagery_digest``, ``model_version``, ``model_digest``.
    stamp : tuple of int or None
        Of the GeoPackage whose reviews are in the layers.
    threshold : float
    n_tiles, n_failed : int
    failures : list of dict
        Image and reason, once each.
    pictures : Album
    """

    layers: dict[str, pd.DataFrame]
    ids: dict[str, str]
    stamp: tuple[int, int] | None
    threshold: float
    n_tiles: int
    n_failed: int
    failures: list[dict[str, str]]
    pictures: Album


def make_layers(job: Job, opened: Opened, journal: Journal) -> Made:
    """Make every layer from what the journal holds.

    Parameters
    ----------
    job : Job
    opened : Opened
    journal : Journal
        With every tile of ``opened`` done or failed.
    """
    from pipelines.album import Album
    from pipelines.opening import threshold_of
    from pipelines.verdicts import with_verdicts
    from survey.api import collect_objects
    from survey.contamination.assessment import assess
    from survey.exports.reviews import harvest
    from survey.provenance import imagery_digest, run_id

    geopackage = job.job.output / "survey.gpkg"
    harvested = harvest(geopackage)
    model, threshold = opened.model, threshold_of(job, opened.model)
    ids = {
        "settings_digest": settings_digest(job, threshold),
        "imagery_digest": imagery_digest(one.identity for one in opened.scenes),
        "model_version": model.version,
        "model_digest": model.digest,
    }
    ids["run_id"] = run_id(ids["settings_digest"], ids["imagery_digest"], model.digest)
    known = journal.scenes()
    sightings, coverage = {}, {}
    n_tiles = n_failed = 0
    failures: dict[tuple[str, str], None] = {}
    for one in opened.scenes:
        entries = list(journal.entries(known[one.scene.name].key, content=True))
        name = one.scene.name
        failures |= dict.fromkeys((name, entry.reason) for entry in entries if entry.state in ("failed", "unread"))
        n_tiles += sum(entry.state in ("done", "partial", "failed") for entry in entries)
        n_failed += sum(entry.state == "failed" for entry in entries)
        sightings[name] = _sightings(one, entries)
        coverage[name] = _coverage(job, opened, one, entries)
    objects, candidates = collect_objects(
        sightings,
        {one.scene.name: one.scene for one in opened.scenes},
        coverage,
        threshold=threshold,
        model_version=model.version,
        run_id=ids["run_id"],
    )
    objects, candidates = with_verdicts(objects, candidates, harvested, geopackage)
    layers = assess(
        objects, coverage.values(), opened.districts, job.contamination, ids["run_id"], _context(job, opened)
    )
    layers["hazard_areas"] = _with_statuses(job, layers)
    layers |= {"candidates": candidates, "reviews": harvested.reviews, "review_outlines": harvested.outlines}
    reasons = [{"image": image, "reason": reason} for image, reason in failures]
    pictures = Album.kept(journal, geopackage, layers["hazard_objects"])
    return Made(layers, ids, harvested.stamp, threshold, n_tiles, n_failed, reasons, pictures)


def _sightings(one: OpenScene, entries: Sequence[Entry]) -> gpd.GeoDataFrame:
    """Sightings of a scene; what a tile saw outside the region is dropped, so that tiles leave no trace."""
    import shapely

    from pipelines.engine.parcels import unpack_sightings

    grid = one.scene.grid
    table = unpack_sightings([entry.sightings for entry in entries if entry.sightings], grid.crs)
    x, y = grid.to_ground(table["col"].to_numpy(float) + 0.5, table["row"].to_numpy(float) + 0.5)
    inside = table[shapely.contains_xy(one.region, x, y)]
    order = ["row", "col", "class_code", "length_m", "area_m2"]
    return inside.sort_values(order, kind="stable").reset_index(drop=True)


def _coverage(job: Job, opened: Opened, one: OpenScene, entries: Sequence[Entry]) -> gpd.GeoDataFrame:
    from pipelines.engine.parcels import unpack_cells
    from survey.api import scene_coverage, what_is_sought

    blocks = [unpack_cells(entry.cells) for entry in entries if entry.cells]
    failed = [entry for entry in entries if entry.state in ("failed", "unread")]
    unread = [(entry.tile, entry.reason) for entry in failed if entry.tile.level == one.finest.level]
    sought = what_is_sought(opened.model, job.detection, job.visibility)
    pieces = scene_coverage(one.scene, one.finest, blocks, unread, one.region, sought)
    for a_pass in one.passes:
        lost = [entry.tile for entry in failed if entry.tile.level == a_pass.level]
        if lost and not a_pass.finest:
            pieces = _without(pieces, _sought_by(a_pass, opened.model), _ground(lost, one.scene))
    return pieces


def _sought_by(a_pass: Pass, model: Model) -> set[str]:
    """Families that a pass looks for: without it they count as unseen."""
    from survey.hazards import classes

    diameters = {diameter for _, _, diameter in a_pass.scales}
    return {
        classes()[code].family
        for code, scales in model.scales_by_class.items()
        if code in classes() and diameters.intersection(scales)
    }


def _ground(tiles: Sequence[Tile], scene: Scene) -> Any:
    import numpy as np
    import shapely

    from survey.imagery.chips import level_grid

    shapes = []
    for tile in tiles:
        cols, rows = [tile.col0, tile.col1, tile.col1, tile.col0], [tile.row0, tile.row0, tile.row1, tile.row1]
        grid = level_grid(scene, tile.level)
        shapes.append(shapely.Polygon(np.column_stack(grid.to_ground(np.array(cols, float), np.array(rows, float)))))
    return shapely.union_all(shapes)


def _without(pieces: gpd.GeoDataFrame, families: set[str], ground: Any) -> gpd.GeoDataFrame:
    """Take families away from what could be seen on some ground."""
    import pandas as pd
    import shapely

    from survey.layers import COVERAGE_PIECES, conform

    seen = (pieces["status"] == "analysed") & shapely.intersects(pieces.geometry.to_numpy(), ground)
    inside, outside = pieces[seen].copy(), pieces[seen].copy()
    inside["families"] = [
        ";".join(one for one in text.split(";") if one not in families) for text in inside["families"]
    ]
    inside["geometry"] = _polygons(shapely.intersection(inside.geometry.to_numpy(), ground))
    outside["geometry"] = _polygons(shapely.difference(outside.geometry.to_numpy(), ground))
    parts = pd.concat([pieces[~seen], outside, inside], ignore_index=True)
    return conform(parts[~parts.geometry.is_empty].reset_index(drop=True), COVERAGE_PIECES, crs=pieces.crs)


def _polygons(shapes: Any) -> list[Any]:
    import shapely

    return [
        shapely.MultiPolygon([part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"])
        for shape in shapes
    ]


def _context(job: Job, opened: Opened) -> Any:
    from survey.contamination.assessment import Context

    return Context(
        area_of_interest=opened.area_of_interest, evidence=_evidence(job), land_cover=read_land_cover(job.terrain)
    )


def _evidence(job: Job) -> gpd.GeoDataFrame | None:
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
    import pyogrio

    from survey.errors import JobError

    try:
        table = gpd.read_file(path, **({"layer": layer} if layer else {}))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError, ValueError) as error:
        raise JobError(f"{where} {path} cannot be read ({error}). Name a vector file.") from error
    if not isinstance(table, gpd.GeoDataFrame):
        raise JobError(f"{where} {path} has no geometry. Name a vector file with points or polygons.")
    return table


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
    _evidence(job)
    read_land_cover(job.terrain)


def asked_of_pixels(job: Job, model: Model) -> dict[str, Any]:
    """Return what the journal's results of pixels depend on besides the imagery."""
    return {
        "model": model.digest,
        "detection": job.detection.model_dump(mode="json"),
        "visibility": job.visibility.of_pixels,
    }


def _with_statuses(job: Job, layers: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the hazard areas with the state of work that the ledger's records give them; without one, as they are."""
    if job.ledger.path is None:
        return layers["hazard_areas"]
    from pipelines.ledger_survey import with_statuses

    return with_statuses(job.ledger, layers["hazard_areas"], layers["districts"])


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


def scene_to_json(scene: Scene) -> dict[str, Any]:
    """Return a scene as JSON has it, so that the map plane needs no imagery at hand."""
    table = asdict(scene)
    table["acquired_at"] = None if scene.acquired_at is None else scene.acquired_at.isoformat()
    return table


def scene_from_json(table: dict[str, Any]) -> Scene:
    """Return the scene that :func:`scene_to_json` wrote."""
    from survey.imagery.grid import Grid
    from survey.imagery.scene import Scene

    grid = table["grid"]
    acquired = table["acquired_at"]
    return Scene(
        **{
            **table,
            "grid": Grid(grid["crs"], tuple(grid["transform"]), grid["width"], grid["height"]),
            "bands": tuple((role, number) for role, number in table["bands"]),
            "stretch": tuple((low, high) for low, high in table["stretch"]),
            "levels": tuple((width, height) for width, height in table["levels"]),
            "block": tuple(table["block"]),
            "acquired_at": None if acquired is None else datetime.fromisoformat(acquired),
        }
    )


def _journal_of(job: Job) -> Journal:
    from pipelines.engine.journal import NAME, Journal
    from survey.errors import JournalError

    if not (job.job.output / NAME).exists():
        raise JournalError(f"{job.job.output} holds no journal: nothing was surveyed yet. Use `survey run` first.")
    return Journal(job.job.output, job.job.name)


def reopened(job: Job, journal: Journal) -> Opened:
    """Return what the journal knows of a job, with districts and map settings as the job file has them now.

    Raises
    ------
    JournalError
        No run has finished, or what the pixels' results depend on has changed since.
    """
    import shapely

    from pipelines.opening import Opened, OpenScene, Refused, choose_model, read_area_of_interest, read_districts
    from survey.api import passes, region_of
    from survey.errors import JournalError

    kept = journal.get("opened")
    if kept is None or not journal.get("complete", False):
        raise JournalError(f"{journal.path}: the survey is not finished. `survey run` goes on where it stopped.")
    scenes = [scene_from_json(one["scene"]) for one in kept["scenes"]]
    identities = [one["identity"] for one in kept["scenes"]]
    model = choose_model(job, scenes)
    asked = asked_of_pixels(job, model)
    if asked != kept["depends"]:
        what = " and ".join(key for key in asked if asked[key] != kept["depends"].get(key))
        raise JournalError(
            f"The {what} changed since {journal.path} was written; that touches pixels: use `survey run`."
        )
    districts, interest = read_districts(job), read_area_of_interest(job)
    opened = []
    for scene, identity in zip(scenes, identities, strict=True):
        scene = replace(scene, position_error_m=job.imagery.position_error_m)
        region = region_of(scene, districts, interest)
        if shapely.intersects(region, scene.grid.outline()):
            opened.append(OpenScene(scene, passes(scene, model, job.detection), region, identity))
    refused = tuple(Refused(**one) for one in kept["refused"])
    missing = unsurveyed(opened, journal)
    if missing:
        raise JournalError(
            f"The districts or the area of interest now reach ground that was not surveyed ({missing} tiles). "
            "`survey run` does just that."
        )
    return Opened(tuple(opened), refused, (), districts, interest, model)


def unsurveyed(scenes: Sequence[OpenScene], journal: Journal) -> int:
    """Count the tiles of a job that the journal has nothing of."""
    from pipelines.walk import plan_walk

    return len(plan_walk(scenes, journal).tasks)
