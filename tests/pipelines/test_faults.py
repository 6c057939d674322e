"""Many scenes, some of them damaged in every way there is: all that can be read is analysed, the rest is listed."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from pathlib import Path

import pytest
import rasterio
import rasterio.shutil
from drawn_job import GSD, NORTH, WEST, district_boxes, draw_pixels, write_job, write_scene
from local_server import serving
from results import assert_same

from pipelines.run import How, survey_job
from survey.settings import read_job

SIDE = 256
BLOCK = {"blockxsize": 64, "blockysize": 64}
HECTARES = (SIDE * GSD) ** 2 / 1e4


def place(number):
    """West and north of a scene: they lie in rows of twenty, with ground between them."""
    return WEST + (number % 20) * (SIDE + 64) * GSD, NORTH - (number // 20) * (SIDE + 64) * GSD


def write_whole(path, number, **options):
    pixels, _ = draw_pixels(SIDE, SIDE, seed=number % 5, discs=2)
    west, north = place(number)
    return write_scene(path, pixels, west=west, north=north, **(BLOCK | options))


def block_of(path, col, row):
    with rasterio.open(path) as image:
        tags = [image.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=1) for what in ("OFFSET", "SIZE")]
    return int(tags[0]), int(tags[1])


def truncated(path, number):
    """A COG, whose header comes first, without its second half."""
    whole = write_whole(path.with_suffix(".whole"), number, compress="deflate")
    rasterio.shutil.copy(whole, path, driver="COG", compress="deflate", blocksize=128, overviews="NONE")
    whole.unlink()
    os.truncate(path, path.stat().st_size * 6 // 10)


def header_cut_off(path, number):
    write_whole(path, number)
    os.truncate(path, path.stat().st_size // 2)


def flipped(path, number):
    write_whole(path, number, compress="deflate")
    offset, size = block_of(path, 1, 2)
    data = bytearray(path.read_bytes())
    for position in range(offset, offset + min(size, 64)):
        data[position] ^= 0xFF
    path.write_bytes(data)


def beside_its_checksum(path, number):
    """Uncompressed: only the checksum shows it."""
    write_whole(path, number)
    listed = path.parent / "SHA256SUMS"
    with listed.open("a") as file:
        file.write(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    data = bytearray(path.read_bytes())
    data[block_of(path, 1, 1)[0] + 9] ^= 0x10
    path.write_bytes(data)


def wrong_crs(path, number):
    """Metres of UTM said to be degrees."""
    write_whole(path, number, crs="EPSG:4326")


def huge(path, number):
    """A header that declares 2,000,000 pixels a side."""
    write_whole(path, number)
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    for entry in range(struct.unpack_from("<H", data, start)[0]):
        at = start + 2 + 12 * entry
        if struct.unpack_from("<H", data, at)[0] in (256, 257):
            struct.pack_into("<HII", data, at + 2, 4, 1, 2_000_000)
    path.write_bytes(data)


def empty(path, number):
    path.touch()


def denied(path, number):
    """Root reads whatever its permissions are; a folder in its place cannot be read by anyone."""
    if os.geteuid() == 0:
        path.mkdir()
    else:
        write_whole(path, number)
        path.chmod(0)


def vanishing(path, number):
    write_whole(path, number)


def remote(path, number):
    """Served from a folder of its own; what the server does is in the name."""
    folder = path.parent / "served"
    folder.mkdir(exist_ok=True)
    name = f"{('fails', 'hangs', 'half')[number // len(DAMAGE) % 3]}_{path.name}"
    whole = write_whole(folder / f"{name}.whole", number, compress="deflate")
    options = {"compress": "deflate", "blocksize": 128, "overviews": "NONE"}
    rasterio.shutil.copy(whole, folder / name, driver="COG", **options)
    whole.unlink()


DAMAGE = {
    truncated: "blocks cannot be read", header_cut_off: "cannot be opened", flipped: "blocks cannot be read",
    beside_its_checksum: "checksum", wrong_crs: "CRS", huge: "taken for damage", empty: "cannot be opened",
    denied: "cannot be", vanishing: "cannot be opened any more", remote: "cannot be",
}  # fmt: skip
STILL_SEEN = {truncated, flipped}
"""Damage that leaves blocks which can be read."""


class Vanisher:
    """A watch that takes files away once the work has begun."""

    def __init__(self, paths):
        self.paths = paths

    def begun(self, walk, workers):
        for path in self.paths:
            path.unlink()

    def advanced(self, pixels, hectares, objects):
        pass

    def said(self, text):
        pass


def faulty_job(folder, model, whole, damaged):
    """Write ``whole`` scenes and ``damaged`` ones; returns the job file and what was done to which."""
    spoiled = {}
    kinds = list(DAMAGE)
    for number in range(whole + damaged):
        path = folder / f"s{number:03d}.tif"
        if number < damaged:
            kind = kinds[number % len(kinds)]
            kind(path, number)
            spoiled[path.name] = kind
        else:
            write_whole(path, number)
    rows = (whole + damaged) // 20 + 1
    box = (WEST - 20, NORTH - rows * (SIDE + 64) * GSD - 20, WEST + 20 * (SIDE + 64) * GSD + 20, NORTH + 20)
    district_boxes(box).to_file(folder / "districts.geojson")
    return spoiled


def check(folder, model, monkeypatch, whole, damaged):
    for name, value in {"TIMEOUT": "1", "CONNECTTIMEOUT": "1", "MAX_RETRY": "0", "RETRY_DELAY": "0"}.items():
        monkeypatch.setenv(f"GDAL_HTTP_{name}", value)
    spoiled = faulty_job(folder, model, whole, damaged)
    with serving(folder / "served") as server:
        served = [f"{server.url}/{path.name}" for path in sorted((folder / "served").iterdir())]
        local = [path.name for path in sorted(folder.glob("s*.tif"))]
        more = "\n[execution]\nretries = 0\n"
        job = write_job(folder, model, paths=(*local, *served), more=more)
        job.write_text(job.read_text().replace("[imagery]", '[imagery]\nchecksums = "SHA256SUMS"'))
        gone = [folder / name for name, kind in spoiled.items() if kind is vanishing]
        summary = survey_job(read_job(job), How(workers=1), Vanisher(gone))
    assert summary.exit_code == 3
    reasons = {}
    for problem in summary.problems:
        name = Path(problem["image"]).name
        name = name.partition("_")[2] if "_" in name else name
        reasons.setdefault(name, []).append(problem["reason"])
    assert sorted(reasons) == sorted(spoiled)
    for name, kind in spoiled.items():
        assert all(DAMAGE[kind] in reason for reason in reasons[name]), (kind.__name__, reasons[name])
    totals = summary.totals
    parts = totals["analysed_ha"] + totals["not_assessable_ha"] + totals["not_analysed_ha"]
    assert parts == pytest.approx(totals["district_ha"], abs=1e-4 * (1 + damaged))
    return summary, spoiled, json.loads((folder / "out" / "run.json").read_text())


def analysed_of(folder):
    """Analysed hectares by image, from layer coverage."""
    from survey.exports.geopackage import read
    from survey.layers import COVERAGE

    table = read(folder / "out" / "survey.gpkg", COVERAGE)
    table = table[table["status"] == "analysed"]
    return {str(name).rpartition("/")[2]: area for name, area in table.groupby("image")["area_ha"].sum().items()}


def hold(folder, spoiled, whole, damaged):
    seen = analysed_of(folder)
    for number in range(damaged, whole + damaged):
        assert seen[f"s{number:03d}.tif"] == pytest.approx(HECTARES, rel=0.01)
    # 4 x 4 blocks of 2.56 m: the damaged one costs the cells of 2 m that it touches: 2 x 2.
    for name, kind in spoiled.items():
        if kind is flipped:
            assert seen[name] == pytest.approx(HECTARES - 4 * 4 / 1e4, abs=1e-4), name
        elif kind is truncated:
            assert 0.2 * HECTARES < seen[name] < 0.8 * HECTARES, name
        elif kind is not remote:
            assert name not in seen, kind.__name__


@pytest.mark.real
def test_one_scene_of_every_damage(tmp_path, model, monkeypatch):
    _, spoiled, record = check(tmp_path, model, monkeypatch, 2, 10)
    hold(tmp_path, spoiled, 2, 10)
    assert len(record["problems"]) >= 10


def test_what_is_lost_does_not_depend_on_the_tiles(drawn, caplog):
    """A block that cannot be read is lost whatever tiles it is read through, and nothing else is."""
    pixels, _ = draw_pixels(700, 900, seed=1)
    path = write_scene(drawn.parent / "a.tif", pixels, compress="deflate")
    offset, _ = block_of(path, 1, 1)
    data = bytearray(path.read_bytes())
    data[offset : offset + 64] = b"\xff" * 64
    path.write_bytes(data)
    text = drawn.read_text()
    # What a worker raises has to find its way out of its process as well.
    for size, workers in ((2048, 1), (192, 2)):
        folder = f"out_{size}"
        drawn.write_text(text.replace('"out"', f'"{folder}"') + f"\n[execution]\nretries = 0\ntile_px = {size}\n")
        assert survey_job(read_job(drawn), How(workers=workers), Vanisher([])).exit_code == 3
    assert "worker died" not in caplog.text
    assert_same(drawn.parent / "out_2048", drawn.parent / "out_192")


@pytest.mark.real
def test_40_of_200_scenes_are_damaged(tmp_path, model, monkeypatch):
    _, spoiled, record = check(tmp_path, model, monkeypatch, 160, 40)
    hold(tmp_path, spoiled, 160, 40)
    assert len(record["imagery"]) == 200
