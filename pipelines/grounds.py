"""Pictures as survey jobs: a folder of imagery with a district around it, and what a survey of it gives."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import geopandas as gpd
import pandas as pd
import rasterio
import shapely

from pipelines.progress import Quiet
from pipelines.run import How, survey_job
from survey.errors import SurveyError
from survey.settings import read_job
from survey.synthetic.scene import DrawnScene

WEST, NORTH, APART_M, CRS = 600_000.0, 4_400_000.0, 400.0, "EPSG:32638"
"""Pictures are laid out in a row, far enough apart that none overlaps another."""


def one_thread_each() -> ProcessPoolExecutor:
    """Processes to draw pictures in, one a core.

    A drawing is thousands of small calls, and OpenCV would share each of them among threads: with one thread a picture
    takes two thirds of the time.
    """
    # Started afresh: in a copy of a process that has used OpenCV's threads, setting their number would wait for ever.
    fresh = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(os.cpu_count(), fresh, initializer=cv2.setNumThreads, initargs=(1,))


def write_job(folder: Path, files: Iterable[Path], bands: Iterable[str], model: Path | None, more: str = "") -> Path:
    """Write a job over imagery inside a district around all of it, ``more`` added to it; returns the job file."""
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
        f"{chosen}{more}"
    )
    return folder / "job.toml"


def survey_files(folder: Path, files: Iterable[Path], bands: Iterable[str], model: Path | None, more: str = "") -> Path:
    """Survey imagery inside a district around all of it; returns the result's GeoPackage."""
    summary = survey_job(read_job(write_job(folder, files, bands, model, more)), How(workers=2), Quiet())
    if summary.exit_code:
        raise SurveyError(f"The survey in {folder} ended with code {summary.exit_code}.")
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


def detections_of(result: Path) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Detections of a result (objects and candidates, ``emitted``), and its coverage."""
    parts = [gpd.read_file(result, layer=name) for name in ("hazard_objects", "candidates")]
    parts = [part.assign(emitted=flag) for part, flag in zip(parts, (True, False), strict=True)]
    kept = [part for part in parts if len(part)] or parts[:1]
    return pd.concat(kept, ignore_index=True), gpd.read_file(result, layer="coverage")
