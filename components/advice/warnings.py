"""What is wrong with a plan that holds all the same, or what it costs beyond its nodes: each with what to change.

The texts are sentences of one fact each, since they are read in a terminal and in a pull request.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from components.advice.figures import Figures
from components.advice.right_sizing import MEMORY_TARGET, Step
from components.config.formats import count, memory, percent, short, usd
from components.config.settings import CapacityType, Packing, Placement, Settings
from components.config.units import MIB, format_size
from components.plan.nodes.choice import Candidate
from components.plan.traffic import ASSUMED_INTERFACE_GBPS, SINGLE_FLOW_GBPS

MEMORY_ALERT_PERCENT = 90.0
"""The alert on memory usage in docs/reference/sizing-document.md."""
NETWORK_FULL_PERCENT = 90.0
"""Above this use of a network, requests wait for each other noticeably (components/advice/latency.py)."""
SIZE_CLASS_WASTE = 0.15
"""Memory of an image beyond its size from which a smaller image is worth a thought."""


@dataclass(frozen=True, slots=True)
class PlanWarning:
    """One thing to know before `pulumi up`. `code` is stable; the texts are sentences for people."""

    code: str
    what: str
    change: str

    def __str__(self) -> str:
        return f"{self.what} {self.change} [{self.code}]"


def derive_warnings(
    settings: Settings, figures: Figures, cheaper: Step | None, everywhere: Step | None
) -> tuple[PlanWarning, ...]:
    """Every warning of a stack, the ones about losing data or requests first.

    `cheaper` is a larger stack for less money, `everywhere` the stack with a copy of every shard in every zone.
    """
    return (
        *(warning for rule in _RULES for warning in rule(settings, figures)),
        *_cross_zone(figures, everywhere),
        *_more_memory(figures, cheaper),
    )


Rule = Callable[[Settings, Figures], Iterator[PlanWarning]]


def _working_set(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    found = figures.working_set
    if not found.own.fits:
        yield PlanWarning(
            "working-set-exceeds-memory",
            f"At a hit rate of {settings.workload.hit_rate:.0%}, {found.own.images:,} images are alive and take "
            f"{memory(found.own.size_bytes)}. There is room for {memory(found.room_bytes)}. Images are evicted after "
            f"{found.seconds_to_eviction} s instead of {settings.workload.ttl_seconds} s. They fit from a hit rate of "
            f"{found.break_even_hit_rate_beside_backlog:.1%} on.",
            f"Set totalMemory: {format_size(found.needed_total_memory_bytes)}, or workload.ttlSeconds: "
            f"{found.needed_ttl_seconds}, or make images smaller.",
        )
    elif found.own.size_bytes > found.room_bytes * MEMORY_ALERT_PERCENT / 100:
        yield PlanWarning(
            "memory-above-alert",
            f"The images take {memory(found.own.size_bytes)} of {memory(found.room_bytes)}, which is "
            f"{percent(100 * found.own.size_bytes / found.room_bytes)}. The alert is at "
            f"{percent(MEMORY_ALERT_PERCENT)}.",
            f"Set totalMemory: {format_size(_whole_pods(settings, found.own.size_bytes / MEMORY_TARGET))} for "
            f"{percent(100 * MEMORY_TARGET)}.",
        )


def _size_class(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    size, taken = settings.workload.object_bytes, figures.working_set.size_class_bytes
    if taken > size * (1 + SIZE_CLASS_WASTE):
        yield PlanWarning(
            "size-class-waste",
            f"An image of {size:,} bytes takes {taken:,} bytes of memory, {percent(100 * (taken / size - 1))} more. "
            "Redis's allocator rounds every value up to a size class.",
            "Make images a little smaller, so that they fall into the class below.",
        )


def _capacity(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    found = figures.capacity
    if found.headroom < 1:
        bound = {"network": "Their network", "core": "Redis's one thread"}[found.bound_by]
        yield PlanWarning(
            "capacity-short",
            f"{figures.sizing.masters} masters serve {found.ops_total:,.0f} requests/s, and "
            f"{settings.workload.requests_per_second:,} are wanted. {bound} is the limit.",
            "Set a smaller podMemory or a larger totalMemory: both make more masters.",
        )


def _latency(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    found = figures.latency
    if found.holds:
        return
    predicted = (
        "No p95 can be predicted, because requests arrive faster than they are served."
        if found.p95_ms is None
        else f"The predicted p95 is {found.p95_ms:,.0f} ms."
    )
    yield PlanWarning(
        "p95-missed",
        f"{predicted} {found.wanted_p95_ms} ms are wanted. A node whose pods are all masters uses "
        f"{percent(found.link_use_percent)} of its network. A master uses {percent(found.core_use_percent)} of its "
        "core.",
        "Set a smaller podMemory, which makes more masters, or a nodes.instanceType with more sustained network.",
    )


def _network(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    use, nodes = figures.latency.link_use_percent, figures.nodes
    if use <= NETWORK_FULL_PERCENT:
        return
    if nodes is None:
        yield PlanWarning(
            "network-at-capacity",
            f"A master sends {figures.traffic.egress_gbps_per_master:.1f} Gbps. That is {percent(use)} of the "
            f"{ASSUMED_INTERFACE_GBPS:.0f} Gbps that are assumed for a pod.",
            "Give each pod 25 Gbps, or set a smaller podMemory.",
        )
        return
    roomier = next((kind for kind in nodes.passing if kind.worst_use_percent <= NETWORK_FULL_PERCENT), None)
    yield PlanWarning(
        "network-at-capacity",
        f"A {nodes.instance_type} carries {count(nodes.pods_per_node, 'pod')}. After failovers each may be a master. "
        f"A full node then sends {nodes.worst_egress_gbps:.1f} of {nodes.sustained_gbps:g} Gbps, which is "
        f"{percent(use)}.",
        _roomier(roomier, nodes.usd_per_month),
    )


def _roomier(kind: Candidate | None, usd_now: float) -> str:
    if kind is None:
        return "Set a smaller podMemory, which spreads the load over more masters."
    return (
        f"Set nodes.instanceType: {kind.instance_type} for {percent(kind.worst_use_percent)}. It costs "
        f"{usd(kind.usd_per_month - usd_now)} USD a month more."
    )


def _flows(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    traffic = figures.traffic
    if traffic.write_gbps_per_master > SINGLE_FLOW_GBPS:
        yield PlanWarning(
            "replication-exceeds-flow",
            f"A master is written {traffic.write_gbps_per_master:.1f} Gbps. The one TCP connection to its replica "
            f"carries {SINGLE_FLOW_GBPS:g} Gbps. The replica falls behind for ever.",
            "Set a smaller podMemory or a larger totalMemory: both make more masters.",
        )
    if traffic.read_gbps_per_master > SINGLE_FLOW_GBPS:
        yield PlanWarning(
            "several-connections",
            f"A master sends its clients {traffic.read_gbps_per_master:.1f} Gbps. One TCP connection between nodes "
            f"carries {SINGLE_FLOW_GBPS:g} Gbps.",
            "Let clients open several connections to each master, or set a smaller podMemory.",
        )


def _resync(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    found, limit_mib = figures.resilience, figures.sizing.limit_memory_mib
    written = f"Each master takes {short(found.writes_per_second_per_master)} writes/s."
    limit = f"The pod's limit is {memory(limit_mib * MIB)}."
    change = (
        f"Up to {short(found.safe_writes_per_second_per_master)} writes/s for each master are safe. Make more masters, "
        "raise the hit rate, or set a smaller podMemory."
    )
    if found.resync_peak_mib > limit_mib:
        yield PlanWarning(
            "resync-does-not-fit",
            f"{written} A full resync then needs up to {memory(found.resync_peak_mib * MIB)} of memory. {limit} "
            "A lost replica never comes back.",
            change,
        )
    elif found.resync_peak_full_mib > limit_mib:
        yield PlanWarning(
            "resync-of-full-master-does-not-fit",
            f"{written} A full resync of a master whose memory is full then needs up to "
            f"{memory(found.resync_peak_full_mib * MIB)}. {limit} With the images of this hit rate it needs "
            f"{memory(found.resync_peak_mib * MIB)}.",
            change,
        )


def _zones(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    nodes, found = figures.nodes, figures.resilience
    if nodes is None or found.zone_masters is None or found.zone_masters_left is None:
        return
    if 2 * found.zone_masters_left <= figures.sizing.masters:
        yield PlanWarning(
            "zone-loss-stops-failover",
            f"A lost zone takes {found.zone_masters} of {figures.sizing.masters} masters. The "
            f"{found.zone_masters_left} that are left are no majority, so no replica is promoted until somebody does "
            "it by hand.",
            "Name three zones or more in eks.subnets, and choose masters that divide evenly over them.",
        )
    if not nodes.zone_separation:
        apart = settings.nodes.placement is Placement.REQUIRED
        yield PlanWarning(
            "copies-share-zone",
            f"{figures.sizing.copies_per_shard} copies of a shard live in {len(nodes.zones)} zone(s). "
            + ("They share a zone, though never a node." if apart else "They may share a zone and even a node."),
            "Name as many zones as copies in eks.subnets, and set nodes.placement: required.",
        )


def _purchase(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    nodes = figures.nodes
    if nodes is None:
        return
    if settings.nodes.capacity_type is CapacityType.SPOT:
        yield PlanWarning(
            "spot",
            "AWS takes spot nodes back at two minutes' notice, several at a time. All copies of a shard may be lost "
            "together.",
            "Set nodes.capacityType: onDemand.",
        )
    if settings.nodes.packing is Packing.REQUESTS and nodes.pods_memory_mib > nodes.allocatable_memory_mib:
        yield PlanWarning(
            "limits-overcommitted",
            f"The memory limit of {count(nodes.pods_per_node, 'pod')} comes to "
            f"{memory(nodes.pods_memory_mib * MIB)} on a node with {memory(nodes.allocatable_memory_mib * MIB)}. When "
            "all of them grow at once, as in full resyncs, one is killed.",
            "Set nodes.packing: limits.",
        )
    if nodes.zones_unsure or nodes.zones_offering < nodes.zones_in_region:
        named = f" Perhaps {', '.join(nodes.zones_unsure)} is not among them." if nodes.zones_unsure else ""
        yield PlanWarning(
            "zone-may-lack-type",
            f"{nodes.instance_type} is offered in {nodes.zones_offering} zones of {nodes.region}.{named} Zone letters "
            "differ between accounts.",
            "Ask `aws ec2 describe-instance-type-offerings --location-type availability-zone` before you rely on it.",
        )
    if nodes.price_region != nodes.region:
        yield PlanWarning(
            "price-of-other-region",
            f"Prices of {nodes.region} are not in the catalogue. Those of {nodes.price_region} are shown.",
            "Expect 10-20 % more, and look the type up in AWS's price list.",
        )


def _cross_zone(figures: Figures, everywhere: Step | None) -> Iterator[PlanWarning]:
    cost = figures.cost
    if cost is None or cost.cross_zone_to_nodes_ratio <= 1:
        return
    spread, local, *_ = cost.cross_zone
    change = f"Clients that read from a copy in their own zone bring it to {usd(local.total_usd)} USD."
    if everywhere is not None and everywhere.infrastructure_usd is not None:
        change += (
            f" With replicasPerMaster: {everywhere.pods // everywhere.masters - 1} they bring it to "
            f"{usd(cost.cross_zone[-1].total_usd)} USD, and nodes and volumes cost "
            f"{usd(everywhere.infrastructure_usd - cost.infrastructure_usd)} USD more."
        )
    yield PlanWarning(
        "cross-zone-traffic-dominates",
        f"Traffic between zones costs {usd(spread.total_usd)} USD a month if the peak lasts all day. That is "
        f"{cost.cross_zone_to_nodes_ratio:.0f} times the nodes.",
        change,
    )


def _more_memory(figures: Figures, cheaper: Step | None) -> Iterator[PlanWarning]:
    if cheaper is None or figures.cost is None:
        return
    yield PlanWarning(
        "more-memory-costs-less",
        f"{figures.sizing.masters} masters cost {usd(figures.cost.infrastructure_usd)} USD a month, and "
        f"{cheaper.masters} masters cost {usd(cheaper.infrastructure_usd)}. Each of them sends less, so that a node "
        "carries more of them.",
        f"Set totalMemory: {format_size(cheaper.total_memory_bytes)}.",
    )


def _whole_pods(settings: Settings, size_bytes: float) -> int:
    return -(-int(size_bytes) // settings.pod_memory) * settings.pod_memory


_RULES: tuple[Rule, ...] = (
    _capacity,
    _latency,
    _flows,
    _resync,
    _zones,
    _working_set,
    _network,
    _size_class,
    _purchase,
)
