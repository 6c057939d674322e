"""The examples that a judge of posts is fitted on: candidates of drawn fences and single posts, and all that is none.

Fences are drawn on drawn scenes and on grounds of photographic textures. Photographs of sites are not learned from, so
that what a judge is worth can be measured on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from scipy.spatial import cKDTree

from pipelines.grounds import APART_M, CRS, NORTH, WEST
from survey.detection.lines import POST_SIZES_M
from survey.detection.scales import nearest_scale
from survey.detection.search import FirstStage, search_picture
from survey.hazards import classes
from survey.synthetic.photograph import IntoSettings, Photo, draw_into
from survey.synthetic.scene import DrawnScene, SceneSettings, draw_scene
from survey.synthetic.site import site_of, training_sites

# Sides of drawn scenes and their finest GSD: of those to learn from, and of those in which a fence is to be found.
_SIDE_PX, _SIDE_PX_UNSEEN = 1500, 2600
_FINEST_M, _FINEST_M_UNSEEN = 0.007, 0.01
# Fences in a picture to learn from, in the mean; a picture of finer imagery has no room for one.
_FENCES = 4.0
_FIRST_SEED, _FIRST_SEED_OF_GROUNDS = 30_000, 40_000
FIRST_UNSEEN = 5_000
"""Pictures from this number on are never learned from; fences are a quarter as dense on them."""
# Harmless things on every second of those scenes, in multiples of a site's own.
_THICK = 3.0
# A candidate is a post's where its middle lies within this share of its size of it, and none where it is further off
# than the second.
_ON, _BESIDE = 0.5, 1.5


@dataclass(frozen=True)
class PostExamples:
    """Candidates of pictures with posts; every array has one entry a candidate.

    Attributes
    ----------
    features : float16 array, shape (n, number of features)
    is_post : bool array
    picture : int array
        Number of the picture.
    place_m : float array, shape (n, 3)
        Metres right and down from the corner of the picture, and diameter.
    """

    features: NDArray[np.float16]
    is_post: NDArray[np.bool_]
    picture: NDArray[np.int64]
    place_m: NDArray[np.float64]

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> PostExamples:
        """Only some of the candidates."""
        return PostExamples(**{name: values[rows] for name, values in vars(self).items()})


def joined_examples(parts: Sequence[PostExamples]) -> PostExamples:
    """Examples of several pictures as one."""
    return PostExamples(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})


def scene_with_fences(number: int, bands: tuple[str, ...]) -> DrawnScene:
    """Draw a scene with fences on it, of a site and in a place of its own."""
    seed = _FIRST_SEED + number
    rng = np.random.default_rng([seed, 1])
    coarsest = classes()["fence"].max_gsd_cm / 100
    side, finest = (_SIDE_PX, _FINEST_M) if number < FIRST_UNSEEN else (_SIDE_PX_UNSEEN, _FINEST_M_UNSEEN)
    gsd = float(np.exp(rng.uniform(np.log(finest), np.log(coarsest))))
    # Where harmless things lie thickly, more of them lie in line: half of what a line is judged by is such ground.
    clutter = _THICK if number >= FIRST_UNSEEN and number % 2 else 1.0
    settings = SceneSettings(
        width_px=side, height_px=side, gsd_m=gsd, bands=bands, clutter=clutter,
        objects_per_ha=_fences(number, (side * gsd) ** 2),
        site=training_sites(1, first=seed)[0], crs=CRS, origin=(WEST + APART_M * (number % FIRST_UNSEEN), NORTH),
    )  # fmt: skip
    return draw_scene(settings, seed)


def ground_with_fences(path: Path, bands: tuple[str, ...], number: int) -> DrawnScene:
    """Draw fences into a photograph or a ground of textures, with harmless things on every second one."""
    with rasterio.open(path) as image:
        pixels, gsd = image.read(), abs(image.transform.a)
    place = from_origin(WEST + APART_M * (number % FIRST_UNSEEN), NORTH, gsd, gsd)
    seed = _FIRST_SEED_OF_GROUNDS + number
    fences = _fences(number, pixels[0].size * gsd**2)
    into = IntoSettings(objects_per_ha=fences, clutter=float(number % 2), site=site_of(seed))
    return draw_into(Photo(pixels, bands, place, CRS, gsd), into, seed)


def _fences(number: int, square_metres: float) -> dict[str, float]:
    wanted = _FENCES if number < FIRST_UNSEEN else _FENCES / 4
    return {"fence": wanted / square_metres * 1e4}


def post_examples(drawn: DrawnScene, stage: FirstStage, number: int) -> PostExamples:
    """Candidates of post size in a drawn picture that clearly are a post's or nobody's."""
    sizes = {"fence": tuple(map(nearest_scale, POST_SIZES_M))}
    found, x, y = search_picture(drawn.pixels, drawn.valid, drawn.gsd_m, sizes, stage)
    posts = np.zeros((0, 2)) if drawn.posts is None else drawn.posts
    where = np.column_stack(~drawn.transform * (posts[:, 0], posts[:, 1])) * drawn.gsd_m
    away = np.full(len(x), np.inf)
    if len(where) and len(x):
        away = cKDTree(where).query(np.column_stack([x, y]))[0]
    on = away <= _ON * found.diameter_m
    decided = on | (away > _BESIDE * found.diameter_m)
    examples = PostExamples(
        found.features.astype(np.float16), on, np.full(len(x), number), np.column_stack([x, y, found.diameter_m])
    )
    return examples.take(decided)
