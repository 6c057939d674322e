"""Makes the sample job again, file by file: imagery, districts, terrain, labels and truth.

The clearance ledger (``ledger.csv``) is not drawn: its figures were reported, and are kept as they are.

Run from anywhere as ``python data/sample/make_sample.py [DISTRICTS.geojson]``. Everything is drawn with
:mod:`survey.synthetic` from site seeds that training never uses; only the two district outlines are real
(Natural Earth, public domain). They are kept as they are unless a file with all districts is named, from
which they are then cut again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import rasterio
import rasterio.shutil
import shapely
from affine import Affine
from rasterio.io import MemoryFile

from survey.hazards import classes
from survey.layers import LABELS, REVIEWED, conform
from survey.synthetic.answers import write_truth
from survey.synthetic.noise import Frame, fractal
from survey.synthetic.scene import DrawnScene, View, photograph
from survey.synthetic.site import SAMPLE_SITES, Light, Sensor, site_of
from survey.synthetic.world import Thing, World, build_world

HERE = Path(__file__).resolve().parent
CRS = "EPSG:32638"
OTHER_CRS = "EPSG:32639"
DISTRICTS = ("Fuzuli", "Jabrayil")
CORNER = (692_432.0, 4_361_994.0)
"""Upper left corner of scene A, EPSG:32638; the boundary of the two districts runs through the scene."""

FIELD_SITE, ORCHARD_SITE = SAMPLE_SITES[25], SAMPLE_SITES[32]
_ORIGIN = Affine(1.0, 0.0, CORNER[0], 0.0, 1.0, CORNER[1])
"""World metres to EPSG:32638: the world's origin is the corner of scene A."""

FIELD_OBJECTS = {
    "mine_at": 55.0,
    "shell": 16.0,
    "rocket": 9.0,
    "crater": 16.0,
    "trench": 3.0,
    "dugout": 3.0,
}
"""Objects a hectare in the field; only classes that 2 cm resolve, so that the truth names all there is."""

CLOSE_OBJECTS = {
    "mine_ap": 1100.0,
    "mine_scatterable": 1400.0,
    "submunition": 500.0,
    "mine_ap_fragmentation": 300.0,
    "mine_ap_directional": 200.0,
    "mine_at": 300.0,
}
"""Objects a hectare in the close-up: a small, dense patch."""

_MOST_COVERED = {True: 0.35, False: 0.12}
"""Planned share under plants, and under soil, for one hazard in four and for the others; what a scene really shows
is measured when it is drawn."""

_LEAST_CRATER_M = 0.9
_OLDEST = 0.5


def main() -> None:
    """Write every file of the sample beside this script."""
    if len(sys.argv) > 1:
        _districts(Path(sys.argv[1]))
    field, drier = _field()
    a = photograph(field, _view_a(field))
    b = photograph(drier, _view_b())
    c = photograph(_close_up(), _view_c())
    imagery = HERE / "imagery"
    imagery.mkdir(exist_ok=True)
    _write_cog(imagery / "field_a.tif", a, "2026:04:02 10:12:00")
    _write_deflated(imagery / "field_b.tif", b, "2026:05:19 14:40:00")
    _write_cog(imagery / "close_c.tif", c, "2026:04:02 11:05:00")
    _write_terrain(HERE / "dem.tif")
    labels, reviewed = _truth((a, b, c))
    write_truth(HERE / "truth.gpkg", labels, reviewed)
    write_truth(HERE / "labels.gpkg", *_handed_in(labels, reviewed))


def _field() -> tuple[World, World]:
    """Lay out the field that scenes A and B show, and the same field seven weeks later, drier."""
    site = site_of(FIELD_SITE)
    world = build_world(site, (-24.0, 106.0, -90.0, 4.0), FIELD_OBJECTS, seed=1, clutter=1.6)
    world = _eased(world)
    growth = site.growth.model_copy(update={"dryness": min(1.0, site.growth.dryness + 0.2)})
    return world, replace(world, site=site.model_copy(update={"growth": growth}))


def _close_up() -> World:
    site = site_of(ORCHARD_SITE)
    world = build_world(site, (29.9, 43.3, -112.2, -101.9), CLOSE_OBJECTS, seed=2, clutter=2.0)
    return _eased(world)


def _eased(world: World) -> World:
    """Keep the world's hazards mostly in sight: not deep, not overgrown, not worn away."""
    return replace(world, things=tuple(_in_sight(thing) for thing in world.things if not _faint(thing)))


def _in_sight(thing: Thing) -> Thing:
    if thing.class_code is None:
        return thing
    most = _MOST_COVERED[thing.seed % 4 == 0]
    cover, burial = min(thing.cover, most), min(thing.burial, most)
    return replace(thing, cover=cover, burial=burial, age=min(thing.age, _OLDEST))


def _faint(thing: Thing) -> bool:
    return thing.class_code == "crater" and thing.length_m < _LEAST_CRATER_M


def _view_a(field: World) -> View:
    frame = Frame(5200, 4400, 0.02, 0.0, 0.0)
    sensor = Sensor(blur_px=0.55, noise=1.4, exposure=0.46, contrast=1.05, saturation=0.95, sharpening=0.3)
    light = field.site.light.model_copy(update={"azimuth_deg": 128.0, "elevation_deg": 47.0})
    return View(frame, ("red", "green", "blue"), CRS, _ORIGIN, light, sensor, seed=1)


def _view_b() -> View:
    """Scene B: another day, another camera, turned by 17 degrees, in the next UTM zone, with ragged edges."""
    frame = Frame(1640, 1360, 0.025, -13.0, -34.0, angle_deg=17.0)
    sensor = Sensor(
        blur_px=0.85,
        noise=0.7,
        exposure=0.5,
        contrast=0.95,
        saturation=0.85,
        haze=0.03,
        balance=(1.08, 1.0, 0.9, 1.0, 1.0),
    )
    light = Light(azimuth_deg=236.0, elevation_deg=38.0, diffuse=0.32, sky_blue=0.2)
    return View(frame, ("red", "green", "blue"), OTHER_CRS, _into_other_crs(), light, sensor, nodata_edges=True, seed=2)


def _view_c() -> View:
    frame = Frame(1600, 1200, 0.008, 30.1, -102.1)
    sensor = Sensor(blur_px=0.5, noise=1.6, exposure=0.44, contrast=1.1, saturation=1.0, sharpening=0.2)
    light = Light(azimuth_deg=140.0, elevation_deg=52.0, diffuse=0.35, sky_blue=0.15)
    return View(frame, ("red", "green", "blue"), CRS, _ORIGIN, light, sensor, seed=3)


def _into_other_crs() -> Affine:
    """World metres to EPSG:32639, linear about the middle of scene B (within 2 mm over its extent)."""
    change = pyproj.Transformer.from_crs(CRS, OTHER_CRS, always_xy=True)
    x, y, step = 11.0, -44.0, 20.0
    mid = np.array(change.transform(CORNER[0] + x, CORNER[1] + y))
    east = (np.array(change.transform(CORNER[0] + x + step, CORNER[1] + y)) - mid) / step
    north = (np.array(change.transform(CORNER[0] + x, CORNER[1] + y + step)) - mid) / step
    shift = mid - east * x - north * y
    return Affine(east[0], north[0], shift[0], east[1], north[1], shift[1])


def _profile(scene: DrawnScene) -> dict[str, object]:
    bands, height, width = scene.pixels.shape
    return {
        "width": width,
        "height": height,
        "count": bands,
        "dtype": "uint8",
        "crs": scene.crs,
        "transform": scene.transform,
    }


def _describe(dataset: rasterio.io.DatasetWriter, scene: DrawnScene, taken: str) -> None:
    dataset.write(scene.pixels)
    dataset.descriptions = scene.bands
    dataset.update_tags(TIFFTAG_DATETIME=taken, TIFFTAG_IMAGEDESCRIPTION="Drawn scene, not a photograph")


def _write_cog(path: Path, scene: DrawnScene, taken: str) -> None:
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", **_profile(scene)) as dataset:
            _describe(dataset, scene, taken)
        with memory.open() as dataset:
            options = {"compress": "JPEG", "quality": 78, "blocksize": 512, "overview_quality": 70, "num_threads": 1}
            rasterio.shutil.copy(dataset, path, driver="COG", **options)


def _write_deflated(path: Path, scene: DrawnScene, taken: str) -> None:
    options = {"compress": "deflate", "zlevel": 9, "predictor": 2, "tiled": True, "blockxsize": 256, "blockysize": 256}
    with rasterio.open(path, "w", driver="GTiff", nodata=0, **_profile(scene), **options) as dataset:
        _describe(dataset, scene, taken)


def _write_terrain(path: Path) -> None:
    """Write a small elevation model, 30 m cells: a gentle slope with a gully and a steep bank in the north."""
    frame = Frame(24, 24, 30.0, CORNER[0] - 300.0, CORNER[1] + 300.0)
    rows, cols = np.mgrid[0:24, 0:24].astype(np.float32)
    height = 412.0 + 1.1 * cols + 0.9 * rows + 4.0 * fractal((FIELD_SITE, 31), frame, 30.0, 240.0, 0.8)
    height += 52.0 / (1.0 + np.exp((rows - 4.0) / 0.9))
    profile = {"width": 24, "height": 24, "count": 1, "dtype": "float32", "crs": CRS, "transform": frame.affine}
    with rasterio.open(
        path, "w", driver="GTiff", nodata=-9999.0, compress="deflate", predictor=3, **profile
    ) as dataset:
        dataset.write(height.astype(np.float32), 1)
        dataset.descriptions = ("elevation",)


def _truth(scenes: tuple[DrawnScene, ...]) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Everything whose class its scene's ground resolution resolves; what two scenes show stands there once."""
    seen, ground = [], []
    for scene in scenes:
        labels = scene.labels.to_crs(CRS)
        seen.append(labels[[classes()[code].resolved_at(scene.gsd_m * 100) for code in labels["class_code"]]])
        ground.append(scene.reviewed.to_crs(CRS).set_geometry(scene.reviewed.to_crs(CRS).buffer(-0.4)))
    labels = pd.concat(seen, ignore_index=True)
    labels = _once(labels)
    reviewed = pd.concat(ground, ignore_index=True).dissolve("site").reset_index()
    pieces = reviewed.explode(ignore_index=True)
    return conform(labels, LABELS, crs=CRS), conform(pieces, REVIEWED, crs=CRS)  # type: ignore[return-value]


def _once(labels: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Keep one of the outlines that stand for the same object: the one least hidden."""
    labels = labels.assign(x=labels.centroid.x.round(2)).sort_values(["occlusion", "class_code", "x"], kind="stable")
    kept: list[int] = []
    taken: list[tuple[str, shapely.Point]] = []
    for index, row in labels.iterrows():
        centre = row.geometry.centroid
        if all(code != row["class_code"] or centre.distance(other) > 0.08 for code, other in taken):
            kept.append(index)
            taken.append((row["class_code"], centre))
    return labels.loc[kept].sort_values(["site", "class_code", "x"], kind="stable").reset_index(drop=True)


def _handed_in(labels: gpd.GeoDataFrame, reviewed: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Pick what a researcher hands in: every object of the west of scene A, and the ground looked at."""
    west = shapely.box(CORNER[0] + 1.0, CORNER[1] - 87.0, CORNER[0] + 40.0, CORNER[1] - 1.0)
    ground = conform(
        gpd.GeoDataFrame({"site": [reviewed["site"].iloc[0]]}, geometry=[west], crs=CRS), REVIEWED, crs=CRS
    )
    inside = labels[labels.centroid.within(west)].reset_index(drop=True)
    return conform(inside, LABELS, crs=CRS), ground  # type: ignore[return-value]


def _districts(source: Path) -> None:
    """Cut the two districts out of the file with all of them, unchanged."""
    whole = json.loads(source.read_text(encoding="utf-8"))
    whole["features"] = [f for f in whole["features"] if f["properties"]["name_en"] in DISTRICTS]
    whole["source"] = "Natural Earth 1:10m admin-1 states and provinces, public domain, naturalearthdata.com"
    (HERE / "districts.geojson").write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
