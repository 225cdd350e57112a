"""What one process of the load saw, once it measures: before, nothing is counted."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from loadgen.histogram import Histogram
from loadgen.request import GET, SET, Request


@dataclass
class Second:
    """What ended in one second of the wall clock."""

    latency: Histogram = field(default_factory=Histogram)
    failed: int = 0
    bytes_in: int = 0


class Tally:
    """Latencies in microseconds from when a request was due."""

    def __init__(self) -> None:
        self.measures = False
        self.measured_s = 0.0
        self._latency = {GET: Histogram(), SET: Histogram()}
        self._seconds: dict[int, Second] = defaultdict(Second)
        self._counts: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._bytes_by_node: Counter[str] = Counter()

    def answered(self, request: Request, value_bytes: int) -> None:
        if self.measures and request.due:
            took = (time.monotonic() - request.due) * 1e6
            self._latency[request.operation].record(took)
            second = self._seconds[int(time.time())]
            second.latency.record(took)
            second.bytes_in += value_bytes

    def failed(self, request: Request, why: str) -> None:
        if self.measures:
            self._errors[f"{request.operation}: {why}"] += 1
            self._seconds[int(time.time())].failed += 1

    def passed(self, host: str, size: int) -> None:
        """Bytes to and from a node."""
        if self.measures:
            self._bytes_by_node[host] += size

    def count(self, what: str) -> None:
        if self.measures:
            self._counts[what] += 1

    def report(self) -> dict[str, Any]:
        """As JSON has it; `loadgen.report` puts those of all processes together."""
        return {
            "measured_s": self.measured_s,
            "latency": {operation: dict(found.counts) for operation, found in self._latency.items()},
            "seconds": {
                at: {"latency": dict(second.latency.counts), "failed": second.failed, "bytes_in": second.bytes_in}
                for at, second in self._seconds.items()
            },
            "counts": dict(self._counts),
            "errors": dict(self._errors),
            "bytes_by_node": dict(self._bytes_by_node),
        }
