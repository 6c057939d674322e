"""Outlines: from a candidate's pixel to a polygon on the ground with a size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

# Half side of the window an outline is sought in, in diameters.
_REACH = 1.6
_BACKGROUND_FROM = 1.1


@dataclass(frozen=True)
class Outline:
    """An outline in pixels of the octave (corner origin), with its sides in the same unit."""

    ring: NDArray[np.float64]
    length_px: float
    width_px: float


def outline_of(octave: NDArray[np.uint8], row: int, col: int, diameter_px: float) -> Outline:
    """Segment what lies at a pixel against the ground around it.

    The difference of each pixel from the surround is projected on the difference of the centre, and cut
    at half of the centre's. A segment that is lost, runs into the window's edge or is far larger than
    the diameter is replaced by a disc of the diameter.

    Parameters
    ----------
    octave : uint8 array, shape (row, col, channel)
    row, col : int
        Representative pixel.
    diameter_px : float
    """
    half = int(np.ceil(_REACH * diameter_px))
    window = octave[max(0, row - half) : row + half + 1, max(0, col - half) : col + half + 1].astype(np.float32)
    centre = (row - max(0, row - half), col - max(0, col - half))
    down, across = np.ogrid[: window.shape[0], : window.shape[1]]
    distance = np.hypot(down - centre[0], across - centre[1])
    background = window[distance >= _BACKGROUND_FROM * diameter_px]
    core = window[distance <= max(1.0, 0.25 * diameter_px)]
    if background.size and core.size:
        mean, spread = background.mean(axis=0), background.std(axis=0) + 2.0
        direction = (core.mean(axis=0) - mean) / spread**2
        projected = ((window - mean) * direction).sum(axis=2)
        level = 0.5 * ((core.mean(axis=0) - mean) * direction).sum()
        mask = ((projected >= level) & (distance <= _REACH * diameter_px)).astype(np.uint8)
        found = _component(mask, centre, diameter_px)
        if found is not None:
            found.ring[:] += (col - centre[1], row - centre[0])
            return found
    angle = np.linspace(0, 2 * np.pi, 17)[:-1]
    ring = np.column_stack([np.cos(angle), np.sin(angle)]) * diameter_px / 2 + (col + 0.5, row + 0.5)
    return Outline(ring, diameter_px, diameter_px)


def _component(mask: NDArray[np.uint8], centre: tuple[int, int], diameter_px: float) -> Outline | None:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if count < 2:
        return None
    label = labels[centre]
    if label == 0:
        return None
    left, top, width, height, area = stats[label]
    runs_out = left == 0 or top == 0 or left + width == mask.shape[1] or top + height == mask.shape[0]
    size = diameter_px**2
    if runs_out or area > 3.0 * size or area < 0.08 * size:
        return None
    # Traced through pixel corners, four steps a pixel: through pixel centres it would be half a step small all round.
    blown = np.pad((labels == label).view(np.uint8).repeat(4, axis=0).repeat(4, axis=1), 1)
    corners = blown[1:, 1:] | blown[:-1, 1:] | blown[1:, :-1] | blown[:-1, :-1]
    contours, _ = cv2.findContours(corners, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=cv2.contourArea)
    contour = cv2.approxPolyDP(contour, 1.2, closed=True)
    if len(contour) < 3:
        return None
    ring = contour[:, 0, :].astype(np.float64) / 4
    _, sides, _ = cv2.minAreaRect(ring.astype(np.float32))
    return Outline(ring, max(sides), min(sides))


def to_polygon(outline: Outline) -> shapely.Polygon:
    """Outline as a valid polygon, in the same coordinates."""
    polygon = shapely.Polygon(outline.ring)
    if not polygon.is_valid:
        polygon = max(shapely.get_parts(shapely.make_valid(polygon)), key=lambda part: part.area)
        if not isinstance(polygon, shapely.Polygon):
            polygon = shapely.Polygon(outline.ring).convex_hull
    return polygon
