"""How much memory and processor time the processes of a container use.

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
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


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


def cpu_seconds(container: RunningContainer | None, tree: Mapping[int, Sequence[int]]) -> float:
    """Processor time that the processes of a container have used, and those they have waited for the end of."""
    if container is None or not container.running:
        return 0.0
    return sum(_ticks(pid) for pid in [container.pid, *descendants(container.pid, tree)]) / _TICKS_PER_SECOND


def _ticks(pid: int) -> int:
    with contextlib.suppress(OSError):
        # The command name may hold spaces; utime, stime, cutime and cstime are the 12th to 15th field after it.
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return 0


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
