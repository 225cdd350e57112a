"""The cluster of `make bench-resize`: eight masters on loopback, four of which own all slots, and what they hold."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from sandbox.host.servers import ServerProgram
from tests.reconciler.servers import Fleet

SHARDS = 4
_POLL_S = 0.002
_FILL_AT_ONCE = 1000


@dataclass(frozen=True)
class Workload:
    values: int
    value_bytes: int

    @property
    def title(self) -> str:
        return f"{self.values:,} values of {self.value_bytes:,} bytes"


FEW_LARGE = Workload(2_000, 1_000_000)
MANY_SMALL = Workload(200_000, 1_000)


class Pinger(threading.Thread):
    """Asks one server again and again, and remembers the longest wait."""

    def __init__(self, ip: str) -> None:
        super().__init__(daemon=True)
        self._ip = ip
        self._ended = threading.Event()
        self.longest_s = 0.0

    def run(self) -> None:
        # Under a name of the reconciler's, or the mover would wait for this client to meet the targets.
        with Redis(self._ip, socket_timeout=30, client_name="reconciler-bench") as client:
            while not self._ended.wait(_POLL_S):
                began = time.perf_counter()
                try:
                    client.ping()
                except RedisError:
                    return
                self.longest_s = max(self.longest_s, time.perf_counter() - began)

    def end(self) -> float:
        self._ended.set()
        self.join(30)
        return self.longest_s * 1000


def names(prefix: str) -> list[str]:
    return [f"{prefix}-master-{shard}" for shard in range(SHARDS)]


def settled(fleet: Fleet) -> bool:
    """Whether no two masters have one config epoch, and all know all: the way before has raised some, and nodes settle
    that by their pings, which at this node timeout takes seconds. And whether all serve, and what was moved is gone
    where it was."""
    epochs = {server.ip: server.myself.config_epoch for server in fleet.servers.values()}
    known = [{ip: row.config_epoch for ip, row in server.entries().items()} for server in fleet.servers.values()]
    agreed = all(table == epochs for table in known) and len(set(epochs.values())) == len(epochs)
    serving = all(b"cluster_state:ok" in server.call("CLUSTER", "INFO") for server in fleet.servers.values())
    return (
        agreed
        and serving
        and not any(server.call("DBSIZE") for server in fleet.servers.values() if not server.myself.slots)
    )


def form(fleet: Fleet, folder: Path) -> None:
    """The first four own all slots, the second four are members without any."""
    for prefix in ("first", "second"):
        for pod in names(prefix):
            fleet.add(pod, "--maxmemory", "900mb", "--cluster-node-timeout", "15000")
    file = folder / "form.json"
    file.write_text(json.dumps(fleet.topology(SHARDS, prefix="first", nodeTimeoutMs=15000)))
    child = fleet.spawn("form", file)
    output, _ = child.communicate(timeout=90)
    if child.returncode != 0:
        raise RuntimeError(f"form failed: {output[-1000:]}")
    first = fleet.servers["first-master-0"]
    for pod in names("second"):
        first.call("CLUSTER", "MEET", fleet.servers[pod].ip, 6379)
    end = time.monotonic() + 30
    while not all(len(server.entries()) == 2 * SHARDS for server in fleet.servers.values()):
        if time.monotonic() > end:
            raise RuntimeError("the second four did not join")
        time.sleep(0.1)


def fill(fleet: Fleet, workload: Workload) -> None:
    # Incompressible, as images are; the mover and redis-cli send values as they are anyway.
    value = os.urandom(workload.value_bytes)
    at_once = max(1, min(_FILL_AT_ONCE, 4_000_000 // workload.value_bytes))
    with fleet.client() as client:
        for start in range(0, workload.values, at_once):
            pipeline = client.pipeline()
            for index in range(start, min(workload.values, start + at_once)):
                pipeline.set(f"image:{index}", value)
            pipeline.execute()


@contextmanager
def formed(server: ServerProgram, workload: Workload, folder: Path) -> Iterator[Fleet]:
    fleet = Fleet(server.path)
    try:
        form(fleet, folder)
        fill(fleet, workload)
        yield fleet
    finally:
        fleet.close()
