"""`make bench-resize`: every way of moving slots, in one run, for few large values and for many small ones.

Real servers on loopback, one thread each, without replicas: all slots of 4 masters go to 4 others, which have none. On
each server: `redis-cli --cluster rebalance`, the mover that sends the keys, and the mover that sends none. On a server
that moves slots itself also that alone, in one job for each source, and the mover that lets it. These two are what is
compared closely, so they take turns, five times each, and the slots are brought back in between.

python -m tests.resize.bench [--write docs/moving.md]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

from reconciler.observe.native_jobs import NativeWay, native_way
from reconciler.slots import SLOT_COUNT
from sandbox.host.servers import ServerProgram, servers
from tests.reconciler.servers import Fleet, eventually
from tests.resize import bench_ways as ways
from tests.resize.bench_cluster import FEW_LARGE, MANY_SMALL, SHARDS, Pinger, Workload, formed, settled

NATIVE_ROUNDS = 5
GOAL_OVER_REDIS_CLI = 5
OWN_TIME_S = 2.0
"""What a run may take beside moving, however much it moves: its process starts, and it looks at every node before and
after."""
SAME_TIME = 1.1
"""How much longer it may move than the servers alone, as a ratio. Two runs of the servers alone differ by as much."""


@dataclass(frozen=True)
class Row:
    way: str
    seconds: float
    keys_kept: int
    longest_ping_ms: float
    """The longest a source let a PING wait."""
    output: str = ""
    """What the mover said."""

    @property
    def moving_s(self) -> float:
        return ways.moving_seconds(self.output)

    @property
    def own_s(self) -> float:
        return self.seconds - self.moving_s


def measured(fleet: Fleet, way: str, move: Callable[[], str | None], source: str, target: str) -> Row:
    eventually(lambda: settled(fleet), 60)
    pinger = Pinger(fleet.servers[f"{source}-master-0"].ip)
    pinger.start()
    began = time.monotonic()
    output = move()
    seconds = time.monotonic() - began
    kept = sum(int(server.call("DBSIZE")) for pod, server in fleet.servers.items() if pod.startswith(target))
    return Row(way, seconds, kept, pinger.end(), output or "")


def native_rows(fleet: Fleet, way: NativeWay, folder: Path) -> list[Row]:
    """The servers alone and the mover that lets them, in turns, each from the first four to the second four."""
    there, back = ("first", "second"), ("second", "first")
    moves = {
        ways.ALONE: lambda: ways.by_servers(fleet, way, *there),
        ways.CHOSEN: lambda: ways.by_reconciler(fleet, folder, *there),
    }
    rows = []
    for _ in range(NATIVE_ROUNDS):
        for name, move in moves.items():
            rows.append(measured(fleet, name, move, *there))
            eventually(lambda: settled(fleet), 60)
            ways.by_servers(fleet, way, *back)
    return rows


def rows_of(server: ServerProgram, workload: Workload, folder: Path) -> list[Row]:
    with formed(server, workload, folder) as fleet:
        way = native_way({key: str(value) for key, value in fleet.servers["first-master-0"].info("server").items()})
        there, back = ("first", "second"), ("second", "first")

        def sent() -> str:
            return ways.by_reconciler(fleet, folder, *back, "tests.resize.without_native")

        def expired() -> str:
            return ways.by_reconciler(fleet, folder, *there, mode="expire", extraMissesPerSecond=10**9)

        rows = [
            measured(fleet, ways.REDIS_CLI, lambda: ways.by_redis_cli(fleet, "first"), *there),
            measured(fleet, ways.SENT, sent, *back),
        ]
        rows += native_rows(fleet, way, folder) if way is not None else []
        return [*rows, measured(fleet, ways.EXPIRE, expired, *there)]


def tried() -> list[ServerProgram]:
    """Debian's Redis, and those that move slots themselves."""
    found = servers()
    return [found[0], *filter(ways.moves_slots_itself, found)]


def table(workload: Workload, server: ServerProgram, rows: list[Row]) -> list[str]:
    title = f"{workload.title}, {server.title}"
    lines = ["", f"{title:44}{'seconds':>8}{'MB/s':>8}{'keys there':>12}{'longest PING':>14}"]
    for way, mine in by_way(rows).items():
        seconds = median(row.seconds for row in mine)
        kept = min(row.keys_kept for row in mine)
        rate = f"{workload.values * workload.value_bytes / 1e6 / seconds:8.0f}" if kept else f"{'–':>8}"
        ping_ms = max(row.longest_ping_ms for row in mine)
        each = f"  each: {', '.join(f'{row.seconds:.1f}' for row in mine)}" if len(mine) > 1 else ""
        lines.append(f"  {way:42}{seconds:8.1f}{rate}{kept:12,}{ping_ms:11.0f} ms{each}")
    return lines


def by_way(rows: list[Row]) -> dict[str, list[Row]]:
    return {way: [row for row in rows if row.way == way] for way in dict.fromkeys(row.way for row in rows)}


def judged(workload: Workload, rows: list[Row]) -> tuple[list[str], list[str]]:
    """What the mover took beside redis-cli and beside the servers alone, and which goals it missed."""
    said: list[str] = []
    missed = [
        f"{row.way} kept {row.keys_kept:,} keys"
        for row in rows
        if row.way != ways.EXPIRE and row.keys_kept != workload.values
    ]
    found = by_way(rows)
    if ways.ALONE in found:
        # Each run beside the one of the servers just before it: a machine that others use is not the same for long.
        pairs = list(zip(found[ways.ALONE], found[ways.CHOSEN], strict=True))
        ratio = median(mover.moving_s / alone.seconds for alone, mover in pairs)
        own_s = median(mover.own_s for _, mover in pairs)
        said.append(
            f"  the mover moved for {ratio:.2f}x the time of the servers alone (goal: {SAME_TIME:g}x), and took "
            f"{own_s:.1f} s of its own before and after (goal: {OWN_TIME_S:g} s)"
        )
        missed += ["the mover is slower than the servers alone"] if ratio > SAME_TIME else []
        missed += ["a run takes too long beside moving"] if own_s > OWN_TIME_S else []
    elif workload is FEW_LARGE:
        factor = found[ways.REDIS_CLI][0].seconds / found[ways.SENT][0].seconds
        said.append(f"  copy is {factor:.1f}x as fast as redis-cli (goal: {GOAL_OVER_REDIS_CLI}x)")
        missed += ["copy is too slow beside redis-cli"] if factor < GOAL_OVER_REDIS_CLI else []
    return said, missed


PAGE = """# Moving slots, measured

Written by `make bench-resize WRITE=docs/moving.md` from one run.

```
{printed}
```

- **redis-cli** is `redis-cli --cluster rebalance`: one slot after the other.
- **The mover** is the Job *form*, its whole process, which looks at every node before and after.
- **The servers alone** move all slots of a source in one job, and the last slot in another
  ([ADR 27](adr/0027-servers-move-slots-themselves-where-they-can.md)). They and the mover that lets them take turns,
  five times, from the same four masters to the same four others. The table has the median, and *each* all of them.
  The ratio is that of a run of the mover and the run of the servers just before it, the median of five.
- **Its own time** is what a run takes however much it moves: the process starts, and looks at every node before and
  after. The pod of a Job has to start before that.
- **Where.** Eight servers and the mover share the processors with whatever else the machine did. Ratios carry over,
  absolute figures do not. No server has a replica here.
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.resize.bench", description="Compares ways of moving slots.")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a page of what was measured")
    options = parser.parse_args()
    printed: list[str] = []
    missed: list[str] = []
    blocks_ms: list[float] = []

    def say(lines: list[str]) -> None:
        printed.extend(lines)
        print(*lines, sep="\n", flush=True)

    say(
        [
            f"BENCH OF MOVING, {date.today().isoformat()}: all {SLOT_COUNT:,} slots from {SHARDS} masters to {SHARDS} "
            f"others; {os.cpu_count()} processors"
        ]
    )
    for workload in (FEW_LARGE, MANY_SMALL):
        for server in tried():
            with tempfile.TemporaryDirectory(prefix="bench-resize-") as text:
                rows = rows_of(server, workload, Path(text))
            said, more = judged(workload, rows)
            say([*table(workload, server, rows), *said])
            missed += [f"missed: {workload.title}, {server.title}: {goal}" for goal in more]
            blocks_ms += [ways.longest_block_ms(row.output) for row in rows]
    say(["", f"longest step of the mover {max(blocks_ms):.0f} ms", *missed])
    if options.write is not None:
        options.write.write_text(PAGE.format(printed="\n".join(printed)))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
