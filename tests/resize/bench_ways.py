"""The ways of moving all slots that `make bench-resize` compares, from one half of its servers to the other."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from reconciler.observe.native_jobs import NativeWay, native_way, read_jobs
from reconciler.slots import count, ranges, take
from sandbox.host.servers import ServerProgram
from tests.reconciler.servers import Fleet, eventually
from tests.resize.bench_cluster import SHARDS, names

LONGEST_S = 600

REDIS_CLI = "redis-cli --cluster rebalance"
SENT = "mover, copy: it sends the keys"
ALONE = "the servers alone, in one job each"
CHOSEN = "mover, copy: it lets the servers"
EXPIRE = "mover, expire: no keys"

_MOVED_IN = re.compile(r" move: .* in ([\d.]+) s$", re.MULTILINE)
_BLOCK = re.compile(r"longest block (\d+) ms")


def moves_slots_itself(program: ServerProgram) -> bool:
    return native_way({f"{program.engine}_version": ".".join(map(str, program.version))}) is not None


def by_redis_cli(fleet: Fleet, source: str) -> None:
    weights = [f"{fleet.servers[pod].myself.node_id}=0" for pod in names(source)]
    address = f"{fleet.servers[f'{source}-master-0'].ip}:6379"
    command = ["redis-cli", "--cluster", "rebalance", address, "--cluster-use-empty-masters", "--cluster-weight"]
    done = subprocess.run([*command, *weights], capture_output=True, text=True, timeout=LONGEST_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"redis-cli --cluster rebalance failed: {done.stdout[-500:]}{done.stderr[-500:]}")


def by_reconciler(
    fleet: Fleet, folder: Path, source: str, target: str, module: str = "reconciler", **move: object
) -> str:
    """Runs the form phase towards one half of the servers; its output."""
    file = folder / f"{target}.json"
    seed = fleet.servers[names(source)[0]].ip
    topology = fleet.topology(SHARDS, prefix=target, seeds=[seed], move=move, nodeTimeoutMs=15000)
    file.write_text(json.dumps(topology | {"deadlineSeconds": LONGEST_S}))
    child = fleet.spawn("form", file, module=module)
    output, _ = child.communicate(timeout=LONGEST_S + 10)
    if child.returncode != 0:
        raise RuntimeError(f"form failed: {output[-1000:]}")
    return output


def moving_seconds(output: str) -> float:
    """What of a run's time it moved slots, from the first question about them to the end of the last job."""
    return sum(map(float, _MOVED_IN.findall(output)))


def longest_block_ms(output: str) -> float:
    return max(map(float, _BLOCK.findall(output)), default=0.0)


def by_servers(fleet: Fleet, way: NativeWay, source: str, target: str) -> None:
    """All slots of each source to a target of its own. The last one goes by itself, or a source would become the
    replica of its target."""
    pairs = [
        (fleet.servers[one], fleet.servers[other]) for one, other in zip(names(source), names(target), strict=True)
    ]
    slots = {one.ip: one.myself.slots for one, _ in pairs}
    first = {ip: take(owned, count(owned) - 1) for ip, owned in slots.items()}
    for part in (first, {ip: owned & ~first[ip] for ip, owned in slots.items()}):
        for one, other in pairs:
            bounds = [bound for pair in ranges(part[one.ip]) for bound in pair]
            if way is NativeWay.MIGRATION:
                other.call("CLUSTER", "MIGRATION", "IMPORT", *bounds)
            else:
                one.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *bounds, "NODE", other.myself.node_id)
        for one, other in pairs:
            judge = other if way is NativeWay.MIGRATION else one
            eventually(lambda judge=judge: read_jobs(way, judge.call(*way.value), 0)[0].is_done, LONGEST_S)
            # A source that heard of both jobs at once would become the replica of its target, too.
            eventually(lambda one=one, gone=part[one.ip]: not one.myself.slots & gone, LONGEST_S)
