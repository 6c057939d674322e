import numpy as np
import pytest
import rasterio.features

from survey.errors import ImageryError
from survey.synthetic.photograph import IntoSettings, Photo, draw_into, look_of, open_ground
from survey.synthetic.scene import SceneSettings, draw_scene
from survey.synthetic.site import TEST_SITES, Sensor, site_of

SITE = site_of(TEST_SITES[7])


def photo(bands=("red", "green", "blue"), sensor: Sensor | None = None, size=360) -> Photo:
    """Draw an empty scene that stands for a photograph."""
    site = SITE if sensor is None else SITE.model_copy(update={"sensor": sensor})
    settings = SceneSettings(width_px=size, height_px=size, bands=bands, objects_per_ha={}, site=site, clutter=0.3)
    scene = draw_scene(settings, 3)
    return Photo(scene.pixels, bands, scene.transform, scene.crs, 0.02)


@pytest.mark.parametrize("bands", [("red", "green", "blue"), ("nir", "green", "blue"), ("thermal",)])
def test_objects_are_drawn_into_a_photograph_and_nothing_else_changes(bands):
    before = photo(bands)
    drawn = draw_into(before, IntoSettings(objects_per_ha={"mine_at": 1600.0, "mine_buried": 600.0}), TEST_SITES[1])
    assert len(drawn.labels) > 10
    change = np.abs(drawn.pixels.astype(int) - before.pixels).max(axis=0)
    mask = rasterio.features.rasterize(list(drawn.labels.buffer(0.5)), change.shape, transform=drawn.transform).astype(
        bool
    )
    assert (change[~mask] == 0).mean() > 0.995
    shown = drawn.labels[drawn.labels["occlusion"] < 0.5]
    inside = rasterio.features.rasterize(list(shown.geometry), change.shape, transform=drawn.transform).astype(bool)
    assert change[inside].mean() > 8


def test_the_same_seed_gives_the_same_bytes():
    before = photo()
    settings = IntoSettings(objects_per_ha={"mine_at": 500.0, "crater": 100.0}, clutter=1.0)
    first, again = draw_into(before, settings, 4), draw_into(before, settings, 4)
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert first.labels.equals(again.labels)
    assert first.pixels.tobytes() != draw_into(before, settings, 5).pixels.tobytes()


def test_the_mask_is_kept():
    before = photo()
    allowed = np.zeros(before.pixels.shape[1:], dtype=bool)
    allowed[:, :150] = True
    drawn = draw_into(before, IntoSettings(objects_per_ha={"mine_at": 4000.0}), 6, allowed)
    assert len(drawn.labels) > 5
    edge = before.transform.c + 150 * before.transform.a
    assert (drawn.labels.bounds["maxx"] <= edge + 0.02).all()


def test_drawn_objects_follow_the_exposure_of_the_photograph():
    site = SITE.model_copy(update={"decay": 0.0})
    means = []
    for exposure in (0.25, 0.6):
        before = photo(sensor=Sensor(exposure=exposure, noise=0.5))
        drawn = draw_into(before, IntoSettings(objects_per_ha={"mine_at": 900.0}, site=site), 6)
        inside = rasterio.features.rasterize(
            list(drawn.labels.geometry), before.pixels.shape[1:], transform=drawn.transform
        ).astype(bool)
        means.append(drawn.pixels[:, inside].mean())
    assert means[1] > 1.5 * means[0]


def test_blur_and_noise_are_estimated():
    sharp = look_of(photo(sensor=Sensor(blur_px=0.3, noise=0.5)))
    soft = look_of(photo(sensor=Sensor(blur_px=1.6, noise=0.5)))
    noisy = look_of(photo(sensor=Sensor(blur_px=1.2, noise=2.0)))
    quiet = look_of(photo(sensor=Sensor(blur_px=1.2, noise=0.5)))
    assert soft.blur_px > sharp.blur_px + 0.5
    assert noisy.noise > quiet.noise + 0.5


def test_open_ground_leaves_dark_places_out():
    before = photo()
    pixels = before.pixels.copy()
    pixels[:, 100:220, 100:220] = pixels[:, 100:220, 100:220] // 6
    ground = open_ground(Photo(pixels, before.bands, before.transform, before.crs, before.gsd_m))
    assert not ground[140:180, 140:180].any()
    assert ground[:60].mean() > 0.9


def test_what_does_not_fit_is_refused():
    before = photo(size=64)
    with pytest.raises(ImageryError, match="uint8"):
        draw_into(Photo(before.pixels[:2], before.bands, before.transform, before.crs, 0.02), IntoSettings(), 1)
    with pytest.raises(ImageryError, match="mask"):
        draw_into(before, IntoSettings(), 1, np.ones((3, 3), dtype=bool))
