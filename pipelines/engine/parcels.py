"""What a worker sends back for one tile: small bytes that the journal keeps as they are."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from survey.api import Model, ModelFile, Pass, Scene, load_model, survey_damaged_tile, survey_tile
from survey.detection.lines import POST
from survey.errors import JournalError, ModelError
from survey.imagery.levels import keep_levels
from survey.imagery.salvage import Unread
from survey.imagery.samples import Sample
from survey.imagery.tiles import Tile
from survey.imagery.visibility import MEASURES, CellBlock, Visibility
from survey.layers import SIGHTINGS, conform

_CELLS = struct.Struct("<qqqq")
_SAMPLE = struct.Struct("<qqqqq")

_AHEAD: dict[tuple[str | None, str], Model] = {}
"""Models that were loaded before they were asked for, by path and digest."""


@dataclass(frozen=True)
class ModelRef:
    """A model by name: small enough to be sent with every tile; workers load it once.

    Attributes
    ----------
    path : str or None
        As in ``[model] path``; None for the shipped one.
    roles : tuple of str
        Band roles it was chosen for.
    digest : str
        Of the model the job was planned with.
    """

    path: str | None
    roles: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class Task:
    """One tile to be surveyed, by path and window; ``by_block`` where it failed and what can be read is wanted."""

    scene: Scene
    a_pass: Pass
    tile: Tile
    model: ModelRef
    visibility: Visibility
    by_block: bool = False


@dataclass(frozen=True)
class Parcel:
    """What one tile gave, packed.

    Attributes
    ----------
    n_sightings : int
        Posts, which may be nothing, not counted.
    probabilities : tuple of float
        Of these, for the progress bar.
    sightings, cells : bytes or None
    seconds : float
    unread : tuple of Unread
        Blocks that could not be read, in the tile or around it.
    sample : bytes or None
        Some of its pixels, for a picture of the scene.
    """

    n_sightings: int
    probabilities: tuple[float, ...]
    sightings: bytes | None
    cells: bytes | None
    seconds: float
    unread: tuple[Unread, ...] = ()
    sample: bytes | None = None


def survey_one(task: Task) -> Parcel:
    """Survey a tile, keep levels that are made of it, and pack what it gave (runs in a worker).

    Raises
    ------
    ImageryError
        Pixels cannot be read.
    ModelError
        The model is not the one the job was planned with.
    """
    survey = survey_damaged_tile if task.by_block else survey_tile
    result = survey(task.scene, task.a_pass, task.tile, model_of(task.model), task.visibility)
    if task.scene.kept is not None and not result.unread:
        keep_levels(Path(task.scene.kept), result.reduced, task.model.roles)
    table = result.sightings
    told = table.loc[table["class_code"] != POST, "probability"]
    return Parcel(
        len(told),
        tuple(told.tolist()),
        pack_sightings(table) if len(table) else None,
        None if result.cells is None else pack_cells(result.cells),
        result.seconds,
        result.unread,
        None if result.sample is None else pack_sample(result.sample),
    )


def load_ahead(path: str | None, roles: Sequence[str]) -> None:
    """Load the model that a job will ask for, before this process makes workers: they then share it.

    Raises
    ------
    ModelError
        It is refused.
    """
    model = load_model(path, roles)
    _AHEAD[None if path is None else model.path, model.digest] = model


@lru_cache(maxsize=2)
def model_of(ref: ModelRef) -> Model:
    """Load a model once per process.

    Raises
    ------
    ModelError
        It is refused, or not the one the job was planned with.
    """
    if (ref.path, ref.digest) in _AHEAD:
        return _AHEAD[ref.path, ref.digest]
    model = load_model(ref.path, ref.roles)
    if model.digest != ref.digest:
        raise ModelError(
            f"Model {ref.path or 'shipped with the package'} changed since the job was planned, or differs on this "
            "worker. Run the job again."
        )
    return model


def pack_sightings(table: gpd.GeoDataFrame) -> bytes:
    """Sightings as an Arrow stream, geometry as WKB."""
    plain = pd.DataFrame(table.drop(columns="geometry")).reset_index(drop=True)
    arrow = pa.Table.from_pandas(plain, preserve_index=False)
    arrow = arrow.append_column("geometry", pa.array(shapely.to_wkb(table.geometry.to_numpy()), pa.binary()))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, arrow.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(arrow)
    return bytes(sink.getvalue())


def unpack_sightings(parcels: Iterable[bytes], crs: Any) -> gpd.GeoDataFrame:
    """One table in layer ``SIGHTINGS`` from what the tiles of a scene gave.

    Raises
    ------
    JournalError
        They are not what was packed.
    """
    try:
        tables = [pa.ipc.open_stream(data).read_all() for data in parcels]
        if not tables:
            return SIGHTINGS.empty(crs)
        frame = pa.concat_tables([table.replace_schema_metadata(None) for table in tables]).to_pandas()
        geometry = gpd.GeoSeries(shapely.from_wkb(frame.pop("geometry").to_numpy()), crs=crs)
        return conform(gpd.GeoDataFrame(frame, geometry=geometry, crs=crs), SIGHTINGS, crs=crs)
    except (pa.ArrowException, shapely.errors.ShapelyError, OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged("sightings", error) from error


def pack_cells(block: CellBlock) -> bytes:
    """Coverage cells of a tile, compressed."""
    head = _CELLS.pack(block.row, block.col, *block.codes.shape)
    return head + zlib.compress(np.concatenate([block.codes[None], block.measures]).tobytes(), 6)


def unpack_cells(data: bytes, shape: tuple[int, int]) -> CellBlock:
    """Coverage cells of a tile, inside the ``shape`` of the scene's.

    Raises
    ------
    JournalError
        They are not what was packed.
    """
    try:
        row, col, rows, cols = _CELLS.unpack_from(data)
        if min(row, col, rows, cols) < 0 or row + rows > shape[0] or col + cols > shape[1]:
            raise ValueError(f"rows {row}-{row + rows}, columns {col}-{col + cols} of {shape[0]} x {shape[1]}")
        planes = np.frombuffer(zlib.decompress(data[_CELLS.size :]), np.uint8).reshape(1 + MEASURES, rows, cols)
    except (struct.error, zlib.error, ValueError) as error:
        raise _damaged("coverage cells", error) from error
    return CellBlock(row, col, planes[0], planes[1:])


def pack_sample(sample: Sample) -> bytes:
    """Some pixels of a tile, compressed."""
    return _SAMPLE.pack(sample.row, sample.col, *sample.pixels.shape) + zlib.compress(sample.pixels.tobytes(), 1)


def unpack_sample(data: bytes) -> Sample:
    """Some pixels of a tile.

    Raises
    ------
    JournalError
        They are not what was packed.
    """
    try:
        row, col, *shape = _SAMPLE.unpack_from(data)
        if min(row, col, *shape) < 0:
            raise ValueError(f"row {row}, column {col}, shape {shape}")
        return Sample(row, col, np.frombuffer(zlib.decompress(data[_SAMPLE.size :]), np.uint8).reshape(shape))
    except (struct.error, zlib.error, ValueError) as error:
        raise _damaged("pixels for a picture", error) from error


def _damaged(what: str, error: Exception) -> JournalError:
    return JournalError(
        f"The journal holds {what} that are damaged ({type(error).__name__}: {' '.join(str(error).split())[:200]}). "
        "Start over with --restart; the damaged file is kept aside."
    )


def as_ref(path: Path | None, model: ModelFile) -> ModelRef:
    """Reference to a model."""
    return ModelRef(None if path is None else str(path), model.roles, model.digest)
