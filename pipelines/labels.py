"""Read what people labelled or judged: label files of any common vector format, and reviewed results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray

from survey.errors import JobError, LayerError, OutputError
from survey.exports.geopackage import read
from survey.exports.reviews import harvest
from survey.layers import CANDIDATES, HAZARD_OBJECTS
from survey.vectors import VECTOR_FAULTS

_CRS = "EPSG:4326"
_COLUMNS = ("image", "occlusion", "object_id", "reviewer_role", "reviewed_at", "reason")
CONFIRMED, REJECTED = "confirmed", "rejected"


def read_labels(path: Path, layer: str | None, site_fields: Sequence[str]) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Read labels, or the verdicts in a reviewed ``survey.gpkg``.

    Parameters
    ----------
    path : Path
        GeoPackage, GeoJSON, Shapefile: points or polygons with ``class_code``; or a result of ``survey run``.
    layer : str, optional
        Default: ``labels`` where there is one, else the only layer.
    site_fields : sequence of str
        Columns that together name the site, as far as they are there.

    Returns
    -------
    labels : GeoDataFrame
        EPSG:4326; ``row``, ``class_code``, ``verdict`` (confirmed or rejected), ``site`` and what else is known.
    notes : list of str
        What the user should know of it.

    Raises
    ------
    LayerError
        A layer or column is missing, or the layer has no CRS.
    OutputError
        The file cannot be read, or another program holds it.
    """
    layers = _layers(path)
    if layer is None and HAZARD_OBJECTS.name in layers:
        return _verdicts(path)
    table = _read(path, _choose(path, layers, layer, "labels"))
    if "class_code" not in table.columns:
        held = ", ".join(str(name) for name in table.columns if name != "geometry")
        raise LayerError(
            f"{path} has no column 'class_code' (it has {held or 'none'}). Rename the column that names the class."
        )
    labels = gpd.GeoDataFrame(
        {"row": np.arange(len(table)), "class_code": [_text(one) for one in table["class_code"]], "verdict": CONFIRMED},
        geometry=table.geometry.to_numpy(),
        crs=table.crs,
    )
    labels["site"] = _sites(table, site_fields)
    for name in _COLUMNS:
        labels[name] = table[name].to_numpy() if name in table.columns else None
    labels["source"] = path.name
    moment = datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(microsecond=0)
    labels["reviewed_at"] = pd.to_datetime(labels["reviewed_at"], utc=True, errors="coerce").fillna(moment)
    labels["occlusion"] = pd.to_numeric(labels["occlusion"], errors="coerce")
    return labels.to_crs(_CRS), []


def read_reviewed(path: Path, layer: str | None, site_fields: Sequence[str]) -> gpd.GeoDataFrame:
    """Read polygons inside which everything was looked at; EPSG:4326, with ``site`` and ``image`` where known.

    Raises
    ------
    LayerError, OutputError
    """
    table = _read(path, _choose(path, _layers(path), layer, "reviewed"))
    polygonal = shapely.get_dimensions(table.geometry.to_numpy()) == 2
    if not polygonal.all():
        raise LayerError(f"{path}: the reviewed areas must be polygons; row {int(np.argmin(polygonal))} is none.")
    reviewed = gpd.GeoDataFrame(
        {"site": _sites(table, site_fields), "image": table["image"].to_numpy() if "image" in table.columns else None},
        geometry=shapely.make_valid(table.geometry.to_numpy()),
        crs=table.crs,
    )
    return reviewed.to_crs(_CRS)


def has_layer(path: Path, name: str) -> bool:
    """Whether a vector file has a layer of this name."""
    return name in _layers(path)


def band_numbers(text: str | None) -> dict[Any, int] | None:
    """Read ``red=1,green=2,blue=3``.

    Raises
    ------
    JobError

    Examples
    --------
    >>> band_numbers("thermal=1")
    {'thermal': 1}
    """
    from survey.imagery.scene import ROLES
    from survey.settings import nearest

    if text is None:
        return None
    bands: dict[Any, int] = {}
    for part in text.split(","):
        role, _, number = (one.strip() for one in part.partition("="))
        if role not in ROLES:
            raise JobError(f"--bands has no role {role!r}; did you mean {nearest(role, ROLES)!r}? Write red=1,green=2.")
        if not number.isdigit():
            raise JobError(f"--bands {role} needs a band number, counted from 1, such as {role}=1.")
        bands[role] = int(number)
    return bands


def imagery_paths(given: Sequence[str]) -> list[str]:
    """Files that paths, patterns and folders name, each once, sorted within each.

    Raises
    ------
    JobError
        Something names no file.
    """
    import glob

    found: dict[str, None] = {}
    for one in given:
        path = Path(one)
        if path.is_dir():
            inside = sorted(
                str(file) for file in path.rglob("*") if file.suffix.lower() in (".tif", ".tiff", ".vrt", ".jp2")
            )
        elif path.exists() or one.startswith("/vsi") or "://" in one:
            inside = [one]
        else:
            inside = sorted(name for name in glob.glob(one, recursive=True) if Path(name).is_file())
        if not inside:
            raise JobError(f"{one} names no imagery. Name rasters, a pattern in quotes, or a folder that holds them.")
        found.update(dict.fromkeys(inside))
    return list(found)


def _layers(path: Path) -> list[str]:
    if not path.exists():
        raise OutputError(f"{path} does not exist. Name a file with labels, or a reviewed survey.gpkg.")
    try:
        return [str(name) for name, _ in pyogrio.list_layers(path)]
    except VECTOR_FAULTS as error:
        raise OutputError(f"{path} cannot be read as a vector file ({_one_line(error)}). Is it whole?") from error


def _choose(path: Path, layers: list[str], wanted: str | None, usual: str) -> str:
    if wanted is not None and wanted not in layers:
        raise LayerError(f"{path} has no layer {wanted!r}; it holds {', '.join(layers) or 'none'}.")
    if wanted is not None:
        return wanted
    if usual in layers:
        return usual
    if len(layers) == 1:
        return layers[0]
    raise LayerError(f"{path} holds the layers {', '.join(layers) or 'none'}; say which one with --layer.")


def _read(path: Path, layer: str) -> gpd.GeoDataFrame:
    try:
        table = gpd.read_file(path, layer=layer)
    except VECTOR_FAULTS as error:
        raise OutputError(f"Layer {layer!r} of {path} cannot be read ({_one_line(error)}). Is it whole?") from error
    if not isinstance(table, gpd.GeoDataFrame):
        raise LayerError(f"Layer {layer!r} of {path} has no geometry. Name a layer of points or polygons.")
    if table.crs is None:
        raise LayerError(f"{path} has no CRS. Save it again in QGIS with the CRS its coordinates are in.")
    return table


def _sites(table: pd.DataFrame, fields: Sequence[str]) -> NDArray[np.object_]:
    present = [name for name in fields if name in table.columns]
    if not present:
        return np.full(len(table), "", dtype=object)
    parts = [[_text(one) for one in table[name]] for name in present]
    return np.array(["/".join(row) for row in zip(*parts, strict=True)], dtype=object)


def _text(value: Any) -> str:
    return (
        "" if value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA else str(value).strip()
    )


def _verdicts(path: Path) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Verdicts of people on the objects of a result, each with the outline it has or was given."""
    found = harvest(path)
    verdicts = found.verdicts
    present = _layers(path)
    wanted = [one for one in (HAZARD_OBJECTS, CANDIDATES) if one.name in present]
    tables = [gpd.GeoDataFrame(read(path, one)).to_crs(_CRS) for one in wanted]
    objects = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    objects = objects.drop_duplicates("object_id").set_index("object_id")
    outlines = found.outlines.to_crs(_CRS).drop_duplicates("object_id", keep="last").set_index("object_id").geometry
    rows = []
    lost = 0
    for number, (object_id, said) in enumerate(verdicts.iterrows()):
        if said["verification"] not in (CONFIRMED, REJECTED):
            continue
        known = object_id in objects.index
        if object_id not in outlines.index and not known:
            lost += 1
            continue
        image = str(objects.at[object_id, "image"]) if known else None
        rows.append(
            {
                "row": number,
                "class_code": str(said["class_code"]),
                "verdict": said["verification"],
                "site": "",
                "image": image,
                "occlusion": np.nan,
                "object_id": str(object_id),
                "reviewer_role": said["reviewer_role"],
                "reviewed_at": said["reviewed_at"],
                "reason": said["reason"],
                "source": path.name,
                "geometry": outlines[object_id] if object_id in outlines.index else objects.at[object_id, "geometry"],
            }
        )
    notes = []
    if lost:
        notes.append(
            f"{lost} deleted objects of {path.name} are rejections whose outline is gone: they cannot be learned from. "
            "Set verification to rejected instead of deleting."
        )
    if not rows:
        notes.append(f"{path.name} holds no verdict (confirmed or rejected); set 'verification' in QGIS.")
        columns = ["row", "class_code", "verdict", "site", *_COLUMNS, "source"]
        return gpd.GeoDataFrame({name: [] for name in columns}, geometry=[], crs=_CRS), notes
    return gpd.GeoDataFrame(rows, geometry="geometry", crs=_CRS), notes


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
