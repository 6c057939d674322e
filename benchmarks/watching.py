"""``survey run`` in a process of its own, seen from outside: when its phases begin, and what memory it holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).parents[1]
MIB = 2**20
EVERY_S = 0.25


@dataclass(frozen=True)
class Sample:
    """One look at a running job: bytes and handles of the coordinator, and of all processes together."""

    phase: str
    tiles: int
    rss: int
    pss: int
    own: int
    handles: int
    own_handles: int


@dataclass
class Watched:
    """A run as seen from outside."""

    samples: list[Sample] = field(default_factory=list)
    phase: str = "opening"
    tiles: int = 0
    planned: int = 0
    objects: int = 0
    begun_s: float = 0.0
    last_tile_s: float = 0.0
    seconds: float = 0.0
    exit_code: int = -1

    @property
    def pixels_s(self) -> float:
        """Seconds of the pixel plane: from tiles laid out to the last one recorded.

        By then the model is built and samples of the ground are looked at, which belongs to the opening.
        """
        return self.last_tile_s - self.begun_s

    def peak(self, what: str, phase: str = "pixels") -> float:
        """Largest value of one attribute in a phase."""
        return max((getattr(one, what) for one in self.samples if one.phase == phase), default=0)

    def at(self, share: float, what: str) -> float:
        """Median of one attribute over looks near a share of the tiles that were surveyed."""
        near = [one for one in self.samples if one.phase == "pixels" and abs(one.tiles / self.tiles - share) <= 0.04]
        return float(np.median([getattr(one, what) for one in near])) if near else float("nan")


def look(process: psutil.Process, watched: Watched) -> None:
    """Add one sample; processes that end meanwhile are left out of it."""
    rss = pss = handles = own = own_handles = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            memory, open_now = one.memory_full_info(), one.num_fds()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        rss, pss, handles = rss + memory.rss, pss + memory.pss, handles + open_now
        if one.pid == process.pid:
            own, own_handles = memory.rss, open_now
    watched.samples.append(Sample(watched.phase, watched.tiles, rss, pss, own, handles, own_handles))


def run(
    job: Path,
    workers: int,
    on_tile: Callable[[int, psutil.Process], None] = lambda number, process: None,
    *,
    every_s: float | None = EVERY_S,
) -> Watched:
    """Run a job to its end, or until ``on_tile`` stops it, and look at its memory all the while.

    Looking takes time from the run: with ``every_s`` None only the events that it prints are timed.
    """
    watched, start = Watched(), time.monotonic()
    command = [sys.executable, "-m", "pipelines.cli", "run", str(job), "--workers", str(workers), "--json"]
    # Installed modules are compiled; here they are once a run has been, unless Python is told not to keep them.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(ROOT)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        seen = psutil.Process(process.pid)
        ended = threading.Event()

        def keep_looking() -> None:
            while not ended.wait(every_s):
                try:
                    look(seen, watched)
                except psutil.NoSuchProcess:
                    return

        looking = threading.Thread(target=keep_looking)
        if every_s is not None:
            looking.start()
        for line in process.stdout or ():
            said = json.loads(line)
            if said["event"] == "begun":
                watched.phase, watched.planned, watched.begun_s = "pixels", said["tiles"], time.monotonic() - start
            elif said["event"] == "tile":
                watched.tiles += 1
                watched.last_tile_s = time.monotonic() - start
                watched.objects = said["objects"]
                on_tile(watched.tiles, seen)
                if said["fraction"] >= 1:
                    watched.phase = "maps"
        ended.set()
        if looking.ident is not None:
            looking.join()
    watched.exit_code, watched.seconds = process.returncode, time.monotonic() - start
    return watched
