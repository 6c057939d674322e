"""Small jobs with known content: drawn scenes of dark discs on textured ground, and a model that learned them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from rasterio.transform import from_origin
from sklearn.ensemble import HistGradientBoostingClassifier

from survey.detection.features import FEATURE_SET
from survey.detection.scales import LADDER_M, nearest_scale
from survey.detection.search import FirstStage, octaves_of, search
from survey.imagery.chips import level_grid, read_chip
from survey.imagery.scene import Imagery, open_scene
from survey.memory.judges import Judges, save_model

WEST, NORTH, GSD, CRS = 690_000.0, 4_370_000.0, 0.04, "EPSG:32638"
ROLES = ("red", "green", "blue")
DISC_M = 0.32


def draw_pixels(height, width, seed=0, discs=12):
    """Return (pixels, centres): three bands of smooth noise with dark discs, centres as (row, col)."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 1, (height // 16 + 2, width // 16 + 2))
    ground = 120 + 10 * np.kron(coarse, np.ones((16, 16)))[:height, :width] + rng.normal(0, 3, (height, width))
    pixels = np.stack([ground, ground * 0.95, ground * 0.8])
    row, col = np.mgrid[:height, :width]
    margin = 40
    centres = rng.uniform((margin, margin), (height - margin, width - margin), (discs, 2))
    radius = DISC_M / GSD / 2
    for r, c in centres:
        inside = (row - r) ** 2 + (col - c) ** 2 <= radius**2
        pixels[:, inside] = np.array([[40.0], [60.0], [35.0]])
    return pixels.clip(0, 255).astype(np.uint8), centres


def write_scene(path: Path, pixels, *, west=WEST, north=NORTH, gsd=GSD, crs=CRS, **profile):
    options = {"driver": "GTiff", "tiled": True, "blockxsize": 256, "blockysize": 256, "photometric": None} | profile
    options = {key: value for key, value in options.items() if value is not None}
    bands, height, width = pixels.shape
    with rasterio.open(
        path, "w", width=width, height=height, count=bands, dtype=pixels.dtype, crs=crs,
        transform=from_origin(west, north, gsd, gsd), **options,
    ) as image:  # fmt: skip
        image.write(pixels)
        if bands == 3:
            image.descriptions = ROLES
    return path


def district_boxes(*boxes, crs=CRS):
    names = [f"District {number}" for number in range(1, len(boxes) + 1)]
    codes = [f"D{number}" for number in range(1, len(boxes) + 1)]
    return gpd.GeoDataFrame({"name": names, "code": codes}, geometry=[shapely.box(*box) for box in boxes], crs=crs)


def write_job(folder: Path, model: Path | None, *, paths=("*.tif",), name="drawn", more=""):
    listed = ", ".join(f'"{one}"' for one in paths)
    chosen = "" if model is None else f'[model]\npath = "{model.as_posix()}"\n'
    text = f"""
[job]
name = "{name}"
output = "out"
[imagery]
paths = [{listed}]
[districts]
path = "districts.geojson"
name_field = "name"
code_field = "code"
{chosen}{more}
"""
    (folder / "job.toml").write_text(text)
    return folder / "job.toml"


def make_model(path: Path, folder: Path) -> Path:
    """Fit a small model on one drawn scene and save it as a model file."""
    from survey.api import passes

    pixels, centres = draw_pixels(900, 900, seed=99, discs=40)
    scene = open_scene(write_scene(folder / "learn.tif", pixels), Imagery(paths=("learn.tif",)))
    scales = {"mine_at": (nearest_scale(DISC_M),), "crater": (LADDER_M[12],)}
    plan = SimpleNamespace(
        version="drawn-1", roles=ROLES, scales_by_class=scales, classes=tuple(scales), least_strength=0.5
    )
    features, labels = [], []
    for a_pass in passes(scene, plan, _everything()):
        grid = level_grid(scene, a_pass.level)
        window = (*_whole(grid.height, a_pass.multiple), *_whole(grid.width, a_pass.multiple))
        chip = read_chip(scene, a_pass.level, window, ROLES)
        octaves = octaves_of(chip.pixels, chip.valid, a_pass)
        core, stage = (0, grid.height, 0, grid.width), FirstStage(plan.least_strength)
        found = search(octaves, chip.valid, (0, 0), core, a_pass, stage)
        row, col = (values * 2.0**a_pass.level for values in found.level_pixel())
        distance = np.hypot(row[:, None] - centres[:, 0], col[:, None] - centres[:, 1]).min(axis=1)
        features.append(found.features)
        labels.append((distance < 3) & (found.diameter_m < 1))
    table, hit = np.concatenate(features), np.concatenate(labels)
    assert hit.sum() >= 20
    settings = {"max_iter": 30, "max_leaf_nodes": 7, "min_samples_leaf": 3, "random_state": 0, "early_stopping": False}
    hazard = HistGradientBoostingClassifier(**settings).fit(table, hit)
    namer = HistGradientBoostingClassifier(**settings).fit(table, np.where(hit, "mine_at", "crater"))
    card = {
        "version": plan.version, "roles": list(ROLES), "least_strength": plan.least_strength,
        "scales_by_class": {code: list(one) for code, one in scales.items()}, "feature_set": FEATURE_SET,
        "calibration": [1.0, 0.0],
    }  # fmt: skip
    save_model(path, Judges(hazard, namer), card, table[:8])
    return path


def _whole(size, multiple):
    return 0, -(-size // multiple) * multiple


def _everything():
    from survey.api import Detection

    return Detection()
