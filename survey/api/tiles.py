"""One tile: which walks a scene needs, and the road from a tile's pixels to its sightings and coverage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from survey.api.judging import Measure, OwnModel, first_stage, judge, wanted_classes
from survey.detection.classifier import EMITTED, Detection
from survey.detection.objects import outline_of, to_polygon
from survey.detection.patches import ANGLES, RADII, polar_samples
from survey.detection.scales import Pass, plan_passes
from survey.detection.search import Found, octaves_of, search
from survey.errors import ImageryError, ModelError
from survey.hazards import classes
from survey.heap import give_back
from survey.imagery.chips import Chip, level_grid, read_chip
from survey.imagery.salvage import Unread, salvage_chip
from survey.imagery.scene import Role, Scene
from survey.imagery.tiles import Tile, Tiling, cut
from survey.imagery.trust import held_open
from survey.imagery.visibility import CellBlock, Visibility, assess_cells, cell_pixels, join_cells, reach_pixels
from survey.layers import SIGHTINGS, conform
from survey.memory.modelfile import Model

# Side of the pieces in which a tile is looked at, a third of a tile: what is held in memory at once, and near the
# processor.
_PART = 1366


@dataclass(frozen=True)
class TileResult:
    """What one tile hands over.

    Attributes
    ----------
    sightings : GeoDataFrame
        layers.SIGHTINGS, CRS of the scene.
    cells : CellBlock or None
    seconds : float
    unread : tuple of Unread
        Blocks in the tile or its halo that could not be read.
    """

    sightings: gpd.GeoDataFrame
    cells: CellBlock | None
    seconds: float
    unread: tuple[Unread, ...] = ()


def passes(scene: Scene, model: Model, detection: Detection) -> tuple[Pass, ...]:
    """Plan the walks over a scene, finest first.

    Raises
    ------
    ImageryError
        The scene lacks a band the model needs, or is too coarse for every class it knows.
    """
    missing = [role for role in model.roles if role not in scene.roles]
    if missing:
        raise ImageryError(
            f"{scene.path} has the bands {', '.join(scene.roles)}, but model {model.version} needs "
            f"{', '.join(model.roles)}: {', '.join(missing)} is missing. Name the bands in [imagery] bands, or choose "
            "another model in [model] path."
        )
    gsd_cm = scene.grid.gsd_cm
    wanted = wanted_classes(model, detection, gsd_cm)
    planned = plan_passes(scene.grid.gsd_m, {code: model.scales_by_class[code] for code in wanted})
    if not planned:
        known = [classes()[code] for code in model.classes if code in classes()]
        finest = max((item.max_gsd_cm for item in known), default=0.0)
        raise ImageryError(
            f"{scene.path} has a ground sampling distance of {gsd_cm:.1f} cm, too coarse for every class wanted "
            f"(model {model.version} needs {finest:g} cm or finer). Use finer imagery, or leave the file out."
        )
    return planned


def pieces(
    scene: Scene, planned: Sequence[Pass], tiling: Tiling, region: shapely.Geometry
) -> Iterator[tuple[Pass, Tile]]:
    """Yield the tiles of every pass that touch a region.

    Parameters
    ----------
    scene : Scene
    planned : sequence of Pass
        From :func:`passes`.
    tiling : Tiling
    region : shapely geometry
        Ground to be looked at, CRS of the scene.
    """
    a, b, _, d, e, _ = scene.grid.transform
    unit_per_m = abs(a * e - b * d) ** 0.5 / scene.grid.gsd_m
    # A coverage cell belongs to the tile of its first pixel, and is judged with its neighbours: read the tiles of
    # all cells that touch the region, and of the cells around those.
    gsd_m = next(one.gsd_m for one in planned if one.finest)
    reach = region.buffer(4 * cell_pixels(gsd_m) * gsd_m * unit_per_m, quad_segs=2)
    for a_pass in planned:
        for tile in cut(level_grid(scene, a_pass.level), a_pass.level, tiling, reach):
            yield a_pass, tile


def survey_tile(
    scene: Scene, a_pass: Pass, tile: Tile, model: Model, visibility: Visibility | None = None
) -> TileResult:
    """Survey one tile: read, measure what can be seen, search, judge, outline.

    Raises
    ------
    ImageryError
        Pixels cannot be read.
    """
    start = time.perf_counter()
    with held_open():
        # No name here holds a chip, so that its pixels can go as soon as they are not needed any more.
        parts = [
            _survey_chip(
                scene, a_pass, part, read_chip(scene, a_pass.level, _window(a_pass, part), _roles(model)),
                (model, visibility),
            )
            for part in tile.parts(_PART)
        ]  # fmt: skip
    return replace(_joined(parts), seconds=time.perf_counter() - start)


def survey_damaged_tile(
    scene: Scene, a_pass: Pass, tile: Tile, model: Model, visibility: Visibility | None = None
) -> TileResult:
    """Survey one tile block by block: blocks that cannot be read are left out, and named in the result."""
    start = time.perf_counter()
    parts = []
    with held_open():
        for part in tile.parts(_PART):
            chip, unread = salvage_chip(scene, a_pass.level, _window(a_pass, part), _roles(model))
            parts.append(replace(_survey_chip(scene, a_pass, part, chip, (model, visibility)), unread=unread))
    return replace(_joined(parts), seconds=time.perf_counter() - start)


def _joined(parts: Sequence[TileResult]) -> TileResult:
    """Results of the parts of a tile as one."""
    full = [part.sightings for part in parts if len(part.sightings)]
    sightings = pd.concat(full, ignore_index=True) if len(full) > 1 else (full or [parts[0].sightings])[0]
    cells = join_cells([part.cells for part in parts if part.cells is not None])
    unread = tuple(dict.fromkeys(one for part in parts for one in part.unread))
    return TileResult(sightings, cells, 0.0, unread)


def _window(a_pass: Pass, tile: Tile) -> tuple[int, int, int, int]:
    halo = max(a_pass.halo, reach_pixels(a_pass.gsd_m)) if a_pass.finest else a_pass.halo
    return tile.window(halo, a_pass.multiple)


def _roles(model: Model) -> tuple[Role, ...]:
    return cast("tuple[Role, ...]", model.roles)


def _survey_chip(
    scene: Scene, a_pass: Pass, tile: Tile, chip: Chip, how: tuple[Model, Visibility | None]
) -> TileResult:
    model, visibility = how
    cells = None
    if a_pass.finest:
        cells = assess_cells(chip, tile, cell_pixels(a_pass.gsd_m), _roles(model), visibility or Visibility())
    if not chip.valid.any():
        return TileResult(SIGHTINGS.empty(scene.grid.crs), cells, 0.0)
    # Blocks that the reader decoded and let go are many and small: the heap would hold them beneath what comes now.
    give_back()
    octaves = octaves_of(chip.pixels, chip.valid, a_pass)
    # From here on only channels are looked at; the pixels would be a sixth of all that a tile needs.
    chip = replace(chip, pixels=np.empty((0, 0, 0), np.uint8))
    core = (tile.row0, tile.row1, tile.col0, tile.col1)
    found = search(octaves, chip.valid, (chip.row, chip.col), core, a_pass, first_stage(model))
    if isinstance(model, OwnModel):
        found = with_measures(found, octaves, (chip.row, chip.col), model.measures)
    probability, codes = judge(found.features, found.diameter_m, found.strength, model, least=EMITTED)
    emitted = probability >= EMITTED
    found, probability, codes = found.take(emitted), probability[emitted], codes[emitted]
    sightings = _outlined(found, probability, octaves, chip, scene)
    sightings["class_code"] = codes
    sightings["family"] = [classes()[code].family for code in sightings["class_code"]]
    table = conform(sightings, SIGHTINGS, crs=scene.grid.crs)
    return TileResult(table, cells, 0.0)


def with_measures(
    found: Found, octaves: Mapping[int, NDArray[np.uint8]], corner: tuple[int, int], measures: Sequence[Measure]
) -> Found:
    """Add a researcher's own measures to the features of candidates.

    Parameters
    ----------
    found : Found
    octaves : mapping of int to uint8 array, shape (row, col, channel)
        From :func:`survey.detection.search.octaves_of`.
    corner : (row, col)
        First pixel of the chip, pixels of the level.
    measures : sequence of callables

    Raises
    ------
    ModelError
        A measure does not answer with one finite row of numbers a candidate.
    """
    if not measures or not len(found.strength):
        return found
    added: list[list[NDArray[np.float32]]] = []
    order: list[NDArray[np.int64]] = []
    for octave, across in sorted(set(zip(found.octave.tolist(), found.diameter_px.tolist(), strict=True))):
        rows = np.flatnonzero((found.octave == octave) & (found.diameter_px == across))
        row = (found.row[rows] - (corner[0] >> octave)).astype(float)
        col = (found.col[rows] - (corner[1] >> octave)).astype(float)
        samples = polar_samples(octaves[octave], row, col, across).astype(np.float32)
        patches = np.moveaxis(samples.reshape(len(rows), RADII.size, ANGLES, -1), 3, 1)
        added.append([_answer(one, patches) for one in measures])
        order.append(rows)
    columns = np.concatenate([np.concatenate(parts, axis=1) for parts in added])
    placed = np.empty_like(columns)
    placed[np.concatenate(order)] = columns
    return replace(found, features=np.concatenate([found.features, placed], axis=1))


def _answer(measure: Measure, patches: NDArray[np.float32]) -> NDArray[np.float32]:
    answer = np.asarray(measure(patches), dtype=np.float32)
    if answer.shape[:1] != (len(patches),) or answer.ndim > 2 or not np.isfinite(answer).all():
        raise ModelError(
            f"Measure {getattr(measure, '__name__', measure)} answered {len(patches)} patches with an array of shape "
            f"{answer.shape}{'' if np.isfinite(answer).all() else ' that holds no-numbers'}. It must give one finite "
            "number, or one row of them, a patch."
        )
    return answer.reshape(len(patches), -1)


def _outlined(
    found: Found,
    probability: NDArray[np.float64],
    octaves: Mapping[int, NDArray[np.uint8]],
    chip: Chip,
    scene: Scene,
) -> gpd.GeoDataFrame:
    level_row, level_col = found.level_pixel()
    down, across = scene.grid.height / chip.grid.height, scene.grid.width / chip.grid.width
    polygons, sizes = [], []
    for i in range(len(probability)):
        octave = int(found.octave[i])
        top, left = chip.row >> octave, chip.col >> octave
        outline = outline_of(
            octaves[octave], int(found.row[i]) - top, int(found.col[i]) - left, float(found.diameter_px[i])
        )
        pixel_m = chip.grid.gsd_m * 2**octave
        polygon = to_polygon(outline)
        points = (shapely.get_coordinates(polygon) + np.array([left, top])) * 2**octave
        polygons.append(shapely.Polygon(np.column_stack(chip.grid.to_ground(points[:, 0], points[:, 1]))))
        sizes.append((outline.length_px * pixel_m, outline.width_px * pixel_m, polygon.area * pixel_m**2))
    length, width, area = np.array(sizes).reshape(-1, 3).T
    return gpd.GeoDataFrame(
        {
            "image": np.full(len(polygons), scene.name, dtype=object),
            "row": np.floor((level_row + 0.5) * down).astype(np.int64) if chip.grid != scene.grid else level_row,
            "col": np.floor((level_col + 0.5) * across).astype(np.int64) if chip.grid != scene.grid else level_col,
            "probability": probability,
            "length_m": length,
            "width_m": width,
            "area_m2": area,
        },
        geometry=gpd.GeoSeries(polygons, crs=scene.grid.crs),
        crs=scene.grid.crs,
    )
