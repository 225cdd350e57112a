"""A Kubernetes scheduler that places the planned pods, and what then may fail. Shares no code with the planner.

It knows the node's figures from DescribeInstanceTypes' data file as text and computes EKS's allocatable by itself.
"""

import csv
import random
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "components" / "plan" / "nodes"
DAEMONSET_MIB, DAEMONSET_MILLICORES = 512, 500


@dataclass(frozen=True)
class Kind:
    """What the simulation knows of an EC2 type."""

    name: str
    arch: str
    memory_mib: int
    cpu_millicores: int
    gbps: float
    volumes: int
    usd: dict[str, float]
    zones: dict[str, int]


def read_kinds() -> list[Kind]:
    with (DATA / "ec2_zones.csv").open() as file:
        zones = {row["instance_type"]: row for row in csv.DictReader(line for line in file if line[0] != "#")}
    with (DATA / "ec2_types.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if line[0] != "#"))
    with (DATA / "ec2_prices.csv").open() as file:
        regional = list(csv.DictReader(line for line in file if line[0] != "#"))
    kinds = []
    for row in rows:
        vcpu, pods = int(row["vcpu"]), int(row["max_enis"]) * (int(row["ipv4_per_eni"]) - 1) + 2
        # 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the others.
        reserved_cpu = 60 + 10 * (vcpu > 1) + 5 * max(0, min(vcpu, 4) - 2) + 2.5 * max(0, vcpu - 4)
        kinds.append(
            Kind(
                name=row["instance_type"],
                arch=row["architecture"],
                memory_mib=int(row["memtotal_mib"]) - 100 - 255 - 11 * min(pods, 110),
                cpu_millicores=vcpu * 1000 - int(reserved_cpu),
                gbps=float(row["network_baseline_gbps"]),
                volumes=int(row["ebs_attachments"]) - (3 if row["ebs_attachments_shared"] == "true" else 1),
                usd={
                    "us-east-1": float(row["usd_per_hour_us_east_1"]),
                    **regional_prices(row["instance_type"], zones[row["instance_type"]], regional),
                },
                zones={
                    region: len(letters)
                    for region, letters in zones[row["instance_type"]].items()
                    if region != "instance_type"
                },
            )
        )
    return kinds


def regional_prices(name: str, zones: dict[str, str], rows: list[dict[str, str]]) -> dict[str, float]:
    """USD an hour of a type by region: that of an xlarge times the size."""
    family, size = name.split(".")
    xlarges = {"large": 0.5, "xlarge": 1.0}.get(size) or float(size[: -len("xlarge")])
    return {
        region: round(float(price) * xlarges, 5)
        for row in rows
        if row["family"] == family
        for region, price in row.items()
        if region not in ("family", "source", "priced") and price and zones[region]
    }


@dataclass(frozen=True)
class Pods:
    """What is to be placed."""

    shards: int
    copies: int
    request_mib: int
    limit_mib: int
    cpu_millicores: int
    gbps_of_a_master: float

    def by_zone(self, zones: int) -> list[list[tuple[int, int]]]:
        """(shard, copy) of each zone: copy c of shard i lives c zones further on than shard i's master."""
        return [
            [
                (shard, copy)
                for copy in range(self.copies)
                for shard in range(self.shards)
                if (shard + copy) % zones == zone
            ]
            for zone in range(zones)
        ]


@dataclass
class Node:
    free_mib: int
    free_millicores: int
    free_volumes: int
    pods: list[tuple[int, int]]

    def takes(self, pods: Pods, shard: int) -> bool:
        return (
            self.free_mib >= pods.request_mib
            and self.free_millicores >= pods.cpu_millicores
            and self.free_volumes >= 1
            and all(other != shard for other, _ in self.pods)
        )

    def add(self, pods: Pods, pod: tuple[int, int]) -> None:
        self.free_mib -= pods.request_mib
        self.free_millicores -= pods.cpu_millicores
        self.free_volumes -= 1
        self.pods.append(pod)


def place(
    pods: Pods, kind: Kind, nodes_by_zone: list[int], kept_back_millicores: int, style: str, seed: int
) -> tuple[list[list[Node]], list[tuple[int, int]]]:
    """Nodes with their pods, by zone, and the pods that found no node.

    `style`: `packed` fills one node after the other and meets small DaemonSets, `spread` takes the emptiest, and
    `random` any node; the latter two meet DaemonSets as large as the planner allows for.
    """
    dice = random.Random(seed)
    daemons = (0, 0) if style == "packed" else (DAEMONSET_MIB, DAEMONSET_MILLICORES)
    stuck, placed = [], []
    for zone_pods, count in zip(pods.by_zone(len(nodes_by_zone)), nodes_by_zone, strict=True):
        nodes = [
            Node(
                kind.memory_mib - daemons[0], kind.cpu_millicores - daemons[1] - kept_back_millicores, kind.volumes, []
            )
            for _ in range(count)
        ]
        waiting = list(zone_pods)
        dice.shuffle(waiting)
        for pod in waiting:
            fitting = [node for node in nodes if node.takes(pods, pod[0])]
            if not fitting:
                stuck.append(pod)
            elif style == "packed":
                max(fitting, key=lambda node: len(node.pods)).add(pods, pod)
            elif style == "spread":
                min(fitting, key=lambda node: len(node.pods)).add(pods, pod)
            else:
                dice.choice(fitting).add(pods, pod)
        placed.append(nodes)
    return placed, stuck


def violations(
    pods: Pods, kind: Kind, placed: list[list[Node]], *, limits_fit: bool, zone_loss_survived: bool
) -> list[str]:
    """What is wrong with a placement, in words."""
    found = []
    everyone = pods.shards * pods.copies
    majority = pods.shards // 2 + 1
    for zone, nodes in enumerate(placed):
        for node in nodes:
            count = len(node.pods)
            if limits_fit and count * pods.limit_mib + DAEMONSET_MIB > kind.memory_mib:
                found.append(f"{count} limits exceed a node of {kind.name}")
            if count * pods.gbps_of_a_master > kind.gbps * (1 + 1e-9):
                found.append(f"{count} masters exceed the network of {kind.name}")
            if 6 * count > everyone:
                found.append(f"a node carries {count} of {everyone} pods")
            if pods.shards - len({shard for shard, _ in node.pods}) < majority:
                found.append("a lost node takes the majority of masters")
            if len({shard for shard, _ in node.pods}) < count:
                found.append("two copies of a shard on one node")
        lost = {pod for node in nodes for pod in node.pods}
        if zone_loss_survived:
            if pods.shards - sum(copy == 0 for _, copy in lost) < majority:
                found.append(f"losing zone {zone} takes the majority of masters")
            if any(all((shard, copy) in lost for copy in range(pods.copies)) for shard, _ in lost):
                found.append(f"losing zone {zone} takes every copy of a shard")
    return found
