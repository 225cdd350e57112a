"""`make bench-resize`: 2 GB of 1 MB values from 4 masters to 4 others, by redis-cli and by the reconciler's mover.

Real redis-servers on loopback, one thread each, without replicas. The values move to the second four by `redis-cli
--cluster rebalance`, back by *copy*, and, without being copied, forth again by *expire*.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from reconciler.slots import SLOT_COUNT
from tests.reconciler.servers import Fleet, eventually

SHARDS = 4
VALUES = 2_000
VALUE_BYTES = 1_000_000
LONGEST_S = 240
_POLL_S = 0.002


@dataclass(frozen=True)
class Row:
    way: str
    seconds: float
    keys_kept: int
    longest_block_ms: float
    """The longest a source let a PING wait."""

    @property
    def mb_per_second(self) -> float:
        return VALUES * VALUE_BYTES / 1e6 / self.seconds


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
    that by their pings, which at this node timeout takes seconds."""
    epochs = {server.ip: server.myself.config_epoch for server in fleet.servers.values()}
    known = [{ip: row.config_epoch for ip, row in server.entries().items()} for server in fleet.servers.values()]
    return all(table == epochs for table in known) and len(set(epochs.values())) == len(epochs)


def measured(fleet: Fleet, way: str, source: str, move: Callable[[], None]) -> Row:
    eventually(lambda: settled(fleet), 30)
    pinger = Pinger(fleet.servers[f"{source}-master-0"].ip)
    pinger.start()
    began = time.monotonic()
    move()
    seconds = time.monotonic() - began
    kept = sum(int(server.call("DBSIZE")) for pod, server in fleet.servers.items() if not pod.startswith(source))
    return Row(way, seconds, kept, pinger.end())


def by_redis_cli(fleet: Fleet) -> None:
    weights = [f"{fleet.servers[pod].myself.node_id}=0" for pod in names("first")]
    address = f"{fleet.servers['first-master-0'].ip}:6379"
    command = ["redis-cli", "--cluster", "rebalance", address, "--cluster-use-empty-masters", "--cluster-weight"]
    done = subprocess.run([*command, *weights], capture_output=True, text=True, timeout=LONGEST_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"redis-cli --cluster rebalance failed: {done.stdout[-500:]}{done.stderr[-500:]}")


def by_reconciler(fleet: Fleet, folder: Path, target: str, **move: object) -> str:
    """Runs the form phase towards one half of the servers; its output."""
    file = folder / f"{target}.json"
    seed = fleet.servers[names("second" if target == "first" else "first")[0]].ip
    topology = fleet.topology(SHARDS, prefix=target, seeds=[seed], move=move, nodeTimeoutMs=15000)
    file.write_text(json.dumps(topology | {"deadlineSeconds": LONGEST_S}))
    child = fleet.spawn("form", file)
    output, _ = child.communicate(timeout=LONGEST_S + 10)
    if child.returncode != 0:
        raise RuntimeError(f"form failed: {output[-1000:]}")
    return output


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


def fill(fleet: Fleet) -> None:
    # Incompressible, as images are; the mover and redis-cli send values as they are anyway.
    value = os.urandom(VALUE_BYTES)
    with fleet.client() as client:
        for index in range(VALUES):
            client.set(f"image:{index}", value)


def main() -> int:
    fleet = Fleet()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-resize-") as text:
            folder = Path(text)
            form(fleet, folder)
            fill(fleet)
            rows = [
                measured(fleet, "redis-cli --cluster rebalance", "first", lambda: by_redis_cli(fleet)),
            ]
            said: list[str] = []
            rows.append(
                measured(fleet, "mover, copy", "second", lambda: said.append(by_reconciler(fleet, folder, "first")))
            )
            rows.append(
                measured(
                    fleet,
                    "mover, expire (ownership alone)",
                    "first",
                    lambda: said.append(
                        by_reconciler(fleet, folder, "second", mode="expire", extraMissesPerSecond=10**9)
                    ),
                )
            )
    finally:
        fleet.close()
    moves = [line for output in said for line in output.splitlines() if " move: " in line]
    blocks = [float(found) for line in moves for found in re.findall(r"longest block (\d+) ms", line)]
    print(
        f"{VALUES:,} values of {VALUE_BYTES:,} bytes in {SLOT_COUNT:,} slots, from {SHARDS} masters to {SHARDS} others"
    )
    print(f"{os.cpu_count()} processors for {2 * SHARDS} servers and the mover\n")
    print(f"{'':34}{'seconds':>8}{'MB/s':>8}{'keys there':>12}{'longest PING':>14}")
    for row in rows:
        rate = f"{row.mb_per_second:8.0f}" if row.keys_kept else f"{'–':>8}"
        print(f"{row.way:34}{row.seconds:8.1f}{rate}{row.keys_kept:12,}{row.longest_block_ms:11.0f} ms")
    factor = rows[0].seconds / rows[1].seconds
    print(f"\ncopy is {factor:.1f}x as fast as redis-cli (goal: 5x); longest step of the mover {max(blocks):.0f} ms")
    return 0 if factor >= 5 and rows[1].keys_kept == VALUES else 1


if __name__ == "__main__":
    sys.exit(main())
