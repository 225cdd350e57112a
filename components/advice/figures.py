"""A plan and the figures to judge it by, whether it is the stack's own plan or one to compare it with."""

from dataclasses import dataclass, fields

from components.advice.capacity import Capacity, derive_capacity, document_capacities
from components.advice.cost import Cost, derive_cost
from components.advice.elasticache import ElastiCache, derive_elasticache
from components.advice.resilience import Resilience, derive_resilience
from components.config.settings import Settings
from components.plan.latency import Latency
from components.plan.plan import Plan, decide_plan


@dataclass(frozen=True, slots=True)
class Figures(Plan):
    """The plan and these figures, by topic. What depends on nodes is None without `eks`."""

    capacity_by_interface: tuple[Capacity, ...]
    """The sizing document's 10, 25 and 40 Gbps for each pod."""
    capacity: Capacity
    """Where all of a node's pods are masters; without `eks`, with the 10 Gbps that are assumed for a pod."""
    latency: Latency
    resilience: Resilience
    cost: Cost | None
    elasticache: tuple[ElastiCache, ...]


def derive_figures(settings: Settings, *, judge: bool = True) -> Figures:
    """The figures of a stack. Raises Refused when the pod is too small or no nodes carry the pods."""
    plan = decide_plan(settings, judge=judge)
    workload, sizing, traffic, nodes = settings.workload, plan.sizing, plan.traffic, plan.nodes
    link_gbps, masters_on_link = plan.link_gbps, plan.masters_on_link
    return Figures(
        **{field.name: getattr(plan, field.name) for field in fields(plan)},
        capacity_by_interface=document_capacities(workload, traffic, plan.load.core, sizing.masters),
        capacity=derive_capacity(settings, plan),
        latency=plan.load.latency(link_gbps, masters_on_link),
        resilience=derive_resilience(plan),
        cost=derive_cost(sizing, workload, settings.storage, nodes) if nodes else None,
        elasticache=(derive_elasticache(sizing, workload, traffic, nodes.region, len(nodes.zones)) if nodes else ()),
    )
