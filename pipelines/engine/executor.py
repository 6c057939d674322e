"""Work done on this machine or on a cluster, through one interface; a fault costs a retry, never the job."""

from __future__ import annotations

import heapq
import json
import logging
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from concurrent.futures.process import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import connection
from typing import Any, Generic, TypeVar

from survey.errors import JobError, SurveyError

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_PRELOADED = ["pipelines.engine.warm"]
AHEAD = "SURVEY_LOADED_AHEAD"
"""Environment variable that tells the server which model to load, JSON."""
_BACK_OFF_S = 0.25
_LONGEST_BACK_OFF_S = 10.0
IN_FLIGHT_PER_WORKER = 2
_MOST_WAITING = 256
"""Tasks that wait to be tried again; while there are as many, none is begun: where all fails, memory stays small."""
_HOPELESS = 24
"""Deaths of workers before the first task is done, from which it is not the tasks that kill them."""
_CLUSTER_TIMEOUT_S = 20
_STARTING_AGAIN_S = (0.0, 0.1, 0.5, 2.0)

LIMITS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "GDAL_NUM_THREADS": "1",
    "GDAL_CACHEMAX": "24",  # MB, a row of blocks; the default is a share of the machine's memory, for every process
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "1",
}
"""Environment of workers: one thread each, bounded caches, patient networks. What the user has set stands."""


@dataclass(frozen=True)
class Pool:
    """Where work is done.

    Attributes
    ----------
    workers : int
    cluster : str, optional
        Address of a Dask scheduler.
    start_method : str, optional
        Of local processes; default ``forkserver`` where there is one, else ``spawn``.
    """

    workers: int
    cluster: str | None = None
    start_method: str | None = None


@dataclass(frozen=True)
class Outcome(Generic[T, R]):
    """What became of one task: a result, or the reason it has none."""

    task: T
    result: R | None
    reason: str
    attempts: int


@dataclass(frozen=True)
class _Failure:
    """What a task raised, in words; with its trace where that was not foreseen."""

    reason: str
    trace: str = ""


class _Inline(Executor):
    """Runs what it is given at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            # Whatever it is, it belongs to the future, as in any executor.
            future.set_exception(error)
        return future


def set_limits() -> None:
    """Put :data:`LIMITS` into this process's environment, for itself and the workers it starts."""
    for name, value in LIMITS.items():
        os.environ.setdefault(name, value)


@contextmanager
def open_executor(pool: Pool) -> Iterator[Callable[[], Executor]]:
    """Yield a function that gives an executor, and a fresh one after the last broke.

    Raises
    ------
    JobError
        The cluster cannot be reached.
    """
    set_limits()
    if pool.cluster is not None:
        with _cluster(pool.cluster) as executor:
            yield lambda: executor
        return
    if pool.workers == 1 and pool.start_method is None:
        yield _Inline
        return
    opened: list[ProcessPoolExecutor] = []

    def fresh() -> Executor:
        while opened:
            opened.pop().shutdown(wait=False, cancel_futures=True)
        opened.append(_processes(pool))
        return opened[-1]

    try:
        yield fresh
    finally:
        while opened:
            opened.pop().shutdown(wait=True, cancel_futures=True)


def begin_loading(ahead: Mapping[str, Any]) -> None:
    """Start the server that workers are forked from: it loads libraries and model while this process loads its own.

    Parameters
    ----------
    ahead : mapping
        What :mod:`pipelines.engine.warm` loads the model of: ``job``, a job file; or ``model``, a path or None, and
        ``roles``, the band roles of the imagery.
    """
    if _default_method() == "forkserver":
        from multiprocessing import forkserver

        os.environ[AHEAD] = json.dumps(dict(ahead))
        multiprocessing.get_context("forkserver").set_forkserver_preload(_PRELOADED)
        forkserver.ensure_running()


def _processes(pool: Pool) -> ProcessPoolExecutor:
    method = pool.start_method or _default_method()
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(_PRELOADED)
    return ProcessPoolExecutor(pool.workers, mp_context=context, initializer=_become_worker)


def _default_method() -> str:
    return "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def _become_worker() -> None:
    """Leave signals to the coordinator, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError as error:
        raise JobError(
            "--cluster needs the extra `cluster`: install the package again with `pip install '.[cluster]'`."
        ) from error
    try:
        client: Any = Client(address, timeout=_CLUSTER_TIMEOUT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise JobError(
            f"No Dask scheduler answers at {address} ({error}). Start one with `dask scheduler`, or leave --cluster "
            "out."
        ) from error
    with client:
        # The executor's own retries are off: run_all counts attempts itself.
        yield client.get_executor(pure=False, retries=0)


def run_all(
    pool: Pool,
    function: Callable[[T], R],
    tasks: Iterator[T],
    *,
    retries: int,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome[T, R]]:
    """Yield the outcome of every task as it comes.

    Parameters
    ----------
    pool : Pool
    function : callable
        Top-level function; it and its tasks are sent to workers.
    tasks : iterator
        Read as workers need it, never far ahead.
    retries : int
        How often a task that failed is tried again, with growing pauses. A task whose worker died is tried
        again alone: only a task that kills a worker all by itself is charged with it.
    stop : callable
        Asked between tasks; once true, nothing new is begun and what is in hand is finished.
    """
    with open_executor(pool) as fresh:
        yield from _Rounds(fresh, function, retries, pool).run(tasks, stop)


class _Rounds(Generic[T, R]):
    """The queue of one job: what is in flight, waits to be tried again, or has to be tried alone."""

    def __init__(self, fresh: Callable[[], Executor], function: Callable[[T], R], retries: int, pool: Pool) -> None:
        self._fresh, self._function, self._retries = fresh, function, retries
        self._executor = fresh()
        self._room = 1 if isinstance(self._executor, _Inline) else IN_FLIGHT_PER_WORKER * pool.workers
        self._flying: dict[Future[R | _Failure], tuple[T, int]] = {}
        self._again: list[tuple[float, int, T, int]] = []
        self._alone: deque[tuple[T, int]] = deque()
        self._suspect: Future[R | _Failure] | None = None
        self._serial = 0
        self._deaths: int | None = 0  # None once a task has ended in its worker

    def run(self, tasks: Iterator[T], stop: Callable[[], bool]) -> Iterator[Outcome[T, R]]:
        while True:
            stopped = stop()
            crowded = bool(self._alone) or self._suspect in self._flying
            while not stopped and not crowded and len(self._flying) < self._room:
                due = self._due()
                if due is None and len(self._again) < _MOST_WAITING:
                    due = next(((task, 1) for task in tasks), None)
                if due is None:
                    break
                self._submit(*due)
                stopped = stop()
            if not stopped and self._alone and not self._flying:
                self._suspect = self._submit(*self._alone.popleft())
            if self._flying:
                yield from self._collect()
            elif stopped or not (self._again or self._alone):
                return
            elif self._again and not self._alone:
                time.sleep(min(0.2, max(0.0, self._again[0][0] - time.monotonic())))

    def _due(self) -> tuple[T, int] | None:
        if self._again and self._again[0][0] <= time.monotonic():
            _, _, task, attempt = heapq.heappop(self._again)
            return task, attempt
        return None

    def _submit(self, task: T, attempt: int) -> Future[R | _Failure]:
        for pause in _STARTING_AGAIN_S:
            try:
                future = self._executor.submit(_guarded, self._function, task)
                break
            except (BrokenExecutor, EOFError, ConnectionError) as error:
                # The pool broke, or the server that workers are forked from was killed and is not yet gone.
                log.warning("Workers are started again (%s).", type(error).__name__)
                time.sleep(pause)
                self._executor = self._fresh()
        else:
            future = self._executor.submit(_guarded, self._function, task)
        self._flying[future] = (task, attempt)
        return future

    def _collect(self) -> Iterator[Outcome[T, R]]:
        pause = 0.2 if self._again else 1.0
        done, _ = wait(self._flying, timeout=pause, return_when=FIRST_COMPLETED)
        company = len(self._flying)
        broken = False
        for future in sorted(done, key=lambda one: list(self._flying).index(one)):
            task, attempt = self._flying.pop(future)
            try:
                result = future.result()
            except (BrokenExecutor, CancelledError) as error:
                broken = True
                yield from self._died(task, attempt, company, error)
            except Exception as error:
                if _is_killed_worker(error):
                    yield from self._died(task, attempt, 1, error)
                else:
                    yield from self._failed(task, attempt, _failure(error).reason)
            else:
                self._deaths = None
                if not isinstance(result, _Failure):
                    yield Outcome(task, result, "", attempt)
                    continue
                if result.trace:
                    log.error("A tile failed in a way that was not foreseen.\n%s", result.trace)
                yield from self._failed(task, attempt, result.reason)
        if broken:
            # Every other task of a broken pool is lost with it, guilty or not.
            for task, attempt in self._flying.values():
                self._alone.append((task, attempt))
            self._flying.clear()
            self._executor = self._fresh()

    def _died(self, task: T, attempt: int, company: int, error: BaseException) -> Iterator[Outcome[T, R]]:
        log.warning("A worker died (%s); its tiles are tried again.", type(error).__name__)
        if self._deaths is not None:
            self._deaths += 1
            if self._deaths >= _HOPELESS:
                raise JobError(
                    f"Workers ended {self._deaths} times before a single task was done, so this is not the tiles' "
                    "fault. Look at what they printed above; try --workers 1. A script has to run jobs under "
                    'if __name__ == "__main__", for workers read it again.'
                )
        if company > 1:
            self._alone.append((task, attempt))
        elif attempt > self._retries:
            yield Outcome(task, None, "the worker died each time (out of memory, or killed)", attempt)
        else:
            self._alone.append((task, attempt + 1))

    def _failed(self, task: T, attempt: int, reason: str) -> Iterator[Outcome[T, R]]:
        if attempt > self._retries:
            yield Outcome(task, None, reason, attempt)
            return
        self._serial += 1
        pause = min(_LONGEST_BACK_OFF_S, _BACK_OFF_S * 2 ** (attempt - 1))
        heapq.heappush(self._again, (time.monotonic() + pause, self._serial, task, attempt + 1))


def _guarded(function: Callable[[T], R], task: T) -> R | _Failure:
    """Run a task and tell in words what it raised (runs in a worker).

    An exception does not always survive the way to another process, with what caused it: one of a library whose
    arguments are not its own ends the whole pool there.
    """
    _keep_to_one_thread()
    try:
        return function(task)
    except Exception as error:
        return _failure(error)


@cache
def _keep_to_one_thread() -> None:
    """OpenCV does not ask the environment; a worker of a cluster, or the only one, is asked for one core, too."""
    import cv2

    cv2.setNumThreads(1)


def _failure(error: Exception) -> _Failure:
    if isinstance(error, (SurveyError, OSError)):
        return _Failure(" ".join(str(error).split()))
    # A fault of the software: the tile is recorded and passed over all the same, the trace goes to the log.
    reason = f"unforeseen {type(error).__name__}: {' '.join(str(error).split())}"
    return _Failure(reason, "".join(traceback.format_exception(error)))


def _is_killed_worker(error: Exception) -> bool:
    return type(error).__name__ == "KilledWorker"
