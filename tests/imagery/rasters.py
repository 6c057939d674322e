"""Small rasters on disk."""

from __future__ import annotations

import numpy as np
import rasterio
from rasterio.transform import from_origin

from survey.imagery.scene import Imagery, open_scene

CRS, WEST, NORTH = "EPSG:32638", 690_000.0, 4_370_000.0
RGB = ("red", "green", "blue")


def write(path, pixels, *, gsd=0.25, names=RGB, crs=CRS, corner=(WEST, NORTH), **profile):
    bands, height, width = pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=bands, dtype=pixels.dtype, crs=crs,
        transform=from_origin(*corner, gsd, gsd), **profile,
    ) as image:  # fmt: skip
        image.write(pixels)
        if names:
            image.descriptions = names
    return path


def scene_of(path, **said):
    return open_scene(path, Imagery(paths=(str(path),), **said))


def noise(height, width, bands=3, seed=0):
    return np.random.default_rng(seed).integers(1, 255, (bands, height, width)).astype(np.uint8)
