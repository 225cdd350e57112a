"""Strangers in the cluster of dictionaries: whole runs of *repair*, and what it must leave alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.exit_status import ExitStatus
from reconciler.slots import ALL_SLOTS, slot_range
from reconciler.topology import Topology
from tests.reconciler.fake_cluster import FakeCluster
from tests.reconciler.fake_node import FakeNode, KnownNode
from tests.reconciler.simulation import (
    SIMULATED,
    assert_formed,
    kills,
    node_of,
    run,
    run_killed,
    start_all,
    topology,
)

pytestmark = pytest.mark.usefixtures("few_slots")

PODS = r"[a-z]+-(master|replica-[0-9])-[0-9]\.test"


def guarded(prefix: str = "redis", **more: object) -> Topology:
    return topology(3, 1, prefix, podHosts=PODS, **more)


def formed_guarded() -> tuple[FakeCluster, Topology]:
    world, desired = FakeCluster(), guarded()
    start_all(world, desired)
    run_killed(world, "form", desired, [])
    return world, desired


def intrude(world: FakeCluster, hostname: str, slots: int, ip: str = "10.9.9.9") -> FakeNode:
    """A node that raised its config epoch, claimed slots and met one pod."""
    rogue = FakeNode("f" * 40, ip, hostname, alive_s=world.time_s, epoch=1_000_000, slots=slots)
    met = node_of(world, "redis-master-0")
    rogue.table[met.node_id] = KnownNode(met.ip, met.master_id, met.epoch)
    met.table[rogue.node_id] = KnownNode(rogue.ip, None, rogue.epoch)
    world.nodes[ip] = rogue
    world.gossip()
    world.gossip()
    return rogue


@SIMULATED
@given(
    st.sampled_from(["", "evil.example.com", "redis-master-0.test", "none-master-0.test"]),
    st.integers(0, 200),
    st.booleans(),
    kills,
)
def test_a_stranger_that_took_slots_loses_them_and_every_node_forgets_it(
    hostname: str, first: int, goes: bool, moments: list[tuple[int, bool]]
) -> None:
    world, desired = formed_guarded()
    rogue = intrude(world, hostname, ALL_SLOTS & ~((1 << first) - 1))
    if goes:
        rogue.alive = False
        world.sleep(1)
    lines = run_killed(world, "repair", desired, moments)
    pods = [node_of(world, node.pod) for node in desired.nodes if node.host != hostname]
    assert not any(rogue.node_id in pod.table for pod in pods), lines
    if hostname != "redis-master-0.test":
        assert_formed(world, desired)


def test_it_takes_less_than_a_minute() -> None:
    world, desired = formed_guarded()
    intrude(world, "", ALL_SLOTS)
    before_s = world.time_s
    status, lines = run(world, "repair", desired, 55)
    assert status is ExitStatus.DONE, lines
    assert world.time_s - before_s < 30
    assert any("is no pod of this cluster (it announces no host name)" in line for line in lines)


def test_a_stranger_is_never_asked_anything() -> None:
    """Whoever is asked is given the password."""
    world, desired = formed_guarded()
    rogue = intrude(world, "", ALL_SLOTS)
    asked: list[str] = []
    connect = world.connect
    world.connect = lambda address: (asked.append(address[0]), connect(address))[1]  # type: ignore[method-assign]
    run(world, "repair", desired, 55)
    assert asked
    assert rogue.ip not in asked


@SIMULATED
@given(st.integers(0, 60), kills)
def test_the_repair_of_an_old_pool_leaves_the_new_pool_its_slots(after_s: int, moments: list[tuple[int, bool]]) -> None:
    """It was made before the new pool had a name."""
    world, old = formed_guarded()
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    new = guarded("big", seeds=["redis.clients.test"])
    start_all(world, new)
    run_killed(world, "form", new, [])
    world.sleep(after_s)
    owners = {node.node_id: node.slots for node in world.living() if node.slots}
    lines = run_killed(world, "repair", old, moments)
    assert {node.node_id: node.slots for node in world.living() if node.slots} == owners, lines
    assert all(node_of(world, node.pod).node_id in node_of(world, "redis-master-1").table for node in new.nodes)
    assert_formed(world, new)


@pytest.mark.parametrize("names", ["do not answer", "are stale"])
def test_while_dns_does_not_know_better_nothing_is_taken_from_another_pool(names: str) -> None:
    world, old = formed_guarded()
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    new = guarded("big", seeds=["redis.clients.test"])
    start_all(world, new)
    run_killed(world, "form", new, [])
    for node in new.nodes:
        world.names[node.host] = None if names == "do not answer" else "10.77.0.1"
    before = len(world.writes)
    run(world, "repair", old, 55)
    assert len(world.writes) == before


def test_a_pod_that_comes_back_with_a_new_address_and_a_stale_name_is_no_stranger() -> None:
    world, desired = formed_guarded()
    world.dns_ttl_s = 30
    pod = node_of(world, "redis-replica-0-2")
    world.start("redis-replica-0-2", "10.8.8.8", pod.node_id)
    world.sleep(1)
    _, lines = run(world, "repair", desired, 55)
    assert not [line for line in lines if "no pod of this cluster" in line], lines
    world.sleep(30)
    run_killed(world, "repair", desired, [])
    assert_formed(world, desired)


def test_half_of_the_slots_is_as_bad_as_all() -> None:
    world, desired = formed_guarded()
    intrude(world, "", slot_range(0, 99))
    run_killed(world, "repair", desired, [])
    assert_formed(world, desired)
