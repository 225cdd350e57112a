"""The stack with other sizes and other numbers of pods, side by side."""

from collections.abc import Callable

from components.advice.advice import Advice
from components.advice.capacity import DOCUMENT_INTERFACES_GBPS
from components.advice.pod_sizes import COMFORTABLE_USE_PERCENT, PodSize
from components.advice.resilience import DOCUMENT_FAILOVER_GBPS
from components.advice.right_sizing import Step
from components.config.formats import NONE, count, gbps, percent, plain, rate, seconds, thousands, usd
from components.config.units import format_size
from components.plan.traffic import SINGLE_FLOW_BYTES_PER_SECOND
from preview.document import Facts, Note, Section, Table

_SLOW_GBPS, _MIDDLE_GBPS, _FAST_GBPS = DOCUMENT_INTERFACES_GBPS
_FLOW_GBPS = SINGLE_FLOW_BYTES_PER_SECOND * 8 / 10**9
_CAPACITY = f"req/s at {_MIDDLE_GBPS}-{_FAST_GBPS} Gbps"
_ROWS: tuple[tuple[str, Callable[[PodSize], str]], ...] = (
    ("masters", lambda size: f"{size.masters}"),
    ("pods", lambda size: f"{size.pods}"),
    ("CPU cores", lambda size: plain(size.total_cpu_cores)),
    ("requests per master", lambda size: rate(size.requests_per_second_per_master)),
    ("sent per master", lambda size: gbps(size.egress_gbps_per_master)),
    ("network per pod", lambda size: f"{size.interface_gbps or f'> {_FAST_GBPS}'} Gbps"),
    (_CAPACITY, lambda size: thousands(*size.ops_total_by_interface[1:])),
    ("failover", lambda size: seconds(size.promotion_seconds)),
    (f"full resync, {_FLOW_GBPS:g} Gbps", lambda size: seconds(size.reprotection_full_seconds)),
    (f"full resync, {DOCUMENT_FAILOVER_GBPS} Gbps", lambda size: seconds(size.document_failover_seconds)),
    ("full resync fits", lambda size: "yes" if size.resync_full_fits else "no"),
    ("blast radius", lambda size: percent(size.blast_radius_percent, 2)),
)
_NODE_ROWS: tuple[tuple[str, Callable[[PodSize], str]], ...] = (
    ("node type", lambda size: size.instance_type or "none"),
    ("nodes", lambda size: f"{size.nodes_total}" if size.nodes_total else NONE),
    ("pods on a node", lambda size: f"{size.pods_per_node}" if size.nodes_total else NONE),
    ("served on them", lambda size: NONE if size.ops_total is None else rate(size.ops_total)),
    ("USD a month", lambda size: usd(size.infrastructure_usd)),
)


def pod_sizes(plan: Advice) -> Section:
    """The sizing document's comparison, computed; the rows about nodes only where nodes are planned."""
    sizes = plan.pod_sizes
    rows = _ROWS + (_NODE_ROWS if plan.nodes else ())
    names = [format_size(size.pod_memory_bytes) for size in sizes]
    table = Table(
        ("", *(f"{name} *" if size.is_chosen else name for name, size in zip(names, sizes, strict=True))),
        tuple((label, *map(show, sizes)) for label, show in rows),
        next((index for index, size in enumerate(sizes, 1) if size.is_chosen), None),
    )
    notes = (
        "* is the size of this stack. Sizes are binary, as in redis.conf: 64GB is 64 GiB.",
        f"Network per pod is the slowest of {_SLOW_GBPS}, {_MIDDLE_GBPS} and {_FAST_GBPS} Gbps of which a master uses "
        f"at most {percent(COMFORTABLE_USE_PERCENT)}.",
        f"A full resync copies a full master. One TCP flow between nodes carries {_FLOW_GBPS:g} Gbps; the sizing "
        f"document counts with {DOCUMENT_FAILOVER_GBPS}.",
        "A full resync fits when its peak stays below the pod's memory limit on a node full of busy masters.",
        "The blast radius is the share of the images in one shard.",
    )
    refused = [
        row
        for name, size in zip(names, sizes, strict=True)
        if size.refusal
        for row in ((name, "There is no plan with this size:"), ("", size.refusal))
    ]
    return Section(
        "Pod sizes", "side by side", (table, *map(Note, notes), *([Facts(tuple(refused))] if refused else []))
    )


_STEP_ROWS: tuple[tuple[str, Callable[[Step], str]], ...] = (
    ("pods", lambda step: f"{step.pods}"),
    ("totalMemory", lambda step: format_size(step.total_memory_bytes)),
    (_CAPACITY, lambda step: thousands(*step.ops_total_by_interface[1:])),
    ("lowest hit rate", lambda step: percent(100 * step.break_even_hit_rate)),
    ("blast radius", lambda step: percent(step.blast_radius_percent, 2)),
)
_STEP_NODE_ROWS: tuple[tuple[str, Callable[[Step], str]], ...] = (
    ("node type", lambda step: step.instance_type or "none"),
    ("nodes", lambda step: f"{step.nodes_total}" if step.nodes_total else NONE),
    ("USD a month", lambda step: usd(step.infrastructure_usd)),
)


def scaling_out(plan: Advice) -> Section:
    """More masters of the same size."""
    rows = _STEP_ROWS + (_STEP_NODE_ROWS if plan.nodes else ())
    return Section(
        "Scaling out",
        f"more pods of {format_size(plan.sizing.pod_memory_bytes)}",
        (
            Table(
                ("", *(count(step.masters, "master") for step in plan.scale_out)),
                tuple((label, *map(show, plan.scale_out)) for label, show in rows),
            ),
        ),
    )
