"""Pretend machines for the scheduler: real names, zones and sizes, no real machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from sandbox.kubernetes.controllers.scheduler import Node, Taint

_ZONES = ("zone-a", "zone-b", "zone-c")
_NODES_PER_ZONE = 2
_NODE_MEMORY_BYTES = 64 * 1024**3
_NODE_CPU_MILLICORES = 16_000


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
