"""`plan --html FILE`: one file with charts and tables that opens offline and loads nothing."""

from html import escape
from importlib.resources import files

from components.advice.advice import Advice
from components.advice.cost import EVERY_ZONE
from components.config.formats import gib, percent, rate, times, usd
from components.config.settings import Settings
from components.config.units import GIB, format_size
from components.plan.nodes.catalogue import PRICE_DATE
from components.plan.working_set import memory_over_time
from preview import tables as tables
from preview.svg_chart import Group, Level, Line, Stack, bar_chart, column_chart, line_chart
from preview.tables import Table

BLUE, TEAL, AMBER, RED, GREY, VIOLET = "#2f6bd8", "#1c9a8a", "#e09a2b", "#cc4b4b", "#9aa3b2", "#7c5bc9"
DOCUMENT_BYTES_PER_MINUTE = 200 * 10**9
"""The sizing document's oscillation pattern: 200 GB a minute, for five minutes."""


def render_html(plan: Advice, settings: Settings, *, stack: str) -> str:
    """The report as one HTML document."""
    sizing = plan.sizing
    title = f"redis-image-cache, stack {stack}"
    style = (files("sandbox") / "report.css").read_text(encoding="utf-8")
    sections = [
        _cards(plan, settings),
        _warnings(plan),
        _charts(plan, settings),
        _section("Pod sizes, side by side", tables.pod_sizes(plan)),
        *_nodes_and_money(plan),
        _section("Working set by hit rate", tables.scenarios(plan), tables.capacities(plan)),
        _section("Scaling out with the same pods", tables.scale_out(plan)),
    ]
    priced = f" EC2 prices of {plan.nodes.price_region}, on demand, read {PRICE_DATE}." if plan.nodes else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head><body><main>'
        f"<header><p>{escape(title)}</p><h1>{_headline(plan)}</h1></header>{''.join(sections)}"
        f"<footer>Computed from the stack's config alone: {format_size(sizing.pod_memory_bytes)} pods, "
        f"{format_size(sizing.total_memory_bytes)} in all, {settings.workload.requests_per_second:,} requests/s."
        f"{priced}</footer></main></body></html>\n"
    )


def _headline(plan: Advice) -> str:
    sizing = plan.sizing
    text = f"{sizing.masters} masters + {sizing.replicas} replicas of {format_size(sizing.pod_memory_bytes)}"
    if plan.nodes:
        text += f" on {plan.nodes.nodes_total} × {plan.nodes.instance_type}"
    return escape(text)


def _cards(plan: Advice, settings: Settings) -> str:
    found, latency, money = plan.working_set, plan.latency, plan.cost
    cards = [
        (
            "memory in use",
            percent(found.own.memory_percent),
            f"{gib(found.own.size_bytes)} of {gib(found.memory_bytes)}; break-even at "
            f"{percent(100 * found.break_even_hit_rate, 1)} hits",
        ),
        (
            "requests",
            rate(plan.capacity.ops_total),
            f"{rate(settings.workload.requests_per_second)} wanted, {times(plan.capacity.headroom)}",
        ),
        (
            "p95, predicted",
            "no end" if latency.p95_ms is None else f"{latency.p95_ms:.0f} ms",
            f"{latency.wanted_p95_ms} ms wanted",
        ),
        (
            "blast radius",
            percent(plan.resilience.blast_radius_percent, 2),
            f"promotion in {plan.resilience.promotion_seconds:g} s, "
            f"copies back in {plan.resilience.reprotection_seconds} s",
        ),
    ]
    if money and plan.nodes:
        cards.append(
            (
                "a month",
                f"${usd(money.infrastructure_usd)}",
                f"and up to ${usd(money.cross_zone[0].total_usd)} between zones",
            )
        )
    return (
        '<section class="cards">'
        + "".join(
            f"<div><span>{escape(name)}</span><b>{escape(figure)}</b><small>{escape(note)}</small></div>"
            for name, figure, note in cards
        )
        + "</section>"
    )


def _warnings(plan: Advice) -> str:
    if not plan.warnings:
        return ""
    items = "".join(
        f"<li><code>{escape(found.code)}</code> {escape(found.what)}<br><em>{escape(found.change)}</em></li>"
        for found in plan.warnings
    )
    return f'<section class="warnings"><h2>Warnings</h2><ul>{items}</ul></section>'


def _charts(plan: Advice, settings: Settings) -> str:
    charts = [_memory_chart(plan, settings), _capacity_chart(plan, settings)]
    if plan.cost:
        charts += [_pod_size_chart(plan), _bill_chart(plan)]
    return f'<section class="charts">{"".join(charts)}</section>'


def _figure(title: str, chart: str, legend: list[tuple[str, str]], note: str) -> str:
    keys = "".join(f'<li><i style="background:{color}"></i>{escape(name)}</li>' for name, color in legend)
    return (
        f"<figure><h2>{escape(title)}</h2>{chart}<figcaption><ul>{keys}</ul><p>{escape(note)}</p></figcaption></figure>"
    )


def _memory_chart(plan: Advice, settings: Settings) -> str:
    found, ttl = plan.working_set, settings.workload.ttl_seconds
    until = 2 * ttl
    own = tuple((second, size / GIB) for second, size in memory_over_time(found, ttl, until))
    all_written = settings.workload.requests_per_second * found.size_class_bytes
    room = found.room_bytes / GIB
    full_after = min(ttl, found.room_bytes / all_written)
    peak = min(room, all_written * full_after / GIB)
    hit_rate = percent(100 * settings.workload.hit_rate)
    lines = [
        Line(own, BLUE),
        Line(((0, 0), (full_after, peak), (until, peak)), RED),
    ]
    legend = [(f"this stack, {hit_rate} hits", BLUE), ("no hits at all", RED), ("room for images", AMBER)]
    document = 5 * DOCUMENT_BYTES_PER_MINUTE / GIB
    if ttl == 300 and document <= 1.2 * room:
        lines.append(Line(((0, 0), (300, document), (until, document)), GREY, dashed=True))
        legend.append(("the sizing document (58 % hits)", GREY))
    title = "Memory over time"
    chart = line_chart(
        f"{title} after a cold start",
        lines,
        [Level(room, AMBER)],
        x_format=lambda second: f"{second / 60:g} min",
        y_format=lambda size: f"{size:,.0f} GiB",
        x_step=until / 5,
    )
    after = "" if found.own.fits else f" Here images are evicted from {found.seconds_to_eviction} s on."
    return _figure(
        title,
        chart,
        legend,
        f"After a cold start memory rises for one TTL ({ttl} s); then as much expires as is written.{after}",
    )


def _capacity_chart(plan: Advice, settings: Settings) -> str:
    shown = [size for size in plan.pod_sizes if size.is_chosen or size.pod_memory_bytes in (64 * GIB, 128 * GIB)]
    names = [format_size(size.pod_memory_bytes) for size in shown]
    colors = [BLUE if size.is_chosen else color for size, color in zip(shown, (TEAL, VIOLET, GREY), strict=False)]
    groups = [
        Group(f"{row.gbps_per_master:g} Gbps", tuple(size.ops_total_by_interface[index] for size in shown))
        for index, row in enumerate(plan.capacity_by_interface)
    ]
    if plan.nodes:
        planned = tuple(plan.capacity.ops_total if size.is_chosen else None for size in shown)
        groups.append(Group("as planned", planned))
    wanted = settings.workload.requests_per_second
    title = "Requests a second by network of each pod"
    chart = column_chart(
        title,
        groups,
        colors,
        [Level(wanted, RED)],
        y_format=lambda value: f"{value / 1000:,.3g}K",
    )
    note = "A master serves what its network carries, at most 5,000 images a second on its one core."
    if plan.nodes:
        note += (
            f" As planned: {plan.nodes.pods_per_node} masters sharing an {plan.nodes.instance_type}, the worst case."
        )
    legend = [(f"{name} pods", color) for name, color in zip(names, colors, strict=True)]
    return _figure(title, chart, [*legend, (f"{wanted:,} wanted", RED)], note)


def _pod_size_chart(plan: Advice) -> str:
    priced = [size for size in plan.pod_sizes if size.infrastructure_usd is not None and size.nodes_usd is not None]
    stacks = [
        Stack(
            f"{format_size(size.pod_memory_bytes)}{' (chosen)' if size.is_chosen else ''}",
            (size.nodes_usd or 0.0, (size.infrastructure_usd or 0.0) - (size.nodes_usd or 0.0)),
            f"{size.nodes_total} × {size.instance_type}",
        )
        for size in priced
    ]
    title = "Cost by pod size"
    chart = bar_chart(f"{title}, USD a month", stacks, (BLUE, AMBER), x_format=lambda value: f"${value:,.0f}")
    refused = [format_size(size.pod_memory_bytes) for size in plan.pod_sizes if size.refusal]
    note = "USD a month, on demand, without traffic."
    if refused:
        note += f" No nodes hold {', '.join(refused)}."
    return _figure(title, chart, [("nodes", BLUE), ("volumes, root volumes, control plane", AMBER)], note)


def _bill_chart(plan: Advice) -> str:
    money = plan.cost
    if money is None:
        raise ValueError("a bill needs nodes")
    everywhere = plan.copy_in_every_zone.infrastructure_usd if plan.copy_in_every_zone else None
    stacks = [
        Stack(
            f"EKS, {cost.clients}",
            (everywhere if cost.clients == EVERY_ZONE and everywhere else money.infrastructure_usd, cost.total_usd),
        )
        for cost in money.cross_zone
    ]
    stacks += [
        Stack(f"ElastiCache, {option.engine}", (option.nodes_usd, option.cross_zone_usd)) for option in plan.elasticache
    ]
    title = "The whole bill"
    chart = bar_chart(f"{title}, USD a month", stacks, (BLUE, RED), x_format=lambda value: f"${value:,.0f}")
    return _figure(
        title,
        chart,
        [("nodes and volumes", BLUE), ("traffic between zones", RED)],
        "USD a month at the configured rate all day, by where clients read. What ElastiCache bills between zones is "
        "unverified.",
    )


def _nodes_and_money(plan: Advice) -> list[str]:
    if plan.nodes is None or plan.cost is None:
        return []
    return [
        _section(
            f"Why {plan.nodes.instance_type}", tables.node_limits(plan, plan.nodes), tables.other_types(plan.nodes)
        ),
        _section(
            "Cost, USD a month",
            tables.infrastructure(plan.cost, plan.nodes),
            tables.cross_zone(plan.cost),
            tables.elasticache(plan),
        ),
    ]


def _section(title: str, *shown: Table) -> str:
    return f'<section class="tables"><h2>{escape(title)}</h2>{"".join(map(_table, shown))}</section>'


def _table(table: Table) -> str:
    def row(cells: tuple[str, ...], tag: str) -> str:
        emphasised = ["" if index != table.emphasised else ' class="own"' for index in range(len(cells))]
        return (
            "<tr>"
            + "".join(f"<{tag}{mark}>{escape(cell)}</{tag}>" for cell, mark in zip(cells, emphasised, strict=True))
            + "</tr>"
        )

    body = "".join(row(cells, "td") for cells in table.rows)
    return f'<div class="wide"><table><thead>{row(table.header, "th")}</thead><tbody>{body}</tbody></table></div>'
