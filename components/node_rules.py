"""What holds of one node and of one zone: how many pods a type may carry by each rule, and how many nodes a zone needs.

What the scheduler may choose (the pods' own constraints): every StatefulSet spreads over the zones with maxSkew 1, so
a zone gets at most ceil(masters / zones) pods of each; copies of one shard never share a zone (or, with fewer zones
than copies, a node). Within a zone any pod may land on any node, and after failovers any pod may be a master.
"""

from dataclasses import dataclass

from components.catalogue import DAEMONSETS_CPU_MILLICORES, DAEMONSETS_MEMORY_MIB, DAEMONSETS_PODS, InstanceType
from components.settings import Architecture, Nodes, Packing, Placement

NODE_SHARE_DIVISOR = 6
"""No node carries more than a sixth of the pods: with a larger one, two lost nodes reach the majority of masters."""
_NO_LIMIT = 10**6


@dataclass(frozen=True, slots=True)
class PodDemand:
    """What the pods ask of nodes. All pods are alike; `cpu_millicores` is more than 500."""

    masters: int
    replicas_per_master: int
    request_memory_mib: int
    limit_memory_mib: int
    cpu_millicores: int
    egress_gbps_per_master: float

    @property
    def copies(self) -> int:
        """Pods of one shard: its master and replicas."""
        return 1 + self.replicas_per_master

    @property
    def pods(self) -> int:
        """All pods."""
        return self.masters * self.copies


@dataclass(frozen=True, slots=True)
class PodsPerNode:
    """How many pods one node of a type may carry, by each rule."""

    by_memory: int
    by_cpu: int
    by_pod_count: int
    by_network: int
    by_share: int
    by_majority: int

    @property
    def most(self) -> int:
        """What all rules allow."""
        return min(self.by_memory, self.by_cpu, self.by_pod_count, self.by_network, self.by_share, self.by_majority)


def pods_per_node(kind: InstanceType, demand: PodDemand, packing: Packing) -> PodsPerNode:
    """How many of the pods one node of the type may carry, by each rule."""
    pod_mib = demand.limit_memory_mib if packing is Packing.LIMITS else demand.request_memory_mib
    return PodsPerNode(
        by_memory=max(0, kind.allocatable_memory_mib - DAEMONSETS_MEMORY_MIB) // pod_mib,
        by_cpu=max(0, kind.allocatable_cpu_millicores - DAEMONSETS_CPU_MILLICORES) // demand.cpu_millicores,
        by_pod_count=max(0, kind.max_pods - DAEMONSETS_PODS),
        by_network=_whole(kind.network_baseline_gbps, demand.egress_gbps_per_master),
        by_share=demand.pods // NODE_SHARE_DIVISOR,
        by_majority=(demand.masters - 1) // 2,
    )


def most_masters_in_zone(demand: PodDemand, zones: int) -> int:
    """Masters (and replicas of each set) a zone may get with maxSkew 1."""
    return -(-demand.masters // zones)


def nodes_in_zone(demand: PodDemand, zones: int, per_node: int, placement: Placement) -> int:
    """Nodes a zone needs so that whichever pods the scheduler sends there fit.

    Where copies of a shard may meet in one zone, a pod must still find room on a node without any of the others.
    """
    pods = most_masters_in_zone(demand, zones) * demand.copies
    if demand.copies <= zones or placement is Placement.PREFERRED:
        return -(-pods // per_node)
    others = demand.replicas_per_master
    return others + -(-(pods - others) // per_node)


def capacity_fault(kind: InstanceType, demand: PodDemand, rules: Nodes) -> str | None:
    """Why a node of this type cannot carry even one pod, with the figures; None when it can."""
    limits = pods_per_node(kind, demand, rules.packing)
    if limits.most > 0:
        return None
    if limits.by_memory == 0:
        of_pod = demand.limit_memory_mib if rules.packing is Packing.LIMITS else demand.request_memory_mib
        return (
            f"0 pods fit: {gib(of_pod)} memory {rules.packing} of a pod, and {gib(kind.allocatable_memory_mib)} of the "
            f"node's {gib(kind.memory_mib)} are allocatable ({DAEMONSETS_MEMORY_MIB} MiB of it for DaemonSets)"
        )
    if limits.by_network == 0:
        return (
            f"one master sends {demand.egress_gbps_per_master:.2f} Gbps, and {kind.network_baseline_gbps:g} Gbps are "
            f"sustained (its {kind.network_burst_gbps:g} Gbps burst lasts minutes)"
        )
    return (
        f"0 pods fit: by CPU {limits.by_cpu}, by pod count {limits.by_pod_count}, by a sixth of all {demand.pods} pods "
        f"{limits.by_share}, by the majority of masters {limits.by_majority}"
    )


def _whole(capacity: float, unit: float) -> int:
    # 19.2 Gbps / 4.8 Gbps must be 4 in floating point as well.
    return _NO_LIMIT if unit <= 0 else min(_NO_LIMIT, int(capacity / unit + 1e-9))


def gib(mib: int) -> str:
    return f"{mib / 1024:.1f} GiB"


def architecture_fault(kind: InstanceType, rules: Nodes) -> str | None:
    if rules.architecture is Architecture.ANY or kind.architecture == rules.architecture:
        return None
    return f"{kind.architecture}, and nodes.architecture is {rules.architecture}"


def evened_out(kind: InstanceType, demand: PodDemand, zones: int, rules: Nodes) -> int:
    """The most pods per node; fewer where cores are kept back anyway and as many nodes would do."""
    most = pods_per_node(kind, demand, rules.packing).most
    if schedulable(kind, demand) == most:
        return most
    nodes = nodes_in_zone(demand, zones, most, rules.placement)
    return min(few for few in range(1, most + 1) if nodes_in_zone(demand, zones, few, rules.placement) == nodes)


def schedulable(kind: InstanceType, demand: PodDemand) -> int:
    """Pods the scheduler would put on an otherwise empty node: it counts requests, not limits or traffic."""
    return min(
        kind.allocatable_memory_mib // demand.request_memory_mib,
        kind.allocatable_cpu_millicores // demand.cpu_millicores,
        kind.max_pods,
    )
