"""`make faults`: every row of the fault table, measured on the rendered stack and on the sizing document's plain one.

    python -m tests.faults.report [--only crash,lost] [--no-plain] [--write docs/faults.md]

Exit status 0 when every goal is met.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError
from tests.faults import planned
from tests.faults.deployment import Deployment, machine
from tests.faults.rows import ROWS, Measure, Result, Row, Stack
from tests.faults.stacks import ours, plain, zoned

WIDTHS = (23, 20, 20, 23, 6)
_HEADINGS = ("fault", "goal", "plain deployment", "this stack", "")
GAP = "  "


@dataclass(frozen=True)
class Measured:
    """A row with what was found; None where nothing was tried."""

    row: Row
    plain: Result | None
    ours: Result | None

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        verdict = "–" if self.ours is None else "met" if self.ours.is_met else "MISSED"
        plain, ours = (result.text if result is not None else "–" for result in (self.plain, self.ours))
        return self.row.fault, self.row.goal, plain, ours, verdict


def table(found: Sequence[Measured]) -> str:
    """At most 100 columns wide, plain text: the same on a terminal, in a pipe and in a file."""
    lines = [_line(_HEADINGS), GAP.join("─" * width for width in WIDTHS)]
    for measured in found:
        wrapped = [textwrap.wrap(cell, width) or [""] for cell, width in zip(measured.cells, WIDTHS, strict=True)]
        height = max(len(cell) for cell in wrapped)
        padded = [cell + [""] * (height - len(cell)) for cell in wrapped]
        lines += [_line(texts) for texts in zip(*padded, strict=True)] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: Sequence[str]) -> str:
    return GAP.join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()


def markdown(found: Sequence[Measured], date: str, where: str) -> str:
    """docs/faults.md."""
    rows = ["| fault | goal | plain deployment | this stack | |", "|---|---|---|---|---|"]
    rows += ["| " + " | ".join(measured.cells) + " |" for measured in found]
    return _PAGE.format(date=date, where=where, table="\n".join(rows))


_PAGE = """# Faults, measured

Written by `make faults` from one run: {date}, {where}.

{table}

**How.** 3+3 pods of 256 MB in the sandbox, in which the rendered pods, probes and Jobs run as they are. *plain* is the
sizing document's own StatefulSets, formed by `redis-cli --cluster create` (`tests/faults/plain/`); it gets a sandbox of
its own for every row. This stack takes all rows one after another; between them only its own repair CronJob is run,
without waiting for its minute. For the lost zone the pods stand in zones by their volumes, as on EKS.

**Load.** On every shard 25 requests/s of 100 kB, a fifth of them writes, by redis-py's `RedisCluster` with its default
retries and `dynamic_startup_nodes=False`, `socket_timeout=2`, `socket_connect_timeout=1`. A request that is led to a
node which the client has not heard of is sent once more (*sent again*), as docs/clients.md recommends. *failed* counts
requests whose error reached the caller. *lost* counts keys that were acknowledged and are gone. Seconds are the longest
time between two writes that a raw connection got through to one shard (tried up to 50 times a second), less the time in
which the machine did not run the measuring process.

**Resync.** 120 MB over a link of 160 Mbit/s, which makes seconds of it, while 3.2 MB/s are written to the shard. The
plain deployment's output limit is Redis's default reduced like the pods: 256 MB, 64 MB, 60 s become 1 MB, 256 kB, 4 s.

**Split network.** Redis notices after 5 to 7.5 s that it is alone, and takes writes until then, which are lost when it
is back. Here the readiness probe holds them back before that (docs/adr/0008-a-lonely-master-holds-back-writes.md).

**Absolute figures** are this machine's; both clusters, measured at the same time, and the load share its cores.
"""


class Progress:
    """One line for each step, with the time since the start, so that a person sees it live."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - self._began:6.0f}s  {text}\n")
        sys.stderr.flush()


_STACKS: dict[Stack, Callable[[str], AbstractContextManager[Deployment]]] = {Stack.LOCAL: ours, Stack.ZONES: zoned}


def measure_ours(rows: Sequence[Row], say: Callable[[str], None]) -> dict[str, Result]:
    """Key -> result. Each stack is brought up once and takes its rows in turn."""
    results: dict[str, Result] = {}
    for stack, start in _STACKS.items():
        of_stack = [row for row in rows if row.stack is stack]
        if not of_stack:
            continue
        say(f"this stack: bringing up {stack}")
        with start("faults") as deployment:
            for row in of_stack:
                planned.go_home(deployment)
                results[row.key] = _one(row, row.ours, deployment, "this stack", say)
    return results


def measure_plain(rows: Sequence[Row], say: Callable[[str], None]) -> dict[str, Result]:
    """Key -> result. A new deployment for each row: most faults leave nothing behind that the next could hit."""
    results = {}
    for row in rows:
        if row.plain is not None:
            with plain("faults-plain") as deployment:
                results[row.key] = _one(row, row.plain, deployment, "plain", say)
    return results


def _one(row: Row, measure: Measure, deployment: Deployment, who: str, say: Callable[[str], None]) -> Result:
    say(f"{who}: {row.fault}")
    try:
        result = measure(deployment)
    except SandboxError as error:
        say(f"{who}: {row.key}: {error}")
        return Result(f"not measured: {str(error).splitlines()[0][:60]}", False)
    say(f"{who}: {row.key}: {result.text}")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.report", description="Measures the fault table.")
    keys = [row.key for row in ROWS]
    parser.add_argument("--only", metavar="ROW,…", help=f"rows to measure, of: {', '.join(keys)}")
    parser.add_argument("--no-plain", action="store_true", help="leave out the plain deployment")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page with table, date and machine here")
    options = parser.parse_args(arguments)
    wanted = keys if options.only is None else options.only.split(",")
    unknown = sorted(set(wanted) - set(keys))
    if unknown:
        parser.error(f"there is no row {', '.join(unknown)}; rows: {', '.join(keys)}")
    rows = [row for row in ROWS if row.key in wanted]
    say = Progress()
    # Both spend most of the time waiting, so the one does not wait for the other.
    with ThreadPoolExecutor(2) as both:
        plain_results = both.submit(measure_plain, [] if options.no_plain else rows, say)
        mine, theirs = measure_ours(rows, say), plain_results.result()
    found = [Measured(row, theirs.get(row.key), mine.get(row.key)) for row in rows]
    print(table(found), end="")
    if options.write is not None:
        options.write.write_text(markdown(found, time.strftime("%Y-%m-%d"), machine()))
        say(f"wrote {options.write}")
    return 0 if all(measured.ours is not None and measured.ours.is_met for measured in found) else 1


if __name__ == "__main__":
    sys.exit(main())
