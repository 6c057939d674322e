import numpy as np
import pytest

from survey.synthetic.light import cast_shadow, lambert, sun_over
from survey.synthetic.materials import band_columns
from survey.synthetic.site import Light

RGB = band_columns(("red", "green", "blue"))
PX = 0.01


def post(size=121, height=0.3):
    relief = np.zeros((size, size), dtype=np.float32)
    relief[58:63, 58:63] = height
    return relief


@pytest.mark.parametrize(("azimuth", "row", "col"), [(90.0, 60, 40), (180.0, 40, 60), (270.0, 60, 80), (0.0, 80, 60)])
def test_a_shadow_falls_away_from_the_sun(azimuth, row, col):
    sun = sun_over(Light(azimuth_deg=azimuth, elevation_deg=45.0, diffuse=0.2), 0.0, RGB)
    shadow = cast_shadow(post(), PX, sun, 0.01)
    assert shadow[row, col] > 0.9
    assert shadow[120 - row, 120 - col] == 0.0


def test_a_shadow_is_as_long_as_the_sun_is_low():
    for elevation in (30.0, 60.0):
        sun = sun_over(Light(azimuth_deg=90.0, elevation_deg=elevation, diffuse=0.2), 0.0, RGB)
        shadow = cast_shadow(post(), PX, sun, 0.01)
        length_m = (shadow[60, :58] > 0.5).sum() * PX
        assert length_m == pytest.approx(0.3 / np.tan(np.radians(elevation)), abs=0.04)


def test_turning_the_picture_turns_the_light():
    light = Light(azimuth_deg=90.0, elevation_deg=45.0, diffuse=0.2)
    straight, turned = sun_over(light, 0.0, RGB), sun_over(light, 90.0, RGB)
    assert (straight.right, straight.down) == pytest.approx((np.sqrt(0.5), 0.0))
    assert (turned.right, turned.down) == pytest.approx((0.0, np.sqrt(0.5)), abs=1e-9)


def test_a_slope_towards_the_sun_is_brighter_and_flat_ground_is_one():
    sun = sun_over(Light(azimuth_deg=90.0, elevation_deg=40.0, diffuse=0.2), 0.0, RGB)
    ramp = np.tile(np.arange(50, dtype=np.float32) * -0.003, (50, 1))
    assert lambert(np.zeros_like(ramp), PX, sun)[25, 25] == 1.0
    assert lambert(ramp, PX, sun)[25, 25] > 1.1
    assert lambert(-ramp, PX, sun)[25, 25] < 0.9


def test_an_overcast_sky_takes_the_shadow_away():
    assert (
        sun_over(Light(azimuth_deg=90.0, elevation_deg=40.0, diffuse=1.0, sky_blue=0.0), 0.0, RGB).direct.max() == 0.0
    )
