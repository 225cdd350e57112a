"""What a plan that holds still gets wrong, or costs more than it seems: each with what to change."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from components.advice.figures import Figures
from components.advice.right_sizing import Step
from components.config.settings import CapacityType, Packing, Placement, Settings
from components.config.units import GIB, MIB, format_size
from components.plan.nodes.choice import Candidate
from components.plan.traffic import ASSUMED_INTERFACE_GBPS, SINGLE_FLOW_GBPS

MEMORY_ALERT_PERCENT = 90.0
"""The sizing document's alert on memory usage."""
NETWORK_FULL_PERCENT = 90.0
CLASS_WASTE = 0.15


@dataclass(frozen=True, slots=True)
class PlanWarning:
    """One thing to know before `pulumi up`. `code` is stable, the texts are for people."""

    code: str
    what: str
    change: str

    def __str__(self) -> str:
        return f"{self.what}; {self.change} [{self.code}]"


def derive_warnings(
    settings: Settings, figures: Figures, cheaper: Step | None, everywhere: Step | None
) -> tuple[PlanWarning, ...]:
    """Every finding of a stack, the ones about losing data or requests first.

    `cheaper` is a larger stack for less money, `everywhere` the stack with a copy of every shard in every zone.
    """
    found = [finding for rule in _RULES for finding in rule(settings, figures)]
    found += _cross_zone(figures, everywhere)
    if cheaper is not None and figures.cost is not None and cheaper.infrastructure_usd is not None:
        found.append(
            PlanWarning(
                "more-memory-costs-less",
                f"{figures.sizing.masters} masters cost {figures.cost.infrastructure_usd:,.0f} USD a month and "
                f"{cheaper.masters} cost {cheaper.infrastructure_usd:,.0f}: each sends less then, so a node takes more",
                f"totalMemory: {format_size(cheaper.total_memory_bytes)}",
            )
        )
    return tuple(found)


Rule = Callable[[Settings, Figures], Iterator[PlanWarning]]


def _working_set(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    found = figures.working_set
    if not found.own.fits:
        yield PlanWarning(
            "working-set-exceeds-memory",
            f"{found.own.images:,} images alive at a hit rate of {settings.workload.hit_rate:.0%} take "
            f"{_gib(found.own.size_bytes)}, and there is room for {_gib(found.room_bytes)}: images are evicted after "
            f"{found.seconds_to_eviction} s instead of {settings.workload.ttl_seconds} s, from a hit rate below "
            f"{found.break_even_hit_rate_beside_backlog:.1%} on",
            f"totalMemory: {format_size(found.needed_total_memory_bytes)}, or workload.ttlSeconds: "
            f"{found.needed_ttl_seconds}, or smaller images",
        )
    elif found.own.size_bytes > found.room_bytes * MEMORY_ALERT_PERCENT / 100:
        yield PlanWarning(
            "memory-above-alert",
            f"the images take {_gib(found.own.size_bytes)} of {_gib(found.room_bytes)} "
            f"({100 * found.own.size_bytes / found.room_bytes:.0f} %); the alert is at {MEMORY_ALERT_PERCENT:.0f} %",
            f"totalMemory: {format_size(_pods_up(settings, found.own.size_bytes / 0.8))} brings it to 80 %",
        )


def _size_class(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    size, taken = settings.workload.object_bytes, figures.working_set.size_class_bytes
    if taken > size * (1 + CLASS_WASTE):
        yield PlanWarning(
            "size-class-waste",
            f"an image of {size:,} bytes takes {taken:,} bytes of memory ({100 * (taken / size - 1):.0f} % more): the "
            "allocator's size class",
            "make images a little smaller, so that they fall into the class below",
        )


def _capacity(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    found = figures.capacity
    if found.headroom < 1:
        yield PlanWarning(
            "capacity-short",
            f"{figures.sizing.masters} masters serve {found.ops_total:,.0f} requests/s (bound by {found.bound_by}), "
            f"and {settings.workload.requests_per_second:,} are wanted",
            "a smaller podMemory or a larger totalMemory makes more masters",
        )


def _latency(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    found = figures.latency
    if found.holds:
        return
    predicted = "grows without end" if found.p95_ms is None else f"is {found.p95_ms:,.0f} ms"
    yield PlanWarning(
        "p95-missed",
        f"the predicted p95 {predicted}, and {found.wanted_p95_ms} ms are wanted: a node whose pods are all masters "
        f"uses {found.link_use_percent:.0f} % of its network, a master {found.core_use_percent:.0f} % of its core",
        "more masters (smaller podMemory), or nodes.instanceType with more sustained network",
    )


def _network(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    use, nodes = figures.latency.link_use_percent, figures.nodes
    if use <= NETWORK_FULL_PERCENT:
        return
    if nodes is None:
        yield PlanWarning(
            "network-at-capacity",
            f"a master sends {figures.traffic.egress_gbps_per_master:.1f} Gbps, {use:.0f} % of a "
            f"{ASSUMED_INTERFACE_GBPS:.0f} Gbps interface",
            "25 Gbps for each pod, or a smaller podMemory",
        )
        return
    roomier = next((kind for kind in nodes.passing if kind.worst_use_percent <= NETWORK_FULL_PERCENT), None)
    yield PlanWarning(
        "network-at-capacity",
        f"after failovers a node of {nodes.instance_type} may carry {nodes.pods_per_node} masters, which send "
        f"{nodes.worst_egress_gbps:.1f} of its {nodes.sustained_gbps:g} Gbps ({use:.0f} %)",
        _roomier(roomier, nodes.usd_per_month),
    )


def _roomier(kind: Candidate | None, usd_now: float) -> str:
    if kind is None:
        return "a smaller podMemory spreads the load over more masters"
    more = kind.usd_per_month - usd_now
    use = f"{kind.worst_use_percent:.0f} %"
    return f"nodes.instanceType: {kind.instance_type} uses {use} for {more:,.0f} USD a month more"


def _flows(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    traffic = figures.traffic
    if traffic.write_gbps_per_master > SINGLE_FLOW_GBPS:
        yield PlanWarning(
            "replication-exceeds-flow",
            f"a master is written {traffic.write_gbps_per_master:.1f} Gbps, and one TCP flow to its replica carries "
            f"{SINGLE_FLOW_GBPS:g} Gbps: it falls behind for ever",
            "more masters (smaller podMemory or larger totalMemory)",
        )
    if traffic.read_gbps_per_master > SINGLE_FLOW_GBPS:
        yield PlanWarning(
            "several-connections",
            f"a master sends its clients {traffic.read_gbps_per_master:.1f} Gbps, and one TCP flow between nodes "
            f"carries {SINGLE_FLOW_GBPS:g} Gbps",
            "clients need several connections to each master, or a smaller podMemory",
        )


def _resync(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    found, limit = figures.resilience, figures.sizing.limit_memory_mib
    safe = f"{found.safe_writes_per_second_per_master:,.0f} writes/s"
    own = f"{found.writes_per_second_per_master:,.0f} writes/s for each master"
    change = f"up to {safe} for each master are safe: more masters, a higher hit rate, or a smaller podMemory"
    if found.resync_peak_mib > limit:
        yield PlanWarning(
            "resync-does-not-fit",
            f"at {own} a full resync peaks at {found.resync_peak_mib / 1024:.0f} GiB, and the pod's limit is "
            f"{limit / 1024:.0f} GiB: a lost replica never comes back",
            change,
        )
    elif found.resync_peak_full_mib > limit:
        yield PlanWarning(
            "resync-of-full-master-does-not-fit",
            f"at {own} a full resync of a full master peaks at {found.resync_peak_full_mib / 1024:.0f} GiB, and the "
            f"pod's limit is {limit / 1024:.0f} GiB (with the data this hit rate fills: "
            f"{found.resync_peak_mib / 1024:.0f} GiB)",
            change,
        )


def _zones(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    nodes, failure = figures.nodes, figures.resilience
    if nodes is None or failure.zone_masters is None or failure.zone_masters_left is None:
        return
    if 2 * failure.zone_masters_left <= figures.sizing.masters:
        yield PlanWarning(
            "zone-loss-stops-failover",
            f"a lost zone takes {failure.zone_masters} of {figures.sizing.masters} masters; the "
            f"{failure.zone_masters_left} left are no majority, so nothing is promoted until somebody does it by hand",
            "three zones or more in eks.subnets, and masters that divide over them",
        )
    if not nodes.zone_separation:
        apart = settings.nodes.placement is Placement.REQUIRED
        yield PlanWarning(
            "copies-share-zone",
            f"{len(nodes.zones)} zone(s) for {1 + figures.sizing.replicas_per_master} copies of a shard: "
            + ("they share a zone, though never a node" if apart else "they may share a node"),
            "as many zones as copies in eks.subnets, and nodes.placement: required",
        )


def _purchase(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    nodes = figures.nodes
    if nodes is None:
        return
    if settings.nodes.capacity_type is CapacityType.SPOT:
        yield PlanWarning(
            "spot",
            "AWS takes spot nodes back at two minutes' notice, several at a time: both copies of a shard may go",
            "nodes.capacityType: onDemand",
        )
    if settings.nodes.packing is Packing.REQUESTS and nodes.pods_memory_mib > nodes.allocatable_memory_mib:
        yield PlanWarning(
            "limits-overcommitted",
            f"the memory limits of {nodes.pods_per_node} pods are {nodes.pods_memory_mib / 1024:.0f} GiB on a node "
            f"with {nodes.allocatable_memory_mib / 1024:.0f} GiB: when all grow at once (full resyncs), one is killed",
            "nodes.packing: limits",
        )
    if nodes.zones_unsure or nodes.zones_offering < nodes.zones_in_region:
        named = f" (perhaps not {', '.join(nodes.zones_unsure)})" if nodes.zones_unsure else ""
        yield PlanWarning(
            "zone-may-lack-type",
            f"{nodes.instance_type} is offered in {nodes.zones_offering} zones of {nodes.region}{named}; zone letters "
            "differ between accounts",
            "ask `aws ec2 describe-instance-type-offerings --location-type availability-zone` before you rely on it",
        )
    if nodes.price_region != nodes.region:
        yield PlanWarning(
            "price-of-other-region",
            f"prices of {nodes.region} are not in the catalogue; those of {nodes.price_region} are shown",
            "expect 10-20 % more, and look the type up in AWS's price list",
        )


def _cross_zone(figures: Figures, everywhere: Step | None) -> Iterator[PlanWarning]:
    money = figures.cost
    if money is None or money.cross_zone_to_nodes_ratio <= 1:
        return
    spread, local, *_ = money.cross_zone
    change = f"clients that read from a copy in their own zone bring it to {local.total_usd:,.0f} USD"
    if everywhere is not None and everywhere.infrastructure_usd is not None:
        more = everywhere.infrastructure_usd - money.infrastructure_usd
        change += (
            f", with replicasPerMaster: {everywhere.pods // everywhere.masters - 1} to "
            f"{money.cross_zone[-1].total_usd:,.0f} (and {more:,.0f} more for nodes and volumes)"
        )
    yield PlanWarning(
        "cross-zone-traffic-dominates",
        f"traffic between zones costs {spread.total_usd:,.0f} USD a month at this rate all day, "
        f"{money.cross_zone_to_nodes_ratio:.0f} times the nodes",
        change,
    )


def _pods_up(settings: Settings, size_bytes: float) -> int:
    return -(-int(size_bytes) // settings.pod_memory) * settings.pod_memory


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:,.0f} GiB" if size_bytes >= 10 * GIB else f"{size_bytes / MIB:,.0f} MiB"


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
