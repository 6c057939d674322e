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

from survey.hazards import FAMILIES, ITEM_FAMILIES, HazardClass
from survey.imagery.chips import level_grid
from survey.imagery.grid import Grid
from survey.imagery.scene import Scene
from survey.imagery.tiles import Tile
from survey.imagery.visibility import (
    ANALYSED,
    BLIND,
    BLUR,
    COVERED,
    DARK,
    FAILED,
    MEASURES,
    NO_DATA,
    NULL,
    UNREAD,
    VEGETATION,
    WHOLE,
    CellBlock,
    Visibility,
    cell_pixels,
)
from survey.layers import COVERAGE_PIECES, conform

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

REASONS = {
    BLIND: "black or saturated pixels",
    BLUR: "blurred",
    COVERED: "under vegetation",
    DARK: "in deep shadow",
}
"""Why nothing could have been seen, by what is to blame most."""

_JUDGED = 2
"""Cells are judged in blocks of so many a side, so that pieces are not confetti."""

# Bounds between the pieces of a scene; each piece has the mean of what was measured in it.
_SEEN_STEPS = np.array([0.5, 0.75, 0.9])
_VEGETATION_STEPS = np.array([0.05, 0.2, 0.4, 0.6, 0.8])


@dataclass(frozen=True)
class Sought:
    """What is looked for in a scene and where, and how it is judged whether it could have been seen.

    Attributes
    ----------
    classes : tuple of HazardClass
        Those the model knows and the job wants, resolved at the scene's ground sampling distance or not.
    settings : Visibility
    region : geometry, optional
        Ground of interest, CRS of the scene; cells beyond it have no say in what is judged of the others.
    """

    classes: tuple[HazardClass, ...]
    settings: Visibility
    region: shapely.Geometry | None = None


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
        Tiles that could not be read, on the same level.
    sought : Sought

    Returns
    -------
    GeoDataFrame in layers.COVERAGE_PIECES, in the scene's CRS. Ground that no tile covered has no row.
    """
    grid = level_grid(scene, level)
    side = cell_pixels(grid.gsd_m)
    codes = np.zeros((-(-grid.height // side), -(-grid.width // side)), np.uint8)
    measures = np.full((MEASURES, *codes.shape), NULL, np.uint8)
    for block in blocks:
        place = (slice(block.row, block.row + block.codes.shape[0]), slice(block.col, block.col + block.codes.shape[1]))
        codes[place], measures[(slice(None), *place)] = block.codes, block.measures
    lost = {NO_DATA: "no data in the image"}
    numbers: dict[str, int] = {}
    for tile, reason in failures:
        number = numbers.setdefault(reason, FAILED + len(numbers))
        lost[number] = reason
        place = (slice(-(-tile.row0 // side), -(-tile.row1 // side)), slice(-(-tile.col0 // side), -(-tile.col1 // side)))
        codes[place], measures[(slice(None), *place)] = number, NULL

    if sought.region is not None:
        beyond = ~_near(sought.region, grid, side, codes.shape)
        codes[beyond], measures[:, beyond] = UNREAD, NULL
    kinds, kind = _kinds(measures, codes == ANALYSED)
    seen = _judge(kinds, np.bincount(kind[kind >= 0], minlength=len(kinds)), (scene, grid), sought)
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


def _near(region: shapely.Geometry, grid: Grid, side: int, shape: tuple[int, ...]) -> Bools:
    """Cells that touch the region, and their neighbours: tiles must have been read for all of them."""
    a, b, c, d, e, f = grid.transform
    cells = Affine(a * side, b * side, c, d * side, e * side, f)
    touched = rasterio.features.rasterize([region], out_shape=shape, transform=cells, all_touched=True, dtype="uint8")
    return np.asarray(cv2.dilate(touched, np.ones((3, 3), np.uint8)) > 0)


def _kinds(measures: NDArray[np.uint8], analysed: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return every combination of measures that occurs, shape (kinds, 5), and which each cell has; -1 for none.

    Shares are the means of the cells' blocks; the width of a blur is what more than half of a block has at least.
    """
    columns = []
    for plane, cells in enumerate(measures):
        blocks = _blocks(cells)
        known = blocks != NULL
        count = known.sum(axis=-1)
        if plane == BLUR:
            value = np.ones(count.shape, np.int64)
            for wide in (2, 4, 8):
                value[2 * ((blocks >= wide) & known).sum(axis=-1) > count] = wide
        else:
            total = np.where(known, blocks, 0).sum(axis=-1, dtype=np.int64)
            value = (total + count // 2) // np.maximum(count, 1)
        columns.append(np.where(count > 0, value, NULL))
    packed = np.zeros(columns[0].shape, np.int64)
    for column in columns:
        packed = packed * 256 + column
    cells = packed.repeat(_JUDGED, axis=0).repeat(_JUDGED, axis=1)[: analysed.shape[0], : analysed.shape[1]]
    found, which = np.unique(cells[analysed], return_inverse=True)
    kind = np.full(analysed.shape, -1, np.int64)
    kind[analysed] = which.reshape(-1)
    shifts = 8 * np.arange(len(columns) - 1, -1, -1)
    return found[:, None] >> shifts & 255, kind


def _blocks(cells: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cells by block, shape (row, col, 4); what lies past the edge is null."""
    rows, cols = cells.shape
    padded = np.pad(cells, ((0, rows % _JUDGED), (0, cols % _JUDGED)), constant_values=NULL)
    rows, cols = padded.shape[0] // _JUDGED, padded.shape[1] // _JUDGED
    return padded.reshape(rows, _JUDGED, cols, _JUDGED).swapaxes(1, 2).reshape(rows, cols, _JUDGED**2)


@dataclass(frozen=True)
class _Seen:
    """What could have been seen in each kind of cell.

    Attributes
    ----------
    families : tuple of str
    by_family : array, shape (family, kind)
        Share of the family's objects that could have been seen.
    shown : bool array, shape (family, kind)
        Whether the family counts as seen.
    detectability : array, shape (kind,)
        Mean over the families of items seen; where there are none, over the indicators.
    blame : int array, shape (kind,)
        Key of :data:`REASONS`, or -1 where a family of items was seen.
    vegetation, shadow, sharp_cm : array, shape (kind,)
        Shares, and the ground sampling distance that the blur leaves; NaN where not measured.
    """

    families: tuple[str, ...]
    by_family: Floats
    shown: Bools
    detectability: Floats
    blame: Ints
    vegetation: Floats
    shadow: Floats
    sharp_cm: Floats


def _judge(kinds: Ints, cells: Ints, where: tuple[Scene, Grid], sought: Sought) -> _Seen:
    scene, grid = where
    settings = sought.settings
    share = np.where(kinds == NULL, np.nan, kinds / WHOLE).T
    covered, dark, blind = (np.nan_to_num(share[plane]) for plane in (COVERED, DARK, BLIND))
    width, gsd_cm = kinds[:, BLUR], scene.grid.gsd_cm
    told = width != NULL
    # Even ground does not show whether it is blurred: it is taken for as sharp as most of the scene is.
    usual = max((1, 2, 4, 8), key=lambda wide: cells[width == wide].sum()) if told.any() else 1
    width = np.where(told, width, usual)
    sharp_cm = np.where(width > 1, np.maximum(gsd_cm, grid.gsd_cm * width), gsd_cm)

    resolved = [one for one in sought.classes if one.resolved_at(gsd_cm)]
    families = tuple(f for f in FAMILIES if f in {one.family for one in resolved} - {"unknown", "clutter"})
    item = np.array([f in ITEM_FAMILIES for f in families], bool)
    by_family, if_sharp = np.zeros((2, len(families), len(kinds)))
    for i, family in enumerate(families):
        members = [one for one in resolved if one.family == family]
        for one in members:
            through = _in_vegetation(one, settings)
            view = 1.0 - blind - covered * (1.0 - through) - dark * (1.0 - settings.seen_in_shadow)
            view = np.clip(view, 0.0, 1.0) / len(members)
            if_sharp[i] += view
            by_family[i] += np.where(sharp_cm <= one.max_gsd_cm, view, 0.0)
    least = max(settings.least_detectability, 1e-9)
    shown = by_family >= least
    any_item = shown[item].any(axis=0)
    counted = shown & np.where(any_item, item[:, None], True)
    number = counted.sum(axis=0)
    mean = np.divide((by_family * counted).sum(axis=0), number, out=np.zeros(len(kinds)), where=number > 0)
    hidden = [covered * (1 - settings.seen_in_vegetation.small), dark * (1 - settings.seen_in_shadow), blind]
    blame = np.array([COVERED, DARK, BLIND])[np.argmax(hidden, axis=0)]
    blame = np.where((if_sharp[item] >= least).any(axis=0), BLUR, blame)
    return _Seen(
        families,
        by_family,
        shown,
        mean,
        np.where(any_item, -1, blame),
        share[VEGETATION],
        share[DARK],
        sharp_cm if told.any() else np.full(len(kinds), np.nan),
    )


def _in_vegetation(one: HazardClass, settings: Visibility) -> float:
    seen = settings.seen_in_vegetation
    if one.length_m < settings.small_m:
        return seen.small
    return seen.large if one.length_m >= settings.large_m else seen.medium


@dataclass(frozen=True)
class _Pieces:
    """Cells by the piece they belong to (-1 where no tile came), and what each piece says."""

    cells: NDArray[np.int32]
    facts: list[dict[str, object]]


def _pieces(seen: _Seen, kind: Ints, lost: Mapping[int, str], codes: NDArray[np.uint8]) -> _Pieces:
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
