"""Whole runs of a phase against the cluster of dictionaries, killed at given moments, for generated tests."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from reconciler.exit_status import ExitStatus
from reconciler.loop import Run
from reconciler.slots import ALL_SLOTS, NO_SLOTS, members
from reconciler.topology import Topology, parse_topology
from tests.reconciler.fake_cluster import FakeCluster
from tests.reconciler.fake_node import FakeNode, Killed

EXAMPLES = int(os.environ.get("SIMULATED_EXAMPLES", "12"))
"""Generated accidents of each test. A thousand of them take minutes, and are for whoever changes a rule."""

SIMULATED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)

MOVING = settings(SIMULATED, max_examples=EXAMPLES // 2)

key_sizes = st.sampled_from([100, 40 << 20])
"""Slots of one step, and slots of several."""

kills = st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=4)


def topology(shards: int, replicas: int, prefix: str = "redis", **more: Any) -> Topology:
    pods = [(f"{prefix}-master-{shard}", shard, "master") for shard in range(shards)]
    pods += [
        (f"{prefix}-replica-{number}-{shard}", shard, "replica")
        for number in range(replicas)
        for shard in range(shards)
    ]
    nodes = [{"pod": pod, "host": f"{pod}.test", "shard": shard, "role": role} for pod, shard, role in pods]
    return parse_topology(json.dumps({"pool": prefix, "nodes": nodes, **more}))


def start_all(world: FakeCluster, desired: Topology) -> None:
    taken = len(world.ever())
    for index, node in enumerate(desired.nodes):
        if node.host not in world.names:
            world.start(node.pod, f"10.0.{(taken + index) // 250}.{1 + (taken + index) % 250}")


def run(world: FakeCluster, phase: str, desired: Topology, deadline_s: float = 60) -> tuple[ExitStatus, list[str]]:
    lines: list[str] = []
    status = Run(phase, desired, world, world.named, lines.append, deadline_s, in_threads=False).run()
    return status, lines


def run_killed(world: FakeCluster, phase: str, desired: Topology, moments: list[tuple[int, bool]]) -> list[str]:
    """Runs killed at the given counts of writes, before or after the write is done; then one that ends."""
    for after_writes, done in moments:
        world.kill_at, world.kill_after = len(world.writes) + after_writes, done
        try:
            run(world, phase, desired)
        except Killed:
            world.end_process()
            world.sleep(1)
    world.kill_at = None
    status, lines = run(world, phase, desired)
    assert status is ExitStatus.DONE, lines[-8:]
    return lines


def node_of(world: FakeCluster, pod: str) -> FakeNode:
    return next(node for node in world.nodes.values() if node.hostname == f"{pod}.test")


def assert_formed(world: FakeCluster, desired: Topology) -> None:
    owned = NO_SLOTS
    for shard in range(desired.shard_count):
        nodes = [node_of(world, node.pod) for node in desired.shard(shard)]
        masters = [node for node in nodes if node.master_id is None]
        assert len(masters) == 1
        assert all(node.master_id == masters[0].node_id for node in nodes if node is not masters[0])
        assert not owned & masters[0].slots, "a slot has two owners"
        owned |= masters[0].slots
        assert not masters[0].migrating
        assert not masters[0].importing
    assert owned == ALL_SLOTS


def fill(world: FakeCluster, desired: Topology) -> None:
    for node in list(world.living()):
        for slot in list(members(node.slots))[::4]:
            node.keys[slot] = {f"{slot}:{index}".encode() for index in range(3)}
    world.gossip()
    world.precious = world.all_keys()


def slot_of(key: bytes) -> int:
    return int(key.split(b":")[0])


def formed(shards: int, replicas: int) -> tuple[FakeCluster, Topology]:
    world, desired = FakeCluster(), topology(shards, replicas)
    start_all(world, desired)
    run_killed(world, "form", desired, [])
    fill(world, desired)
    return world, desired
