"""What is wrong with a plan that holds all the same, or what it costs beyond its nodes: each with what to change.

The texts are sentences of one fact each, since they are read in a terminal and in a pull request.
"""

from collections.abc import Callable, Iterator

from components.advice.encryption import no_port_without_tls, tls_leaves_room_on_the_core
from components.advice.figures import Figures
from components.advice.plan_warning import PlanWarning
from components.advice.remedies import Helps, first_change, plan_of
from components.advice.right_sizing import MEMORY_TARGET, Step
from components.advice.savings import cross_zone, more_memory, too_large
from components.advice.security import images_are_pinned, nodes_may_little, policies_hold
from components.config.choices import CapacityType, Packing, Placement
from components.config.formats import count, gbps, memory, percent, rate, seconds, share
from components.config.settings import Settings
from components.config.units import MIB
from components.plan.alerting import MEMORY_ALERT_PERCENT
from components.plan.traffic import ASSUMED_INTERFACE_GBPS, SINGLE_FLOW_GBPS
from components.plan.working_set import WorkingSet

BOUNDS = {
    "core": "Redis's one core is not enough",
    "resync-core": "Redis's one core leaves a lost replica's full resync too little",
    "flow": "the one connection to a replica is not enough",
    "network": "the network is not enough",
    "resync": "a lost replica's full resync does not fit",
    "p95": "the p95 is missed",
    "none": "no rule fails",
}
"""What happens beyond the capacity, by the rule that fails first."""
NETWORK_FULL_PERCENT = 90.0
"""Above this use of a network, requests wait for each other noticeably (components/advice/latency.py)."""
SIZE_CLASS_WASTE = 0.15
"""Memory of an image beyond its size from which a smaller image is worth a thought."""


def derive_warnings(
    settings: Settings, figures: Figures, cheaper: Step | None, everywhere: Step | None
) -> tuple[PlanWarning, ...]:
    """Every warning of a stack, the ones about losing data or requests first.

    `cheaper` is a larger stack for less money, `everywhere` the stack with a copy of every shard in every zone.
    """
    return (
        *(warning for rule in _RULES for warning in rule(settings, figures)),
        *cross_zone(figures, everywhere),
        *more_memory(figures, cheaper),
    )


Rule = Callable[[Settings, Figures], Iterator[PlanWarning]]


def _working_set(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    found = figures.working_set
    if not found.own.fits:
        larger = first_change(settings, figures, ("totalMemory",), lambda _, other: other.working_set.own.fits)
        ways = [larger.sentence(figures)] if larger else []
        shorter = _ttl_that_fits(settings, found)
        ways += [f"Use --set workload.ttlSeconds={shorter}."] if shorter else []
        first, *others = [*ways, "Make images smaller."]
        yield PlanWarning(
            "working-set-exceeds-memory",
            f"At a hit rate of {share(settings.workload.hit_rate)}, {found.own.images:,} images are alive and take "
            f"{memory(found.own.size_bytes)}. There is room for {memory(found.room_bytes)}. Images are evicted after "
            f"{seconds(found.seconds_to_eviction or 0)} instead of {seconds(settings.workload.ttl_seconds)}. "
            f"They fit from a hit rate of {share(found.break_even_hit_rate_beside_backlog, 1)} on.",
            " ".join([first, *(f"Or {way[0].lower()}{way[1:]}" for way in others)]),
        )
    elif _is_above_alert(settings, figures):
        larger = first_change(
            settings,
            figures,
            ("totalMemory",),
            lambda other, then: not _is_above_alert(other, then),
            found.own.size_bytes / MEMORY_TARGET,
        )
        yield PlanWarning(
            "memory-above-alert",
            f"The images take {memory(found.own.size_bytes)} of {memory(found.room_bytes)}, which is "
            f"{percent(100 * found.own.size_bytes / found.room_bytes)}. The alert is at "
            f"{percent(MEMORY_ALERT_PERCENT)}.",
            larger.sentence(figures) if larger else "Make images smaller, or shorten workload.ttlSeconds.",
        )


def _ttl_that_fits(settings: Settings, found: WorkingSet) -> int | None:
    """The longest TTL with which the images fit; None where even one second is too long."""
    if found.needed_ttl_seconds < 1:
        return None
    workload = settings.workload.model_copy(update={"ttl_seconds": found.needed_ttl_seconds})
    planned = plan_of(settings, workload=workload)
    return found.needed_ttl_seconds if planned and planned[1].working_set.own.fits else None


def _is_above_alert(settings: Settings, figures: Figures) -> bool:
    found = figures.working_set
    return found.own.size_bytes > found.room_bytes * MEMORY_ALERT_PERCENT / 100


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
        yield PlanWarning(
            "capacity-short",
            f"{figures.sizing.masters} masters serve {found.ops_total:,.0f} requests/s, and "
            f"{settings.workload.requests_per_second:,} are wanted. Beyond it, {BOUNDS[found.bound_by]}.",
            _more_masters(settings, figures, lambda _, other: other.capacity.headroom >= 1),
        )


def _more_masters(settings: Settings, figures: Figures, helps: Helps) -> str:
    change = first_change(settings, figures, ("podMemory", "totalMemory"), helps)
    return change.sentence(figures) if change else "No podMemory and no totalMemory that was tried helps. Ask for less."


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
        f"{predicted} {found.wanted_p95_ms} ms are wanted. All pods of a node being masters, they use "
        f"{percent(found.link_use_percent)} of its network. A master uses {percent(found.core_use_percent)} of its "
        "core.",
        _more_masters(settings, figures, lambda _, other: other.latency.holds),
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
            "Give each pod 25 Gbps. "
            + _more_masters(settings, figures, lambda _, other: other.latency.link_use_percent <= NETWORK_FULL_PERCENT),
        )
        return
    roomier = first_change(
        settings,
        figures,
        ("nodes.instanceType", "totalMemory"),
        lambda _, other: other.latency.link_use_percent <= NETWORK_FULL_PERCENT,
    )
    yield PlanWarning(
        "network-at-capacity",
        f"Each {nodes.instance_type} carries {count(nodes.pods_per_node, 'pod')}. After failovers each may be a "
        f"master. A full node then sends {nodes.worst_egress_gbps:.1f} of {nodes.sustained_gbps:g} Gbps, which is "
        f"{percent(use)}.",
        f"{roomier.sentence(figures)} It then uses {percent(roomier.figures.latency.link_use_percent)}."
        if roomier
        else "Ask for less of each node: no type and no totalMemory that was tried leaves more room.",
    )


def _flows(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    traffic = figures.traffic
    if traffic.read_gbps_per_master > SINGLE_FLOW_GBPS:
        yield PlanWarning(
            "several-connections",
            f"A master sends its clients {traffic.read_gbps_per_master:.1f} Gbps. One TCP connection between nodes "
            f"carries {SINGLE_FLOW_GBPS:g} Gbps.",
            "Let clients open several connections to each master, or set a smaller podMemory.",
        )


def _resync(settings: Settings, figures: Figures) -> Iterator[PlanWarning]:
    found = figures.resilience
    if not found.resync_fits and found.resync_bound_by_core:
        yield PlanWarning(
            "resync-does-not-fit",
            f"Requests take {percent(figures.latency.core_use_percent)} of a master's one core. What they leave is too "
            "little for a full resync, so a lost replica does not come back.",
            _more_masters(settings, figures, lambda _, other: other.resilience.resync_fits),
        )
    elif not found.resync_fits:
        # Nodes that are chosen here always have the network for it.
        yield PlanWarning(
            "resync-does-not-fit",
            f"A master sends {figures.traffic.egress_gbps_per_master:.1f} of the {ASSUMED_INTERFACE_GBPS:.0f} Gbps "
            "that are assumed for a pod. What is left is too little for a full resync, so a lost replica does not "
            "come back.",
            "Give each pod 25 Gbps. " + _more_masters(settings, figures, lambda _, other: other.resilience.resync_fits),
        )
    elif not found.resync_full_fits:
        yield PlanWarning(
            "resync-of-full-master-does-not-fit",
            f"The writes to each master are {rate(found.writes_per_second_per_master)}. Beside them, and with all pods "
            f"of a node being masters, {gbps(found.resync_worst_gbps)} are left for a full resync. That of a master "
            "whose memory is full is cut off, and its lost replica comes back only when there is less load. With the "
            f"images of this hit rate a full resync needs {memory(found.resync_worst_peak_mib * MIB)} of the pod's "
            f"{memory(figures.sizing.limit_memory_mib * MIB)}.",
            _full_resync(settings, figures),
        )


def _full_resync(settings: Settings, figures: Figures) -> str:
    change = first_change(
        settings,
        figures,
        ("nodes.instanceType", "totalMemory", "podMemory"),
        lambda _, other: other.resilience.resync_full_fits,
    )
    return change.sentence(figures) if change else "Keep the memory from filling: raise the hit rate."


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
            f"{figures.sizing.copies_per_shard} copies of a shard live in {count(len(nodes.zones), 'zone')}. "
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
            f"The price of {nodes.instance_type} in {nodes.region} is not in the catalogue. That of "
            f"{nodes.price_region} is shown.",
            "Look the type up in AWS's price list. Other regions cost from 0.6 to 2 times as much as us-east-1.",
        )


_RULES: tuple[Rule, ...] = (
    _capacity,
    tls_leaves_room_on_the_core,
    _latency,
    _flows,
    _resync,
    _zones,
    _working_set,
    _network,
    _size_class,
    _purchase,
    too_large,
    no_port_without_tls,
    policies_hold,
    nodes_may_little,
    images_are_pinned,
)
