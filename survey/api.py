"""The top floor: joins the stages for one raster or one table in memory."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray
from scipy.special import expit, logit

from survey.detection import ownership
from survey.detection.classifier import EMITTED, Detection, name_of, probability_of
from survey.detection.features import FEATURE_SET
from survey.detection.objects import outline_of, to_polygon
from survey.detection.scales import Pass, plan_passes
from survey.detection.search import Found, octaves_of, search
from survey.errors import ImageryError, ModelError
from survey.hazards import HazardClass, classes
from survey.imagery.chips import Chip, read_chip
from survey.imagery.pieces import coverage_pieces
from survey.imagery.salvage import Unread, salvage_chip
from survey.imagery.scene import Role, Scene
from survey.imagery.seen import Sought
from survey.imagery.tiles import Tile
from survey.imagery.visibility import CellBlock, Visibility, assess_cells, cell_pixels, reach_pixels
from survey.layers import CANDIDATES, HAZARD_OBJECTS, SIGHTINGS, conform
from survey.memory import modelfile
from survey.memory.modelfile import Model

__all__ = [
    "Detection",
    "Model",
    "Pass",
    "Scene",
    "Sought",
    "TileResult",
    "Visibility",
    "collect_objects",
    "judge",
    "load_model",
    "passes",
    "region_of",
    "scene_coverage",
    "survey_tile",
    "what_is_sought",
]

# Ground is read this far past the area of interest or the districts, so that nothing at their edge is cut.
_MARGIN_M = 5.0
# Probabilities are held this far from 0 and 1 before their logit is taken.
_EDGE = 1e-9


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


def load_model(path: str | Path | None, roles: Sequence[str]) -> Model:
    """Load a model file, or the shipped model that fits the bands, for detection by this version.

    Parameters
    ----------
    path : str, Path or None
        A model file, or a register (its champion); None for the shipped one with the most band roles among ``roles``.
    roles : sequence of str
        Band roles of the imagery.

    Raises
    ------
    ModelError
        No shipped model fits, the file is refused, or it was trained on another version of the measures.
    """
    model = modelfile.load_model(path, roles)
    if model.feature_set != FEATURE_SET:
        raise ModelError(
            f"Model {model.version} was trained on the measures {model.feature_set}; this version takes "
            f"{FEATURE_SET}, and would answer at random. Train it again from its object memory with `survey train`."
        )
    return model


def wanted_classes(model: Model, detection: Detection, gsd_cm: float) -> tuple[str, ...]:
    """Classes the model knows, the job wants and the imagery resolves."""
    return tuple(one.code for one in _wanted(model, detection) if one.resolved_at(gsd_cm))


def what_is_sought(model: Model, detection: Detection, visibility: Visibility) -> Sought:
    """Return the classes the model knows and the job wants, and how it is judged whether they could be seen."""
    return Sought(_wanted(model, detection), visibility)


def _wanted(model: Model, detection: Detection) -> tuple[HazardClass, ...]:
    known = (classes()[code] for code in model.classes if code in classes())
    return tuple(one for one in known if detection.families is None or one.family in detection.families)


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
    chip = read_chip(scene, a_pass.level, _window(a_pass, tile), _roles(model))
    return replace(_survey_chip(scene, a_pass, tile, chip, (model, visibility)), seconds=time.perf_counter() - start)


def survey_damaged_tile(
    scene: Scene, a_pass: Pass, tile: Tile, model: Model, visibility: Visibility | None = None
) -> TileResult:
    """Survey one tile block by block: blocks that cannot be read are left out, and named in the result."""
    start = time.perf_counter()
    chip, unread = salvage_chip(scene, a_pass.level, _window(a_pass, tile), _roles(model))
    result = _survey_chip(scene, a_pass, tile, chip, (model, visibility))
    return replace(result, unread=unread, seconds=time.perf_counter() - start)


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
    octaves = octaves_of(chip.pixels, chip.valid, a_pass)
    core = (tile.row0, tile.row1, tile.col0, tile.col1)
    found = search(octaves, chip.valid, (chip.row, chip.col), core, a_pass, model.least_strength)
    probability, codes = judge(found.features, found.diameter_m, found.strength, model)
    emitted = probability >= EMITTED
    found, probability, codes = found.take(emitted), probability[emitted], codes[emitted]
    sightings = _outlined(found, probability, octaves, chip, scene)
    sightings["class_code"] = codes
    sightings["family"] = [classes()[code].family for code in sightings["class_code"]]
    table = conform(sightings, SIGHTINGS, crs=scene.grid.crs)
    return TileResult(table, cells, 0.0)


def judge(
    features: NDArray[np.float32], diameter_m: NDArray[np.float64], strength: NDArray[Any], model: Model
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """Probability and class of candidates; where a model stands on an elder, the more probable of both.

    The younger decides about the classes it knows, at the sizes it looks for them; the elder about the others, its
    probabilities shifted by what reviewed ground showed of them (``card["elder"]["shift"]``, in logits).

    Parameters
    ----------
    features : float32 array, shape (n, number of features)
    diameter_m, strength : float arrays, shape (n,)
    model : Model

    Returns
    -------
    probability : float array, shape (n,)
    codes : object array, shape (n,)
    """
    if model.elder is None:
        probability = probability_of(features, model.hazard, model.calibration)
        codes = np.full(len(probability), "unknown_object", dtype=object)
        named = probability >= EMITTED
        codes[named] = name_of(features[named], model.namer)
        return probability, codes
    probability, codes = judge(features, diameter_m, strength, model.elder)
    probability = expit(logit(np.clip(probability, _EDGE, 1 - _EDGE)) + float(model.card["elder"]["shift"]))
    mine = np.isin(codes, model.own_classes)
    elsewhere = ~np.isin(diameter_m, sizes_of(model.elder)) | (strength < model.elder.least_strength)
    probability[mine | elsewhere] = 0.0
    looked = np.isin(diameter_m, [size for code in model.own_classes for size in model.scales_by_class[code]])
    own = np.zeros(len(probability))
    own[looked] = probability_of(features[looked], model.hazard, model.calibration)
    younger = own >= probability
    named = younger & (own >= EMITTED)
    codes[named] = name_of(features[named], model.namer)
    return np.where(younger, own, probability), codes


def sizes_of(model: Model) -> tuple[float, ...]:
    """Every size a model looks for, metres, ascending."""
    return tuple(sorted({size for sizes in model.scales_by_class.values() for size in sizes}))


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
        ring = (outline.ring + np.array([left, top])) * 2**octave
        ring = np.column_stack(chip.grid.to_ground(ring[:, 0], ring[:, 1]))
        pixel_m = chip.grid.gsd_m * 2**octave
        polygon = to_polygon(outline)
        polygons.append(shapely.Polygon(ring) if polygon.equals(shapely.Polygon(outline.ring)) else None)
        if polygons[-1] is None:
            points = (shapely.get_coordinates(polygon) + np.array([left, top])) * 2**octave
            polygons[-1] = shapely.Polygon(np.column_stack(chip.grid.to_ground(points[:, 0], points[:, 1])))
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


def scene_coverage(
    scene: Scene,
    a_pass: Pass,
    blocks: Iterable[CellBlock],
    failures: Iterable[tuple[Tile, str]],
    region: shapely.Geometry,
    sought: Sought,
) -> gpd.GeoDataFrame:
    """Ground of a scene by what could be done with it, inside a region (in the scene's CRS).

    Returns
    -------
    GeoDataFrame in layers.COVERAGE_PIECES.
    """
    whole = shapely.covers(region, scene.grid.outline())
    sought = replace(sought, region=None if whole else region)
    pieces = coverage_pieces(scene, a_pass.level, blocks, failures, sought)
    if len(pieces) and not whole:
        pieces = pieces.set_geometry(_polygons(shapely.intersection(pieces.geometry.values, region)))
        pieces = pieces[~pieces.geometry.is_empty]
    return pieces.reset_index(drop=True)


def _polygons(geometries: NDArray[np.object_]) -> list[shapely.MultiPolygon]:
    """Only the polygons of what an intersection gave."""
    return [
        shapely.MultiPolygon([part for part in shapely.get_parts(geometry) if isinstance(part, shapely.Polygon)])
        for geometry in geometries
    ]


def region_of(
    scene: Scene, districts: gpd.GeoDataFrame, area_of_interest: gpd.GeoDataFrame | None = None
) -> shapely.Geometry:
    """Ground to be read of a scene, in the scene's CRS: the area of interest or the districts, and a small margin."""
    wanted = districts if area_of_interest is None else area_of_interest
    footprint = gpd.GeoSeries([scene.grid.outline()], crs=scene.grid.crs).to_crs(wanted.crs)
    near = wanted.geometry[wanted.intersects(footprint.iloc[0].buffer(0).envelope)]
    if near.empty:
        return shapely.Polygon()
    centre = footprint.to_crs("EPSG:4326").iloc[0].centroid
    plane = pyproj.CRS.from_proj4(f"+proj=laea +lat_0={centre.y:.6f} +lon_0={centre.x:.6f} +datum=WGS84")
    # Cut first: a whole district projected on a plane around the scene would be for nothing.
    around = footprint.to_crs(plane).buffer(1000).to_crs(wanted.crs).iloc[0]
    cut = shapely.intersection(near.values, around)
    ground = gpd.GeoSeries(shapely.segmentize(cut, cut_step(wanted.crs)), crs=wanted.crs).to_crs(plane)
    grown = gpd.GeoSeries([ground.union_all().buffer(_MARGIN_M)], crs=plane)
    return grown.to_crs(scene.grid.crs).iloc[0]


def cut_step(crs: pyproj.CRS) -> float:
    """Length of about 100 m in the units of a CRS, for densifying edges before they are projected."""
    return 100.0 / 111_320.0 if crs.is_geographic else 100.0 / crs.axis_info[0].unit_conversion_factor


def collect_objects(
    sightings: Mapping[str, gpd.GeoDataFrame],
    scenes: Mapping[str, Scene],
    coverage: Mapping[str, gpd.GeoDataFrame],
    *,
    threshold: float,
    model_version: str,
    run_id: str,
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Join the sightings of all sizes and scenes into objects.

    Parameters
    ----------
    sightings, coverage : mapping of scene name to table, in the scene's CRS
    scenes : mapping of scene name to Scene
    threshold : float
        Least probability of a hazard object; what lies below is a candidate.
    model_version, run_id : str

    Returns
    -------
    (hazard_objects, candidates)
        layers.HAZARD_OBJECTS and layers.CANDIDATES in EPSG:4326, district columns null.
    """
    seen = {name: table for name, table in sightings.items() if len(table)}
    if not seen:
        return HAZARD_OBJECTS.empty("EPSG:4326"), CANDIDATES.empty("EPSG:4326")
    plane = _plane([scenes[name] for name in seen])
    objects = {name: ownership.without_duplicates(seen[name].to_crs(plane)) for name in seen}
    owners = []
    for name, pieces in coverage.items():
        scene = scenes[name]
        ground = pieces[pieces["status"] == "analysed"].to_crs(plane).union_all()
        newest = scene.acquired_at.timestamp() if scene.acquired_at else -math.inf
        owners.append(ownership.Owned(name, ground, scene.grid.gsd_cm, newest, scene.position_error_m))
        objects.setdefault(name, gpd.GeoDataFrame(SIGHTINGS.empty(plane)))
    joined = ownership.across_scenes(objects, owners)
    table = _as_objects(joined, scenes, model_version, run_id)
    hazard = table["probability"] >= threshold
    return (
        conform(table[hazard].reset_index(drop=True), HAZARD_OBJECTS, crs="EPSG:4326"),
        conform(table[~hazard].reset_index(drop=True), CANDIDATES, crs="EPSG:4326"),
    )


def _plane(scenes: list[Scene]) -> pyproj.CRS:
    outlines = [gpd.GeoSeries([s.grid.outline()], crs=s.grid.crs).to_crs("EPSG:4326").iloc[0].centroid for s in scenes]
    lon, lat = (float(np.mean([getattr(point, axis) for point in outlines])) for axis in ("x", "y"))
    return pyproj.CRS.from_proj4(f"+proj=laea +lat_0={lat:.4f} +lon_0={lon:.4f} +datum=WGS84")


def _as_objects(
    joined: gpd.GeoDataFrame, scenes: Mapping[str, Scene], model_version: str, run_id: str
) -> gpd.GeoDataFrame:
    table = joined.to_crs("EPSG:4326")
    shape = table.geometry.values
    table["geometry"] = [g if isinstance(g, shapely.MultiPolygon) else shapely.MultiPolygon([g]) for g in shape]
    centre = shapely.centroid(table.geometry.values)
    table["lon"], table["lat"] = shapely.get_x(centre), shapely.get_y(centre)
    table["object_id"] = [
        hashlib.sha256(f"{image}|{row}|{col}|{code}".encode()).hexdigest()[:16]
        for image, row, col, code in zip(table["image"], table["row"], table["col"], table["class_code"], strict=True)
    ]
    # The same pixel at two sizes can pass for two objects far apart in size: then the class tells them apart, and
    # where even that is the same, the more probable stands.
    table = table.sort_values("probability", ascending=False, kind="stable").drop_duplicates("object_id")
    table["evidence_class"], table["verification"] = "indication", "unverified"
    table["gsd_cm"] = [scenes[name].grid.gsd_cm for name in table["image"]]
    table["position_error_m"] = [scenes[name].position_error_m for name in table["image"]]
    moments = [scenes[name].acquired_at for name in table["image"]]
    table["acquired_at"] = pd.to_datetime(pd.Index(moments, dtype=object), utc=True)
    table["model_version"], table["run_id"] = model_version, run_id
    return table.sort_values("object_id").reset_index(drop=True)
