from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from survey.detection import ownership
from survey.detection.ownership import Owned, across_scenes, without_duplicates
from survey.layers import SIGHTINGS, conform

CRS = "EPSG:32638"


def sightings(*rows, image="a.tif"):
    """Rows of ``(x, y, diameter, probability)`` and, if wanted, class, family and outline."""
    made = []
    for number, row in enumerate(rows):
        x, y, diameter, probability, code, family, outline = row if len(row) == 7 else (*row, "mine_at", "AT", None)
        outline = outline or shapely.Point(x, y).buffer(diameter / 2)
        box = shapely.minimum_rotated_rectangle(outline)
        sides = np.hypot(*np.diff(shapely.get_coordinates(box)[:3], axis=0).T)
        made.append(
            {
                "image": image, "row": number, "col": int(x * 10), "class_code": code, "family": family,
                "probability": probability, "length_m": sides.max(), "width_m": sides.min(), "area_m2": outline.area,
                "geometry": outline,
            }
        )  # fmt: skip
    if not made:
        return gpd.GeoDataFrame(SIGHTINGS.empty(CRS))
    return conform(gpd.GeoDataFrame(made, geometry="geometry", crs=CRS), SIGHTINGS, crs=CRS)


def test_one_object_seen_at_several_sizes_is_one():
    seen = sightings(
        (10, 10, 0.30, 0.8), (10.05, 10, 0.45, 0.9), (9.98, 10.04, 0.22, 0.4), (10.9, 10, 0.3, 0.5), (30, 30, 0.3, 0.3)
    )
    kept = without_duplicates(seen)
    assert sorted(kept["probability"]) == [0.3, 0.5, 0.9]
    again = without_duplicates(seen.iloc[::-1].reset_index(drop=True))
    assert again.equals(kept)
    assert without_duplicates(kept).equals(kept)


def test_a_mine_in_a_crater_and_the_crater_are_two():
    seen = sightings((10, 10, 3.0, 0.9, "crater", "indicator", None), (10.2, 10, 0.3, 0.6))
    assert len(without_duplicates(seen)) == 2


@pytest.mark.parametrize("seed", range(4))
def test_what_is_kept_lies_apart_and_what_is_dropped_lies_by_something_better(seed):
    rng = np.random.default_rng(seed)
    table = sightings(*np.column_stack([rng.uniform(0, 6, (120, 2)), rng.uniform(0.1, 2, 120), rng.random(120)]))
    kept = without_duplicates(table)
    size = np.sqrt(table["area_m2"] * 4 / np.pi).to_numpy()
    at = shapely.get_coordinates(table.geometry.centroid.values)
    clash = np.hypot(*(at[:, None] - at).transpose(2, 0, 1)) < 0.6 * np.maximum(size[:, None], size)
    np.fill_diagonal(clash, False)
    stands = table["row"].isin(kept["row"]).to_numpy()
    assert not clash[np.ix_(stands, stands)].any()
    probability = table["probability"].to_numpy()
    for i in np.flatnonzero(~stands):
        assert (clash[i] & stands & (probability >= probability[i])).any()


def test_pieces_of_a_trench_are_joined_and_others_stay():
    def piece(x0, x1, probability, code="trench"):
        return ((x0 + x1) / 2, 5, 0, probability, code, "indicator", shapely.box(x0, 4.5, x1, 5.5))

    seen = sightings(piece(0, 10, 0.5), piece(11, 20, 0.9), piece(21, 30, 0.4), piece(60, 70, 0.3), (45, 5, 0.3, 0.7))
    joined = without_duplicates(seen)
    assert len(joined) == 3
    long = joined.loc[joined["length_m"].idxmax()]
    assert long["probability"] == 0.9
    assert long["length_m"] == pytest.approx(30, abs=0.5)
    assert long["area_m2"] == pytest.approx(long["geometry"].area)


BETTER = Owned("a.tif", shapely.box(0, 0, 100, 100), 2.0, 0.0, 1.0)
WORSE = Owned("b.tif", shapely.box(60, 0, 160, 100), 3.0, 0.0, 1.0)


def joined(a, b, scenes=(WORSE, BETTER)):
    tables = {"a.tif": sightings(*a), "b.tif": sightings(*b, image="b.tif")}
    return across_scenes(tables, list(scenes))


def test_two_scenes_with_an_offset_give_one_object_and_lose_none_past_the_seam():
    result = joined(
        [(99.0, 50, 0.3, 0.6), (20, 20, 0.3, 0.5)],
        [
            (99.9, 50.4, 0.3, 0.9),  # the first one, shifted by less than the position error
            (98.5, 20, 0.3, 0.7),  # past the seam, unmatched: the better scene missed it
            (80, 50, 0.3, 0.8),  # deep in ground the better scene owns
            (130, 50, 0.3, 0.4),  # on its own ground
        ],
    )
    assert sorted(zip(result["image"], result["probability"], strict=True)) == [
        ("a.tif", 0.5), ("a.tif", 0.6), ("b.tif", 0.4), ("b.tif", 0.7)
    ]  # fmt: skip


def test_two_objects_side_by_side_at_the_seam_match_one_to_one():
    result = joined([(99, 50, 0.3, 0.6)], [(99.3, 50, 0.3, 0.9), (98.0, 50, 0.3, 0.8)])
    assert sorted(result["probability"]) == [0.6, 0.8]


@pytest.mark.parametrize(
    ("change", "owner"), [({}, "a.tif"), ({"gsd_cm": 1.0}, "b.tif"), ({"gsd_cm": 2.0, "newest": 9.0}, "b.tif")]
)
def test_ground_belongs_to_the_finer_then_the_newer_scene(change, owner):
    other = Owned(**{**vars(WORSE), **change})
    result = joined([(80, 50, 0.3, 0.6)], [(80.2, 50, 0.3, 0.9)], scenes=(BETTER, other))
    assert result["image"].tolist() == [owner]


def test_ground_the_better_scene_could_not_assess_belongs_to_the_other():
    hole = Owned(**{**vars(BETTER), "ground": BETTER.ground.difference(shapely.box(70, 40, 90, 60))})
    result = joined([], [(80, 50, 0.3, 0.9)], scenes=(hole, WORSE))
    assert result["image"].tolist() == ["b.tif"]
    assert len(joined([], [(80, 50, 0.3, 0.9)])) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_pieces_are_joined_as_they_would_be_one_group_at_a_time(seed):
    rng = np.random.default_rng(seed)
    groups = []
    for count in rng.integers(2, 5, 4):
        spots = shapely.points(rng.uniform(0, 6, (count, 2)))
        groups.append(shapely.envelope(shapely.buffer(spots, rng.uniform(0.5, 3, count))))
    together = ownership._joined(groups)
    for several, joined_one in zip(groups, together, strict=True):
        alone = shapely.union_all(shapely.buffer(several, 1.0)).buffer(-1.0)
        assert joined_one.equals_exact(alone, 0)
