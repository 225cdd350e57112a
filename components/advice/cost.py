"""What the stack costs in a month, in USD: nodes, volumes, control plane, and the traffic between zones.

AWS's month has 730 hours. Prices of EC2 types stand in the catalogue, all others here. For a type whose price in the
region is not known, that of us-east-1 is taken, and a warning says so. All other prices are those of us-east-1.
"""

from dataclasses import dataclass
from math import ceil

from components.advice.commitments import commitment_of
from components.config.choices import CapacityType
from components.config.rules import REPLICAS_MAX
from components.config.settings import GP3_IOPS_INCLUDED, GP3_MIB_PER_SECOND_INCLUDED, Storage, Workload
from components.config.units import TIB
from components.plan.nodes.catalogue import GP3_USD_PER_GIB, HOURS_PER_MONTH, ROOT_VOLUME_USD
from components.plan.nodes.choice import NodePlan
from components.plan.sizing import Sizing
from components.plan.traffic import misses_per_second

SPOT_FACTOR = 0.35
"""Spot: "60-70 % off" (sizing document); it changes by the hour."""
GP3_USD_PER_IOPS = 0.005
GP3_USD_PER_MIB_PER_SECOND = 0.04
CONTROL_PLANE_EXTENDED_USD_PER_HOUR = 0.60
"""EKS, Kubernetes versions in extended support (cloudburn.io, 2026-03): 1.33 since 2026-07-29, 1.34 from 2026-12-02."""
CONTROL_PLANE_USD_PER_HOUR = 0.10
"""EKS, standard support (cloudburn.io, 2026-03). The whole fee is counted, though others may share the cluster."""
SECONDS_PER_MONTH = HOURS_PER_MONTH * 3600
EVERY_ZONE = "copy in every zone"
CROSS_ZONE_USD_PER_GB = 0.02
"""0.01 out and 0.01 in, per 10**9 bytes, every region (duckbillgroup.com, a measured bill)."""


@dataclass(frozen=True, slots=True)
class CrossZoneCost:
    """Traffic between zones in a month at the workload's mean rate, which is `dutyCycle` of its peak."""

    clients: str
    """`spread`: in every zone, reading from masters. `zone-local reads`: reading from a copy in the own zone where
    there is one. `copy in every zone`: the same with a replica in each other zone, where a stack may have so many."""
    reads_usd: float
    writes_usd: float
    replication_usd: float
    total_usd: float


@dataclass(frozen=True, slots=True)
class Reserved:
    """Nodes that are paid for three years, all upfront, with their root volumes."""

    instance_type: str
    nodes_total: int
    usd_per_month: float


@dataclass(frozen=True, slots=True)
class Cost:
    """USD a month."""

    nodes_on_demand_usd: float
    nodes_reserved_1y_usd: float
    """Nothing upfront."""
    nodes_reserved_3y_nothing_upfront_usd: float
    nodes_reserved_3y_partly_upfront_usd: float
    nodes_reserved_3y_usd: float
    """All upfront: the least."""
    reserved_3y: Reserved
    """The chosen nodes."""
    cheapest_reserved_3y: Reserved
    """The nodes that would be the cheapest when paid for three years: the choice counts on demand, and families differ
    in what three years save."""
    nodes_usd: float
    """As bought: on demand, or spot."""
    volumes_usd: float
    """The pods' gp3 volumes."""
    root_volumes_usd: float
    control_plane_usd: float
    infrastructure_usd: float
    cross_zone: tuple[CrossZoneCost, ...]
    total_usd: float
    """Infrastructure, and the traffic of clients that are spread over the zones."""
    infrastructure_usd_per_usable_tib: float
    infrastructure_usd_per_1000_requests_per_second: float
    total_usd_per_usable_tib: float
    total_usd_per_1000_requests_per_second: float
    cross_zone_to_nodes_ratio: float


def derive_cost(sizing: Sizing, workload: Workload, storage: Storage, nodes: NodePlan) -> Cost:
    """Cost of a stack on its own nodes."""
    on_demand = nodes.usd_per_month
    bought = on_demand * SPOT_FACTOR if nodes.capacity_type is CapacityType.SPOT else on_demand
    volumes = sizing.pods * volume_usd(ceil(sizing.volume_mib / 1024), storage)
    roots = nodes.nodes_total * ROOT_VOLUME_USD
    control_plane = CONTROL_PLANE_USD_PER_HOUR * HOURS_PER_MONTH
    infrastructure = bought + volumes + roots + control_plane
    cross_zone = cross_zone_costs(workload, sizing.replicas_per_master, len(nodes.zones))
    total = infrastructure + cross_zone[0].total_usd
    shares = commitment_of(nodes.instance_type)
    chosen = _reserved(nodes.instance_type, nodes.nodes_total, on_demand + roots)
    usable_tib, thousands = sizing.usable_memory_bytes / TIB, workload.requests_per_second / 1000
    return Cost(
        nodes_on_demand_usd=on_demand,
        nodes_reserved_1y_usd=on_demand * shares.one_year,
        nodes_reserved_3y_nothing_upfront_usd=on_demand * shares.three_years_nothing_upfront,
        nodes_reserved_3y_partly_upfront_usd=on_demand * shares.three_years_partly_upfront,
        nodes_reserved_3y_usd=on_demand * shares.three_years_all_upfront,
        reserved_3y=chosen,
        cheapest_reserved_3y=min(
            (chosen, *(_reserved(kind.instance_type, kind.nodes_total, kind.usd_per_month) for kind in nodes.passing)),
            key=lambda reserved: round(reserved.usd_per_month, 6),
        ),
        nodes_usd=bought,
        volumes_usd=volumes,
        root_volumes_usd=roots,
        control_plane_usd=control_plane,
        infrastructure_usd=infrastructure,
        cross_zone=cross_zone,
        total_usd=total,
        infrastructure_usd_per_usable_tib=infrastructure / usable_tib,
        infrastructure_usd_per_1000_requests_per_second=infrastructure / thousands,
        total_usd_per_usable_tib=total / usable_tib,
        total_usd_per_1000_requests_per_second=total / thousands,
        cross_zone_to_nodes_ratio=cross_zone[0].total_usd / bought,
    )


def _reserved(instance_type: str, nodes_total: int, usd_per_month: float) -> Reserved:
    """Nodes that cost so much on demand with their root volumes, which nobody reserves."""
    roots = nodes_total * ROOT_VOLUME_USD
    paid = (usd_per_month - roots) * commitment_of(instance_type).three_years_all_upfront
    return Reserved(instance_type, nodes_total, paid + roots)


def gb_per_month(bytes_per_second: float) -> float:
    """GB of 10**9 bytes, as AWS bills traffic, that a rate comes to when it lasts all month."""
    return bytes_per_second / 10**9 * SECONDS_PER_MONTH


def volume_usd(size_gib: int, storage: Storage) -> float:
    """One gp3 volume, a month."""
    iops = max(0, (storage.iops or 0) - GP3_IOPS_INCLUDED)
    throughput = max(0, (storage.throughput_mib_per_second or 0) - GP3_MIB_PER_SECOND_INCLUDED)
    return size_gib * GP3_USD_PER_GIB + iops * GP3_USD_PER_IOPS + throughput * GP3_USD_PER_MIB_PER_SECOND


def cross_zone_costs(workload: Workload, replicas: int, zones: int) -> tuple[CrossZoneCost, ...]:
    """Traffic by where clients stand. A hit moves an image out of a master, a miss moves one in, and on to replicas."""
    usd_per_rate = gb_per_month(workload.object_bytes) * workload.duty_cycle * CROSS_ZONE_USD_PER_GB
    misses = misses_per_second(workload)
    hits_usd = (workload.requests_per_second - misses) * usd_per_rate
    misses_usd = misses * usd_per_rate
    elsewhere = (zones - 1) / zones

    def cost(clients: str, reads: float, replicas: int) -> CrossZoneCost:
        # Copy 0 is the master, and each copy stands one zone further on than the one before it.
        crossing = sum(copy % zones != 0 for copy in range(1, replicas + 1))
        parts = (hits_usd * reads, misses_usd * elsewhere, misses_usd * crossing)
        return CrossZoneCost(clients, *parts, sum(parts))

    without_copy = max(0, zones - 1 - replicas) / zones
    options = [cost("spread", elsewhere, replicas)]
    if zones > 1:
        options.append(cost("zone-local reads", without_copy, replicas))
    if without_copy and zones - 1 <= REPLICAS_MAX:
        options.append(cost(EVERY_ZONE, 0.0, zones - 1))
    return tuple(options)
