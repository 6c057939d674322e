"""Images that a job names by way of STAC items and collections: their assets, their bands, when they were taken.

Specification: SpatioTemporal Asset Catalog 1.0 and 1.1, extension ``eo`` (common band names).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from survey.errors import ImageryError
from survey.imagery.scene import Imagery, Role

if TYPE_CHECKING:
    import pystac

_DOCUMENT = re.compile(r"\.(geo)?json$", re.IGNORECASE)
_IMAGE_TYPES = ("image/tiff", "image/vnd.stac.geotiff", "image/jp2")
_IMAGE_NAMES = re.compile(r"\.(tiff?|jp2|vrt)$", re.IGNORECASE)
_NOT_DATA = {"thumbnail", "overview", "metadata", "visual-overview"}
_COMMON_NAMES: dict[str, Role] = {
    "red": "red", "green": "green", "blue": "blue", "nir": "nir", "nir08": "nir", "rededge": "rededge",
    "rededge071": "rededge", "rededge075": "rededge", "rededge078": "rededge", "lwir": "thermal", "lwir11": "thermal",
    "lwir12": "thermal",
}  # fmt: skip
"""Role by common name of the ``eo`` extension; of several bands with one role the first counts."""


def images_of(path: str, imagery: Imagery) -> Iterator[tuple[str, Imagery]]:
    """Yield the images that one of ``[imagery] paths`` stands for, each with what is known of it.

    Parameters
    ----------
    path : str
        A raster, yielded as it is; or a STAC item, collection or catalog (JSON, a file or an address), whose image
        assets are yielded.
    imagery : Imagery
        What the job says; that goes before what the items say.

    Yields
    ------
    path : str
    imagery : Imagery
        With band roles and time from the item where the job gives none.

    Raises
    ------
    ImageryError
        The JSON is no STAC item or collection, a part of it is missing, or it names no image.
    """
    if not _DOCUMENT.search(path):
        yield path, imagery
        return
    for item in _items(path):
        assets = _image_assets(item)
        if not assets:
            raise ImageryError(
                f"{path}: STAC item {item.id!r} has no image asset (role data, type image/tiff). Name the rasters "
                "themselves in [imagery] paths, or mend the item."
            )
        for asset in assets:
            known: dict[str, Any] = {}
            if imagery.bands is None:
                known["bands"] = _roles(item, asset)
            if imagery.acquired is None:
                known["acquired"] = item.datetime or item.common_metadata.start_datetime
            yield _located(asset), imagery.model_copy(update=known)


def _items(path: str) -> list[pystac.Item]:
    import pystac

    try:
        found = pystac.read_file(path)
        return [found] if isinstance(found, pystac.Item) else list(found.get_items(recursive=True))  # type: ignore[attr-defined]
    except (pystac.STACError, pystac.STACTypeError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageryError(
            f"{path} cannot be read as a STAC item or collection ({' '.join(str(error).split())}). Check it and the "
            "items it links to, or name the rasters themselves in [imagery] paths."
        ) from error


def _image_assets(item: pystac.Item) -> list[pystac.Asset]:
    """Assets that are images to be surveyed, in the item's order; those with role ``data`` where any has it."""
    images = [
        asset
        for asset in item.assets.values()
        if ((asset.media_type or "").startswith(_IMAGE_TYPES) or _IMAGE_NAMES.search(asset.href))
        and not _NOT_DATA.intersection(asset.roles or ())
    ]
    data = [asset for asset in images if "data" in (asset.roles or ())]
    return data or images


def _located(asset: pystac.Asset) -> str:
    href = asset.get_absolute_href() or asset.href
    return href if "://" in href or href.startswith("/vsi") else os.path.normpath(href)


def _roles(item: pystac.Item, asset: pystac.Asset) -> Mapping[Role, int] | None:
    """Band number by role, from ``bands`` (STAC 1.1) or ``eo:bands``; None where no band has a known name."""
    own = asset.extra_fields
    bands = own.get("bands") or own.get("eo:bands") or item.properties.get("bands") or item.properties.get("eo:bands")
    found: dict[Role, int] = {}
    if not isinstance(bands or [], list) or not all(isinstance(band, dict) for band in bands or ()):
        raise ImageryError(f"STAC item {item.id!r}: its bands are no list of tables. Mend it, or give [imagery] bands.")
    for number, band in enumerate(bands or (), start=1):
        role = _COMMON_NAMES.get(str(band.get("eo:common_name") or band.get("common_name") or "").lower())
        if role is not None:
            found.setdefault(role, number)
    return found or None
