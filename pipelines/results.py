"""The output folder of a run as later commands read it: its layers, its ``run.json``, and the images that names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from survey.layers import Layer


def read_record(folder: Path) -> dict[str, Any]:
    """Read ``run.json`` of an output folder.

    Raises
    ------
    OutputError
        There is none, or it is damaged.
    """
    from survey.errors import OutputError

    path = folder / "run.json"
    if not path.exists():
        raise OutputError(f"{folder} holds no run.json: it is no output folder of a run. `survey run` makes one.")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("it is no JSON object")
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} is damaged: {error}. `survey map` writes it again; no pixel is read.") from error
    return record


def read_result(folder: Path, wanted: Iterable[Layer]) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Read layers, by name, and ``run.json`` of an output folder.

    Raises
    ------
    OutputError
        The folder holds no whole result.
    """
    from survey.exports import geopackage

    record = read_record(folder)
    return {layer.name: geopackage.read(folder / "survey.gpkg", layer) for layer in wanted}, record


def images_of(record: Mapping[str, Any], folder: Path) -> list[Path]:
    """Images that a run surveyed, as its ``run.json`` lists them, seen from the output folder."""
    paths = [Path(str(one["path"])) for one in record.get("imagery", []) if one.get("status", "surveyed") == "surveyed"]
    return [path if path.is_absolute() or is_address(path) else folder / path for path in paths]


def is_address(path: Path | str) -> bool:
    """Tell whether an image lies far away, or inside another file."""
    return Path(path).as_posix().startswith(("/vsi", "http:", "https:"))
