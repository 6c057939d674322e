from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass

import cv2
import psutil
import pytest

from pipelines.engine.executor import Pool, _keep_to_one_thread, run_all
from survey.errors import ImageryError, JobError


@dataclass(frozen=True)
class Work:
    number: int
    folder: str
    fault: str = ""


def square(work):
    if work.fault == "always":
        raise ImageryError(f"tile {work.number}\ncannot be read")
    if work.fault == "bug":
        raise KeyError("oops")
    flag = os.path.join(work.folder, f"{work.number}")
    if work.fault == "once" and not os.path.exists(flag):
        open(flag, "w").close()
        raise ImageryError("for a moment")
    if work.fault == "dies once" and not os.path.exists(flag):
        open(flag, "w").close()
        os._exit(9)
    if work.fault == "dies":
        os._exit(9)
    return work.number**2


def outcomes(pool, tasks, **options):
    return {one.task.number: one for one in run_all(pool, square, iter(tasks), **({"retries": 1} | options))}


POOLS = [Pool(1), Pool(2), Pool(2, start_method="spawn")]


@pytest.mark.parametrize("pool", POOLS, ids=["inline", "default", "spawn"])
def test_faults_cost_a_retry_and_never_the_job(tmp_path, pool):
    faults = {3: "once", 5: "always", 6: "bug"}
    found = outcomes(pool, [Work(n, str(tmp_path), faults.get(n, "")) for n in range(9)])
    assert sorted(found) == list(range(9))
    assert {n: one.result for n, one in found.items() if one.result is not None} == {
        n: n * n for n in range(9) if n not in (5, 6)
    }
    assert found[3].attempts == 2
    assert found[5].reason == "tile 5 cannot be read"
    assert "KeyError" in found[6].reason


def threads(_):
    return cv2.getNumThreads()


@pytest.mark.parametrize("pool", POOLS, ids=["inline", "default", "spawn"])
def test_a_worker_keeps_to_one_thread(pool):
    before = cv2.getNumThreads()
    _keep_to_one_thread.cache_clear()
    try:
        cv2.setNumThreads(2)
        assert [one.result for one in run_all(pool, threads, iter([0]), retries=0)] == [1]
    finally:
        cv2.setNumThreads(before)


def test_a_worker_that_dies_costs_only_the_task_that_kills_it(tmp_path):
    faults = {2: "dies once", 4: "dies"}
    found = outcomes(Pool(2), [Work(n, str(tmp_path), faults.get(n, "")) for n in range(8)])
    assert sorted(found) == list(range(8))
    assert [n for n, one in found.items() if one.result is None] == [4]
    assert "worker died" in found[4].reason


class OddError(Exception):
    """As libraries have them: it cannot be made again from its arguments."""

    def __init__(self, one, two):
        super().__init__(one)


def odd(task):
    try:
        raise OddError(1, 2)
    except OddError as error:
        if task == "as cause":
            raise OSError("from something odd") from error
        raise


def test_workers_that_never_begin_end_the_job_in_words(tmp_path):
    with pytest.raises(JobError, match="before a single task was done"):
        outcomes(Pool(2), [Work(n, str(tmp_path), "dies") for n in range(40)], retries=1)


def test_an_exception_that_cannot_be_sent_ends_no_pool(caplog):
    """What is raised in a worker comes back in words, with whatever caused it."""
    found = {one.task: one for one in run_all(Pool(2), odd, iter(["as cause", "itself"]), retries=1)}
    assert found["as cause"].reason == "from something odd"
    assert found["itself"].reason == "unforeseen OddError: 1"
    assert all(one.attempts == 2 for one in found.values())
    assert "worker died" not in caplog.text
    assert "raise OddError(1, 2)" in caplog.text


def test_the_fork_server_may_be_killed(tmp_path):
    """The server that workers are forked from dies as workers do: everything is done all the same."""
    killed, seen = False, []
    for one in run_all(Pool(2), square, (Work(number, str(tmp_path)) for number in range(40)), retries=2):
        seen.append(one.result)
        if len(seen) == 10 and not killed:
            servers = [child for child in psutil.Process().children() if "forkserver" in " ".join(child.cmdline())]
            for server in servers:
                server.kill()
            killed = bool(servers)
    assert killed
    assert sorted(seen) == [number**2 for number in range(40)]


def test_stop_finishes_what_is_in_hand_and_begins_nothing_new(tmp_path):
    done = []
    taken = []

    def tasks():
        for number in range(100):
            taken.append(number)
            yield Work(number, str(tmp_path))

    for one in run_all(Pool(2), square, tasks(), retries=0, stop=lambda: len(done) >= 3):
        done.append(one.task.number)
    assert sorted(done) == taken
    assert len(taken) <= 3 + 4 + 1


def test_tasks_are_read_as_workers_need_them(tmp_path):
    taken, done = [], 0

    def tasks():
        for number in range(40):
            taken.append(number)
            yield Work(number, str(tmp_path))

    for _ in run_all(Pool(2), square, tasks(), retries=0):
        done += 1
        assert len(taken) <= done + 4 + 4
    assert done == 40


@pytest.mark.parametrize("pool", POOLS[:2], ids=["inline", "default"])
def test_where_all_fails_few_tasks_wait(tmp_path, pool, monkeypatch):
    """A task that waits to be tried again is held in memory: where every one fails, no more are begun meanwhile."""
    monkeypatch.setattr("pipelines.engine.executor._MOST_WAITING", 10)
    monkeypatch.setattr("pipelines.engine.executor._BACK_OFF_S", 0.02)
    taken, done = 0, 0

    def tasks():
        nonlocal taken
        for number in range(60):
            taken += 1
            yield Work(number, str(tmp_path), "always")

    for one in run_all(pool, square, tasks(), retries=1):
        assert one.result is None
        done += 1
        assert taken - done <= 10 + 4
    assert done == taken == 60


def environment_of(name):
    import cv2

    return {"value": os.environ.get(name), "cv2": cv2.getNumThreads(), "pid": os.getpid()}


def test_workers_keep_to_one_thread():
    found = list(run_all(Pool(2), environment_of, iter(["OMP_NUM_THREADS", "GDAL_CACHEMAX"]), retries=0))
    assert all(one.result["value"] and one.result["cv2"] == 1 for one in found)
    assert all(one.result["pid"] != os.getpid() for one in found)


def test_workers_end_with_the_run(tmp_path):
    outcomes(Pool(2), [Work(n, str(tmp_path)) for n in range(3)])
    deadline = time.monotonic() + 5
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not multiprocessing.active_children()


def test_a_cluster_that_does_not_answer_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.engine.executor._CLUSTER_TIMEOUT_S", 1)
    pytest.importorskip("distributed", reason="needs: the extra cluster")
    with pytest.raises(JobError, match="No Dask scheduler answers"):
        outcomes(Pool(1, cluster="tcp://127.0.0.1:1"), [Work(0, str(tmp_path))])
