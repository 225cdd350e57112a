"""What the charts of the HTML page show."""

from collections.abc import Iterator
from dataclasses import dataclass

from components.advice.advice import Advice
from components.advice.cost import EVERY_ZONE, Cost
from components.config.formats import count, plain, share, thousand
from components.config.settings import Settings
from components.config.units import GIB, format_size
from components.plan.working_set import memory_over_time
from preview.charts import Bar, Columns, Line, bar_chart, column_chart, line_chart

BLUE, TEAL, AMBER, RED, GREY, VIOLET = "#2f6bd8", "#1c9a8a", "#e09a2b", "#cc4b4b", "#9aa3b2", "#7c5bc9"
DOCUMENT_BYTES_PER_MINUTE = 200 * 10**9
"""The sizing document's oscillation pattern: 200 GB a minute, for five minutes."""
DOCUMENT_MINUTES = 5
DOCUMENT_POD_MEMORY = (64 * GIB, 128 * GIB)
"""The sizing document's two options, to compare with."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its legend (name, colour) and sentences about it. `svg` is trusted markup."""

    title: str
    svg: str
    legend: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def figures(plan: Advice, settings: Settings) -> Iterator[Figure]:
    """Memory and capacity; and where nodes are planned, cost."""
    yield _memory(plan, settings)
    yield _capacity(plan, settings)
    if plan.cost:
        yield _pod_sizes(plan)
        yield _bill(plan, plan.cost)


def _memory(plan: Advice, settings: Settings) -> Figure:
    found, workload = plan.working_set, settings.workload
    until = 2 * workload.ttl_seconds
    room = found.room_bytes / GIB
    own = tuple((float(second), size / GIB) for second, size in memory_over_time(found, workload.ttl_seconds, until))
    all_written = workload.requests_per_second * found.image_bytes
    full_after = min(workload.ttl_seconds, found.room_bytes / all_written)
    peak = min(room, all_written * full_after / GIB)
    lines = [
        Line(own, BLUE),
        Line(((0, 0), (full_after, peak), (until, peak)), RED),
        Line(((0, room), (until, room)), AMBER, is_dashed=True),
    ]
    legend = [
        (f"this stack, {share(workload.hit_rate)} hits", BLUE),
        ("no hits at all", RED),
        ("room for images", AMBER),
    ]
    document_seconds, document = 60 * DOCUMENT_MINUTES, DOCUMENT_MINUTES * DOCUMENT_BYTES_PER_MINUTE / GIB
    if workload.ttl_seconds == document_seconds and document <= 1.2 * room:
        lines.append(Line(((0, 0), (document_seconds, document), (until, document)), GREY, is_dashed=True))
        legend.append(("the sizing document", GREY))
    notes = [
        f"After a cold start memory rises for one TTL ({workload.ttl_seconds} s). From then on as much expires as is "
        "written."
    ]
    if not found.own.fits:
        notes.append(f"Images are evicted from {found.seconds_to_eviction} s on.")
    title = "Memory after a cold start"
    chart = line_chart(
        title,
        lines,
        x_marks=[until * share / 4 for share in range(5)],
        show_x=lambda second: f"{plain(second / 60)} min",
        show_y=lambda size: f"{plain(size)} GiB",
    )
    return Figure(title, chart, tuple(legend), tuple(notes))


def _capacity(plan: Advice, settings: Settings) -> Figure:
    shown = [size for size in plan.pod_sizes if size.is_chosen or size.pod_memory_bytes in DOCUMENT_POD_MEMORY]
    others = iter((TEAL, VIOLET, GREY))
    colors = [BLUE if size.is_chosen else next(others) for size in shown]
    groups = [f"{plain(row.gbps_per_master)} Gbps" for row in plan.capacity_by_interface]
    if plan.nodes:
        groups.append("planned")
    planned = [plan.capacity.ops_total] if plan.nodes else []
    series = [
        Columns((*size.ops_total_by_interface, *(planned if size.is_chosen else [None] * len(planned))), color)
        for size, color in zip(shown, colors, strict=True)
    ]
    wanted = settings.workload.requests_per_second
    title = "Requests a second, by network of each pod"
    chart = column_chart(title, groups, series, target=wanted, show=_thousands)
    notes = [
        "A master serves what its network carries, and at most "
        f"{1 / plan.load.core.get_seconds:,.0f} images a second on its one core{' with TLS' if plan.load.tls else ''}."
    ]
    if plan.nodes:
        notes.append(f"Planned: {count(plan.nodes.pods_per_node, 'master')} on each {plan.nodes.instance_type}.")
    legend = [(f"{format_size(size.pod_memory_bytes)} pods", color) for size, color in zip(shown, colors, strict=True)]
    return Figure(title, chart, (*legend, (f"{wanted:,} wanted", RED)), tuple(notes))


def _thousands(value: float) -> str:
    return thousand(value) if value >= 1000 else plain(value)


def _pod_sizes(plan: Advice) -> Figure:
    bars = [
        Bar(
            f"{format_size(size.pod_memory_bytes)}{' *' * size.is_chosen}, {count(size.nodes_total or 0, 'node')}",
            (size.nodes_usd, size.infrastructure_usd - size.nodes_usd),
        )
        for size in plan.pod_sizes
        if size.infrastructure_usd is not None and size.nodes_usd is not None
    ]
    refused = [format_size(size.pod_memory_bytes) for size in plan.pod_sizes if size.refusal]
    notes = ["On demand, without traffic. * is this stack."]
    if refused:
        notes.append(f"There is no plan with pods of {', '.join(refused)}.")
    title = "Cost by pod size, USD a month"
    legend = (("nodes", BLUE), ("volumes and control plane", AMBER))
    return Figure(title, bar_chart(title, bars, (BLUE, AMBER)), legend, tuple(notes))


def _bill(plan: Advice, cost: Cost) -> Figure:
    everywhere = plan.copy_in_every_zone.infrastructure_usd if plan.copy_in_every_zone else None
    bars = [
        Bar(
            f"EKS, {option.clients}",
            (
                everywhere if option.clients == EVERY_ZONE and everywhere is not None else cost.infrastructure_usd,
                option.total_usd,
            ),
        )
        for option in cost.cross_zone
        # Without a plan for so many replicas nobody knows what their nodes cost.
        if option.clients != EVERY_ZONE or everywhere is not None
    ]
    bars += [
        Bar(f"ElastiCache, {option.engine}", (option.nodes_usd, option.cross_zone_usd)) for option in plan.elasticache
    ]
    title = "Cost with traffic, USD a month"
    notes = (
        "Traffic counts with the mean rate, which is workload.dutyCycle of the peak.",
        "What ElastiCache bills between zones is unverified.",
    )
    legend = (("nodes and volumes", BLUE), ("traffic between zones", RED))
    return Figure(title, bar_chart(title, bars, (BLUE, RED)), legend, notes)
