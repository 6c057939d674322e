"""Rule, rate, evidence and district files that were damaged: only our own errors come out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from survey.contamination.districts import prepare_districts
from survey.contamination.effort import read_productivity, read_resources
from survey.contamination.evidence import Evidence, prepare_evidence, read_evidence_table
from survey.contamination.fadeout import read_fadeout
from survey.contamination.rules import read_rules
from survey.errors import SurveyError

RESOURCES = """
[teams."manual team"]
count = 4
[machines.MEMATT]
count = 13
m2_per_day = {slow=1, typical=2, fast=3}
"""

FILES: list[tuple[str, Callable[[Path], object]]] = [
    ("methods.toml", read_rules),
    ("productivity.toml", read_productivity),
    ("evidence.toml", read_evidence_table),
    ("fadeout.toml", read_fadeout),
    ("resources", lambda path: read_resources(path, read_productivity())),
]

hurts = st.sampled_from(["drop", "swap", "insert", "line", "word"])
change = st.tuples(st.integers(0, 10_000), hurts, st.integers(0, 255))
WORDS = [b"0", b"-1", b"nan", b"inf", b"1e999", b"true", b'""', b"[]", b"{}", b"[[rule]]", b"\n", b"\xff", b"9" * 400]


def damaged(content: bytes, changes: list[tuple[int, str, int]]) -> bytes:
    for place, kind, value in changes:
        at = place % max(len(content), 1)
        if kind == "drop":
            content = content[:at] + content[at + 1 + value % 20 :]
        elif kind == "swap":
            content = content[:at] + bytes([value]) + content[at + 1 :]
        elif kind == "insert":
            content = content[:at] + bytes([value % 128]) + content[at:]
        elif kind == "line":
            lines = content.split(b"\n")
            del lines[place % len(lines)]
            content = b"\n".join(lines)
        else:
            words = content.split(b" ")
            words[place % len(words)] = WORDS[value % len(WORDS)]
            content = b" ".join(words)
    return content


@pytest.mark.parametrize(("name", "read"), FILES, ids=[name for name, _ in FILES])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(change, min_size=1, max_size=4))
def test_a_damaged_table_is_read_or_refused(
    tmp_path: Path, name: str, read: Callable[[Path], object], changes: list[tuple[int, str, int]]
) -> None:
    if name == "resources":
        content = RESOURCES.encode()
    else:
        content = resources.files("survey.contamination").joinpath(name).read_bytes()
    path = tmp_path / "table.toml"
    path.write_bytes(damaged(content, changes))
    with contextlib.suppress(SurveyError):
        read(path)


known = st.sampled_from([0.0, 46.0, 39.0])
number = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(-200, 200), known)
corners = st.lists(st.tuples(number, number), min_size=3, max_size=7)


def shape_of(points: list[tuple[float, float]], kind: str) -> shapely.Geometry | None:
    if kind == "none":
        return None
    if kind == "point":
        return shapely.Point(points[0])
    if kind == "line":
        return shapely.LineString(points)
    ring = [*points, points[0]]
    try:
        polygon = shapely.Polygon(ring)
    except (shapely.errors.GEOSException, ValueError):
        return None
    return shapely.MultiPolygon([polygon, polygon]) if kind == "twice" else polygon


kinds = st.sampled_from(["polygon", "polygon", "twice", "point", "line", "none"])
code = st.one_of(st.none(), st.text(max_size=5), st.floats(), st.integers())


@settings(max_examples=150, deadline=None)
@example([([(0.0, 0.0), (0.0, 0.0), (0.0, float("nan"))], "line", None, None)], "EPSG:4326")
@example([([(0.0, 0.0), (0.0, 0.0), (0.0, 0.0)], "line", None, None)], "EPSG:4326")
@example([([(0.0, 0.0), (0.0, 0.0), (0.0, 0.0)], "point", None, 3.4e154)], "EPSG:4326")
@given(
    st.lists(st.tuples(corners, kinds, code, code), max_size=4),
    st.sampled_from([None, "EPSG:4326", "EPSG:32638", "EPSG:4978"]),
)
def test_damaged_districts_and_evidence_are_used_or_refused(
    drawn: list[tuple[list[tuple[float, float]], str, object, object]], crs: str | None
) -> None:
    with np.errstate(all="ignore"):
        shapes = np.array([shape_of(points, kind) for points, kind, _, _ in drawn] + [None], dtype=object)[:-1]
    names, codes = ([row[i] for row in drawn] for i in (2, 3))
    table = gpd.GeoDataFrame({"name": names, "code": codes, "evidence_type": "Detonations"}, geometry=shapes, crs=crs)
    for read in (
        lambda: prepare_districts(table, "name", "code"),
        lambda: prepare_evidence(table, Evidence(accuracy_field="code", id_field="name")),
    ):
        with contextlib.suppress(SurveyError):
            read()
