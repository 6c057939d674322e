"""Pictures with known content."""

from __future__ import annotations

import numpy as np


def textured(height, width, seed=0, discs=(), bands=3):
    """Smooth noise with dark discs ``(row, col, diameter)``, pixel centres at whole numbers."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.normal(0, 1, (height // 16 + 1, width // 16 + 1)), np.ones((16, 16)))[:height, :width]
    ground = 130 + 10 * coarse + rng.normal(0, 4, (height, width))
    pixels = np.stack([ground * share for share in (1.0, 0.95, 0.8)[:bands]])
    row, col = np.mgrid[:height, :width]
    for r, c, diameter in discs:
        pixels[:, np.hypot(row - r, col - c) <= diameter / 2] = np.array([40.0, 60.0, 35.0])[:bands, None]
    return pixels.clip(0, 255).astype(np.uint8)


def flat_disc(side, row, col, diameter, ground=140, object_=40):
    """One channel: a disc on flat ground, its edge pixels mixed by the share that is covered."""
    at = (np.arange(side * 8) + 0.5) / 8 - 0.5
    inside = (np.hypot(at[:, None] - row, at[None] - col) <= diameter / 2).astype(float)
    share = inside.reshape(side, 8, side, 8).mean(axis=(1, 3))
    return np.rint(ground + share * (object_ - ground)).astype(np.uint8)[..., None]
