"""Predicted latency of one request, with its parts, at the workload's peak.

This is a model, not a measurement. A request takes its transfer over one TCP flow, Redis's own work and a round trip.
For p95 it also waits for what requests share: Redis's thread and the node's network. Both are queues with even service
times and random arrivals (M/D/1). Their wait exceeds t with probability  use * exp(-2 (1 - use) t / service).
"""

from dataclasses import dataclass
from math import log

from components.config.settings import Workload
from components.plan.traffic import BITS_PER_GBIT, ONE_CORE_OPS_PER_SECOND, SINGLE_FLOW_GBPS

ROUND_TRIP_MS = 0.5
"""Upper end of the sizing document's 0.1-0.5 ms; between zones of one region it is of that order."""
_TAIL = 0.05


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds, where all of a node's pods are masters."""

    link_gbps: float
    masters_on_link: int
    link_use_percent: float
    core_use_percent: float
    transfer_ms: float
    processing_ms: float
    round_trip_ms: float
    p50_ms: float
    core_wait_p95_ms: float | None
    link_wait_p95_ms: float | None
    """None where requests arrive faster than they are served: the queue grows and has no p95."""
    p95_ms: float | None
    wanted_p95_ms: int
    holds: bool


def transfer_ms(object_bytes: int, gbps: float) -> float:
    """Time one object takes at `gbps`, nothing else on the way."""
    return object_bytes * 8 / (gbps * BITS_PER_GBIT) * 1000


def derive_latency(
    workload: Workload, masters: int, egress_gbps_per_master: float, link_gbps: float, masters_on_link: int
) -> Latency:
    """Latency where `masters_on_link` masters share a network of `link_gbps`."""
    flow_gbps = min(link_gbps, SINGLE_FLOW_GBPS)
    transfer, processing = transfer_ms(workload.object_bytes, flow_gbps), 1000 / ONE_CORE_OPS_PER_SECOND
    core_use = workload.requests_per_second / masters / ONE_CORE_OPS_PER_SECOND
    link_use = masters_on_link * egress_gbps_per_master / link_gbps
    p50 = transfer + processing + ROUND_TRIP_MS
    core_wait = _wait_p95_ms(core_use, processing)
    link_wait = _wait_p95_ms(link_use, transfer_ms(workload.object_bytes, link_gbps))
    p95 = None if core_wait is None or link_wait is None else p50 + core_wait + link_wait
    return Latency(
        link_gbps=link_gbps,
        masters_on_link=masters_on_link,
        link_use_percent=100 * link_use,
        core_use_percent=100 * core_use,
        transfer_ms=transfer,
        processing_ms=processing,
        round_trip_ms=ROUND_TRIP_MS,
        p50_ms=p50,
        core_wait_p95_ms=core_wait,
        link_wait_p95_ms=link_wait,
        p95_ms=p95,
        wanted_p95_ms=workload.p95_latency_ms,
        holds=p95 is not None and p95 <= workload.p95_latency_ms,
    )


def _wait_p95_ms(use: float, service_ms: float) -> float | None:
    if use >= 1:
        return None
    if use <= _TAIL:
        return 0.0
    return service_ms * log(use / _TAIL) / (2 * (1 - use))
