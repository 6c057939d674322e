"""Turn bands into the channels that are searched: one brightness and the colour differences around it.

All arithmetic is in integers, pixel by pixel, so a channel is the same through every window.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

# Weights of the bands by channel, and the offset that keeps differences in 0..255. The rows are
# brightness, warm against green, and light against blue: opponent colours, cheap in integers.
_OPPONENT = np.array(
    [[0.25, 0.5, 0.25, 0.0], [0.75, -0.75, 0.0, 128.0], [0.375, 0.375, -0.75, 128.0]],
    dtype=np.float32,
)
MOST_BANDS = 4
"""What OpenCV samples at once."""
_ROWS = 128


def channels_of(pixels: Bytes, channels: Bytes | None = None) -> Bytes:
    """Brightness and colour differences of a stack of bands.

    Parameters
    ----------
    pixels : uint8 array, shape (band, row, col)
        Three bands become three channels; of more the others stay as they are, as one or two do.
    channels : uint8 array, shape (row, col, channel), optional
        Where they are put; contiguous.

    Returns
    -------
    uint8 array, shape (row, col, channel), contiguous: the layout OpenCV filters work on.
    """
    if channels is None:
        channels = np.empty((*pixels.shape[1:], len(pixels)), np.uint8)
    opponent = len(_OPPONENT) if len(pixels) >= len(_OPPONENT) else 0
    channels[..., opponent:] = np.moveaxis(pixels[opponent:], 0, -1)
    if not opponent:
        return channels
    together, whole = np.moveaxis(pixels, 0, -1), len(pixels) == opponent
    for start in range(0, len(channels), _ROWS):
        # A few rows at a time: the bands side by side are a copy of them all, unless they lie so.
        rows = slice(start, start + _ROWS)
        if whole and together.flags.c_contiguous:
            cv2.transform(together[rows], _OPPONENT, dst=channels[rows])
        else:
            bands = [np.ascontiguousarray(band[rows]) for band in pixels[:opponent]]
            channels[rows, :, :opponent] = cv2.transform(cv2.merge(bands), _OPPONENT)
    return channels


def channel_names(roles: Sequence[str]) -> tuple[str, ...]:
    """What the channels of some bands are called, in their order.

    Parameters
    ----------
    roles : sequence of str
        One to four band roles.

    Examples
    --------
    >>> channel_names(["red", "green", "blue"])
    ('brightness', 'red against green', 'red and green against blue')
    """
    named = ["near infrared" if role == "nir" else role for role in roles]
    if len(roles) < len(_OPPONENT):
        return tuple(f"the {role} band" for role in roles)
    first, second, third = named[: len(_OPPONENT)]
    others = tuple(f"the {role} band" for role in roles[len(_OPPONENT) :])
    return "brightness", f"{first} against {second}", f"{first} and {second} against {third}", *others


def pyramid(channels: Bytes, deepest: int) -> dict[int, Bytes]:
    """Halve the channels again and again, from octave 0, the input, to the deepest.

    Sides must be multiples of ``2 ** deepest`` and the window must start at such a multiple of the
    scene's origin: then a pixel of an octave is the rounded mean of the same pixels in every window.
    """
    levels = {0: channels}
    for octave in range(1, deepest + 1):
        finer = levels[octave - 1]
        size = (finer.shape[1] // 2, finer.shape[0] // 2)
        halved = np.asarray(cv2.resize(finer, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        levels[octave] = halved.reshape(size[1], size[0], -1)
    return levels
