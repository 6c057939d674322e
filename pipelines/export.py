"""``survey export``: hand-over packages from the outputs of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT_DIR", help="Output folder of a run.", show_default=False)],
    to: Annotated[Path, typer.Option(help="New folder for the package.", show_default=False)],
    profile: Annotated[
        str,
        typer.Option(help="restricted: every layer in open formats; public: districts, no places; imsma: for IMSMA."),
    ] = "restricted",
) -> None:
    """Write a hand-over package: restricted, public or imsma.

    Example: survey export out/fuzuli-2026-04 --profile public --to handover/public
    """
    for path in export(output, profile, to):
        typer.echo(str(path))


def export(output: Path, profile: str, to: Path) -> list[Path]:
    """Write a hand-over package from the outputs of a run.

    Parameters
    ----------
    output : Path
        Output folder of a run.
    profile : str
        ``restricted``, ``public`` or ``imsma``.
    to : Path
        New or empty folder.

    Returns
    -------
    list of Path

    Raises
    ------
    JobError
        No such profile, or the folder holds something.
    OutputError
        The outputs are missing, or the package cannot be written.
    """
    import json
    from typing import cast

    from survey.errors import OutputError
    from survey.exports import geopackage, profiles
    from survey.layers import OUTPUT_LAYERS

    run = output / "run.json"
    if not run.exists():
        raise OutputError(f"{output} holds no run.json: it is no output folder of a run. `survey run` makes one.")
    record = json.loads(run.read_text(encoding="utf-8"))
    wanted = [layer for layer in OUTPUT_LAYERS if profile != "public" or layer.name == "districts"]
    layers = {layer.name: geopackage.read(output / "survey.gpkg", layer) for layer in wanted}
    return profiles.export(cast("profiles.Profile", profile), layers, record, to)
