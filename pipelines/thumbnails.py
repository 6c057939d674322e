"""Small pictures of scenes, beneath the report's map.

One of a scene with a small overview is read from that. Of any other, pixels are kept as it is surveyed: reading it
once more only for a picture would cost as much as a good part of the survey.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform, reproject

from pipelines.engine.parcels import unpack_sample
from pipelines.pictures import as_colours, png_of, shown_roles
from survey.errors import JournalError
from survey.exports.report_map import Thumbnail
from survey.imagery.chips import level_grid
from survey.imagery.grid import Grid
from survey.imagery.scene import Role, Scene
from survey.imagery.trust import open_raster

if TYPE_CHECKING:
    from pipelines.engine.journal import Journal
    from pipelines.opening import Opened, OpenScene
    from survey.api import Pass

log = logging.getLogger(__name__)

_MOST = 40
_ACROSS_PX = 512


def with_samples(scenes: Sequence[OpenScene]) -> tuple[OpenScene, ...]:
    """Scenes as they are walked when pixels are kept of those that are to be shown and have no small overview."""
    shown = {place.scene.name for place in _shown(scenes)}
    return tuple(
        replace(place, passes=tuple(_sampled(place.scene, one) for one in place.passes))
        if place.scene.name in shown and _overview(place.scene) is None
        else place
        for place in scenes
    )


def _shown(scenes: Sequence[OpenScene]) -> list[OpenScene]:
    def first(place: OpenScene) -> tuple[float, str]:
        grid = place.scene.grid
        return -grid.width * grid.height * grid.gsd_m**2, place.scene.name

    return sorted(scenes, key=first)[:_MOST]


def _overview(scene: Scene) -> int | None:
    """Return the smallest level in the file that is as large as a picture; None where that is not small."""
    level = max((k for k, size in enumerate(scene.levels) if max(size) >= _ACROSS_PX), default=0)
    return level if max(scene.levels[level]) < 4 * _ACROSS_PX else None


def _sampled(scene: Scene, a_pass: Pass) -> Pass:
    grid = level_grid(scene, a_pass.level)
    return replace(a_pass, sampled=max(1, max(grid.width, grid.height) // _ACROSS_PX)) if a_pass.finest else a_pass


def thumbnails_of(opened: Opened, journal: Journal) -> list[Thumbnail]:
    """Small pictures of the largest scenes, north up in EPSG:4326; what cannot be read is left out."""
    keys = {name: row.key for name, row in journal.scenes().items()}
    roles = cast("tuple[Role, ...]", opened.model.roles)
    thumbnails = []
    for place in _shown(opened.scenes):
        scene, level = place.scene, _overview(place.scene)
        try:
            if level is not None:
                thumbnails.append(_read(scene, level))
            elif place.finest.sampled:
                thumbnails += _kept(place, roles, journal.samples(keys[scene.name]))
        except (RasterioError, OSError, JournalError) as error:
            log.warning("No picture of %s: %s", scene.path, error)
    return thumbnails


def _read(scene: Scene, level: int) -> Thumbnail:
    """Picture of a scene from a level of its file."""
    bands, stretch = dict(scene.bands), dict(zip(scene.roles, scene.stretch, strict=True))
    roles = shown_roles(scene.roles)
    # A warp reads full pixels unless it is given an overview.
    options: dict[str, Any] = {"overview_level": level - 1} if level else {}
    with open_raster(scene.path, **options) as source:
        size, bounds = _north_up(scene.grid)
        options = {"crs": "EPSG:4326", "src_crs": scene.grid.crs, "width": size[0], "height": size[1]}
        options |= {"transform": rasterio.transform.from_bounds(*bounds, *size), "add_alpha": scene.masking != "alpha"}
        with WarpedVRT(source, **options) as warped:
            raw = warped.read([bands[role] for role in roles]).astype(float)
            seen = warped.dataset_mask()
    low = np.array([stretch[role][0] for role in roles])[:, None, None]
    high = np.array([stretch[role][1] for role in roles])[:, None, None]
    raw = np.nan_to_num((raw - low) / (high - low) * 255)
    return _thumbnail(np.clip(raw, 0, 255).astype(np.uint8), seen, bounds)


def _kept(place: OpenScene, known: Sequence[Role], samples: Iterable[bytes]) -> list[Thumbnail]:
    """Picture of a scene from pixels that were kept of it; none where none were."""
    a_pass = place.finest
    grid = level_grid(place.scene, a_pass.level)
    rows, cols = (-(-length // a_pass.sampled) for length in (grid.height, grid.width))
    whole = np.zeros((len(known) + 1, rows, cols), np.uint8)
    for sample in map(unpack_sample, samples):
        height, width = sample.pixels.shape[1:]
        place_of = (slice(None), slice(sample.row, sample.row + height), slice(sample.col, sample.col + width))
        if whole[place_of].shape != sample.pixels.shape:
            raise JournalError("the journal holds pixels of another scene")
        whole[place_of] = sample.pixels
    if not whole[-1].any():
        return []
    a, b, c, d, e, f = grid.transform
    ratio = a_pass.sampled
    size, bounds = _north_up(place.scene.grid)
    warped = np.zeros((len(whole), size[1], size[0]), np.uint8)
    reproject(
        whole, warped, src_crs=grid.crs, dst_crs="EPSG:4326", resampling=Resampling.nearest,
        src_transform=rasterio.Affine(a * ratio, b * ratio, c, d * ratio, e * ratio, f),
        dst_transform=rasterio.transform.from_bounds(*bounds, *size),
    )  # fmt: skip
    bands = [list(known).index(role) for role in shown_roles(known)]
    return [_thumbnail(warped[bands], warped[-1], bounds)]


def _north_up(grid: Grid) -> tuple[tuple[int, int], tuple[float, float, float, float]]:
    """Width and height of a picture in pixels, and its west, south, east and north in degrees."""
    transform, width, height = calculate_default_transform(
        grid.crs, "EPSG:4326", grid.width, grid.height, *grid.outline().bounds
    )
    shrink = max(1.0, max(width, height) / _ACROSS_PX)
    a, _, west, _, e, north = tuple(transform)[:6]
    size = max(1, round(width / shrink)), max(1, round(height / shrink))
    return size, (west, north + e * height, west + a * width, north)


def _thumbnail(
    bands: NDArray[np.uint8], seen: NDArray[np.uint8], bounds: tuple[float, float, float, float]
) -> Thumbnail:
    picture = np.dstack([as_colours(bands), np.where(seen > 0, 255, 0).astype(np.uint8)])
    return Thumbnail(png_of(picture), *bounds)
