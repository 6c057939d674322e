"""``survey export``: hand-over packages from the outputs of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT_DIR", help="Output folder of a run.", show_default=False)],
    to: Annotated[
        str,
        typer.Option(
            help="New folder for the package, or a PostGIS database: postgresql://user@host/name.", show_default=False
        ),
    ],
    profile: Annotated[
        str,
        typer.Option(help="restricted: every layer in open formats; public: districts, no places; imsma: for IMSMA."),
    ] = "restricted",
    schema: Annotated[str, typer.Option(help="Schema of the tables, in a database.")] = "survey",
) -> None:
    """Write a hand-over package: restricted, public or imsma.

    Example: survey export out/fuzuli-2026-04 --profile public --to handover/public
    """
    from pipelines.database import export_to_database, is_database

    if is_database(to):
        for name, rows in export_to_database(output, profile, to, schema).items():
            typer.echo(f"{schema}.{name}: {rows} rows")
        return
    for path in export(output, profile, Path(to)):
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
    from typing import cast

    from pipelines.results import read_result
    from survey.exports import profiles
    from survey.layers import OUTPUT_LAYERS

    wanted = [layer for layer in OUTPUT_LAYERS if profile != "public" or layer.name == "districts"]
    layers, record = read_result(output, wanted)
    return profiles.export(cast("profiles.Profile", profile), layers, record, to)
