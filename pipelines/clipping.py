"""Lay labels and reviewed ground on a scene, and cut the clips that are to be remembered of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio.features
import shapely
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from survey.detection.scales import BLOCK, plan_passes
from survey.hazards import classes
from survey.imagery.chips import level_grid, read_chip
from survey.imagery.grid import Grid
from survey.imagery.scene import Scene
from survey.memory.clips import Clip
from survey.memory.labelling import labelled
from survey.provenance import digest, file_identity

# Clips start and end at multiples of so many pixels from the scene's origin: block statistics fall as in a survey.
_ALIGN = BLOCK * 8


class Clipping(BaseModel):
    """How clips are cut.

    Attributes
    ----------
    core_px : int
        Side of the core of a clip of reviewed ground, pixels; a whole image up to one and a half of it is one clip.
    reach : float
        Margin around a core in diameters of the largest size: the sum of the supports of all filters.
    most_margin_px : int
    most_px : int
        Pixels of reviewed ground kept of one image at most; beyond, clips without a label stand for more than
        themselves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    core_px: int = Field(default=1536, ge=128)
    reach: float = Field(default=5.5, gt=0)
    most_margin_px: int = Field(default=768, ge=0)
    most_px: int = Field(default=40_000_000, ge=0)


@dataclass(frozen=True)
class Placed:
    """Labels on one scene.

    Attributes
    ----------
    scene : Scene
    image_digest : str
    labels : GeoDataFrame
        In EPSG:4326, with ``x_m, y_m`` (centre on the scene's own plane: pixels times GSD), ``length_m``, ``width_m``,
        ``is_point`` and ``local``: the outline on that plane.
    """

    scene: Scene
    image_digest: str
    labels: gpd.GeoDataFrame


def digest_of(scene: Scene) -> str:
    """SHA-256 of an image, or of what it says of itself where it is far away."""
    path = Path(scene.path)
    return str(file_identity(path)["sha256"]) if path.is_file() else digest(scene.identity)


def place(labels: gpd.GeoDataFrame, scene: Scene, names: set[str]) -> Placed:
    """Labels that lie on a scene, and where.

    Parameters
    ----------
    labels : GeoDataFrame
        EPSG:4326, from :func:`pipelines.labels.read_labels`.
    scene : Scene
    names : set of str
        Names of all scenes at hand: a label that names one of them belongs to it alone.
    """
    named = labels["image"].isin(names)
    mine = labels[~named | (labels["image"] == scene.name)]
    outlines = mine.to_crs(scene.grid.crs).geometry.to_numpy()
    local = shapely.transform(outlines, lambda points: _to_local(scene.grid, points)) if len(mine) else outlines
    centre = shapely.centroid(local)
    x, y = shapely.get_x(centre), shapely.get_y(centre)
    gsd = scene.grid.gsd_m
    inside = (x >= 0) & (y >= 0) & (x < scene.grid.width * gsd) & (y < scene.grid.height * gsd)
    table = mine[inside].copy()
    local = local[inside]
    points = shapely.get_dimensions(local) < 2
    plan = [classes().get(code) for code in table["class_code"]]
    reach = np.array([0.15 if one is None else one.length_m / 2 for one in plan])
    local = np.where(points, shapely.buffer(shapely.centroid(local), reach), local)
    sides = labelled(local, table["class_code"].to_numpy(object), np.zeros(len(table))).sides if len(table) else None
    length, width = (np.empty(0), np.empty(0)) if sides is None else sides.T
    table["is_point"] = points
    table["x_m"], table["y_m"] = x[inside], y[inside]
    table["length_m"] = np.where(points, [0.3 if one is None else one.length_m for one in plan], length)
    table["width_m"] = np.where(points, [0.3 if one is None else one.width_m for one in plan], width)
    table["local"] = local
    image_digest = digest_of(scene)
    table["image"], table["image_digest"] = scene.name, image_digest
    return Placed(scene, image_digest, table.reset_index(drop=True))


def _to_local(grid: Grid, points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack(grid.to_pixel(points[:, 0], points[:, 1])) * grid.gsd_m


def to_wgs84(local: NDArray[np.object_], grid: Grid) -> NDArray[np.object_]:
    """Outlines on a scene's own plane, in EPSG:4326."""

    def ground(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(grid.to_ground(points[:, 0] / grid.gsd_m, points[:, 1] / grid.gsd_m))

    return gpd.GeoSeries(shapely.transform(local, ground), crs=grid.crs).to_crs("EPSG:4326").to_numpy()


def level_for(gsd_m: float, sizes: Sequence[float]) -> int:
    """Reduction at which nothing that is measured at these sizes is lost: the finest a survey would read."""
    passes = plan_passes(gsd_m, {"": tuple(sizes)})
    return passes[0].level if passes else 0


def cut(
    placed: Placed, reviewed: gpd.GeoDataFrame | None, sizes_by_class: Mapping[str, Sequence[float]], settings: Clipping
) -> Iterator[Clip]:
    """Yield the clips of a scene: its reviewed ground, and each label that lies outside.

    Parameters
    ----------
    placed : Placed
    reviewed : GeoDataFrame, optional
        EPSG:4326; ``site``.
    sizes_by_class : mapping of class code to diameters in metres
        Every class that is or will be looked for.
    settings : Clipping
    """
    scene = placed.scene
    everything = sorted({size for sizes in sizes_by_class.values() for size in sizes})
    level = level_for(scene.grid.gsd_m, everything)
    grid = level_grid(scene, level)
    left = np.ones(len(placed.labels), dtype=bool)
    if reviewed is not None and len(reviewed):
        outlines = reviewed.to_crs(scene.grid.crs).geometry.to_numpy()
        flat = shapely.transform(outlines, lambda points: np.column_stack(grid.to_pixel(points[:, 0], points[:, 1])))
        cores = _cores(grid, flat, settings)
        centre = placed.labels[["x_m", "y_m"]].to_numpy(float) / grid.gsd_m
        holds = [_inside(centre, core) for core in cores]
        kept, weight = _thinned(cores, holds, placed.image_digest, settings)
        margin = _margin(grid.gsd_m, everything, settings)
        for number in kept:
            core = cores[number]
            left &= ~holds[number]
            window = _window(core, margin, grid)
            here = shapely.intersects(flat, shapely.box(core[2], core[0], core[3], core[1]))
            site = str(reviewed["site"].to_numpy()[here][0])
            share = 1.0 if holds[number].any() else weight
            yield _read(placed, level, window, core, site, share, flat[here])
    for row in np.flatnonzero(left):
        yield _around(placed, int(row), sizes_by_class, settings)


def _around(placed: Placed, row: int, sizes_by_class: Mapping[str, Sequence[float]], settings: Clipping) -> Clip:
    """Clip around one label of which nobody said that its surroundings were looked at."""
    scene = placed.scene
    label = placed.labels.iloc[row]
    sizes = sizes_by_class.get(label["class_code"]) or [float(label["length_m"])]
    level = level_for(scene.grid.gsd_m, sizes)
    grid = level_grid(scene, level)
    left, top, right, bottom = (value / grid.gsd_m for value in shapely.bounds(label["local"]))
    apart = max(sizes) / 2 / grid.gsd_m
    core = (
        max(0, math.floor(top - apart)), min(grid.height, math.ceil(bottom + apart)),
        max(0, math.floor(left - apart)), min(grid.width, math.ceil(right + apart)),
    )  # fmt: skip
    window = _window(core, _margin(grid.gsd_m, sizes, settings), grid)
    return _read(placed, level, window, core, str(label["site"]), 1.0, np.empty(0, dtype=object))


def _cores(grid: Grid, flat: NDArray[np.object_], settings: Clipping) -> list[tuple[int, int, int, int]]:
    """Cut the level into cores, and keep those that reviewed ground touches."""

    def edges(count: int) -> list[tuple[int, int]]:
        if count <= 1.5 * settings.core_px:
            return [(0, count)]
        starts = range(0, count, settings.core_px)
        return [(start, min(count, start + settings.core_px)) for start in starts]

    cores = [(*rows, *cols) for rows in edges(grid.height) for cols in edges(grid.width)]
    boxes = shapely.box([c[2] for c in cores], [c[0] for c in cores], [c[3] for c in cores], [c[1] for c in cores])
    touched = np.unique(shapely.STRtree(boxes).query(flat, predicate="intersects")[1])
    return [cores[number] for number in touched]


def _inside(centre: NDArray[np.float64], core: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    x, y = centre.T
    return np.asarray((y >= core[0]) & (y < core[1]) & (x >= core[2]) & (x < core[3]))


def _thinned(
    cores: Sequence[tuple[int, int, int, int]],
    holds: Sequence[NDArray[np.bool_]],
    image_digest: str,
    settings: Clipping,
) -> tuple[list[int], float]:
    """Clips to be kept: all with a label, and of the others as many as there is room for, drawn at random."""
    with_label = [number for number in range(len(cores)) if holds[number].any()]
    others = [number for number in range(len(cores)) if not holds[number].any()]
    sizes = {number: (core[1] - core[0]) * (core[3] - core[2]) for number, core in enumerate(cores)}
    room = settings.most_px - sum(sizes[number] for number in with_label)
    drawn: list[int] = []
    for place_in_row in np.random.default_rng(int(image_digest[:12], 16)).permutation(len(others)):
        number = others[place_in_row]
        if room < sizes[number] and drawn:
            break
        drawn.append(number)
        room -= sizes[number]
    return sorted(with_label + drawn), len(others) / max(1, len(drawn))


def _margin(gsd_m: float, sizes: Sequence[float], settings: Clipping) -> int:
    return min(settings.most_margin_px, math.ceil(settings.reach * max(sizes) / gsd_m) + _ALIGN)


def _window(core: tuple[int, int, int, int], margin: int, grid: Grid) -> tuple[int, int, int, int]:
    def low(edge: int) -> int:
        return max(0, (edge - margin) // _ALIGN * _ALIGN)

    def high(edge: int, size: int) -> int:
        return min(size, -(-(edge + margin) // _ALIGN) * _ALIGN)

    return low(core[0]), high(core[1], grid.height), low(core[2]), high(core[3], grid.width)


def _read(
    placed: Placed,
    level: int,
    window: tuple[int, int, int, int],
    core: tuple[int, int, int, int],
    site: str,
    weight: float,
    reviewed: NDArray[np.object_],
) -> Clip:
    scene = placed.scene
    chip = read_chip(scene, level, window, scene.roles)
    shape = chip.valid.shape
    mask = np.zeros(shape, bool)
    if len(reviewed):
        shifted = shapely.transform(reviewed, lambda points: points - np.array([window[2], window[0]]))
        mask = rasterio.features.rasterize(list(shifted), out_shape=shape, fill=0, default_value=1).astype(bool)
    return Clip(
        scene.name, placed.image_digest, scene.roles, site, chip.grid.crs, chip.grid.transform, chip.grid.gsd_m, level,
        chip.row, chip.col, core, weight, scene.acquired_at, chip.pixels, chip.valid, mask & chip.valid,
    )  # fmt: skip


def known_here(examples: pd.DataFrame, placed: Placed) -> pd.DataFrame:
    """Examples that the memory has of the same image, on the scene's own plane."""
    mine = examples[examples["image_digest"] == placed.image_digest]
    flat = gpd.GeoSeries(mine.geometry, crs="EPSG:4326").to_crs(placed.scene.grid.crs).to_numpy()
    local = shapely.transform(flat, lambda points: _to_local(placed.scene.grid, points)) if len(mine) else flat
    centre = shapely.centroid(local)
    return pd.DataFrame(mine.drop(columns="geometry")).assign(
        x_m=shapely.get_x(centre), y_m=shapely.get_y(centre), local=local
    )
