"""What the planner predicts beside what was measured. Pure.

Every prediction is made by the functions that decide a stack's plan: there is no second formula here. Two figures of
this machine are their inputs, and both are measured in the same run: what its core takes for a GET of 1 MB, and what
one core sends over a pod's link.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from components.advice.resilience import promotion_seconds
from components.plan.core import CoreUse, core_use, get_seconds, set_seconds
from components.plan.load import Load, derive_load
from components.plan.plan import decide_plan
from components.plan.resize import CORE_COPY_BYTES_PER_SECOND, JOB_SECONDS, JOIN_SECONDS, moving_seconds
from components.plan.traffic import BITS_PER_GBIT
from components.plan.tuning import fork_stall_ms, overhead_bytes
from components.plan.working_set import images_bytes, size_class_bytes
from tests.plan.stacks import option_1

WITHIN = 2.0
"""A prediction holds when it is off by less than this factor, up or down."""
IMAGE_BYTES = 1_000_000
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


def slower(rows: Sequence[Mapping[str, int]]) -> float:
    """How many times longer this machine's core takes for a GET of 1 MB than the planner's table says."""
    (row,) = (row for row in rows if row["object_bytes"] == IMAGE_BYTES)
    return row["get_us"] / 1e6 / get_seconds(IMAGE_BYTES, tls=False)


def core(rows: Sequence[Mapping[str, int]]) -> list[Prediction]:
    """Requests per second of a core, by size. A GET of 1 MB is the input, and so none of them."""
    times, found = slower(rows), list[Prediction]()
    for row in sorted(rows, key=lambda row: row["object_bytes"]):
        size = row["object_bytes"]
        name = f"{size / _MEGA:g} MB"
        if size != IMAGE_BYTES:
            found.append(_of_a_core(f"GET of {name}", times * get_seconds(size, tls=False), row["get_us"]))
        for replicas in (0, 1):
            what = f"SET of {name}, {'no replica' if not replicas else '1 replica'}"
            found.append(_of_a_core(what, times * set_seconds(size, replicas, tls=False), row[f"set_{replicas}_us"]))
    return found


def _of_a_core(what: str, seconds: float, measured_us: int) -> Prediction:
    return Prediction(what, "/s of a core", 1 / seconds, 1e6 / measured_us)


def load_of_a_master(requests_per_second: float, times: float, **workload: Any) -> Load:
    """As the planner has it, with a core that takes so many times longer."""
    settings = option_1(**workload)
    plan = decide_plan(settings)
    load = derive_load(settings, plan.sizing, plan.tuning, requests_per_second * plan.sizing.masters)
    use = core_use(settings.workload, settings.replicas_per_master, tls=False)
    return replace(load, core=CoreUse(*(times * seconds for seconds in _seconds_of(use))))


def _seconds_of(use: CoreUse) -> tuple[float, float, float, float]:
    return use.get_seconds, use.set_seconds, use.mean_seconds, use.effective_seconds


def rate(ours: Mapping[str, Any], times: float) -> Iterator[Prediction]:
    """The 95th percentile of a GET at one master's rate."""
    found = ours["master_rate"]
    load = load_of_a_master(found["requests_per_s"], times)
    link_gbps = ours["side_by_side"]["one core that only sends"]["gets_per_s"] * IMAGE_BYTES * 8 / BITS_PER_GBIT
    predicted = load.latency(link_gbps, 1).p95_ms
    yield Prediction(
        f"p95 at {found['requests_per_s']:.0f} images/s of one master",
        "ms",
        predicted or 0.0,
        found["latency"]["get"]["p95_ms"],
    )


def memory(ours: Mapping[str, Any]) -> Iterator[Prediction]:
    """Images that are alive or have expired and are not collected, and what a full Redis takes beyond maxmemory."""
    expiry, eviction = ours["expiry"], ours["eviction"]
    workload = option_1(
        requestsPerSecond=round(expiry["writes_per_s"]),
        hitRate=0,
        ttlSeconds=expiry["ttl_s"],
        objectBytes=expiry["image_bytes"],
    ).workload
    size = images_bytes(workload, workload.hit_rate)
    images = size / size_class_bytes(workload.object_bytes)
    yield Prediction("images in memory at a steady rate with a TTL", "images", images, expiry["keys_on_the_plateau"])
    yield Prediction("their memory", "MB", size / _MEGA, expiry["bytes_on_the_plateau"] / _MEGA)
    maxmemory = eviction["maxmemory_bytes"]
    used = eviction["used_of_maxmemory"] * maxmemory
    yield Prediction("memory in use while images are evicted", "MB", maxmemory / _MEGA, used / _MEGA)
    beyond = (eviction["rss_of_maxmemory"] - 1) * maxmemory
    yield Prediction("resident beyond it, sizes mixed", "MB", overhead_bytes(maxmemory) / _MEGA, beyond / _MEGA)


def resync(ours: Mapping[str, Any], times: float) -> Iterator[Prediction]:
    """A replica's full resync over a slow link, alone and beside writes, and the fork before it."""
    found, fork = ours["resync"], ours["fork"]
    link_gbps = found["link_bytes_per_s"] * 8 / BITS_PER_GBIT
    for name, writes, key in (("alone", 0.0, "s"), ("beside writes", found["writes_per_s"], "under_load_s")):
        load = load_of_a_master(writes, times, hitRate=0, objectBytes=found["write_bytes"])
        predicted = load.resync(link_gbps, 1, data_bytes=found["bytes"]).in_sync_seconds
        yield Prediction(f"full resync over a slow link, {name}", "s", predicted or 0.0, found[key] or 0.0)
    yield Prediction("stall of a fork", "ms", fork_stall_ms(fork["bytes"]), fork["ms"])


def changes(ours: Mapping[str, Any], times: float) -> Iterator[Prediction]:
    """A lost master, and a Job that moves all slots to pods of another size."""
    for mark in ours["changes"]["marks"]:
        if "promotion_s" in mark:
            seconds = promotion_seconds(ours["node_timeout_s"])
            yield Prediction("promotion after a lost machine", "s", seconds, mark["promotion_s"] or 0.0)
        if "form_s" in mark:
            bytes_per_second = mark["sources"] * CORE_COPY_BYTES_PER_SECOND / times
            moving = moving_seconds(mark["moved_bytes"], bytes_per_second)
            yield Prediction(
                "all slots to new pods, which join first", "s", JOB_SECONDS + JOIN_SECONDS + moving, mark["form_s"]
            )


def of(bench: Mapping[str, Any]) -> list[Prediction]:
    """All predictions that this run can be held against."""
    times, ours = slower(bench["core_costs"]), bench["ours"]
    return [
        *core(bench["core_costs"]),
        *rate(ours, times),
        *memory(ours),
        *resync(ours, times),
        *changes(ours, times),
    ]
