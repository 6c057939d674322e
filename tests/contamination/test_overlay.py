from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from survey.contamination.overlay import outline, split, without_crumbs

# Found among drawn scenes and cut down: seven patches of vegetation, and the scene beside them that was projected from
# the same lines. Floating point loses a face of 175 m2 between them.
PATCHES = (
    "010600000007000000010300000001000000040000004DA709817E9774C008C63B612CC48A4090B92DC07B1173C013AE0BFA99A88940F2F030"
    "D17CA174C06229A9A62BAC89404DA709817E9774C008C63B612CC48A40010300000001000000040000006A2DF8A68ACB77C078C0117505AE90"
    "40D8362BE6D27F77C06E6E86EDA9719040F368101ED3CF77C0537B904C057290406A2DF8A68ACB77C078C0117505AE90400103000000010000"
    "0004000000A3DCB079E8D16AC09220CAD63EA691403F5083EB569D6EC0AAEB2AE062589140EC2AB7F9EA916EC0CE63B41363A89140A3DCB079"
    "E8D16AC09220CAD63EA69140010300000001000000040000005D8D5254AFB472C0ED1B1F5550E8914058898293419D74C0797B924274729140"
    "BF326B9DB09474C003971D9274EA91405D8D5254AFB472C0ED1B1F5550E8914001030000000100000004000000D132EADAD28170C03FA269D2"
    "D00D9240E27081025A896EC0AA03573A63E49140063567D8AD8470C0EC797CB8D0E59140D132EADAD28170C03FA269D2D00D92400103000000"
    "01000000040000008901430C95937DC083CE9D08CFE49240DD8C98AF24BC7BC03C361778AA6A9240D91E3008269C7DC0450356B5CE6C924089"
    "01430C95937DC083CE9D08CFE49240010300000001000000040000007812CD81EBA673C0FA13B9C8952D9440B24D838AA39773C07DBD895484"
    "2D944079845BAFE0AE73C040588CDF9E2D94407812CD81EBA673C0FA13B9C8952D9440"
)
SCENE = (
    "01060000000100000001030000000200000004000000398D27283EBE92C031538BD8C62D73403F22186DC99573C0D2517166961D954091C641"
    "F8AB725FC06B9C4D5D748B9040398D27283EBE92C031538BD8C62D734004000000B4FE13B248CB73C066998351BF2D94406F5A0A33479B71C0"
    "2BAF78B03F2B94408C3884AF6DC873C09419D66BBF559440B4FE13B248CB73C066998351BF2D9440"
)


def array(*shapes: shapely.Geometry) -> np.ndarray:
    return np.array(shapes, dtype=object)


def test_a_cut_that_floating_point_gets_wrong_adds_up() -> None:
    patches, scene = shapely.from_wkb(PATCHES), shapely.from_wkb(SCENE)
    careless = shapely.area(shapely.intersection(patches, scene)) + shapely.area(shapely.difference(patches, scene))
    assert abs(careless - patches.area) > 100.0  # else this test tests nothing
    inside, outside = split(array(patches), array(scene))
    assert shapely.area(inside[0]) + shapely.area(outside[0]) == pytest.approx(patches.area, abs=1e-3)
    assert shapely.is_valid(inside[0])
    assert shapely.is_valid(outside[0])
    assert shapely.area(shapely.intersection(inside[0], outside[0])) < 1e-3


def speckled(rng: np.random.Generator, at: float) -> shapely.Geometry:
    """A square with a great many holes, islands in some of them, and islands beside it."""
    corner = rng.uniform(0, 95, (60, 2))
    holes = shapely.union_all(shapely.box(*corner.T, *(corner + rng.uniform(0.5, 6, (60, 2))).T))
    islands = shapely.buffer(shapely.get_parts(holes), -0.6, join_style="mitre")
    beside = shapely.box(np.arange(5) * 20.0, 110.0, np.arange(5) * 20.0 + 5, 115.0)
    whole = shapely.union_all([shapely.difference(shapely.box(0, 0, 100, 100), holes), *islands, *beside])
    return shapely.affinity.translate(whole, at, 0.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-130, 130), st.floats(0, 90))
def test_both_parts_are_what_they_would_be_if_nothing_were_set_aside(seed: int, shift: float, turn: float) -> None:
    rng = np.random.default_rng(seed)
    shape = speckled(rng, 0.0)
    knife = shapely.affinity.rotate(speckled(rng, shift), turn)
    empty = shapely.MultiPolygon()
    inside, outside = split(array(shape, shape, empty), array(knife, shape, knife))
    assert shapely.is_valid(inside).all()
    assert shapely.is_valid(outside).all()
    assert shapely.area(inside[0]) == pytest.approx(shapely.area(shapely.intersection(shape, knife)), abs=2e-3)
    assert shapely.area(outside[0]) == pytest.approx(shapely.area(shapely.difference(shape, knife)), abs=2e-3)
    assert shapely.area(shapely.symmetric_difference(outside[0], shapely.difference(shape, knife))) < 2e-3
    assert shapely.area(inside[1]) == pytest.approx(shape.area)
    assert shapely.area(outside[1]) < 1e-3
    assert shapely.is_empty(inside[2])
    assert shapely.is_empty(outside[2])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_outline_of_a_scene_is_the_union_of_its_pieces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = shapely.box(-5, -5, 105, 120)
    first = speckled(rng, 0.0)
    second = shapely.difference(frame, first)
    full = outline(array(first, second))
    assert shapely.area(full) == pytest.approx(frame.area)
    gappy = outline(array(first))  # holes that nothing fills stay holes
    assert shapely.area(shapely.symmetric_difference(gappy, first)) < 1e-6
    assert shapely.is_empty(outline(array(shapely.MultiPolygon())))


def test_crumbs_go_and_everything_else_stays() -> None:
    crumb = shapely.box(50, 50, 50.01, 50.01)
    holes = shapely.union(shapely.box(1, 1, 1.05, 1.05), shapely.box(3, 3, 4, 4))
    holed = shapely.difference(shapely.box(0, 0, 10, 10), holes)
    shapes = array(shapely.MultiPolygon([holed, crumb]), shapely.MultiPolygon([crumb]), shapely.MultiPolygon([holed]))
    cleaned = without_crumbs(shapes)
    assert shapely.area(cleaned).tolist() == pytest.approx([99.0, 0.0, 99.0])
    assert shapely.is_valid(cleaned).all()
