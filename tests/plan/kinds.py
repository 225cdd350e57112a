"""EC2 types and pods made up for tests, each with the one property that a test is about."""

from dataclasses import fields, replace
from typing import Any

from components.plan.nodes.catalogue import Catalogue, InstanceType
from components.plan.nodes.rules import PodDemand

ROOMY = InstanceType(
    name="roomy.large",
    architecture="arm64",
    vcpu=64,
    memory_mib=1_000_000,
    memtotal_mib=1_000_000,
    network_baseline_gbps=100.0,
    network_burst_gbps=100.0,
    max_enis=15,
    ipv4_per_eni=50,
    ebs_baseline_gbps=10.0,
    ebs_attachments=128,
    ebs_attachments_shared=False,
    encrypts_in_transit=True,
    numa_nodes=1,
    usd_per_hour={"us-east-1": 1.0},
    zone_letters={"us-east-1": "abcdef"},
)
"""A type that no rule of a small pod's bounds but the number of pods and masters."""
SMALL_POD = PodDemand(
    masters=60,
    copies_per_shard=2,
    request_memory_mib=1000,
    limit_memory_mib=2000,
    cpu_millicores=1000,
    egress_gbps_per_master=0.1,
)


def kind(name: str = "roomy.large", **changes: Any) -> InstanceType:
    """ROOMY with other properties."""
    return replace(ROOMY, name=name, **changes)


def with_allocatable_mib(mib: int, **changes: Any) -> InstanceType:
    """A type whose scheduler may hand out exactly so much memory."""
    return kind(memtotal_mib=mib + ROOMY.memtotal_mib - ROOMY.allocatable_memory_mib, **changes)


def pod(**changes: Any) -> PodDemand:
    """SMALL_POD with other properties."""
    return replace(SMALL_POD, **changes)


def catalogue(*kinds: InstanceType) -> Catalogue:
    return Catalogue(kinds)


def of_another_type(figures: Any) -> list[str]:
    """Whole numbers of a dataclass that are none: a division that should have been one of whole numbers."""
    return [
        field.name for field in fields(figures) if field.type is int and type(getattr(figures, field.name)) is not int
    ]
