from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from survey.errors import LayerError
from survey.memory.baseline import blobs
from survey.memory.comparison import Evaluating
from survey.memory.evaluation import evaluate
from survey.memory.matching import Matching, marks, match, targets
from survey.memory.scores import blind_floor, scores, tally

UTM = "EPSG:32638"
X0, Y0 = 690_000.0, 4_370_000.0


def square(x: float, y: float, side: float = 0.32) -> shapely.Polygon:
    return shapely.box(X0 + x - side / 2, Y0 + y - side / 2, X0 + x + side / 2, Y0 + y + side / 2)


def found(*rows: tuple[float, float, float], code: str = "mine_at", gsd_cm: float = 2.0) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {
            "class_code": [code] * len(rows),
            "probability": [p for _, _, p in rows],
            "gsd_cm": [gsd_cm] * len(rows),
        },
        geometry=[square(x, y) for x, y, _ in rows],
        crs=UTM,
    )


def known(*rows: tuple[float, float], code: str = "mine_at", side: float = 0.32) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"class_code": [code] * len(rows)}, geometry=[square(x, y, side) for x, y in rows], crs=UTM)


def reviewed(*boxes: tuple[float, float, float, float], sites: list[str] | None = None) -> gpd.GeoDataFrame:
    outlines = [shapely.box(X0 + w, Y0 + s, X0 + e, Y0 + n) for w, s, e, n in boxes]
    return gpd.GeoDataFrame({"site": sites or [None] * len(boxes)}, geometry=outlines, crs=UTM)


HECTARE = reviewed((0, 0, 100, 100))


def test_the_figures_of_a_case_worked_by_hand():
    # Ranked: hit, false alarm, duplicate (false alarm), hit; one of three objects is never found.
    detections = found((10, 10, 0.9), (50, 50, 0.8), (10.05, 10, 0.7), (20, 20, 0.6))
    report = evaluate(detections, known((10, 10), (20, 20), (30, 30)), HECTARE)
    assert report["headline_of"] == "items"
    assert report["ap"] == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 4)
    assert report["recall_max"] == pytest.approx(2 / 3)
    assert report["n_truth"] == 3
    assert report["hectares"] == pytest.approx(1.0, rel=1e-3)
    assert report["recall_at_fa_per_ha"]["0.5"] == pytest.approx(1 / 3)
    assert report["recall_at_fa_per_ha"]["10"] == pytest.approx(2 / 3)
    assert report["fa_per_ha_at_recall"]["0.5"] == pytest.approx(2.0, rel=1e-3)
    assert report["fa_per_ha_at_recall"]["0.8"] is None
    assert report["operating"]["n_false_alarms"] == 2
    assert report["nothing_ap"] == 0.0


def test_every_key_of_the_contract_is_there_and_is_json():
    report = evaluate(found((10, 10, 0.9)), known((10, 10)), HECTARE)
    headlines = {"ap", "recall_max", "recall_at_fa_per_ha", "fa_per_ha_at_recall", "ece", "brier_skill"}
    wanted = headlines | {f"{key}_interval" for key in headlines}
    wanted |= {"n_truth", "hectares", "n_sites", "by_class", "blind_ap", "items", "indicators", "overall"}
    assert wanted <= set(report)
    assert set(report["recall_at_fa_per_ha"]) == {"0.1", "0.5", "1", "2", "10"}
    assert set(report["fa_per_ha_at_recall"]) == {"0.5", "0.8", "0.9"}
    json.dumps(report, allow_nan=False)


@pytest.mark.parametrize(
    ("side", "gsd_cm", "reach"),
    [(0.1, 1.0, 0.15), (1.0, 1.0, 0.5), (0.1, 20.0, 0.4)],
)
def test_the_distance_that_counts_as_a_hit(side, gsd_cm, reach):
    truth = known((10, 10), side=side)
    inside = evaluate(found((10 + reach * 0.99, 10, 0.9), gsd_cm=gsd_cm), truth, HECTARE)
    outside = evaluate(found((10 + reach * 1.01, 10, 0.9), gsd_cm=gsd_cm), truth, HECTARE)
    assert (inside["recall_max"], outside["recall_max"]) == (1.0, 0.0)


def test_a_square_laid_askew_has_the_longer_side_of_the_square():
    matching = Matching()
    askew = shapely.affinity.rotate(shapely.box(0, 0, 2, 1), 30)
    assert targets(np.array([askew]), np.zeros(1), matching).length_m == pytest.approx([2.0])


def test_points_take_the_plan_size_of_their_class():
    truth = known((10, 10), code="rocket")
    truth["geometry"] = truth.geometry.centroid
    assert evaluate(found((10.9, 10, 0.9), code="rocket"), truth, HECTARE)["recall_max"] == 1.0
    assert evaluate(found((11.0, 10, 0.9), code="rocket"), truth, HECTARE)["recall_max"] == 0.0


def test_only_reviewed_ground_counts():
    detections = found((10, 10, 0.9), (150, 150, 0.95))
    report = evaluate(detections, known((10, 10), (160, 160)), HECTARE)
    assert (report["ap"], report["n_truth"], report["n_detections"]) == (1.0, 1, 1)


def test_tables_may_be_in_different_crs():
    detections = found((10, 10, 0.9), (20, 20, 0.8), (40, 40, 0.3))
    truth, ground = known((10, 10), (20, 20), (30, 30)), HECTARE
    here = evaluate(detections, truth, ground)
    there = evaluate(detections.to_crs("EPSG:4326"), truth.to_crs("EPSG:3857"), ground.to_crs("EPSG:32639"))
    assert there["ap"] == pytest.approx(here["ap"])
    assert there["hectares"] == pytest.approx(here["hectares"], rel=1e-3)


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(3)
    rows = [(*rng.uniform(0, 4, 2), rng.choice([0.3, 0.6, 0.9])) for _ in range(80)]
    detections, truth = found(*rows), known(*((x, y) for x, y in rng.uniform(0, 4, (40, 2))))
    once = evaluate(detections, truth, HECTARE)
    again = evaluate(detections.sample(frac=1, random_state=1), truth.sample(frac=1, random_state=2), HECTARE)
    for key in ("ap", "recall_max", "fa_per_ha_at_recall", "recall_at_fa_per_ha", "ece", "brier_skill"):
        assert once[key] == pytest.approx(again[key]), key


def test_items_and_indicators_are_kept_apart():
    detections = pd.concat([found((10, 10, 0.9)), found((50, 50, 0.9), code="crater")], ignore_index=True)
    truth = pd.concat([known((10, 10), (20, 20)), known((50, 50), code="crater", side=3.0)], ignore_index=True)
    report = evaluate(detections, truth, HECTARE)
    assert (report["ap"], report["items"]["ap"], report["indicators"]["ap"]) == (0.5, 0.5, 1.0)
    assert report["overall"]["n_truth"] == 3
    craters = evaluate(detections, known((50, 50), code="crater", side=3.0), HECTARE)
    assert (craters["headline_of"], craters["ap"]) == ("indicators", 1.0)


def test_classes_count_apart_and_anyhow():
    report = evaluate(found((10, 10, 0.9), code="shell"), known((10, 10)), HECTARE)
    assert report["ap"] == 1.0
    assert report["by_class"]["mine_at"]["ap"] == 0.0
    assert report["by_class"]["mine_at"]["found_as_any"] == 1.0
    assert report["by_class"]["shell"] | {"ap": None, "n_truth": 0, "n_detections": 1} == report["by_class"]["shell"]


def test_a_detection_on_clutter_is_a_false_alarm():
    truth = pd.concat([known((10, 10)), known((20, 20), code="clutter")], ignore_index=True)
    report = evaluate(found((20, 20, 0.9), (10, 10, 0.8)), truth, HECTARE)
    assert (report["n_truth"], report["ap"]) == (1, 0.5)


def test_rejected_faint_and_deselected_detections_are_left_out():
    detections = found((10, 10, 0.9), (20, 20, 0.04), (30, 30, 0.9))
    detections["verification"] = ["rejected", "unverified", None]
    assert evaluate(detections, known((10, 10)), HECTARE)["n_detections"] == 1
    only = Evaluating(classes=("shell",))
    assert evaluate(detections, known((10, 10)), HECTARE, settings=only)["n_truth"] == 0


def test_the_operating_point_is_of_the_emitted_alone():
    detections = found((10, 10, 0.9), (20, 20, 0.3)).assign(emitted=[True, False])
    report = evaluate(detections, known((10, 10), (20, 20)), HECTARE)
    assert report["recall_max"] == 1.0
    assert (report["operating"]["recall"], report["operating"]["precision"]) == (0.5, 1.0)


def trench(*corners: tuple[float, float]) -> gpd.GeoDataFrame:
    line = shapely.LineString([(X0 + x, Y0 + y) for x, y in corners])
    return gpd.GeoDataFrame({"class_code": ["trench"]}, geometry=[line.buffer(0.5, cap_style="flat")], crs=UTM)


def pieces(*boxes: tuple[float, float, float, float]) -> gpd.GeoDataFrame:
    table = found(*((0.0, 0.0, 0.9 - 0.1 * i) for i in range(len(boxes))), code="trench")
    table["geometry"] = [shapely.box(X0 + w, Y0 + s, X0 + e, Y0 + n) for w, s, e, n in boxes]
    return table


def test_a_trench_reported_in_pieces_is_found_once_and_its_parts_are_no_alarms():
    truth = trench((10, 50), (50, 50), (50, 70))
    report = evaluate(pieces((10, 49.5, 18, 50.5), (20, 49.5, 28, 50.5), (49.5, 60, 50.5, 68)), truth, HECTARE)
    assert (report["ap"], report["operating"]["n_false_alarms"], report["operating"]["n_parts"]) == (1.0, 0, 2)
    assert (report["operating"]["precision"], report["brier_skill"]) == (1.0, None)


def test_a_repeated_piece_and_one_lying_mostly_beside_the_trench_are_alarms():
    truth = trench((10, 50), (50, 50))
    report = evaluate(pieces((10, 49.5, 18, 50.5), (11, 49.5, 18, 50.5), (30, 50.3, 38, 53)), truth, HECTARE)
    assert (report["operating"]["n_false_alarms"], report["operating"]["n_parts"]) == (2, 0)


def test_a_wide_compact_indicator_keeps_the_rule_of_centroids():
    truth = known((50, 50), code="crater", side=8.0)
    detections = found((50, 53.9, 0.9), (50.1, 50, 0.8), code="crater")
    report = evaluate(detections, truth, HECTARE)
    assert (report["ap"], report["operating"]["n_false_alarms"]) == (1.0, 1)


def test_nothing_found_and_nothing_there():
    empty = found((10, 10, 0.9)).iloc[:0]
    silent = evaluate(empty, known((10, 10)), HECTARE)
    assert (silent["ap"], silent["recall_max"], silent["blind_ap"]) == (0.0, 0.0, 0.0)
    bare = evaluate(found((10, 10, 0.9)), known((10, 10)).iloc[:0], HECTARE)
    assert (bare["ap"], bare["n_truth"], bare["operating"]["n_false_alarms"]) == (None, 0, 1)
    assert bare["operating"]["fa_per_ha"] == pytest.approx(1.0, rel=1e-3)
    with pytest.raises(LayerError, match="nothing to evaluate"):
        evaluate(empty, known((10, 10)).iloc[:0], None)


def test_tables_that_cannot_be_compared_are_refused():
    with pytest.raises(LayerError, match="gsd_cm"):
        evaluate(found((10, 10, 0.9)).drop(columns="gsd_cm"), known((10, 10)), HECTARE)
    with pytest.raises(LayerError, match="no CRS"):
        evaluate(found((10, 10, 0.9)), known((10, 10)).set_crs(None, allow_override=True), HECTARE)


def test_without_reviewed_ground_the_analysed_ground_counts():
    coverage = gpd.GeoDataFrame(
        {"status": ["analysed", "not_analysed"], "gsd_cm": [1.0, None]},
        geometry=[shapely.box(X0, Y0, X0 + 50, Y0 + 100), shapely.box(X0 + 50, Y0, X0 + 100, Y0 + 100)],
        crs=UTM,
    )
    report = evaluate(found((10, 10, 0.9), (60, 60, 0.8)), known((10, 10)), None, coverage)
    assert (report["ap"], report["hectares"]) == (1.0, pytest.approx(0.5, rel=1e-3))
    assert report["by_size_px"] == [{"from": 20.0, "to": 40.0, "n_truth": 1, "recall_max": 1.0, "recall": 1.0}]
    assert any("labelled completely" in note for note in report["notes"])
    alone = evaluate(found((10, 10, 0.9)), known((10, 10)), None)
    assert any("hull" in note for note in alone["notes"])


def test_objects_too_small_for_the_imagery_can_be_left_out():
    truth = pd.concat([known((10, 10)), known((20, 20), code="mine_scatterable", side=0.12)], ignore_index=True)
    assert evaluate(found((10, 10, 0.9)), truth, HECTARE)["n_truth"] == 2
    resolved = evaluate(found((10, 10, 0.9)), truth, HECTARE, settings=Evaluating(resolved_only=True))
    assert (resolved["n_truth"], resolved["ap"]) == (1, 1.0)


def test_recall_by_occlusion():
    truth = known((10, 10), (20, 20), (30, 30))
    truth["occlusion"] = [0.0, 0.9, 1.0]
    rows = evaluate(found((10, 10, 0.9)), truth, HECTARE)["by_occlusion"]
    assert [(r["from"], r["n_truth"], r["recall_max"]) for r in rows] == [(0.0, 1, 1.0), (0.75, 2, 0.0)]


def test_calibration_of_a_detector_that_says_what_it_knows_and_of_one_that_boasts():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 1.0, 2000)
    is_true = rng.uniform(size=2000) < p
    xy = np.c_[np.arange(2000) % 45, np.arange(2000) // 45] * 2.0 + 1.0
    truth = known(*xy[is_true])
    honest = evaluate(found(*np.c_[xy, p]), truth, HECTARE)
    boasting = evaluate(found(*np.c_[xy, np.sqrt(p)]), truth, HECTARE)
    assert honest["ece"] < 0.04 < 0.1 < boasting["ece"]
    assert honest["brier_skill"] > boasting["brier_skill"] > 0
    expected = 1 - ((p - is_true) ** 2).mean() / (is_true.mean() * (1 - is_true.mean()))
    assert honest["brier_skill"] == pytest.approx(expected)


def test_the_blind_floor_agrees_with_guesses_thrown():
    rng = np.random.default_rng(1)
    side, n, guesses = 20.0, 30, 400
    truth = known(*rng.uniform(1, side - 1, (n, 2)), side=1.0)
    ground = reviewed((0, 0, side, side))
    thrown = [
        evaluate(found(*np.c_[rng.uniform(0, side, (guesses, 2)), rng.uniform(0.05, 1, guesses)]), truth, ground,
                 settings=Evaluating(resamples=1))
        for _ in range(40)
    ]  # fmt: skip
    assert thrown[0]["blind_ap"] == pytest.approx(np.mean([one["ap"] for one in thrown]), rel=0.15)
    assert thrown[0]["floors"]["blind"]["recall_max"] == pytest.approx(
        np.mean([one["recall_max"] for one in thrown]), abs=0.05
    )


def test_the_blind_floor_of_no_guess_and_of_certain_guesses():
    assert blind_floor(0, np.ones(3), 100.0)[0] == 0.0
    assert blind_floor(5, np.array([100.0]), 100.0)[0] == pytest.approx(1.0)
    assert np.isnan(blind_floor(5, np.empty(0), 100.0)[0])


def test_intervals_come_from_sites_and_one_site_says_so():
    boxes = [(200.0 * i, 0, 200.0 * i + 100, 100) for i in range(12)]
    ground = reviewed(*boxes, sites=[f"s{i}" for i in range(12)])
    rows = [(200.0 * i + 10, 10, 0.9) for i in range(0, 12, 2)]
    truth = known(*((200.0 * i + 10, 10) for i in range(12)))
    report = evaluate(found(*rows), truth, ground)
    assert (report["n_sites"], report["interval_by"], report["recall_max"]) == (12, "site", 0.5)
    low, high = report["recall_max_interval"]
    # The binomial of 12 sites: 5 % and 95 % at 3 and 9 found of 12.
    assert (low, high) == (pytest.approx(3 / 12), pytest.approx(9 / 12))
    assert report["fa_per_ha_at_recall_interval"]["0.9"] == [None, None]
    alone = evaluate(found(*rows), truth, ground.drop(columns="site"))
    assert (alone["n_sites"], alone["interval_by"]) == (1, "block")
    assert any("One site only" in note for note in alone["notes"])
    assert alone["ap"] == pytest.approx(report["ap"])


def test_sites_of_the_labels_serve_where_the_ground_names_none():
    ground = reviewed((0, 0, 100, 100), (500, 0, 600, 100)).drop(columns="site")
    truth = known((10, 10), (510, 10)).assign(site=["a", "b"])
    assert evaluate(found((10, 10, 0.9)), truth, ground)["n_sites"] == 2


def test_overlapping_reviewed_ground_counts_once():
    ground = reviewed((0, 0, 100, 100), (50, 0, 150, 100), sites=["a", "b"])
    assert evaluate(found((60, 10, 0.9)), known((60, 10)), ground)["hectares"] == pytest.approx(1.5, rel=1e-3)


def brute(detections, truth, reach):
    """The contract's words, one loop each: an independent average precision."""
    free, outcome = set(range(len(truth))), []
    for x, y, p in sorted(detections, key=lambda row: (-row[2], row[0], row[1])):
        near = [(np.hypot(x - truth[i][0], y - truth[i][1]), i) for i in free]
        near = [pair for pair in near if pair[0] <= reach]
        if near:
            free.discard(min(near)[1])
        outcome.append((p, bool(near)))
    ap = hits = 0
    for threshold in sorted({p for p, _ in outcome}, reverse=True):
        now = sum(hit for p, hit in outcome if p >= threshold)
        ap += (now - hits) / len(truth) * now / sum(p >= threshold for p, _ in outcome)
        hits = now
    return ap, hits / len(truth)


coordinate = st.integers(0, 40).map(lambda i: i / 10)
point = st.tuples(coordinate, coordinate)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(coordinate, coordinate, st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9])), max_size=40, unique=True),
    st.lists(point, min_size=1, max_size=15, unique=True),
)
def test_matching_and_average_precision_agree_with_the_contract_taken_word_by_word(rows, objects):
    matching = Matching()
    outline = shapely.box(
        *(np.array([[x - 0.25, y - 0.25, x + 0.25, y + 0.25] for x, y, _ in rows] or np.empty((0, 4))).T)
    )
    p = np.array([row[2] for row in rows])
    reach = 0.2505
    side = 2 * reach
    boxes = np.array([shapely.box(x - reach, y - reach, x + reach, y + reach) for x, y in objects])
    assert side > 0.5
    matches = match(
        marks(np.atleast_1d(outline), p, np.full(len(rows), 0.01)),
        targets(boxes, np.zeros(len(boxes)), matching),
        matching,
    )
    counts = tally(p, matches.hit, np.zeros(len(rows), np.int64), np.array([len(objects)]), np.array([1.0]))
    got = scores(counts, np.ones((1, 1)))
    ap, recall = brute(rows, objects, reach)
    assert got.recall_max[0] == pytest.approx(recall)
    assert got.ap[0] == pytest.approx(ap)
    used = matches.target[matches.hit]
    assert len(set(used)) == len(used)


def test_a_hundred_thousand_detections_are_no_trouble():
    rng = np.random.default_rng(5)
    truth = known(*rng.uniform(0, 2000, (3000, 2)))
    near = truth.geometry.centroid
    xy = np.r_[np.c_[near.x - X0, near.y - Y0] + rng.normal(0, 0.05, (3000, 2)), rng.uniform(0, 2000, (97_000, 2))]
    detections = found(*np.c_[xy, np.r_[rng.beta(5, 2, 3000), rng.beta(1, 8, 97_000)]])
    report = evaluate(detections, truth, reviewed((0, 0, 2000, 2000)), settings=Evaluating(min_probability=0.0))
    assert report["n_detections"] == pytest.approx(100_000, abs=50)
    assert report["ap"] > 0.5 > report["blind_ap"]


def test_blobs_are_found_where_they_were_drawn_bright_or_dark():
    image = np.full((200, 300), 100.0, np.float32)
    row, column = np.mgrid[:200, :300]
    for r, c, sign in ((50, 60, 40), (120, 200, -40)):
        image[(row - r) ** 2 + (column - c) ** 2 <= 64] += sign
    valid = np.ones_like(image, dtype=bool)
    rows, columns, contrast = blobs(image, valid, 0.02, [0.32])
    assert sorted(zip(rows[:2].tolist(), columns[:2].tolist(), strict=True)) == [(50, 60), (120, 200)]
    assert contrast[0] > 10
    valid[:100] = False
    rows, _, _ = blobs(image, valid, 0.02, [0.32])
    assert rows.min() >= 100
    assert len(blobs(image, np.zeros_like(valid), 0.02, [0.32])[0]) == 0
