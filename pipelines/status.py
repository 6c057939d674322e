"""``survey status``: what is done, what failed and why, and what a run would do next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from survey.settings import Job


def command(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job file (TOML).", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say how far a job is, also while it runs.

    Example: survey status data/sample/job.toml
    """
    from survey.settings import read_job

    status = status_of(read_job(job, reads_imagery=False))
    if as_json:
        typer.echo(json.dumps(status, indent=2))
        return
    typer.echo(f"Job {status['job']}: {status['state']}. {status['next']}")
    for image in status["images"]:
        failed = f", {image['failed']} tiles or parts of tiles failed ({image['reason']})" if image["failed"] else ""
        typer.echo(f"  {image['name']}: {image['done']} tiles done{failed}")
    for one in status["refused"]:
        typer.echo(f"  refused: {one['reason']}")


def status_of(job: Job) -> dict[str, Any]:
    """Return the state of a job as JSON has it: ``state``, ``images``, ``refused`` and what comes ``next``."""
    from pipelines.engine.journal import NAME, is_running, peek
    from pipelines.engine.journal_damage import journal_errors

    database = peek(job.job.output)
    if database is None:
        nothing: dict[str, Any] = {"images": [], "refused": []}
        return {"job": job.job.name, "state": "not begun", **nothing, "next": "`survey run` begins it."}
    try:
        with journal_errors(job.job.output / NAME):
            meta = {key: json.loads(value) for key, value in database.execute("SELECT key, value FROM meta")}
            rows = database.execute(
                "SELECT scenes.name, SUM(state IN ('done', 'partial')), SUM(state IN ('failed', 'unread')), "
                "MAX(CASE WHEN state IN ('failed', 'unread') THEN reason ELSE '' END) "
                "FROM scenes LEFT JOIN tiles ON tiles.scene = scenes.key GROUP BY scenes.key ORDER BY scenes.name"
            ).fetchall()
            refused = [{"reason": str(one["reason"])} | one for one in meta.get("opened", {}).get("refused", [])]
    finally:
        database.close()
    images = [
        {"name": name, "done": done or 0, "failed": failed or 0, "reason": why} for name, done, failed, why in rows
    ]
    if is_running(job.job.output):
        state, following = "running", "A run is at work."
    elif not meta.get("complete", False):
        state, following = "stopped", "`survey run` goes on where it stopped."
    elif not (job.job.output / "survey.gpkg").exists():
        state, following = "surveyed, outputs missing", "`survey map` writes the outputs."
    elif any(image["failed"] for image in images) or refused:
        state, following = "surveyed, not whole", "`survey run` tries again what failed."
    else:
        state, following = "surveyed", "`survey map` makes the layers again, without reading pixels."
    return {"job": meta.get("job"), "state": state, "images": images, "refused": refused, "next": following}
