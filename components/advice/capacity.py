"""How many requests a second the masters serve: by one speed of network alone, and by every rule of the plan."""

from dataclasses import dataclass

from components.config.settings import Settings, Workload
from components.plan.core import CoreUse
from components.plan.load import highest_rate
from components.plan.plan import Plan
from components.plan.traffic import Traffic, bytes_per_second

DOCUMENT_INTERFACES_GBPS = (10, 25, 40)
"""Interfaces the sizing document compares."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Requests a second. The sizing document's table has reads alone, and rounds 3,125 (25 Gbps) to ~3,000."""

    gbps_per_master: float
    ops_per_master: float
    ops_total: float
    headroom: float
    """Times the wanted requests per second."""
    bound_by: str
    """`network` or `core`; for the stack itself the rule that fails first (`components.plan.load.first_failure`)."""
    use_percent: float
    """What a master sends at the wanted rate, of `gbps_per_master`."""


def derive_capacity(settings: Settings, plan: Plan) -> Capacity:
    """Of the stack: the rate at which its first rule fails, all pods of a node being masters."""
    gbps = plan.link_gbps / plan.masters_on_link
    served = highest_rate(
        settings,
        plan.sizing,
        plan.tuning,
        plan.link_gbps,
        plan.masters_on_link,
        plan.nodes.cores_for_pods if plan.nodes else None,
    )
    return Capacity(
        gbps_per_master=gbps,
        ops_per_master=served.requests_per_second / plan.sizing.masters,
        ops_total=served.requests_per_second,
        headroom=served.requests_per_second / settings.workload.requests_per_second,
        bound_by=served.bound_by,
        use_percent=100 * plan.traffic.egress_gbps_per_master / gbps,
    )


def interface_capacity(
    workload: Workload, traffic: Traffic, core: CoreUse, masters: int, gbps_per_master: float
) -> Capacity:
    """Reads that a master with `gbps_per_master` of its own answers."""
    by_network = bytes_per_second(gbps_per_master) / workload.object_bytes
    by_core = 1 / core.get_seconds
    ops = min(by_network, by_core)
    return Capacity(
        gbps_per_master=gbps_per_master,
        ops_per_master=ops,
        ops_total=ops * masters,
        headroom=ops * masters / workload.requests_per_second,
        bound_by="network" if by_network < by_core else "core",
        use_percent=100 * traffic.egress_gbps_per_master / gbps_per_master,
    )


def document_capacities(workload: Workload, traffic: Traffic, core: CoreUse, masters: int) -> tuple[Capacity, ...]:
    """The sizing document's QPS table: one row for each of its interfaces."""
    return tuple(interface_capacity(workload, traffic, core, masters, gbps) for gbps in DOCUMENT_INTERFACES_GBPS)
