"""``survey plan``: what would run, what the imagery can show, and what is refused and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipelines.opening import Opened
    from survey.settings import Job

_SECONDS_PER_MEGAPIXEL = 1.2
"""Time of one worker; measured on the sample, 2 cores. A job that has run gives its own."""


def command(
    job: Annotated[Path | None, typer.Argument(metavar="JOB", help="The job file (TOML).", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    json_schema: Annotated[bool, typer.Option("--json-schema", help="Print the JSON Schema of job files.")] = False,
) -> None:
    """Say what a run would do, without running it.

    Example: survey plan data/sample/job.toml
    """
    from survey.settings import Job, read_job

    if json_schema:
        typer.echo(json.dumps(Job.model_json_schema(), indent=2))
        return
    if job is None:
        raise typer.BadParameter("name a job file, or ask for --json-schema", param_hint="JOB")
    from pipelines.map_settings import check_map_settings
    from pipelines.opening import open_job
    from survey.api import load_model

    read = read_job(job)
    check_map_settings(read)
    opened = open_job(read)
    # A model that would be refused later is refused now.
    load_model(read.model.path, opened.model.roles)
    plan = make_plan(read, opened)
    if as_json:
        typer.echo(json.dumps(plan, indent=2, allow_nan=False))
    else:
        show(plan)
    raise typer.Exit(3 if opened.refused else 0)


def make_plan(job: Job, opened: Opened) -> dict[str, Any]:
    """Return what a run would do, as JSON has it.

    Returns
    -------
    dict
        ``scenes`` (name, path, crs, size, gsd_cm, hectares, hectares_by_district, tiles, passes, classes_resolved,
        classes_not_resolved), ``refused``, ``outside``, ``model``, ``threshold``, ``tiles``, ``hectares_by_district``,
        ``estimate_seconds``, ``output``.
    """
    import os

    from pipelines.opening import threshold_of
    from pipelines.outputs import _crs_name
    from survey.api import wanted_classes

    scenes = []
    pixels = 0
    for place in opened.scenes:
        scene = place.scene
        steps = list(place.tiles(job.execution.tiling))
        pixels += sum((tile.row1 - tile.row0) * (tile.col1 - tile.col0) for _, tile in steps)
        resolved = wanted_classes(opened.model, job.detection, scene.grid.gsd_cm)
        scenes.append(
            {
                "name": scene.name,
                "path": scene.path,
                "crs": _crs_name(scene.grid.crs),
                "width": scene.grid.width,
                "height": scene.grid.height,
                "bands": list(scene.roles),
                "gsd_cm": scene.grid.gsd_cm,
                "hectares_by_district": _hectares(place.region.intersection(scene.grid.outline()), scene, opened),
                "passes": len(place.passes),
                "tiles": len(steps),
                "classes_resolved": list(resolved),
                "classes_not_resolved": [
                    code for code in wanted_classes(opened.model, job.detection, 0.0) if code not in resolved
                ],
            }
        )
    workers = job.execution.workers or os.cpu_count() or 1
    return {
        "job": job.job.name,
        "output": str(job.job.output),
        "model": {"version": opened.model.version, "roles": list(opened.model.roles)},
        "threshold": threshold_of(job, opened.model),
        "scenes": scenes,
        "refused": [{"image": one.path, "reason": one.reason} for one in opened.refused],
        "outside": [scene.path for scene in opened.outside],
        "hectares_by_district": _joined_hectares(opened),
        "tiles": sum(scene["tiles"] for scene in scenes),
        "workers": workers,
        "estimate_seconds": round(pixels / 1e6 * (_measured(job) or _SECONDS_PER_MEGAPIXEL) / workers, 1),
    }


def _hectares(footprint: Any, scene: Any, opened: Opened) -> dict[str, float]:
    import geopandas as gpd

    return _by_district(gpd.GeoSeries([footprint], crs=scene.grid.crs).to_crs("EPSG:4326").iloc[0], opened)


def _joined_hectares(opened: Opened) -> dict[str, float]:
    """Hectares of imagery by district, ground that several images show counted once."""
    import geopandas as gpd
    import shapely

    parts = [
        gpd.GeoSeries([place.region.intersection(place.scene.grid.outline())], crs=place.scene.grid.crs)
        .to_crs("EPSG:4326")
        .iloc[0]
        for place in opened.scenes
    ]
    return _by_district(shapely.union_all(parts), opened)


def _by_district(footprint: Any, opened: Opened) -> dict[str, float]:
    import geopandas as gpd
    import shapely

    from survey.contamination.plane import Plane

    districts = opened.districts
    ground = gpd.GeoSeries([footprint], crs="EPSG:4326")
    plane = Plane.around([gpd.GeoDataFrame(geometry=ground)])
    flat = plane.project(ground, "the imagery")[0]
    near = districts[districts.intersects(ground.to_crs(districts.crs).iloc[0])]
    names = near["district_name"].astype(str)
    shapes = plane.project(near.geometry, "the districts")
    areas = shapely.area(shapely.intersection(shapes, flat)) / 1e4
    found = {name: round(float(area), 4) for name, area in zip(names, areas, strict=True)}
    outside = float(flat.area) / 1e4 - sum(found.values())
    return found | ({"outside every district": round(outside, 4)} if outside > 0.0005 else {})


def _measured(job: Job) -> float | None:
    """Seconds a megapixel takes one worker, from the journal of the job, where there is one."""
    from pipelines.engine.journal import peek

    database = peek(job.job.output)
    if database is None:
        return None
    try:
        seconds, pixels = database.execute(
            "SELECT SUM(seconds), SUM((row1 - row0) * (col1 - col0)) FROM tiles WHERE state = 'done'"
        ).fetchone()
    finally:
        database.close()
    return seconds / pixels * 1e6 if pixels else None


def show(plan: dict[str, Any]) -> None:
    """Print the plan as tables."""
    import sys

    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from pipelines.progress import clock

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(
        f"Job {escape(plan['job'])}: model {escape(plan['model']['version'])} ({', '.join(plan['model']['roles'])}), "
        f"threshold {plan['threshold']:g}, outputs in {escape(plan['output'])}"
    )
    table = Table(title="Imagery", box=SIMPLE, pad_edge=False)
    for heading in ("image", "CRS", "pixels", "GSD cm", "ha in districts", "passes", "tiles"):
        table.add_column(heading, justify="left" if heading in ("image", "CRS") else "right")
    for scene in plan["scenes"]:
        inside = sum(v for k, v in scene["hectares_by_district"].items() if k != "outside every district")
        table.add_row(
            escape(scene["name"]), scene["crs"], f"{scene['width']} x {scene['height']}", f"{scene['gsd_cm']:.2f}",
            f"{inside:.2f}", str(scene["passes"]), str(scene["tiles"]),
        )  # fmt: skip
    console.print(table)
    for name, hectares in plan["hectares_by_district"].items():
        console.print(f"  {escape(name)}: {hectares:.2f} ha of imagery")
    groups: dict[tuple[str, ...], list[str]] = {}
    for scene in plan["scenes"]:
        groups.setdefault(tuple(scene["classes_not_resolved"]), []).append(scene["name"])
    for missing, names in groups.items():
        which = names[0] if len(names) == 1 else f"{len(names)} images"
        text = f"cannot show {', '.join(missing)}" if missing else "can show every class that is wanted"
        console.print(f"  {escape(which)} {text}")
    for one in plan["refused"]:
        console.print(f"Refused: {escape(one['reason'])}")
    for path in plan["outside"]:
        console.print(f"Outside the districts, not read: {escape(path)}")
    console.print(
        f"{plan['tiles']} tiles, about {clock(plan['estimate_seconds'])} with {plan['workers']} "
        f"worker{'s' * (plan['workers'] != 1)}. Run it: survey run JOB"
    )
