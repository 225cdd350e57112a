"""The managed alternative: ElastiCache for the same memory, replicas and traffic."""

from dataclasses import dataclass
from math import ceil

from components.advice.cost import CROSS_ZONE_USD_PER_GB, gb_per_month
from components.config.settings import Workload
from components.config.units import GIB
from components.plan.nodes.catalogue import FALLBACK_PRICE_REGION, HOURS_PER_MONTH, load_catalogue
from components.plan.sizing import Sizing
from components.plan.traffic import Traffic

RESERVED_MEMORY_SHARE = 0.25
"""`reserved-memory-percent`, its default: for replication buffers and forks (cloudburn.io, 2026-04)."""
ENGINES = (("Redis OSS", 1.0), ("Valkey", 0.8))
"""Engine and its price over that of Redis OSS (AWS price list, read 2026-10-02)."""
REGIONAL_FACTORS = {"us-east-1": 1.0, "eu-west-1": 7.789 / 6.981}
"""cache.r7g.16xlarge in a region over us-east-1, same source."""
NODE_TYPES = (
    ("cache.r7g.2xlarge", 52.82, 3.75, 0.873),
    ("cache.r7g.4xlarge", 105.81, 7.5, 1.745),
    ("cache.r7g.8xlarge", 209.55, 15.0, 3.491),
    ("cache.r7g.12xlarge", 317.77, 22.5, 5.235),
    ("cache.r7g.16xlarge", 419.09, 30.0, 6.981),
)
"""Name, memory in GiB, sustained Gbps of the EC2 type of that size, USD per hour in us-east-1 for Redis OSS."""


@dataclass(frozen=True, slots=True)
class ElastiCache:
    """The cheapest shape of one engine. USD a month, on demand."""

    engine: str
    node_type: str
    shards: int
    nodes: int
    usable_bytes: int
    nodes_usd: float
    cross_zone_usd: float
    """Clients spread over the zones; AWS bills them on the EC2 side only and replication not at all (from its
    price page, unverified)."""
    total_usd: float


def ec2_factor(region: str) -> float:
    """What a region charges for the EC2 type of the cache nodes over us-east-1; 1 where that is not known.

    Stands for ElastiCache's own factor where that was not read. With prices of us-east-1 beside nodes at the region's
    own prices, ElastiCache would look cheaper than it is in most regions. In eu-west-1 the two differ by 0.3 %.
    """
    kind = load_catalogue().find(NODE_TYPES[0][0].removeprefix("cache."))
    return kind.price(region)[0] / kind.price(FALLBACK_PRICE_REGION)[0] if kind else 1.0


def derive_elasticache(
    sizing: Sizing, workload: Workload, traffic: Traffic, region: str, zones: int
) -> tuple[ElastiCache, ...]:
    """The cheapest ElastiCache that holds `totalMemory` and carries the traffic, for each engine."""
    client_gb = gb_per_month(workload.requests_per_second * workload.duty_cycle * workload.object_bytes)
    cross_zone = client_gb * (zones - 1) / zones * CROSS_ZONE_USD_PER_GB / 2
    egress_gbps = traffic.egress_gbps_per_master * sizing.masters
    regional = REGIONAL_FACTORS.get(region) or ec2_factor(region)

    def shape(engine: str, factor: float, node_type: str, gib: float, gbps: float, usd: float) -> ElastiCache:
        usable = int(gib * GIB * (1 - RESERVED_MEMORY_SHARE))
        shards = max(ceil(sizing.total_memory_bytes / usable), ceil(egress_gbps / gbps))
        nodes = shards * sizing.copies_per_shard
        nodes_usd = nodes * usd * factor * regional * HOURS_PER_MONTH
        return ElastiCache(
            engine, node_type, shards, nodes, shards * usable, nodes_usd, cross_zone, nodes_usd + cross_zone
        )

    return tuple(
        min((shape(engine, factor, *kind) for kind in NODE_TYPES), key=lambda option: option.nodes_usd)
        for engine, factor in ENGINES
    )
