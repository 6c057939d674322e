"""Grounds to draw objects into, laid together from photographic textures: `python -m pipelines.textures FROM TO`.

Photographs of ground from above are few; textures of grass, soil, gravel and paving that were made from photographs
are many. A ground is one texture or several beside each other, unevenly lit, in places in shadow, with the grain of a
camera. They teach what real ground looks like that is no object; nothing is ever measured on them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import rasterio
from matplotlib.image import imread
from numpy.typing import NDArray
from rasterio.transform import from_origin

from pipelines.boulders import SHADE, with_large_things
from pipelines.furrows import step, with_furrows
from pipelines.grounds import APART_M, CRS, NORTH, WEST
from pipelines.growth import with_growth
from pipelines.twigs import with_lines

SIDE_PX = 1100
"""Side of a ground: that of a picture to learn from."""
LEAST_SIDE_PX = 500
"""Side under which a texture would repeat too often."""
GSD_M = (0.005, 0.03)
"""Range of ground sampling distances; the scale of a texture is not known, and that of ground is not one."""

_GROUND = (
    "beach", "city", "clay", "dirt", "dune", "farmland", "field", "flora", "forestfloor", "furrows", "grass", "gravel",
    "highlands", "mud", "path", "pavement", "paving", "peat", "pebbles", "plants", "riparian", "road", "rocks", "sand",
    "savanna", "scrub", "shrubs", "tundra",
)  # fmt: skip
_NO_GROUND = (
    "cliff", "coral", "glacial", "grid", "ice", "icy", "lava", "ocean", "sea_", "snow", "water", "wood", "_norm",
    "_nrm", "_spec",
)  # fmt: skip
_IMAGES = {".dds", ".jpeg", ".jpg", ".png"}

Plane = NDArray[np.float32]

# What is laid on a ground besides textures, and the seeds that go with it.
LAID: dict[str, tuple[int, Callable[[Plane, np.random.Generator], Plane]]] = {
    "nothing": (77, lambda ground, _rng: ground),
    "lines": (78, with_lines),
    "large": (79, with_large_things),
    "work": (80, with_furrows),
    "growth": (81, with_growth),
}


def ground_textures(folder: Path) -> list[Path]:
    """Images in a folder and below it that their names say are ground, and that are large enough.

    Parameters
    ----------
    folder : Path
    """
    images = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in _IMAGES]
    named = [path for path in images if _is_ground(path.name.lower())]
    return [path for path in named if min(_read(path).shape[:2]) >= LEAST_SIDE_PX]


def _is_ground(name: str) -> bool:
    return any(word in name for word in _GROUND) and not any(word in name for word in _NO_GROUND)


def _read(path: Path) -> NDArray[np.uint8]:
    """Pixels of an image, (height, width, 3)."""
    image = np.asarray(imread(path))
    levels = image if image.dtype == np.uint8 else np.clip(image * 255.0 + 0.5, 0, 255).astype(np.uint8)
    colours = levels[..., None].repeat(3, axis=-1) if levels.ndim == 2 else levels
    return np.ascontiguousarray(colours[..., :3])


def ground_of(textures: Sequence[Path], number: int, laid: str = "nothing") -> tuple[NDArray[np.uint8], float]:
    """Lay a ground together. The same textures, number and choice of what is laid on it give the same ground.

    Parameters
    ----------
    textures : sequence of Path
    number : int
    laid : str
        What lies on most of the grounds, of :data:`LAID`: nothing, lines (twigs, stalks, cracks, joints, kerbs),
        large things (boulders, slabs, boxes, water, dappled shade), the marks of work on the land (furrows, rows,
        tracks, swaths), or what grows tall (trees, hedges, banks of plants).

    Returns
    -------
    pixels : uint8 array, (3, height, width)
        Red, green and blue.
    gsd_m : float
    """
    seed, lay = LAID[laid]
    rng = np.random.default_rng([number, seed])
    gsd = float(np.exp(rng.uniform(*np.log(GSD_M))))
    ground = _filled(textures, rng)
    for _ in range(int(rng.integers(0, 4))):
        share = (_strip(rng) if rng.random() < 0.3 else _patches(rng))[..., None]
        ground = ground * (1 - share) + _filled(textures, rng) * share
    lit = _lit(lay(ground, rng), rng)
    return np.ascontiguousarray(_photographed(lit, rng).transpose(2, 0, 1)), gsd


def _filled(textures: Sequence[Path], rng: np.random.Generator) -> Plane:
    """Fill a ground with one of the textures, turned, mirrored and sized by chance, again and again."""
    texture = np.rot90(_read(textures[int(rng.integers(len(textures)))]), int(rng.integers(4)))
    texture = texture[:, ::-1] if rng.random() < 0.5 else texture
    size = float(np.exp(rng.uniform(np.log(0.5), np.log(1.15))))
    way = cv2.INTER_AREA if size < 1 else cv2.INTER_CUBIC
    sized = cv2.resize(np.ascontiguousarray(texture), None, fx=size, fy=size, interpolation=way)
    rows, cols = ((np.arange(SIDE_PX) + rng.integers(side)) % side for side in sized.shape[:2])
    return sized[np.ix_(rows, cols)].astype(np.float32)


def _noise(rng: np.random.Generator, cell_px: float) -> Plane:
    """Smooth noise of about unit variance."""
    side = max(2, int(SIDE_PX / cell_px) + 3)
    coarse = rng.standard_normal((side, side), dtype=np.float32)
    large = (int(side * cell_px), int(side * cell_px))
    return np.asarray(cv2.resize(coarse, large, interpolation=cv2.INTER_CUBIC)[:SIDE_PX, :SIDE_PX])


def _rough(rng: np.random.Generator, cell_px: float) -> Plane:
    """Noise with detail down to four pixels."""
    total = _noise(rng, cell_px)
    amplitude = 0.55
    while cell_px >= 8:
        cell_px /= 2
        total = total + np.float32(amplitude) * _noise(rng, cell_px)
        amplitude *= 0.55
    return total


def _strip(rng: np.random.Generator) -> Plane:
    """Share (0-1) of a band across the ground, as a road lies."""
    angle = rng.uniform(0, np.pi)
    rows, cols = np.mgrid[:SIDE_PX, :SIDE_PX].astype(np.float32) - SIDE_PX * np.float32(rng.uniform(0.2, 0.8))
    away = np.abs(cols * np.cos(angle) + rows * np.sin(angle) + 40 * _noise(rng, 400))
    return step((rng.uniform(60, 250) - away) / rng.uniform(1, 12))


def _patches(rng: np.random.Generator) -> Plane:
    """Share (0-1) of patches of all shapes."""
    field = _rough(rng, float(rng.choice([60, 150, 400])))
    return step((field - np.quantile(field, rng.uniform(0.4, 0.9))) * 40 / rng.uniform(2, 40))


def _lit(ground: Plane, rng: np.random.Generator) -> Plane:
    """Cast shadows on half of the grounds; make the light of each uneven, and its colour its own."""
    if rng.random() < 0.5:
        field = _rough(rng, float(rng.choice([80, 200])))
        cast = step((field - np.quantile(field, rng.uniform(0.75, 0.95))) * rng.uniform(5, 40))
        shaded = (cast * step(8 * (_noise(rng, 350) - 0.3)))[..., None]
        ground = ground * (1 - shaded * (1 - SHADE * rng.uniform(0.7, 1.3)))
    colour = np.exp(rng.normal(0, 0.1) + rng.normal(0, 0.05, 3))
    return np.asarray(ground * (1 + 0.12 * _noise(rng, 300))[..., None] * colour, dtype=np.float32)


def _photographed(ground: Plane, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blur, grain and compress as a camera does."""
    soft = cv2.GaussianBlur(ground, (0, 0), float(rng.uniform(0.4, 0.9)))
    grain = rng.standard_normal(soft.shape, dtype=np.float32) * np.float32(rng.uniform(0.5, 3))
    levels = np.clip(soft + grain, 0, 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", levels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(85, 96))])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)[..., ::-1]


def write_grounds(textures: Sequence[Path], folder: Path, count: int, laid: str = "nothing") -> list[Path]:
    """Write grounds as GeoTIFFs, each in a place of its own; returns their paths.

    Parameters
    ----------
    textures : sequence of Path
    folder : Path
        Its name is the site of what is learned from them.
    count : int
    laid : str
        See :func:`ground_of`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"ground-{number:03d}.tif" for number in range(count)]
    for number, path in enumerate(paths):
        pixels, gsd = ground_of(textures, number, laid)
        with rasterio.open(
            path, "w", driver="GTiff", width=SIDE_PX, height=SIDE_PX, count=3, dtype="uint8", crs=CRS, tiled=True,
            transform=from_origin(WEST + APART_M * number, NORTH, gsd, gsd), compress="deflate",
        ) as image:  # fmt: skip
            image.write(pixels)
    return paths


def main() -> None:
    """Read the options and write grounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("textures", type=Path, metavar="FROM", help="folder of textures (PNG, JPEG, DDS ...)")
    parser.add_argument(
        "folder", type=Path, metavar="TO", help="folder for the grounds: textures, lined, large, worked, grown"
    )
    parser.add_argument("--count", type=int, default=280)
    parser.add_argument("--laid", choices=LAID, default="nothing", help="what lies on most of the grounds besides")
    options = parser.parse_args()
    textures = ground_textures(options.textures)
    if not textures:
        parser.error(f"no texture of ground of at least {LEAST_SIDE_PX} pixels a side is under {options.textures}")
    written = write_grounds(textures, options.folder, options.count, options.laid)
    print(f"{len(written)} grounds of {len(textures)} textures")


if __name__ == "__main__":
    main()
