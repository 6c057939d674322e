"""What things reflect: spectra of soils, plants, paints and metals in the bands the scenes know.

Each spectrum is a row of reflectances for red, green, blue and near infrared (0-1), and a thermal level
(0-1, 0.5 = mean ground; relative, for a camera whose absolute temperature is lost). Values are typical
magnitudes from general knowledge, set by eye against photographs; no measured library stands behind them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from survey.errors import JobError

Spectrum = NDArray[np.float32]

ROLES = ("red", "green", "blue", "nir", "thermal")
"""Band roles a scene can be drawn in, in the order of a spectrum's columns."""


def band_columns(bands: tuple[str, ...]) -> NDArray[np.intp]:
    """Columns of a spectrum for these band roles.

    Raises
    ------
    JobError
        A role that cannot be drawn.
    """
    strange = [band for band in bands if band not in ROLES]
    if strange or not bands:
        raise JobError(f"Band role {', '.join(strange) or '(none)'} cannot be drawn; choose from {', '.join(ROLES)}.")
    return np.array([ROLES.index(band) for band in bands], dtype=np.intp)


def _spectrum(red: float, green: float, blue: float, nir: float, thermal: float) -> Spectrum:
    return np.array([red, green, blue, nir, thermal], dtype=np.float32)


SOILS: dict[str, Spectrum] = {
    "loess": _spectrum(0.40, 0.32, 0.23, 0.50, 0.55),
    "chernozem": _spectrum(0.13, 0.105, 0.08, 0.20, 0.62),
    "red_brown": _spectrum(0.33, 0.20, 0.13, 0.42, 0.58),
    "grey_clay": _spectrum(0.32, 0.30, 0.27, 0.37, 0.52),
    "sand": _spectrum(0.48, 0.40, 0.29, 0.56, 0.56),
    "saline": _spectrum(0.52, 0.49, 0.43, 0.57, 0.48),
    "semi_desert": _spectrum(0.36, 0.30, 0.225, 0.43, 0.57),
    "ochre": _spectrum(0.38, 0.26, 0.14, 0.47, 0.57),
    "dark_brown": _spectrum(0.19, 0.14, 0.10, 0.28, 0.60),
}
"""Topsoils from pale to dark."""

PLANTS: dict[str, Spectrum] = {
    "lush": _spectrum(0.055, 0.105, 0.035, 0.48, 0.38),
    "meadow": _spectrum(0.11, 0.15, 0.05, 0.46, 0.42),
    "yellowing": _spectrum(0.21, 0.22, 0.08, 0.44, 0.45),
    "straw": _spectrum(0.42, 0.35, 0.20, 0.48, 0.52),
    "sage": _spectrum(0.17, 0.19, 0.13, 0.36, 0.44),
    "dark_leaf": _spectrum(0.035, 0.065, 0.025, 0.40, 0.36),
    "grey_dry": _spectrum(0.30, 0.27, 0.21, 0.36, 0.53),
    "olive_leaf": _spectrum(0.10, 0.12, 0.06, 0.42, 0.40),
}
"""Plants from green to dry."""

PAINTS: dict[str, Spectrum] = {
    "olive": _spectrum(0.105, 0.115, 0.060, 0.22, 0.60),
    "dark_green": _spectrum(0.050, 0.075, 0.040, 0.16, 0.62),
    "grass_green": _spectrum(0.085, 0.140, 0.060, 0.26, 0.58),
    "field_grey": _spectrum(0.170, 0.175, 0.150, 0.24, 0.58),
    "brown": _spectrum(0.140, 0.085, 0.050, 0.30, 0.62),
    "bakelite": _spectrum(0.170, 0.075, 0.040, 0.30, 0.60),
    "black": _spectrum(0.030, 0.030, 0.032, 0.05, 0.70),
    "rubber": _spectrum(0.045, 0.045, 0.047, 0.06, 0.70),
    "sand_paint": _spectrum(0.380, 0.310, 0.190, 0.45, 0.55),
    "white": _spectrum(0.650, 0.640, 0.610, 0.70, 0.45),
    "grey": _spectrum(0.260, 0.265, 0.270, 0.29, 0.56),
    "steel": _spectrum(0.330, 0.330, 0.335, 0.36, 0.50),
    "aluminium": _spectrum(0.550, 0.555, 0.560, 0.58, 0.40),
    "rust": _spectrum(0.200, 0.100, 0.055, 0.26, 0.60),
    "dark_rust": _spectrum(0.110, 0.065, 0.045, 0.16, 0.62),
    "brass": _spectrum(0.420, 0.330, 0.160, 0.48, 0.50),
    "wood": _spectrum(0.320, 0.245, 0.160, 0.45, 0.53),
    "weathered_wood": _spectrum(0.270, 0.250, 0.220, 0.36, 0.54),
    "red_paint": _spectrum(0.380, 0.060, 0.045, 0.46, 0.55),
    "blue_paint": _spectrum(0.060, 0.120, 0.330, 0.30, 0.55),
    "yellow_paint": _spectrum(0.560, 0.430, 0.070, 0.60, 0.52),
    "clear_plastic": _spectrum(0.450, 0.470, 0.480, 0.50, 0.46),
    "tyre": _spectrum(0.055, 0.054, 0.055, 0.07, 0.72),
    "concrete": _spectrum(0.380, 0.365, 0.340, 0.42, 0.52),
    "asphalt": _spectrum(0.130, 0.130, 0.132, 0.15, 0.66),
    "water": _spectrum(0.060, 0.070, 0.065, 0.02, 0.30),
    "dung": _spectrum(0.110, 0.085, 0.055, 0.20, 0.50),
    "petal": _spectrum(0.620, 0.450, 0.040, 0.62, 0.44),
    "seed_head": _spectrum(0.090, 0.070, 0.050, 0.25, 0.50),
}
"""Paint, plastic, metal, wood and other surfaces of made things."""

STONES: dict[str, Spectrum] = {
    "limestone": _spectrum(0.50, 0.48, 0.43, 0.54, 0.50),
    "grey_rock": _spectrum(0.28, 0.275, 0.265, 0.31, 0.54),
    "basalt": _spectrum(0.11, 0.11, 0.115, 0.13, 0.62),
    "sandstone": _spectrum(0.40, 0.31, 0.22, 0.46, 0.53),
    "red_rock": _spectrum(0.30, 0.19, 0.15, 0.36, 0.56),
    "green_rock": _spectrum(0.19, 0.21, 0.17, 0.25, 0.56),
    "quartz": _spectrum(0.62, 0.60, 0.57, 0.64, 0.46),
    "brick": _spectrum(0.36, 0.17, 0.11, 0.42, 0.55),
}
"""Loose stone and broken masonry."""
