"""Decode the JPEG tiles of a TIFF on this machine with libjpeg-turbo.

GDAL as PyPI's wheels of rasterio hold it was built with another libjpeg, which takes more than twice as long and
spreads colour in another way: a tenth of the pixels differ, by one or two grey levels mostly. Decoded here, a file
gives the same pixels whichever GDAL is installed; and a damaged tile is an error where GDAL fills in what is missing.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO
from weakref import WeakKeyDictionary

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from rasterio.enums import Compression, Interleaving, PhotometricInterp
from rasterio.io import DatasetReader

# Bytes of decoded tiles that are kept for the next window: a row of them, as in GDAL's own cache.
_KEPT_BYTES = 24 * 2**20

Pixels = NDArray[np.uint8]


def read_jpeg_tiles(dataset: DatasetReader, window: tuple[int, int, int, int]) -> Pixels | None:
    """Red, green and blue of a window, where a level of a file on this machine is stored as colour JPEG tiles.

    Tiles that were decoded last are kept as long as the dataset is.

    Parameters
    ----------
    dataset : DatasetReader
    window : (row0, row1, col0, col1)
        Half open, pixels of the level, inside of it.

    Returns
    -------
    uint8 array, shape (row, col, 3); None where GDAL has to read it, whatever the window: addresses, virtual rasters,
    overviews in a file of their own, other compressions.

    Raises
    ------
    OSError
        A tile cannot be read or is not whole.
    """
    if dataset not in _KEPT:
        _KEPT[dataset] = OrderedDict() if _are_colour_jpeg(dataset) else None
    kept = _KEPT[dataset]
    if kept is None:
        return None
    row0, row1, col0, col1 = window
    height, width = dataset.block_shapes[0]
    pixels = np.empty((row1 - row0, col1 - col0, 3), np.uint8)
    with Path(dataset.name).open("rb") as file:
        for top in range(row0 // height * height, row1, height):
            for left in range(col0 // width * width, col1, width):
                tile = _tile(dataset, file, (top // height, left // width), kept)
                first, last = max(row0, top), min(row1, top + height)
                west, east = max(col0, left), min(col1, left + width)
                part = tile[first - top : last - top, west - left : east - left]
                pixels[first - row0 : last - row0, west - col0 : east - col0] = part
    return pixels


_KEPT: WeakKeyDictionary[DatasetReader, OrderedDict[tuple[int, int], Pixels] | None] = WeakKeyDictionary()


def _are_colour_jpeg(dataset: DatasetReader) -> bool:
    return (
        dataset.driver == "GTiff"
        and dataset.compression == Compression.jpeg
        and dataset.photometric == PhotometricInterp.ycbcr
        and dataset.interleaving == Interleaving.pixel
        and dataset.dtypes == ("uint8", "uint8", "uint8")
        and bool(dataset.profile.get("tiled"))
        and Path(dataset.name).is_file()
        and not any(name.lower().endswith(".ovr") for name in dataset.files)
    )


def _tile(
    dataset: DatasetReader, file: BinaryIO, place: tuple[int, int], kept: OrderedDict[tuple[int, int], Pixels]
) -> Pixels:
    if place in kept:
        kept.move_to_end(place)
        return kept[place]
    down, across = place
    at, size, tables = (
        dataset.get_tag_item(name, "TIFF", 1)
        for name in (f"BLOCK_OFFSET_{across}_{down}", f"BLOCK_SIZE_{across}_{down}", "JPEGTABLES")
    )
    if not at or not size:
        # A tile that was never written reads as GDAL reads it.
        empty = dataset.nodata if dataset.nodata is not None and 0 <= dataset.nodata <= 255 else 0
        return np.full((*dataset.block_shapes[0], 3), empty, np.uint8)
    file.seek(int(at))
    image = file.read(int(size))
    if tables:
        # Tables that all tiles share come first; their end and the start of the image are left out between.
        image = bytes.fromhex(tables)[:-2] + image[2:]
    try:
        tile = _decoded(image, dataset.block_shapes[0])
    except ValueError as error:
        raise OSError(f"tile {across}, {down} is no whole JPEG image: {error}") from error
    kept[place] = tile
    while len(kept) > max(1, _KEPT_BYTES // tile.nbytes):
        kept.popitem(last=False)
    return tile


def _decoded(image: bytes, shape: tuple[int, int]) -> Pixels:
    # What it will come to is looked at before it is unpacked.
    height, width, _, _ = simplejpeg.decode_jpeg_header(image)
    if (height, width) != shape:
        raise ValueError(f"it has {width} x {height} pixels, not {shape[1]} x {shape[0]}")
    return np.asarray(simplejpeg.decode_jpeg(image, "RGB"))
