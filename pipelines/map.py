"""``survey map``: the map plane alone, from the journal; no pixel is read."""

from __future__ import annotations

from dataclasses import dataclass
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
    from survey.api import ModelFile, Pass
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
    from pipelines.reopening import journal_of, reopened
    from survey.settings import read_job

    read = read_job(job, reads_imagery=False)
    watch = watch_for(as_json=as_json)
    with journal_of(read) as journal:
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
    from pipelines.map_settings import settings_digest
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
        model=model,
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
    from survey.imagery.pieces import cells_shape

    shape = cells_shape(one.scene, one.finest.level)
    blocks = [unpack_cells(entry.cells, shape) for entry in entries if entry.cells]
    failed = [entry for entry in entries if entry.state in ("failed", "unread")]
    unread = [(entry.tile, entry.reason) for entry in failed if entry.tile.level == one.finest.level]
    sought = what_is_sought(opened.model, job.detection, job.visibility)
    pieces = scene_coverage(one.scene, one.finest, blocks, unread, one.region, sought)
    for a_pass in one.passes:
        lost = [entry.tile for entry in failed if entry.tile.level == a_pass.level]
        if lost and not a_pass.finest:
            pieces = _without(pieces, _sought_by(a_pass, opened.model), _ground(lost, one.scene))
    return pieces


def _sought_by(a_pass: Pass, model: ModelFile) -> set[str]:
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
    from pipelines.map_settings import read_evidence, read_land_cover
    from survey.contamination.assessment import Context

    return Context(
        area_of_interest=opened.area_of_interest, evidence=read_evidence(job), land_cover=read_land_cover(job.terrain)
    )


def _with_statuses(job: Job, layers: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the hazard areas with the state of work that the ledger's records give them; without one, as they are."""
    if job.ledger.path is None:
        return layers["hazard_areas"]
    from pipelines.ledger_survey import with_statuses

    return with_statuses(job.ledger, layers["hazard_areas"], layers["districts"])
