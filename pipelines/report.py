"""``survey report``: ``report.html`` and ``survey.qgs`` again, from the outputs of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from survey.exports.report_map import Thumbnail


def command(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT_DIR", help="Output folder of a run.", show_default=False)],
) -> None:
    """Write report.html and survey.qgs again from the outputs of a run.

    Example: survey report out/fuzuli-2026-04
    """
    for path in report(output):
        typer.echo(str(path))


def report(output: Path) -> tuple[Path, Path]:
    """Write ``report.html`` and ``survey.qgs`` from what lies beside them; no imagery is read.

    Parameters
    ----------
    output : Path
        Output folder of a run: ``survey.gpkg`` (with its chips), ``run.json``, and ``journal.sqlite`` for the
        thumbnails, where it is still there.

    Returns
    -------
    report, project : Path

    Raises
    ------
    OutputError
        The folder holds no whole result, or cannot be written to.
    """
    from pipelines.results import images_of, is_address, read_result
    from survey.exports import geopackage
    from survey.exports.project import write_project
    from survey.exports.report import write_report
    from survey.layers import OUTPUT_LAYERS

    source = output / "survey.gpkg"
    layers, record = read_result(output, OUTPUT_LAYERS)
    page, project = output / "report.html", output / "survey.qgs"
    write_report(page, layers, record, chips=geopackage.read_chips(source), thumbnails=_thumbnails(output))
    images = [path for path in images_of(record, output) if is_address(path) or path.exists()]
    write_project(project, source, layers, images, title=str(record.get("name") or "Survey"))
    return page, project


def _thumbnails(output: Path) -> list[Thumbnail]:
    import base64
    import json
    from contextlib import closing

    from pipelines.engine.journal import peek
    from survey.exports.report_map import Thumbnail

    journal = peek(output)
    if journal is None:
        return []
    with closing(journal):
        row = journal.execute("SELECT value FROM meta WHERE key='thumbnails'").fetchone()
    return [Thumbnail(base64.b64decode(one[0]), *one[1:]) for one in json.loads(row[0])] if row else []
