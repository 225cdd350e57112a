"""Pretend machines for the scheduler: real names, zones and sizes, no real machines."""

from __future__ import annotations

from sandbox.scheduler import Node

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
