from __future__ import annotations

import numpy as np
import pytest
import shapely

from survey.memory.labelling import NOTHING, UNDECIDED, label_candidates, labelled


def labels(*outlines, occlusion=None, codes=None):
    given = np.zeros(len(outlines)) if occlusion is None else np.array(occlusion)
    names = [f"class_{n}" for n in range(len(outlines))] if codes is None else codes
    return labelled(np.array(outlines, dtype=object), np.array(names, dtype=object), given)


def ask(known, *candidates):
    x, y, diameter = np.array(candidates, dtype=float).T
    return label_candidates(x, y, diameter, known)


DISC = shapely.Point(10, 10).buffer(0.15)


def test_on_undecided_nothing():
    codes, index = ask(
        labels(DISC, shapely.Point(20, 10).buffer(0.15)),
        (10.02, 10, 0.3),  # on the first
        (20, 10.03, 0.24),  # on the second
        (10.2, 10, 0.3),  # at its edge
        (10, 10, 1.9),  # on it, far too large
        (12, 10, 0.3),  # beside
        (900, 10, 0.3),  # far away
    )
    assert codes.tolist() == ["class_0", "class_1", UNDECIDED, UNDECIDED, NOTHING, NOTHING]
    assert index.tolist() == [0, 1, -1, -1, -1, -1]


def test_what_is_covered_is_not_learned_from_and_unknown_cover_is_none():
    codes, _ = ask(
        labels(DISC, shapely.Point(20, 10).buffer(0.15), occlusion=[0.9, np.nan]), (10, 10, 0.3), (20, 10, 0.3)
    )
    assert codes.tolist() == [UNDECIDED, "class_1"]


def test_any_part_of_the_middle_of_a_trench_counts():
    trench = shapely.box(0, 0, 30, 1.0)
    known = labels(trench)
    assert known.sides[0] == pytest.approx([30, 1])
    codes, _ = ask(known, (3, 0.5, 0.96), (15, 0.45, 0.96), (27, 0.5, 0.96), (15, 1.2, 0.96), (15, 5, 0.96))
    assert codes.tolist() == ["class_0"] * 3 + [UNDECIDED, NOTHING]


def test_a_zigzag_is_as_wide_as_its_ribbon():
    zigzag = shapely.LineString([(0, 0), (10, 10), (20, 0), (30, 10)]).buffer(0.5, cap_style="flat")
    assert labels(zigzag).sides[0, 1] == pytest.approx(1.0, rel=0.1)


def test_without_labels_everything_is_nothing():
    codes, index = ask(labels(), (1, 1, 0.3))
    assert (codes.tolist(), index.tolist()) == ([NOTHING], [-1])
    assert len(label_candidates(np.empty(0), np.empty(0), np.empty(0), labels(DISC))[0]) == 0
