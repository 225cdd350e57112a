"""What is decided for a stack: its pods and nodes, what they hold and serve, what they survive and cost."""

from components.advice.advice import Advice
from components.advice.resilience import Resilience
from components.advice.warnings import BOUNDS
from components.config.formats import count, memory, milliseconds, percent, plain, rate, seconds, share, times, usd
from components.config.settings import Settings
from components.config.units import MIB, format_size
from preview.document import Facts, Section

Rows = tuple[tuple[str, str], ...]


def summary(plan: Advice, settings: Settings, stack: str) -> Section:
    """The first section. Its title names the stack and its shape."""
    return Section(
        "Plan",
        f"stack {stack}, {shape(plan)}",
        (
            Facts(_pods(plan) + _nodes(plan)),
            Facts(_load(plan, settings)),
            Facts(_losses(plan)),
            *([Facts(_cost(plan))] if plan.cost else []),
        ),
    )


def shape(plan: Advice) -> str:
    """Masters, replicas and nodes in one line."""
    sizing, nodes = plan.sizing, plan.nodes
    replicas = count(sizing.replicas, "replica")
    text = f"{count(sizing.masters, 'master')} + {replicas} of {format_size(sizing.pod_memory_bytes)}"
    return f"{text} on {nodes.nodes_total} x {nodes.instance_type}" if nodes else text


def _pods(plan: Advice) -> Rows:
    sizing = plan.sizing

    def requested_and_limit(request_mib: int, limit_mib: int) -> str:
        return f"{memory(request_mib * MIB)} requested, limit {memory(limit_mib * MIB)}"

    return (
        ("server", f"{plan.server.title}, license {plan.server.license}"),
        ("pods", f"{sizing.pods:,}, which request {plain(sizing.total_cpu_millicores / 1000)} CPU cores together"),
        ("memory of a pod", requested_and_limit(sizing.request_memory_mib, sizing.limit_memory_mib)),
        ("memory of all pods", requested_and_limit(sizing.total_request_memory_mib, sizing.total_limit_memory_mib)),
        ("volume of a pod", memory(sizing.volume_mib * MIB)),
        ("largest value", memory(plan.tuning.largest_value_bytes)),
    )


def _nodes(plan: Advice) -> Rows:
    nodes = plan.nodes
    if nodes is None:
        return ()
    return (
        (
            "nodes",
            f"{nodes.nodes_total} x {nodes.instance_type} ({nodes.architecture}), at most "
            f"{count(nodes.pods_per_node, 'pod')} on each",
        ),
        ("nodes by zone", ", ".join(f"{zone.zone}: {zone.nodes}" for zone in nodes.zones)),
    )


def _load(plan: Advice, settings: Settings) -> Rows:
    found, workload, capacity, answer = plan.working_set, settings.workload, plan.capacity, plan.latency
    assumed = (
        "This holds even when all pods of a node are masters."
        if plan.nodes
        else f"This assumes a network of {plain(capacity.gbps_per_master)} Gbps for each pod."
    )
    evicted = f"They do not fit: from {seconds(found.seconds_to_eviction or 0)} after a start on, images are evicted."
    return (
        ("images", f"{found.own.images:,} at a hit rate of {share(workload.hit_rate)}"),
        (
            "memory of the images",
            f"{memory(found.own.size_bytes)} of {memory(found.memory_bytes)} ({percent(found.own.memory_percent)})",
        ),
        *([] if found.own.fits else [("", evicted)]),
        ("lowest hit rate", _lowest_hit_rate(found.break_even_hit_rate_beside_backlog)),
        (
            "capacity",
            f"{rate(capacity.ops_total)}, {times(capacity.headroom)} the {rate(workload.requests_per_second)} wanted",
        ),
        ("", f"Beyond it {BOUNDS[capacity.bound_by]}."),
        ("", assumed),
        ("Redis's one core", f"{percent(answer.core_use_percent)} used{' with TLS' if plan.load.tls else ''}"),
        (
            "p95 latency of a hit",
            f"{milliseconds(answer.p95_ms)} predicted, {milliseconds(answer.wanted_p95_ms)} wanted",
        ),
    )


def _lowest_hit_rate(break_even: float) -> str:
    if not break_even:
        return "none; the images fit even if no request is a hit"
    return f"{share(break_even, 1)}; below it the images do not fit"


def _losses(plan: Advice) -> Rows:
    sizing, found = plan.sizing, plan.resilience
    rows: Rows = (
        ("when a master is lost", f"A replica has taken over after {seconds(found.promotion_seconds)}."),
        ("", _copied(found)),
    )
    if found.node_pods is None or found.zone_masters_left is None:
        return rows
    return (
        *rows,
        ("when a node is lost", f"It takes at most {found.node_pods} of {count(sizing.pods, 'pod')}."),
        ("", _second_copy(found)),
        ("when a zone is lost", f"It leaves at least {found.zone_masters_left} of {count(sizing.masters, 'master')}."),
    )


def _second_copy(found: Resilience) -> str:
    if found.reprotection_worst_seconds is None:
        return "Their shards are without a second copy until the load is less."
    return f"Their shards are without a second copy for up to {seconds(found.node_unprotected_seconds or 0)}."


def _copied(found: Resilience) -> str:
    if found.reprotection_worst_seconds is None:
        return "Its data cannot be copied to a new replica beside this load."
    alone, worst = seconds(found.reprotection_seconds), seconds(found.reprotection_worst_seconds)
    return f"A new replica has its data after {alone}, on a node full of busy masters after {worst}."


def _cost(plan: Advice) -> Rows:
    cost = plan.cost
    if cost is None:
        raise ValueError("a stack without nodes of its own has no cost")
    reserved = cost.infrastructure_usd - cost.nodes_usd + cost.nodes_reserved_3y_usd
    return (
        ("cost without traffic", f"{usd(cost.infrastructure_usd)} USD a month"),
        ("", f"{usd(reserved)} USD a month with nodes paid for three years upfront"),
        ("traffic between zones", f"up to {usd(cost.cross_zone[0].total_usd)} USD a month more"),
    )
