"""A Dask scheduler and two workers on loopback give what this machine gives, whether or not a worker is killed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from results import assert_same

from pipelines.run import How, survey_job
from survey.settings import read_job

pytestmark = [pytest.mark.real, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster(tmp_path):
    pytest.importorskip("distributed", reason="needs: the extra cluster")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    port = address.rsplit(":")[-1]
    environment = {
        **os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'pipelines'}", "OMP_NUM_THREADS": "1",
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    }  # fmt: skip
    log = (tmp_path / "cluster.log").open("w")

    def begin(*arguments):
        command = [sys.executable, "-m", *arguments]
        return subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)

    quiet = ("--no-dashboard", "--host", "127.0.0.1")
    running = [begin("distributed.cli.dask_scheduler", "--port", port, *quiet)]
    for _ in range(2):
        options = ("--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path))
        running.append(begin("distributed.cli.dask_worker", address, *options, *quiet))
    yield address, running[1:]
    for process in running[::-1]:
        process.kill()
        process.wait()
    log.close()


class Killer:
    """A watch that kills a worker once some tiles are done."""

    def __init__(self, worker):
        self.worker, self.tiles, self.texts = worker, 0, []

    def begun(self, walk, workers):
        self.to_do = walk.left

    def advanced(self, pixels, hectares, objects):
        self.tiles += 1
        if self.tiles == 5 and self.worker is not None:
            self.worker.kill()

    def said(self, text):
        self.texts.append(text)

    def finished(self, summary):
        pass


@pytest.mark.parametrize("kills", [False, True], ids=["whole", "a worker killed"])
def test_a_cluster_gives_the_same(drawn, watch, cluster, kills):
    address, workers = cluster
    drawn.write_text(drawn.read_text() + "\n[execution]\ntile_px = 128\n")
    job = read_job(drawn)
    survey_job(job, How(workers=1), watch)
    shutil.move(drawn.parent / "out", drawn.parent / "here")
    killer = Killer(workers[0] if kills else None)
    start = time.monotonic()
    summary = survey_job(job, How(workers=2, cluster=address), killer)
    assert summary.exit_code == 0
    assert killer.tiles == killer.to_do > 20
    assert time.monotonic() - start < 120
    assert_same(drawn.parent / "here", drawn.parent / "out")
