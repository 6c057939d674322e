"""Open everything a job names, and tell what can be surveyed from what is refused and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import geopandas as gpd
import shapely

from pipelines.checksums import read_checksums, refuse_changed
from pipelines.thumbnails import with_samples
from survey.api import ModelFile, Pass, Scene, open_model, passes, pieces, region_of
from survey.contamination.districts import prepare_districts
from survey.errors import DistrictError, ImageryError, JobError, ModelError, OutputError, SurveyError
from survey.imagery.scene import Imagery, open_scene
from survey.imagery.stac import images_of
from survey.imagery.tiles import Tile, Tiling
from survey.imagery.trust import holds_secret, shown_address
from survey.provenance import digest, file_identity
from survey.settings import Job
from survey.vectors import VECTOR_FAULTS


@dataclass(frozen=True)
class OpenScene:
    """A scene that will be surveyed.

    Attributes
    ----------
    scene : Scene
    passes : tuple of Pass
        Finest first.
    region : shapely geometry
        Ground to be looked at, CRS of the scene.
    identity : mapping
        What makes it the same imagery in another folder.
    """

    scene: Scene
    passes: tuple[Pass, ...]
    region: shapely.Geometry
    identity: Mapping[str, Any]

    @property
    def finest(self) -> Pass:
        """The pass that measures what could be seen."""
        return next(one for one in self.passes if one.finest)

    def tiles(self, tiling: Tiling) -> Iterator[tuple[Pass, Tile]]:
        """Yield the tiles of every pass that touch the region, those of the coarsest first.

        Where a file has no overviews a coarse tile is made of many pixels, and what takes long is better begun early;
        but where the finest pass keeps these levels, the coarse ones come last.
        """
        passes = self.passes if self.finest.reduced else self.passes[::-1]
        yield from pieces(self.scene, passes, tiling, self.region)


@dataclass(frozen=True)
class Refused:
    """An image that cannot be surveyed, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Opened:
    """Everything a job works with.

    Attributes
    ----------
    scenes : tuple of OpenScene
    refused : tuple of Refused
    outside : tuple of Scene
        Scenes that touch neither the districts nor the area of interest.
    districts : GeoDataFrame
    area_of_interest : GeoDataFrame or None
    model : ModelFile
        What it says of itself; it is built where pixels are searched.
    """

    scenes: tuple[OpenScene, ...]
    refused: tuple[Refused, ...]
    outside: tuple[Scene, ...]
    districts: gpd.GeoDataFrame
    area_of_interest: gpd.GeoDataFrame | None
    model: ModelFile


def open_job(job: Job) -> Opened:
    """Open imagery, districts and model; an image that is refused does not stop the others.

    Raises
    ------
    ImageryError
        Not one image can be surveyed.
    DistrictError
        The boundaries cannot be used, or no image touches them.
    ModelError
        No model fits, or the model is refused.
    """
    districts, interest = read_districts(job), read_area_of_interest(job)
    scenes: list[Scene] = []
    refused: list[Refused] = []
    checksums = read_checksums(job.imagery.checksums)
    for path, imagery in _images(job, refused).items():
        try:
            refuse_changed(path, checksums)
            scenes.append(open_scene(path, imagery))
        except ImageryError as error:
            refused.append(Refused(path, _one_line(error)))
    if not scenes:
        raise _nothing_left(refused)
    scenes = named_apart(scenes)
    model = choose_model(job, scenes)
    usable: list[OpenScene] = []
    outside: list[Scene] = []
    for scene in scenes:
        try:
            planned = passes(scene, model, job.detection)
            region = region_of(scene, districts, interest)
            identity = identity_of(scene)
        except (ImageryError, OutputError) as error:
            refused.append(Refused(scene.path, _one_line(error)))
            continue
        if shapely.intersects(region, scene.grid.outline()):
            usable.append(OpenScene(scene, planned, region, identity))
        else:
            outside.append(scene)
    if not usable and outside:
        raise _out_of_reach(job, outside, districts if interest is None else interest)
    if not usable:
        raise _nothing_left(refused)
    return Opened(with_samples(usable), tuple(refused), tuple(outside), districts, interest, model)


def _images(job: Job, refused: list[Refused]) -> dict[str, Imagery]:
    """Images the job names, once each, with what is known of their bands and time; adds catalogs that are refused."""
    images: dict[str, Imagery] = {}
    for path in job.imagery.paths:
        try:
            for image, known in images_of(path, job.imagery):
                if holds_secret(image):
                    raise ImageryError(
                        f"{path} names {shown_address(image)} with a user name, password, key or signature, which "
                        "would be written into the outputs. Give credentials in the environment alone."
                    )
                images.setdefault(image, known)
        except ImageryError as error:
            refused.append(Refused(path, _one_line(error)))
    return images


def read_districts(job: Job) -> gpd.GeoDataFrame:
    """Read and prepare the district boundaries."""
    table = _read_polygons(job.districts.path, job.districts.layer, "[districts]")
    return prepare_districts(table, job.districts.name_field, job.districts.code_field)


def read_area_of_interest(job: Job) -> gpd.GeoDataFrame | None:
    """Read the area of interest, where the job has one."""
    if job.area_of_interest is None:
        return None
    path = job.area_of_interest.path
    table = _read_polygons(path, job.area_of_interest.layer, "[area_of_interest]")
    table = table[~(table.geometry.isna() | table.geometry.is_empty)]
    if table.empty or not table.geom_type.isin(["Polygon", "MultiPolygon"]).all() or not table.is_valid.all():
        raise DistrictError(f"[area_of_interest] {path} must hold valid polygons and nothing else. Mend it in QGIS.")
    return gpd.GeoDataFrame(geometry=table.geometry, crs=table.crs)


def _read_polygons(path: Path, layer: str | None, where: str) -> gpd.GeoDataFrame:
    try:
        table = gpd.read_file(path, layer=layer) if layer else gpd.read_file(path)
    except VECTOR_FAULTS as error:
        raise DistrictError(
            f"{where} path {path} cannot be read ({_one_line(error)}). Name a vector file with polygons."
        ) from error
    if not isinstance(table, gpd.GeoDataFrame):
        raise DistrictError(f"{where} path {path} has no geometry. Name a vector file with polygons.")
    if table.crs is None:
        raise DistrictError(f"{where} path {path} has no CRS. Save it again with the CRS its coordinates are in.")
    return table


def choose_model(job: Job, scenes: Iterable[Scene]) -> ModelFile:
    """Open the model of the job: the one it names, or the shipped one that fits most of its scenes.

    Raises
    ------
    ModelError
    """
    common = Counter(scene.roles for scene in scenes)
    path = None if job.model.path is None else job.model.path
    first: ModelError | None = None
    for roles, _ in sorted(common.items(), key=lambda item: (-item[1], item[0])):
        try:
            return open_model(path, roles)
        except ModelError as error:
            first = first or error
    assert first is not None
    raise first


def threshold_of(job: Job, model: ModelFile) -> float:
    """Probability from which an object counts.

    Raises
    ------
    JobError
        The job asks for a false alarm rate that the model's card does not give a threshold for.
    """
    rate = job.model.false_alarms_per_ha
    if rate is None:
        return 0.5 if job.model.threshold is None else job.model.threshold
    known = {float(key): float(value) for key, value in model.card.get("threshold_at_fa_per_ha", {}).items()}
    for one in sorted(known, reverse=True):
        if one <= rate:
            return known[one]
    offered = ", ".join(f"{one:g}" for one in sorted(known)) or "none"
    raise JobError(
        f"[model] false_alarms_per_ha = {rate:g}, but the card of model {model.version} has thresholds for {offered} "
        "false alarms per hectare. Choose one of these, or give threshold."
    )


def identity_of(scene: Scene) -> dict[str, Any]:
    """What makes a scene the same imagery in another run: its bytes, or, far away, what it says of itself."""
    path = Path(scene.path)
    identity: dict[str, Any] = {"name": scene.name, "scene": digest(scene.identity)}
    if path.is_file():
        identity |= file_identity(path)
        identity["name"] = scene.name
    return identity


def named_apart(scenes: list[Scene]) -> list[Scene]:
    """Give scenes of one file name the folders that tell them apart."""
    parts = {scene.path: PurePosixPath(Path(scene.path).as_posix()).parts for scene in scenes}
    named = []
    for scene in scenes:
        depth = 1
        others = [parts[other.path] for other in scenes if other.path != scene.path]
        while any(other[-depth:] == parts[scene.path][-depth:] for other in others):
            depth += 1
        named.append(replace(scene, name="/".join(parts[scene.path][-depth:])))
    return named


def _nothing_left(refused: list[Refused]) -> SurveyError:
    more = f" ({len(refused) - 1} more images were refused: `survey plan` lists them.)" if len(refused) > 1 else ""
    return ImageryError(f"No image of the job can be surveyed. {refused[0].reason}{more}")


def _out_of_reach(job: Job, scenes: list[Scene], wanted: gpd.GeoDataFrame) -> DistrictError:
    outline = gpd.GeoSeries([scenes[0].grid.outline()], crs=scenes[0].grid.crs).to_crs("EPSG:4326").iloc[0]
    lon, lat = outline.centroid.x, outline.centroid.y
    west, south, east, north = wanted.to_crs("EPSG:4326").total_bounds
    path = job.districts.path if job.area_of_interest is None else job.area_of_interest.path
    return DistrictError(
        f"No image touches the ground of {path}: {scenes[0].name} lies at longitude {lon:.4f}, latitude {lat:.4f}, the "
        f"boundaries span longitude {west:.4f} to {east:.4f}, latitude {south:.4f} to {north:.4f}. Give the districts "
        "the imagery was flown over, or check the CRS of both."
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
