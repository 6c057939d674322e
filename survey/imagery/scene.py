"""Open a raster, find out what its bands are, and refuse what cannot be surveyed."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import pyproj
import rasterio
from pydantic import BaseModel, ConfigDict, Field
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from survey.errors import ImageryError
from survey.imagery.grid import Grid
from survey.imagery.trust import is_remote, open_raster, refuse_sizes, refuse_sources

log = logging.getLogger(__name__)

Role = Literal["red", "green", "blue", "nir", "rededge", "thermal", "elevation"]
ROLES: tuple[Role, ...] = ("red", "green", "blue", "nir", "rededge", "thermal", "elevation")

# Names that band descriptions use in the wild, lower case, punctuation dropped.
_DESCRIPTIONS: dict[str, Role] = {
    "red": "red", "r": "red",
    "green": "green", "g": "green",
    "blue": "blue", "b": "blue",
    "nir": "nir", "nearinfrared": "nir", "infrared": "nir", "n": "nir",
    "rededge": "rededge", "re": "rededge",
    "thermal": "thermal", "lwir": "thermal", "tir": "thermal", "temperature": "thermal",
    "elevation": "elevation", "height": "elevation", "dsm": "elevation", "dem": "elevation",
}  # fmt: skip
_INTERPRETATIONS: dict[ColorInterp, Role] = {
    ColorInterp.red: "red",
    ColorInterp.green: "green",
    ColorInterp.blue: "blue",
}
# Interpretations that later GDAL versions report by name.
_NAMED_INTERPRETATIONS: dict[str, Role] = {"nir": "nir", "rededge": "rededge", "tir": "thermal", "lwir": "thermal"}

Masking = Literal["all_valid", "nodata", "alpha", "band"]


class Imagery(BaseModel):
    """What the job says about its imagery (table ``[imagery]``).

    Attributes
    ----------
    paths : tuple of str
        Files, globs, ``/vsi...`` paths or addresses of rasters; STAC items or collections (JSON) that name some.
    bands : mapping, optional
        Band number (from 1) by role; default: band descriptions, then colour interpretation.
    position_error_m : float
        Standard error of the georeference, metres.
    acquired : datetime, optional
        When the imagery was taken; default: from the files' metadata, else null.
    vrt_folders : tuple of Path
        Further folders whose files a VRT of the job may name, besides those of ``paths``.
    checksums : Path, optional
        SHA-256 of images, as ``sha256sum`` lists them; an image that differs is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    paths: tuple[str, ...] = Field(min_length=1)
    bands: Mapping[Role, int] | None = None
    position_error_m: float = Field(default=1.0, ge=0)
    acquired: datetime | None = None
    vrt_folders: tuple[Path, ...] = ()
    checksums: Path | None = None


@dataclass(frozen=True)
class Scene:
    """One raster that can be surveyed. It holds no open file, so it can be sent to a worker.

    Attributes
    ----------
    path : str
    name : str
        File name without its folder; what tables call ``image``.
    grid : Grid
        Full resolution.
    bands : tuple of (role, band number from 1)
        Roles in the order of :data:`ROLES`. A palette raster has ``palette = True`` and roles red,
        green and blue that all point at band 1.
    masking : str
        How invalid pixels are told: ``all_valid``, ``nodata``, ``alpha`` or ``band`` (a mask band).
    nodata : float or None
    alpha : int
        Number of the alpha band, 0 where there is none.
    stretch : tuple of (low, high)
        By band: the values that become 0 and 255. ``(0, 255)`` leaves 8-bit values as they are.
    levels : tuple of (width, height)
        Overviews in the file, full resolution first.
    block : tuple of int
        Height and width of a block on disk.
    acquired_at : datetime or None
    position_error_m : float
    kept : str or None
        Folder of levels that the file lacks, as far as they are known (:mod:`survey.imagery.levels`).
    """

    path: str
    name: str
    grid: Grid
    bands: tuple[tuple[Role, int], ...]
    masking: Masking
    nodata: float | None
    alpha: int
    palette: bool
    stretch: tuple[tuple[float, float], ...]
    levels: tuple[tuple[int, int], ...]
    block: tuple[int, int]
    acquired_at: datetime | None
    position_error_m: float
    kept: str | None = None

    @property
    def roles(self) -> tuple[Role, ...]:
        """Band roles the scene can offer."""
        return tuple(role for role, _ in self.bands)

    @property
    def identity(self) -> str:
        """What makes it the same imagery in another run: name, size and georeference (for digests)."""
        return repr((self.name, self.grid, self.bands, self.nodata, self.stretch))


def open_scene(path: str | Path, imagery: Imagery) -> Scene:
    """Read a raster's metadata and say whether it can be surveyed.

    Parameters
    ----------
    path : str or Path
        Anything GDAL opens.
    imagery : Imagery

    Raises
    ------
    ImageryError
        The file cannot be read, has no CRS, no georeference or no size, declares a size that cannot be
        true, names files it may not name, or its bands cannot be told apart. A file that is cut off is opened: blocks
        that are there can be surveyed.
    """
    path = str(path)
    refuse_sources(path, _roots(path, imagery))
    try:
        return _opened(path, imagery)
    except ImageryError:
        raise
    except (RasterioError, OSError) as error:
        raise ImageryError(
            f"{path} cannot be opened as a raster ({_one_line(error)}). Check that the file is there, whole and "
            "readable, or leave it out of [imagery] paths."
        ) from error


def _roots(path: str, imagery: Imagery) -> list[Path]:
    """Folders whose files a VRT may name: those of the job's images, and those the job allows."""
    local = [Path(one).parent for one in (*imagery.paths, path) if not is_remote(one)]
    return [*dict.fromkeys(local), *imagery.vrt_folders]


def _opened(path: str, imagery: Imagery) -> Scene:
    with open_raster(path) as dataset:
        refuse_sizes(dataset, path)
        grid = _georeference(dataset, path)
        palette = ColorInterp.palette in dataset.colorinterp
        bands = _assign_roles(dataset, path, imagery.bands, palette)
        masking, alpha = _masking(dataset)
        return Scene(
            path=path,
            name=Path(path).name,
            grid=grid,
            bands=bands,
            masking=masking,
            nodata=dataset.nodata,
            alpha=alpha,
            palette=palette,
            stretch=_stretch(dataset, path, bands, palette),
            levels=_levels(dataset),
            block=dataset.block_shapes[0],
            acquired_at=_as_utc(imagery.acquired) or _acquisition(dataset.tags()),
            position_error_m=imagery.position_error_m,
        )


def _one_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error)).strip().rstrip(".") or type(error).__name__


def _georeference(dataset: rasterio.DatasetReader, path: str) -> Grid:
    if dataset.crs is None:
        raise ImageryError(
            f"{path} has no CRS, so nothing in it can be placed on the ground. Assign the one it was made in, for "
            f"example `rio edit-info --crs EPSG:32638 {path}`, or leave the file out."
        )
    transform = dataset.transform
    if transform.is_identity or transform.determinant == 0:
        gcps = " It has ground control points: warp it first (`gdalwarp`)." if dataset.gcps[0] else ""
        raise ImageryError(
            f"{path} has a CRS but no georeference (no transform from pixels to coordinates).{gcps} Make it again "
            "with georeference, place a world file beside it, or leave it out."
        )
    try:
        crs = pyproj.CRS.from_wkt(dataset.crs.to_wkt()).to_2d()
        if not (crs.is_projected or crs.is_geographic):
            raise ImageryError(f"{path} is in {crs.name}, a local CRS that cannot be placed on the Earth.")
        grid = Grid(crs.to_wkt(), tuple(transform)[:6], dataset.width, dataset.height)
        gsd = grid.gsd_m
    except pyproj.exceptions.ProjError as error:
        raise ImageryError(f"{path}: its CRS cannot be used ({_one_line(error)}). Assign a valid one.") from error
    if not (1e-5 < gsd < 1000):
        raise ImageryError(
            f"{path} has pixels of {gsd:g} m on the ground, which cannot be right. Check its CRS and transform."
        )
    return grid


def _assign_roles(
    dataset: rasterio.DatasetReader, path: str, given: Mapping[Role, int] | None, palette: bool
) -> tuple[tuple[Role, int], ...]:
    if given is not None:
        for role, number in given.items():
            if not 1 <= number <= dataset.count:
                raise ImageryError(
                    f"{path} has {dataset.count} band(s), but [imagery] bands gives {role} the number {number}. "
                    "Numbers count from 1."
                )
        found: dict[Role, int] = dict(given)
    elif palette:
        found = {"red": 1, "green": 1, "blue": 1}
    else:
        found = {}
        for number, description in enumerate(dataset.descriptions, start=1):
            described = _DESCRIPTIONS.get(re.sub(r"[^a-z]", "", (description or "").lower()))
            if described is not None and described not in found:
                found[described] = number
        for number, interpretation in enumerate(dataset.colorinterp, start=1):
            named = _INTERPRETATIONS.get(interpretation) or _NAMED_INTERPRETATIONS.get(interpretation.name.lower())
            if named is not None and named not in found and number not in found.values():
                found[named] = number
    if not found:
        raise ImageryError(
            f"{path} does not say what its {dataset.count} band(s) are. Name them in the job file, for example "
            "`[imagery] bands = { red = 1, green = 2, blue = 3 }` or `bands = { thermal = 1 }`."
        )
    return tuple((role, found[role]) for role in ROLES if role in found)


def _masking(dataset: rasterio.DatasetReader) -> tuple[Masking, int]:
    for number, interpretation in enumerate(dataset.colorinterp, start=1):
        if interpretation == ColorInterp.alpha:
            return "alpha", number
    flags = dataset.mask_flag_enums[0]
    if MaskFlags.nodata in flags:
        return "nodata", 0
    if MaskFlags.all_valid in flags:
        return "all_valid", 0
    return "band", 0


def _levels(dataset: rasterio.DatasetReader) -> tuple[tuple[int, int], ...]:
    """Sizes of the levels 2, 4, 8 ... in the file, up to the first that is missing."""
    sizes = [(dataset.width, dataset.height)]
    for ratio in dataset.overviews(1):
        if ratio != 2 ** len(sizes):
            break
        try:
            with open_raster(dataset.name, overview_level=len(sizes) - 1) as overview:
                sizes.append((overview.width, overview.height))
        except RasterioError:
            # Lost with the end of the file; the level is made from full pixels.
            break
    return tuple(sizes)


def _stretch(
    dataset: rasterio.DatasetReader, path: str, bands: tuple[tuple[Role, int], ...], palette: bool
) -> tuple[tuple[float, float], ...]:
    """Values that become 0 and 255, by band, from a fixed set of windows so that every tile sees the same."""
    whole = 0.0, 255.0
    if palette:
        return (whole,) * len(bands)
    # A virtual raster may hold bands of 8 bits beside others.
    return tuple(
        whole if dataset.dtypes[number - 1] == "uint8" else _range_of(dataset, path, number) or whole
        for _, number in bands
    )


def _range_of(dataset: rasterio.DatasetReader, path: str, number: int) -> tuple[float, float] | None:
    """Percentiles 0.5 and 99.5 of a band in a fixed set of windows; None where nothing is valid."""
    samples = [np.empty(0)]
    side = 256
    for row in np.linspace(0, max(0, dataset.height - side), 5).astype(int):
        for col in np.linspace(0, max(0, dataset.width - side), 5).astype(int):
            window = Window(col, row, min(side, dataset.width), min(side, dataset.height))
            try:
                pixels = dataset.read(number, window=window).astype(float)
                mask = dataset.dataset_mask(window=window) > 0
            except (RasterioError, OSError) as error:
                log.warning("%s: a sample window could not be read (%s)", path, _one_line(error))
                continue
            samples.append(pixels[mask & np.isfinite(pixels)])
    values = np.concatenate(samples)
    if not len(values):
        return None
    low, high = (float(one) for one in np.percentile(values, [0.5, 99.5]))
    return low, high if high > low else low + 1


def _acquisition(tags: Mapping[str, str]) -> datetime | None:
    for key in ("ACQUISITIONDATETIME", "TIFFTAG_DATETIME", "EXIF_DateTimeOriginal"):
        for form in ("%Y:%m:%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"):
            try:
                return _as_utc(datetime.strptime(tags.get(key, ""), form))  # noqa: DTZ007 (made UTC beside it)
            except ValueError:
                continue
    return None


def _as_utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
