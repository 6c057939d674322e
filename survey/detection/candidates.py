"""Find what stands out: the cheap first stage that looks at every pixel and must lose almost nothing.

At each size, each channel is filtered with a difference of Gaussians (centre against surround, the
blob detector of Marr and Hildreth, doi:10.1098/rspb.1980.0020), divided by its own mean strength
near by, so that what counts is contrast against the local clutter; the channels are joined as the
root of the sum of squares. Candidates are the local maxima of that strength in a fixed window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from survey.detection.scales import BLOCK

Floats = NDArray[np.float32]

# Widths of centre and surround, in diameters: the difference peaks on a disc of the diameter.
_CENTRE, _SURROUND = 0.25, 0.60
# Width of the neighbourhood clutter is averaged over, in diameters.
_CLUTTER = 1.2
# Widths at which Gaussians are cut off: what lies beyond would cost reading more ground around every tile.
_CUT = 2.5
# Side of the window of a local maximum, in diameters.
_APART = 0.55
# Circles on which it is looked how far the ground around a candidate stands out, in diameters.
AROUND_RADII = (0.5, 1.0, 1.6)
AROUND_ANGLES = 8
# Grey levels added to the clutter: below this, contrast is quantisation and sensor noise.
_NOISE = 0.6


@dataclass(frozen=True)
class Strength:
    """How far each pixel of one octave stands out at one size.

    Attributes
    ----------
    contrast : tuple of float32 arrays, shape (row, col)
        Signed difference of Gaussians over local clutter, one array a channel.
    total : float32 array, shape (row, col)
    """

    contrast: tuple[Floats, ...]
    total: Floats

    def at(self, row: NDArray[np.int64], col: NDArray[np.int64]) -> Floats:
        """Contrasts and total of some pixels, shape (channel + 1, n)."""
        return np.stack([plane[row, col] for plane in (*self.contrast, self.total)])

    def around(self, row: NDArray[np.int64], col: NDArray[np.int64], diameter_px: float) -> Floats:
        """Contrasts and total on circles around some pixels, shape (channel + 1, circle, angle, n).

        Parameters
        ----------
        row, col : int arrays, shape (n,)
            Beyond the edge the pixels on it are taken.
        diameter_px : float
            The size the strength was asked for; radii of the circles are in units of it.
        """
        theta = 2 * np.pi * np.arange(AROUND_ANGLES) / AROUND_ANGLES
        radius = np.array(AROUND_RADII)[:, None] * diameter_px
        down, across = np.rint(radius * np.sin(theta)).astype(int), np.rint(radius * np.cos(theta)).astype(int)
        rows, cols = self.total.shape
        place = np.clip(row + down[..., None], 0, rows - 1) * cols + np.clip(col + across[..., None], 0, cols - 1)
        return np.stack([plane.reshape(-1).take(place) for plane in (*self.contrast, self.total)])


def strength_of(octave: NDArray[np.uint8], diameter_px: float, block: int = BLOCK) -> Strength:
    """Contrast against the local clutter at one size.

    Parameters
    ----------
    octave : uint8 array, shape (row, col, channel)
        Sides are multiples of ``block``, the first pixel lies at a multiple of it from the scene's origin.
    diameter_px : float
        Diameter looked for, in pixels of the octave.
    block : int
        Side of the blocks that clutter is averaged in.
    """
    rows, cols, _ = octave.shape
    small = (cols // block, rows // block)
    planes = []
    total = np.zeros((rows, cols), np.float32)
    for band in cv2.split(octave):
        # Blurred as bytes it would cost less, but be rounded by where a row begins.
        image = band.astype(np.float32)
        plane = _blur(image, _CENTRE * diameter_px)
        plane -= _blur(image, _SURROUND * diameter_px)
        clutter: Any = cv2.resize(np.abs(plane, out=image), small, interpolation=cv2.INTER_AREA)
        clutter = _blur(clutter, max(0.7, _CLUTTER * diameter_px / block))
        clutter += np.float32(_NOISE)
        # Interpolation keeps a constant, so what is added before it is what would be added after it.
        plane /= cv2.resize(clutter, (cols, rows), dst=image, interpolation=cv2.INTER_LINEAR)
        total += np.multiply(plane, plane, out=image)
        planes.append(plane)
    return Strength(tuple(planes), np.sqrt(total, out=total))


def _blur(image: Floats, sigma: float) -> Floats:
    radius = max(1, round(_CUT * sigma))
    kernel = cv2.getGaussianKernel(2 * radius + 1, sigma, cv2.CV_32F)
    blurred = cv2.sepFilter2D(image, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)


def peaks_of(total: Floats, diameter_px: float, least: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of local maxima of at least ``least``; of equal neighbours the first in reading order.

    Parameters
    ----------
    total : float32 array, shape (row, col)
    diameter_px : float
    least : float
    """
    half = max(1, round(_APART * diameter_px / 2))
    window = np.ones((2 * half + 1, 2 * half + 1), np.uint8)
    highest = cv2.dilate(total, window, borderType=cv2.BORDER_REPLICATE)
    place = np.flatnonzero((total == highest) & (total >= least))
    row, col = np.divmod(place, total.shape[1])
    # Two maxima within one window are equal; the one that comes first in reading order stands.
    _, which, count = np.unique(total.reshape(-1)[place], return_inverse=True, return_counts=True)
    equal = np.flatnonzero(count[which] > 1)
    pairs = cKDTree(np.column_stack([row[equal], col[equal]])).query_pairs(half, p=np.inf, output_type="ndarray")
    keep = np.ones(len(row), bool)
    keep[equal[pairs.max(axis=1)]] = False
    return row[keep], col[keep]


def finer_pixels(
    total: Floats, row: NDArray[np.int64], col: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels of the octave below in which local maxima lie: of the four, the one on the side that rises.

    Parameters
    ----------
    total : float32 array, shape (row, col)
    row, col : int arrays, shape (n,)
        Local maxima of it.

    Returns
    -------
    row, col : int arrays, shape (n,)
        In the octave below, of twice the size.
    """
    last_row, last_col = total.shape[0] - 1, total.shape[1] - 1
    below = total[np.minimum(row + 1, last_row), col] >= total[np.maximum(row - 1, 0), col]
    right = total[row, np.minimum(col + 1, last_col)] >= total[row, np.maximum(col - 1, 0)]
    return 2 * row + below, 2 * col + right
