"""What the workload puts on the network, per master and in all.

Gbps are 10**9 bits a second, as EC2 counts them. As in the sizing document (docs/reference/sizing-document.md) every
request counts as a whole object that a master sends, the misses too. That is the most a master can send.
"""

from dataclasses import dataclass

from components.config.settings import Settings, Workload
from components.plan.sizing import Sizing

BITS_PER_GBIT = 10**9
SINGLE_FLOW_GBPS = 5
"""What one TCP flow between two EC2 instances carries outside a placement group (EC2 user guide, "Instance network
bandwidth"). Replication is one flow, so no full resync is faster, and a client needs several connections to get more
from a master."""
SINGLE_FLOW_BYTES_PER_SECOND = SINGLE_FLOW_GBPS * BITS_PER_GBIT // 8
ASSUMED_INTERFACE_GBPS = 10.0
"""Network of a pod where the nodes are not chosen here (no `eks`): what the sizing document reckons with."""


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


def bytes_per_second(gbps: float) -> float:
    """Gbps as a master or a node counts what it sends: 5 -> 625,000,000."""
    return gbps * BITS_PER_GBIT / 8


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
