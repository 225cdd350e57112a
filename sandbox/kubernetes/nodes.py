"""Nodes: what the scheduler knows of a machine. The sandbox's own are pretend: names, zones and sizes alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

_ZONES = ("zone-a", "zone-b", "zone-c")
_NODES_PER_ZONE = 2
_NODE_MEMORY_BYTES = 64 * 1024**3
_NODE_CPU_MILLICORES = 16_000

ZONE_LABEL = "topology.kubernetes.io/zone"
HOSTNAME_LABEL = "kubernetes.io/hostname"


@dataclass(frozen=True)
class Taint:
    key: str
    value: str = ""
    effect: str = "NoSchedule"

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}"


@dataclass(frozen=True)
class Node:
    """A machine pods can be placed on; allocatable sizes are what is left after the system's own share."""

    name: str
    zone: str
    allocatable_memory_bytes: int
    allocatable_cpu_millicores: int
    max_pods: int = 110
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    cordoned: bool = False
    ready: bool = True

    @property
    def all_labels(self) -> dict[str, str]:
        return {ZONE_LABEL: self.zone, HOSTNAME_LABEL: self.name, "kubernetes.io/os": "linux", **self.labels}


def pretend_nodes() -> list[Node]:
    """Three zones of two nodes: enough to place pairs apart and to drain one node at a time."""
    return [
        Node(f"node-{zone.removeprefix('zone-')}{number}", zone, _NODE_MEMORY_BYTES, _NODE_CPU_MILLICORES)
        for zone in _ZONES
        for number in range(1, _NODES_PER_ZONE + 1)
    ]


def nodes_to_json(nodes: Sequence[Node]) -> str:
    """What `nodes_from_json` reads."""
    return json.dumps([asdict(node) | {"labels": dict(node.labels)} for node in nodes])


def nodes_from_json(text: str) -> list[Node]:
    """A list of objects with the fields of Node. Raises ValueError or TypeError for anything else."""
    return [Node(**item | {"taints": tuple(Taint(**taint) for taint in item["taints"])}) for item in json.loads(text)]
