"""What the plan's own functions predict, this machine's core and link given, beside what was measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.advice.resilience import promotion_seconds
from components.plan.core import get_seconds, set_seconds
from components.plan.latency import derive_latency
from components.plan.resize import CORE_COPY_BYTES_PER_SECOND, SLOT_COUNT, SLOTS_PER_SECOND
from components.plan.tuning import FORK_STALL_MS_PER_GIB
from components.plan.working_set import EXPIRED_SHARE, size_class_bytes

WITHIN = 2.0
"""A prediction holds when it is off by less than this factor, up or down."""
_GIB = 1024**3


@dataclass(frozen=True)
class Prediction:
    """`predicted` and `measured` in `unit`."""

    what: str
    unit: str
    predicted: float
    measured: float

    @property
    def factor(self) -> float:
        """How many times the prediction was measured; infinite where one of them is nothing."""
        return self.measured / self.predicted if self.predicted and self.measured else float("inf")

    @property
    def holds(self) -> bool:
        return 1 / WITHIN <= self.factor <= WITHIN


def core(rows: Sequence[Mapping[str, int]]) -> tuple[float, list[Prediction]]:
    """(how many times longer this machine's core takes than the table's, requests per second of a core by size).

    One figure is the input: a GET of 1 MB. All others are the table's, times that."""
    by_size = {row["object_bytes"]: row for row in rows}
    slower = by_size[1_000_000]["get_us"] / 1e6 / get_seconds(1_000_000)
    found = []
    for size, row in sorted(by_size.items()):
        if size != 1_000_000:
            found.append(
                Prediction(
                    f"GET of {size / 1e6:g} MB", "/s of a core", 1 / (slower * get_seconds(size)), 1e6 / row["get_us"]
                )
            )
        for replicas in (0, 1):
            seconds = slower * set_seconds(size, replicas)
            name = f"SET of {size / 1e6:g} MB, {replicas} replicas"
            found.append(Prediction(name, "/s of a core", 1 / seconds, 1e6 / row[f"set_{replicas}_us"]))
    return slower, found


def latency(rate: float, hit_rate: float, slower: float, link_bytes_per_s: float, measured_p95_ms: float) -> Prediction:
    """p95 at one master's rate, the round trip of a link without distance left out."""
    get, write = slower * get_seconds(1_000_000), slower * set_seconds(1_000_000, 1)
    mean = hit_rate * get + (1 - hit_rate) * write
    found = derive_latency(
        object_bytes=1_000_000,
        link_use=rate * hit_rate * 1_000_000 / link_bytes_per_s,
        link_gbps=link_bytes_per_s * 8 / 1e9,
        masters_on_link=1,
        core_use=rate * mean,
        get_ms=1000 * get,
        core_service_ms=1000 * (hit_rate * get**2 + (1 - hit_rate) * write**2) / mean,
        wanted_p95_ms=500,
    )
    return Prediction(f"p95 at {rate:g} images/s of one master", "ms", found.p95_ms or 0.0, measured_p95_ms)


def of(bench: Mapping[str, Any]) -> list[Prediction]:
    """All predictions that this run can be held against."""
    slower, found = core(bench["core_costs"])
    ours = bench["ours"]
    link = ours["side_by_side"]["one core that only sends"]["gets_per_s"] * 1_000_000
    at_rate = ours["master_rate"]
    found.append(latency(at_rate["requests_per_s"], 0.8, slower, link, at_rate["latency"]["get"]["p95_ms"]))
    expiry = ours["expiry"]
    alive = expiry["writes_per_s"] * expiry["ttl_s"] * (1 + EXPIRED_SHARE)
    found.append(Prediction("images on the plateau of a TTL", "images", alive, expiry["keys_on_the_plateau"]))
    found.append(
        Prediction(
            "memory on that plateau",
            "MB",
            alive * size_class_bytes(100_000) / 1e6,
            expiry["bytes_on_the_plateau"] / 1e6,
        )
    )
    eviction = ours["eviction"]
    found.append(Prediction("memory used while images are evicted", "x maxmemory", 1.0, eviction["used_of_maxmemory"]))
    found.append(Prediction("resident memory then, sizes mixed", "x maxmemory", 1.0, eviction["rss_of_maxmemory"]))
    resync = ours["resync"]
    found.append(
        Prediction("full resync over a slow link", "s", resync["bytes"] / resync["link_bytes_per_s"], resync["s"])
    )
    fork = ours["fork"]
    found.append(Prediction("stall of a fork", "ms", FORK_STALL_MS_PER_GIB * fork["bytes"] / _GIB, fork["ms"]))
    for mark in ours["changes"]["marks"]:
        if mark.get("promotion_s"):
            seconds = promotion_seconds(ours["node_timeout_s"])
            found.append(Prediction("promotion after a lost machine", "s", seconds, mark["promotion_s"]))
        if mark.get("form_s"):
            moving = slower * mark["moved_bytes"] / (3 * CORE_COPY_BYTES_PER_SECOND) + SLOT_COUNT / SLOTS_PER_SECOND
            found.append(Prediction("moving all slots to pods twice as large", "s", moving, mark["form_s"]))
    return found
