"""Which EC2 nodes carry the pods: the cheapest that hold under every placement the scheduler may choose.

- A node's pods fit its allocatable memory (by limits, or by requests), CPU and pod count.
- All of a node's pods being masters, they fit its sustained (never burst) network.
- No node carries more than a sixth of the pods, nor so many masters that its loss ends their majority.
- A lost zone leaves a majority of masters, and every shard a copy.
- A zone has room for its pods, whichever node the scheduler sends each to.

Where a type could take more pods than these rules allow, the kubelet is told to keep cores back, so that the
scheduler cannot put one more pod there (`NodePlan.system_reserved_cpu_millicores`).
"""

from dataclasses import dataclass, replace

from components.catalogue import (
    AMI_TYPES,
    DAEMONSETS_CPU_MILLICORES,
    HOURS_PER_MONTH,
    MAX_PODS_EXPRESSION,
    Catalogue,
    InstanceType,
    letter_of,
    region_of,
)
from components.node_rules import (
    PodDemand,
    PodsPerNode,
    architecture_fault,
    capacity_fault,
    evened_out,
    gib,
    nodes_in_zone,
    pods_per_node,
    schedulable,
)
from components.placement import pods_per_zone
from components.settings import CapacityType, Nodes, Placement


@dataclass(frozen=True, slots=True)
class ZoneNodes:
    """One zone's node group and the pods it carries; `masters` by their initial role."""

    zone: str
    nodes: int
    masters: int
    replicas: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One type that passes every rule."""

    instance_type: str
    pods_per_node: int
    nodes_total: int
    usd_per_month: float


@dataclass(frozen=True, slots=True)
class Rejection:
    """One type that fails a rule, with the figure that fails."""

    instance_type: str
    reason: str


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The chosen nodes: one node group per zone, all of one type."""

    region: str
    instance_type: str
    architecture: str
    ami_type: str
    capacity_type: CapacityType
    pods_per_node: int
    zones: tuple[ZoneNodes, ...]
    nodes_total: int
    slots_total: int
    """Pods the nodes have room for."""
    zone_separation: bool
    """Whether copies of one shard never share a zone; False: never a node."""
    max_pods_expression: str
    system_reserved_cpu_millicores: int
    """kubelet `systemReserved.cpu` that keeps a further pod away; 0 = memory or CPU do so already."""
    allocatable_memory_mib: int
    allocatable_cpu_millicores: int
    pods_memory_mib: int
    """Memory limits of a full node's pods."""
    sustained_gbps: float
    worst_egress_gbps: float
    """A full node's pods all being masters."""
    numa_nodes: int | None
    usd_per_hour: float
    """On demand, one node."""
    usd_per_month: float
    """On demand, all nodes."""
    price_region: str
    """Region the price was read for."""
    zones_offering: int
    zones_in_region: int
    zones_unsure: tuple[str, ...]
    """Chosen zones that did not offer the type in the account the data was read from."""
    per_node_limits: PodsPerNode
    passing: tuple[Candidate, ...]
    """Every type that passes, cheapest first."""
    rejected: tuple[Rejection, ...]


class NodesRefused(Exception):
    """No nodes hold; `messages` has one line for each reason, with what to change."""

    def __init__(self, messages: list[str]) -> None:
        self.messages = messages
        super().__init__("\n".join(messages))


def choose_nodes(demand: PodDemand, zones: tuple[str, ...], rules: Nodes, catalogue: Catalogue) -> NodePlan:
    """The cheapest nodes that pass every rule, or those of the named type. Raises NodesRefused.

    `zones` and `rules` have passed the rules of `config_errors` (number of zones, spot only outside production).
    """
    faults = _zone_faults(demand, zones, rules)
    if faults:
        raise NodesRefused(faults)
    region = region_of(zones[0])
    passing: list[tuple[tuple[float, int, float, str], InstanceType, Candidate]] = []
    rejected: list[Rejection] = []
    for kind in catalogue.types:
        reason = (
            _unavailable(kind, region, catalogue)
            or architecture_fault(kind, rules)
            or capacity_fault(kind, demand, rules)
        )
        if reason:
            rejected.append(Rejection(kind.name, reason))
            continue
        candidate = _candidate(kind, demand, zones, rules, region)
        headroom = kind.network_baseline_gbps - candidate.pods_per_node * demand.egress_gbps_per_master
        order = (round(candidate.usd_per_month, 6), kind.numa_nodes or 1, -headroom, kind.name)
        passing.append((order, kind, candidate))
    passing.sort(key=lambda entry: entry[0])
    if rules.instance_type == "auto":
        if not passing:
            raise NodesRefused([_nothing_passes(demand, rules, region, catalogue)])
        chosen = passing[0][1]
    else:
        chosen = _named(demand, zones, rules, catalogue, [candidate for _, _, candidate in passing])
    return _plan(chosen, demand, zones, rules, catalogue, [entry[2] for entry in passing], rejected)


def _zone_faults(demand: PodDemand, zones: tuple[str, ...], rules: Nodes) -> list[str]:
    try:
        regions = sorted({region_of(zone) for zone in zones})
    except ValueError as error:
        return [f"eks.subnets: {error}"]
    if len(regions) != 1:
        return [f"eks.subnets = {list(zones)}: the zones must be of one region, not of {len(regions)}"]
    most = max(zone.masters for zone in _zone_pods(demand, zones))
    left = demand.masters - most
    if 2 * left > demand.masters or rules.allow_fewer_zones:
        return []
    return [
        f"{demand.masters} masters over {len(zones)} zones: one zone holds {most} of them, and the {left} left are no "
        f"majority; use {demand.masters + 1} masters (totalMemory, podMemory) or {len(zones) + 1} zones, or accept it "
        "with nodes.allowFewerZones: true"
    ]


def _unavailable(kind: InstanceType, region: str, catalogue: Catalogue) -> str | None:
    """Auto takes what every zone has: zone letters differ between accounts, so a gap could be anywhere."""
    most = catalogue.most_zones(region)
    if most and kind.zones_offering(region) < most:
        return f"offered in {kind.zones_offering(region)} of {most} zones of {region}"
    if catalogue.has_prices(region) and region not in kind.usd_per_hour:
        return f"its price in {region} is not known"
    return None


def _zone_pods(demand: PodDemand, zones: tuple[str, ...]) -> tuple[ZoneNodes, ...]:
    counts = pods_per_zone(demand.copies, demand.masters, zones)
    return tuple(ZoneNodes(zone, 0, count[0], count.total() - count[0]) for zone, count in counts.items())


def _zone_nodes(
    kind: InstanceType, demand: PodDemand, zones: tuple[str, ...], rules: Nodes
) -> tuple[int, tuple[ZoneNodes, ...]]:
    """Pods per node, and the nodes of each zone; the type carries at least one pod."""
    groups = _zone_pods(demand, zones)
    apart = 1 if rules.placement is Placement.PREFERRED else -(-demand.copies // len(zones))
    per_node = pods_per_node(kind, demand, rules.packing).most
    if schedulable(kind, demand) > per_node:
        # Cores are kept back anyway: then also so many that the pods spread evenly.
        per_node = evened_out(per_node, tuple(group.masters + group.replicas for group in groups), apart)
    return per_node, tuple(
        replace(group, nodes=nodes_in_zone(group.masters + group.replicas, per_node, apart)) for group in groups
    )


def _candidate(kind: InstanceType, demand: PodDemand, zones: tuple[str, ...], rules: Nodes, region: str) -> Candidate:
    per_node, groups = _zone_nodes(kind, demand, zones, rules)
    nodes = sum(group.nodes for group in groups)
    return Candidate(kind.name, per_node, nodes, nodes * kind.price(region)[0] * HOURS_PER_MONTH)


def _named(
    demand: PodDemand, zones: tuple[str, ...], rules: Nodes, catalogue: Catalogue, passing: list[Candidate]
) -> InstanceType:
    region, name = region_of(zones[0]), rules.instance_type
    cheapest = (
        f"the cheapest type that passes is {passing[0].instance_type} ({passing[0].nodes_total} nodes, "
        f"{passing[0].usd_per_month:,.0f} USD a month)"
        if passing
        else "and no other type of the catalogue passes"
    )
    kind = catalogue.find(name)
    if kind is None:
        raise NodesRefused(
            [f"nodes.instanceType = {name}: not in the catalogue (components/ec2_types.csv); {cheapest}"]
        )
    offered = kind.zones_offering(region)
    missing = (
        f"offered in {offered} zones of {region}, and {len(zones)} are asked for"
        if catalogue.most_zones(region) and offered < len(zones)
        else None
    )
    reasons = [text for text in (architecture_fault(kind, rules), missing, capacity_fault(kind, demand, rules)) if text]
    if reasons:
        raise NodesRefused([f"nodes.instanceType = {name}: {reason}; {cheapest}" for reason in reasons])
    return kind


def _nothing_passes(demand: PodDemand, rules: Nodes, region: str, catalogue: Catalogue) -> str:
    kinds = [
        kind
        for kind in catalogue.types
        if not _unavailable(kind, region, catalogue) and not architecture_fault(kind, rules)
    ]
    if not kinds:
        return f"nodes.architecture = {rules.architecture}: the catalogue has no such type in every zone of {region}"
    roomiest = max(kinds, key=lambda kind: kind.allocatable_memory_mib)
    fastest = max(kinds, key=lambda kind: kind.network_baseline_gbps)
    return (
        f"no EC2 type of the catalogue carries one pod: it needs {gib(demand.limit_memory_mib)} (limit) and "
        f"{demand.egress_gbps_per_master:.2f} Gbps; the roomiest, {roomiest.name}, has "
        f"{gib(roomiest.allocatable_memory_mib)}, the fastest, {fastest.name}, {fastest.network_baseline_gbps:g} Gbps; "
        "make podMemory smaller, so that more masters share the load"
    )


def _plan(
    kind: InstanceType,
    demand: PodDemand,
    zones: tuple[str, ...],
    rules: Nodes,
    catalogue: Catalogue,
    passing: list[Candidate],
    rejected: list[Rejection],
) -> NodePlan:
    region = region_of(zones[0])
    per_node, groups = _zone_nodes(kind, demand, zones, rules)
    nodes_total = sum(group.nodes for group in groups)
    usd_per_hour, price_region = kind.price(region)
    cpu_for_pods = per_node * demand.cpu_millicores + DAEMONSETS_CPU_MILLICORES
    letters = kind.zone_letters.get(region, "")
    return NodePlan(
        region=region,
        instance_type=kind.name,
        architecture=kind.architecture,
        ami_type=AMI_TYPES[kind.architecture],
        capacity_type=rules.capacity_type,
        pods_per_node=per_node,
        zones=groups,
        nodes_total=nodes_total,
        slots_total=nodes_total * per_node,
        zone_separation=demand.copies <= len(zones) and rules.placement is Placement.REQUIRED,
        max_pods_expression=MAX_PODS_EXPRESSION,
        system_reserved_cpu_millicores=(
            kind.allocatable_cpu_millicores - cpu_for_pods if schedulable(kind, demand) > per_node else 0
        ),
        allocatable_memory_mib=kind.allocatable_memory_mib,
        allocatable_cpu_millicores=kind.allocatable_cpu_millicores,
        pods_memory_mib=per_node * demand.limit_memory_mib,
        sustained_gbps=kind.network_baseline_gbps,
        worst_egress_gbps=per_node * demand.egress_gbps_per_master,
        numa_nodes=kind.numa_nodes,
        usd_per_hour=usd_per_hour,
        usd_per_month=nodes_total * usd_per_hour * HOURS_PER_MONTH,
        price_region=price_region,
        zones_offering=kind.zones_offering(region),
        zones_in_region=catalogue.most_zones(region),
        zones_unsure=tuple(zone for zone in zones if letters and letter_of(zone) not in letters),
        per_node_limits=pods_per_node(kind, demand, rules.packing),
        passing=tuple(passing),
        rejected=tuple(rejected),
    )
