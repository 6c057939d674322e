from __future__ import annotations

from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from drawn import ORIGIN, UTM, districts_from, drawn_objects, piece, square
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pyproj import Geod

from survey.contamination.assessment import Contamination, Context, assess
from survey.errors import LayerError
from survey.layers import DISTRICT_CLASSES, OUTPUT_LAYERS

CLASS_HA = [f"{name}_ha" for name in DISTRICT_CLASSES]
METRE = 1e-4 + 1e-9
"""A square metre in hectares."""


def geodesic_ha(geometry: gpd.GeoSeries) -> np.ndarray:
    """Ellipsoidal areas, edges split so that a straight line stays one."""
    geod = Geod(ellps="WGS84")
    dense = gpd.GeoSeries(shapely.segmentize(geometry.values, 50.0), crs=geometry.crs).to_crs(4326)
    return np.array([abs(geod.geometry_area_perimeter(shape)[0]) / 1e4 for shape in dense])


def assert_sums(layers: dict[str, pd.DataFrame]) -> None:
    districts = layers["districts"]
    assert (districts[CLASS_HA].sum(axis=1) - districts["analysed_ha"]).abs().max() < 1e-8
    parts = districts[["analysed_ha", "not_assessable_ha", "not_analysed_ha"]].sum(axis=1)
    assert (parts - districts["district_ha"]).abs().max() < 1e-8
    assert (districts[[*CLASS_HA, "not_assessable_ha", "not_analysed_ha"]] >= 0).all().all()
    assert np.array_equal(districts["district_ha"], districts["district_ha"].round(4))
    sure = districts[[f"confirmed_{name}" for name in CLASS_HA]].sum(axis=1)
    assert (sure - districts["analysed_ha"]).abs().max() < 1e-8
    land_classes = districts[["indication_ha", "sha_proposed_ha", "cha_proposed_ha"]].sum(axis=1)
    assert (land_classes - districts["hazard_area_ha"]).abs().max() < 1e-8
    counted = layers["district_objects"].groupby("district_code")[["n_confirmed", "n_unverified"]].sum().sum(axis=1)
    listed = districts.set_index("district_code")["n_objects"]
    assert (counted.reindex(listed.index).fillna(0) == listed).all()
    shares = layers["area_districts"].groupby("area_id")["area_m2"].sum()
    areas = layers["hazard_areas"].set_index("area_id")["area_m2"].reindex(shares.index)
    assert (shares <= areas + 1e-6).all()
    by_family = layers["district_coverage"].merge(districts, on="district_code", suffixes=("", "_all"))
    imaged = by_family["analysed_ha_all"] + by_family["not_assessable_ha_all"]
    assert (by_family["analysed_ha"] + by_family["not_assessable_ha"] - imaged).abs().max() < 1e-8


coordinate = st.integers(-300, 1300)
side = st.integers(1, 900)
pieces = st.lists(
    st.builds(
        lambda x, y, w, h, status, gsd, families, turn, crs: (x, y, w, h, status, gsd, families, turn, crs),
        coordinate,
        coordinate,
        side,
        side,
        st.sampled_from(["analysed", "not_assessable", "not_analysed"]),
        st.sampled_from([1.0, 2.0]),
        st.sampled_from(["AT", "AP_blast;AT", "UXO;indicator", "indicator"]),
        st.sampled_from([0.0, 17.0]),
        st.sampled_from([UTM, "EPSG:32637", "EPSG:4326"]),
    ),
    max_size=8,
)
points = st.lists(st.tuples(coordinate, coordinate), max_size=25)
cuts = st.lists(st.integers(1, 999), min_size=0, max_size=4, unique=True)


def drawn_pieces(drawn: list[tuple]) -> list[gpd.GeoDataFrame]:
    scenes = []
    for number, (x, y, w, h, status, gsd, families, turn, crs) in enumerate(drawn):
        shape = shapely.affinity.rotate(square(x, y, w, h), turn)
        scene = piece(shape, status, gsd_cm=gsd, families=families, image=f"scene {number}", detectability=0.8)
        scenes.append(scene.to_crs(crs))
    return scenes


@settings(max_examples=30, deadline=None)
@given(pieces, points, cuts, st.integers(0, 2**32 - 1))
def test_every_square_metre_of_a_district_is_in_one_column(
    drawn: list[tuple], where: list[tuple[int, int]], at: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    edges = [0, *sorted(at), 1000]
    columns = [square(a, 0, b - a, 1000) for a, b in pairwise(edges)]
    # Every second strip also owns an island, so that districts have more than one part.
    strips = [shapely.union(c, square(20 + 70 * i, 1200, 50)) if i % 2 else c for i, c in enumerate(columns)]
    # Neighbours overlap by a sliver of two decimetres.
    strips = [shapely.buffer(s, 0.1, join_style="mitre") for s in strips]
    codes = list(rng.choice(["mine_at", "mine_ap", "shell", "crater", "unknown_object"], len(where)))
    verdicts = list(rng.choice(["unverified", "confirmed", "rejected", "uncertain"], len(where)))
    xy = np.array(where, dtype=float).reshape(-1, 2) + ORIGIN
    objects = drawn_objects(xy, codes, verification=verdicts, probability=rng.uniform(0.1, 1.0, len(where)))
    scenes = drawn_pieces(drawn)
    districts = districts_from(strips)
    layers = assess(objects, scenes, districts, Contamination(), "run")

    assert_sums(layers)
    table = layers["districts"]
    assert (np.abs(table["district_ha"] - geodesic_ha(districts.geometry)) <= 1e-4 * table["district_ha"] + METRE).all()
    seen = [s.to_crs(UTM).geometry.iloc[0] for s, d in zip(scenes, drawn, strict=True) if d[4] != "not_analysed"]
    land = shapely.union_all(districts.to_crs(UTM).geometry.values)
    imaged = shapely.area(shapely.intersection(shapely.union_all(seen), land)) / 1e4
    counted = (table["analysed_ha"] + table["not_assessable_ha"]).sum()
    assert counted == pytest.approx(imaged, rel=2e-3, abs=2e-3)
    assert layers["hazard_objects"]["area_id"].notna().sum() == verdicts.count("unverified") + verdicts.count(
        "confirmed"
    ) + verdicts.count("uncertain")


def test_layers_are_those_declared_in_the_declared_types_even_when_everything_is_empty() -> None:
    others = ("candidates", "reviews", "review_outlines", "runs")
    wanted = [layer for layer in OUTPUT_LAYERS if layer.name not in others]
    nothing = drawn_objects(np.zeros((0, 2)))
    for scenes in ([], [piece(square(0, 0, 10)).iloc[:0]]):
        layers = assess(nothing, scenes, districts_from([square(0, 0, 1000)]).iloc[:0], Contamination(), "run")
        assert list(layers) == [layer.name for layer in wanted]
        for layer in wanted:
            empty = layer.empty(crs="EPSG:4326")
            assert len(layers[layer.name]) == 0
            assert list(layers[layer.name].dtypes.drop("geometry", errors="ignore")) == list(
                empty.dtypes.drop("geometry", errors="ignore")
            )


def test_a_district_that_no_imagery_sees_is_there_as_not_analysed() -> None:
    districts = districts_from([square(0, 0, 1000), square(2000, 0, 500)])
    layers = assess(drawn_objects(np.zeros((0, 2))), [piece(square(0, 0, 500))], districts, Contamination(), "run")
    unseen = layers["districts"].set_index("district_code").loc["D1"]
    assert unseen["not_analysed_ha"] == unseen["district_ha"] > 25.0
    assert pd.isna(unseen["contamination_class"])
    coverage = layers["coverage"]
    blank = coverage[coverage["reason"] == "no imagery"]
    assert (blank["status"] == "not_analysed").all()
    assert blank["area_ha"].sum() == pytest.approx(layers["districts"]["not_analysed_ha"].sum(), abs=3e-4)


def test_overlapping_scenes_are_counted_once_and_the_finer_one_owns_the_ground() -> None:
    coarse = piece(square(0, 0, 600), gsd_cm=3.0, image="coarse", detectability=0.5)
    fine = piece(square(300, 0, 600), gsd_cm=1.0, image="fine", families="AP_blast", detectability=0.9)
    blind = piece(square(0, 0, 900, 600), "not_assessable", image="blind", gsd_cm=0.5)
    districts = districts_from([square(-100, -100, 1200)])
    nothing = drawn_objects(np.zeros((0, 2)))
    layers = assess(nothing, [coarse, fine, fine, blind], districts, Contamination(), "run")
    coverage = layers["coverage"].query("status != 'not_analysed'")
    assert set(coverage["image"]) == {"coarse", "fine"}
    assert coverage["area_ha"].sum() == pytest.approx(54.0, rel=2e-3)
    both = coverage[coverage["families"] == "AP_blast;AT;indicator"]
    assert both["area_ha"].sum() == pytest.approx(18.0, rel=2e-3)
    assert set(both["image"]) == {"fine"}
    by_family = layers["district_coverage"].set_index("family")["analysed_ha"]
    assert by_family["AT"] == pytest.approx(36.0, rel=2e-3)
    assert by_family["AP_blast"] == pytest.approx(36.0, rel=2e-3)
    assert_sums(layers)


def test_ground_outside_the_area_of_interest_is_not_analysed_and_says_so() -> None:
    interest = gpd.GeoDataFrame(geometry=[square(0, 0, 250, 500)], crs=UTM)
    layers = assess(
        drawn_objects(np.zeros((0, 2))),
        [piece(square(0, 0, 500))],
        districts_from([square(0, 0, 1000)]),
        Contamination(),
        "run",
        Context(area_of_interest=interest),
    )
    assert layers["districts"]["analysed_ha"].iloc[0] == pytest.approx(12.5, rel=2e-3)
    outside = layers["coverage"].query("reason == 'outside the area of interest'")
    assert outside["area_ha"].sum() == pytest.approx(87.5, rel=2e-3)
    assert_sums(layers)


def test_an_area_that_straddles_a_boundary_is_one_feature_shared_out_exactly() -> None:
    districts = districts_from([square(0, 0, 1000), square(1000, 0, 1000)])
    xy = np.array([[990.0, 500.0], [1012.0, 500.0], [1030.0, 510.0]]) + ORIGIN
    layers = assess(drawn_objects(xy), [piece(square(0, 0, 2000, 1000))], districts, Contamination(), "run")
    assert len(layers["hazard_areas"]) == 1
    shares = layers["area_districts"]
    assert list(shares["district_code"]) == ["D0", "D1"]
    assert shares["area_m2"].sum() == pytest.approx(layers["hazard_areas"]["area_m2"].iloc[0], abs=1e-9)
    assert list(layers["districts"]["n_objects"]) == [1, 2]
    assert list(layers["districts"]["n_areas"]) == [1, 1]
    assert layers["hazard_areas"]["district_code"].iloc[0] == "D1"


def test_an_object_on_a_boundary_belongs_to_one_district_and_one_outside_to_none() -> None:
    districts = districts_from([square(0, 0, 1000), square(1000, 0, 1000)], crs=UTM)
    xy = np.array([[1000.0, 500.0], [2500.0, 500.0]]) + ORIGIN
    layers = assess(drawn_objects(xy), [piece(square(0, 0, 3000, 1000))], districts, Contamination(), "run")
    assert layers["districts"]["n_objects"].sum() == 1
    assert layers["hazard_objects"]["district_code"].isna().sum() == 1


def test_a_rejected_object_stays_on_record_and_makes_no_area_and_no_density() -> None:
    districts = districts_from([square(0, 0, 1000)])
    xy = np.array([[500.0, 500.0]]) + ORIGIN
    layers = assess(
        drawn_objects(xy, verification="rejected"), [piece(square(0, 0, 1000))], districts, Contamination(), "run"
    )
    assert len(layers["hazard_objects"]) == 1
    assert len(layers["hazard_areas"]) == 0
    assert layers["districts"]["none_detected_ha"].iloc[0] == layers["districts"]["analysed_ha"].iloc[0]
    assert (layers["density_grid"]["expected_objects"] == 0).all()


def test_the_same_tables_in_any_order_give_the_same_layers() -> None:
    rng = np.random.default_rng(5)
    xy = rng.uniform(0, 900, (40, 2)) + ORIGIN
    objects = drawn_objects(xy, error_m=1.0)
    scenes = [piece(square(100 * i, 50 * i, 400), image=f"s{i}", gsd_cm=1.0 + i) for i in range(4)]
    districts = districts_from([square(0, 0, 500), square(500, 0, 500)])
    once = assess(objects, scenes, districts, Contamination(), "run")
    again = assess(objects.sample(frac=1, random_state=1), scenes[::-1], districts, Contamination(), "run")
    for name, layer in once.items():
        left = pd.DataFrame(layer.to_wkb() if isinstance(layer, gpd.GeoDataFrame) else layer)
        right = pd.DataFrame(again[name].to_wkb() if isinstance(layer, gpd.GeoDataFrame) else again[name])
        pd.testing.assert_frame_equal(left, right)


def test_areas_do_not_depend_on_the_output_crs_and_agree_with_the_ellipsoid_and_utm() -> None:
    districts = districts_from([square(0, 0, 12_000), square(12_000, 0, 9_000, 20_000)])
    scenes = [piece(shapely.affinity.rotate(square(3000, 2000, 9000), 20))]
    objects = drawn_objects(np.array([[5000.0, 5000.0]]) + ORIGIN)
    degrees = assess(objects, scenes, districts, Contamination(), "run")
    metres = assess(objects, scenes, districts, Contamination(crs=UTM), "run")
    assert degrees["districts"].crs == "EPSG:4326"
    assert metres["districts"].crs == UTM
    for name in ("districts", "coverage", "hazard_areas"):
        columns = [c for c in degrees[name].columns if c.endswith(("_ha", "_m2"))]
        pd.testing.assert_frame_equal(pd.DataFrame(degrees[name][columns]), pd.DataFrame(metres[name][columns]))
    assert metres["districts"]["district_ha"].to_numpy() == pytest.approx(geodesic_ha(districts.geometry), rel=1e-4)
    assert metres["districts"]["district_ha"].to_numpy() == pytest.approx(districts.area / 1e4, rel=1e-3)
    coverage = metres["coverage"]
    assert coverage["area_ha"].to_numpy() == pytest.approx(geodesic_ha(coverage.geometry), rel=1e-4)


def test_what_was_not_analysed_saw_no_family() -> None:
    blank = piece(square(0, 0, 300), "not_assessable", gsd_cm=1.0).assign(families="AT;AP_blast")
    failed = piece(square(0, 300, 300), "not_analysed", reason="damaged", image="b").assign(families="AT")
    nothing = drawn_objects(np.zeros((0, 2)))
    layers = assess(nothing, [blank, failed], districts_from([square(0, 0, 1000)]), Contamination(), "run")
    assert (layers["district_coverage"]["analysed_ha"] == 0).all()
    assert (layers["coverage"]["families"] == "").all()
    assert layers["district_coverage"]["not_assessable_ha"].iloc[0] == pytest.approx(9.0, rel=2e-3)


def test_ground_where_only_indicators_could_be_seen_is_not_analysed_ground() -> None:
    coarse = piece(square(0, 0, 300), families="indicator", gsd_cm=12.0)
    objects = drawn_objects(np.array([[100.0, 100.0]]) + ORIGIN, "trench")
    layers = assess(objects, [coarse], districts_from([square(0, 0, 1000)]), Contamination(), "run")
    assert layers["districts"]["analysed_ha"].iloc[0] == 0.0
    assert layers["districts"]["not_assessable_ha"].iloc[0] == pytest.approx(9.0, rel=2e-3)
    by_family = layers["district_coverage"].set_index("family")["analysed_ha"]
    assert by_family["indicator"] == pytest.approx(9.0, rel=2e-3)
    assert by_family.drop("indicator").sum() == 0.0
    assert len(layers["hazard_areas"]) == 1


def test_an_unknown_crs_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="'EPSG:99' is no coordinate reference system"):
        Contamination(crs="EPSG:99")


def test_tables_without_crs_are_refused() -> None:
    objects = drawn_objects(np.array([[100.0, 100.0]]) + ORIGIN)
    bare = gpd.GeoDataFrame(pd.DataFrame(objects.drop(columns="geometry")), geometry=list(objects.geometry))
    with pytest.raises(LayerError, match="no CRS"):
        assess(bare, [], districts_from([square(0, 0, 1000)]), Contamination(), "run")
    scene = piece(square(0, 0, 100))
    lost = gpd.GeoDataFrame(pd.DataFrame(scene.drop(columns="geometry")), geometry=list(scene.geometry))
    with pytest.raises(LayerError, match="no CRS"):
        assess(objects, [lost], districts_from([square(0, 0, 1000)]), Contamination(), "run")


def test_scenes_in_three_coordinate_systems_meet_without_gaps_or_doubles() -> None:
    whole = [piece(square(0, 0, 2000, 1000), crs=UTM)]
    halves = [
        piece(square(0, 0, 1000), crs=UTM, image="a").to_crs("EPSG:32637"),
        piece(square(900, 0, 600, 1000), crs=UTM, image="b"),
        piece(square(1400, 0, 600, 1000), crs=UTM, image="c").to_crs(4326),
    ]
    districts = districts_from([square(-100, -100, 2400)])
    nothing = drawn_objects(np.zeros((0, 2)))
    one = assess(nothing, whole, districts, Contamination(), "run")["districts"]
    three = assess(nothing, halves, districts, Contamination(), "run")["districts"]
    assert three["analysed_ha"].iloc[0] == pytest.approx(one["analysed_ha"].iloc[0], abs=0.01)
