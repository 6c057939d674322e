"""Imagery far away: the same result as from disk, only needed blocks read, credentials written nowhere."""

from __future__ import annotations

import logging
import socket
import urllib.request

import boto3
import numpy as np
import pytest
import rasterio.shutil
from drawn_job import GSD, NORTH, WEST, district_boxes, draw_pixels, write_job, write_scene
from local_server import serving
from moto.server import ThreadedMotoServer
from results import layers_of

from pipelines.run import How, survey_job
from survey.settings import read_job

pytestmark = pytest.mark.real

SECRET = "vErY/sEcReT+kEy=of-a-test"  # noqa: S105 (of a server that lives as long as this test)
KEY = "AKIATESTONLYTESTONLY"
SIDE = 3072


@pytest.fixture
def job(tmp_path, model):
    """A COG on disk of which the districts cover a corner, and the job over it."""
    pixels = np.tile(draw_pixels(SIDE // 3, SIDE // 3, seed=3, discs=60)[0], (1, 3, 3))
    whole = write_scene(tmp_path / "whole.tif", pixels)
    (tmp_path / "cogs").mkdir()
    rasterio.shutil.copy(whole, tmp_path / "cogs" / "a.tif", driver="COG", compress="deflate", blocksize=256)
    whole.unlink()
    corner = (WEST, NORTH - 300 * GSD, WEST + 300 * GSD, NORTH)
    district_boxes(corner).to_file(tmp_path / "districts.geojson")
    return write_job(tmp_path, model, paths=("cogs/a.tif",), more="\n[execution]\ntile_px = 256\n")


def run(job, out, path):
    text = job.read_text().replace('"out"', f'"{out}"').replace("cogs/a.tif", path)
    named = job.with_name(f"{out}.toml")
    named.write_text(text)

    class Quiet:
        def begun(self, walk, workers):
            pass

        def advanced(self, pixels, hectares, objects):
            pass

        def said(self, text):
            pass

    return survey_job(read_job(named), How(workers=1), Quiet())


@pytest.fixture
def s3(monkeypatch):
    """A server that speaks S3 on loopback, and the environment that leads there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    address = f"127.0.0.1:{port}"
    values = {
        "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_S3_ENDPOINT": address, "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    try:
        yield boto3.client("s3", endpoint_url=f"http://{address}")
    finally:
        urllib.request.urlopen(urllib.request.Request(f"http://{address}/moto-api/reset", method="POST")).close()
        server.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_s3_gives_what_the_disk_gives_and_no_secret_is_written(job, s3, caplog):
    caplog.set_level(logging.DEBUG)
    s3.create_bucket(Bucket="survey")
    s3.upload_file(str(job.parent / "cogs" / "a.tif"), "survey", "flights/a.tif")
    assert run(job, "disk", "cogs/a.tif").exit_code == 0
    assert run(job, "far", "/vsis3/survey/flights/a.tif").exit_code == 0
    same_objects(job.parent / "disk", job.parent / "far")
    written = [path for path in (job.parent / "far").rglob("*") if path.is_file()]
    assert len(written) >= 6
    for path in written:
        data = path.read_bytes()
        assert SECRET.encode() not in data, path.name
        assert KEY.encode() not in data, path.name
    ours = "\n".join(
        one.getMessage() for one in caplog.records if one.name.startswith(("survey", "pipelines", "raster"))
    )
    assert SECRET not in ours
    assert KEY not in ours


def test_only_needed_blocks_are_read_over_http(job):
    assert run(job, "disk", "cogs/a.tif").exit_code == 0
    with serving(job.parent / "cogs") as server:
        assert run(job, "far", f"{server.url}/a.tif").exit_code == 0
        size = (job.parent / "cogs" / "a.tif").stat().st_size
        read = np.zeros(size, bool)
        for _, _, span in server.asked:
            if span:
                start, _, stop = span.removeprefix("bytes=").partition("-")
                read[int(start) : int(stop or size) + 1] = True
        # The corner with its margin and halo is a small part of nine.
        assert 0 < read.sum() < 0.5 * size
        assert {name for _, name, _ in server.asked} <= {"a.tif"}
    same_objects(job.parent / "disk", job.parent / "far")


def same_objects(disk, far):
    """Layers are the same but for what the path of the image is part of: the run's digests."""
    ours, theirs = layers_of(disk), layers_of(far)
    assert len(ours["hazard_objects"]) > 0
    for name, table in ours.items():
        for each in (table, theirs[name]):
            if "run_id" in each:
                each["run_id"] = ""
        assert table.equals(theirs[name]), name


@pytest.mark.parametrize(
    "path",
    ["https://user:word@example.invalid/a.tif", "https://example.invalid/a.tif?X-Amz-Signature=abc123secret",
     "/vsicurl/https://user:word@example.invalid/a.tif"],
)  # fmt: skip
def test_addresses_with_credentials_are_refused_unseen(job, survey, path):
    job.write_text(job.read_text().replace("cogs/a.tif", path))
    code, out, err = survey("run", job)
    assert code == 2
    assert "environment" in err
    for secret in ("user:word", "abc123secret"):
        assert secret not in out + err
    assert not (job.parent / "out").exists()
