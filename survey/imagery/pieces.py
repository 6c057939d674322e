"""Ground of a scene by what could be done with it: measured cells become polygons with a status and a reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cv2
import geopandas as gpd
import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray

from survey.hazards import ITEM_FAMILIES
from survey.imagery.chips import level_grid
from survey.imagery.grid import Grid
from survey.imagery.scene import Scene
from survey.imagery.seen import REASONS, Bools, Floats, Ints, Seen, Sought, judge, kinds_of
from survey.imagery.tiles import Tile
from survey.imagery.visibility import ANALYSED, FAILED, MEASURES, NO_DATA, NULL, UNREAD, CellBlock, cell_pixels
from survey.layers import COVERAGE_PIECES, conform

# Bounds between the pieces of a scene; each piece has the mean of what was measured in it.
_SEEN_STEPS = np.array([0.5, 0.75, 0.9])
# Reasons of one scene that are told apart; cells have one byte for them.
_MOST_REASONS = 200
_VEGETATION_STEPS = np.array([0.05, 0.2, 0.4, 0.6, 0.8])


def coverage_pieces(
    scene: Scene,
    level: int,
    blocks: Iterable[CellBlock],
    failures: Iterable[tuple[Tile, str]],
    sought: Sought,
) -> gpd.GeoDataFrame:
    """Ground of a scene by what could be done with it.

    Parameters
    ----------
    scene : Scene
    level : int
        The cells were measured on.
    blocks : iterable of CellBlock
    failures : iterable of (Tile, reason)
        Tiles and parts of tiles that could not be read, on the same level. Every cell they touch is lost.
    sought : Sought

    Returns
    -------
    GeoDataFrame in layers.COVERAGE_PIECES, in the scene's CRS. Ground that no tile covered has no row.
    """
    grid = level_grid(scene, level)
    side = cell_pixels(grid.gsd_m)
    codes = np.zeros(cells_shape(scene, level), np.uint8)
    measures = np.full((MEASURES, *codes.shape), NULL, np.uint8)
    for block in blocks:
        place = (slice(block.row, block.row + block.codes.shape[0]), slice(block.col, block.col + block.codes.shape[1]))
        codes[place], measures[(slice(None), *place)] = block.codes, block.measures
    lost = {NO_DATA: "no data in the image"}
    numbers: dict[str, int] = {}
    for tile, reason in failures:
        if reason not in numbers and len(numbers) == _MOST_REASONS:
            reason = "cannot be read, for more reasons than are listed"
        number = numbers.setdefault(reason, FAILED + len(numbers))
        lost[number] = reason
        place = (slice(tile.row0 // side, -(-tile.row1 // side)), slice(tile.col0 // side, -(-tile.col1 // side)))
        codes[place], measures[(slice(None), *place)] = number, NULL

    if sought.region is not None:
        beyond = ~_near(sought.region, grid, side, codes.shape)
        codes[beyond], measures[:, beyond] = UNREAD, NULL
    kinds, kind = kinds_of(measures, codes == ANALYSED)
    seen = judge(kinds, np.bincount(kind[kind >= 0], minlength=len(kinds)), (scene, grid), sought)
    pieces = _pieces(seen, kind, lost, codes)
    parts: dict[int, list[shapely.Polygon]] = {}
    for shape, number in rasterio.features.shapes(
        pieces.cells, mask=pieces.cells >= 0, connectivity=4, transform=Affine.identity()
    ):
        parts.setdefault(int(number), []).append(shape["coordinates"])
    rows = [
        {
            "image": scene.name,
            "gsd_cm": scene.grid.gsd_cm,
            "acquired_at": scene.acquired_at,
            **pieces.facts[number],
            "geometry": _on_ground(shapely.MultiPolygon([(p[0], p[1:]) for p in parts[number]]), grid, side),
        }
        for number in sorted(parts)
    ]
    columns = [*COVERAGE_PIECES.names, "geometry"]
    table = gpd.GeoDataFrame(rows, columns=columns, geometry="geometry", crs=grid.crs)
    return conform(table, COVERAGE_PIECES, crs=grid.crs)


def cells_shape(scene: Scene, level: int) -> tuple[int, int]:
    """Rows and columns of coverage cells of a level."""
    grid = level_grid(scene, level)
    side = cell_pixels(grid.gsd_m)
    return -(-grid.height // side), -(-grid.width // side)


def _near(region: shapely.Geometry, grid: Grid, side: int, shape: tuple[int, ...]) -> Bools:
    """Cells that touch the region, and their neighbours: tiles must have been read for all of them."""
    a, b, c, d, e, f = grid.transform
    cells = Affine(a * side, b * side, c, d * side, e * side, f)
    touched = rasterio.features.rasterize([region], out_shape=shape, transform=cells, all_touched=True, dtype="uint8")
    return np.asarray(cv2.dilate(touched, np.ones((3, 3), np.uint8)) > 0)


@dataclass(frozen=True)
class _Pieces:
    """Cells by the piece they belong to (-1 where no tile came), and what each piece says."""

    cells: NDArray[np.int32]
    facts: list[dict[str, object]]


def _pieces(seen: Seen, kind: Ints, lost: Mapping[int, str], codes: NDArray[np.uint8]) -> _Pieces:
    key = np.column_stack(
        [
            seen.blame,
            np.searchsorted(_SEEN_STEPS, seen.detectability, side="right"),
            np.searchsorted(_VEGETATION_STEPS, np.nan_to_num(seen.vegetation, nan=-1.0), side="right"),
            *seen.shown,
        ]
    )
    _, first, piece_of = np.unique(key, axis=0, return_index=True, return_inverse=True)
    piece_of = piece_of.reshape(-1)
    weight = np.bincount(kind[kind >= 0], minlength=len(piece_of)).astype(np.float64)
    whole = np.bincount(piece_of, weights=weight)

    def mean(values: Floats) -> Floats:
        return np.asarray(np.bincount(piece_of, weights=values * weight) / whole)

    cells = np.full(codes.shape, -1, np.int32)
    cells[kind >= 0] = piece_of[kind[kind >= 0]]
    facts = []
    measured = {
        "detectability": mean(seen.detectability),
        "vegetation": mean(seen.vegetation),
        "shadow": mean(seen.shadow),
        "effective_gsd_cm": mean(seen.sharp_cm),
    }
    by_family = [mean(values) for values in seen.by_family]
    for number, one in enumerate(first):
        shown = [f for f, is_shown in zip(seen.families, seen.shown[:, one], strict=True) if is_shown]
        blame = int(seen.blame[one])
        # Where no family of items is wanted or resolved at all, that is the reason, and the map plane gives it.
        assessable = blame < 0 or (bool(shown) and not set(seen.families) & set(ITEM_FAMILIES))
        told = "; ".join(f"{f} {means[number]:.3f}" for f, means in zip(seen.families, by_family, strict=True))
        fact: dict[str, object] = {name: float(values[number]) for name, values in measured.items()}
        fact |= {"families": ";".join(shown), "detectability_by_family": told}
        fact |= {"status": "analysed", "reason": ""} if assessable else {
            "status": "not_assessable", "reason": REASONS[blame], "detectability": 0.0,
        }  # fmt: skip
        facts.append(fact)
    for code, reason in lost.items():
        cells[codes == code] = len(facts)
        facts.append({"status": "not_analysed", "reason": reason, "families": "", "detectability": 0.0})
    return _Pieces(cells, facts)


def _on_ground(cells: shapely.MultiPolygon, grid: Grid, side: int) -> shapely.MultiPolygon:
    def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
        # The last row and column of cells end at the scene's edge.
        col = np.minimum(points[:, 0] * side, grid.width)
        row = np.minimum(points[:, 1] * side, grid.height)
        return np.column_stack(grid.to_ground(col, row))

    return shapely.transform(cells, place)
