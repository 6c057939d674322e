"""``survey sample``: a small job that runs as it is, to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_LEFT_OUT = {"out", "__pycache__"}


def command(
    folder: Annotated[Path, typer.Argument(help="Folder to write it into; must be new or empty.", show_default=False)],
) -> None:
    """Write the sample job: drawn imagery, districts, terrain, labels, truth and job.toml.

    Example: survey sample my-first-survey
    """
    job = write_sample(folder)
    typer.echo(f"{job}\nRun it: survey run {job}")


def write_sample(folder: Path) -> Path:
    """Copy the sample job into a folder that is new or empty; returns its job file.

    Raises
    ------
    OutputError
        The folder holds something, or cannot be written to.
    """
    import shutil

    from survey.errors import OutputError

    source = sample_source()
    try:
        if folder.exists() and any(folder.iterdir()):
            raise OutputError(f"{folder} is not empty. Name a new folder, so that nothing of yours is written over.")
        for path in sorted(source.rglob("*")):
            inside = path.relative_to(source)
            if path.is_file() and not _LEFT_OUT.intersection(inside.parts) and not path.name.endswith(".aux.xml"):
                (folder / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, folder / inside)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"The sample cannot be written to {folder} ({error.strerror}). Choose another folder."
        ) from error
    return folder / "job.toml"


def sample_source() -> Path:
    """Folder of the sample: in the installed package, or in the checkout."""
    here = Path(__file__).parent
    packaged = here / "sample_job"
    return packaged if packaged.exists() else here.parent / "data" / "sample"
