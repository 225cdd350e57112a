"""The stack with other pod sizes, side by side: the sizing document's comparison table, computed."""

from dataclasses import dataclass

from components.advice.capacity import DOCUMENT_INTERFACES_GBPS
from components.advice.figures import Figures, derive_figures
from components.config.rules import MASTERS_MAX, MASTERS_MIN
from components.config.settings import Settings
from components.config.units import GIB
from components.plan.refusal import Refused

COMPARED_BYTES = (16 * GIB, 32 * GIB, 64 * GIB, 128 * GIB, 256 * GIB)
COMFORTABLE_USE_PERCENT = 85.0
"""Network use above which the sizing document raises an alert."""


@dataclass(frozen=True, slots=True)
class PodSize:
    """One column of the comparison. What depends on nodes is None without `eks`, or where no nodes carry the pods."""

    pod_memory_bytes: int
    is_chosen: bool
    masters: int
    pods: int
    total_cpu_cores: float
    requests_per_second_per_master: float
    egress_gbps_per_master: float
    interface_gbps: int | None
    """The slowest interface of the document's that is not at capacity; None: none of them."""
    ops_total: float | None
    """Requests a second at which the first rule fails on these nodes; None without `eks`, or where no nodes carry the
    pods."""
    ops_total_by_interface: tuple[float, ...]
    """Requests a second with the document's 10, 25 and 40 Gbps for each pod; its "48K-80K" are the last two."""
    promotion_seconds: float
    reprotection_full_seconds: int
    document_failover_seconds: float
    resync_peak_full_mib: int
    limit_memory_mib: int
    blast_radius_percent: float
    instance_type: str | None
    pods_per_node: int | None
    nodes_total: int | None
    nodes_usd: float | None
    infrastructure_usd: float | None
    resync_full_fits: bool
    refusal: str | None
    """Why no nodes carry the pods; None where some do."""


def compare_pod_sizes(settings: Settings, chosen: Figures) -> tuple[PodSize, ...]:
    """The stack's own pod size and the usual ones, smallest first; sizes that make no Redis Cluster are left out."""
    sizes = sorted({*COMPARED_BYTES, settings.pod_memory})
    return tuple(
        pod_size(settings, size, chosen if size == settings.pod_memory else None)
        for size in sizes
        if MASTERS_MIN <= -(-settings.total_memory // size) <= MASTERS_MAX
    )


def pod_size(settings: Settings, pod_memory_bytes: int, known: Figures | None = None) -> PodSize:
    """One column, on the cheapest nodes. A type that the stack names is not kept: it fits one pod size."""
    refusal = None
    if known is None:
        nodes = settings.nodes.model_copy(update={"instance_type": "auto"})
        other = settings.model_copy(update={"pod_memory": pod_memory_bytes, "nodes": nodes})
        try:
            figures = derive_figures(other)
        except Refused as error:
            refusal = error.messages[0]
            figures = derive_figures(other.model_copy(update={"eks": None}), judge=False)
    else:
        figures = known
    sizing, traffic, placed, cost = figures.sizing, figures.traffic, figures.nodes, figures.cost
    return PodSize(
        pod_memory_bytes=pod_memory_bytes,
        is_chosen=known is not None,
        masters=sizing.masters,
        pods=sizing.pods,
        total_cpu_cores=sizing.total_cpu_millicores / 1000,
        requests_per_second_per_master=settings.workload.requests_per_second / sizing.masters,
        egress_gbps_per_master=traffic.egress_gbps_per_master,
        interface_gbps=next(
            (
                gbps
                for gbps in DOCUMENT_INTERFACES_GBPS
                if traffic.egress_gbps_per_master <= gbps * COMFORTABLE_USE_PERCENT / 100
            ),
            None,
        ),
        ops_total=figures.capacity.ops_total if placed else None,
        ops_total_by_interface=tuple(capacity.ops_total for capacity in figures.capacity_by_interface),
        promotion_seconds=figures.resilience.promotion_seconds,
        reprotection_full_seconds=figures.resilience.reprotection_full_seconds,
        document_failover_seconds=figures.resilience.document_failover_seconds,
        resync_peak_full_mib=figures.resilience.resync_peak_full_mib,
        limit_memory_mib=sizing.limit_memory_mib,
        blast_radius_percent=sizing.blast_radius_percent,
        instance_type=placed.instance_type if placed else None,
        pods_per_node=placed.pods_per_node if placed else None,
        nodes_total=placed.nodes_total if placed else None,
        nodes_usd=cost.nodes_usd if cost else None,
        infrastructure_usd=cost.infrastructure_usd if cost else None,
        resync_full_fits=figures.resilience.resync_full_fits,
        refusal=refusal,
    )
