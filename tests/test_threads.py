from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from drawn import ORIGIN, districts_from, drawn_objects, piece, square

from survey import threads
from survey.contamination.assessment import Contamination, assess
from survey.contamination.placing import which


def layers() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    codes = list(rng.choice(["mine_at", "mine_ap", "submunition", "crater", "shell"], 150))
    xy = rng.uniform(0, 1500, (150, 2)) + ORIGIN
    scenes = [piece(square(300 * i, 100 * i, 700), image=f"s{i}", gsd_cm=1.0 + i % 3) for i in range(5)]
    return assess(
        drawn_objects(xy, codes, error_m=1.0), scenes, districts_from([square(0, 0, 1000), square(1000, 0, 900)]),
        Contamination(), "run",
    )  # fmt: skip


def test_the_same_bytes_come_out_on_any_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    once = layers()
    for cores, worth in ((1, 20_000), (2, 1), (4, 1)):
        monkeypatch.setattr(threads, "_WORTH", worth)
        monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _, n=cores: set(range(n)), raising=False)
        again = layers()
        for name, layer in once.items():
            left = layer.to_wkb() if isinstance(layer, gpd.GeoDataFrame) else layer
            right = again[name].to_wkb() if isinstance(layer, gpd.GeoDataFrame) else again[name]
            pd.testing.assert_frame_equal(pd.DataFrame(left), pd.DataFrame(right))


def test_rows_keep_their_order_and_errors_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_WORTH", 1)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    points = shapely.points(np.arange(1000.0), 0.0)
    assert threads.in_threads(shapely.get_x, points).tolist() == list(range(1000))
    assert len(threads.in_threads(shapely.get_x, points[:0])) == 0
    with pytest.raises(TypeError):
        threads.in_threads(shapely.get_x, np.full(100, "no geometry", dtype=object))


def test_many_threads_may_ask_one_shape() -> None:
    angle = np.linspace(0.0, 2.0 * np.pi, 2001)[:-1]
    x, y = np.random.default_rng(3).uniform(-1.2, 1.2, (2, 6000))
    for turn in range(100):
        radius = 1.0 + 0.1 * np.sin(7.0 * angle + turn)
        star = shapely.polygons(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))
        found = which(x, y, np.array([star], dtype=object))
        assert np.array_equal(found == 0, shapely.intersects_xy(star, x, y))
