"""`make bench`: what this stack carries on this machine, beside what else could serve the same bytes, and what the plan
had predicted.

    python -m tests.bench [--json FILE] [--page FILE] [--write FILE] [--without plain,changes,…]

Exit status 0 when nothing failed that must not and every prediction was within its factor. About ten minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.advice.figures import derive_figures
from tests.bench import document, fork, page, predictions, scenes, text
from tests.faults.deployment import Deployment, machine
from tests.faults.report import Progress
from tests.faults.stacks import local_stack, ours, plain
from tests.plan.calibrate import measure, middle
from tests.plan.stacks import option_1

PARTS = ("side", "rate", "expiry", "resync", "changes", "eviction", "plain", "core")
_SECONDS = 5.0
_AT_RATE_S = 25.0
"""Long enough that most of its seconds are free of what else a shared machine does."""
_REPAIR_EVERY_S, _REPAIRED_AFTER_S = 60, 10
_BENCHMARK_REQUESTS = 3000
_OF_ONE_SHARE = 0.6
_CHANGES_SHARE = 0.1
_CHANGES_RATE_MAX = 40.0
"""Of what the machine carries: it has the Jobs and the moved images to carry besides."""


def document_rate() -> float:
    """Requests per second of each master in the sizing document's option 1."""
    return option_1().workload.requests_per_second / derive_figures(option_1()).sizing.masters


def rates(deployment: Deployment) -> dict[str, Any]:
    """As much as all masters and as one of them carry; then the document's rate on one, or what this machine can do of
    it without falling behind."""
    of_one = ("--prefix", f"{{{scenes.TAG}}}:", "--images", "100")
    as_much = scenes.load(deployment, "--processes", "2", "--duration", str(_SECONDS))
    one = scenes.load(deployment, *of_one, "--duration", str(_SECONDS))
    rate = min(document_rate(), round(_OF_ONE_SHARE * one["requests_per_s"], 1))
    _between_repairs()
    at_rate = scenes.load(deployment, *of_one, "--rate", str(rate), "--duration", str(_AT_RATE_S))
    return {"saturation": as_much, "one_master": one, "master_rate": at_rate, "rate": rate}


def _between_repairs() -> None:
    """The *repair* of each full minute shares this machine's cores with what is measured. In a cluster it does not."""
    second = time.time() % _REPAIR_EVERY_S
    if not _REPAIRED_AFTER_S <= second <= _REPAIR_EVERY_S - _AT_RATE_S - _SECONDS:
        time.sleep((_REPAIRED_AFTER_S - second) % _REPAIR_EVERY_S)


def generator(deployment: Deployment) -> dict[str, float]:
    """The load generator beside redis-benchmark: the same size, connections, master and moment. On the plain
    deployment, because redis-benchmark takes a password as an argument alone, which everybody on a machine can read."""
    of_one = ("--prefix", f"{{{scenes.TAG}}}:", "--images", "20", "--hit-rate", "1", "--connections", "8")
    own = scenes.load(deployment, *of_one, "--duration", str(_SECONDS))
    benchmark = scenes.redis_benchmark(deployment, _BENCHMARK_REQUESTS)
    return {"loadgen_gets_per_s": own["requests_per_s"], "redis_benchmark_gets_per_s": benchmark}


def of_ours(parts: Sequence[str], say: Progress) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with ours("bench") as deployment:
        found["node_timeout_s"] = local_stack().plan.tuning.node_timeout_ms / 1000
        if "side" in parts:
            say("GETs of 1 MB: Redis, one core that only sends, memcached, nginx")
            found["side_by_side"] = scenes.side_by_side(deployment, _SECONDS)
        if "rate" in parts:
            say("as much as it carries, and the document's rate on one master")
            found |= rates(deployment)
        if "expiry" in parts:
            say(f"writes with a TTL of {scenes.TTL_S} s")
            found["expiry"] = scenes.expiry(deployment, 40)
        scenes.flush(deployment)
        if "resync" in parts:
            say("a full resync over a slow link, alone and under load")
            found["resync"], found["fork"] = scenes.resync(deployment)
        if "changes" in parts:
            say("a load through planned changes and faults")
            carried = found.get("saturation", {}).get("requests_per_s", 100.0)
            found["changes"] = scenes.changes(deployment, round(min(_CHANGES_RATE_MAX, _CHANGES_SHARE * carried), 1))
    if "eviction" in parts:
        with ours("bench-full") as deployment:
            say("twice as many images as fit")
            found["eviction"] = scenes.eviction(deployment)
    return found


def of_plain(say: Progress) -> dict[str, Any]:
    with plain("bench-plain") as deployment:
        say("the document's plain deployment: the same load")
        return rates(deployment) | {"generator": generator(deployment)}


class Cores:
    """What one core takes for a GET and a SET, measured at several moments of the run. Other work makes a shared
    machine slow for seconds or minutes: then one moment says nothing about the rest of the run, and the middle one of
    several does. Without a reporter nothing is measured."""

    def __init__(self, say: Progress | None) -> None:
        self._say = say
        self.tables: list[list[dict[str, int]]] = []

    def measure(self) -> None:
        if self._say is None:
            return
        self._say("what one core takes for a GET and a SET, by size")
        with tempfile.TemporaryDirectory() as folder:
            self.tables += measure(Path(folder), replicas=(0, 1))


def run(parts: Sequence[str]) -> dict[str, Any]:
    say = Progress()
    bench: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "document_rate": document_rate()}
    cores = Cores(say if "core" in parts else None)
    cores.measure()
    bench["ours"] = of_ours(parts, say)
    cores.measure()
    if "plain" in parts:
        bench["plain"] = of_plain(say)
    cores.measure()
    if "core" in parts:
        bench["core_costs"] = middle(cores.tables)
        with tempfile.TemporaryDirectory() as folder:
            bench["fork"] = fork.measure(Path(folder))
    if set(parts) == set(PARTS):
        bench["predictions"] = [
            {"what": p.what, "unit": p.unit, "predicted": p.predicted, "measured": p.measured, "holds": p.holds}
            for p in predictions.of(bench)
        ]
    return bench


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measures the stack on this machine.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write one page with charts, which opens offline")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the run as a document, which needs every part"
    )
    parser.add_argument("--without", default="", metavar="PART,…", help=f"leave out, of: {', '.join(PARTS)}")
    options = parser.parse_args(arguments)
    left_out = {part for part in options.without.split(",") if part}
    if unknown := left_out - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; parts: {', '.join(PARTS)}")
    if left_out and options.write:
        parser.error("--write needs every part: the document shows them all")
    bench = run([part for part in PARTS if part not in left_out])
    if options.json:
        options.json.write_text(json.dumps(bench, indent=1) + "\n")
    if options.page:
        options.page.write_text(page.render(bench))
    if options.write:
        options.write.write_text(document.render(bench))
    print(text.render(bench))
    return 1 if text.wrong(bench) else 0


if __name__ == "__main__":
    sys.exit(main())
