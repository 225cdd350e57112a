"""Other ways to do the same work, with all that each costs: what would change the decision for this stack.

All are priced at the workload's mean rate (`workload.dutyCycle` of the peak), traffic between zones included, for
clients that are spread evenly over the zones.
"""

from dataclasses import dataclass

from components.advice.cost import SECONDS_PER_MONTH
from components.advice.figures import Figures
from components.advice.remedies import plan_of, serves_as_much
from components.advice.right_sizing import MEMORY_TARGET
from components.config.formats import share
from components.config.rules import MASTERS_MIN
from components.config.settings import Settings
from components.plan.servers import server_figures
from components.plan.traffic import misses_per_second
from components.plan.working_set import images_bytes

S3_USD_PER_GET = 0.0004 / 1000
S3_USD_PER_PUT = 0.005 / 1000
S3_USD_PER_GB = 0.023
"""S3 Standard, us-east-1 (docs/reference/aws.md, "S3"). Traffic to EC2 in the same region is free."""
_MORE_MASTERS_TRIED = 12
DECIDES_BELOW = 0.9
"""Of this stack's total: another way that costs less than that would change the decision. The rest is the uncertainty
of the prices, which are of different dates."""
S3_P95_MS = 200
"""What S3 is taken to keep to: AWS names 100 to 200 ms to the first byte (docs/reference/aws.md, "S3")."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """USD a month: `usd` is what runs, `traffic_usd` what crosses zones."""

    name: str
    usd: float
    traffic_usd: float
    takes: str
    """What it takes or gives up, in one sentence."""
    may_decide: bool = True
    """Whether it is another way to do the same work: neither the same stack paid otherwise, nor one whose answers take
    longer than the workload allows."""

    @property
    def total_usd(self) -> float:
        """All of it."""
        return self.usd + self.traffic_usd


def derive_alternatives(settings: Settings, figures: Figures) -> tuple[Alternative, ...]:
    """This stack first, and then the others, the cheapest first. Empty without nodes of the stack's own."""
    cost, nodes = figures.cost, figures.nodes
    if cost is None or nodes is None:
        return ()
    spread, *ways = cost.cross_zone
    three_years = cost.infrastructure_usd - cost.nodes_usd + cost.nodes_reserved_3y_usd
    found = [
        Alternative(
            "nodes for three years",
            three_years,
            spread.total_usd,
            "The same stack, paid for upfront whether it is used or not.",
            may_decide=False,
        )
    ]
    if ways and ways[0].total_usd < spread.total_usd:
        found.append(
            Alternative(
                "zone-local reads",
                cost.infrastructure_usd,
                ways[0].total_usd,
                "Clients send READONLY and choose the copy of their zone. It may lag behind the master.",
            )
        )
    found += [
        Alternative(
            f"ElastiCache, {managed.engine}",
            managed.nodes_usd,
            managed.cross_zone_usd,
            f"{managed.nodes} x {managed.node_type}. AWS runs it, and does not bill its replication.",
        )
        for managed in figures.elasticache
    ]
    if len(nodes.zones) > 1:
        found += _cache_in_every_zone(settings)
    found.append(_s3(settings))
    return (
        Alternative("this stack", cost.infrastructure_usd, spread.total_usd, "As planned."),
        *sorted(found, key=lambda option: option.total_usd),
    )


def decisive(alternatives: tuple[Alternative, ...]) -> Alternative | None:
    """The cheapest other way, where it costs so much less that the decision is to be thought over; None otherwise."""
    if not alternatives:
        return None
    stack, *others = alternatives
    cheapest = next((option for option in others if option.may_decide), None)
    return cheapest if cheapest and cheapest.total_usd < DECIDES_BELOW * stack.total_usd else None


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Where this stack and ElastiCache cost the same."""

    engine: str
    duty_cycle: float
    """Mean load over the peak. This stack is the cheaper one below; 0: never, 1 and more: always."""


def break_evens(figures: Figures, duty_cycle: float) -> tuple[BreakEven, ...]:
    """One for each engine of ElastiCache; all on demand, with clients spread over the zones."""
    cost = figures.cost
    if cost is None:
        return ()
    found = []
    for managed in figures.elasticache:
        saved = managed.nodes_usd - cost.infrastructure_usd
        # Of a whole month at the peak.
        dearer_traffic = (cost.cross_zone[0].total_usd - managed.cross_zone_usd) / duty_cycle
        at = saved / dearer_traffic if dearer_traffic > 0 else float(saved > 0)
        found.append(BreakEven(managed.engine, max(0.0, at)))
    return tuple(found)


def _cache_in_every_zone(settings: Settings) -> list[Alternative]:
    """A stack of its own in each zone, with no traffic between them. An image that clients of every zone want is
    fetched in every zone: at worst there are as many misses more as there are zones, which is what is planned."""
    eks = settings.eks
    if eks is None:
        return []
    zones, workload = len(eks.subnets), settings.workload
    hit_rate = max(0.0, 1 - zones * (1 - workload.hit_rate))
    in_zone = workload.model_copy(
        update={"requests_per_second": -(-workload.requests_per_second // zones), "hit_rate": hit_rate}
    )
    zone, subnet = next(iter(sorted(eks.subnets.items())))
    server = server_figures(settings.images.server.line)
    least = max(MASTERS_MIN, -int(-images_bytes(in_zone, hit_rate, server) / MEMORY_TARGET // settings.pod_memory))
    best: Figures | None = None
    for masters in range(least, least + _MORE_MASTERS_TRIED):
        planned = plan_of(
            settings,
            eks=eks.model_copy(update={"subnets": {zone: subnet}}),
            nodes=settings.nodes.model_copy(update={"allow_fewer_zones": True, "instance_type": "auto"}),
            workload=in_zone,
            total_memory=masters * settings.pod_memory,
        )
        cost = planned[1].cost if planned and serves_as_much(planned[1]) else None
        if cost and (best is None or best.cost is None or cost.infrastructure_usd < best.cost.infrastructure_usd):
            best = planned[1] if planned else None
    if best is None or best.cost is None:
        return []
    usd = zones * (best.cost.infrastructure_usd - best.cost.control_plane_usd) + best.cost.control_plane_usd
    return [
        Alternative(
            "a cache in every zone",
            usd,
            0.0,
            f"{zones} stacks of {best.sizing.masters} masters. The hit rate falls to {share(hit_rate)} at worst, which "
            "the origin has to bear. A lost zone loses its cache alone.",
        )
    ]


def _s3(settings: Settings) -> Alternative:
    workload = settings.workload
    per_month = SECONDS_PER_MONTH * workload.duty_cycle
    gets, puts = workload.requests_per_second * per_month, misses_per_second(workload) * per_month
    stored_gb = misses_per_second(workload) * workload.duty_cycle * workload.ttl_seconds * workload.object_bytes / 10**9
    return Alternative(
        "no Redis, S3 alone",
        gets * S3_USD_PER_GET + puts * S3_USD_PER_PUT + stored_gb * S3_USD_PER_GB,
        0.0,
        "Answers take tens of milliseconds and more. Lifecycle rules count in days, so readers check an image's age.",
        may_decide=workload.p95_latency_ms >= S3_P95_MS,
    )
