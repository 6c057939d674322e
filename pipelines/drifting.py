"""Say on which sites the imagery is unlike the ground the model learned from, and in which of its channels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import cast

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pipelines.engine.executor import Pool, run_all
from pipelines.engine.parcels import ModelRef, model_of
from pipelines.opening import Opened
from survey.api import Detection, Model, Pass, first_stage, passes
from survey.detection.channels import channel_names
from survey.detection.features import parts_of
from survey.detection.search import octaves_of, search
from survey.errors import ImageryError, ModelError
from survey.imagery.chips import level_grid, read_chip
from survey.imagery.scene import Role, Scene
from survey.memory.drift import Ground, drift, ground_of

_WINDOW_PX = 512
_EDGE_PX = 64
"""Of a window, around what is searched."""
_A_SIDE = 3
"""Windows along a side of an image, at most."""
_MOST_WINDOWS = 24
"""Windows of one site that are looked at, at most."""
_ENOUGH = 600
"""Candidates at which no further window is looked at."""
_FEWEST = 25
"""Candidates below which nothing is said."""
_MOST_SITES = 20
_APART_M = 100.0
"""Images further apart are of two sites: as the blocks that an object memory is held out by."""
_METRES_A_DEGREE = 111_320.0


@dataclass(frozen=True)
class Site:
    """A task: ground to be looked at, and the model it is compared with what that has learned from."""

    scenes: tuple[Scene, ...]
    model: ModelRef


@dataclass(frozen=True)
class Strange:
    """A site that is unlike the ground a model learned from.

    Attributes
    ----------
    scenes : tuple of Scene
    channels : tuple of str
        In which.
    times : float
        How far off, in multiples of what is usual.
    """

    scenes: tuple[Scene, ...]
    channels: tuple[str, ...]
    times: float


@dataclass(frozen=True)
class Answer:
    """What a worker says of a site: how strange it is, or why the model is refused."""

    strange: Strange | None = None
    refusal: str = ""


def look_at_site(site: Site) -> Answer:
    """Build the model, and tell whether a site is unlike the ground it learned from (runs in a worker)."""
    try:
        model = model_of(site.model)
    except ModelError as error:
        return Answer(refusal=str(error))
    return Answer(strangeness(site.scenes, model))


def strange_ground(opened: Opened, model: ModelRef, pool: Pool) -> list[str]:
    """Have workers build the model and look at samples of sites; a sentence for each unlike what it learned from.

    Raises
    ------
    ModelError
        The model is refused.
    """
    looked, count = _sites_to_look_at(opened, model)
    outcomes = {one.task: one for one in run_all(pool, look_at_site, iter(looked), retries=1)}
    found, unknown = [], []
    for one in (outcomes[site] for site in looked):
        if one.result is None:
            unknown.append(f"Whether ground is like that the model learned from is not known: {one.reason}.")
        elif one.result.refusal:
            raise ModelError(one.result.refusal)
        elif one.result.strange is not None:
            found.append(one.result.strange)
    return [*_sentences(found, len(looked), count, opened.model.version), *unknown]


def _sites_to_look_at(opened: Opened, model: ModelRef) -> tuple[list[Site], int]:
    """Sites of a job that samples are taken of, at most 20, and how many there are.

    For a model that cannot say what it learned from there is one of no images: the model is built all the same.
    """
    if not opened.model.card.get("background"):
        return [Site((), model)], 0
    sites = sites_of([place.scene for place in opened.scenes])
    return [Site(one, model) for one in sites[:: max(1, math.ceil(len(sites) / _MOST_SITES))]], len(sites)


def _sentences(found: Sequence[Strange], looked: int, sites: int, version: str) -> Iterator[str]:
    for one in found:
        others = f" and {len(one.scenes) - 1} more images near by" if len(one.scenes) > 1 else ""
        yield (
            f"The ground of {one.scenes[0].name}{others} is unlike the ground that model {version} learned from, "
            f"in {' and in '.join(one.channels)} (what stands out there is {one.times:.1f} times as far off as is "
            "usual). Treat the probabilities with care, and have some objects verified there first."
        )
    if found and looked < sites:
        yield f"{looked} of {sites} sites were looked at; others may be unlike that ground, too."


def sites_of(scenes: Sequence[Scene]) -> list[tuple[Scene, ...]]:
    """Sites: images of one day, as far as it is known, each less than 100 m from another of them."""
    outlines = np.array([_on_a_plane(scene) for scene in scenes], dtype=object)
    days = [None if scene.acquired_at is None else scene.acquired_at.date() for scene in scenes]
    first, second = shapely.STRtree(outlines).query(outlines, predicate="dwithin", distance=_APART_M)
    same = np.array([days[i] == days[j] for i, j in zip(first, second, strict=True)], dtype=bool)
    pairs = coo_matrix((np.ones(int(same.sum())), (first[same], second[same])), shape=(len(scenes), len(scenes)))
    count, member = connected_components(pairs, directed=False)
    return [tuple(scenes[i] for i in np.flatnonzero(member == site).tolist()) for site in range(count)]


def _on_a_plane(scene: Scene) -> shapely.Geometry:
    """Outline in metres: true near by, which is all that is asked for."""
    outline = scene.grid.outline(step=1)
    to = pyproj.Transformer.from_crs(pyproj.CRS(scene.grid.crs).to_2d(), "EPSG:4326", always_xy=True)
    lon, lat = to.transform(*shapely.get_coordinates(outline).T)
    return shapely.Polygon(np.column_stack([np.asarray(lon) * np.cos(np.radians(lat)), lat]) * _METRES_A_DEGREE)


def strangeness(site: Sequence[Scene], model: Model) -> Strange | None:
    """Tell whether a site is unlike the training ground; None where it is not, or nothing can be known."""
    ground = sampled(site, model)
    if ground is None:
        return None
    parts, channel_of = parts_of(len(model.roles))
    reached = drift(ground, model.card["background"], parts)
    if reached is None or reached.max() <= 1.0:
        return None
    names = channel_names(model.roles)
    channels = tuple(names[channel] for channel in sorted({*channel_of[reached > 1.0].tolist()}))
    return Strange(tuple(site), channels, float(reached.max()))


def sampled(site: Sequence[Scene], model: Model) -> Ground | None:
    """Describe the ground of a site by candidates of some windows, its images in turn; None where they are too few."""
    parts: list[NDArray[np.float32]] = []
    for scene, a_pass, window in _windows(site, model):
        try:
            features = _searched(scene, a_pass, window, model)
        except ImageryError:
            # Ground that cannot be read is the survey's to report.
            continue
        parts.append(features)
        if sum(map(len, parts)) >= _ENOUGH:
            break
    count = sum(map(len, parts))
    return ground_of(np.concatenate(parts), np.ones(count)) if count >= _FEWEST else None


def _windows(site: Sequence[Scene], model: Model) -> Iterator[tuple[Scene, Pass, tuple[int, int, int, int]]]:
    """Windows (row0, row1, col0, col1) of a site, at most 24: one of each image before the second of any."""
    some = site[:: max(1, math.ceil(len(site) / _MOST_WINDOWS))]
    # The sizes of all classes, as the model learned them, whichever the job looks for.
    planned = [(scene, next(one for one in passes(scene, model, Detection()) if one.finest)) for scene in some]
    rounds = [[(scene, a_pass, window) for window in _spread(scene, a_pass)] for scene, a_pass in planned]
    turns = [windows[turn] for turn in range(_A_SIDE**2) for windows in rounds if turn < len(windows)]
    yield from turns[:_MOST_WINDOWS]


def _spread(scene: Scene, a_pass: Pass) -> list[tuple[int, int, int, int]]:
    """Windows spread over an image that do not look at the same ground."""
    grid = level_grid(scene, a_pass.level)
    side = -(-_WINDOW_PX // a_pass.multiple) * a_pass.multiple
    starts = []
    for size in (grid.height, grid.width):
        count = min(_A_SIDE, max(1, size // side))
        middles = (size * (number + 0.5) / count for number in range(count))
        # A small image lies whole in its window, which then begins before it.
        starts.append([int(middle - side / 2) // a_pass.multiple * a_pass.multiple for middle in middles])
    # Diagonals first: two windows lie in other rows and columns.
    order = sorted(product(*map(range, map(len, starts))), key=lambda one: (one[0] + one[1]) % _A_SIDE)
    return [(starts[0][i], starts[0][i] + side, starts[1][j], starts[1][j] + side) for i, j in order]


def _searched(scene: Scene, a_pass: Pass, window: tuple[int, int, int, int], model: Model) -> NDArray[np.float32]:
    """Features of the candidates of one window at the sizes the model has learned, shape (n, number of features)."""
    chip = read_chip(scene, a_pass.level, window, cast("tuple[Role, ...]", model.roles))
    row0, row1, col0, col1 = window
    core = (row0 + _EDGE_PX, row1 - _EDGE_PX, col0 + _EDGE_PX, col1 - _EDGE_PX)
    octaves = octaves_of(chip.pixels, chip.valid, a_pass)
    some = search(octaves, chip.valid, (row0, col0), core, a_pass, first_stage(model))
    own = {size for code in model.own_classes for size in model.scales_by_class[code]}
    return some.features[np.isin(some.diameter_m, sorted(own))]
