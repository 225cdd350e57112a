"""What the stack costs in a month, and what its traffic and ElastiCache would cost beside it."""

from components.advice.advice import Advice
from components.advice.cost import (
    CONTROL_PLANE_EXTENDED_USD_PER_HOUR,
    CONTROL_PLANE_USD_PER_HOUR,
    CROSS_ZONE_USD_PER_GB,
    Cost,
    volume_usd,
)
from components.advice.elasticache import REGIONAL_FACTORS
from components.config.choices import CapacityType
from components.config.formats import count, usd
from components.config.settings import Settings
from components.plan.nodes.catalogue import FALLBACK_PRICE_REGION
from components.plan.nodes.choice import NodePlan
from preview.document import Note, Section, Table


def cost(plan: Advice, settings: Settings) -> tuple[Section, ...]:
    """Infrastructure, traffic between zones and the managed alternative; nothing where the nodes are not ours."""
    found, nodes = plan.cost, plan.nodes
    if found is None or nodes is None:
        return ()
    smallest = plan.sizing.pods * volume_usd(1, settings.storage)
    return (
        Section(
            "Cost",
            "USD a month",
            (
                _infrastructure(found, nodes),
                Note(
                    f"The price of {nodes.instance_type} is that of {nodes.price_region}"
                    f"{f' on {nodes.price_date}' if nodes.price_date else '; its source has no date'}."
                ),
                *_other_regions(nodes.region),
                Note(
                    f"EKS costs {CONTROL_PLANE_EXTENDED_USD_PER_HOUR:.2f} USD an hour instead of "
                    f"{CONTROL_PLANE_USD_PER_HOUR:.2f} for versions of Kubernetes in extended "
                    "support, as 1.33 and older are."
                ),
                Note(
                    f"The volumes hold only nodes.conf. With storage.size: 1GB they cost {usd(smallest)} USD a month."
                ),
                _cross_zone(found),
                *map(Note, _cross_zone_notes(plan, found)),
                _elasticache(plan),
                Note(
                    "AWS is taken to bill ElastiCache's replication not at all, and its client traffic on the EC2 "
                    "side alone. That is unverified."
                ),
            ),
        ),
    )


def _other_regions(region: str) -> tuple[Note, ...]:
    """What has no price of the region's own; nothing in the one region of which all prices were read."""
    if region == FALLBACK_PRICE_REGION:
        return ()
    others = Note(f"Volumes, the control plane and S3 are counted at the prices of {FALLBACK_PRICE_REGION}.")
    if region in REGIONAL_FACTORS:
        return (others,)
    return (
        others,
        Note(
            f"ElastiCache's prices in {region} are estimated: as many times those of {FALLBACK_PRICE_REGION} as the "
            "EC2 type of its nodes costs there."
        ),
    )


def _infrastructure(found: Cost, nodes: NodePlan) -> Table:
    """Nodes by the way they are bought, and what comes on top."""
    titles = ["on demand", "1 year", "3 years", "3 years upfront"]
    purchases = [
        found.nodes_on_demand_usd,
        found.nodes_reserved_1y_usd,
        found.nodes_reserved_3y_nothing_upfront_usd,
        found.nodes_reserved_3y_usd,
    ]
    if nodes.capacity_type is CapacityType.SPOT:
        titles, purchases = ["spot", *titles], [found.nodes_usd, *purchases]
    fixed = found.root_volumes_usd + found.control_plane_usd
    totals = [found.infrastructure_usd - found.nodes_usd + bought for bought in purchases]

    def per(usd_per_unit: float) -> list[str]:
        units = found.infrastructure_usd / usd_per_unit
        return [usd(total / units) for total in totals]

    return Table(
        ("nodes bought", *titles),
        (
            ("nodes", *map(usd, purchases)),
            ("volumes of the pods", *[usd(found.volumes_usd)] * len(purchases)),
            ("root volumes, control plane", *[usd(fixed)] * len(purchases)),
            ("total", *map(usd, totals)),
            ("per usable TB", *per(found.infrastructure_usd_per_usable_tib)),
            ("per 1,000 requests/s", *per(found.infrastructure_usd_per_1000_requests_per_second)),
        ),
    )


def _cross_zone(found: Cost) -> Table:
    """Traffic between zones by where the clients stand."""
    return Table(
        ("traffic between zones", "reads", "writes", "replication", "total"),
        tuple(
            (
                option.clients,
                usd(option.reads_usd),
                usd(option.writes_usd),
                usd(option.replication_usd),
                usd(option.total_usd),
            )
            for option in found.cross_zone
        ),
    )


def _cross_zone_notes(plan: Advice, found: Cost) -> list[str]:
    notes = [
        f"Traffic between zones costs {CROSS_ZONE_USD_PER_GB} USD for each GB.",
        "It counts with the mean rate, which is workload.dutyCycle of the peak.",
        "spread: clients in every zone read from the masters.",
    ]
    if len(found.cross_zone) > 1:
        notes.append("zone-local reads: clients read from a copy in their own zone, where there is one.")
        notes.append("The applications of examples/ do.")
    everywhere = plan.copy_in_every_zone
    if everywhere and everywhere.infrastructure_usd is not None:
        difference = everywhere.infrastructure_usd - found.infrastructure_usd
        notes.append(
            f"copy in every zone: {count(everywhere.pods, 'pod')}. Without traffic they cost "
            f"{usd(abs(difference))} USD a month {'more' if difference >= 0 else 'less'}."
        )
    return notes


def _elasticache(plan: Advice) -> Table:
    """The managed alternative."""
    return Table(
        ("the same work on ElastiCache", "nodes", "USD for nodes", "traffic", "total"),
        tuple(
            (
                f"{option.engine}, {option.node_type}",
                f"{option.nodes}",
                usd(option.nodes_usd),
                usd(option.cross_zone_usd),
                usd(option.total_usd),
            )
            for option in plan.elasticache
        ),
    )
