"""What the loss of a pod, a node or a zone costs, and how long until everything has its copies again."""

from bisect import bisect_left
from dataclasses import dataclass
from math import ceil

from components.config.units import MIB
from components.plan.node_loss import node_replaced_seconds
from components.plan.nodes.choice import NodePlan
from components.plan.plan import Plan
from components.plan.traffic import BITS_PER_GBIT, SINGLE_FLOW_BYTES_PER_SECOND, bytes_per_second
from components.plan.tuning import mixed_overhead_bytes, overhead_bytes

MEASURED_PROMOTIONS = ((2.0, 3.6), (5.0, 8.5), (15.0, 19.1))
"""Node timeout -> seconds from the kill of a master that stays away until its slot takes a write (measured:
docs/reference/redis.md, "Failover")."""
DOCUMENT_FAILOVER_GBPS = 10
"""At this speed a pod's memory is sent in what the sizing document calls failover time (60 s, 110 s)."""


@dataclass(frozen=True, slots=True)
class Resilience:
    """What a loss costs. Promotion ends when the shard serves again, re-protection when it has its replicas again."""

    blast_radius_percent: float
    """Of the images, when every copy of one shard is lost. The others are served on because redis.conf has
    `cluster-require-full-coverage no`."""
    promotion_seconds: float
    reprotection_seconds: int
    """Full resync of the data the workload fills a master with, over one TCP flow."""
    reprotection_full_seconds: int
    """The same with a full master."""
    reprotection_worst_seconds: int | None
    """Until a lost replica is in sync again where all pods of a node are masters, which leaves a flow the least
    network; None: it never is."""
    resync_fits: bool
    resync_bound_by_core: bool
    """Whether a master's core leaves it less than the network does."""
    resync_full_fits: bool
    """The same with all memory of the master full."""
    resync_worst_peak_mib: int
    resync_worst_gbps: float
    document_failover_seconds: float
    """A full master at 10 Gbps, the document's figure; no TCP flow between nodes is that fast."""
    repl_backlog_seconds: float | None
    """How long a replica may be cut off without a full resync; None: nothing is written."""
    resync_peak_mib: int
    resync_peak_full_mib: int
    full_mib: int
    """Memory of a pod whose Redis is full, no resync under way: with images of one size, and of many sizes."""
    full_mixed_mib: int
    limit_memory_mib: int
    safe_writes_per_second_per_master: float
    writes_per_second_per_master: float
    node_pods: int | None
    """Pods that a lost node takes with it; None without `eks`, like all figures below."""
    node_reprotection_seconds: int | None
    """A new node's pods sync at the same time and share its network."""
    node_replaced_seconds: int | None
    """Until the pods of a node that stops answering can start elsewhere, at most."""
    node_unprotected_seconds: int | None
    """Until their shards have all their copies again, at most: the two figures before together."""
    zone_masters: int | None
    """Most masters a lost zone takes with it."""
    zone_masters_left: int | None


def derive_resilience(plan: Plan) -> Resilience:
    """Resilience figures of a plan."""
    sizing, tuning, working_set, nodes = plan.sizing, plan.tuning, plan.working_set, plan.nodes
    writes_per_second = plan.traffic.writes_per_second
    resync = plan.load.resync(plan.link_gbps, plan.masters_on_link)
    full = plan.load.resync(plan.link_gbps, plan.masters_on_link, is_full=True)
    class_bytes = working_set.size_class_bytes
    writes_per_master = writes_per_second / sizing.masters
    data_bytes = min(working_set.own.size_bytes, working_set.room_bytes) / sizing.masters
    zone_masters = max(zone.masters for zone in nodes.zones) if nodes else None
    node_reprotection = _node_reprotection_seconds(data_bytes, nodes) if nodes else None
    replaced = node_replaced_seconds() if nodes else None
    return Resilience(
        blast_radius_percent=sizing.blast_radius_percent,
        promotion_seconds=promotion_seconds(tuning.node_timeout_ms / 1000),
        reprotection_seconds=ceil(data_bytes / SINGLE_FLOW_BYTES_PER_SECOND),
        reprotection_full_seconds=tuning.resync_seconds,
        reprotection_worst_seconds=_ceil(resync.in_sync_seconds),
        resync_fits=resync.fits,
        resync_bound_by_core=resync.is_bound_by_core,
        resync_full_fits=full.fits,
        resync_worst_peak_mib=int(resync.peak_bytes) // MIB,
        resync_worst_gbps=resync.bytes_per_second * 8 / BITS_PER_GBIT,
        document_failover_seconds=sizing.pod_memory_bytes / bytes_per_second(DOCUMENT_FAILOVER_GBPS),
        repl_backlog_seconds=(
            tuning.repl_backlog_bytes / (writes_per_master * class_bytes) if writes_per_master else None
        ),
        resync_peak_mib=tuning.resync_peak_bytes // MIB,
        resync_peak_full_mib=tuning.resync_peak_full_bytes // MIB,
        full_mib=(tuning.maxmemory_bytes + overhead_bytes(tuning.maxmemory_bytes)) // MIB,
        full_mixed_mib=(tuning.maxmemory_bytes + mixed_overhead_bytes(tuning.maxmemory_bytes)) // MIB,
        limit_memory_mib=sizing.limit_memory_mib,
        safe_writes_per_second_per_master=tuning.safe_write_bytes_per_second / class_bytes,
        writes_per_second_per_master=writes_per_master,
        node_pods=nodes.pods_per_node if nodes else None,
        node_reprotection_seconds=node_reprotection,
        node_replaced_seconds=replaced,
        node_unprotected_seconds=(
            None if replaced is None or node_reprotection is None else replaced + node_reprotection
        ),
        zone_masters=zone_masters,
        zone_masters_left=sizing.masters - zone_masters if zone_masters is not None else None,
    )


def promotion_seconds(node_timeout_seconds: float) -> float:
    """Seconds until a replica has taken over, between and beyond the measured node timeouts."""
    timeouts = [timeout for timeout, _ in MEASURED_PROMOTIONS]
    upper = min(max(bisect_left(timeouts, node_timeout_seconds), 1), len(timeouts) - 1)
    (low, low_seconds), (high, high_seconds) = MEASURED_PROMOTIONS[upper - 1 : upper + 1]
    return low_seconds + (node_timeout_seconds - low) * (high_seconds - low_seconds) / (high - low)


def _ceil(seconds: float | None) -> int | None:
    return None if seconds is None else ceil(seconds)


def _node_reprotection_seconds(data_bytes: float, nodes: NodePlan) -> int:
    per_pod = min(SINGLE_FLOW_BYTES_PER_SECOND, bytes_per_second(nodes.sustained_gbps) / nodes.pods_per_node)
    return ceil(data_bytes / per_pod)
