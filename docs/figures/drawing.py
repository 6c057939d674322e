"""What the figures of the documentation share: where a result is, how a scene is shown, how a picture is kept."""

from __future__ import annotations

import sys
from pathlib import Path

import geopandas as gpd
import matplotlib as mpl
import numpy as np
import rasterio
from PIL import Image
from rasterio.enums import Resampling

mpl.use("Agg")
mpl.rcParams |= {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "survey"}

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "data" / "sample"
IMAGES = ROOT / "docs" / "images"
INK, QUIET, LIGHT, ACCENT = "#222222", "#8a8a8a", "#dddddd", "#0b5394"


def result() -> Path:
    """Return the output folder of the sample run: the first argument, else where the README's command puts it."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE / "out"
    if not (folder / "survey.gpkg").exists():
        sys.exit(f"{folder} holds no survey.gpkg. Run `survey run data/sample/job.toml` first.")
    return folder


def layer(name: str, crs: str) -> gpd.GeoDataFrame:
    return gpd.read_file(result() / "survey.gpkg", layer=name).to_crs(crs)


def picture(path: Path, step: int = 1, bounds: tuple[float, float, float, float] | None = None):
    """Return (pixels, extent, crs) of a scene or a part of it, every ``step``-th pixel, for ``imshow``."""
    with rasterio.open(path) as image:
        window = None
        if bounds is not None:
            window = image.window(*bounds).round_offsets().round_lengths()
        height, width = (image.height, image.width) if window is None else (int(window.height), int(window.width))
        pixels = image.read((1, 2, 3), window=window, out_shape=(3, height // step, width // step),
                            resampling=Resampling.average)  # fmt: skip
        west, south, east, north = image.bounds if window is None else image.window_bounds(window)
        return np.moveaxis(pixels, 0, -1), (west, east, south, north), str(image.crs)


def keep(figure, name: str, dpi: int = 110) -> None:
    """Write a figure as a small PNG under its name, whole or not at all."""
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / name
    temporary = path.with_suffix(".part")
    figure.savefig(temporary, format="png", dpi=dpi, facecolor="white")
    drawn = Image.open(temporary).convert("RGB")
    # Few shades of ground, but every colour of a symbol; dithering would make noise of it, and a large file.
    few = drawn.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(temporary, format="PNG", optimize=True)
    temporary.replace(path)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")
