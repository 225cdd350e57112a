"""How much memory the processes of a container use.

There is no memory cgroup to ask, because none may be left behind: the figures of the processes are added up.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sandbox.host.container import RunningContainer
from sandbox.host.process import descendants

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def usage_bytes(container: RunningContainer | None, tree: Mapping[int, Sequence[int]], limit: int | None = None) -> int:
    """Memory of all processes of a container; pages that a forked child shares count once, as a cgroup counts them.

    The exact figure is dear to read, so the sum of the resident sizes stands in for it where that is below `limit`.
    """
    if container is None or not container.running:
        return 0
    pids = [container.pid, *descendants(container.pid, tree)]
    resident = sum(_resident(pid) for pid in pids)
    if len(pids) == 1 or (limit is not None and resident <= limit):
        return resident
    return sum(_proportional(pid) for pid in pids)


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    return 0


def _proportional(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def oom_score(pid: int) -> int:
    """What the kernel goes by when it chooses whom to end for memory; the highest goes first. 0 for one that ended."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/oom_score").read_text())
    return 0


def ended_for_memory(pids: Sequence[int], score: Callable[[int], int] = oom_score) -> int:
    """Which of a container's processes the kernel ends, given from the oldest to the youngest. Of equals it is the
    youngest (mm/oom_kill.c, oom_evaluate_task): a child that was forked a moment ago is as large as its parent."""
    return max(reversed(pids), key=score)
