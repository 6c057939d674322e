"""The few names a researcher needs of one raster: open it, plan it, detect in one tile, survey it, evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

from survey.api.judging import load_model, wanted_classes, what_is_sought
from survey.api.scenes import collect_objects, region_of, scene_coverage
from survey.api.tiles import TileResult, passes, pieces, survey_tile
from survey.contamination.assessment import Contamination, assess
from survey.contamination.districts import prepare_districts
from survey.detection.classifier import Detection
from survey.detection.scales import Pass
from survey.imagery import scene as imagery
from survey.imagery.scene import Imagery, Role, Scene
from survey.imagery.tiles import Tile, Tiling
from survey.imagery.visibility import Visibility
from survey.memory import evaluation
from survey.memory.comparison import Evaluating
from survey.memory.modelfile import Model
from survey.provenance import digest, imagery_digest, run_id

Piece = tuple[Pass, Tile]
"""One tile of one walk over a scene."""


def open_scene(
    path: str | Path,
    *,
    bands: Mapping[Role, int] | None = None,
    position_error_m: float = 1.0,
    acquired: datetime | None = None,
) -> Scene:
    """Open a raster, find out what its bands are, and refuse what cannot be surveyed.

    Parameters
    ----------
    path : str or Path
        Anything GDAL opens, with a CRS and a georeference.
    bands : mapping of role to band number from 1, optional
        Such as ``{"thermal": 1}``; default: band descriptions, then colour interpretation.
    position_error_m : float
        Standard error of the georeference, metres.
    acquired : datetime, optional
        Default: from the file's metadata.

    Raises
    ------
    ImageryError
        The file cannot be read, or not be placed on the ground, or its bands cannot be told apart.

    Examples
    --------
    >>> scene = open_scene("data/sample/imagery/close_c.tif")
    >>> scene.roles, round(scene.grid.gsd_cm, 1)
    (('red', 'green', 'blue'), 0.8)
    """
    settings = Imagery(paths=(str(path),), bands=bands, position_error_m=position_error_m, acquired=acquired)
    return imagery.open_scene(path, settings)


@dataclass(frozen=True)
class Plan:
    """What will be looked for in a scene, and in which tiles.

    Attributes
    ----------
    scene : Scene
    model : Model
    detection : Detection
    pieces : tuple of (Pass, Tile)
        What :func:`detect` takes one by one, finest pass first.
    seen, too_coarse : tuple of str
        Class codes that the model knows, the settings want, and that the imagery resolves or does not resolve.
    region : shapely geometry
        Ground to be looked at, CRS of the scene.
    """

    scene: Scene
    model: Model
    detection: Detection
    pieces: tuple[Piece, ...]
    seen: tuple[str, ...]
    too_coarse: tuple[str, ...]
    region: shapely.Geometry


def plan(
    scene: Scene,
    model: Model | None = None,
    *,
    detection: Detection | None = None,
    tiling: Tiling | None = None,
    region: shapely.Geometry | None = None,
) -> Plan:
    """Plan a survey of a scene: which classes can be seen, and which tiles are to be read.

    Parameters
    ----------
    scene : Scene
    model : Model, optional
        Default: the shipped model that fits the scene's bands.
    detection : Detection, optional
        Which families are wanted; default all.
    tiling : Tiling, optional
        How the scene is cut; what is found does not depend on it.
    region : shapely geometry, optional
        Ground to be looked at, CRS of the scene; default all of it.

    Raises
    ------
    ModelError
        No model fits the bands.
    ImageryError
        The scene lacks a band, or is too coarse for every class.

    Examples
    --------
    >>> planned = plan(open_scene("data/sample/imagery/close_c.tif"))
    >>> "mine_scatterable" in planned.seen, planned.too_coarse
    (True, ())
    """
    model = model or load_model(None, scene.roles)
    detection, tiling = detection or Detection(), tiling or Tiling()
    ground = scene.grid.outline() if region is None else shapely.intersection(region, scene.grid.outline())
    tiles = tuple(pieces(scene, passes(scene, model, detection), tiling, ground))
    seen = wanted_classes(model, detection, scene.grid.gsd_cm)
    wanted = wanted_classes(model, detection, 0.0)
    too_coarse = tuple(code for code in wanted if code not in seen)
    return Plan(scene, model, detection, tiles, seen, too_coarse, ground)


def detect(planned: Plan, piece: Piece, visibility: Visibility | None = None) -> TileResult:
    """Detect in one tile.

    Parameters
    ----------
    planned : Plan
    piece : (Pass, Tile)
        One of ``planned.pieces``, or a tile of your own: a half-open core in pixels of the pass's level.
    visibility : Visibility, optional

    Returns
    -------
    TileResult
        ``sightings`` (one a place and size, probability 0.05 and more, duplicates over sizes not yet joined) in the
        CRS of the scene, the coverage ``cells``, and the ``seconds`` it took.

    Raises
    ------
    ImageryError
        Pixels cannot be read.

    Examples
    --------
    >>> planned = plan(open_scene("data/sample/imagery/close_c.tif"), tiling=Tiling(size=512))
    >>> found = detect(planned, planned.pieces[0])
    >>> len(found.sightings) > 0, found.sightings["probability"].min() >= 0.05
    (True, np.True_)
    """
    a_pass, tile = piece
    return survey_tile(planned.scene, a_pass, tile, planned.model, visibility)


def survey_raster(
    planned: Plan | Scene,
    districts: gpd.GeoDataFrame | None = None,
    name_field: str | None = None,
    *,
    threshold: float = 0.5,
    contamination: Contamination | None = None,
) -> dict[str, pd.DataFrame]:
    """Survey one raster in memory: every layer that a job would write, without verdicts, ledger or journal.

    Parameters
    ----------
    planned : Plan or Scene
        Of a scene, all is looked at with the shipped model. What lies outside the plan's region is not analysed.
    districts : GeoDataFrame, optional
        Boundaries that hectares are summed by; default: the outline of the scene, as one district.
    name_field : str, optional
        Column with the districts' names; needed where there are districts.
    threshold : float
        Least probability of a hazard object, 0.05 to 1; what lies below is a candidate.
    contamination : Contamination, optional
        Settings of the map plane.

    Returns
    -------
    dict of DataFrame
        By layer: ``hazard_objects``, ``candidates``, ``hazard_areas``, ``density_grid``, ``districts``, ``coverage``
        and their tables, as :mod:`survey.layers` declares them.

    Raises
    ------
    SurveyError
        The raster or the boundaries cannot be used. One tile that cannot be read ends it, other than in a job.

    Examples
    --------
    >>> scene = open_scene("data/sample/imagery/close_c.tif")
    >>> layers = survey_raster(plan(scene, region=scene.grid.outline().centroid.buffer(2)))
    >>> row = layers["districts"].iloc[0]
    >>> bool(abs(row.analysed_ha + row.not_assessable_ha + row.not_analysed_ha - row.district_ha) < 1e-8)
    True
    """
    planned = plan(planned) if isinstance(planned, Scene) else planned
    scene, model = planned.scene, planned.model
    if districts is None:
        districts = gpd.GeoDataFrame({"name": [scene.name]}, geometry=[scene.grid.outline()], crs=scene.grid.crs)
        name_field = "name"
    prepared = prepare_districts(districts, name_field or "name")
    settings, visibility = contamination or Contamination(), Visibility()
    results = [detect(planned, piece, visibility) for piece in planned.pieces]
    sightings = pd.concat([one.sightings for one in results], ignore_index=True)
    region = shapely.intersection(region_of(scene, prepared), planned.region)
    x, y = scene.grid.to_ground(sightings["col"].to_numpy(float) + 0.5, sightings["row"].to_numpy(float) + 0.5)
    sightings = sightings[shapely.contains_xy(region, x, y)].reset_index(drop=True)
    finest = next(a_pass for a_pass, _ in planned.pieces if a_pass.finest)
    cells = [one.cells for one in results if one.cells is not None]
    sought = what_is_sought(model, planned.detection, visibility)
    coverage = scene_coverage(scene, finest, cells, [], region, sought)
    run = run_id(
        digest([threshold, planned.detection, settings]), imagery_digest([{"scene": scene.identity}]), model.digest
    )
    objects, candidates = collect_objects(
        {scene.name: sightings}, {scene.name: scene}, {scene.name: coverage},
        threshold=threshold, model=model, run_id=run,
    )  # fmt: skip
    return {**assess(objects, [coverage], prepared, settings, run), "candidates": candidates}


def evaluate(
    found: Mapping[str, pd.DataFrame] | gpd.GeoDataFrame,
    truth: gpd.GeoDataFrame,
    reviewed: gpd.GeoDataFrame | None = None,
    settings: Evaluating | None = None,
) -> dict[str, Any]:
    """Compare what was found with known objects, one to one, beside stated floors.

    Parameters
    ----------
    found : dict of layers, or GeoDataFrame
        From :func:`survey_raster`; or detections with ``class_code``, ``probability`` and ``gsd_cm``.
    truth : GeoDataFrame
        Known objects: ``class_code``; ``occlusion`` and ``site`` where known.
    reviewed : GeoDataFrame, optional
        Ground inside which every object is labelled.
    settings : Evaluating, optional

    Returns
    -------
    dict
        See :func:`survey.memory.evaluation.evaluate`.

    Raises
    ------
    LayerError
        A column or a CRS is missing.

    Examples
    --------
    >>> import geopandas as gpd
    >>> truth = gpd.read_file("data/sample/truth.gpkg", layer="labels")
    >>> found = truth.assign(probability=0.9, gsd_cm=2.0)
    >>> evaluate(found, truth)["ap"]
    1.0
    """
    if not isinstance(found, Mapping):
        return evaluation.evaluate(found, truth, reviewed, None, settings)
    objects, candidates = found["hazard_objects"], found["candidates"]
    tables: Sequence[pd.DataFrame] = [objects.assign(emitted=True), candidates.assign(emitted=False)]
    joined = pd.concat([one for one in tables if len(one)] or tables[:1], ignore_index=True)
    coverage = found.get("coverage")
    return evaluation.evaluate(gpd.GeoDataFrame(joined), truth, reviewed, coverage, settings)
