"""Which EC2 nodes carry the pods: the cheapest that suffice for every placement the scheduler may choose.

- A node's pods fit its allocatable memory (by limits, or by requests), CPU and pod count.
- All of a node's pods being masters, they fit its sustained (never burst) network.
- No node carries more than a sixth of the pods, nor so many masters that its loss ends their majority.
- Where `nodes.transitEncryption` says so, its network card encrypts what nodes send each other.
- A lost zone leaves a majority of masters, and of every shard one of its pods.
- A zone has room for its pods, whichever node the scheduler sends each to, and `nodes.sparePerZone` nodes more.

Where a type has room for more pods than these rules allow, its kubelet reserves cores for the system
(`NodePlan.system_reserved_cpu_millicores`). Without that the scheduler, which knows requests alone, would put one
more pod there, and the node's memory or network would not suffice.
"""

from dataclasses import dataclass, replace

from components.config.choices import CapacityType, Placement
from components.config.did_you_mean import did_you_mean
from components.config.formats import figure, memory_to_a_tenth, usd
from components.config.settings import Nodes
from components.config.zones import letter_of, region_of
from components.plan.nodes.catalogue import (
    AMI_TYPES,
    HOURS_PER_MONTH,
    MAX_PODS_EXPRESSION,
    Catalogue,
    InstanceType,
    Market,
)
from components.plan.nodes.rules import (
    PodDemand,
    PodsPerNode,
    architecture_mismatch,
    capacity_shortage,
    common_overload,
    cores_for_pods,
    evened_out,
    nodes_in_zone,
    plain_network,
    pods_per_node,
    schedulable,
)
from components.plan.placement import pods_per_zone
from components.plan.refusal import Refused


@dataclass(frozen=True, slots=True)
class ZoneNodes:
    """One zone's node group, spare nodes included, and the pods it carries; `masters` by their initial role."""

    zone: str
    nodes: int
    masters: int
    replicas: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One type that passes every rule."""

    instance_type: str
    architecture: str
    pods_per_node: int
    nodes_total: int
    usd_per_month: float
    """On demand, all nodes with their root volumes."""
    worst_use_percent: float
    """Of its sustained network, a full node's pods all being masters."""


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
    spare_per_zone: int
    """Of each zone's nodes, those beyond what its pods need."""
    slots_total: int
    """Pods the nodes have room for, the spare ones too."""
    zone_separation: bool
    """Whether the pods of one shard never share a zone. Where False they share a zone, and never a node if placement is
    required."""
    max_pods_expression: str
    system_reserved_cpu_millicores: int
    """kubelet `systemReserved.cpu` that leaves no core for one more pod; 0 where memory or CPU have no room for it."""
    allocatable_memory_mib: int
    allocatable_cpu_millicores: int
    pods_memory_mib: int
    """Memory limits of a full node's pods."""
    sustained_gbps: float
    worst_egress_gbps: float
    """A full node's pods all being masters."""
    numa_nodes: int | None
    vcpus_total: int
    """Counts against the account's quota of on-demand vCPUs."""
    usd_per_hour: float
    """On demand, one node."""
    usd_per_month: float
    """On demand, all nodes, without their root volumes."""
    spare_usd_per_month: float
    """On demand, the spare nodes with their root volumes."""
    drain_usd_per_hour: float
    """What one more node in one zone costs while a node is drained; 0 where a spare one stands by."""
    price_region: str
    """Region the price was read for."""
    price_date: str | None
    """The day of that price; None where its source is undated."""
    zones_offering: int
    zones_in_region: int
    zones_unsure: tuple[str, ...]
    """Chosen zones that did not offer the type in the account the data was read from."""
    cores_for_pods: float
    """Of one node."""
    per_node_limits: PodsPerNode
    passing: tuple[Candidate, ...]
    """Every type that passes, cheapest first."""
    rejected: tuple[Rejection, ...]


class NodesRefused(Refused):
    """No EC2 nodes carry the pods under the rules."""


def choose_nodes(demand: PodDemand, zones: tuple[str, ...], rules: Nodes, catalogue: Catalogue) -> NodePlan:
    """The cheapest nodes that pass every rule, or those of the named type. Raises NodesRefused.

    `zones` and `rules` have passed `components.config.rules` (number of zones, spot only outside production).
    """
    try:
        regions = sorted({region_of(zone) for zone in zones})
    except ValueError as error:
        raise NodesRefused([f"eks.subnets: {error}"]) from None
    if len(regions) != 1:
        raise NodesRefused(
            [f"eks.subnets in {', '.join(zones)}: the zones must be of one region, not of {len(regions)}"]
        )
    if catalogue.regions and regions[0] not in catalogue.regions:
        raise NodesRefused(
            [
                f"eks.subnets in {', '.join(zones)}: {regions[0]} is no region of the catalogue; it knows "
                f"{', '.join(sorted(catalogue.regions))} (components/plan/nodes/ec2_zones.csv)"
            ]
        )
    counts = pods_per_zone(demand.copies_per_shard, demand.masters, zones)
    # With more zones than pods some stay empty, and an EKS node group of no nodes does not exist.
    groups = tuple(ZoneNodes(zone, 0, count[0], count.total() - count[0]) for zone, count in counts.items() if count)
    return _Search(demand, groups, rules, catalogue.market(regions[0])).plan()


@dataclass(frozen=True, slots=True)
class _Search:
    """One choice to make: these pods in these zones (whose nodes are still 0) from what this region offers."""

    demand: PodDemand
    groups: tuple[ZoneNodes, ...]
    rules: Nodes
    market: Market

    def plan(self) -> NodePlan:
        self._refuse_lost_majority()
        passing: list[tuple[tuple[float, int, float, str], InstanceType, Candidate]] = []
        rejected: list[Rejection] = []
        for kind in self.market.types:
            limits = pods_per_node(kind, self.demand, self.rules.packing)
            reason = self.market.gap(kind) or self._unfit(kind, limits)
            if reason:
                rejected.append(Rejection(kind.name, reason))
                continue
            candidate = self._candidate(kind, limits)
            order = (round(candidate.usd_per_month, 6), kind.numa_nodes or 1, candidate.worst_use_percent, kind.name)
            passing.append((order, kind, candidate))
        passing.sort(key=lambda entry: entry[0])
        candidates = tuple(candidate for _, _, candidate in passing)
        if self.rules.instance_type != "auto":
            chosen = self._named(candidates)
        elif passing:
            chosen = passing[0][1]
        else:
            raise NodesRefused([self._nothing_passes()])
        return self._node_plan(chosen, candidates, tuple(rejected))

    def _refuse_lost_majority(self) -> None:
        demand, zones = self.demand, len(self.groups)
        most = max(group.masters for group in self.groups)
        left = demand.masters - most
        if 2 * left <= demand.masters and not self.rules.allow_fewer_zones:
            raise NodesRefused(
                [
                    f"eks.subnets: {demand.masters} masters over {zones} zones: one zone holds {most} of them, and "
                    f"the {left} left are no majority; use {demand.masters + 1} masters (totalMemory, "
                    f"podMemory), {zones + 1} zones, or accept it with nodes.allowFewerZones: true"
                ]
            )

    def _unfit(self, kind: InstanceType, limits: PodsPerNode) -> str | None:
        return self._unwanted(kind) or capacity_shortage(kind, self.demand, self.rules, limits)

    def _unwanted(self, kind: InstanceType) -> str | None:
        return architecture_mismatch(kind, self.rules) or plain_network(kind, self.rules)

    def _layout(self, kind: InstanceType, limits: PodsPerNode) -> tuple[int, list[int]]:
        """Pods per node, and the nodes of each zone; the type carries at least one pod."""
        required = self.rules.placement is Placement.REQUIRED
        apart = -(-self.demand.copies_per_shard // len(self.groups)) if required else 1
        pods = tuple(group.masters + group.replicas for group in self.groups)
        per_node = limits.most
        if schedulable(kind, self.demand) > per_node:
            # Cores are reserved anyway. With some more of them the pods spread evenly, and each node has more network.
            per_node = evened_out(per_node, pods, apart)
        return per_node, [nodes_in_zone(count, per_node, apart) + self.rules.spare_per_zone for count in pods]

    def _candidate(self, kind: InstanceType, limits: PodsPerNode) -> Candidate:
        per_node, by_zone = self._layout(kind, limits)
        nodes = sum(by_zone)
        return Candidate(
            instance_type=kind.name,
            architecture=kind.architecture,
            pods_per_node=per_node,
            nodes_total=nodes,
            usd_per_month=nodes * kind.usd_per_month(self.market.region),
            worst_use_percent=100 * per_node * self.demand.egress_gbps_per_master / kind.network_baseline_gbps,
        )

    def _named(self, passing: tuple[Candidate, ...]) -> InstanceType:
        name, region = self.rules.instance_type, self.market.region
        cheapest = (
            f"the cheapest type that passes is {passing[0].instance_type} ({passing[0].nodes_total} nodes, "
            f"{usd(passing[0].usd_per_month)} USD a month)"
            if passing
            else "no other type of the catalogue passes either"
        )
        kind = next((kind for kind in self.market.types if kind.name == name), None)
        if kind is None:
            hint = did_you_mean(name, [kind.name for kind in self.market.types])
            known = "not in the catalogue (components/plan/nodes/ec2_types.csv)"
            raise NodesRefused([f"nodes.instanceType = {name}: {known}; {hint}{cheapest}"])
        limits = pods_per_node(kind, self.demand, self.rules.packing)
        offered = kind.zones_offering(region)
        missing = (
            f"offered in {offered} zones of {region}, and {len(self.groups)} are asked for"
            if self.market.most_zones and offered < len(self.groups)
            else None
        )
        reasons = [reason for reason in (missing, self._unfit(kind, limits)) if reason]
        if reasons:
            raise NodesRefused([f"nodes.instanceType = {name}: {reason}; {cheapest}" for reason in reasons])
        return kind

    def _nothing_passes(self) -> str:
        kinds = [kind for kind in self.market.types if not self.market.gap(kind) and not self._unwanted(kind)]
        if not kinds:
            encrypted = " that encrypts what nodes send each other" if self.rules.transit_encryption else ""
            return (
                f"nodes.architecture = {self.rules.architecture}: the catalogue has no such type{encrypted} in every "
                f"zone of {self.market.region}"
            )
        overload = common_overload(kinds, self.demand, self.rules.packing)
        if overload:
            key, reason = overload
            return f"{key}: no EC2 type of the catalogue carries one pod: {reason}"
        roomiest = max(kinds, key=lambda kind: kind.allocatable_memory_mib)
        fastest = max(kinds, key=lambda kind: kind.network_baseline_gbps)
        return (
            "podMemory: no EC2 type of the catalogue carries one pod: it needs "
            f"{memory_to_a_tenth(self.demand.limit_memory_mib)} (limit) and "
            f"{figure(self.demand.egress_gbps_per_master, 2)} Gbps; the roomiest, {roomiest.name}, has "
            f"{memory_to_a_tenth(roomiest.allocatable_memory_mib)}, the fastest, {fastest.name}, "
            f"{fastest.network_baseline_gbps:g} Gbps; make podMemory smaller, so that more masters share the load"
        )

    def _node_plan(
        self, kind: InstanceType, passing: tuple[Candidate, ...], rejected: tuple[Rejection, ...]
    ) -> NodePlan:
        demand, region = self.demand, self.market.region
        limits = pods_per_node(kind, demand, self.rules.packing)
        per_node, by_zone = self._layout(kind, limits)
        groups = tuple(replace(group, nodes=count) for group, count in zip(self.groups, by_zone, strict=True))
        nodes_total = sum(by_zone)
        usd_per_hour, price_region = kind.price(region)
        # As much for DaemonSets as leaves no room for one more pod where there are none. With less, DaemonSets that ask
        # for more than the planner counts would take the place of a pod that its volume binds to this zone.
        cpu_for_pods = (per_node + 1) * demand.cpu_millicores - 1
        letters = kind.zone_letters.get(region, "")
        return NodePlan(
            region=region,
            instance_type=kind.name,
            architecture=kind.architecture,
            ami_type=AMI_TYPES[kind.architecture],
            capacity_type=self.rules.capacity_type,
            pods_per_node=per_node,
            zones=groups,
            nodes_total=nodes_total,
            spare_per_zone=self.rules.spare_per_zone,
            slots_total=nodes_total * per_node,
            zone_separation=demand.copies_per_shard <= len(groups) and self.rules.placement is Placement.REQUIRED,
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
            vcpus_total=nodes_total * kind.vcpu,
            usd_per_hour=usd_per_hour,
            usd_per_month=nodes_total * usd_per_hour * HOURS_PER_MONTH,
            spare_usd_per_month=self.rules.spare_per_zone * len(groups) * kind.usd_per_month(region),
            drain_usd_per_hour=0.0 if self.rules.spare_per_zone else usd_per_hour,
            price_region=price_region,
            price_date=kind.price_dates.get(price_region),
            zones_offering=kind.zones_offering(region),
            zones_in_region=self.market.most_zones,
            zones_unsure=tuple(group.zone for group in groups if letters and letter_of(group.zone) not in letters),
            cores_for_pods=cores_for_pods(kind),
            per_node_limits=limits,
            passing=passing,
            rejected=rejected,
        )
