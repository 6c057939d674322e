"""How far off spoiled photographs and new drawn ground are told to be: `python benchmarks/strange.py rgb --photos DIR`.

One line a kind of picture: how many of its pictures are told strange, and the median of how far off they are, where 1
is what is usual among the sites the shipped model has learned from.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from pipelines.drifting import sampled
from pipelines.gathering import BAND_SETS
from pipelines.model_examples import draw_unseen
from survey.api import Model, load_model
from survey.detection.features import parts_of
from survey.imagery.scene import Imagery, open_scene
from survey.memory.drift import drift

Pixels = NDArray[np.uint8]


def clipped(pixels: NDArray[np.floating]) -> Pixels:
    """Grey levels of 8 bit."""
    return np.clip(pixels, 0, 255).astype(np.uint8)


def blurred(pixels: Pixels) -> Pixels:
    """Blurred by a Gaussian of 4 pixels."""
    return np.stack([cv2.GaussianBlur(band, (0, 0), 4) for band in pixels])


def compressed(pixels: Pixels) -> Pixels:
    """As a JPEG of quality 5 has it."""
    three = np.ascontiguousarray(np.moveaxis(np.broadcast_to(pixels, (3, *pixels.shape[1:])), 0, -1))
    coded = cv2.imencode(".jpg", three, [cv2.IMWRITE_JPEG_QUALITY, 5])[1]
    return np.moveaxis(cv2.imdecode(coded, cv2.IMREAD_COLOR), -1, 0)[: len(pixels)]


def balance(pixels: Pixels) -> Pixels:
    """Another white balance: the first band 15 % brighter, the last 10 % darker."""
    return clipped(pixels * np.linspace(1.15, 0.9, len(pixels))[:, None, None])


KINDS: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda pixels: pixels,
    "20 % darker": lambda pixels: clipped(pixels * 0.8),
    "20 % brighter": lambda pixels: clipped(pixels * 1.2),
    "another white balance": balance,
    "inverted": lambda pixels: 255 - pixels,
    "first and last band swapped": lambda pixels: pixels[::-1].copy(),
    "blurred (4 pixels)": blurred,
    "JPEG of quality 5": compressed,
    "contrast of a tenth": lambda pixels: clipped(128 + 0.1 * (pixels - 128.0)),
    "no colour": lambda pixels: np.repeat(clipped(pixels.mean(axis=0, keepdims=True)), len(pixels), axis=0),
    "white noise": lambda pixels: np.random.default_rng(0).integers(0, 256, pixels.shape, np.uint8),
}


def told(pixels: Pixels, gsd_m: float, model: Model) -> float | None:
    """How far off a picture is; None where too little stands out on it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.tif"
        bands, height, width = pixels.shape
        place = from_origin(600_000.0, 4_400_000.0, gsd_m, gsd_m)
        with rasterio.open(
            path, "w", driver="GTiff", width=width, height=height, count=bands, dtype="uint8", crs="EPSG:32638",
            transform=place, tiled=True,
        ) as image:  # fmt: skip
            image.write(pixels)
        roles = {role: number for number, role in enumerate(model.roles, 1)}
        ground = sampled([open_scene(path, Imagery(paths=(str(path),), bands=roles))], model)
    if ground is None:
        return None
    reached = drift(ground, model.card["background"], parts_of(bands)[0])
    return None if reached is None else float(reached.max())


def line_of(kind: str, found: list[float | None]) -> str:
    """One line of the table."""
    known = [one for one in found if one is not None]
    middle = f"{np.median(known):.2f}" if known else "-"
    return f"| {kind} | {sum(one > 1 for one in known)} of {len(found)} | {len(found) - len(known)} | {middle} |"


def main() -> None:
    """Read the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(BAND_SETS))
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs (.tif) of the bands")
    parser.add_argument("--most", type=int, default=8, help="photographs that are looked at")
    parser.add_argument("--drawn", type=int, default=60, help="drawn pictures that no model has learned from")
    options = parser.parse_args()
    model = load_model(None, BAND_SETS[options.name])
    files = sorted(options.photos.glob("*.tif"))[: options.most]
    print("| picture | told strange | too little stands out | times what is usual (median) |\n|---|---|---|---|")
    for kind, change in KINDS.items():
        found = []
        for path in files:
            with rasterio.open(path) as image:
                found.append(told(change(image.read()), abs(image.transform.a), model))
        print(line_of(kind, found), flush=True)
    if options.name != "thermal":
        drawn = (draw_unseen(number, BAND_SETS[options.name]) for number in range(options.drawn))
        print(line_of("drawn, never learned from", [told(one.pixels, one.gsd_m, model) for one in drawn]))


if __name__ == "__main__":
    main()
