"""Scenes of dark discs on several sites, and what a researcher would hand in with them."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from drawn_job import CRS, DISC_M, GSD, NORTH, WEST, draw_pixels, write_scene

APART_M = 400.0


def write_site(folder: Path, number: int, *, discs=12, size=420, seed=None):
    """Write ``site_N.tif`` and return (path, labels, reviewed) in its CRS."""
    pixels, centres = draw_pixels(size, size, seed=100 + number if seed is None else seed, discs=discs)
    west = WEST + number * APART_M
    path = write_scene(folder / f"site_{number}.tif", pixels, west=west)
    x, y = west + centres[:, 1] * GSD, NORTH - centres[:, 0] * GSD
    apart = _apart(x, y)
    labels = gpd.GeoDataFrame(
        {"class_code": ["mine_at"] * int(apart.sum()), "site": f"site {number}"},
        geometry=shapely.buffer(shapely.points(x[apart], y[apart]), DISC_M / 2), crs=CRS,
    )  # fmt: skip
    reviewed = gpd.GeoDataFrame(
        {"site": [f"site {number}"]},
        geometry=[shapely.box(west, NORTH - size * GSD, west + size * GSD, NORTH)], crs=CRS,
    )  # fmt: skip
    return path, labels, reviewed


def _apart(x, y):
    """Discs drawn over one another are one object to everybody: only the first of them is labelled."""
    keep = np.ones(len(x), dtype=bool)
    for i in range(len(x)):
        near = np.hypot(x[:i] - x[i], y[:i] - y[i]) < DISC_M
        keep[i] = not (near & keep[:i]).any()
    return keep


def write_labels(path: Path, labels, reviewed=None):
    """Write a file as a researcher would hand it in."""
    labels.to_file(path, layer="labels")
    if reviewed is not None:
        reviewed.to_file(path, layer="reviewed")
    return path
