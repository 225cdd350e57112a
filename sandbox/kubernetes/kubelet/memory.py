"""Memory limits: a container over its limit is killed, as the kernel's OOM killer would.

Usage is polled, so a container that grows fast overshoots its limit by what it takes within one period.
"""

from __future__ import annotations

import asyncio
import signal

from sandbox.host.memory import usage_bytes
from sandbox.host.process import process_tree
from sandbox.kubernetes.cluster import Cluster

_PERIOD_S = 0.5


async def watch_memory(cluster: Cluster) -> None:
    """Enforces limits.memory of every running container. Runs for ever."""
    while True:
        tree = process_tree()
        for pod in list(cluster.pods.values()):
            for status in pod.statuses.values():
                limit, container = status.spec.resources.limits.memory_bytes, status.runtime
                if limit is None or container is None or not container.running:
                    continue
                used = usage_bytes(container, tree, limit)
                if used > limit:
                    status.kill_reason = "OOMKilled"
                    message = f"container {status.spec.name} uses {used} bytes of memory, its limit is {limit}"
                    cluster.event(pod.subject, "OOMKilling", message)
                    container.signal(signal.SIGKILL)
        await asyncio.sleep(_PERIOD_S)
