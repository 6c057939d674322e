"""What a run keeps of its job in the journal, and the job as later commands find it there, with no imagery at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.engine.journal import Journal
    from pipelines.opening import Opened, OpenScene
    from survey.api import ModelFile
    from survey.imagery.scene import Scene
    from survey.settings import Job


def remember(job: Job, opened: Opened, journal: Journal) -> None:
    """Keep in the journal what the map plane needs when the imagery is not at hand."""
    from survey.provenance import plain

    journal.set("complete", False)
    kept = {
        "scenes": [{"scene": scene_to_json(place.scene), "identity": dict(place.identity)} for place in opened.scenes],
        "refused": [asdict(one) for one in opened.refused],
        "depends": asked_of_pixels(job, opened.model),
    }
    journal.set("opened", plain(kept))


def reopened(job: Job, journal: Journal) -> Opened:
    """Return what the journal knows of a job, with districts and map settings as the job file has them now.

    Raises
    ------
    JournalError
        No run has finished, or what the pixels' results depend on has changed since.
    """
    import shapely

    from pipelines.engine.journal_damage import journal_errors
    from pipelines.opening import Opened, OpenScene, Refused, choose_model, read_area_of_interest, read_districts
    from survey.api import passes, region_of
    from survey.errors import JournalError

    kept = journal.get("opened")
    if kept is None or not journal.get("complete", False):
        raise JournalError(f"{journal.path}: the survey is not finished. `survey run` goes on where it stopped.")
    with journal_errors(journal.path):
        scenes = [scene_from_json(one["scene"]) for one in kept["scenes"]]
        identities = [one["identity"] for one in kept["scenes"]]
        refused = tuple(Refused(**one) for one in kept["refused"])
        before = dict(kept["depends"])
    lost = [scene.name for scene in scenes if scene.name not in journal.scenes()]
    if lost:
        raise JournalError(
            f"{journal.path} is damaged (it has no tiles of {lost[0]!r:.80}). Start over with --restart."
        )
    model = choose_model(job, scenes)
    asked = asked_of_pixels(job, model)
    if asked != before:
        what = " and ".join(key for key in asked if asked[key] != before.get(key))
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
    missing = unsurveyed(opened, journal)
    if missing:
        raise JournalError(
            f"The districts or the area of interest now reach ground that was not surveyed ({missing} tiles). "
            "`survey run` does just that."
        )
    return Opened(tuple(opened), refused, (), districts, interest, model)


def journal_of(job: Job) -> Journal:
    """Open the journal of a job that was surveyed before.

    Raises
    ------
    JournalError
        There is none.
    """
    from pipelines.engine.journal import NAME, Journal
    from survey.errors import JournalError

    if not (job.job.output / NAME).exists():
        raise JournalError(f"{job.job.output} holds no journal: nothing was surveyed yet. Use `survey run` first.")
    return Journal(job.job.output, job.job.name)


def unsurveyed(scenes: Sequence[OpenScene], journal: Journal) -> int:
    """Count the tiles of a job that the journal has nothing of."""
    from pipelines.walk import plan_walk

    return plan_walk(scenes, journal).left


def asked_of_pixels(job: Job, model: ModelFile) -> dict[str, Any]:
    """Return what the journal's results of pixels depend on besides the imagery."""
    return {
        "model": model.digest,
        "detection": job.detection.model_dump(mode="json"),
        "visibility": job.visibility.of_pixels,
    }


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
