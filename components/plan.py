"""The derived plan: everything a stack comes to, from its settings alone. Pure; the same settings give the same plan."""

from dataclasses import asdict, dataclass
from typing import Any

from components.catalogue import load_catalogue
from components.names import pool_name
from components.network import BITS_PER_GBIT, Traffic, derive_traffic
from components.node_rules import PodDemand
from components.nodes import NodePlan, NodesRefused, choose_nodes
from components.settings import Settings
from components.sizing import Sizing, derive_sizing
from components.tuning import Tuning, derive_tuning
from components.units import MIB


_POD_START_SECONDS = 120
"""A pod's volume moves to its node and its image is pulled; EBS attaches within a minute as a rule."""


class PlanRefused(Exception):
    """No plan holds; `messages` has one line for each reason, with what to change."""

    def __init__(self, messages: list[str]) -> None:
        self.messages = messages
        super().__init__("\n".join(messages))


@dataclass(frozen=True, slots=True)
class Plan:
    """The figures of one stack, grouped by topic."""

    pool: str
    sizing: Sizing
    traffic: Traffic
    tuning: Tuning
    rollout_timeout_seconds: int
    """How long a StatefulSet may take to roll all its pods, one after the other."""
    nodes: NodePlan | None
    """None where no EKS cluster is given: then the nodes are not ours."""
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Every derived figure, snake_case with units in the names."""
        figures = asdict(self)
        return {"pool": figures.pop("pool"), **figures.pop("sizing"), **figures}


def derive_plan(settings: Settings) -> Plan:
    """The plan of a stack. Raises PlanRefused when no plan holds."""
    sizing = derive_sizing(settings)
    traffic = derive_traffic(settings, sizing)
    tuning = derive_tuning(
        maxmemory_bytes=settings.pod_memory,
        limit_bytes=sizing.limit_memory_mib * MIB,
        write_bytes_per_second_per_master=traffic.write_gbps_per_master * BITS_PER_GBIT / 8,
        object_bytes=settings.workload.object_bytes,
        ttl_seconds=settings.workload.ttl_seconds,
        replicas_per_master=settings.replicas_per_master,
    )
    return Plan(
        pool=pool_name(settings),
        sizing=sizing,
        traffic=traffic,
        tuning=tuning,
        rollout_timeout_seconds=_rollout_timeout_seconds(sizing, tuning),
        nodes=_nodes(settings, sizing, traffic),
        warnings=(),
    )


def _nodes(settings: Settings, sizing: Sizing, traffic: Traffic) -> NodePlan | None:
    if settings.eks is None:
        return None
    demand = PodDemand(
        masters=sizing.masters,
        replicas_per_master=sizing.replicas_per_master,
        request_memory_mib=sizing.request_memory_mib,
        limit_memory_mib=sizing.limit_memory_mib,
        cpu_millicores=sizing.cpu_millicores,
        egress_gbps_per_master=traffic.egress_gbps_per_master,
    )
    try:
        return choose_nodes(demand, settings.zones, settings.nodes, load_catalogue())
    except NodesRefused as refusal:
        raise PlanRefused(refusal.messages) from None


def _rollout_timeout_seconds(sizing: Sizing, tuning: Tuning) -> int:
    each = tuning.termination_grace_seconds + _POD_START_SECONDS + 2 * tuning.resync_seconds + tuning.min_ready_seconds
    return sizing.masters * each
