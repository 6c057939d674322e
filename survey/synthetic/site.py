"""Where a drawn scene lies: soil, plants, light, camera and rubbish of one *site*.

Pictures of one site look alike and pictures of two sites do not, so a model is judged on sites it never
learned from. Two ranges of site seeds are kept out of training for good.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from survey.errors import JobError
from survey.synthetic.materials import PLANTS, SOILS, STONES, Spectrum

SAMPLE_SITES = range(900_000, 900_100)
"""Site seeds of the sample job. Never used for training."""

TEST_SITES = range(910_000, 911_000)
"""Site seeds of tests and benchmarks. Never used for training."""

Cover = Literal["bare", "furrow", "stubble", "crop", "grass", "meadow", "scrub", "rubble", "gravel", "litter"]
COVERS: tuple[Cover, ...] = (
    "bare", "furrow", "stubble", "crop", "grass", "meadow", "scrub", "rubble", "gravel", "litter",
)  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Light(_Part):
    """Sun and sky.

    ``azimuth_deg`` clockwise from north, ``diffuse`` the share of light that comes from the whole sky
    (1 = overcast, no shadow), ``sky_blue`` how blue shadows are.
    """

    azimuth_deg: float
    elevation_deg: float
    diffuse: float
    sky_blue: float = 0.15


class Sensor(_Part):
    """Camera and processing, from reflectance to bytes.

    Lengths in pixels (``fringe_px``: how far the first and last band lie apart); ``noise`` in grey levels of 255;
    ``balance`` a gain for each of red, green, blue, nir and thermal; ``grey_world`` is how far the camera pulls the
    picture's mean towards grey (about 0-1; a third of it where it records true colours); ``jpeg_quality`` 0 = not
    compressed.
    """

    blur_px: float = 0.6
    motion_px: float = 0.0
    motion_deg: float = 0.0
    noise: float = 1.5
    exposure: float = 0.42
    gamma: float = 0.45
    contrast: float = 1.0
    saturation: float = 1.0
    haze: float = 0.0
    balance: tuple[float, float, float, float, float] = (1.0, 1.0, 1.0, 1.0, 1.0)
    grey_world: float = 0.0
    vignetting: float = 0.0
    sharpening: float = 0.0
    fringe_px: float = 0.0
    jpeg_quality: int = 0


class Soil(_Part):
    """Names in :data:`SOILS`; ``blend`` shares out the second; ``wetness`` darkens, ``clods_m`` is relief.

    ``mottling`` and ``grain`` are relative changes of tone at metres and at centimetres, ``stoniness`` 0-1.
    """

    first: str
    second: str
    subsoil: str
    blend: float
    wetness: float
    clods_m: float
    mottling: float
    grain: float
    stoniness: float


class Growth(_Part):
    """Names in :data:`PLANTS`; ``dryness`` 0 green to 1 dry; ``density`` scales every cover's plants.

    ``blade_m`` is the length of a blade of grass, ``patch_m`` the size of patches, ``texture`` scales contrast.
    """

    green: str
    dry: str
    bush: str
    dryness: float
    density: float
    blade_m: float
    texture: float
    patch_m: float


class Site(_Part):
    """Everything that pictures of one place share. Made by :func:`site_of`.

    ``in_the_open`` is the share of hazards that nothing lies over; ``any_paint`` the share that has another colour
    than the recognition guides list, which a detector should not rely on.
    """

    seed: int
    covers: tuple[tuple[Cover, float], ...]
    zone_m: float
    straight: bool
    furrow_m: float
    furrow_deg: float
    tracks: int
    track_surface: str
    soil: Soil
    growth: Growth
    stone: str
    stone_other: str
    light: Light
    sensor: Sensor
    clutter: tuple[tuple[str, float], ...]
    decay: float
    in_the_open: float = 0.0
    any_paint: float = 0.0

    @property
    def name(self) -> str:
        """Name that labels carry in column ``site``."""
        return f"drawn-{self.seed:06d}"

    def soil_spectra(self) -> tuple[Spectrum, Spectrum, Spectrum]:
        """First soil, second soil and subsoil, darkened by the site's wetness."""
        dark = np.float32(1.0 - 0.45 * self.soil.wetness)
        return tuple(SOILS[name] * dark for name in (self.soil.first, self.soil.second, self.soil.subsoil))  # type: ignore[return-value]

    def plant_spectra(self) -> tuple[Spectrum, Spectrum, Spectrum]:
        """Green plant, dry plant and bush."""
        return PLANTS[self.growth.green], PLANTS[self.growth.dry], PLANTS[self.growth.bush]

    def stone_spectra(self) -> tuple[Spectrum, Spectrum]:
        """Name the common stone and a rarer one."""
        return STONES[self.stone], STONES[self.stone_other]


CLUTTER_KINDS: tuple[tuple[str, float, float], ...] = (
    # kind, typical number per hectare, chance that a site has it
    ("stone", 1300.0, 1.0),
    ("round_stone", 120.0, 0.75),
    ("pebble_heap", 12.0, 0.4),
    ("tuft", 700.0, 0.8),
    ("leafy_weed", 260.0, 0.7),
    ("bush", 35.0, 0.7),
    ("tree", 3.0, 0.3),
    ("sunflower", 220.0, 0.15),
    ("can", 50.0, 0.5),
    ("bottle", 40.0, 0.5),
    ("tyre", 6.0, 0.45),
    ("bucket", 10.0, 0.4),
    ("lid", 24.0, 0.5),
    ("plate", 14.0, 0.4),
    ("manhole", 2.0, 0.25),
    ("bag", 30.0, 0.5),
    ("board", 20.0, 0.45),
    ("pipe", 8.0, 0.3),
    ("scrap", 30.0, 0.4),
    ("dung", 60.0, 0.45),
    ("molehill", 40.0, 0.4),
    ("burrow", 25.0, 0.4),
    ("puddle", 6.0, 0.25),
    ("soil_stain", 60.0, 0.7),
    ("dark_spot", 40.0, 0.5),
    ("pale_spot", 40.0, 0.5),
    ("branch", 30.0, 0.5),
    ("trail", 1.2, 0.45),
    ("bale", 1.0, 0.12),
    ("post", 8.0, 0.3),
    ("car", 0.6, 0.15),
    ("hollow", 6.0, 0.35),
    ("ditch", 0.8, 0.25),
    ("mound", 4.0, 0.3),
    ("leaf", 150.0, 0.4),
    ("bare_patch", 12.0, 0.4),
    ("campfire", 3.0, 0.3),
    ("bank", 0.8, 0.25),
)
"""Harmless things. Numbers are free choices, for variety; no survey of rubbish stands behind them."""


def site_of(seed: int) -> Site:
    """Draw the site of this seed. The same seed gives the same site for ever within a version.

    Parameters
    ----------
    seed : int
        Not negative. Seeds in :data:`SAMPLE_SITES` and :data:`TEST_SITES` are not for training.
    """
    rng = np.random.default_rng([seed, 101])
    names = [COVERS[i] for i in rng.choice(len(COVERS), size=int(rng.integers(1, 4)), replace=False)]
    shares = rng.dirichlet(np.full(len(names), 1.6))
    soils = list(SOILS)
    first = str(rng.choice(soils))
    second = str(rng.choice(soils)) if rng.random() < 0.5 else first
    dryness = float(rng.beta(0.8, 0.8))
    stones = rng.choice(list(STONES), size=2, replace=False)
    return Site(
        seed=seed,
        covers=tuple((name, float(share)) for name, share in zip(names, shares, strict=True)),
        zone_m=float(rng.uniform(4.0, 30.0)),
        straight=bool(rng.random() < 0.4),
        furrow_m=float(rng.choice([0.15, 0.25, 0.45, 0.7, 0.9]) * rng.uniform(0.9, 1.1)),
        furrow_deg=float(rng.uniform(0.0, 180.0)),
        tracks=int(rng.choice([0, 0, 1, 1, 2])),
        track_surface=str(rng.choice(["soil", "soil", "gravel", "asphalt", "concrete"])),
        soil=Soil(
            first=first,
            second=second,
            subsoil=str(rng.choice(soils)),
            blend=float(rng.uniform(0.0, 0.7)),
            wetness=float(max(0.0, rng.uniform(-0.6, 0.8))),
            clods_m=float(rng.uniform(0.003, 0.022)),
            mottling=float(rng.uniform(0.02, 0.14)),
            grain=float(rng.uniform(0.03, 0.14)),
            stoniness=float(rng.beta(0.8, 2.0)),
        ),
        growth=Growth(
            green=str(rng.choice(["lush", "meadow", "meadow", "sage", "olive_leaf"])),
            dry=str(rng.choice(["straw", "straw", "yellowing", "grey_dry"])),
            bush=str(rng.choice(["dark_leaf", "olive_leaf", "sage", "meadow"])),
            dryness=dryness,
            density=float(rng.uniform(0.5, 1.25)),
            blade_m=float(rng.uniform(0.05, 0.28)),
            texture=float(rng.uniform(0.6, 2.4)),
            patch_m=float(rng.uniform(0.2, 2.5)),
        ),
        stone=str(stones[0]),
        stone_other=str(stones[1]),
        light=draw_light(rng),
        sensor=draw_sensor(rng),
        clutter=tuple(
            (kind, float(per_ha * rng.lognormal(0.0, 0.7)))
            for kind, per_ha, chance in CLUTTER_KINDS
            if rng.random() < chance
        ),
        decay=float(rng.beta(1.2, 1.2)),
    )


def training_sites(n: int, first: int = 0) -> tuple[Site, ...]:
    """``n`` sites that may be learned from, with seeds from ``first`` on.

    Raises
    ------
    JobError
        The range touches seeds kept for the sample or for tests.
    """
    wanted = range(first, first + n)
    for kept, use in ((SAMPLE_SITES, "the sample job"), (TEST_SITES, "tests and benchmarks")):
        if wanted.start < kept.stop and kept.start < wanted.stop:
            raise JobError(
                f"Sites {wanted.start} to {wanted.stop - 1} touch {kept.start} to {kept.stop - 1}, which are kept "
                f"for {use}; choose training sites outside that range."
            )
    return tuple(site_of(seed) for seed in wanted)


def draw_light(rng: np.random.Generator) -> Light:
    """Draw a sun and sky; a site has one, a second flight over the same ground has another."""
    overcast = rng.random() < 0.22
    return Light(
        azimuth_deg=float(rng.uniform(85.0, 275.0)),
        elevation_deg=float(rng.uniform(22.0, 68.0)),
        diffuse=float(rng.uniform(0.75, 1.0) if overcast else rng.uniform(0.18, 0.5)),
        sky_blue=float(rng.uniform(0.0, 0.3)),
    )


def draw_sensor(rng: np.random.Generator) -> Sensor:
    """Draw a camera; a site has one, a second flight over the same ground has another."""
    warmth, tint = rng.normal(0.0, 0.09), rng.normal(0.0, 0.035)
    balance = (1 + warmth, 1 + tint, 1 - warmth, float(rng.uniform(0.75, 1.25)), 1.0)
    return Sensor(
        blur_px=float(rng.uniform(0.3, 0.6) if rng.random() < 0.6 else rng.uniform(0.6, 1.2)),
        motion_px=float(max(0.0, rng.uniform(-4.0, 2.2))),
        motion_deg=float(rng.uniform(0.0, 180.0)),
        noise=float(rng.uniform(0.4, 4.5)),
        exposure=float(rng.uniform(0.34, 0.60)),
        gamma=float(rng.uniform(0.40, 0.60)),
        contrast=float(rng.uniform(0.85, 1.35)),
        saturation=float(rng.uniform(0.65, 1.2)),
        haze=float(max(0.0, rng.uniform(-0.05, 0.10))),
        balance=tuple(float(b) for b in balance),  # type: ignore[arg-type]
        grey_world=float(rng.uniform(0.0, 1.1)),
        vignetting=float(max(0.0, rng.uniform(-0.2, 0.3))),
        sharpening=float(max(0.0, rng.uniform(-0.6, 1.4))),
        fringe_px=float(max(0.0, rng.uniform(-0.8, 0.5))),
        jpeg_quality=int(rng.choice([0, 70, 80, 85, 90, 95])),
    )
