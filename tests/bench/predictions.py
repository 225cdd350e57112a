"""What the planner predicts beside what was measured. Pure.

Every prediction is made by the functions that decide a stack's plan: there is no second formula here. Their inputs are
figures of this machine, measured in the same run: what its core takes for a GET and a SET of 10 kB, 1 MB and 10 MB,
how long a fork stops a Redis without data and with 500 MB, and what one core sends over a pod's link.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log
from statistics import median
from typing import Any

from components.advice.resilience import promotion_seconds
from components.plan.core import get_seconds, migrate_bytes_per_second, mixed_use, set_seconds
from components.plan.load import Load, derive_load
from components.plan.plan import decide_plan
from components.plan.resize import (
    DISCOVERY_SECONDS,
    JOB_SECONDS,
    JOIN_SECONDS,
    moving_seconds,
)
from components.plan.servers import server_figures
from components.plan.traffic import BITS_PER_GBIT
from components.plan.tuning import fork_stall_ms, mixed_overhead_bytes
from components.plan.working_set import image_bytes, images_bytes
from tests.plan.stacks import option_1

WITHIN = 2.0
"""A prediction holds when it is off by less than this factor, up or down."""
SMALL_BYTES, IMAGE_BYTES, LARGE_BYTES = 10_000, 1_000_000, 10_000_000
INPUT_BYTES = (SMALL_BYTES, IMAGE_BYTES, LARGE_BYTES)
"""Sizes of values of which this machine's core is measured. Others follow from them: a core is slow in its own way
where a value needs no copying, where it fits a processor's cache, and where it does not."""
_MEGA = 1e6


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


@dataclass(frozen=True)
class Core:
    """This machine's core: how many times longer than the planner's table says it takes for a GET (it sends) and a SET
    without a replica (it receives), of each of `INPUT_BYTES`. Between two sizes that follows a power of the size."""

    get: tuple[float, ...]
    set: tuple[float, ...]

    @classmethod
    def measured(cls, rows: Sequence[Mapping[str, int]]) -> Core:
        """Of `make calibrate`'s rows, those of `INPUT_BYTES`."""
        by_size = {int(row["object_bytes"]): row for row in rows}
        return cls(
            tuple(by_size[size]["get_us"] / 1e6 / get_seconds(size, tls=False) for size in INPUT_BYTES),
            tuple(by_size[size]["set_0_us"] / 1e6 / set_seconds(size, 0, tls=False) for size in INPUT_BYTES),
        )

    def get_seconds(self, size: int) -> float:
        return _times(self.get, size) * get_seconds(size, tls=False)

    def set_seconds(self, size: int, replicas: int) -> float:
        return _times(self.set, size) * set_seconds(size, replicas, tls=False)


def _times(measured: Sequence[float], size: int) -> float:
    size = min(max(size, INPUT_BYTES[0]), INPUT_BYTES[-1])
    (low, at_low), (high, at_high) = next(
        pair for pair in pairwise(zip(INPUT_BYTES, measured, strict=True)) if size <= pair[1][0]
    )
    part = log(size / low) / log(high / low)
    return float(at_low ** (1 - part) * at_high**part)


def core(rows: Sequence[Mapping[str, int]]) -> list[Prediction]:
    """Requests per second of a core, by size. Those that describe this machine are inputs, and so not among them."""
    here, found = Core.measured(rows), list[Prediction]()
    for row in sorted(rows, key=lambda row: row["object_bytes"]):
        size = row["object_bytes"]
        name = f"{size / _MEGA:g} MB"
        if size not in INPUT_BYTES:
            found.append(_of_a_core(f"GET of {name}", here.get_seconds(size), row["get_us"]))
            found.append(_of_a_core(f"SET of {name}, no replica", here.set_seconds(size, 0), row["set_0_us"]))
        found.append(_of_a_core(f"SET of {name}, 1 replica", here.set_seconds(size, 1), row["set_1_us"]))
    return found


def _of_a_core(what: str, seconds: float, measured_us: int) -> Prediction:
    return Prediction(what, "/s of a core", 1 / seconds, 1e6 / measured_us)


def load_of_a_master(requests_per_second: float, here: Core, **workload: Any) -> Load:
    """As the planner has it, with this machine's core."""
    settings = option_1(**workload)
    plan = decide_plan(settings)
    load = derive_load(settings, plan.sizing, plan.tuning, requests_per_second * plan.sizing.masters)
    size, replicas = settings.workload.object_bytes, settings.replicas_per_master
    return replace(
        load,
        core=mixed_use(
            settings.workload.hit_rate,
            here.get_seconds(size),
            here.get_seconds(0),
            here.set_seconds(size, replicas),
        ),
    )


def rate(ours: Mapping[str, Any], here: Core) -> Iterator[Prediction]:
    """The 95th percentile at one master's rate, in the middle one of the seconds: this machine also does other work,
    and a second in which it did has the latency of that. Predicted is a GET; a second has writes, too."""
    found = ours["master_rate"]
    load = load_of_a_master(found["requests_per_s"], here)
    link_gbps = ours["side_by_side"]["one core that only sends"]["gets_per_s"] * IMAGE_BYTES * 8 / BITS_PER_GBIT
    predicted = load.latency(link_gbps, 1).p95_ms
    yield Prediction(
        f"p95 of a second at {found['requests_per_s']:.0f} images/s of one master",
        "ms",
        predicted or 0.0,
        median(second["p95_ms"] for second in found["seconds"] if second["p95_ms"] is not None),
    )


def memory(ours: Mapping[str, Any]) -> Iterator[Prediction]:
    """Images that are alive or have expired and are not collected, and what a full Redis takes beyond maxmemory."""
    expiry, eviction = ours["expiry"], ours["eviction"]
    settings = option_1(
        requestsPerSecond=round(expiry["writes_per_s"]),
        hitRate=0,
        ttlSeconds=expiry["ttl_s"],
        objectBytes=expiry["image_bytes"],
    )
    workload, server = settings.workload, server_figures(settings.images.server.line)
    size = images_bytes(workload, workload.hit_rate, server)
    images = size / image_bytes(workload.object_bytes, server)
    yield Prediction("images in memory at a steady rate with a TTL", "images", images, expiry["keys_on_the_plateau"])
    yield Prediction("their memory", "MB", size / _MEGA, expiry["bytes_on_the_plateau"] / _MEGA)
    maxmemory = eviction["maxmemory_bytes"]
    used = eviction["used_of_maxmemory"] * maxmemory
    yield Prediction("memory in use while images are evicted", "MB", maxmemory / _MEGA, used / _MEGA)
    beyond = (eviction["rss_of_maxmemory"] - 1) * maxmemory
    yield Prediction("resident beyond it, sizes mixed", "MB", mixed_overhead_bytes(maxmemory) / _MEGA, beyond / _MEGA)


def resync(ours: Mapping[str, Any], here: Core, here_fork: Mapping[str, float]) -> Iterator[Prediction]:
    """A replica's full resync over a slow link, alone and beside writes, and the fork before it. `here_fork` is of a
    plain Redis: `empty_ms` without data, and `ms` with `bytes`. The planner counts what the data takes alone: a pod
    of 64 GB has so much that the rest is nothing beside it, and one of 256 MB has not."""
    found, fork = ours["resync"], ours["fork"]
    link_gbps = found["link_bytes_per_s"] * 8 / BITS_PER_GBIT
    for name, writes, key in (("alone", 0.0, "s"), ("beside writes", found["writes_per_s"], "under_load_s")):
        load = load_of_a_master(writes, here, hitRate=0, objectBytes=found["write_bytes"])
        predicted = load.resync(link_gbps, 1, data_bytes=found["bytes"]).in_sync_seconds
        yield Prediction(f"full resync over a slow link, {name}", "s", predicted or 0.0, found[key] or 0.0)
    times = (here_fork["ms"] - here_fork["empty_ms"]) / fork_stall_ms(here_fork["bytes"])
    predicted = here_fork["empty_ms"] + times * fork_stall_ms(fork["bytes"])
    yield Prediction("stall of a fork", "ms", predicted, fork["ms"])


def changes(ours: Mapping[str, Any], here: Core) -> Iterator[Prediction]:
    """A lost master, and a Job that moves all slots to pods of another size."""
    for mark in ours["changes"]["marks"]:
        if "promotion_s" in mark:
            seconds = promotion_seconds(ours["node_timeout_s"])
            yield Prediction("promotion after a lost machine", "s", seconds, mark["promotion_s"] or 0.0)
        if "form_s" in mark:
            bytes_per_second = (
                mark["sources"]
                * migrate_bytes_per_second(0, tls=False)
                * get_seconds(IMAGE_BYTES, tls=False)
                / here.get_seconds(IMAGE_BYTES)
            )
            keys = mark["moved_bytes"] / IMAGE_BYTES
            line, masters = option_1().images.server.line, mark["sources"]
            moving = moving_seconds(keys, mark["moved_bytes"], bytes_per_second, line, masters, by_servers=False)
            before = JOB_SECONDS + JOIN_SECONDS + DISCOVERY_SECONDS
            yield Prediction("all slots to new pods, which join first", "s", before + moving, mark["form_s"])


def of(bench: Mapping[str, Any]) -> list[Prediction]:
    """All predictions that this run can be held against."""
    here, ours = Core.measured(bench["core_costs"]), bench["ours"]
    return [
        *core(bench["core_costs"]),
        *rate(ours, here),
        *memory(ours),
        *resync(ours, here, bench["fork"]),
        *changes(ours, here),
    ]
