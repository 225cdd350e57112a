"""What the workload puts on the network, per master and in all, and how many requests the network carries.

Gbps are 10**9 bits a second, as EC2 counts them. As in the sizing document every request is counted as a whole object
sent by a master, also the misses; that is the most a master can send.
"""

from dataclasses import dataclass

from components.settings import Settings, Workload
from components.sizing import Sizing

BITS_PER_GBIT = 10**9
ONE_CORE_OPS_PER_SECOND = 5000
"""1 MB values one Redis thread serves (redis-facts 11: 5,000 GET/s on a pinned core; sizing document: 3,000-5,000)."""
DOCUMENT_INTERFACES_GBPS = (10, 25, 40)
"""Interfaces the sizing document compares."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Sustained rates at the workload's peak."""

    writes_per_second: float
    read_gbps: float
    write_gbps: float
    replication_gbps: float
    read_gbps_per_master: float
    write_gbps_per_master: float
    """Received: the images that were missed."""
    replication_gbps_per_master: float
    """Sent: every write, once to each replica."""
    egress_gbps_per_master: float
    """Sent in all. Receiving has a budget of its own and is never more than this."""


def misses_per_second(workload: Workload, hit_rate: float | None = None) -> float:
    """Requests that are not answered from the cache and write their image to it, at the stack's or another rate."""
    share = 1 - (workload.hit_rate if hit_rate is None else hit_rate)
    # 1 - 0.8 is not 0.2 in floating point.
    return round(workload.requests_per_second * share, 6)


def derive_traffic(settings: Settings, sizing: Sizing) -> Traffic:
    """Traffic of a stack."""
    workload = settings.workload
    writes = misses_per_second(workload)
    object_gbit = workload.object_bytes * 8 / BITS_PER_GBIT
    read, write = workload.requests_per_second * object_gbit, writes * object_gbit
    replication = write * sizing.replicas_per_master
    return Traffic(
        writes_per_second=writes,
        read_gbps=read,
        write_gbps=write,
        replication_gbps=replication,
        read_gbps_per_master=read / sizing.masters,
        write_gbps_per_master=write / sizing.masters,
        replication_gbps_per_master=replication / sizing.masters,
        egress_gbps_per_master=(read + replication) / sizing.masters,
    )


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
    by_network = gbps_per_master * BITS_PER_GBIT / 8 / workload.object_bytes
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
