"""Predicted latency of a hit, with its parts, at one rate of requests.

This is a model, not a measurement. A request takes its transfer over one TCP flow, Redis's own work and a round trip,
and waits for what requests share: Redis's thread and the node's network. Both are queues with random arrivals. The
wait exceeds t with probability  use * exp(-2 (1 - use) t / service).  That is an approximation; tests hold it to
simulated queues, within a quarter.
A miss takes as long until the application hears of it, and then waits for the origin of the images.
"""

from dataclasses import dataclass
from math import log

from components.plan.traffic import BITS_PER_GBIT, SINGLE_FLOW_GBPS

ROUND_TRIP_MS = 0.5
"""Upper end of the sizing document's 0.1-0.5 ms; between zones of one region it is of that order."""
_TAIL = 0.05
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of a hit, where all of a node's pods are masters."""

    link_gbps: float
    masters_on_link: int
    link_use_percent: float
    core_use_percent: float
    transfer_ms: float
    processing_ms: float
    round_trip_ms: float
    core_wait_p50_ms: float | None
    link_wait_p50_ms: float | None
    p50_ms: float | None
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
    *,
    object_bytes: int,
    link_use: float,
    link_gbps: float,
    masters_on_link: int,
    core_use: float,
    get_ms: float,
    core_service_ms: float,
    wanted_p95_ms: int,
) -> Latency:
    """Latency where `masters_on_link` masters share a network of `link_gbps`. Uses are shares, 0 to 1 and more;
    `core_service_ms` is what requests wait for each other at the core (`CoreUse.effective_seconds`)."""
    transfer = transfer_ms(object_bytes, min(link_gbps, SINGLE_FLOW_GBPS))
    link_service = transfer_ms(object_bytes, link_gbps)
    unhindered = transfer + get_ms + ROUND_TRIP_MS
    core_p50, link_p50 = _wait_ms(core_use, core_service_ms, _HALF), _wait_ms(link_use, link_service, _HALF)
    core_p95, link_p95 = _wait_ms(core_use, core_service_ms, _TAIL), _wait_ms(link_use, link_service, _TAIL)
    p50 = None if core_p50 is None or link_p50 is None else unhindered + core_p50 + link_p50
    p95 = None if core_p95 is None or link_p95 is None else unhindered + core_p95 + link_p95
    return Latency(
        link_gbps=link_gbps,
        masters_on_link=masters_on_link,
        link_use_percent=100 * link_use,
        core_use_percent=100 * core_use,
        transfer_ms=transfer,
        processing_ms=get_ms,
        round_trip_ms=ROUND_TRIP_MS,
        core_wait_p50_ms=core_p50,
        link_wait_p50_ms=link_p50,
        p50_ms=p50,
        core_wait_p95_ms=core_p95,
        link_wait_p95_ms=link_p95,
        p95_ms=p95,
        wanted_p95_ms=wanted_p95_ms,
        holds=p95 is not None and p95 <= wanted_p95_ms,
    )


def _wait_ms(use: float, service_ms: float, tail: float) -> float | None:
    if use >= 1:
        return None
    return service_ms * log(use / tail) / (2 * (1 - use)) if use > tail else 0.0
