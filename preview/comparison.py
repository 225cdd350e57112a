"""The difference between two or more plans of one stack: `plan --compare 64GB,128GB`."""

from collections.abc import Callable, Sequence

from components.advice.advice import Advice
from components.config.formats import gbps, gib, percent, rate, seconds, usd
from components.config.units import format_size, kubernetes_quantity
from preview.page import Page
from preview.tables import Table

_METRICS: tuple[tuple[str, Callable[[Advice], str]], ...] = (
    ("pod memory", lambda plan: format_size(plan.sizing.pod_memory_bytes)),
    ("pool", lambda plan: plan.pool),
    ("masters + replicas", lambda plan: f"{plan.sizing.masters} + {plan.sizing.replicas}"),
    ("request of a pod", lambda plan: kubernetes_quantity(plan.sizing.request_memory_mib)),
    ("limit of a pod", lambda plan: kubernetes_quantity(plan.sizing.limit_memory_mib)),
    ("volume of a pod", lambda plan: kubernetes_quantity(plan.sizing.volume_mib)),
    ("requests in all", lambda plan: kubernetes_quantity(plan.sizing.total_request_memory_mib)),
    ("limits in all", lambda plan: kubernetes_quantity(plan.sizing.total_limit_memory_mib)),
    ("CPU cores", lambda plan: f"{plan.sizing.total_cpu_millicores / 1000:g}"),
    ("usable memory", lambda plan: format_size(plan.sizing.usable_memory_bytes)),
    ("working set", lambda plan: gib(plan.working_set.own.size_bytes)),
    ("memory in use", lambda plan: percent(plan.working_set.own.memory_percent)),
    ("break-even hit rate", lambda plan: percent(100 * plan.working_set.break_even_hit_rate, 1)),
    ("sent by a master", lambda plan: gbps(plan.traffic.egress_gbps_per_master)),
    ("nodes", lambda plan: f"{plan.nodes.nodes_total} x {plan.nodes.instance_type}" if plan.nodes else "–"),
    ("pods on a node", lambda plan: f"{plan.nodes.pods_per_node}" if plan.nodes else "–"),
    ("network in use, worst", lambda plan: percent(plan.latency.link_use_percent)),
    ("capacity", lambda plan: rate(plan.capacity.ops_total)),
    ("predicted p95", lambda plan: "without end" if plan.latency.p95_ms is None else f"{plan.latency.p95_ms:.0f} ms"),
    ("blast radius", lambda plan: percent(plan.resilience.blast_radius_percent, 2)),
    ("promotion", lambda plan: seconds(plan.resilience.promotion_seconds)),
    ("protected again", lambda plan: seconds(plan.resilience.reprotection_seconds)),
    ("protected again, full", lambda plan: seconds(plan.resilience.reprotection_full_seconds)),
    ("resync peak when full", lambda plan: f"{plan.resilience.resync_peak_full_mib / 1024:.0f} GiB"),
    ("nodes, USD a month", lambda plan: usd(plan.cost.nodes_usd if plan.cost else None)),
    ("in all, USD a month", lambda plan: usd(plan.cost.infrastructure_usd if plan.cost else None)),
    ("between zones, USD", lambda plan: usd(plan.cost.cross_zone[0].total_usd if plan.cost else None)),
    ("warnings", lambda plan: "\n".join(finding.code for finding in plan.warnings) or "none"),
)


def render_compare(plans: Sequence[Advice], *, color: bool = False) -> str:
    """What differs between the plans, one column each; what is the same in all of them is named below."""
    if len(plans) < 2:
        raise ValueError("a comparison needs two plans or more")
    page = Page(color)
    names = [format_size(plan.sizing.pod_memory_bytes) for plan in plans]
    if len(set(names)) < len(names):
        names = [f"plan {number}" for number in range(1, len(plans) + 1)]
    page.heading(f"COMPARED: {' and '.join(names)}")
    shown = [(label, [show(plan) for plan in plans]) for label, show in _METRICS]
    different = [(label, *texts) for label, texts in shown if len(set(texts)) > 1]
    page.table(Table(("", *names), tuple(different)))
    same = [f"{label} {texts[0]}" for label, texts in shown if len(set(texts)) == 1 and label != "warnings"]
    page.gap()
    page.line(f"the same: {'; '.join(same)}" if same else "nothing is the same")
    return page.text()
