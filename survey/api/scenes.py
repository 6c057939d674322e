"""From tiles to scenes: ground by what could be done with it, and the sightings of all scenes as objects."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from survey.api.judging import line_curve
from survey.detection import ownership
from survey.detection.lines import POST, fences_of
from survey.detection.scales import Pass
from survey.imagery.pieces import coverage_pieces
from survey.imagery.scene import Scene
from survey.imagery.seen import Sought
from survey.imagery.tiles import Tile
from survey.imagery.visibility import CellBlock
from survey.layers import CANDIDATES, HAZARD_OBJECTS, SIGHTINGS, conform
from survey.memory.modelfile import ModelFile

# Ground is read this far past the area of interest or the districts, so that nothing at their edge is cut.
_MARGIN_M = 5.0


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
    model: ModelFile,
    run_id: str,
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Join the sightings of all sizes and scenes into objects.

    Parameters
    ----------
    sightings, coverage : mapping of scene name to table, in the scene's CRS
    scenes : mapping of scene name to Scene
    threshold : float
        Least probability of a hazard object; what lies below is a candidate.
    model : ModelFile
    run_id : str

    Returns
    -------
    (hazard_objects, candidates)
        layers.HAZARD_OBJECTS and layers.CANDIDATES in EPSG:4326, district columns null.
    """
    seen = {name: table for name, table in sightings.items() if len(table)}
    if not seen:
        return HAZARD_OBJECTS.empty("EPSG:4326"), CANDIDATES.empty("EPSG:4326")
    plane = _plane([scenes[name] for name in seen])
    curve = line_curve(model)
    objects = {name: _objects_of(seen[name].to_crs(plane), curve) for name in seen}
    owners = []
    for name, pieces in coverage.items():
        scene = scenes[name]
        ground = pieces[pieces["status"] == "analysed"].to_crs(plane).union_all()
        newest = scene.acquired_at.timestamp() if scene.acquired_at else -math.inf
        owners.append(ownership.Owned(name, ground, scene.grid.gsd_cm, newest, scene.position_error_m))
        objects.setdefault(name, gpd.GeoDataFrame(SIGHTINGS.empty(plane)))
    joined = ownership.across_scenes(objects, owners)
    table = _as_objects(joined, scenes, model.version, run_id)
    hazard = table["probability"] >= threshold
    return (
        conform(table[hazard].reset_index(drop=True), HAZARD_OBJECTS, crs="EPSG:4326"),
        conform(table[~hazard].reset_index(drop=True), CANDIDATES, crs="EPSG:4326"),
    )


def _objects_of(sightings: gpd.GeoDataFrame, curve: tuple[float, float] | None) -> gpd.GeoDataFrame:
    """Objects of one scene: what was seen at several sizes as one, and posts as the lines they stand in."""
    post = sightings["class_code"].to_numpy() == POST
    objects = ownership.without_duplicates(sightings[~post].reset_index(drop=True))
    if curve is None or not post.any():
        return objects
    fences = fences_of(ownership.without_duplicates(sightings[post].reset_index(drop=True)), curve)
    both = pd.concat([one for one in (objects, fences) if len(one)] or [objects], ignore_index=True)
    return gpd.GeoDataFrame(both, geometry="geometry", crs=sightings.crs)


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
