"""Rows of the pod size comparison, for text and HTML alike: the sizing document's table, computed."""

from collections.abc import Callable

from components.plan import Plan
from components.pod_sizes import PodSize
from sandbox.plan_format import gbps, percent, rate, seconds, thousands, usd

_ROWS: tuple[tuple[str, Callable[[PodSize], str]], ...] = (
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


def pod_size_rows(plan: Plan) -> list[list[str]]:
    """A label and one text for each of `plan.pod_sizes`; the rows about nodes only where nodes are planned."""
    rows = _ROWS + (_NODE_ROWS if plan.nodes else ())
    return [[label, *map(show, plan.pod_sizes)] for label, show in rows]
