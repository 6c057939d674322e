"""Grounds a detector is measured on, as survey jobs: folders of imagery with districts around and the truth beside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import geopandas as gpd
import pandas as pd
import rasterio
import shapely
from rasterio.transform import from_origin

from pipelines.progress import Quiet
from pipelines.run import How, survey_job
from survey.settings import read_job
from survey.synthetic.photograph import IntoSettings, Photo, draw_into, open_ground
from survey.synthetic.scene import DrawnScene, SceneSettings, draw_scene
from survey.synthetic.site import TEST_SITES, site_of

WEST, NORTH, APART_M, CRS = 600_000.0, 4_400_000.0, 400.0, "EPSG:32638"
"""Pictures are laid out in a row, far enough apart that none overlaps another."""


def survey_files(folder: Path, files: Iterable[Path], bands: Iterable[str], model: Path | None) -> Path:
    """Survey imagery inside a district around all of it; returns the result's GeoPackage."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [path.resolve() for path in files]
    outlines = []
    for path in paths:
        with rasterio.open(path) as image:
            outlines.append(gpd.GeoSeries([shapely.box(*image.bounds)], crs=image.crs).to_crs(4326).iloc[0])
    around = shapely.union_all(outlines).envelope.buffer(2e-4)
    gpd.GeoDataFrame({"name": ["Test ground"], "code": ["T"]}, geometry=[around], crs=4326).to_file(
        folder / "districts.geojson"
    )
    roles = ", ".join(f"{role} = {number}" for number, role in enumerate(bands, 1))
    chosen = "" if model is None else f'[model]\npath = "{model.resolve().as_posix()}"\n'
    (folder / "job.toml").write_text(
        f'[job]\nname = "benchmark"\noutput = "out"\n[imagery]\npaths = {[p.as_posix() for p in paths]}\n'
        f'bands = {{ {roles} }}\n[districts]\npath = "districts.geojson"\nname_field = "name"\ncode_field = "code"\n'
        f"{chosen}"
    )
    summary = survey_job(read_job(folder / "job.toml"), How(workers=2), Quiet())
    if summary.exit_code:
        raise SystemExit(f"{folder}: the survey ended with code {summary.exit_code}")
    return folder / "out" / "survey.gpkg"


def write_drawn(folder: Path, scenes: Iterable[DrawnScene]) -> tuple[list[Path], gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Write drawn pictures as GeoTIFFs; returns their paths, labels and reviewed ground."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, labels, reviewed = [], [], []
    for number, scene in enumerate(scenes):
        path = folder / f"{number:03d}.tif"
        bands, height, width = scene.pixels.shape
        with rasterio.open(
            path, "w", driver="GTiff", width=width, height=height, count=bands, dtype="uint8", crs=scene.crs,
            transform=scene.transform, tiled=True, compress="deflate",
        ) as image:  # fmt: skip
            image.write(scene.pixels)
        paths.append(path)
        labels.append(scene.labels)
        reviewed.append(scene.reviewed)
    return paths, pd.concat([one for one in labels if len(one)], ignore_index=True), pd.concat(reviewed)


def drawn_grounds(gsd_m: float, objects: Mapping[str, float], sites: int, side_px: int) -> Iterable[DrawnScene]:
    """Draw one picture of each test site; ``objects`` are mean numbers in a picture."""
    hectares = (side_px * gsd_m) ** 2 / 1e4
    for number, seed in enumerate(TEST_SITES[:sites]):
        settings = SceneSettings(
            width_px=side_px,
            height_px=side_px,
            gsd_m=gsd_m,
            objects_per_ha={code: n / hectares for code, n in objects.items()},
            crs=CRS,
            origin=(WEST + APART_M * number, NORTH),
            site=site_of(seed),
        )
        yield draw_scene(settings, seed)


def photographs_drawn_into(
    files: Iterable[Path], bands: tuple[str, ...], objects: Mapping[str, float]
) -> Iterable[DrawnScene]:
    """Draw objects (mean numbers a hectare) into whole real photographs, each moved to a place of its own."""
    for number, path in enumerate(files):
        with rasterio.open(path) as image:
            gsd = abs(image.transform.a)
            place = from_origin(WEST + APART_M * number, NORTH, gsd, gsd)
            photo = Photo(image.read(), bands, place, CRS, gsd)
        yield draw_into(photo, IntoSettings(objects_per_ha=dict(objects)), TEST_SITES[500 + number], open_ground(photo))
