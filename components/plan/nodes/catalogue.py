"""EC2 types as facts: what a type has, what EKS leaves of it for pods, what it costs and where it is offered.

The figures with their sources stand in `ec2_types.csv`, `ec2_prices.csv` and `ec2_zones.csv`.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

MAX_PODS_CAP = 110
"""nodeadm reserves memory for as many pods as the network cards could carry (737 on a 16xlarge); Redis nodes run
a handful, and 110 is what a managed node group allows below 30 vCPU."""
MAX_PODS_EXPRESSION = f"max_pods < {MAX_PODS_CAP} ? max_pods : {MAX_PODS_CAP}"
"""`spec.kubelet.maxPodsExpression` of nodeadm: kubeReserved is computed from its result."""
EVICTION_HARD_MIB = 100
"""`evictionHard.memory.available` of the EKS AMI (awslabs/amazon-eks-ami@81fec2e, kubelet/config.go)."""
DAEMONSETS_MEMORY_MIB = 512
DAEMONSETS_CPU_MILLICORES = 500
"""Left on every node for DaemonSets: CNI, kube-proxy and EBS CSI request 120Mi and 160m together; the rest is for
log and metrics agents."""
DAEMONSETS_PODS = 10
FURTHER_ENIS = 2
"""Network interfaces the VPC CNI attaches beside the first, for up to some 50 pods (one in use, one warm)."""
NODE_ROOT_VOLUME_GIB = 50
GP3_USD_PER_GIB = 0.08
"""us-east-1, a month (saisci.com, 2021-01-13), with 3,000 IOPS and 125 MiB/s included."""
ROOT_VOLUME_USD = NODE_ROOT_VOLUME_GIB * GP3_USD_PER_GIB
"""Of one node, a month."""
HOURS_PER_MONTH = 730
"""AWS's own month."""
FALLBACK_PRICE_REGION = "us-east-1"
PRICE_DECIMALS = 5
"""AWS lists USD an hour with at most as many; a price computed from that of an xlarge has no more."""

AMI_TYPES = {"arm64": "AL2023_ARM_64_STANDARD", "x86_64": "AL2023_x86_64_STANDARD"}
"""`amiType` of a managed node group, by architecture."""

_CPU_RESERVED_BANDS = ((1000, 600), (1000, 100), (2000, 50))
"""Millicores of a band and what of them is reserved, per 10,000; the rest of the cores: 25."""
_CPU_RESERVED_REST = 25


def family_of(instance_type: str) -> str:
    """`r6g` of r6g.12xlarge."""
    return instance_type.split(".")[0]


@dataclass(frozen=True, slots=True)
class InstanceType:
    """One EC2 type. Network figures are of the default card, in Gbps (10**9 bits); `burst` lasts minutes."""

    name: str
    architecture: str
    vcpu: int
    memory_mib: int
    memtotal_mib: int
    network_baseline_gbps: float
    network_burst_gbps: float
    max_enis: int
    ipv4_per_eni: int
    ebs_baseline_gbps: float
    ebs_attachments: int
    ebs_attachments_shared: bool
    """Whether network interfaces count against `ebs_attachments` too."""
    encrypts_in_transit: bool
    """Whether its network card encrypts what it sends to another type that does so, in the same or a peered VPC."""
    numa_nodes: int | None
    usd_per_hour: dict[str, float] = field(hash=False)
    """By region; only regions whose price was read."""
    zone_letters: dict[str, str] = field(hash=False)
    """By region: `abc` = offered in the zones a, b and c as one account sees them."""
    price_dates: dict[str, str] = field(hash=False, default_factory=dict)
    """By region: the day on which AWS asked that price; only where the source tells it."""

    @property
    def max_pods(self) -> int:
        """Pods a node of this type may run: one address of a network interface each, capped."""
        return min(self.max_enis * (self.ipv4_per_eni - 1) + 2, MAX_PODS_CAP)

    @property
    def allocatable_memory_mib(self) -> int:
        """What the scheduler may hand out: MemTotal less kubeReserved (11 MiB per possible pod + 255) and eviction."""
        return self.memtotal_mib - (11 * self.max_pods + 255) - EVICTION_HARD_MIB

    @property
    def allocatable_cpu_millicores(self) -> int:
        """All cores less kubeReserved: 6 % of the first, 1 % of the second, 0.5 % of two more, 0.25 % of the rest."""
        return self.vcpu * 1000 - _reserved_cpu_millicores(self.vcpu)

    @property
    def max_volumes(self) -> int:
        """Volumes of pods a node can attach: all attachments less the root volume and, where shared, the interfaces."""
        return self.ebs_attachments - 1 - (FURTHER_ENIS if self.ebs_attachments_shared else 0)

    @property
    def family(self) -> str:
        """`r6g` of r6g.12xlarge."""
        return family_of(self.name)

    @property
    def xlarges(self) -> float:
        """The size as a multiple of an xlarge: 12 for a 12xlarge, a half for a large."""
        size = self.name.split(".")[1]
        return 0.5 if size == "large" else float(size.removesuffix("xlarge") or 1)

    def price(self, region: str) -> tuple[float, str]:
        """On-demand USD per hour, and the region it was read for (us-east-1 where `region`'s is not known)."""
        known = region if region in self.usd_per_hour else FALLBACK_PRICE_REGION
        return self.usd_per_hour[known], known

    def usd_per_month(self, region: str) -> float:
        """On demand with the node's root volume: what choosing this type costs for each node."""
        return self.price(region)[0] * HOURS_PER_MONTH + ROOT_VOLUME_USD

    def zones_offering(self, region: str) -> int:
        """Number of zones of `region` that offer the type; 0 for an unknown region."""
        return len(self.zone_letters.get(region, ""))


@dataclass(frozen=True, slots=True)
class Market:
    """The catalogue as seen from one region."""

    region: str
    types: tuple[InstanceType, ...]
    most_zones: int
    """Zones that offer the most widely offered type; 0: nothing is known of the region."""
    has_prices: bool
    """Whether prices of the region's own are known."""

    def gap(self, kind: InstanceType) -> str | None:
        """Why `auto` passes the type over here; None when nothing is amiss.

        It takes what every zone has: zone letters differ between accounts, so a gap could be anywhere.
        """
        if kind.zones_offering(self.region) < self.most_zones:
            return f"offered in {kind.zones_offering(self.region)} of {self.most_zones} zones of {self.region}"
        if self.has_prices and self.region not in kind.usd_per_hour:
            return f"its price in {self.region} is not known"
        return None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The types the planner knows."""

    types: tuple[InstanceType, ...]

    @property
    def regions(self) -> frozenset[str]:
        """Regions of which it is known what they offer."""
        return frozenset(region for kind in self.types for region in kind.zone_letters)

    def find(self, name: str) -> InstanceType | None:
        """The type of that name, if known."""
        return next((kind for kind in self.types if kind.name == name), None)

    def market(self, region: str) -> Market:
        """What of it the region offers."""
        return Market(
            region=region,
            types=self.types,
            most_zones=max((kind.zones_offering(region) for kind in self.types), default=0),
            has_prices=any(region in kind.usd_per_hour for kind in self.types),
        )


@cache
def _reserved_cpu_millicores(vcpu: int) -> int:
    left, reserved = vcpu * 1000, 0
    for band, per_ten_thousand in _CPU_RESERVED_BANDS:
        taken = min(left, band)
        reserved += taken * per_ten_thousand // 10_000
        left -= taken
    return reserved + left * _CPU_RESERVED_REST // 10_000


@cache
def load_catalogue() -> Catalogue:
    """The catalogue of the data files beside this module."""
    offered = {
        row.pop("instance_type"): {region: zones for region, zones in row.items() if zones}
        for row in _rows("ec2_zones.csv")
    }
    regional = list(_rows("ec2_prices.csv"))
    types = (_instance_type(row, offered[row["instance_type"]]) for row in _rows("ec2_types.csv"))
    return Catalogue(tuple(_with_regional_prices(kind, regional) for kind in types))


def _instance_type(row: dict[str, str], zone_letters: dict[str, str]) -> InstanceType:
    return InstanceType(
        name=row["instance_type"],
        architecture=row["architecture"],
        vcpu=int(row["vcpu"]),
        memory_mib=int(row["memory_mib"]),
        memtotal_mib=int(row["memtotal_mib"]),
        network_baseline_gbps=float(row["network_baseline_gbps"]),
        network_burst_gbps=float(row["network_burst_gbps"]),
        max_enis=int(row["max_enis"]),
        ipv4_per_eni=int(row["ipv4_per_eni"]),
        ebs_baseline_gbps=float(row["ebs_baseline_gbps"]),
        ebs_attachments=int(row["ebs_attachments"]),
        ebs_attachments_shared=row["ebs_attachments_shared"] == "true",
        encrypts_in_transit=row["encrypts_in_transit"] == "true",
        numa_nodes=int(row["numa_nodes"]) if row["numa_nodes"] else None,
        usd_per_hour={FALLBACK_PRICE_REGION: float(row["usd_per_hour_us_east_1"])},
        zone_letters=zone_letters,
        price_dates={FALLBACK_PRICE_REGION: row["us_east_1_priced"]},
    )


def _with_regional_prices(kind: InstanceType, rows: list[dict[str, str]]) -> InstanceType:
    """`kind` with the prices of its family (one row for each source) where the region offers the very type."""
    prices, dates = dict(kind.usd_per_hour), dict(kind.price_dates)
    for row in rows:
        if row["family"] != kind.family:
            continue
        for region in kind.zone_letters:
            if usd_of_an_xlarge := row.get(region):
                prices[region] = round(float(usd_of_an_xlarge) * kind.xlarges, PRICE_DECIMALS)
                if row["priced"]:
                    dates[region] = row["priced"]
    return replace(kind, usd_per_hour=prices, price_dates=dates)


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (Path(__file__).parent / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(line for line in file if not line.startswith("#"))
