from dataclasses import replace

import numpy as np
import pytest
import rasterio.features
import shapely
from affine import Affine

from survey.errors import JobError
from survey.layers import LABELS, REVIEWED
from survey.synthetic.kinds import KINDS
from survey.synthetic.noise import Frame
from survey.synthetic.scene import SceneSettings, View, draw_scene, photograph
from survey.synthetic.site import TEST_SITES, Light, Sensor, site_of
from survey.synthetic.world import Thing, World

RGB = ("red", "green", "blue")
SITE = site_of(TEST_SITES[7])
CLEAN = Sensor(blur_px=0.4, noise=0.0)
SUN = Light(azimuth_deg=120.0, elevation_deg=50.0, diffuse=0.3)


def bare_world(*things: Thing) -> World:
    soil = SITE.soil.model_copy(update={"first": "loess", "second": "loess", "wetness": 0.0, "stoniness": 0.0})
    site = SITE.model_copy(update={"covers": (("bare", 1.0),), "soil": soil})
    return World(site, (0.0, 10.0, 0.0, 10.0), (), things)


def middle(kind: str, **changes) -> Thing:
    made = KINDS[kind]
    length = sum(made.length_m) / 2
    width = length if made.width_m is None else sum(made.width_m) / 2
    height = sum(made.height_m) / 2 * (length if made.of_length else 1.0)
    return replace(Thing(kind, 2.0, 2.0, 0.6, length, width, height, age=0.1, seed=5), **changes)


def view(gsd_m=0.01, size=400, bands=RGB, **changes) -> View:
    frame = Frame(size, size, gsd_m, 2.0 - size * gsd_m / 2, 2.0 + size * gsd_m / 2)
    return replace(View(frame, bands, "EPSG:32638", Affine(1, 0, 6e5, 0, 1, 4.4e6), SUN, CLEAN), **changes)


def inside(scene) -> np.ndarray:
    shape = scene.pixels.shape[1:]
    return rasterio.features.rasterize(list(scene.labels.geometry), shape, transform=scene.transform).astype(bool)


@pytest.mark.parametrize(
    "kind",
    [
        "at_disc",
        "ap_disc",
        "ap_box",
        "bounding",
        "directional",
        "winged",
        "finned",
        "mortar_120",
        "shell_122",
        "crater_small",
    ],
)
def test_a_label_stands_where_the_pixels_changed(kind):
    thing = middle(kind)
    gsd = max(thing.length_m / 60, 0.002)
    seen = photograph(bare_world(thing), view(gsd, 240))
    empty = photograph(bare_world(), view(gsd, 240))
    change = np.abs(seen.pixels.astype(float) - empty.pixels).mean(axis=0)
    mask = inside(seen)
    assert change[mask].mean() > 8
    far = ~rasterio.features.rasterize(
        [g.buffer(KINDS[kind].reach * thing.length_m + 0.25) for g in seen.labels.geometry],
        mask.shape,
        transform=seen.transform,
    ).astype(bool)
    assert change[far].max(initial=0.0) <= 2
    assert seen.labels.area.iloc[0] == pytest.approx(mask.sum() * gsd**2, rel=0.06)


def test_a_label_has_the_plan_size_of_its_object():
    mine = photograph(bare_world(middle("at_disc", length_m=0.32, width_m=0.32)), view()).labels
    assert mine["class_code"].tolist() == ["mine_at"]
    assert mine.area.iloc[0] == pytest.approx(np.pi * 0.16**2, rel=0.02)
    shell = photograph(bare_world(middle("shell_122")), view()).labels
    assert shell.area.iloc[0] == pytest.approx(0.56 * 0.122, rel=0.02)


def test_occlusion_is_measured():
    def occlusion(**changes) -> float:
        return photograph(bare_world(middle("at_disc", **changes)), view()).labels["occlusion"].iloc[0]

    assert occlusion() < 0.02
    assert occlusion(burial=0.4) == pytest.approx(0.4, abs=0.1)
    assert occlusion(burial=0.1) < occlusion(burial=0.5)


def test_a_bush_over_a_mine_occludes_it():
    bush = middle("bush", x_m=2.15, length_m=1.0, width_m=1.0, height_m=0.5)
    alone = photograph(bare_world(middle("at_disc")), view())
    under = photograph(bare_world(middle("at_disc"), bush), view())
    assert under.labels["occlusion"].iloc[0] > alone.labels["occlusion"].iloc[0] + 0.3
    assert len(under.labels) == 1


def test_plants_cover_only_where_plants_grow():
    grass = SITE.model_copy(update={"covers": (("meadow", 1.0),)})
    thing = middle("at_disc", cover=0.6)
    on_soil = photograph(bare_world(thing), view()).labels["occlusion"].iloc[0]
    in_grass = photograph(replace(bare_world(thing), site=grass), view()).labels["occlusion"].iloc[0]
    assert in_grass > on_soil + 0.2


def test_the_same_seed_gives_the_same_bytes():
    settings = SceneSettings(width_px=300, height_px=200, objects_per_ha={"mine_at": 400.0, "crater": 60.0})
    first, again, other = draw_scene(settings, 8), draw_scene(settings, 8), draw_scene(settings, 9)
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert first.labels.equals(again.labels)
    assert first.pixels.tobytes() != other.pixels.tobytes()


@pytest.mark.parametrize("bands", [RGB, ("nir", "green", "blue"), (*RGB, "nir"), ("thermal",)])
@pytest.mark.parametrize("gsd_m", [0.005, 0.02, 0.10])
def test_every_band_set_at_every_resolution(bands, gsd_m):
    settings = SceneSettings(
        width_px=160, height_px=120, gsd_m=gsd_m, bands=bands, objects_per_ha={"mine_at": 500.0, "mine_buried": 500.0}
    )
    scene = draw_scene(settings, TEST_SITES[5])
    assert scene.pixels.shape == (len(bands), 120, 160)
    assert scene.pixels.dtype == np.uint8
    assert scene.bands == bands
    assert all(plane.std() > 1.5 for plane in scene.pixels)
    assert (scene.pixels == 255).mean() < 0.3
    assert scene.valid.all()


def test_plants_are_bright_in_near_infrared_and_soil_is_not_green():
    lush = SITE.model_copy(
        update={
            "covers": (("grass", 1.0),),
            "growth": SITE.growth.model_copy(update={"green": "lush", "dryness": 0.0}),
        }
    )
    bands = ("red", "green", "blue", "nir")
    red, green, blue, nir = photograph(replace(bare_world(), site=lush), view(bands=bands)).pixels.mean(axis=(1, 2))
    assert nir > 1.4 * green > 1.4 * red
    red, green, blue, nir = photograph(bare_world(), view(bands=bands)).pixels.mean(axis=(1, 2))
    assert red > green > blue


def test_band_sets_show_one_world():
    things = (middle("at_disc"), middle("crater_small", x_m=3.0, y_m=1.2))
    colour = photograph(bare_world(*things), view(bands=RGB))
    infrared = photograph(bare_world(*things), view(bands=("nir", "green", "blue")))
    assert colour.labels.equals(infrared.labels)
    assert np.corrcoef(colour.pixels[1].ravel(), infrared.pixels[1].ravel())[0, 1] > 0.95


def test_a_buried_mine_shows_in_thermal():
    thing = middle("buried", length_m=0.5, width_m=0.5)
    seen, empty = (photograph(bare_world(*t), view(0.005, 300, ("thermal",))) for t in ((thing,), ()))
    mask = inside(seen)
    contrast = seen.pixels[0][mask].mean() - seen.pixels[0][~mask].mean()
    nothing = empty.pixels[0][mask].mean() - empty.pixels[0][~mask].mean()
    assert abs(contrast - nothing) > 20


def test_two_photographs_of_one_world_show_the_same_places():
    world = bare_world(middle("at_disc"), middle("tyre", x_m=3.0, y_m=3.0), middle("crater_small", x_m=1.0, y_m=3.1))
    straight = photograph(world, view(0.01, 400))
    frame = Frame(320, 320, 0.015, -0.6, 3.0, angle_deg=25.0)
    turned = photograph(world, view(frame=frame))
    a, b = (s.labels.sort_values("class_code", ignore_index=True).geometry for s in (straight, turned))
    assert len(a) == 2
    assert shapely.equals_exact(a.to_numpy(), b.to_numpy(), 1e-6).all()
    rows, cols = np.nonzero(inside(turned))
    t, s = turned.transform, straight.transform
    x, y = t.a * (cols + 0.5) + t.b * (rows + 0.5) + t.c, t.d * (cols + 0.5) + t.e * (rows + 0.5) + t.f
    there = straight.pixels[:, ((y - s.f) / s.e).astype(int), ((x - s.c) / s.a).astype(int)].mean(axis=0)
    here = turned.pixels[:, rows, cols].mean(axis=0)
    assert np.corrcoef(here, there)[0, 1] > 0.8


def test_nodata_edges_are_ragged_black_and_unlabelled():
    settings = SceneSettings(
        width_px=300, height_px=260, nodata_edges=True, objects_per_ha={"mine_at": 1500.0}, site=SITE, rotation_deg=12.0
    )
    scene = draw_scene(settings, 3)
    assert 0.02 < 1 - scene.valid.mean() < 0.5
    assert (scene.pixels[:, ~scene.valid] == 0).all()
    assert (scene.pixels[:, scene.valid] > 0).all()
    ground = scene.reviewed.geometry.iloc[0]
    assert ground.area == pytest.approx(scene.valid.sum() * 0.02**2, rel=0.03)
    assert len(scene.labels) > 3
    assert scene.labels.centroid.within(ground.buffer(0.05)).all()


@pytest.mark.parametrize(("crs", "origin"), [("EPSG:32639", (2e5, 4.4e6)), ("EPSG:4326", (47.2, 39.4))])
def test_georeference_places_labels_on_the_ground(crs, origin):
    settings = SceneSettings(
        width_px=200,
        height_px=200,
        crs=crs,
        origin=origin,
        rotation_deg=20.0,
        objects_per_ha={"mine_at": 2500.0},
        site=SITE,
    )
    scene = draw_scene(settings, 2)
    assert (scene.transform.c, scene.transform.f) == pytest.approx(origin)
    metric = scene.labels.to_crs("EPSG:32638" if crs == "EPSG:4326" else crs)
    assert np.sqrt(metric.area * 4 / np.pi).between(0.27, 0.36).all()
    assert scene.labels.within(scene.reviewed.geometry.iloc[0].buffer(1e-5)).all()
    ground = scene.reviewed.to_crs("EPSG:32638" if crs == "EPSG:4326" else crs).area.iloc[0]
    assert ground == pytest.approx(16.0, rel=0.003)


def test_tables_are_in_their_declared_layers_even_when_empty():
    scene = draw_scene(SceneSettings(width_px=64, height_px=64, objects_per_ha={}), 1)
    assert list(scene.labels.columns) == [*LABELS.names, "geometry"]
    assert len(scene.labels) == 0
    assert list(scene.reviewed.columns) == [*REVIEWED.names, "geometry"]
    assert isinstance(scene.reviewed.geometry.iloc[0], shapely.Polygon)


def test_impossible_wishes_are_refused():
    with pytest.raises(JobError, match="ultraviolet"):
        draw_scene(SceneSettings(width_px=32, height_px=32, bands=("ultraviolet",)), 1)
    with pytest.raises(JobError, match="no CRS"):
        draw_scene(SceneSettings(width_px=32, height_px=32, crs="EPSG:999999"), 1)
    with pytest.raises(ValueError, match="gsd_m"):
        SceneSettings(gsd_m=0.0)
    with pytest.raises(ValueError, match="wdth"):
        SceneSettings(wdth=3)


def test_hazards_can_lie_in_the_open_and_in_any_paint():
    settings = SceneSettings(width_px=500, height_px=500, gsd_m=0.02, objects_per_ha={"mine_at": 900.0}, clutter=0.0)
    growth = SITE.growth.model_copy(update={"density": 0.0})
    site = SITE.model_copy(update={"growth": growth})
    hidden, shown, painted = (
        draw_scene(settings.model_copy(update={"site": site.model_copy(update=changes)}), 3)
        for changes in ({}, {"in_the_open": 1.0}, {"in_the_open": 1.0, "any_paint": 1.0})
    )
    assert hidden.labels["occlusion"].mean() > 0.05 > shown.labels["occlusion"].max()
    assert shown.labels.equals(painted.labels)
    changed = (shown.pixels != painted.pixels).any(axis=0)
    assert changed[inside(shown)].mean() > 0.5 > changed.mean()
