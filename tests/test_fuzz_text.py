"""Text files a job is made of, damaged in every small way: they are read, or refused in our own words."""

from __future__ import annotations

import contextlib
import json
import os
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from damage import changes, damaged, json_turned
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from survey.errors import SurveyError

SAMPLE = Path(__file__).parents[1] / "data" / "sample"

JOB = """
[job]
name = "fuzuli-2026-04"
output = "out/fuzuli"
crs = "EPSG:4326"
[imagery]
paths = ["imagery/*.tif", "/vsis3/bucket/a.tif", "https://example.invalid/b.tif"]
bands = { red = 1, green = 2, blue = 3 }
position_error_m = 1.0
acquired = 2026-04-02
vrt_folders = ["mosaics"]
[districts]
path = "districts.geojson"
name_field = "name_en"
code_field = "ne_adm1_code"
[area_of_interest]
path = "interest.gpkg"
[model]
path = "models"
threshold = 0.5
[detection]
families = ["AT", "CM"]
[areas]
[density]
cell_m = 50
[methodology]
[terrain]
dem = "dem.tif"
[evidence]
path = "evidence.gpkg"
id_field = "id"
[execution]
workers = 2
tile_px = 1024
retries = 2
"""

ITEM = {
    "type": "Feature", "stac_version": "1.0.0", "id": "a", "properties": {"datetime": "2026-04-02T00:00:00Z"},
    "geometry": {"type": "Point", "coordinates": [46.0, 39.0]}, "bbox": [46.0, 39.0, 46.1, 39.1], "links": [],
    "assets": {"data": {"href": "a.tif", "type": "image/tiff", "roles": ["data"],
                        "eo:bands": [{"name": "b1", "common_name": "red"}, {"name": "b2", "common_name": "green"}]}},
}  # fmt: skip

LABELS = {
    "type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": "EPSG:4326"}},
    "features": [
        {"type": "Feature", "properties": {"class_code": "mine_at", "site": "a", "reviewed_at": "2026-04-02",
                                           "occlusion": 0.2, "image": "a.tif"},
         "geometry": {"type": "Point", "coordinates": [46.0 + n / 1e4, 39.0]}} for n in range(3)
    ],
}  # fmt: skip

POINTER = {"version": "rgb-2", "before": "rgb-1", "at": "2026-04-02T00:00:00+00:00", "by": "survey train", "why": "ap"}
SEGMENT = {
    "n_events": 3, "n_clips": 0, "bytes": {"events.parquet": 0},
    "classes": {"mine_x": {"code": "mine_x", "label": "X", "family": "AT", "length_m": 0.3, "width_m": 0.3,
                           "max_gsd_cm": 3.0}},
}  # fmt: skip


def a_job(path: Path) -> object:
    from survey.settings import read_job

    (path.parent / "imagery").mkdir(exist_ok=True)
    (path.parent / "imagery" / "a.tif").touch()
    return read_job(path)


def districts(path: Path) -> object:
    from pipelines.opening import read_districts

    return read_districts(_job_of(path))


@cache
def _job_of(path: Path) -> object:
    from survey.settings import read_job

    job = path.with_name("of_districts.toml")
    job.write_text(
        f'[job]\nname = "a"\noutput = "out"\n[imagery]\npaths = ["a.tif"]\n[districts]\npath = "{path.name}"\n'
        'name_field = "name_en"\ncode_field = "ne_adm1_code"\n'
    )
    return read_job(job)


def labels(path: Path) -> object:
    from pipelines.labels import read_labels, read_reviewed

    with contextlib.suppress(SurveyError):
        read_reviewed(path, None, ("site",))
    return read_labels(path, None, ("site",))


def item(path: Path) -> object:
    from survey.imagery.scene import Imagery
    from survey.imagery.stac import images_of

    return list(images_of(str(path), Imagery(paths=(str(path),))))


def checksums(path: Path) -> object:
    from pipelines.checksums import read_checksums

    return read_checksums(path)


def records(path: Path) -> object:
    from survey.ledger.reading import read_rows

    return read_rows(path)


def champion(path: Path) -> object:
    from survey.memory.modelfile import champion_path
    from survey.memory.register import make_register

    (path.parent / "versions").mkdir(exist_ok=True)
    register = make_register(path.parent)
    with contextlib.suppress(SurveyError):
        champion_path(path.parent)
    with contextlib.suppress(SurveyError):
        register.champion()
    return register.rollback("because")


def history(path: Path) -> object:
    from survey.memory.register import make_register

    (path.parent / "versions").mkdir(exist_ok=True)
    register = make_register(path.parent)
    (path.parent / "champion.json").write_text(json.dumps(POINTER))
    with contextlib.suppress(SurveyError):
        register.history()
    return register.rollback("because")


def manifest(path: Path) -> object:
    from survey.memory.examples import open_memory

    return open_memory(path.parent)


def segment(path: Path) -> object:
    from survey.memory.examples import open_memory

    whole = path.parent / "memory" / "segments" / "000001-a"
    whole.mkdir(parents=True, exist_ok=True)
    (whole.parents[1] / "memory.json").write_text('{"protocol": 1}')
    (whole / "events.parquet").touch()
    (whole / "segment.json").write_bytes(path.read_bytes())
    return open_memory(whole.parents[1]).events()


@dataclass(frozen=True)
class File:
    """A file that may be damaged, and who reads it."""

    name: str
    content: bytes
    read: Callable[[Path], object]


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode()


FILES = [
    File("job.toml", JOB.encode(), a_job),
    File("districts.geojson", (SAMPLE / "districts.geojson").read_bytes(), districts),
    File("labels.geojson", _json(LABELS), labels),
    File("item.json", _json(ITEM), item),
    File("SHA256SUMS", b"".join(b"%064x  a%d.tif\n" % (n, n) for n in range(3)), checksums),
    File("ledger.csv", (SAMPLE / "ledger.csv").read_bytes(), records),
    File("champion.json", _json(POINTER), champion),
    File("history.jsonl", (json.dumps({**POINTER, "version": "rgb-1", "before": None}) + "\n").encode(), history),
    File("memory.json", _json({"protocol": 1, "is": "memory"}), manifest),
    File("segment.json", _json(SEGMENT), segment),
]
JSONS = [one for one in FILES if one.name.endswith(("json", "jsonl"))]
MANY = os.environ.get("HYPOTHESIS_PROFILE") == "search"
ROUNDS = settings(
    max_examples=2000 if MANY else 30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def is_read_or_refused(file: File, folder: Path, content: bytes) -> None:
    """Anything but a result or our own error fails the test by itself."""
    path = folder / file.name
    path.write_bytes(content)
    with contextlib.suppress(SurveyError), warnings.catch_warnings():
        # GDAL speaks of odd values in warnings; what counts is what is made of them.
        warnings.simplefilter("ignore")
        file.read(path)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_whole_file_is_read(tmp_path: Path, file: File) -> None:
    path = tmp_path / file.name
    path.write_bytes(file.content)
    if file.name in ("champion.json", "segment.json", "history.jsonl"):
        # Alone they name versions and tables that are not there.
        with pytest.raises(SurveyError, match=r"no version|damaged"):
            file.read(path)
    else:
        file.read(path)


def with_bands(bands: object) -> bytes:
    asset = {**ITEM["assets"]["data"], "eo:bands": bands}  # type: ignore[index]
    return json.dumps({**ITEM, "assets": {"data": asset}}).encode()


def with_ring(*corners: list[float]) -> bytes:
    shape = {"type": "Polygon", "coordinates": [corners]}
    one = {"type": "Feature", "properties": {"name_en": "A", "ne_adm1_code": "A"}, "geometry": shape}
    return json.dumps({"type": "FeatureCollection", "features": [one]}).encode()


@pytest.mark.filterwarnings("ignore:Non closed ring:RuntimeWarning")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        # Each of these once ended in a trace.
        ("districts.geojson", with_ring([46, 39], [46, 40], [47, 40], [46, 39.5])),
        ("item.json", with_bands("red")),
        ("item.json", with_bands(["red", "green"])),
        ("SHA256SUMS", b"%064x  a\0.tif\n" % 1),
        ("job.toml", b"[job]\nname = " + b"[" * 3000),
        ("memory.json", b"[" * 100_000),
        ("job.toml", JOB.replace("imagery/*.tif", "~nobody/*.tif").encode()),
    ],
)
def test_what_was_found_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    file = next(one for one in FILES if one.name == name)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SurveyError) as refused:
        file.read(tmp_path / name)
    assert "\n" not in str(refused.value).strip()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
@ROUNDS
@given(hurts=changes)
def test_damaged_text(tmp_path: Path, file: File, hurts: list[tuple[int, str, int]]) -> None:
    is_read_or_refused(file, tmp_path, damaged(file.content, hurts))


@pytest.mark.parametrize("file", JSONS, ids=lambda file: file.name)
@ROUNDS
@given(seed=st.integers(0, 2**32))
def test_strange_values_in_json(tmp_path: Path, file: File, seed: int) -> None:
    value = json_turned(json.loads(file.content.splitlines()[0] if file.name.endswith("l") else file.content),
                        random.Random(seed))  # fmt: skip
    is_read_or_refused(file, tmp_path, json.dumps(value).encode())


@ROUNDS
@given(seed=st.integers(0, 2**32))
def test_strange_values_in_a_job(tmp_path: Path, seed: int) -> None:
    """Values of the wrong kind at every key, in TOML that is well formed."""
    chance = random.Random(seed)
    lines = JOB.splitlines()
    keys = [number for number, line in enumerate(lines) if "=" in line]
    words = [
        "true", "-1", "1e400", "nan", "inf", '""', "[]", "{}", "[[]]", '["\\u0000"]', '"~nobody/a"', '"a\\u0000b"',
        "1979-05-27", "99999999999999999999", '["*", "?", "["]', '"' + "a" * 300 + '"', '"[!"', '["~nobody/*.tif"]',
        '["' + "a" * 300 + '*"]', "{ red = 0 }", "{ red = true, nir = 1.5 }", '["/vsizip/a", "s3://a@b/c"]',
    ]  # fmt: skip
    for number in chance.sample(keys, chance.randint(1, 3)):
        lines[number] = f"{lines[number].partition('=')[0]}= {chance.choice(words)}"
    is_read_or_refused(FILES[0], tmp_path, "\n".join(lines).encode())
