"""What holds of one node and of one zone: how many pods a type may carry by each rule, and how many nodes a zone needs.

A pod's zone is decided (`placement.py`). Its node is the scheduler's choice, except that pods of one shard never share
a node. After failovers any pod may be a master, so every rule takes each pod for one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from components.config.choices import Architecture, Packing
from components.config.formats import figure, memory_to_a_tenth, percent
from components.config.settings import Nodes
from components.plan.load import Load, first_failure
from components.plan.nodes.catalogue import (
    DAEMONSETS_CPU_MILLICORES,
    DAEMONSETS_MEMORY_MIB,
    DAEMONSETS_PODS,
    InstanceType,
)
from components.plan.traffic import SINGLE_FLOW_GBPS

NODE_SHARE_DIVISOR = 6
"""No node carries more than a sixth of the pods. Two nodes that are lost together then take a third of the masters at
most on average, and the masters that are left are a majority that promotes replicas."""
_NO_LIMIT = 10**6


@dataclass(frozen=True, slots=True)
class PodDemand:
    """What the pods ask of nodes. All pods are alike.

    `cpu_millicores` is more than what a node keeps for DaemonSets: where these take less, no further pod fits.
    """

    masters: int
    copies_per_shard: int
    """Its master and its replicas."""
    request_memory_mib: int
    limit_memory_mib: int
    cpu_millicores: int
    egress_gbps_per_master: float
    load: Load | None = None
    """What a master is asked besides sending so much; None judges network, memory and cores alone."""

    @property
    def pods(self) -> int:
        """All pods."""
        return self.masters * self.copies_per_shard


@dataclass(frozen=True, slots=True)
class PodsPerNode:
    """How many pods one node of a type may carry, by each rule."""

    by_memory: int
    by_cpu: int
    by_pod_count: int
    by_volumes: int
    """Each pod has one EBS volume."""
    by_network: int
    by_share: int
    by_majority: int
    by_load: int = _NO_LIMIT
    """By the time of answers, the cores that answers take, and a full resync beside them."""

    @property
    def most(self) -> int:
        """What all rules allow."""
        return min(
            self.by_memory,
            self.by_cpu,
            self.by_pod_count,
            self.by_volumes,
            self.by_network,
            self.by_share,
            self.by_majority,
            self.by_load,
        )


def pods_per_node(kind: InstanceType, demand: PodDemand, packing: Packing) -> PodsPerNode:
    """How many of the pods one node of the type may carry, by each rule."""
    pod_mib = demand.limit_memory_mib if packing is Packing.LIMITS else demand.request_memory_mib
    limits = PodsPerNode(
        by_memory=max(0, kind.allocatable_memory_mib - DAEMONSETS_MEMORY_MIB) // pod_mib,
        by_cpu=max(0, kind.allocatable_cpu_millicores - DAEMONSETS_CPU_MILLICORES) // demand.cpu_millicores,
        by_pod_count=max(0, kind.max_pods - DAEMONSETS_PODS),
        by_volumes=kind.max_volumes,
        by_network=_whole(kind.network_baseline_gbps, demand.egress_gbps_per_master),
        by_share=demand.pods // NODE_SHARE_DIVISOR,
        by_majority=(demand.masters - 1) // 2,
    )
    return replace(limits, by_load=_by_load(kind, demand.load, limits.most)) if demand.load else limits


def load_failure(kind: InstanceType, load: Load, masters: int) -> str | None:
    """The first rule that fails on a node of the type whose pods are all masters, so many of them."""
    return first_failure(load, kind.network_baseline_gbps, masters, cores_for_pods(kind))


def cores_for_pods(kind: InstanceType) -> float:
    """What EKS and the DaemonSets leave."""
    return max(0, kind.allocatable_cpu_millicores - DAEMONSETS_CPU_MILLICORES) / 1000


def _by_load(kind: InstanceType, load: Load, most: int) -> int:
    """The most masters, up to what the other rules allow, of which the load breaks no rule."""
    return next((masters for masters in range(most, 0, -1) if load_failure(kind, load, masters) is None), 0)


def nodes_in_zone(pods: int, per_node: int, copies_apart: int) -> int:
    """Nodes a zone needs so that its pods fit whichever node each is sent to.

    `copies_apart` is how many pods of one shard the zone holds at most; 1 wherever there are as many zones as copies.
    Each of them needs a node without the others. The others may stand on nodes with free places, which are then of no
    use to it, so one node for each of the others comes on top.
    """
    others = copies_apart - 1
    return others + -(-(pods - others) // per_node)


def capacity_shortage(kind: InstanceType, demand: PodDemand, rules: Nodes, limits: PodsPerNode) -> str | None:
    """Why a node of this type cannot carry even one pod, with the figures; None when it can."""
    if limits.most > 0:
        return None
    if limits.by_memory == 0:
        of_pod = demand.limit_memory_mib if rules.packing is Packing.LIMITS else demand.request_memory_mib
        return (
            f"0 pods fit: {memory_to_a_tenth(of_pod)} memory {rules.packing} of a pod, and "
            f"{memory_to_a_tenth(kind.allocatable_memory_mib)} of the node's {memory_to_a_tenth(kind.memory_mib)} are "
            f"allocatable ({DAEMONSETS_MEMORY_MIB} MiB of it for DaemonSets)"
        )
    if limits.by_network == 0:
        return (
            f"one master sends {figure(demand.egress_gbps_per_master, 2)} Gbps, and "
            f"{kind.network_baseline_gbps:g} Gbps are sustained (its {kind.network_burst_gbps:g} Gbps burst "
            "lasts minutes)"
        )
    if limits.by_load == 0 and demand.load:
        return _overload(kind, demand.load)
    return (
        f"0 pods fit: by CPU {limits.by_cpu}, by pods {limits.by_pod_count}, by volumes {limits.by_volumes}, by a "
        f"sixth of all {demand.pods} pods {limits.by_share}, by the majority of masters {limits.by_majority}"
    )


def common_overload(kinds: Iterable[InstanceType], demand: PodDemand, packing: Packing) -> tuple[str, str] | None:
    """Why the load of one master is too much for every type that has room for its pod, with what to change, behind the
    key that is at fault; None where it is not the load that fails."""
    load = demand.load
    without = replace(demand, load=None)
    roomy = [kind for kind in kinds if pods_per_node(kind, without, packing).most > 0]
    if load is None or not roomy or any(load_failure(kind, load, 1) is None for kind in roomy):
        return None
    fastest = max(roomy, key=lambda kind: kind.network_baseline_gbps)
    key, change = "podMemory", "make podMemory smaller, so that more masters share the load"
    if load_failure(fastest, load, 1) == "p95":
        answer = load.latency(fastest.network_baseline_gbps, 1)
        alone = answer.transfer_ms + answer.processing_ms + answer.round_trip_ms
        if alone > load.wanted_p95_ms:
            # No number of masters makes one answer quicker than it is without any other.
            key = f"workload.p95LatencyMs = {load.wanted_p95_ms}"
            change = f"an answer takes {alone:,.1f} ms by itself; raise workload.p95LatencyMs, or make images smaller"
    return key, f"on {fastest.name}, the fastest with room for it, {_overload(fastest, load)}; {change}"


def _overload(kind: InstanceType, load: Load) -> str:
    match load_failure(kind, load, 1):
        case "core":
            return f"one master takes {load.core_share:.2f} cores{' with TLS' if load.tls else ''}, and Redis has one"
        case "resync-core":
            return (
                f"the requests of one master take {percent(100 * load.core_share)} of its one core"
                f"{' with TLS' if load.tls else ''}, and what they leave is too little for a full resync; a lost "
                "replica would never come back"
            )
        case "flow":
            return (
                f"a master is written {load.traffic.write_gbps_per_master:.1f} Gbps, and the one TCP connection to its "
                f"replica carries {SINGLE_FLOW_GBPS:g} Gbps"
            )
        case "resync":
            sent, sustained = load.traffic.egress_gbps_per_master, kind.network_baseline_gbps
            return (
                f"a full resync of one master does not fit beside its load of {sent:.2f} of {sustained:g} Gbps; a lost "
                "replica would never come back"
            )
        case _:
            found = load.latency(kind.network_baseline_gbps, 1).p95_ms
            predicted = "unbounded" if found is None else f"{found:,.1f} ms"
            return f"the p95 of one master alone would be {predicted}, and {load.wanted_p95_ms} ms are wanted"


def _whole(capacity: float, unit: float) -> int:
    # 19.2 Gbps / 4.8 Gbps must be 4 in floating point as well.
    return _NO_LIMIT if unit <= 0 else min(_NO_LIMIT, int(capacity / unit + 1e-9))


def architecture_mismatch(kind: InstanceType, rules: Nodes) -> str | None:
    """Why the type is not of the wanted architecture; None when it is."""
    if rules.architecture is Architecture.ANY or kind.architecture == rules.architecture:
        return None
    return f"{kind.architecture}, and nodes.architecture is {rules.architecture}"


def plain_network(kind: InstanceType, rules: Nodes) -> str | None:
    """Why the type's network is not what `nodes.transitEncryption` asks for; None when it is."""
    if not rules.transit_encryption or kind.encrypts_in_transit:
        return None
    return f"{kind.family} does not encrypt what nodes send each other, and nodes.transitEncryption is true"


def evened_out(most: int, pods_of_zones: tuple[int, ...], copies_apart: int) -> int:
    """The fewest pods per node with which every zone still needs as few nodes as with `most`."""
    others = copies_apart - 1
    return max(-(-(pods - others) // (nodes_in_zone(pods, most, copies_apart) - others)) for pods in pods_of_zones)


def schedulable(kind: InstanceType, demand: PodDemand) -> int:
    """Pods the scheduler would put on an otherwise empty node: it counts requests, not limits or traffic."""
    return min(
        kind.allocatable_memory_mib // demand.request_memory_mib,
        kind.allocatable_cpu_millicores // demand.cpu_millicores,
    )
