"""What is measured of visibility on real photographs, beside the photographs, and how blur is told.

    python benchmarks/visibility.py IMAGE... [--to DIR] [--length-m 0.32 --max-gsd-cm 4]

For every image: shares of the ground, and the widths of blur found in it as it is and smoothed by Gaussians of
known width. With --to, a picture of each image, its vegetation, shadow and blur by cell, and the share of objects
of the given size that could have been seen.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
from numpy.typing import NDArray

from survey.detection.channels import channels_of
from survey.hazards import HazardClass
from survey.imagery.chips import Chip, level_grid, read_chip
from survey.imagery.pieces import coverage_pieces
from survey.imagery.scene import Imagery, open_scene
from survey.imagery.seen import Sought
from survey.imagery.tiles import Tile
from survey.imagery.visibility import (
    BLUR,
    DARK,
    NULL,
    VEGETATION,
    WHOLE,
    CellBlock,
    Visibility,
    assess_cells,
    cell_pixels,
    reach_pixels,
)

ROLES = {True: ("nir", "green", "blue"), False: ("red", "green", "blue")}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("images", nargs="+", type=Path)
    asked.add_argument("--to", type=Path)
    asked.add_argument("--length-m", type=float, default=0.32)
    asked.add_argument("--max-gsd-cm", type=float, default=4.0)
    said = asked.parse_args()
    cv2.setNumThreads(1)
    sought = Sought((HazardClass("size", "size", "AT", said.length_m, said.length_m, said.max_gsd_cm),), Visibility())
    for path in said.images:
        scene = open_scene(path, Imagery(paths=(str(path),)))
        grid, roles = level_grid(scene, 0), ROLES["nir" in scene.roles]
        whole, reach = Tile(0, 0, grid.height, 0, grid.width), reach_pixels(grid.gsd_m)
        chip = read_chip(scene, 0, whole.window(reach, 8), roles)
        start = time.perf_counter()
        block = assess_cells(chip, light_of(chip), whole, roles, sought.settings)
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        pieces = coverage_pieces(scene, 0, [block], [], sought)
        corners = int(pieces.geometry.count_coordinates().sum())
        print(
            f"{path.name}: vegetation {share(block, VEGETATION):.2f}, shadow {share(block, DARK):.3f}; "
            f"{seconds / (grid.width * grid.height / 1e6) * 1e3:.0f} ms a megapixel; {len(pieces)} pieces with "
            f"{corners} corners in {time.perf_counter() - start:.2f} s"
        )
        for sigma in (0.0, 1.0, 2.0, 4.0, 8.0):
            smooth = chip if sigma == 0 else smoothed(chip, sigma)
            again = assess_cells(smooth, light_of(smooth), whole, roles, sought.settings)
            known = again.measures[BLUR][again.measures[BLUR] != NULL]
            found = "  ".join(f"{w}: {np.mean(known == w):.2f}" for w in (1, 2, 4, 8))
            print(f"  smoothed by {sigma:g} px: told on {known.size / again.codes.size:.2f} of the ground; {found}")
        if said.to:
            said.to.mkdir(parents=True, exist_ok=True)
            by_class = pieces.assign(value=pieces["detectability_by_family"].str.split(" ").str[1].astype(float))
            cv2.imwrite(str(said.to / f"{path.stem}.png"), picture(chip, block, by_class))


def share(block: CellBlock, plane: int) -> float:
    cells = block.measures[plane]
    known = cells[cells != NULL]
    return float(known.mean() / WHOLE) if known.size else float("nan")


def light_of(chip: Chip) -> NDArray[np.uint8]:
    """Brightness of a chip: what sharpness is measured on."""
    return cv2.extractChannel(channels_of(chip.pixels), 0)


def smoothed(chip: Chip, sigma: float) -> Chip:
    bands = [cv2.GaussianBlur(band, (0, 0), sigma) for band in chip.pixels]
    return Chip(np.stack(bands), chip.valid, chip.row, chip.col, chip.grid)


def picture(chip: Chip, block: CellBlock, pieces: gpd.GeoDataFrame) -> np.ndarray:
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    side, top, left = cell_pixels(chip.grid.gsd_m), -chip.row, -chip.col
    photo = np.moveaxis(chip.pixels[::-1, top : top + chip.grid.height, left : left + chip.grid.width], 0, -1)
    rows, cols = block.codes.shape
    size = (cols * 16, rows * 16)
    edge = (chip.grid.width / side * 16, chip.grid.height / side * 16)
    photo = cv2.resize(np.ascontiguousarray(photo), (round(edge[0]), round(edge[1])), interpolation=cv2.INTER_AREA)
    photo = cv2.copyMakeBorder(photo, 0, size[1] - photo.shape[0], 0, size[0] - photo.shape[1], cv2.BORDER_CONSTANT)
    a, b, c, d, e, f = chip.grid.transform
    cell = Affine(a * side, b * side, c, d * side, e * side, f)
    shapes = zip(pieces.geometry, pieces["value"], strict=True)
    seen = rasterize(list(shapes), out_shape=(rows, cols), transform=cell, fill=0, dtype="float64")
    blur = np.select([block.measures[BLUR] == w for w in (1, 2, 4, 8)], [0.0, 0.4, 0.7, 1.0], 0.0)
    panels = [photo]
    for values, colour in (
        (block.measures[VEGETATION] / WHOLE, (0, 255, 0)),
        (block.measures[DARK] / WHOLE, (0, 0, 255)),
        (blur, (255, 0, 255)),
        (1 - seen, (0, 165, 255)),
    ):
        weight = np.where(block.measures[VEGETATION] == NULL, 0, np.clip(values, 0, 1)).astype(np.float32)
        weight = cv2.resize(weight, size, interpolation=cv2.INTER_NEAREST)[..., None] * 0.85
        panels.append((photo * (1 - weight) * 0.8 + np.array(colour) * weight).astype(np.uint8))
    return cv2.hconcat(panels)


if __name__ == "__main__":
    main()
