from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from drawn import EAST, NORTH, ORIGIN, UTM, districts_from, drawn_objects, piece, square
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from survey.contamination.areas import Areas
from survey.contamination.assessment import Contamination, assess
from survey.contamination.fadeout import read_fadeout
from survey.contamination.polygon_checks import PASSED, check_polygons
from survey.errors import JobError

GROUND = square(-2000, -2000, 4000)
CODES = ["mine_at", "mine_ap", "mine_ap_fragmentation", "submunition", "shell", "crater", "trench", "unknown_object"]


def layers_of(
    xy: np.ndarray | list, code: str | list[str] = "mine_at", areas: Areas | None = None, **drawn: object
) -> dict[str, pd.DataFrame]:
    objects = drawn_objects(np.asarray(xy, dtype=float).reshape(-1, 2) + ORIGIN, code, **drawn)  # type: ignore[arg-type]
    settings = Contamination(crs=UTM, areas=areas or Areas())
    return assess(objects, [piece(GROUND)], districts_from([GROUND]), settings, "run")


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-400, 400), st.integers(-400, 400), st.sampled_from(CODES)), min_size=1, max_size=40
    ),
    st.sampled_from([0.0, 1.0, 7.0]),
)
def test_areas_hold_their_objects_do_not_overlap_and_pass_every_check(
    drawn: list[tuple[int, int, str]], error_m: float
) -> None:
    xy = np.array([[x, y] for x, y, _ in drawn], dtype=float)
    layers = layers_of(xy, [code for _, _, code in drawn], error_m=error_m)
    areas, objects = layers["hazard_areas"], layers["hazard_objects"]
    assert (areas["polygon_check"] == PASSED).all()
    assert areas.is_valid.all()
    shapes = areas.geometry.to_numpy()
    left, right = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    assert (left == right).all()
    home = areas.set_index("area_id").geometry.loc[objects["area_id"]]
    assert shapely.contains(home.to_numpy(), objects.geometry.to_numpy()).all()
    # No area ends nearer to an object than its fade-out.
    fade = read_fadeout().metres["scatter"].min()
    edge = shapely.distance(shapely.boundary(home.to_numpy()), objects.geometry.to_numpy())
    assert edge.min() >= min(fade, Areas().min_radius_m) - 0.1
    assert areas["n_objects"].sum() == len(objects)
    assert areas["area_m2"].to_numpy() == pytest.approx(areas.area.to_numpy() / 0.9996**2, rel=1e-4)


def test_the_fadeout_follows_family_and_pattern_with_the_position_error_in_quadrature() -> None:
    for code, family in (("mine_at", "AT"), ("submunition", "CM"), ("crater", "indicator")):
        single = read_fadeout().metres.loc[family, "single"]
        for error in (0.0, 12.0):
            area = layers_of([(0.0, 0.0)], code, error_m=error)["hazard_areas"].iloc[0]
            assert area["fadeout_m"] == pytest.approx(np.hypot(single, error), abs=2.1)
            radius = np.sqrt(area["area_m2"] / np.pi)
            assert area["fadeout_m"] <= radius <= 1.03 * (area["fadeout_m"] + 1.0)  # an octagon round the circle
            assert area["fadeout_rule"].startswith(f"{family}/single")


def test_a_table_of_the_authority_replaces_families_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "fadeout.toml"
    path.write_text(
        'source = "national standard 7"\n[family.AT]\nrow = 5.0\nrow_end = 5.0\nscatter = 60.0\nsingle = 60.0\n'
    )
    area = layers_of([(0.0, 0.0)], "mine_at", Areas(fadeout=path))["hazard_areas"].iloc[0]
    assert area["fadeout_m"] == pytest.approx(60.0, abs=0.6)
    assert area["fadeout_rule"] == "AT/single (national standard 7)"
    assert read_fadeout(path).metres.loc["CM", "single"] == 50.0
    for text, says in (
        ("[family.ATM]\nrow=1\nrow_end=1\nscatter=1\nsingle=1\n", "no family 'ATM'"),
        ("[family.AT]\nrow=1\n", "must give row, row_end, scatter, single"),
        ("[family.AT]\nrow=-1\nrow_end=1\nscatter=1\nsingle=1\n", "not a distance"),
        ("familiy = 1\n", "unknown key 'familiy'"),
        ("[family", "cannot be read"),
    ):
        path.write_text(text)
        with pytest.raises(JobError, match=says):
            read_fadeout(path)


def test_objects_are_one_area_up_to_the_linking_distance_and_two_beyond() -> None:
    def count(gap: float, code: str) -> int:
        return len(layers_of([(0.0, 0.0), (gap, 0.0)], code)["hazard_areas"])

    assert count(49.9, "shell") == 1
    assert count(50.1, "shell") == 2
    assert count(74.9, "mine_at") == 1
    assert count(75.1, "mine_at") == 2


def test_areas_that_would_overlap_become_one() -> None:
    layers = layers_of([(0.0, 0.0), (90.0, 0.0)], "submunition")  # 50 m of fade-out each, 90 m apart
    assert len(layers["hazard_areas"]) == 1
    assert layers["hazard_areas"]["n_objects"].iloc[0] == 2


def test_a_long_object_counts_with_its_outline() -> None:
    objects = drawn_objects(ORIGIN[None, :], "trench", verification="confirmed")
    trench = shapely.LineString([(EAST, NORTH), (EAST + 80, NORTH + 40), (EAST + 160, NORTH)]).buffer(0.5)
    objects = objects.set_geometry(gpd.GeoSeries([trench], crs=UTM)).assign(length_m=180.0)
    mine = drawn_objects(np.array([[EAST + 175.0, NORTH]]), "mine_at")
    both = pd.concat([objects, mine], ignore_index=True)
    layers = assess(both, [piece(GROUND)], districts_from([GROUND]), Contamination(crs=UTM), "run")
    areas = layers["hazard_areas"]
    assert len(areas) == 1
    assert shapely.contains(areas.geometry.iloc[0], trench.buffer(9.5))
    assert areas["pattern"].iloc[0] == "cluster"
    assert areas["families"].iloc[0] == "AT;indicator"
    assert areas["by_family"].iloc[0] == "AT 1; indicator 1"


def test_a_large_void_stays_a_hole_and_a_small_one_is_filled() -> None:
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)])
    wide = layers_of(ring * 200, "mine_at")["hazard_areas"].geometry.iloc[0]
    assert sum(len(part.interiors) for part in wide.geoms) == 1
    small = layers_of(ring * 40, "mine_at")["hazard_areas"].geometry.iloc[0]
    assert sum(len(part.interiors) for part in small.geoms) == 0


def test_rejected_objects_and_clutter_make_no_area() -> None:
    layers = layers_of([(0, 0), (300, 0)], ["mine_at", "clutter"], verification=["rejected", "confirmed"])
    assert len(layers["hazard_areas"]) == 0
    assert layers["hazard_objects"]["area_id"].isna().all()
    assert len(layers["turning_points"]) == 0


def test_an_area_keeps_its_identity_when_others_change() -> None:
    one = layers_of([(0, 0), (10, 0)])["hazard_areas"]["area_id"].iloc[0]
    ids = layers_of([(0, 0), (10, 0), (900, 0)])["hazard_areas"]["area_id"]
    assert one in set(ids)


def test_turning_points_walk_the_outline_clockwise_with_true_bearings() -> None:
    rng = np.random.default_rng(2)
    layers = layers_of(rng.uniform(-150, 150, (25, 2)), "mine_ap")
    points = layers["turning_points"]
    geod = Geod(ellps="WGS84")
    for _, ring in points.groupby(["area_id", "part", "ring"]):
        assert ring["number"].tolist() == list(range(1, len(ring) + 1))
        assert ring["point_type"].iloc[0] == "start"
        assert (ring["lat"] <= ring["lat"].iloc[0] + 1e-9).all()
        lon, lat = ring["lon"].to_numpy(), ring["lat"].to_numpy()
        bearing, _, metres = geod.inv(lon, lat, np.roll(lon, -1), np.roll(lat, -1))
        assert ring["distance_m"].to_numpy() == pytest.approx(metres, abs=0.02)
        off = (ring["bearing_deg"].to_numpy() - bearing + 180) % 360 - 180
        assert np.abs(off[metres > 5]).max() < 0.05
        assert (ring["distance_m"] <= 50.0 + 1e-6).all()
        area = layers["hazard_areas"].set_index("area_id").loc[ring["area_id"].iloc[0]]
        if np.isfinite(area["benchmark_lon"]):
            there, _, far = geod.inv(area["benchmark_lon"], area["benchmark_lat"], lon[0], lat[0])
            assert ring["benchmark_distance_m"].iloc[0] == pytest.approx(far, abs=0.05)
            assert abs((ring["benchmark_bearing_deg"].iloc[0] - there + 180) % 360 - 180) < 0.1
    outer = points[(points["ring"] == 0) & (points["part"] == 1)]
    corners = gpd.GeoSeries(gpd.points_from_xy(outer["lon"], outer["lat"]), crs=4326).to_crs(UTM)
    assert not shapely.is_ccw(shapely.linearrings([(p.x, p.y) for p in corners]))


def test_long_legs_get_intermediate_points() -> None:
    layers = layers_of(np.column_stack([np.arange(60) * 5.0, np.zeros(60)]), "mine_at")
    points = layers["turning_points"]
    assert (points["point_type"] == "intermediate").sum() >= 10
    assert points["distance_m"].max() <= 50.0


def test_benchmarks_lie_outside_every_area() -> None:
    rng = np.random.default_rng(3)
    areas = layers_of(rng.uniform(-500, 500, (60, 2)), "mine_ap")["hazard_areas"]
    known = areas[areas["benchmark_lon"].notna()]
    spots = gpd.GeoSeries(gpd.points_from_xy(known["benchmark_lon"], known["benchmark_lat"]), crs=4326).to_crs(UTM)
    assert len(known) > 0
    assert not shapely.intersects(shapely.union_all(areas.geometry.values), spots.to_numpy()).any()


def test_the_checks_that_programmes_run_find_what_they_look_for() -> None:
    box = shapely.box(46.0, 39.0, 46.01, 39.01)
    twice = shapely.Polygon([(46.1, 39.0), (46.11, 39.0), (46.11, 39.0), (46.11, 39.01), (46.1, 39.0)])
    bow_tie = shapely.Polygon([(46.2, 39.0), (46.21, 39.01), (46.21, 39.0), (46.2, 39.01)])
    huge = shapely.box(47.0, 39.0, 47.2, 39.01)
    parts = shapely.MultiPolygon([shapely.box(46.3, 39.0, 46.31, 39.01), shapely.box(46.305, 39.0, 46.315, 39.01)])
    shapes = [box, shapely.box(46.02, 39.0, 46.03, 39.01), twice, bow_tie, huge, parts, shapely.Polygon(), box]
    table = gpd.GeoDataFrame({"area_id": ["a", "b", "c", "d", "e", "f", "g", " b "]}, geometry=shapes, crs=4326)
    found = check_polygons(table)
    assert found.tolist() == [
        "polygon stands there twice",
        "identity stands there twice",
        "corner twice in a row",
        "geometry not valid",
        "corners more than 5 km apart",
        "geometry not valid; parts overlap",
        "no geometry",
        "polygon stands there twice; identity stands there twice",
    ]
    assert check_polygons(table.iloc[[1]]).tolist() == [PASSED]
