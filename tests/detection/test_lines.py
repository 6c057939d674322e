"""Posts in a line are found among others, and only what is in line."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from survey.detection.lines import FENCE, POST, fences_of, lines_of
from survey.layers import SIGHTINGS, conform

CRS = "EPSG:32638"
CERTAIN = (1.0, 0.0)


def fence(start, heading_deg, apart_m, count, seed=0, jitter_m=0.05):
    """Posts on a straight line, each a little off its place."""
    along = (
        np.arange(count)[:, None]
        * apart_m
        * np.array([np.cos(np.radians(heading_deg)), np.sin(np.radians(heading_deg))])
    )
    return np.asarray(start) + along + np.random.default_rng(seed).normal(0, jitter_m, (count, 2))


def strewn(count, side_m, seed=1):
    return np.random.default_rng(seed).uniform(0, side_m, (count, 2))


@pytest.mark.parametrize(("apart_m", "heading_deg"), [(2.0, 10), (3.7, 75), (6.0, 140), (9.0, 200)])
def test_posts_in_line_are_found_among_others(apart_m, heading_deg):
    posts = fence((60, 60), heading_deg, apart_m, 7)
    points = np.concatenate([strewn(60, 120), posts])
    best = lines_of(points, np.full(len(points), 0.4))[0]
    assert set(range(60, 67)) <= set(best.posts)
    assert len(best.posts) <= 8


def test_a_missing_post_does_not_end_a_line():
    posts = np.delete(fence((10, 10), 30, 4.0, 9), [3, 6], axis=0)
    (line,) = lines_of(posts, np.full(len(posts), 0.5))
    assert sorted(line.posts) == list(range(7))


def test_three_posts_are_no_line_and_neither_is_a_bent_one():
    assert lines_of(fence((0, 0), 0, 4.0, 3), np.full(3, 0.9)) == []
    turn = np.array([(0, 0), (4, 0), (8, 0), (8, 4), (8, 8)], dtype=float)
    assert lines_of(turn, np.full(5, 0.9)) == []


def test_what_is_strewn_makes_no_line_as_good_as_a_fence():
    worth = lines_of(fence((0, 0), 20, 4.0, 7), np.full(7, 0.4))[0].score
    strewn_about = [lines_of(strewn(150, 120, seed), np.full(150, 0.4)) for seed in range(5)]
    assert max(line.score for lines in strewn_about for line in lines) < worth


def test_surer_posts_make_a_surer_line():
    posts = fence((0, 0), 20, 4.0, 6)
    (sure,), (unsure,) = lines_of(posts, np.full(6, 0.8)), lines_of(posts, np.full(6, 0.3))
    assert sure.score > unsure.score


def test_the_order_of_the_posts_does_not_matter():
    points = np.concatenate([strewn(80, 100), fence((20, 30), 40, 3.0, 12), fence((80, 10), 100, 5.0, 8)])
    probability = np.random.default_rng(3).uniform(0.1, 0.9, len(points))
    order = np.random.default_rng(4).permutation(len(points))
    plain = [frozenset(line.posts.tolist()) for line in lines_of(points, probability)]
    mixed = [frozenset(order[line.posts].tolist()) for line in lines_of(points[order], probability[order])]
    assert plain == mixed


def test_lines_that_cross_are_two():
    points = np.concatenate([fence((-16, 0), 0, 4.0, 9), fence((2, -17), 90, 4.0, 9)])
    assert sorted(len(line.posts) for line in lines_of(points, np.full(18, 0.6))) == [9, 9]


def sightings(points, probability):
    table = gpd.GeoDataFrame(
        {
            "image": "a.tif", "row": np.arange(len(points)), "col": 7, "class_code": POST, "family": "indicator",
            "probability": probability, "length_m": 0.24, "width_m": 0.24, "area_m2": 0.05,
        },
        geometry=shapely.buffer(shapely.points(points), 0.12), crs=CRS,
    )  # fmt: skip
    return conform(table, SIGHTINGS, crs=CRS)


def test_a_fence_is_a_strip_along_its_posts():
    posts = fence((0, 0), 30, 4.0, 6)
    probability = np.array([0.4, 0.5, 0.9, 0.5, 0.4, 0.6])
    found = fences_of(sightings(np.concatenate([posts, [(50, 50)]]), np.append(probability, 0.99)), CERTAIN)
    assert found["class_code"].tolist() == [FENCE]
    assert found["length_m"].iloc[0] == pytest.approx(20.0, abs=0.3)
    assert found["area_m2"].iloc[0] == pytest.approx(found.geometry.iloc[0].area)
    assert found["row"].iloc[0] == 2
    assert shapely.contains(found.geometry.iloc[0].buffer(0.01), shapely.points(posts)).all()


def test_what_stands_in_no_line_is_left_out():
    alone = sightings(strewn(12, 200), np.full(12, 0.95))
    assert len(fences_of(alone, CERTAIN)) == 0
    assert list(fences_of(alone, CERTAIN).columns) == list(alone.columns)


def test_a_fence_all_around_a_field_has_each_post_once():
    turn = np.linspace(0, 2 * np.pi, 110, endpoint=False)
    ring = np.column_stack([np.cos(turn), np.sin(turn)]) * 29
    best = lines_of(ring, np.full(110, 0.6))[0]
    assert len(best.posts) == len(set(best.posts.tolist())) == 110


def test_pairs_are_walked_from_in_parts_to_the_same_lines(monkeypatch):
    points = np.concatenate([strewn(80, 100), fence((20, 30), 40, 3.0, 12), fence((80, 10), 100, 5.0, 8)])
    whole = lines_of(points, np.full(100, 0.4))
    monkeypatch.setattr("survey.detection.lines._AT_ONCE", 17)
    parts = lines_of(points, np.full(100, 0.4))
    assert [line.posts.tolist() for line in whole] == [line.posts.tolist() for line in parts]
    assert [line.score for line in whole] == [line.score for line in parts]
