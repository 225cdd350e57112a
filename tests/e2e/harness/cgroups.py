"""Control groups (v1) of one run, below those this process is in, and their removal.

A control group outlives its processes: everything else of a run ends with its namespaces, this does not. So a sweeper,
a process of its own session, outlives whoever started the run and removes the groups when he is gone, however he went.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_PREFIX = "redis-image-cache-e2e-"
_REMOVE_WITHIN_S = 30.0
_AGAIN_AFTER_S = 0.1
_numbers = itertools.count()


@dataclass(frozen=True)
class Hierarchy:
    """One v1 hierarchy: `options` as mount takes them (`cpu,cpuacct`, `name=systemd`), and this process's place."""

    options: str
    path: str

    @property
    def mount_point(self) -> Path:
        return ROOT / self.options.removeprefix("name=")

    @property
    def own(self) -> Path:
        return self.mount_point / self.path.lstrip("/")


def hierarchies() -> list[Hierarchy]:
    """The v1 hierarchies of this machine that are mounted and can be written to."""
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, options, path = line.split(":", 2)
        hierarchy = Hierarchy(options, path)
        if options and hierarchy.own.is_dir() and os.access(hierarchy.own, os.W_OK):
            found.append(hierarchy)
    return found


def make(name: str) -> list[Path]:
    """Makes a group in every hierarchy, named after this process and `name`; the paths, to enter and to remove.

    No name is used twice: the sweeper of the first would remove the groups of the second.
    """
    name = f"{_PREFIX}{os.getpid()}-{next(_numbers)}-{name}"
    made = []
    for hierarchy in hierarchies():
        group = hierarchy.own / name
        group.mkdir()
        made.append(group)
        # A group without processors or memory nodes takes no process, and a new one has none.
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (group / setting).exists():
                (group / setting).write_text((hierarchy.own / setting).read_text())
    return made


def remove(groups: list[Path]) -> list[Path]:
    """Removes the groups and all below them once their processes have ended; those that would not go are returned."""
    deadline = time.monotonic() + _REMOVE_WITHIN_S
    left = [group for group in groups if group.exists()]
    while left and time.monotonic() < deadline:
        for group in left:
            for directory, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(directory)
        left = [group for group in left if group.exists()]
        if left:
            time.sleep(_AGAIN_AFTER_S)
    return left


def remove_stale() -> None:
    """Removes groups of runs that were killed together with their sweeper."""
    for hierarchy in hierarchies():
        stale = [
            group
            for group in hierarchy.own.glob(f"{_PREFIX}*")
            if not Path(f"/proc/{group.name.removeprefix(_PREFIX).partition('-')[0]}").exists()
        ]
        remove(stale)


def start_sweeper(groups: list[Path]) -> int:
    """Starts the process that removes the groups when this one has ended. Its end is noticed by a pipe that closes.

    Returns the descriptor that keeps the sweeper waiting: closing it, or dying, sets it to work.
    """
    waiting, held = os.pipe()
    if os.fork() == 0:
        try:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            os.close(held)
            os.read(waiting, 1)
            remove(groups)
        finally:
            os._exit(0)
    os.close(waiting)
    return held
