"""The plan of a stack: everything that its pods, nodes and Jobs are made from, derived from its settings alone.

Pure: the same settings give the same plan. What is only said about it (costs, warnings) is `components.advice`.
"""

from dataclasses import dataclass, replace
from math import ceil

from components.config.formats import gbps, rate, share
from components.config.load import NAMESPACE
from components.config.rules import MASTERS_MAX
from components.config.settings import Settings
from components.config.units import MIB, format_size
from components.plan.load import Load, derive_load
from components.plan.nodes.catalogue import DAEMONSETS_CPU_MILLICORES, load_catalogue
from components.plan.nodes.choice import NodePlan, NodesRefused, choose_nodes
from components.plan.nodes.rules import PodDemand
from components.plan.pool_name import pool_name
from components.plan.refusal import PlanRefused, Refused
from components.plan.resize import Resize, derive_resize
from components.plan.servers import ServerPlan, server_plan
from components.plan.sizing import EXPORTER_CPU_MILLICORES, EXPORTER_MEMORY_MIB, Sizing, derive_sizing
from components.plan.traffic import ASSUMED_INTERFACE_GBPS, SINGLE_FLOW_GBPS, Traffic, derive_traffic
from components.plan.tuning import Tuning, derive_tuning
from components.plan.working_set import WorkingSet, derive_working_set, size_class_bytes

_ANY_GBPS = 10**6
"""More network than any node has: then one TCP connection is the bound."""
POD_START_SECONDS = 120
"""Until a pod's volume has moved to its node and its image is there. EBS attaches within a minute as a rule."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided about a stack, by topic. What depends on nodes is None without `eks`."""

    pool: str
    """Namespace of the pods."""
    server: ServerPlan
    sizing: Sizing
    traffic: Traffic
    tuning: Tuning
    working_set: WorkingSet
    load: Load
    """Of one master at the stack's own rate."""
    nodes: NodePlan | None
    resize: Resize
    pod_ready_seconds: int
    """How long a new pod may take until it is ready: its volume and image come, and it copies a full master's data."""
    rollout_timeout_seconds: int
    """How long a StatefulSet may take to roll all its pods, one after the other."""

    @property
    def link_gbps(self) -> float:
        """Sustained network of one node; without nodes of the stack's own, what is assumed for one pod."""
        return self.nodes.sustained_gbps if self.nodes else ASSUMED_INTERFACE_GBPS

    @property
    def masters_on_link(self) -> int:
        """Masters that may share that network: after failovers, all of a node's pods."""
        return self.nodes.pods_per_node if self.nodes else 1


def derive_plan(settings: Settings) -> Plan:
    """The plan of a stack. Raises PlanRefused when the pod is too small or no nodes carry the pods."""
    try:
        return decide_plan(settings)
    except Refused as refusal:
        raise PlanRefused([f"{NAMESPACE}:{message}" for message in refusal.messages]) from None


def decide_plan(settings: Settings, *, judge: bool = True) -> Plan:
    """The same for one of several stacks that are compared: Refused does not name keys as a stack file does.

    Without `judge` a load that cannot be carried is planned all the same: a column of a comparison shows its figures.
    """
    sizing = derive_sizing(settings)
    traffic = derive_traffic(settings, sizing)
    workload = settings.workload
    class_bytes = size_class_bytes(workload.object_bytes)
    try:
        tuning = derive_tuning(
            maxmemory_bytes=settings.pod_memory,
            limit_bytes=sizing.limit_memory_mib * MIB,
            # A write takes its size class in memory, and no more than that in the replication buffer.
            write_bytes_per_second_per_master=traffic.writes_per_second / sizing.masters * class_bytes,
            object_bytes=class_bytes,
            ttl_seconds=workload.ttl_seconds,
            replicas_per_master=settings.replicas_per_master,
        )
    except ValueError as error:
        raise Refused([f"podMemory = {format_size(settings.pod_memory)}: {error}"]) from None
    server = server_plan(settings.images.server.line)
    working_set = derive_working_set(workload, sizing, tuning.repl_backlog_bytes, server.figures)
    load = derive_load(settings, sizing, tuning)
    # What TLS takes of the core differs between processors by more than a stack should be refused for (ADR 32). So it
    # decides between nodes, and where no nodes are enough it is a warning.
    without_tls = derive_load(settings, sizing, tuning, tls=False)
    if judge:
        _refuse_impossible(settings, sizing, without_tls)
    nodes = _nodes(settings, sizing, traffic, load, without_tls)
    return Plan(
        pool=pool_name(settings, sizing),
        server=server,
        sizing=sizing,
        traffic=traffic,
        tuning=tuning,
        working_set=working_set,
        load=load,
        nodes=nodes,
        resize=derive_resize(settings, sizing, traffic, working_set, _mean_gbps_per_master(sizing, nodes)),
        pod_ready_seconds=_pod_ready_seconds(tuning),
        rollout_timeout_seconds=sizing.masters * (tuning.termination_grace_seconds + _pod_ready_seconds(tuning)),
    )


def pod_demand(settings: Settings, sizing: Sizing, traffic: Traffic, load: Load | None = None) -> PodDemand:
    """What one pod, all of its containers together, asks of a node."""
    exporter = settings.monitoring.exporter
    return PodDemand(
        masters=sizing.masters,
        copies_per_shard=sizing.copies_per_shard,
        request_memory_mib=sizing.request_memory_mib + (EXPORTER_MEMORY_MIB if exporter else 0),
        limit_memory_mib=sizing.limit_memory_mib + (EXPORTER_MEMORY_MIB if exporter else 0),
        cpu_millicores=sizing.cpu_millicores + (EXPORTER_CPU_MILLICORES if exporter else 0),
        egress_gbps_per_master=traffic.egress_gbps_per_master,
        load=load,
    )


def _nodes(settings: Settings, sizing: Sizing, traffic: Traffic, load: Load, without_tls: Load) -> NodePlan | None:
    if settings.eks is None:
        return None
    if sizing.cpu_millicores <= DAEMONSETS_CPU_MILLICORES:
        # A node that is full must have no room for one more pod, even where its DaemonSets ask for nothing: the
        # scheduler counts requests, not the memory limits and the network that one more pod would exceed.
        raise Refused(
            [
                f"podCpuMillicores = {sizing.cpu_millicores}: with eks a pod must request more than the "
                f"{DAEMONSETS_CPU_MILLICORES} millicores that each node keeps for DaemonSets, or the scheduler could "
                "place more pods on a node than its memory and network carry; the nodes are the cache's own, so a "
                "smaller request would save nothing"
            ]
        )
    demand = pod_demand(settings, sizing, traffic, load)
    try:
        return choose_nodes(demand, settings.zones, settings.nodes, load_catalogue())
    except NodesRefused as refusal:
        if not load.tls:
            raise
        try:
            return choose_nodes(replace(demand, load=without_tls), settings.zones, settings.nodes, load_catalogue())
        except NodesRefused:
            raise refusal from None


def _refuse_impossible(settings: Settings, sizing: Sizing, load: Load) -> None:
    """What no nodes help against."""
    messages = []
    needed = ceil(load.traffic.write_gbps / SINGLE_FLOW_GBPS)
    more_masters = (
        "use a smaller podMemory or a larger totalMemory, which make more masters"
        if needed <= MASTERS_MAX
        else f"workload.requestsPerSecond, workload.objectBytes and workload.hitRate together need {needed:,} masters, "
        f"and a Redis Cluster carries at most {MASTERS_MAX}"
    )
    workload, traffic, tuning = settings.workload, load.traffic, load.tuning
    if workload.object_bytes > tuning.largest_value_bytes:
        messages.append(
            f"workload.objectBytes = {workload.object_bytes}: the largest value that a pod of "
            f"{format_size(settings.pod_memory)} takes has {tuning.largest_value_bytes:,} bytes; make images "
            "smaller or podMemory larger"
        )
    if traffic.write_gbps_per_master > SINGLE_FLOW_GBPS:
        messages.append(
            f"workload.requestsPerSecond = {workload.requests_per_second}: at a hit rate of {share(workload.hit_rate)} "
            f"a master is written {gbps(traffic.write_gbps_per_master)}, and the one TCP connection to its replica "
            f"carries {SINGLE_FLOW_GBPS:g} Gbps; the replica would fall behind for ever: {more_masters}"
        )
    elif not load.resync(_ANY_GBPS, 1, is_core_idle=True).fits:
        messages.append(
            f"podMemory = {format_size(settings.pod_memory)}: the writes to a master are "
            f"{rate(traffic.writes_per_second / sizing.masters)}, and so many wait while its memory is copied over one "
            f"TCP connection of {SINGLE_FLOW_GBPS:g} Gbps that a full resync does not fit into the pod's "
            "limit; a lost replica would never come back: use a smaller podMemory, a larger totalMemory or a shorter "
            "workload.ttlSeconds"
        )
    if messages:
        raise Refused(messages)


def _mean_gbps_per_master(sizing: Sizing, nodes: NodePlan | None) -> float:
    """A resize lasts long enough for the mean over all nodes to count. Some of a node's pods are replicas, so a master
    has more than a pod's share of the network."""
    if nodes is None:
        return ASSUMED_INTERFACE_GBPS
    return nodes.sustained_gbps / max(1.0, nodes.pods_per_node * sizing.masters / sizing.pods)


def _pod_ready_seconds(tuning: Tuning) -> int:
    return POD_START_SECONDS + 2 * tuning.resync_seconds + tuning.min_ready_seconds
