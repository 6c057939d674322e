"""What goes wrong when a vector file that others wrote is read."""

from __future__ import annotations

import pyogrio
import shapely

VECTOR_FAULTS: tuple[type[Exception], ...] = (
    pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, shapely.errors.ShapelyError, OSError, ValueError,
    TypeError, OverflowError,
)  # fmt: skip
"""Raised by readers of damaged files: by GDAL, by what geometries and times are made of, by the file system."""
