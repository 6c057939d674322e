"""One tile: which walks a scene needs, and the road from a tile's pixels to its sightings and coverage."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from survey.api.judging import (
    Measure,
    OwnModel,
    first_stage,
    judge,
    post_probability,
    wanted_classes,
    worth_judging,
)
from survey.api.looking import Looked, look_at
from survey.detection.classifier import EMITTED, Detection
from survey.detection.lines import FENCE, POST
from survey.detection.objects import outline_of, to_polygons
from survey.detection.patches import ANGLES, RADII, polar_samples
from survey.detection.scales import Pass, plan_passes
from survey.detection.search import Found, joined, search
from survey.errors import ImageryError, ModelError
from survey.hazards import classes
from survey.heap import give_back
from survey.imagery.chips import level_grid
from survey.imagery.grid import Grid
from survey.imagery.levels import Reduced
from survey.imagery.salvage import Unread, salvage_chip
from survey.imagery.samples import Sample
from survey.imagery.scene import Role, Scene
from survey.imagery.tiles import Tile, Tiling, cut
from survey.imagery.visibility import CellBlock, Visibility, cell_pixels
from survey.layers import SIGHTINGS, conform
from survey.memory.modelfile import Model, ModelFile

# Side of the pieces in which a tile is searched, a third of a tile: what is held in memory at once, and near the
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
    sample : Sample or None
        Some of its pixels, where the pass is to be sampled.
    reduced : tuple of Reduced
        Levels that the file lacks, where the pass is to make them.
    """

    sightings: gpd.GeoDataFrame
    cells: CellBlock | None
    seconds: float
    unread: tuple[Unread, ...] = ()
    sample: Sample | None = None
    reduced: tuple[Reduced, ...] = ()


def passes(scene: Scene, model: ModelFile, detection: Detection) -> tuple[Pass, ...]:
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
    looked = look_at(scene, a_pass, tile, (_roles(model), visibility or Visibility()))
    return replace(_searched(scene, a_pass, tile, model, looked), seconds=time.perf_counter() - start)


def survey_damaged_tile(
    scene: Scene, a_pass: Pass, tile: Tile, model: Model, visibility: Visibility | None = None
) -> TileResult:
    """Survey one tile block by block: blocks that cannot be read are left out, and named in the result."""
    start = time.perf_counter()
    looked = look_at(scene, a_pass, tile, (_roles(model), visibility or Visibility()), salvage_chip)
    return replace(_searched(scene, a_pass, tile, model, looked), seconds=time.perf_counter() - start)


def _searched(scene: Scene, a_pass: Pass, tile: Tile, model: Model, looked: Looked) -> TileResult:
    """Search a tile that was looked at, part by part."""
    # Blocks that the reader decoded and let go are many and small: the heap would hold them beneath what comes now.
    give_back()
    likely = [one for part in tile.parts(_PART) if (one := _likely(a_pass, part, model, looked)) is not None]
    sightings = SIGHTINGS.empty(scene.grid.crs)
    if likely:
        # Few are left, and naming costs by the call: they are judged together.
        found = joined(likely)
        probability, codes = judge(found.features, found.diameter_m, found.strength, model)
        post = _posts(found, a_pass, model)
        emitted, posts = np.flatnonzero(probability >= EMITTED), np.flatnonzero(post)
        shown = np.concatenate([emitted, posts])
        if len(shown):
            # A candidate may be a hazard object and a post: which of them, a line of posts will tell.
            named = np.concatenate([codes[emitted], np.full(len(posts), POST, dtype=object)])
            judged = found.take(shown), np.concatenate([probability[emitted], post[posts]]), named
            sightings = _sightings(scene, level_grid(scene, a_pass.level), looked, judged)
    return TileResult(sightings, looked.cells, 0.0, looked.unread, looked.sample, looked.reduced)


def _roles(model: ModelFile) -> tuple[Role, ...]:
    return cast("tuple[Role, ...]", model.roles)


def _likely(a_pass: Pass, part: Tile, model: Model, looked: Looked) -> Found | None:
    """Candidates in a part of a tile that may be emitted; None where nothing is valid."""
    corner = looked.corner
    core = (part.row0, part.row1, part.col0, part.col1)
    if not looked.valid[core[0] - corner[0] : core[1] - corner[0], core[2] - corner[1] : core[3] - corner[1]].any():
        return None
    found = search(looked.octaves, looked.valid, corner, core, a_pass, first_stage(model))
    if isinstance(model, OwnModel):
        found = with_measures(found, looked.octaves, corner, model.measures)
    return found.take(worth_judging(found.features, found.diameter_m, model) | (_posts(found, a_pass, model) > 0))


def _posts(found: Found, a_pass: Pass, model: Model) -> NDArray[np.float64]:
    """Probability that each candidate is a post; 0 where fences are not wanted, or the imagery is too coarse."""
    sought = {diameter for _, _, diameter in a_pass.scales}
    if not set(model.scales_by_class.get(FENCE, ())) <= sought:
        return np.zeros(len(found.strength))
    return post_probability(found.features, found.diameter_m, found.strength, model)


def _sightings(
    scene: Scene,
    grid: Grid,
    looked: Looked,
    judged: tuple[Found, NDArray[np.float64], NDArray[np.object_]],
) -> gpd.GeoDataFrame:
    """Outline what is emitted: layers.SIGHTINGS."""
    found, probability, codes = judged
    sightings = _outlined(found, probability, looked, grid, scene)
    sightings["class_code"] = codes
    sightings["family"] = [classes()[FENCE if code == POST else code].family for code in codes]
    return conform(sightings, SIGHTINGS, crs=scene.grid.crs)


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
    looked: Looked,
    grid: Grid,
    scene: Scene,
) -> gpd.GeoDataFrame:
    level_row, level_col = found.level_pixel()
    down, across = scene.grid.height / grid.height, scene.grid.width / grid.width
    top, left = (first >> found.octave for first in looked.corner)
    places = zip(found.octave.tolist(), found.row - top, found.col - left, found.diameter_px.tolist(), strict=True)
    outlines = [outline_of(looked.octaves[octave], int(row), int(col), size) for octave, row, col, size in places]
    points, of = shapely.get_coordinates(to_polygons(outlines), return_index=True)
    # Counted from the scene's origin, so that no sum depends on where the tile lies.
    points += np.column_stack([left, top])[of]
    pixel_m = grid.gsd_m * 2.0**found.octave
    area = shapely.area(shapely.polygons(shapely.linearrings(points, indices=of))) * pixel_m**2
    length, width = np.array([(one.length_px, one.width_px) for one in outlines]).T * pixel_m
    on_ground = np.column_stack(grid.to_ground(*(points.T * 2.0 ** found.octave[of])))
    polygons = shapely.polygons(shapely.linearrings(on_ground, indices=of))
    return gpd.GeoDataFrame(
        {
            "image": np.full(len(polygons), scene.name, dtype=object),
            "row": np.floor((level_row + 0.5) * down).astype(np.int64) if grid != scene.grid else level_row,
            "col": np.floor((level_col + 0.5) * across).astype(np.int64) if grid != scene.grid else level_col,
            "probability": probability,
            "length_m": length,
            "width_m": width,
            "area_m2": area,
        },
        geometry=gpd.GeoSeries(polygons, crs=scene.grid.crs),
        crs=scene.grid.crs,
    )
