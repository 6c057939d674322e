"""The answers of a drawn picture: labels, reviewed ground, and the GeoPackage they are handed over in."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from affine import Affine
from numpy.typing import NDArray

from survey.errors import OutputError
from survey.layers import LABELS, REVIEWED, conform
from survey.synthetic.world import Thing

_STAMP = "2026-01-01T00:00:00.000Z"
"""Written as the time of last change, so that the same answers are the same bytes."""


def label_table(
    seen: list[tuple[Thing, float]],
    site: str,
    place: tuple[Affine, str, Affine],
    valid: NDArray[np.bool_],
) -> gpd.GeoDataFrame:
    """Labels of what was drawn, in layer ``labels``.

    Parameters
    ----------
    seen : list of (Thing, occlusion)
        Hazards with the share of each that cannot be seen.
    site : str
    place : tuple
        Pixel corners to CRS, the CRS, and world metres to CRS.
    valid : bool array, (height, width)
        A thing is labelled where its centre lies on a valid pixel.
    """
    transform, crs, to_crs = place
    a, b, d, e = transform.a, transform.b, transform.d, transform.e
    det = a * e - b * d
    rows, shapes = [], []
    for thing, occlusion in seen:
        outline = shapely.transform(
            thing.outline(),
            lambda p: np.stack(
                [
                    to_crs.a * p[:, 0] + to_crs.b * p[:, 1] + to_crs.c,
                    to_crs.d * p[:, 0] + to_crs.e * p[:, 1] + to_crs.f,
                ],
                1,
            ),
        )
        dx, dy = outline.centroid.x - transform.c, outline.centroid.y - transform.f
        col, row = math.floor((e * dx - b * dy) / det), math.floor((a * dy - d * dx) / det)
        if 0 <= row < valid.shape[0] and 0 <= col < valid.shape[1] and valid[row, col]:
            rows.append((thing.class_code, round(occlusion, 3), site))
            shapes.append(outline)
    table = gpd.GeoDataFrame(rows, columns=["class_code", "occlusion", "site"], geometry=shapes, crs=crs)
    return conform(table, LABELS, crs=crs)


def posts_of(things: Sequence[Thing], to_crs: Affine) -> NDArray[np.float64]:
    """Where posts stand, of fences and single ones, in the CRS: float array, (n, 2).

    Parameters
    ----------
    things : sequence of Thing
    to_crs : Affine
        World metres to the CRS.
    """
    points = [point for thing in things if thing.kind == "fence" for point in thing.points()]
    points += [(thing.x_m, thing.y_m) for thing in things if thing.kind == "post"]
    x, y = np.array(points, dtype=float).reshape(-1, 2).T
    return np.column_stack([to_crs.a * x + to_crs.b * y + to_crs.c, to_crs.d * x + to_crs.e * y + to_crs.f])


def reviewed_table(valid: NDArray[np.bool_], transform: Affine, crs: str, site: str) -> gpd.GeoDataFrame:
    """Ground with data as one polygon (the largest piece, holes filled), in layer ``reviewed``."""
    height, width = valid.shape
    if valid.all():
        ring = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=float)
    else:
        contours, _ = cv2.findContours(valid.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        largest = max(contours, key=cv2.contourArea)
        ring = cv2.approxPolyDP(largest, 1.0, True)[:, 0, :].astype(float) + 0.5
    x = transform.a * ring[:, 0] + transform.b * ring[:, 1] + transform.c
    y = transform.d * ring[:, 0] + transform.e * ring[:, 1] + transform.f
    table = gpd.GeoDataFrame({"site": [site]}, geometry=[shapely.Polygon(np.stack([x, y], 1))], crs=crs)
    return conform(table, REVIEWED, crs=crs)


def write_truth(path: Path, labels: gpd.GeoDataFrame, reviewed: gpd.GeoDataFrame) -> None:
    """Write a truth GeoPackage with layers ``labels`` and ``reviewed``; the file appears when it is whole.

    Parameters
    ----------
    path : Path
        A file of that name is replaced.
    labels, reviewed : GeoDataFrame
        Tables in layers ``labels`` and ``reviewed``.

    Raises
    ------
    OutputError
        The folder is missing or cannot be written to.
    """
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} is no folder, so {path.name} cannot be written; make the folder first.")
    unfinished = path.with_name(f".{path.stem}.unfinished.gpkg")
    unfinished.unlink(missing_ok=True)
    before = os.environ.get("OGR_CURRENT_DATE")
    os.environ["OGR_CURRENT_DATE"] = _STAMP
    try:
        for name, table in (("labels", labels), ("reviewed", reviewed)):
            pyogrio.write_dataframe(
                table, unfinished, layer=name, driver="GPKG", geometry_type="Polygon", VERSION="1.2"
            )
    finally:
        if before is None:
            del os.environ["OGR_CURRENT_DATE"]
        else:
            os.environ["OGR_CURRENT_DATE"] = before
    unfinished.replace(path)
