"""The examples a shipped model is fitted on: labelled candidates of drawn scenes, photographs and real frames.

Objects are drawn into real photographs too; the photographs are only read, and never become part of a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import from_origin
from rasterio.windows import Window

from pipelines.grounds import APART_M, CRS, NORTH, WEST
from survey.detection.scales import nearest_scale
from survey.detection.search import FirstStage, search_picture
from survey.hazards import classes
from survey.memory.labelling import NOTHING, UNDECIDED, label_candidates, labelled
from survey.memory.negatives import Pilot, thin_negatives
from survey.synthetic.photograph import IntoSettings, Photo, draw_into, open_ground
from survey.synthetic.scene import DrawnScene, SceneSettings, draw_scene
from survey.synthetic.site import Site, site_of, training_sites

# Diameters (metres) at which each class is looked for: steps of the ladder around its plan size.
SCALES_M: Mapping[str, tuple[float, ...]] = {
    "mine_at": (0.24, 0.34),
    "mine_ap": (0.085, 0.12, 0.17),
    "mine_ap_fragmentation": (0.085, 0.12),
    "mine_ap_directional": (0.12, 0.17, 0.24),
    "mine_scatterable": (0.085, 0.12),
    "submunition": (0.085, 0.12, 0.17),
    "rocket": (0.17, 0.24, 0.48),
    "mortar_bomb": (0.12, 0.17, 0.24),
    "shell": (0.17, 0.24, 0.34),
    "crater": (0.68, 0.96, 1.36, 1.92, 2.72, 3.84, 5.43, 7.68, 10.86),
    "trench": (0.68, 0.96, 1.36, 1.92),
    "dugout": (2.72, 3.84, 5.43),
    "revetment": (3.84, 5.43, 7.68),
}
# Strength from which a local maximum is a candidate: low enough to lose little, by measurement on held-out sites.
LEAST_STRENGTH = {"rgb": 3.0, "cir": 3.0, "thermal": 2.6}
# A buried mine shows as a warm, cool or dug patch of 0.2 to 0.8 m, whatever the mine's own size.
THERMAL_SCALES_M = {"mine_buried": (0.17, 0.24, 0.34, 0.48, 0.68)}

_SIDE_PX = 1100
# Pictures for learning hold about three times as many objects as those that probabilities are calibrated on.
_DENSER = 3.0
# Shares of hazards in varied pictures that lie in the open, and that have any colour: a model that learned hidden ones
# in the guides' colours alone did not see plain discs of another drawing (docs/detection.md).
_IN_THE_OPEN, _ANY_PAINT = 0.5, 0.4
# Seeds from here on are never learned from.
_UNSEEN = 7000


@dataclass(frozen=True)
class Kind:
    """A kind of drawn scene: range of GSD (metres) and the mean number of objects of each class in it."""

    share: float
    gsd_m: tuple[float, float]
    objects: Mapping[str, float]


_ANY = dict.fromkeys(SCALES_M, 6.0)
KINDS = (
    Kind(0.45, (0.012, 0.038), {**_ANY, "mine_at": 20, "crater": 4.0, "trench": 0.6, "dugout": 0.6, "revetment": 0.3}),
    Kind(
        0.35,
        (0.004, 0.012),
        {
            **_ANY, "mine_at": 3, "mine_ap": 17, "mine_scatterable": 17,
            "crater": 0.6, "trench": 0.08, "dugout": 0.08, "revetment": 0.0,
        },
    ),
    Kind(0.20, (0.04, 0.15), {"crater": 8, "trench": 0.9, "dugout": 0.9, "revetment": 0.6}),
)  # fmt: skip
"""What pictures show: objects are far denser than on any field, so that every picture teaches."""
_IN_PHOTOS = {**_ANY, "mine_at": 22, "crater": 2.5, "trench": 0.4, "dugout": 0.3, "revetment": 0.0}


@dataclass(frozen=True)
class Examples:
    """Labelled candidates of one picture; features are held in half precision, which trees and networks bear.

    ``objects`` numbers the object a candidate lies on, -1 where it lies on none. ``place``, where it is kept, has the
    columns x, y and diameter in metres. ``varied`` as of :class:`Task`.
    """

    features: NDArray[np.float16]
    codes: NDArray[np.object_]
    weights: NDArray[np.float64]
    objects: NDArray[np.int64]
    site: str
    place: NDArray[np.float64] | None = None
    varied: bool = False

    def take(self, rows: NDArray[np.int64]) -> Examples:
        """Only some of the candidates."""
        place = None if self.place is None else self.place[rows]
        return Examples(
            self.features[rows], self.codes[rows], self.weights[rows], self.objects[rows], self.site, place, self.varied
        )


@dataclass(frozen=True)
class Task:
    """One picture to be made and searched; ``varied`` where hazards lie in the open and in any paint."""

    seed: int
    bands: tuple[str, ...]
    photo: str | None
    varied: bool = False


def tasks(bands: tuple[str, ...], scenes: int, photos: Mapping[Path, tuple[str, ...]], crops: int) -> list[Task]:
    """List the pictures a model is trained on, photographs spread evenly among drawn scenes, each in both styles.

    Parameters
    ----------
    bands : tuple of str
        Of the model.
    scenes : int
        Drawn scenes, of each style.
    photos : mapping of path to bands
        Photographs, and the bands that objects are drawn into them in, in the order of the model's.
    crops : int
        Crops of photographs, of each style.
    """
    drawn = [Task(1000 + seed, bands, None) for seed in range(scenes)]
    turns = in_turn(list(photos))
    into = [
        Task(101_000 + n, photos[path], str(path))
        for n, path in enumerate(turns[n % len(turns)] for n in range(crops if photos else 0))
    ]
    order = np.argsort(np.r_[np.arange(len(drawn)) / max(1, len(drawn)), np.arange(len(into)) / max(1, len(into))])
    return [replace((drawn + into)[i], varied=varied) for i in order for varied in (False, True)]


def in_turn(photos: Sequence[Path]) -> list[Path]:
    """Give every folder of photographs its turn, however few it holds: a folder of few is gone through again."""
    folders: dict[Path, list[Path]] = {}
    for path in photos:
        folders.setdefault(path.parent, []).append(path)
    rounds = max(map(len, folders.values()), default=0)
    return [files[n % len(files)] for n in range(rounds) for files in folders.values()]


def draw(task: Task, stage: FirstStage, pilot: Pilot | None) -> Examples:
    """Draw one picture and search it; with a pilot, easy negatives are thinned out."""
    rng = np.random.default_rng([task.seed, 9])
    if task.photo is not None:
        photo = _crop(task.photo, task.bands, rng)
        # Harmless things are drawn into half of them, or all that is drawn would be hazards.
        into = IntoSettings(
            objects_per_ha=_per_hectare(_IN_PHOTOS, photo.gsd_m), clutter=float(rng.integers(2)),
            site=_styled(site_of(task.seed), task),
        )  # fmt: skip
        drawn, site = draw_into(photo, into, task.seed, open_ground(photo)), Path(task.photo).parent.name
    else:
        place = training_sites(1, first=task.seed)[0]
        settings = _scene_settings(task, rng, 1.0).model_copy(update={"site": _styled(place, task)})
        drawn, site = draw_scene(settings, task.seed), place.name
    return thinned(replace(examples_of(drawn, site, stage), varied=task.varied), pilot, task.seed)


def _styled(site: Site, task: Task) -> Site:
    if not task.varied:
        return site
    return site.model_copy(update={"in_the_open": _IN_THE_OPEN, "any_paint": _ANY_PAINT})


def draw_unseen(number: int, bands: tuple[str, ...]) -> DrawnScene:
    """Draw a picture that no model learned from, in a place of its own, objects a third as dense.

    What a model says of such pictures is what its probabilities are calibrated on.
    """
    task = Task(_UNSEEN + number, bands, None)
    settings = _scene_settings(task, np.random.default_rng([task.seed, 9]), 1 / _DENSER)
    place = settings.model_copy(update={"crs": CRS, "origin": (WEST + APART_M * number, NORTH)})
    return draw_scene(place, task.seed)


def draw_into_unseen(path: Path, bands: tuple[str, ...], number: int) -> DrawnScene:
    """Draw objects into a whole real photograph, moved to a place of its own: about 60 a hectare of all kinds."""
    with rasterio.open(path) as image:
        gsd = abs(image.transform.a)
        place = from_origin(WEST + APART_M * number, NORTH, gsd, gsd)
        photo = Photo(image.read(), bands, place, CRS, gsd)
    wanted = {code: n for code, n in _IN_PHOTOS.items() if n and classes()[code].resolved_at(gsd * 100)}
    settings = IntoSettings(objects_per_ha={code: 60.0 * n / sum(wanted.values()) for code, n in wanted.items()})
    return draw_into(photo, settings, _UNSEEN + number, open_ground(photo))


def _scene_settings(task: Task, rng: np.random.Generator, density: float) -> SceneSettings:
    kind = KINDS[rng.choice(len(KINDS), p=[k.share for k in KINDS])]
    gsd = float(np.exp(rng.uniform(*np.log(kind.gsd_m))))
    return SceneSettings(
        width_px=_SIDE_PX,
        height_px=_SIDE_PX,
        gsd_m=gsd,
        bands=task.bands,
        objects_per_ha={code: density * n for code, n in _per_hectare(kind.objects, gsd).items()},
        site=training_sites(1, first=task.seed)[0],
    )


def examples_of(drawn: DrawnScene, site: str, stage: FirstStage) -> Examples:
    """Candidates of a drawn scene with the class of what they lie on."""
    known = {
        code: tuple(map(nearest_scale, sizes))
        for code, sizes in SCALES_M.items()
        if classes()[code].resolved_at(drawn.gsd_m * 100)
    }
    found, x, y = search_picture(drawn.pixels, drawn.valid, drawn.gsd_m, known, stage)
    inverse = ~drawn.transform

    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(inverse * (points[:, 0], points[:, 1])) * drawn.gsd_m

    outlines = shapely.transform(np.asarray(drawn.labels.geometry.values, dtype=object), place)
    occlusion = drawn.labels["occlusion"].to_numpy(float)
    labels = labelled(outlines, drawn.labels["class_code"].to_numpy(object), occlusion)
    return _decided(found.features, label_candidates(x, y, found.diameter_m, labels), site)


def _decided(features: NDArray[np.float32], said: tuple[NDArray[np.object_], NDArray[np.int64]], site: str) -> Examples:
    """Candidates of a picture that clearly lie on an object or beside all of them."""
    codes, objects = said
    examples = Examples(features.astype(np.float16), codes, np.ones(len(codes)), objects, site)
    return examples.take(np.flatnonzero(codes != UNDECIDED))


def worth_measuring(examples: Examples, stage: FirstStage) -> Examples:
    """Leave out what a survey would not measure."""
    return examples.take(np.flatnonzero(stage.keeps(examples.features.astype(np.float32))))


def thinned(examples: Examples, pilot: Pilot | None, seed: int) -> Examples:
    """Leave easy negatives out, and give those that stay their weight."""
    if pilot is None:
        return examples
    rows, weights = thin_negatives(examples.features.astype(np.float32), examples.codes != NOTHING, pilot, seed)
    return replace(examples.take(rows), weights=weights)


def _per_hectare(objects: Mapping[str, float], gsd_m: float) -> dict[str, float]:
    hectares = (_SIDE_PX * gsd_m) ** 2 / 1e4
    return {code: n / hectares for code, n in objects.items() if classes()[code].resolved_at(gsd_m * 100)}


def _crop(path: str, bands: Sequence[str], rng: np.random.Generator) -> Photo:
    with rasterio.open(path) as dataset:
        row = int(rng.integers(0, dataset.height - _SIDE_PX + 1))
        col = int(rng.integers(0, dataset.width - _SIDE_PX + 1))
        window = Window(col, row, _SIDE_PX, _SIDE_PX)
        pixels = dataset.read(window=window)
        transform = dataset.window_transform(window)
        return Photo(pixels, tuple(bands), transform, dataset.crs.to_string(), abs(transform.a))


def keep_examples(path: Path, parts: Sequence[Examples]) -> None:
    """Write examples to a file (npz), so that a model can be fitted on part of them without drawing again."""
    np.savez(
        path,
        features=np.concatenate([part.features for part in parts]),
        codes=np.concatenate([part.codes for part in parts]).astype(str),
        weights=np.concatenate([part.weights for part in parts]),
        objects=numbered(parts),
        sites=np.concatenate([np.full(len(part.codes), part.site) for part in parts]).astype(str),
        varied=np.concatenate([np.full(len(part.codes), part.varied) for part in parts]),
    )


def numbered(parts: Sequence[Examples]) -> NDArray[np.int64]:
    """Number the objects of all pictures, so that no two have the same; -1 stays."""
    first = np.cumsum([0, *(part.objects.max(initial=-1) + 1 for part in parts)])
    return np.concatenate(
        [np.where(part.objects >= 0, part.objects + start, -1) for part, start in zip(parts, first, strict=False)]
    )


def read_examples(path: Path) -> list[Examples]:
    """Read what :func:`keep_examples` wrote, one entry a site and style."""
    with np.load(path, allow_pickle=False) as kept:
        codes, sites, varied = kept["codes"].astype(object), kept["sites"], kept["varied"]
        features, weights, objects = (kept[name] for name in ("features", "weights", "objects"))
    order = np.lexsort((varied, sites))
    new = (sites[order][1:] != sites[order][:-1]) | (varied[order][1:] != varied[order][:-1])
    whole = Examples(features, codes, weights, objects, "")
    return [
        replace(whole.take(rows), site=str(sites[rows[0]]), varied=bool(varied[rows[0]]))
        for rows in np.split(order, np.flatnonzero(new) + 1)
    ]


def thermal_examples(folder: Path) -> Iterator[Examples]:
    """Candidates of real thermal frames; a frame's site is its session and zone, as its name begins.

    Parameters
    ----------
    folder : Path
        Holds ``labels.gpkg`` (layer ``labels``, everything in the frames is labelled) and ``images/*.tif``.
    """
    labels = gpd.read_file(folder / "labels.gpkg", layer="labels")
    scales = {code: tuple(map(nearest_scale, sizes)) for code, sizes in THERMAL_SCALES_M.items()}
    for path in sorted((folder / "images").glob("*.tif")):
        with rasterio.open(path) as dataset:
            pixels, transform, bounds = dataset.read(), dataset.transform, shapely.box(*dataset.bounds)
        gsd = abs(transform.a)
        here = labels[labels.intersects(bounds)]
        corner = np.array([transform.c, transform.f])
        outlines = shapely.transform(
            np.asarray(here.geometry.values, dtype=object), lambda p, corner=corner: (p - corner) * np.array([1, -1])
        )
        stage = FirstStage(LEAST_STRENGTH["thermal"])
        found, x, y = search_picture(pixels, np.ones(pixels.shape[1:], bool), gsd, scales, stage)
        truth = labelled(outlines, here["class_code"].to_numpy(object), np.zeros(len(here)))
        said = label_candidates(x, y, found.diameter_m, truth)
        place = np.column_stack([x, y, found.diameter_m])[said[0] != UNDECIDED]
        yield replace(_decided(found.features, said, path.name[:6]), place=place)


def labelled_ground(folders: Sequence[Path]) -> dict[str, Any]:
    """Objects and hectares of folders of labelled frames."""
    labels, reviewed = (
        [gpd.read_file(folder / "labels.gpkg", layer=layer) for folder in folders] for layer in ("labels", "reviewed")
    )
    hectares = float(sum(table.area.sum() for table in reviewed) / 1e4)
    return {"known_objects": sum(map(len, labels)), "hectares": hectares}
