"""The tables of a plan as texts, for the terminal and the HTML report alike."""

from collections.abc import Callable
from dataclasses import dataclass

from components.advice.advice import Advice
from components.advice.cost import CROSS_ZONE_USD_PER_GB, Cost
from components.advice.pod_sizes import PodSize
from components.config.formats import gbps, gib, percent, rate, seconds, thousands, times, usd
from components.config.settings import CapacityType
from components.config.units import MIB, format_size
from components.plan.nodes.choice import NodePlan

OTHER_TYPES_SHOWN = 4


@dataclass(frozen=True)
class Table:
    """Labels in the first column, figures in the others; `emphasised` is the index of the column that matters."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    emphasised: int | None = None


_POD_SIZE_ROWS: tuple[tuple[str, Callable[[PodSize], str]], ...] = (
    ("pods", lambda size: f"{size.pods}"),
    ("masters", lambda size: f"{size.masters}"),
    ("CPU cores", lambda size: f"{size.total_cpu_cores:g}"),
    ("requests per master", lambda size: rate(size.requests_per_second_per_master)),
    ("sent per master", lambda size: gbps(size.egress_gbps_per_master)),
    ("interface per pod", lambda size: f"{size.interface_gbps} Gbps" if size.interface_gbps else "> 40 Gbps"),
    ("capacity, 25-40 Gbps", lambda size: thousands(*size.ops_total_by_interface[1:])),
    ("promotion", lambda size: seconds(size.promotion_seconds)),
    ("full copy, 5 Gbps", lambda size: seconds(size.reprotection_full_seconds)),
    ("  document: 10 Gbps", lambda size: seconds(size.document_failover_seconds)),
    ("resync when full", lambda size: "fits" if size.resync_peak_full_mib <= size.limit_memory_mib else "too big"),
    ("blast radius", lambda size: percent(size.blast_radius_percent, 2)),
)
_NODE_ROWS: tuple[tuple[str, Callable[[PodSize], str]], ...] = (
    ("node type", lambda size: size.instance_type or "none"),
    ("nodes x pods", lambda size: f"{size.nodes_total} x {size.pods_per_node}" if size.nodes_total else "–"),
    ("USD a month", lambda size: usd(size.infrastructure_usd)),
)


def pod_sizes(plan: Advice) -> Table:
    """The sizing document's comparison, computed; the rows about nodes only where nodes are planned."""
    sizes = plan.pod_sizes
    rows = _POD_SIZE_ROWS + (_NODE_ROWS if plan.nodes else ())
    return Table(
        ("", *(format_size(size.pod_memory_bytes) for size in sizes)),
        tuple((label, *map(show, sizes)) for label, show in rows),
        next((index for index, size in enumerate(sizes, 1) if size.is_chosen), None),
    )


def node_limits(plan: Advice, nodes: NodePlan) -> Table:
    """What a full node takes of each limit, and how many pods that limit alone would allow."""
    limits, per_node = nodes.per_node_limits, nodes.pods_per_node
    return Table(
        ("a node, in the worst case", "takes", "of", "room for"),
        (
            (
                "memory limits",
                gib(nodes.pods_memory_mib * MIB),
                gib(nodes.allocatable_memory_mib * MIB),
                f"{limits.by_memory} pods",
            ),
            (
                "network, all pods masters",
                gbps(nodes.worst_egress_gbps),
                f"{nodes.sustained_gbps:g} Gbps",
                f"{limits.by_network} pods",
            ),
            ("a sixth of all pods", f"{per_node}", f"{plan.sizing.pods}", f"{limits.by_share} pods"),
            ("majority of masters", f"{per_node}", f"{plan.sizing.masters}", f"{limits.by_majority} pods"),
        ),
    )


def other_types(nodes: NodePlan) -> Table:
    """The next cheapest types that pass."""
    others = [kind for kind in nodes.passing if kind.instance_type != nodes.instance_type]
    return Table(
        (f"other types that pass ({len(others)} in all)", "arch", "nodes x pods", "network", "USD a month"),
        tuple(
            (
                kind.instance_type,
                kind.architecture,
                f"{kind.nodes_total} x {kind.pods_per_node}",
                percent(kind.worst_use_percent),
                usd(kind.usd_per_month),
            )
            for kind in others[:OTHER_TYPES_SHOWN]
        ),
    )


def infrastructure(money: Cost, nodes: NodePlan) -> Table:
    """Nodes by the way they are bought, and what comes on top."""
    titles = ["on demand", "1 year", "3 years"]
    purchases = [money.nodes_on_demand_usd, money.nodes_reserved_1y_usd, money.nodes_reserved_3y_usd]
    if nodes.capacity_type is CapacityType.SPOT:
        titles, purchases = ["spot", *titles], [money.nodes_usd, *purchases]
    fixed = money.root_volumes_usd + money.control_plane_usd

    def per(usd_per_unit: float) -> list[str]:
        units = money.infrastructure_usd / usd_per_unit
        return [usd((money.infrastructure_usd - money.nodes_usd + bought) / units) for bought in purchases]

    return Table(
        ("", *titles),
        (
            ("nodes", *map(usd, purchases)),
            ("volumes of the pods", *[usd(money.volumes_usd)] * len(purchases)),
            ("root volumes, control plane", *[usd(fixed)] * len(purchases)),
            ("in all", *(usd(money.infrastructure_usd - money.nodes_usd + bought) for bought in purchases)),
            ("  per usable TB", *per(money.infrastructure_usd_per_usable_tib)),
            ("  per 1,000 requests/s", *per(money.infrastructure_usd_per_1000_requests_per_second)),
        ),
    )


def cross_zone(money: Cost) -> Table:
    """Traffic between zones by where the clients stand."""
    return Table(
        (f"traffic between zones, {CROSS_ZONE_USD_PER_GB} USD/GB", "reads", "writes", "replication", "in all"),
        tuple(
            (
                f"clients: {cost.clients}",
                usd(cost.reads_usd),
                usd(cost.writes_usd),
                usd(cost.replication_usd),
                usd(cost.total_usd),
            )
            for cost in money.cross_zone
        ),
    )


def elasticache(plan: Advice) -> Table:
    """The managed alternative."""
    return Table(
        ("the same work on ElastiCache", "nodes", "USD nodes", "traffic", "in all"),
        tuple(
            (
                f"{option.engine}, {option.node_type}",
                f"{option.nodes}",
                usd(option.nodes_usd),
                usd(option.cross_zone_usd),
                usd(option.total_usd),
            )
            for option in plan.elasticache
        ),
    )


def scenarios(plan: Advice) -> Table:
    """The sizing document's three hit rates and the stack's own."""
    found = plan.working_set
    return Table(
        ("hit rate", "writes", "images", "memory", "of all", ""),
        tuple(
            (
                percent(100 * case.hit_rate) + note,
                rate(case.writes_per_second),
                f"{case.images:,}",
                gib(case.size_bytes),
                percent(case.memory_percent),
                "fits" if case.fits else "evicts",
            )
            for note, case in [("", case) for case in found.scenarios] + [(" (this stack)", found.own)]
        ),
    )


def capacities(plan: Advice) -> Table:
    """The sizing document's QPS table, and the row of the chosen nodes."""
    rows = [(f"{row.gbps_per_master:g} Gbps", row) for row in plan.capacity_by_interface]
    if plan.nodes:
        rows.append((f"{plan.capacity.gbps_per_master:.3g} Gbps, as planned", plan.capacity))
    return Table(
        ("interface of each pod", "per master", "in all", "headroom", "in use", "bound by"),
        tuple(
            (
                name,
                rate(row.ops_per_master),
                rate(row.ops_total),
                times(row.headroom),
                percent(row.use_percent),
                row.bound_by,
            )
            for name, row in rows
        ),
    )


def scale_out(plan: Advice) -> Table:
    """More masters of the same size."""
    return Table(
        ("masters", "pods", "memory", "capacity, 25-40 Gbps", "break-even", "blast radius", "nodes", "USD a month"),
        tuple(
            (
                f"{step.masters}",
                f"{step.pods}",
                format_size(step.total_memory_bytes),
                thousands(*step.ops_total_by_interface[1:]),
                percent(100 * step.break_even_hit_rate),
                percent(step.blast_radius_percent, 2),
                f"{step.nodes_total or '–'}",
                usd(step.infrastructure_usd),
            )
            for step in plan.scale_out
        ),
    )
