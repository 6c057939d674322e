import numpy as np
import pytest

from survey.synthetic.noise import Frame, fractal

KEY = (3, 1)


def test_noise_is_about_standard():
    field = fractal(KEY, Frame(600, 600, 0.02), 0.02, 0.6, 0.4)
    assert abs(float(field.mean())) < 0.25
    assert 0.7 < float(field.std()) < 1.3


def test_the_same_place_has_the_same_noise_in_another_window():
    whole = fractal(KEY, Frame(300, 200, 0.02, 5.0, 9.0), 0.02, 1.0)
    part = fractal(KEY, Frame(300, 200, 0.02, 5.0, 9.0).rows(48, 64), 0.02, 1.0)
    assert np.allclose(whole[48:112], part, atol=0.02)


def test_the_same_place_has_the_same_noise_at_another_resolution_and_turn():
    fine = fractal(KEY, Frame(400, 400, 0.02, 0.0, 8.0), 0.2, 2.0)
    coarse = fractal(KEY, Frame(200, 200, 0.04, 0.0, 8.0), 0.2, 2.0)
    blocks = fine.reshape(200, 2, 200, 2).mean(axis=(1, 3))
    assert np.corrcoef(blocks.ravel(), coarse.ravel())[0, 1] > 0.995
    turned = Frame(200, 200, 0.02, 4.0, 4.0, angle_deg=30.0)
    rotated = fractal(KEY, turned, 0.2, 2.0)
    cols, rows = np.meshgrid(np.arange(200) + 0.5, np.arange(200) + 0.5)
    a = turned.affine
    x, y = a.a * cols + a.b * rows + a.c, a.d * cols + a.e * rows + a.f
    inside = (x > 0.1) & (x < 7.9) & (y > 0.1) & (y < 7.9)
    straight = fine[((8.0 - y[inside]) / 0.02).astype(int), (x[inside] / 0.02).astype(int)]
    assert np.corrcoef(straight, rotated[inside])[0, 1] > 0.99


def test_other_keys_are_other_ground():
    frame = Frame(200, 200, 0.02)
    first, second = fractal((3, 1), frame, 0.02, 0.3), fractal((3, 2), frame, 0.02, 0.3)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.15


@pytest.mark.parametrize("angle", [0.0, 17.0, -90.0, 200.0])
def test_pixel_and_world_coordinates_agree(angle):
    frame = Frame(50, 40, 0.025, 7.0, -3.0, angle_deg=angle)
    a = frame.affine
    x, y = a.a * 12.0 + a.b * 31.0 + a.c, a.d * 12.0 + a.e * 31.0 + a.f
    assert frame.to_pixel(x, y) == pytest.approx((12.0, 31.0))
