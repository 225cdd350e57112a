"""How many requests a second the network and the masters' cores carry."""

from dataclasses import dataclass

from components.config.settings import Workload
from components.plan.traffic import ONE_CORE_OPS_PER_SECOND, Traffic, bytes_per_second

DOCUMENT_INTERFACES_GBPS = (10, 25, 40)
"""Interfaces the sizing document compares."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Requests a second that one speed of network allows; the document rounds 3,125 (25 Gbps) down to ~3,000."""

    gbps_per_master: float
    ops_per_master: float
    ops_total: float
    headroom: float
    """Times the wanted requests per second."""
    bound_by: str
    """`network`, or `core` where Redis's one thread is the limit."""
    use_percent: float
    """What a master sends at the wanted rate, of `gbps_per_master`."""


def derive_capacity(workload: Workload, traffic: Traffic, masters: int, gbps_per_master: float) -> Capacity:
    """What a master with `gbps_per_master` of its own carries."""
    by_network = bytes_per_second(gbps_per_master) / workload.object_bytes
    ops = min(by_network, ONE_CORE_OPS_PER_SECOND)
    return Capacity(
        gbps_per_master=gbps_per_master,
        ops_per_master=ops,
        ops_total=ops * masters,
        headroom=ops * masters / workload.requests_per_second,
        bound_by="network" if by_network < ONE_CORE_OPS_PER_SECOND else "core",
        use_percent=100 * traffic.egress_gbps_per_master / gbps_per_master,
    )


def document_capacities(workload: Workload, traffic: Traffic, masters: int) -> tuple[Capacity, ...]:
    """The sizing document's QPS table: one row for each of its interfaces."""
    return tuple(derive_capacity(workload, traffic, masters, gbps) for gbps in DOCUMENT_INTERFACES_GBPS)
