"""The difference between two or more plans of one stack: `--compare 64GB,128GB`."""

from collections.abc import Callable, Mapping, Sequence

from components.advice.advice import Advice
from components.config.formats import NONE, gbps, memory, milliseconds, percent, plain, rate, seconds, share, usd
from components.config.units import MIB, format_size
from preview.document import Facts, Section, Table

_FIGURES: tuple[tuple[str, Callable[[Advice], str]], ...] = (
    ("pool", lambda plan: plan.pool),
    ("masters + replicas", lambda plan: f"{plan.sizing.masters} + {plan.sizing.replicas}"),
    ("requested by a pod", lambda plan: memory(plan.sizing.request_memory_mib * MIB)),
    ("limit of a pod", lambda plan: memory(plan.sizing.limit_memory_mib * MIB)),
    ("volume of a pod", lambda plan: memory(plan.sizing.volume_mib * MIB)),
    ("requested by all pods", lambda plan: memory(plan.sizing.total_request_memory_mib * MIB)),
    ("limit of all pods", lambda plan: memory(plan.sizing.total_limit_memory_mib * MIB)),
    ("CPU cores", lambda plan: plain(plan.sizing.total_cpu_millicores / 1000)),
    ("usable memory", lambda plan: format_size(plan.sizing.usable_memory_bytes)),
    ("working set", lambda plan: memory(plan.working_set.own.size_bytes)),
    ("memory in use", lambda plan: percent(plan.working_set.own.memory_percent)),
    ("lowest hit rate", lambda plan: share(plan.working_set.break_even_hit_rate_beside_backlog, 1)),
    ("sent by a master", lambda plan: gbps(plan.traffic.egress_gbps_per_master)),
    ("node type", lambda plan: plan.nodes.instance_type if plan.nodes else NONE),
    ("nodes", lambda plan: f"{plan.nodes.nodes_total}" if plan.nodes else NONE),
    ("spare nodes in a zone", lambda plan: f"{plan.nodes.spare_per_zone}" if plan.nodes else NONE),
    (
        "spare nodes, USD a month",
        lambda plan: usd(plan.nodes.spare_usd_per_month if plan.nodes and plan.nodes.spare_per_zone else None),
    ),
    ("pods on a node", lambda plan: f"{plan.nodes.pods_per_node}" if plan.nodes else NONE),
    ("network used, worst", lambda plan: percent(plan.latency.link_use_percent)),
    ("capacity", lambda plan: rate(plan.capacity.ops_total)),
    ("Redis's one core", lambda plan: percent(plan.latency.core_use_percent)),
    ("p95 latency", lambda plan: milliseconds(plan.latency.p95_ms)),
    ("blast radius", lambda plan: percent(plan.resilience.blast_radius_percent, 2)),
    ("failover", lambda plan: seconds(plan.resilience.promotion_seconds)),
    ("full resync", lambda plan: seconds(plan.resilience.reprotection_seconds)),
    ("full resync, busy node", lambda plan: _or_never(plan.resilience.reprotection_worst_seconds)),
    ("full resync, full master", lambda plan: seconds(plan.resilience.reprotection_full_seconds)),
    ("its memory, full master", lambda plan: memory(plan.resilience.resync_peak_full_mib * MIB)),
    ("nodes, USD a month", lambda plan: usd(plan.cost.nodes_usd if plan.cost else None)),
    ("total, USD a month", lambda plan: usd(plan.cost.infrastructure_usd if plan.cost else None)),
    ("traffic, USD a month", lambda plan: usd(plan.cost.cross_zone[0].total_usd if plan.cost else None)),
)


def _or_never(found: float | None) -> str:
    return "never" if found is None else seconds(found)


def comparison(plans: Mapping[str, Advice | str]) -> tuple[Section, ...]:
    """The plans by their names, one column each: what differs, what is the same in all of them, and their warnings.

    A text instead of a plan says why there is none; its column stays empty.
    """
    held = {name: plan for name, plan in plans.items() if not isinstance(plan, str)}
    different, same = [], []
    for label, show in _FIGURES:
        texts = {name: show(plan) for name, plan in held.items()}
        if len(held) > 1 and len(set(texts.values())) == 1:
            same.append((label, next(iter(texts.values()))))
        elif texts:
            different.append((label, *(texts.get(name, NONE) for name in plans)))
    *others, last = plans
    sections = [
        Section("Different", f"between {', '.join(others)} and {last}", (Table(("", *plans), tuple(different)),))
    ]
    if same:
        sections.append(Section("The same", "in all of them", (Facts(tuple(same)),)))
    refused = tuple(
        row for name, plan in plans.items() if isinstance(plan, str) for row in _rows(name, plan.split("\n"))
    )
    if refused:
        sections.append(Section("No plan", "why none holds", (Facts(refused),), is_alert=True))
    warnings = [
        row
        for name, plan in held.items()
        for row in _rows(name, [warning.code for warning in plan.warnings] or ["none"])
    ]
    if warnings:
        sections.append(Section("Warnings", "of each", (Facts(tuple(warnings)),)))
    return tuple(sections)


def _rows(name: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    return [(name if index == 0 else "", text) for index, text in enumerate(texts)]
