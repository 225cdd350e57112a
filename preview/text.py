"""`make plan` for people: the decision, what it was weighed against, and what to change. Plain text when piped."""

from collections.abc import Iterable

from components.advice.advice import Advice
from components.advice.compression import Compression
from components.advice.cost import volume_usd
from components.advice.right_sizing import RightSize
from components.config.formats import gbps, gib, percent, rate, seconds, times, usd
from components.config.settings import Settings, Storage
from components.config.units import format_size, kubernetes_quantity
from components.plan.nodes.catalogue import PRICE_DATE
from preview import details as plan_details
from preview import tables as tables
from preview.page import Page
from preview.resources import Resource
from preview.tables import Table

DOCUMENT_NODE_TYPE = "m6i.2xlarge"


def render_text(plan: Advice, settings: Settings, *, stack: str, color: bool = False) -> str:
    """The plan in at most 100 columns; with `color` for a terminal, else without any escape sequence."""
    page = Page(color)
    _decision(page, plan, settings, stack)
    _pod_sizes(page, plan)
    _findings(page, plan)
    _nodes(page, plan)
    _money(page, plan, settings.storage)
    plan_details.working_set(page, plan, settings)
    plan_details.network(page, plan)
    plan_details.failure(page, plan)
    plan_details.scale_out(page, plan)
    plan_details.resize(page, plan)
    return page.text()


def render_resources(resources: Iterable[Resource], *, color: bool = False) -> str:
    """What would be created: types, how many, and their names as far as they fit."""
    names: dict[str, list[str]] = {}
    for resource in resources:
        names.setdefault(resource.type, []).append(resource.name)
    page = Page(color)
    page.heading(f"RESOURCES ({sum(map(len, names.values()))})")
    page.table(Table(("type", "number"), tuple((kind, str(len(found))) for kind, found in sorted(names.items()))))
    return page.text()


def render_right_size(found: RightSize, *, color: bool = False) -> str:
    """What the measured memory or hit rate needs."""
    page = Page(color)
    page.heading(f"RIGHT-SIZING for {gib(found.in_use_bytes)} in use")
    steps = (
        ("as it is", found.now),
        ("to the last byte", found.least),
        ("80 % full at most", found.wanted),
        ("the cheapest of those", found.recommended),
    )
    rows = tuple(
        (
            label,
            f"{step.masters}",
            f"{step.pods}",
            percent(found.use_percent(step)),
            format_size(step.total_memory_bytes),
            f"{step.nodes_total} x {step.instance_type}" if step.nodes_total else "–",
            usd(step.infrastructure_usd),
        )
        for label, step in steps
    )
    page.table(Table(("", "masters", "pods", "full", "totalMemory", "nodes", "USD a month"), rows))
    page.line(f"totalMemory: {format_size(found.recommended.total_memory_bytes)} would do")
    return page.text()


def render_compression(found: Compression, *, color: bool = False) -> str:
    """What images of a fraction of their size would change."""
    page = Page(color)
    page.heading(f"COMPRESSION to {percent(100 * found.ratio)} of the size")
    page.item("an image", f"{found.object_bytes:,} bytes, {found.size_class_bytes:,} in memory")
    page.item(
        "working set",
        f"{gib(found.images_size_bytes)}, {percent(found.memory_percent)} of the memory; break-even at a hit rate of "
        f"{percent(100 * found.break_even_hit_rate, 1)}",
    )
    page.item("network", f"{gbps(found.egress_gbps_per_master)} sent by a master")
    enough = found.enough
    page.item(
        "enough",
        f"totalMemory: {format_size(enough.total_memory_bytes)}, {enough.pods} pods"
        + (f", {usd(enough.infrastructure_usd)} USD a month" if enough.infrastructure_usd is not None else ""),
    )
    return page.text()


def _decision(page: Page, plan: Advice, settings: Settings, stack: str) -> None:
    sizing, workload, nodes, money = plan.sizing, settings.workload, plan.nodes, plan.cost
    page.heading(
        f"{stack}: {sizing.masters} masters + {sizing.replicas} replicas of {format_size(sizing.pod_memory_bytes)}"
        + (f" on {nodes.nodes_total} x {nodes.instance_type}" if nodes else "")
        + (f", {usd(money.infrastructure_usd)} USD a month + traffic" if money else "")
    )
    found, answer, failure = plan.working_set, plan.latency, plan.resilience
    page.item(
        "pods",
        f"{sizing.pods}, each requests {kubernetes_quantity(sizing.request_memory_mib)} and 1 core, may use "
        f"{kubernetes_quantity(sizing.limit_memory_mib)}, volume {kubernetes_quantity(sizing.volume_mib)}; together "
        f"{kubernetes_quantity(sizing.total_request_memory_mib)} requested, "
        f"{kubernetes_quantity(sizing.total_limit_memory_mib)} limit, {sizing.total_cpu_millicores // 1000} cores",
    )
    if nodes:
        spread = ", ".join(f"{zone.zone}: {zone.nodes}" for zone in nodes.zones)
        page.item("nodes", f"{spread}; {nodes.architecture}, {nodes.pods_per_node} pods on each at most")
    page.item(
        "holds",
        f"{found.own.images:,} images = {gib(found.own.size_bytes)} of {gib(found.memory_bytes)} "
        f"({percent(found.own.memory_percent)}) at a hit rate of {percent(100 * workload.hit_rate)}; too much below "
        f"{percent(100 * found.break_even_hit_rate_beside_backlog, 1)}",
    )
    page.item(
        "serves",
        f"{rate(plan.capacity.ops_total)} wherever pods land, {rate(workload.requests_per_second)} wanted "
        f"({times(plan.capacity.headroom)})"
        + ("" if nodes else f", with {plan.capacity.gbps_per_master:g} Gbps for each pod"),
    )
    predicted = "without end" if answer.p95_ms is None else f"{answer.p95_ms:.0f} ms"
    page.item("answers", f"p95 {predicted} predicted, {answer.wanted_p95_ms} ms wanted")
    page.item(
        "survives",
        f"a pod: its shard serves again after {seconds(failure.promotion_seconds)}, has its copies again after "
        f"{seconds(failure.reprotection_seconds)}"
        + (
            f"; a node: {failure.node_pods} pods; a zone: {failure.zone_masters_left} of {sizing.masters} masters left"
            if nodes
            else ""
        ),
    )
    if money:
        page.item(
            "costs",
            f"{usd(money.infrastructure_usd)} USD a month on demand, {usd(money.nodes_reserved_3y_usd)} for the nodes "
            f"with three years reserved; between zones up to {usd(money.cross_zone[0].total_usd)} more",
        )


def _pod_sizes(page: Page, plan: Advice) -> None:
    page.heading("POD SIZES, side by side")
    page.table(tables.pod_sizes(plan))
    for size in plan.pod_sizes:
        if size.refusal:
            page.line(f"{format_size(size.pod_memory_bytes)}: {size.refusal}", style="dim")


def _findings(page: Page, plan: Advice) -> None:
    if not plan.warnings:
        return
    page.heading(f"WARNINGS ({len(plan.warnings)})")
    for finding in plan.warnings:
        page.line(f"! {finding.code}: {finding.what}", style="yellow")
        page.line(f"-> {finding.change}", indent=4)


def _nodes(page: Page, plan: Advice) -> None:
    nodes = plan.nodes
    if nodes is None:
        return
    page.heading(f"WHY {nodes.instance_type}")
    page.table(tables.node_limits(plan, nodes))
    page.line(f"network is the sustained figure, not the burst; {nodes.vcpus_total} vCPUs of the account's quota")
    if nodes.system_reserved_cpu_millicores:
        kept_back = nodes.system_reserved_cpu_millicores
        page.line(f"the kubelet keeps {kept_back}m of CPU back: no pod too many lands on a node")
    page.gap()
    page.table(tables.other_types(nodes))
    document = next((entry for entry in nodes.rejected if entry.instance_type == DOCUMENT_NODE_TYPE), None)
    if document:
        page.line(f"not {document.instance_type} (the sizing document's): {document.reason}")


def _money(page: Page, plan: Advice, storage: Storage) -> None:
    money, nodes = plan.cost, plan.nodes
    if money is None or nodes is None:
        return
    page.heading(f"MONEY, USD a month (EC2 prices of {nodes.price_region}, {PRICE_DATE})")
    page.table(tables.infrastructure(money, nodes))
    smallest = plan.sizing.pods * volume_usd(1, storage)
    page.line(f"the volumes hold nodes.conf alone; with storage.size: 1GB they cost {usd(smallest)}")
    page.gap()
    page.table(tables.cross_zone(money))
    everywhere = plan.copy_in_every_zone
    if everywhere and everywhere.infrastructure_usd is not None:
        more = everywhere.infrastructure_usd - money.infrastructure_usd
        page.line(f"a copy in every zone: {everywhere.pods} pods, and {usd(more)} more for nodes and volumes")
    page.line("at the configured rate all day, a fifth of it costs a fifth; hits move images out, misses in")
    page.gap()
    page.table(tables.elasticache(plan))
    page.line("ElastiCache: replication and its side of client traffic free, as far as known (unverified)")
