"""Small clusters as a rule sees them, for tests that call one rule alone.

Three shards of a master and a replica, pods m0 to m2 and r0 to r2, are healthy until a test says otherwise. A node's id
is its pod's name; a pod that came back with a new id is a node of another name, with `pod` set.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.decide.actions import Move, RuleResult
from reconciler.decide.state import ClusterState
from reconciler.observe.cluster_nodes import NodeEntry
from reconciler.observe.observation import Library, MissingPod, NodeReport, Observation, SeedAnswer
from reconciler.slots import NO_SLOTS, even_split
from reconciler.topology import Topology, parse_topology

PORT = 6379
SLOTS = even_split(3)
"""Of each shard of three."""

MIB = 1 << 20

EMPTY: dict[str, Any] = {"slots": NO_SLOTS}
AWAY: dict[str, Any] = {"answers": False, "flags": frozenset({"fail"})}
"""Changes of a `Node`: a master without slots, and a node that does not answer and that others call failed."""


def wanted(shards: int = 3, replicas: int = 1, **more: Any) -> Topology:
    """Masters m0, m1, …, first replicas r0, r1, … and second replicas s0, s1, …"""
    nodes = [
        {"pod": f"{prefix}{shard}", "host": f"{prefix}{shard}.test", "shard": shard, "role": role}
        for prefix, role in (("m", "master"), ("r", "replica"), ("s", "replica"))[: 1 + replicas]
        for shard in range(shards)
    ]
    return parse_topology(json.dumps({"pool": "redis", "nodes": nodes, **more}))


@dataclass(frozen=True)
class Node:
    """A node, as it is and as others see it. `flags` and `silent_ms` are what others say of it."""

    name: str
    slots: int = NO_SLOTS
    master: str | None = None
    pod: str = ""
    ip: str = ""
    hostname: str | None = None
    epoch: int = 0
    answers: bool = True
    flags: frozenset[str] = frozenset()
    silent_ms: float = 0
    keys: int = 0
    cluster_ok: bool = True
    link_up: bool = True
    syncing: bool = False
    online: int | None = None
    offset: int = 0
    used: int = 0
    dataset: int = 0
    limit: int = 0
    migrating: dict[int, str] = field(default_factory=dict)
    importing: dict[int, str] = field(default_factory=dict)
    moved_keys: dict[int, int] = field(default_factory=dict)
    runs: frozenset[str] = frozenset()
    libraries: tuple[Library, ...] = ()
    server: tuple[str, tuple[int, int] | None] = ("redis", None)
    """Engine and version."""

    @property
    def host(self) -> str:
        return f"{self.pod or self.name}.test" if self.hostname is None else self.hostname

    @property
    def address(self) -> str:
        return self.ip or f"ip-{self.name}"


def healthy(shards: int = 3, **changes: dict[str, Any]) -> list[Node]:
    """The nodes of a cluster of `shards` pairs, with changes by name."""
    layout = even_split(shards)
    nodes = [Node(f"m{shard}", layout[shard], epoch=shard + 1) for shard in range(shards)]
    nodes += [Node(f"r{shard}", master=f"m{shard}", epoch=shard + 1) for shard in range(shards)]
    return [replace(node, **changes.get(node.name, {})) for node in nodes]


def entry_of(node: Node, myself: bool) -> NodeEntry:
    return NodeEntry(
        node_id=node.name,
        ip=node.address,
        port=PORT,
        hostname=node.host,
        flags=frozenset({"slave" if node.master else "master"}) | ({"myself"} if myself else node.flags),
        master_id=node.master,
        config_epoch=node.epoch,
        connected=node.answers,
        slots=node.slots,
        migrating=tuple(node.migrating.items()) if myself else (),
        importing=tuple(node.importing.items()) if myself else (),
        silent_ms=0 if myself else node.silent_ms,
    )


def state_of(
    nodes: list[Node],
    desired: Topology | None = None,
    seen: dict[tuple[str, str], dict[str, Any] | None] | None = None,
    no_such_name: tuple[str, ...] = (),
    seeds: tuple[SeedAnswer, ...] = (),
    other_hosts: tuple[str, ...] = (),
    own_run: str = "",
    unmet: bool = False,
) -> ClusterState:
    """The state in which every node that answers knows all nodes as they are.

    `seen` changes what the first node of a pair says of the second: other values, or None when it does not know it. A
    wanted pod is missing when no node answers for it. With `unmet`, every node knows only itself.
    """
    desired = desired or wanted()
    seen = seen or {}
    pods = {node.pod for node in desired.nodes}
    reports = []
    for node in [node for node in nodes if node.answers]:
        entries = [entry_of(node, myself=True)]
        for other in [] if unmet else nodes:
            change = seen.get((node.name, other.name), {})
            if other is not node and change is not None:
                entries.append(replace(entry_of(other, myself=False), **change))
        pod = node.pod or node.name
        online = sum(1 for other in nodes if other.answers and other.master == node.name)
        reports.append(
            NodeReport(
                ip=node.address,
                port=PORT,
                pod=pod if pod in pods else None,
                entries=tuple(entries),
                cluster_ok=node.cluster_ok,
                keys=node.keys,
                master_link_up=node.master is not None and node.link_up,
                syncing=node.syncing,
                replicas_online=online if node.online is None else node.online,
                replication_offset=node.offset,
                used_bytes=node.used,
                dataset_bytes=node.dataset,
                max_bytes=node.limit,
                half_moved_keys=tuple(node.moved_keys.items()),
                run_names=node.runs,
                library_count=len(node.libraries),
                libraries=node.libraries,
                engine=node.server[0],
                version=node.server[1],
            )
        )
    answering = {report.pod for report in reports}
    missing = [
        MissingPod(node.pod, "nothing answers", node.pod in no_such_name)
        for node in desired.nodes
        if node.pod not in answering
    ]
    return ClusterState(
        Observation(tuple(reports), tuple(missing), seeds, frozenset(other_hosts), own_run),
        desired,
    )


def mutual(one: str, other: str, change: dict[str, Any] | None) -> dict[tuple[str, str], dict[str, Any] | None]:
    """`seen`, for both directions."""
    return {(one, other): change, (other, one): change}


def strangers(names: list[str], to: list[str]) -> dict[tuple[str, str], dict[str, Any] | None]:
    """`seen`, for two groups of nodes that have not met."""
    return {pair: None for a in names for b in to for pair in ((a, b), (b, a))}


def moves_of(found: RuleResult) -> list[Move]:
    """Of a rule that does nothing but move slots."""
    assert all(isinstance(action, Move) for action in found.actions)
    return [action for action in found.actions if isinstance(action, Move)]


def after(slots: dict[str, int], moves: list[Move]) -> dict[str, int]:
    """Slots by owner once the moves are done. Fails for a move of slots that its source does not own."""
    result = dict(slots)
    for move in moves:
        assert move.slots
        assert move.slots & result[move.source] == move.slots
        result[move.source] &= ~move.slots
        result[move.target] = result.get(move.target, NO_SLOTS) | move.slots
    return result
