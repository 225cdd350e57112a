"""`make bench-engines`: what a server of another version or engine changes, all servers of this machine in one run.

Memory beside the value of a key, processor time of a request, time of a failover, and what a move of slots takes of
both sides. Processor time is the servers' own, as the kernel counts it, so that other work counts little.
The servers take turns, and each figure is shown beside that of the first.

python -m tests.bench.engines [--write docs/engines-measured.md]
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

from redis.crc import key_slot

from components.plan.working_set import size_class_bytes
from reconciler.slots import SLOT_COUNT
from sandbox.host.servers import ServerProgram, servers
from tests.reconciler.servers import Fleet, Server
from tests.resize import bench_ways as ways
from tests.resize.bench_cluster import FEW_LARGE, formed, names

ROUNDS = 7
NODE_TIMEOUT_MS = 5_000
FAILOVERS = 3
FAILOVER_WITHIN_S = 60
MEGABYTE, KILOBYTE = 1_000_000, 1_000
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_POLL_S = 0.02


@dataclass(frozen=True)
class Request:
    """What redis-benchmark asks for, how often in a round, and over how many connections. A GET asks for what the SET
    before it has written."""

    name: str
    value_bytes: int
    number: int
    connections: int

    @property
    def title(self) -> str:
        return f"{self.name.upper()} of {'1 MB' if self.value_bytes == MEGABYTE else '1 kB'}"


REQUESTS = (
    Request("set", MEGABYTE, 1_000, 8),
    Request("get", MEGABYTE, 2_000, 8),
    Request("set", KILOBYTE, 100_000, 32),
    Request("get", KILOBYTE, 100_000, 32),
)


HELD_BYTES = 100
HELD_KEYS = 100_000
"""Keys with the TTL that images have, in one slot, and then one in each slot: Redis 8 keeps statistics of each slot."""


@dataclass(frozen=True)
class Moved:
    """Processor time that a megabyte takes, in milliseconds."""

    source_ms: float
    source_child_ms: float
    """Of the source's child processes. They have a core of their own where the pod may use one."""
    target_ms: float


def processor_s(server: Server) -> tuple[float, float]:
    """Of the server's threads, and of its children that have ended, since it started."""
    assert server.process is not None
    process = Path(f"/proc/{server.process.pid}")
    own = sum(int(task.read_text().split()[0]) for task in process.glob("task/*/schedstat")) / 1e9
    fields = process.joinpath("stat").read_text().rpartition(")")[2].split()
    return own, sum(map(int, fields[13:15])) / _TICKS_PER_SECOND


def microseconds(server: Server, request: Request) -> float:
    """Processor time of one request."""
    before, _ = processor_s(server)
    asked = ["-t", request.name, "-n", str(request.number), "-d", str(request.value_bytes)]
    subprocess.run(
        ["redis-benchmark", "-h", server.ip, "-p", str(server.port), "-q", "-c", str(request.connections), *asked],
        stdout=subprocess.DEVNULL,
        timeout=300,
        check=True,
    )
    after, _ = processor_s(server)
    return (after - before) / request.number * 1e6


def grows_by(server: Server, names: Sequence[str]) -> float:
    """Bytes for each of these keys, with a value and a TTL."""
    server.call("FLUSHALL", "SYNC")
    before = int(str(server.info("memory")["used_memory"]))
    with server.client as client:
        for start in range(0, len(names), 1_000):
            pipeline = client.pipeline(transaction=False)
            for name in names[start : start + 1_000]:
                pipeline.set(name, b"x" * HELD_BYTES, ex=3_600)
            pipeline.execute()
    after = int(str(server.info("memory")["used_memory"]))
    server.call("FLUSHALL", "SYNC")
    return (after - before) / len(names)


def beside_values(server: Server) -> tuple[float, float]:
    """Bytes that a key takes beside its value, and those that a slot takes beside its keys."""
    key = grows_by(server, [f"{{image}}:{index:032d}" for index in range(HELD_KEYS)])
    in_slots: dict[int, str] = {}
    for index in itertools.count():
        name = f"image:{index:033d}"
        in_slots.setdefault(key_slot(name.encode()), name)
        if len(in_slots) == SLOT_COUNT:
            break
    return key - size_class_bytes(HELD_BYTES), grows_by(server, list(in_slots.values())) - key


@contextmanager
def alone(programs: Sequence[ServerProgram]) -> Iterator[list[Server]]:
    """A server of each, which owns all slots."""
    with ExitStack() as stack:
        started = []
        for program in programs:
            fleet = Fleet(program.path)
            stack.callback(fleet.close)
            server = fleet.add("redis-master-0", "--maxmemory", "600mb")
            server.call("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
            started.append(server)
        time.sleep(2)
        yield started


def failovers(program: ServerProgram) -> list[float]:
    """Seconds from the death of a master until its replica serves in its place, of each of three shards in turn."""
    fleet, found = Fleet(program.path), []
    try:
        fleet.formed(FAILOVERS, "--cluster-node-timeout", str(NODE_TIMEOUT_MS))
        for shard in range(FAILOVERS):
            replica = fleet.servers[f"redis-replica-{shard}"]
            fleet.servers[f"redis-master-{shard}"].kill()
            began = time.monotonic()
            while replica.info("replication")["role"] != "master":
                if time.monotonic() - began > FAILOVER_WITHIN_S:
                    raise RuntimeError(f"{program.title}: no failover within {FAILOVER_WITHIN_S} s")
                time.sleep(_POLL_S)
            found.append(time.monotonic() - began)
        return found
    finally:
        fleet.close()


def moved(program: ServerProgram, natively: bool) -> Moved:
    """2 GB of 1 MB values, from four masters to four others."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-engines-") as folder,
        formed(program, FEW_LARGE, Path(folder)) as fleet,
    ):
        ends = [[fleet.servers[pod] for pod in names(prefix)] for prefix in ("first", "second")]
        before = [[processor_s(server) for server in side] for side in ends]
        ways.by_reconciler(
            fleet, Path(folder), "first", "second", "reconciler" if natively else "tests.resize.without_native"
        )
        after = [[processor_s(server) for server in side] for side in ends]
    sums = [
        [sum(new[part] - old[part] for new, old in zip(late, early, strict=True)) for part in (0, 1)]
        for late, early in zip(after, before, strict=True)
    ]
    megabytes = FEW_LARGE.values * FEW_LARGE.value_bytes / 1e6
    (source, child), (target, _) = sums
    return Moved(source / megabytes * 1000, child / megabytes * 1000, target / megabytes * 1000)


def table(title: str, columns: Sequence[str], rows: dict[str, Sequence[str]]) -> list[str]:
    widths = [max(len(column), *(len(row[index]) for row in rows.values())) for index, column in enumerate(columns)]
    lines = ["", f"{title:38}" + "".join(f"  {column:>{width}}" for column, width in zip(columns, widths, strict=True))]
    for name, row in rows.items():
        lines.append(f"  {name:36}" + "".join(f"  {cell:>{width}}" for cell, width in zip(row, widths, strict=True)))
    return lines


def requests_and_memory(programs: Sequence[ServerProgram]) -> Iterator[list[str]]:
    titles = [program.title for program in programs]
    with alone(programs) as started:
        found = [beside_values(server) for server in started]
        rows = {
            "a key, with a name of 40 bytes": [f"{key:,.0f}" for key, _ in found],
            "a slot that has keys": [f"{slot:,.0f}" for _, slot in found],
            "allocator": [str(server.info("memory")["mem_allocator"]).partition("-")[0] for server in started],
        }
        yield table("bytes beside the values", titles, rows)
        times: dict[Request, list[list[float]]] = {request: [[] for _ in started] for request in REQUESTS}
        for _ in range(ROUNDS):
            for size in (MEGABYTE, KILOBYTE):
                for index, server in enumerate(started):
                    for request in REQUESTS:
                        if request.value_bytes == size:
                            times[request][index].append(microseconds(server, request))
    rows = {}
    for request, by_server in times.items():
        # Each round beside that of the first server: the machine is not the same for long.
        ratios = [median(mine / first for mine, first in zip(each, by_server[0], strict=True)) for each in by_server]
        rows[f"{request.title}, us"] = [f"{median(each):,.1f}" for each in by_server]
        rows[f"{request.title}, beside the first"] = [f"{ratio:.2f}" for ratio in ratios]
    yield table("processor time of a request", titles, rows)


def waits_and_moves(programs: Sequence[ServerProgram]) -> Iterator[list[str]]:
    titles = [program.title for program in programs]
    each = [failovers(program) for program in programs]
    rows: dict[str, Sequence[str]] = {"longest of three": [f"{max(found):.1f}" for found in each]}
    rows["shortest of three"] = [f"{min(found):.1f}" for found in each]
    yield table("seconds until a replica has taken over", titles, rows)
    columns = ("source", "its children", "target")
    rows = {}
    for program in programs:
        for natively in (False, True) if ways.moves_slots_itself(program) else (False,):
            found = moved(program, natively)
            name = f"{program.title}, {'by the servers' if natively else 'by the mover'}"
            rows[name] = [f"{value:.2f}" for value in (found.source_ms, found.source_child_ms, found.target_ms)]
    yield table("processor time of moving 1 MB, ms", columns, rows)


PAGE = """# Servers, measured side by side

Written by `make bench-engines WRITE=docs/engines-measured.md` from one run.

```
{printed}
```

- **Servers.** Three come with `make up`, and three more with `make servers`.
- **Memory** is what `used_memory` grows by for each key with a TTL, less its value: {keys:,} keys in one slot, and then
  one key in each of {slots:,} slots. Official images have jemalloc.
- **Processor time** is the server's own, as the kernel counts it. The servers take turns, {rounds} times. The ratio is
  that to the first server in the same round, the median.
- **A failover** is of a killed master with a node timeout of {timeout:g} s.
- **Moving** is 2 GB of 1 MB values from four masters to four others. Where servers move slots themselves, a child of
  the source sends them.
- **Where.** One machine of {cores} processors, which other programs may have used. Ratios carry over, absolute figures
  do not.
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engines", description="Compares servers.")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a page of what was measured")
    options = parser.parse_args()
    printed = [f"SERVERS SIDE BY SIDE, {date.today().isoformat()}: {os.cpu_count()} processors"]
    print(printed[0], flush=True)
    for part in (requests_and_memory, waits_and_moves):
        for lines in part(servers()):
            printed.extend(lines)
            print(*lines, sep="\n", flush=True)
    if options.write is not None:
        text = "\n".join(printed)
        page = PAGE.format(
            printed=text,
            rounds=ROUNDS,
            keys=HELD_KEYS,
            slots=SLOT_COUNT,
            timeout=NODE_TIMEOUT_MS / 1000,
            cores=os.cpu_count(),
        )
        options.write.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
