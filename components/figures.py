"""All figures of one way to size the stack, whether it is the chosen one or one to compare with."""

from dataclasses import dataclass

from components.catalogue import load_catalogue
from components.elasticache import ElastiCache, derive_elasticache
from components.failure import Failure, derive_failure
from components.latency import ASSUMED_INTERFACE_GBPS, Latency, derive_latency
from components.money import Money, derive_money
from components.network import Capacity, Traffic, derive_capacity, derive_traffic, document_capacities
from components.node_rules import EXPORTER_CPU_MILLICORES, EXPORTER_MEMORY_MIB, PodDemand
from components.nodes import NodePlan, choose_nodes
from components.refusal import Refused
from components.resize import Resize, derive_resize
from components.settings import Settings
from components.sizing import Sizing, derive_sizing
from components.tuning import Tuning, derive_tuning
from components.units import MIB, format_size
from components.working_set import WorkingSet, derive_working_set, size_class_bytes


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures, by topic. What depends on nodes is None where they are not ours."""

    sizing: Sizing
    traffic: Traffic
    tuning: Tuning
    working_set: WorkingSet
    capacity_by_interface: tuple[Capacity, ...]
    """The sizing document's 10, 25 and 40 Gbps for each pod."""
    nodes: NodePlan | None
    capacity: Capacity
    """On the nodes, all of a node's pods being masters; elsewhere with 10 Gbps for each pod."""
    latency: Latency
    failure: Failure
    resize: Resize
    money: Money | None
    elasticache: tuple[ElastiCache, ...]


def derive_figures(settings: Settings) -> Figures:
    """The figures of a stack. Raises Refused when the pod is too small or no nodes hold."""
    sizing = derive_sizing(settings)
    traffic = derive_traffic(settings, sizing)
    workload = settings.workload
    class_bytes = size_class_bytes(workload.object_bytes)
    try:
        tuning = derive_tuning(
            maxmemory_bytes=settings.pod_memory,
            limit_bytes=sizing.limit_memory_mib * MIB,
            # In memory, and in the replication buffer at most, a write takes its size class.
            write_bytes_per_second_per_master=traffic.writes_per_second / sizing.masters * class_bytes,
            object_bytes=class_bytes,
            ttl_seconds=workload.ttl_seconds,
            replicas_per_master=settings.replicas_per_master,
        )
    except ValueError as error:
        raise Refused([f"podMemory = {format_size(settings.pod_memory)}: {error}"]) from None
    working_set = derive_working_set(workload, sizing, tuning.repl_backlog_bytes)
    nodes = _nodes(settings, sizing, traffic)
    link_gbps, masters_on_link = (nodes.sustained_gbps, nodes.pods_per_node) if nodes else (ASSUMED_INTERFACE_GBPS, 1)
    # A resize lasts long enough for the mean over all nodes: some of a node's pods are replicas.
    mean_masters_on_link = max(1.0, masters_on_link * sizing.masters / sizing.pods)
    return Figures(
        sizing=sizing,
        traffic=traffic,
        tuning=tuning,
        working_set=working_set,
        capacity_by_interface=document_capacities(workload, traffic, sizing.masters),
        nodes=nodes,
        capacity=derive_capacity(workload, traffic, sizing.masters, link_gbps / masters_on_link),
        latency=derive_latency(workload, sizing.masters, traffic.egress_gbps_per_master, link_gbps, masters_on_link),
        failure=derive_failure(sizing, tuning, working_set, traffic.writes_per_second, nodes),
        resize=derive_resize(settings, sizing, traffic, working_set, link_gbps / mean_masters_on_link),
        money=derive_money(sizing, workload, settings.storage, nodes) if nodes else None,
        elasticache=(derive_elasticache(sizing, workload, traffic, nodes.region, len(nodes.zones)) if nodes else ()),
    )


def pod_demand(settings: Settings, sizing: Sizing, traffic: Traffic) -> PodDemand:
    """What one pod, all of its containers together, asks of a node."""
    exporter = settings.monitoring.exporter
    return PodDemand(
        masters=sizing.masters,
        replicas_per_master=sizing.replicas_per_master,
        request_memory_mib=sizing.request_memory_mib + (EXPORTER_MEMORY_MIB if exporter else 0),
        limit_memory_mib=sizing.limit_memory_mib + (EXPORTER_MEMORY_MIB if exporter else 0),
        cpu_millicores=sizing.cpu_millicores + (EXPORTER_CPU_MILLICORES if exporter else 0),
        egress_gbps_per_master=traffic.egress_gbps_per_master,
    )


def _nodes(settings: Settings, sizing: Sizing, traffic: Traffic) -> NodePlan | None:
    if settings.eks is None:
        return None
    return choose_nodes(pod_demand(settings, sizing, traffic), settings.zones, settings.nodes, load_catalogue())
