"""Files of bytes, damaged in every small way: they are read, or refused in our own words, and no process crashes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
from drawn_job import draw_pixels, write_scene
from drawn_labels import write_labels, write_site

from pipelines.engine.executor import Pool
from pipelines.engine.journal import Journal
from pipelines.engine.parcels import as_ref
from pipelines.learn import Request, learn
from pipelines.opening import open_job
from pipelines.reopening import remember
from pipelines.run import How, Work, survey_job, survey_tiles
from pipelines.walk import begin
from survey.settings import read_job

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SAMPLE = ROOT / "data" / "sample"
FEW = {"model": 2, "memory": 12, "journal": 6, "raster": 12, "dem": 6, "labels": 6}


@pytest.fixture
def whole(drawn, model, watch, tmp_path):
    """Whole files of every kind but results, in one folder."""
    # Other rasters come to lie beside it.
    drawn.write_text(drawn.read_text().replace("*.tif", "a.tif") + "\n[execution]\ntile_px = 256\n")
    survey_pixels(read_job(drawn), watch)
    (tmp_path / "mangled-out.toml").write_text(drawn.read_text().replace('"out"', '"mangled-out"'))
    shutil.copy(model, tmp_path / "drawn.survey-model")
    image, labels, reviewed = write_site(tmp_path, 1)
    write_labels(tmp_path / "labels.gpkg", labels, reviewed)
    learn(Request(tmp_path / "memory", tmp_path / "labels.gpkg", (str(image),)))
    shutil.copy(SAMPLE / "dem.tif", tmp_path)
    shutil.copy(SAMPLE / "districts.geojson", tmp_path / "sample-districts.geojson")
    draw_rasters(tmp_path / "rasters")
    return tmp_path


def survey_pixels(job, watch):
    """Write the journal of a survey whose maps were not made yet."""
    opened = open_job(job)
    with Journal(job.job.output, job.job.name) as journal:
        begin(job, opened, journal)
        remember(job, opened, journal)
        work = Work(as_ref(job.model.path, opened.model), Pool(1), lambda: 0)
        survey_tiles(job, opened, journal, work, watch)
        journal.set("complete", True)


def draw_rasters(folder):
    folder.mkdir()
    pixels, _ = draw_pixels(300, 400, seed=1)
    write_scene(folder / "deflate.tif", pixels, compress="deflate")
    write_scene(folder / "lzw.tif", pixels, compress="lzw", predictor=2, interleave="pixel")
    write_scene(folder / "jpeg.tif", pixels, compress="jpeg", photometric="ycbcr", interleave="pixel")
    write_scene(folder / "striped.tif", pixels, tiled=False, blockxsize=None, blockysize=None)
    write_scene(folder / "big.tif", pixels, bigtiff="yes", nodata=0)
    write_scene(folder / "deep.tif", pixels.astype(np.uint16) * 200, compress="deflate")
    rasterio.shutil.copy(folder / "deflate.tif", folder / "cog.tif", driver="COG", blocksize=128)
    rasterio.shutil.copy(folder / "deflate.tif", folder / "jp2.jp2", driver="JP2OpenJPEG")
    rasterio.shutil.copy(folder / "lzw.tif", folder / "mosaic.vrt", driver="VRT")


def read_mangled(folder, first, **kinds):
    """Everything is read or refused; what is not, or what ended the process, is in the message."""
    wanted = [f"{kind}={count}" for kind, count in kinds.items()]
    ended = subprocess.run(
        [sys.executable, str(HERE / "mangled.py"), str(folder), str(first), *wanted],
        capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{HERE.parent}:{HERE}"},
    )  # fmt: skip
    said = ended.stdout.splitlines()
    assert ended.returncode == 0, f"exit code {ended.returncode} after {said[-1:]}\n{ended.stderr[-6000:]}"
    refused, read = (sum(line.startswith(f"  {word}") for line in said) for word in ("refused", "read"))
    assert refused + read == sum(kinds.values())
    return refused, read


def test_mangled_files_are_read_or_refused(whole):
    refused, read = read_mangled(whole, 0, **FEW)
    assert refused > 10
    assert read > 5


@pytest.mark.real
@pytest.mark.parametrize("kind", FEW)
def test_many_mangled_files(whole, kind):
    refused, _ = read_mangled(whole, 1000, **{kind: 40 * FEW[kind]})
    assert refused > 2 * FEW[kind]


@pytest.mark.real
def test_many_mangled_results(whole, watch):
    """GeoPackages are read layer by layer: what is damaged in one is refused there."""
    assert survey_job(read_job(whole / "job.toml"), How(workers=1), watch).exit_code == 0
    assert sum(read_mangled(whole, 1000, result=200)) == 200
