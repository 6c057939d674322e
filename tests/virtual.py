"""Virtual rasters over several files, as `gdalbuildvrt -separate` makes them."""

from __future__ import annotations

from pathlib import Path

import rasterio

_KINDS = {"uint8": "Byte", "uint16": "UInt16", "float32": "Float32"}


def write_band_file(path: Path, bands, like):
    """Write bands (band, row, col) with the place of another raster."""
    with rasterio.open(like) as dataset:
        place = {"crs": dataset.crs, "transform": dataset.transform}
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[1], width=bands.shape[2], count=len(bands), dtype=bands.dtype,
        tiled=True, blockxsize=256, blockysize=256, **place,
    ) as image:  # fmt: skip
        image.write(bands)
    return path


def bind(path: Path, bands):
    """Write a VRT whose bands are (role, file, number) of files of one size in its own folder."""
    lines = []
    for number, (role, file, of_file) in enumerate(bands, start=1):
        with rasterio.open(file) as dataset:
            kind, size, crs, transform = dataset.dtypes[of_file - 1], dataset.shape, dataset.crs, dataset.transform
        lines.append(
            f'<VRTRasterBand dataType="{_KINDS[kind]}" band="{number}"><Description>{role}</Description>'
            f"{'<ColorInterp>Alpha</ColorInterp>' if role == 'alpha' else ''}"
            f'<SimpleSource><SourceFilename relativeToVRT="1">{file.name}</SourceFilename>'
            f"<SourceBand>{of_file}</SourceBand></SimpleSource></VRTRasterBand>"
        )
    place = ", ".join(map(repr, transform.to_gdal()))
    path.write_text(
        f'<VRTDataset rasterXSize="{size[1]}" rasterYSize="{size[0]}"><SRS>{crs.to_string()}</SRS>'
        f"<GeoTransform>{place}</GeoTransform>{''.join(lines)}</VRTDataset>"
    )
    return path
