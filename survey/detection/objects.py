"""Outlines: from a candidate's pixel to a polygon on the ground with a size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

# Half side of the window an outline is sought in, in diameters.
_REACH = 1.6
_BACKGROUND_FROM = 1.1
# Parts of a pixel that the corners of a disc are held to.
_STEPS = 64


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
    top, left = max(0, row - half), max(0, col - half)
    window = octave[top : row + half + 1, left : col + half + 1]
    centre = (row - top, col - left)
    seen = tuple(slice(half - at, half - at + size) for at, size in zip(centre, window.shape, strict=False))
    masks = _masks(half, diameter_px)
    core, background = (np.ascontiguousarray(mask[seen]) for mask in masks[:2])
    if background.any():
        mean, spread = (one[:, 0] for one in cv2.meanStdDev(window, mask=background))
        off = cv2.meanStdDev(window, mask=core)[0][:, 0] - mean
        direction = off / (spread + 2.0) ** 2
        # From the ground's mean halfway to the centre's, along the direction in which they differ.
        level = np.float32((direction * (mean + 0.5 * off)).sum())
        along = sum(window[..., band] * np.float32(share) for band, share in enumerate(direction))
        found = _component(((along >= level) & masks[2][seen]).view(np.uint8), centre, diameter_px)
        if found is not None:
            found.ring[:] += (left, top)
            return found
    angle = np.linspace(0, 2 * np.pi, 17)[:-1]
    # In whole steps, or the last digit of its area would depend on where the tile begins.
    ring = np.rint(np.column_stack([np.cos(angle), np.sin(angle)]) * diameter_px / 2 * _STEPS) / _STEPS
    ring += (col + 0.5, row + 0.5)
    return Outline(ring, diameter_px, diameter_px)


@lru_cache(maxsize=64)
def _masks(half: int, diameter_px: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    """Centre, surround, and all that an outline may hold, of a window of twice ``half`` and one pixels."""
    down, across = np.ogrid[-half : half + 1, -half : half + 1]
    distance = np.hypot(down, across)
    core = distance <= max(1.0, 0.25 * diameter_px)
    background = distance >= _BACKGROUND_FROM * diameter_px
    return core.view(np.uint8), background.view(np.uint8), np.asarray(distance <= _REACH * diameter_px)


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
    own = (labels[top : top + height, left : left + width] == label).view(np.uint8)
    blown: NDArray[np.uint8] = np.zeros((4 * height + 2, 4 * width + 2), np.uint8)
    blown[1:-1, 1:-1] = own.repeat(4, axis=0).repeat(4, axis=1)
    corners = blown[1:, 1:] | blown[:-1, 1:] | blown[1:, :-1] | blown[:-1, :-1]
    contours, _ = cv2.findContours(corners, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=cv2.contourArea) if len(contours) > 1 else contours[0]
    contour = cv2.approxPolyDP(contour, 1.2, closed=True)
    if len(contour) < 3:
        return None
    ring = contour[:, 0, :].astype(np.float64) / 4 + (left, top)
    _, sides, _ = cv2.minAreaRect(ring.astype(np.float32))
    return Outline(ring, max(sides), min(sides))


def to_polygons(outlines: Sequence[Outline]) -> NDArray[np.object_]:
    """Outlines as valid polygons, in the same coordinates; at least one."""
    rings = [outline.ring for outline in outlines]
    of = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    polygons = shapely.polygons(shapely.linearrings(np.concatenate(rings), indices=of))
    for number in np.flatnonzero(~shapely.is_valid(polygons)):
        largest = max(shapely.get_parts(shapely.make_valid(polygons[number])), key=lambda part: part.area)
        polygons[number] = largest if isinstance(largest, shapely.Polygon) else polygons[number].convex_hull
    return np.asarray(polygons, dtype=object)
