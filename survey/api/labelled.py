"""Scenes somebody has looked through, and the candidates there with the class of what they lie on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from survey.api.judging import Measure
from survey.api.tiles import with_measures
from survey.detection.scales import plan_passes
from survey.detection.search import NUDGES, FirstStage, Found, Octaves, nudged, octaves_of, search
from survey.errors import LayerError, ModelError
from survey.hazards import classes
from survey.imagery.chips import Chip, level_grid, read_chip
from survey.imagery.scene import Role, Scene
from survey.imagery.tiles import Tile, Tiling, cut
from survey.memory.calibration import Places
from survey.memory.labelling import NOTHING, UNDECIDED, Labelled, label_candidates, labelled
from survey.memory.table import Nudged, joined_looks, looks_at

_NEGATIVES = 500
"""Negatives kept of one tile and size; each stands for as many as were left out."""
_BLOCK_M = 25.0
"""Side of the blocks of ground that are held out together where sites are not named: no published figure."""


@dataclass(frozen=True)
class LabelledScene:
    """A scene somebody has looked through.

    Attributes
    ----------
    scene : Scene
    labels : GeoDataFrame
        Outlines with ``class_code``; ``occlusion`` (0-1) where known. Any CRS.
    reviewed : GeoDataFrame
        Ground inside which everything was labelled: only there is "no label" a negative.
    site : str
        What is held out together; empty: blocks of 25 m of the ground.
    """

    scene: Scene
    labels: gpd.GeoDataFrame
    reviewed: gpd.GeoDataFrame
    site: str = ""


@dataclass(frozen=True)
class LabelledRows:
    """Labelled candidates; every array but the further looks has one entry a candidate.

    Attributes
    ----------
    features : float32 array, shape (n, number of features)
    codes : object array
        Class code, or the empty string for a negative.
    weights : float array
        How many candidates of reviewed ground a row stands for.
    groups : object array
        What is held out together.
    picture : object array
        Name of the scene.
    x_m, y_m, diameter_m : float arrays
        Metres from the scene's first corner along its rows and columns, and its size.
    nudged : Nudged, optional
        Further looks at them.
    """

    features: NDArray[np.float32]
    codes: NDArray[np.object_]
    weights: NDArray[np.float64]
    groups: NDArray[np.object_]
    picture: NDArray[np.object_]
    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    diameter_m: NDArray[np.float64]
    nudged: Nudged | None = None

    @property
    def places(self) -> Places:
        """Where they lie."""
        pictures = np.unique(self.picture.astype(str), return_inverse=True)[1]
        return Places(pictures, self.x_m, self.y_m, self.diameter_m)

    @classmethod
    def joined(cls, parts: Sequence[LabelledRows]) -> LabelledRows:
        """Rows of several scenes as one.

        Raises
        ------
        ModelError
            There is none.
        """
        filled = [part for part in parts if len(part.codes)]
        if not filled:
            raise ModelError("The reviewed ground holds no candidate at all. Give labelled objects and ground around.")
        names = [name for name in vars(filled[0]) if name != "nudged"]
        looks = joined_looks([(len(one.codes), one.nudged) for one in filled])
        return cls(**{name: np.concatenate([getattr(one, name) for one in filled]) for name in names}, nudged=looks)


def on_plane(one: LabelledScene) -> tuple[Labelled, shapely.Geometry]:
    """Labels and reviewed ground in metres from the scene's first corner, along its rows and columns.

    Raises
    ------
    LayerError
        A table lacks a column or a CRS, a class is not known, or a label is no outline.
    """
    for name, table in (("labels", one.labels), ("reviewed ground", one.reviewed)):
        if table.crs is None:
            raise LayerError(f"The {name} of {one.scene.name} have no CRS. Set it with set_crs.")
    if "class_code" not in one.labels:
        raise LayerError(f"The labels of {one.scene.name} have no column class_code (they have {list(one.labels)}).")
    strange = sorted(set(one.labels["class_code"]) - set(classes()))
    if strange:
        raise LayerError(
            f"The labels of {one.scene.name} name the class {strange[0]!r}, which is not known. Admit it first: "
            "survey.hazards.admit(HazardClass(...))."
        )
    grid = one.scene.grid

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(grid.to_pixel(points[:, 0], points[:, 1])) * grid.gsd_m

    outlines = np.array(shapely.transform(one.labels.to_crs(grid.crs).geometry.to_numpy(), place), dtype=object)
    if len(outlines) and (shapely.get_dimensions(outlines) < 2).any():
        raise LayerError(
            f"The labels of {one.scene.name} must be outlines (polygons); buffer points to their plan size."
        )
    ground = shapely.transform(one.reviewed.to_crs(grid.crs).union_all(), place)
    hidden = one.labels["occlusion"].to_numpy(float) if "occlusion" in one.labels else np.zeros(len(outlines))
    return labelled(outlines, one.labels["class_code"].to_numpy(dtype=object), hidden), ground


def rows_of(
    one: LabelledScene,
    known: tuple[Labelled, shapely.Geometry],
    sizes: dict[str, tuple[float, ...]],
    how: tuple[tuple[Role, ...], float, bool],
    measures: Sequence[Measure],
) -> LabelledRows:
    """Candidates on the reviewed ground of a scene with the class of what they lie on.

    Parameters
    ----------
    one : LabelledScene
    known : (Labelled, shapely geometry)
        From :func:`on_plane`.
    sizes : mapping of class code to diameters in metres
    how : (roles, least strength, nudged)
        Bands that are searched, the strength from which something is a candidate, and whether candidates are also
        measured a little off their place and size.
    measures : sequence of callables
        Of the researcher's own.

    Raises
    ------
    ImageryError
        Pixels cannot be read.
    """
    scene, (labels, ground), (roles, least, nudging) = one.scene, known, how
    harmless = np.array([classes()[code].family == "clutter" for code in labels.codes], dtype=bool)
    labels = replace(labels, codes=np.where(harmless, "!", labels.codes))
    shapely.prepare(ground)
    reviewed = one.reviewed.to_crs(scene.grid.crs).union_all()
    parts = []
    for a_pass in plan_passes(scene.grid.gsd_m, sizes):
        for tile in cut(level_grid(scene, a_pass.level), a_pass.level, Tiling(), reviewed):
            chip = read_chip(scene, a_pass.level, tile.window(a_pass.halo, a_pass.multiple), roles)
            if not chip.valid.any():
                continue
            octaves = octaves_of(chip.pixels, chip.valid, a_pass)
            core = (tile.row0, tile.row1, tile.col0, tile.col1)
            found = search(octaves, chip.valid, (chip.row, chip.col), core, a_pass, FirstStage(least))
            row, col = found.level_pixel()
            ratio = scene.grid.height / chip.grid.height, scene.grid.width / chip.grid.width
            y, x = (
                np.asarray((at + 0.5) * step * scene.grid.gsd_m) for at, step in zip((row, col), ratio, strict=True)
            )
            codes, _ = label_candidates(x, y, found.diameter_m, labels)
            said = shapely.contains_xy(ground, x, y) & (codes != UNDECIDED)
            chosen, weights = _thinned(codes, said, found.diameter_m, (tile.row0, tile.col0, a_pass.level))
            drawn = found.take(chosen)
            kept = with_measures(drawn, octaves, (chip.row, chip.col), measures)
            looks = _looks(drawn, octaves, (chip, tile), codes[chosen]) if nudging else None
            codes[codes == "!"] = NOTHING
            blocks = [f"{scene.name}/{int(b)}/{int(a)}" for a, b in zip(x // _BLOCK_M, y // _BLOCK_M, strict=True)]
            groups = np.array([one.site] * len(x) if one.site else blocks, dtype=object)
            name = np.full(len(weights), scene.name, dtype=object)
            places = name, x[chosen], y[chosen], kept.diameter_m
            parts.append(LabelledRows(kept.features, codes[chosen], weights, groups[chosen], *places, nudged=looks))
    return LabelledRows.joined(parts)


def _looks(found: Found, octaves: Octaves, at: tuple[Chip, Tile], codes: NDArray[np.object_]) -> Nudged:
    """Measure candidates of a tile a little off their place and size."""
    chip, tile = at
    of, which = looks_at(codes, len(NUDGES), np.random.default_rng((tile.row0, tile.col0, tile.level, 1)))
    return Nudged(nudged(octaves, found.take(of), (chip.row, chip.col), which), of)


def _thinned(
    codes: NDArray[np.object_], said: NDArray[np.bool_], diameter_m: NDArray[np.float64], seed: tuple[int, int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which to keep, all that lie on a label and some of the others, and how many candidates each of these is."""
    rng = np.random.default_rng(seed)
    weights = np.ones(len(codes))
    kept = [np.flatnonzero(said & (codes != NOTHING))]
    for size in np.unique(diameter_m):
        here = np.flatnonzero(said & (codes == NOTHING) & (diameter_m == size))
        drawn = rng.permutation(here)[:_NEGATIVES]
        weights[drawn] = len(here) / max(1, len(drawn))
        kept.append(drawn)
    chosen = np.isin(np.arange(len(codes)), np.concatenate(kept))
    return chosen, weights[chosen]
