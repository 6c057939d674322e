"""What an image file may do when it is opened: a list of formats, bounded sizes, no network, no files elsewhere.

Imagery comes from many hands. A VRT is a program of sorts: it may name any file of this machine and any
address; a file of few bytes may declare pixels without end.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import rasterio
from rasterio.io import DatasetReader

from survey.errors import ImageryError

DRIVERS = ("GTiff", "VRT", "JP2OpenJPEG", "JPEG", "PNG", "HFA", "ENVI", "EHdr")
"""Formats that are opened, by GDAL's names; none of them runs code or reaches for a service."""

REMOTE = re.compile(r"^(/vsi(?!mem/)[a-z0-9_]+/|[a-z][a-z0-9+.-]+://)", re.IGNORECASE)
"""Paths that lie beyond this machine, or inside an archive."""

_SECRET = re.compile(r"//[^/?#]*@|[?&][^=&]*(sig|signature|token|key|credential|secret|password|auth)[^=&]*=", re.I)

LARGEST_SIDE = 4_000_000
LARGEST_PIXELS = 10**12
"""Declared sizes beyond these are taken for damage or a decompression bomb, not for imagery."""
_LARGEST_BLOCK = 2**29
"""Bytes of one block, which is the least that can be decoded."""
_SUSPECT_BYTES, _SUSPECT_RATIO = 2**33, 20_000
"""A file that declares more bytes than the first, and more than its own size times the second, is refused."""
_LARGEST_VRT = 64 * 2**20
_DEEPEST_VRT = 4

# No request leaves: GDAL's network file systems open no other name than this one.
_OFFLINE = {"CPL_VSIL_CURL_ALLOWED_FILENAME": "none", "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE"}
_VRT_OPENED = {"GDAL_VRT_ENABLE_PYTHON": "NO", "GDAL_VRT_ENABLE_RAWRASTERBAND": "NO"}
# Directories of object stores are not listed to open one file of them.
_HELD: ContextVar[tuple[ExitStack, dict[Any, DatasetReader]] | None] = ContextVar("held", default=None)
_ONLINE = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}


def is_remote(path: str) -> bool:
    """Whether a path is an address or one of GDAL's virtual file systems."""
    return REMOTE.match(path) is not None


def holds_secret(path: str) -> bool:
    """Whether an address carries credentials: a user before the host, or a key or signature behind it.

    Examples
    --------
    >>> holds_secret("https://a:b@host/x.tif"), holds_secret("https://host/x.tif?X-Amz-Signature=1")
    (True, True)
    >>> holds_secret("https://host/x.tif"), holds_secret("field@noon.tif")
    (False, False)
    """
    return is_remote(path) and _SECRET.search(path) is not None


@contextmanager
def open_raster(path: str, **options: Any) -> Iterator[DatasetReader]:
    """Open a raster with the formats of :data:`DRIVERS` alone; a local one with the network closed.

    Raises
    ------
    RasterioError
    """
    held = _HELD.get()
    if held is None:
        with _opened(path, options) as dataset:
            yield dataset
        return
    stack, datasets = held
    key = path, tuple(sorted(options.items()))
    if key not in datasets:
        datasets[key] = stack.enter_context(_opened(path, options))
    yield datasets[key]


@contextmanager
def held_open() -> Iterator[None]:
    """Keep open, until the end of the block, what :func:`open_raster` opens in it.

    Blocks that were decoded for one window are then there for the next, as far as GDAL's cache holds them.
    """
    with ExitStack() as stack:
        token = _HELD.set((stack, {}))
        try:
            yield
        finally:
            _HELD.reset(token)


@contextmanager
def _opened(path: str, options: Mapping[str, Any]) -> Iterator[DatasetReader]:
    set_here = _ONLINE if is_remote(path) else _OFFLINE
    # What the user has set in the environment goes before.
    set_here = {name: value for name, value in set_here.items() if name not in os.environ or name.startswith("CPL")}
    # rasterio.open takes one driver by name; the reader beneath takes a list.
    with rasterio.Env(**set_here, **_VRT_OPENED), DatasetReader(path, driver=list(DRIVERS), **options) as dataset:
        yield dataset


def refuse_sizes(dataset: DatasetReader, path: str) -> None:
    """Refuse a raster whose declared size cannot be true, or cannot be read in pieces.

    Raises
    ------
    ImageryError
    """
    width, height = dataset.width, dataset.height
    if width < 1 or height < 1 or dataset.count < 1:
        raise ImageryError(f"{path} holds no pixels ({width} x {height}). Leave it out.")
    if max(width, height) > LARGEST_SIDE or width * height > LARGEST_PIXELS:
        raise ImageryError(
            f"{path} declares {width} x {height} pixels, which is taken for damage: no side may be over "
            f"{LARGEST_SIDE:,}, no image over {LARGEST_PIXELS:,} pixels. Cut the mosaic into parts."
        )
    item = max(np.dtype(one).itemsize for one in dataset.dtypes)
    block_height, block_width = dataset.block_shapes[0]
    # Bands that lie pixel by pixel are decoded together.
    if block_height * block_width * item * dataset.count > _LARGEST_BLOCK:
        raise ImageryError(
            f"{path} is stored in blocks of {block_width} x {block_height} pixels, which cannot be read in pieces. "
            f"Tile it: `gdal_translate -co TILED=YES {path} tiled.tif`."
        )
    if dataset.driver != "VRT" and Path(path).is_file():
        size, declared = Path(path).stat().st_size, width * height * dataset.count * item
        if declared > max(_SUSPECT_BYTES, size * _SUSPECT_RATIO):
            raise ImageryError(
                f"{path} has {size:,} bytes and declares {declared:,} bytes of pixels, which is taken for damage or a "
                "decompression bomb. Copy it again from its source, or leave it out."
            )


def refuse_sources(path: str, roots: Iterable[Path]) -> None:
    """Refuse a local VRT that names a file outside the given folders, an address, or code.

    Parameters
    ----------
    path : str
    roots : iterable of Path
        Folders whose files it may name; its own is not among them unless given.

    Raises
    ------
    ImageryError
    """
    if is_remote(path) or not _is_vrt(Path(path)):
        return
    _check_vrt(path, [one.resolve() for one in roots], 1)


def _is_vrt(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"<VRTDataset" in file.read(512)
    except OSError:
        return False


def _check_vrt(path: str, roots: list[Path], depth: int) -> None:
    if depth > _DEEPEST_VRT:
        raise ImageryError(f"{path} is a VRT in a VRT in a VRT, deeper than {_DEEPEST_VRT}. Build it from the images.")
    for name, relative in _named_in(path):
        if is_remote(name) or name.startswith(("/vsi", "<")) or ":" in name[2:]:
            raise ImageryError(
                f"{path} reads from {shown_address(name)}. A local job opens no network, "
                "archive or service: name remote images in [imagery] paths themselves."
            )
        source = Path(path).parent / name if relative else Path(name)
        source = source.resolve()
        if not any(source.is_relative_to(root) for root in roots):
            raise ImageryError(
                f"{path} reads {shown_address(name)}, which lies in none of the folders of [imagery] paths. If that is "
                "meant, name its folder in [imagery] vrt_folders."
            )
        if _is_vrt(source):
            _check_vrt(str(source), roots, depth + 1)
        elif _is_text(source):
            raise ImageryError(f"{path} reads {shown_address(name)}, which is a text file, not an image. Leave it out.")


def _named_in(path: str) -> Iterator[tuple[str, bool]]:
    """Yield what a VRT reads, and whether it is relative to the VRT."""
    if Path(path).stat().st_size > _LARGEST_VRT:
        raise ImageryError(f"{path} is a VRT of over {_LARGEST_VRT:,} bytes. Build it in parts.")
    text = Path(path).read_bytes()
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ImageryError(f"{path} is a VRT with a document type or entities. Build it again with gdalbuildvrt.")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (entities are refused above)
    except ElementTree.ParseError as error:
        raise ImageryError(f"{path} is a VRT that cannot be parsed ({error}). Build it again.") from error
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        if tag in ("PixelFunctionCode", "PixelFunctionLanguage") or element.get("subClass") == "VRTRawRasterBand":
            raise ImageryError(f"{path} is a VRT with code or raw bytes of other files in it, which is not opened.")
        if tag in ("SourceFilename", "SourceDataset", "Filename", "SourceDatasetName", "OverviewFile"):
            relative = element.get("relativeToVRT", element.get("relativetoVRT", "0")) == "1"
            yield (element.text or "").strip(), relative


def _is_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip()[:1] in (b"<", b"{", b"[")
    except OSError:
        return False


def shown_address(name: str) -> str:
    """Return an address without what may be a secret in it."""
    shown = re.sub(r"//[^/@]*@", "//…@", name.partition("?")[0])
    return shown if len(shown) <= 200 else shown[:200] + "…"
