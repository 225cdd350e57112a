"""Memory limits: a container over its limit is killed, as the kernel's OOM killer would.

Without a memory cgroup (none may be left behind) usage is polled, so a fast growth overshoots by half a second's
worth. Shared pages of a forked child count once, as a cgroup counts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.errors import known
from sandbox.host.process import descendants, process_tree
from sandbox.kubernetes.cluster import Cluster, ContainerStatus, Pod

_PERIOD_S = 0.5
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


async def watch_memory(cluster: Cluster) -> None:
    """Enforces limits.memory of every running container. Runs for ever."""
    while True:
        tree = process_tree()
        for pod in list(cluster.pods.values()):
            for status in pod.statuses.values():
                limit = status.spec.resources.limits.memory_bytes
                if limit is None or status.runtime is None or not status.runtime.running:
                    continue
                used = usage_bytes(status, tree, limit)
                if used > limit:
                    _kill(cluster, pod, status, used, limit)
        await asyncio.sleep(_PERIOD_S)


def _kill(cluster: Cluster, pod: Pod, status: ContainerStatus, used: int, limit: int) -> None:
    status.kill_reason = "OOMKilled"
    message = f"container {status.spec.name} uses {used} bytes of memory, its limit is {limit}"
    cluster.event(pod.subject, "OOMKilling", message)
    known(status.runtime, "only running containers are looked at").signal(signal.SIGKILL)


def usage_bytes(status: ContainerStatus, tree: Mapping[int, Sequence[int]], limit: int | None = None) -> int:
    """Memory of all processes of a container. Resident sizes are summed; only when they come near the limit is the
    dearer, exact figure (each shared page once) read."""
    if status.runtime is None or not status.runtime.running:
        return 0
    pids = [status.runtime.pid, *descendants(status.runtime.pid, tree)]
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
