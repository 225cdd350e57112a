"""Whole runs against the cluster of dictionaries: generated topologies and accidents, killed at generated moments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.act.executor import Executor
from reconciler.connection import Connections
from reconciler.decide.actions import TakeSlots
from reconciler.exit_status import ExitStatus
from reconciler.observe.observer import observe
from reconciler.slots import NO_SLOTS, take
from tests.reconciler.fake_cluster import FakeCluster
from tests.reconciler.simulation import (
    SIMULATED,
    assert_formed,
    formed,
    kills,
    node_of,
    run,
    run_killed,
    start_all,
    topology,
)

pytestmark = pytest.mark.usefixtures("few_slots")


def test_the_same_run_twice_does_nothing_the_second_time() -> None:
    world, desired = formed(3, 1)
    before = len(world.writes)
    for phase in ("form", "repair", "release"):
        status, lines = run(world, phase, desired)
        assert status is ExitStatus.DONE, lines
    assert len(world.writes) == before


@SIMULATED
@given(st.integers(3, 6), st.integers(0, 2), kills)
def test_any_topology_is_formed_however_often_the_run_is_killed(
    shards: int, replicas: int, moments: list[tuple[int, bool]]
) -> None:
    world, desired = FakeCluster(), topology(shards, replicas)
    start_all(world, desired)
    run_killed(world, "form", desired, moments)
    assert_formed(world, desired)


@SIMULATED
@given(st.integers(3, 5), st.sets(st.integers(0, 9), max_size=3), st.booleans(), kills)
def test_pods_that_come_back_without_their_volume_are_taken_in_again(
    shards: int, lost: set[int], elected_first: bool, moments: list[tuple[int, bool]]
) -> None:
    world, desired = formed(shards, 1)
    pods = [desired.nodes[index % len(desired.nodes)] for index in sorted(lost)]
    for node in {pod.pod: pod for pod in pods}.values():
        node_of(world, node.pod).alive = False
    world.precious &= world.all_keys()
    if elected_first:
        world.sleep(3)
    for node in {pod.pod: pod for pod in pods}.values():
        world.start(node.pod, node_of(world, node.pod).ip)
    run_killed(world, "repair", desired, moments)
    assert_formed(world, desired)
    known = {node_id for node in world.living() for node_id in node.table}
    assert known <= {node.node_id for node in world.living()}, "a dead node is still remembered"


@SIMULATED
@given(st.sampled_from(["form", "repair"]), st.integers(1, 40), st.integers(0, 250))
def test_slots_that_all_others_give_to_a_master_that_does_not_own_them_are_its_own_again(
    phase: str, number: int, first: int
) -> None:
    # As when the source of a slot raises its config epoch just as the target has taken it, and is told it is gone.
    world, desired = formed(3, 1)
    world.precious = set()
    owner = next(node for node in world.living() if node.slots >> first & 1)
    former = next(node for node in world.living() if node.slots and node is not owner)
    lost = take(owner.slots & ~((1 << first) - 1), number)
    owner.slots &= ~lost
    owner.table[former.node_id].slots |= lost
    run_killed(world, phase, desired, [])
    assert owner.slots & lost == lost
    assert_formed(world, desired)


def test_slots_another_owns_by_now_are_not_taken() -> None:
    world, desired = formed(3, 1)
    owner, taker = node_of(world, "redis-master-0"), node_of(world, "redis-master-1")
    connections = Connections(world, in_threads=False)
    observation = observe(connections, desired, "reconciler-mover:00000000", look_for_runs=False)
    taking = TakeSlots(taker.node_id, take(owner.slots, 3), owner.node_id, "as it seemed")
    before = owner.slots
    failures = Executor(connections, observation).carry_out([taking])
    connections.close()
    assert len(failures) == 1
    assert "owned by" in failures[0]
    assert owner.slots == before
    assert not taker.slots & before


def test_a_pod_of_another_pool_that_is_only_away_is_not_forgotten() -> None:
    world, old = formed(3, 1)
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    new = topology(3, 1, "big", seeds=["redis.clients.test"])
    start_all(world, new)
    run_killed(world, "form", new, [])
    away = node_of(world, "big-replica-0-1")
    away.alive = False
    world.sleep(30)
    status, lines = run(world, "repair", old)
    assert status is ExitStatus.DONE, lines
    assert all(away.node_id in node.table for node in world.living())
    del world.names[away.hostname]
    run(world, "repair", old)
    assert not any(away.node_id in node.table for node in world.living())


def test_slots_of_a_lost_shard_are_given_up_only_when_everything_in_it_has_expired() -> None:
    world, desired = formed(3, 1)
    world.precious = set()
    for pod in ("redis-master-1", "redis-replica-0-1"):
        node_of(world, pod).alive = False
    world.start("redis-replica-0-1", node_of(world, "redis-replica-0-1").ip)
    world.names["redis-replica-0-1.test"] = node_of(world, "redis-replica-0-1").ip
    status, lines = run(world, "repair", desired, 60)
    assert status is ExitStatus.NOT_IN_TIME
    assert not node_of(world, "redis-replica-0-1").slots
    world.sleep(desired.move.ttl_seconds)
    status, lines = run(world, "repair", desired, 60)
    assert status is ExitStatus.DONE, lines
    assert node_of(world, "redis-replica-0-1").slots


def test_a_shard_whose_pods_all_copy_others_gets_a_master_again() -> None:
    world, desired = formed(4, 1)
    # As after a shrink under cluster-allow-replica-migration: the emptied pair follows another master, then comes back.
    smaller = topology(3, 1)
    run_killed(world, "release", smaller, [])
    world.check()
    for pod in ("redis-master-3", "redis-replica-0-3"):
        node = node_of(world, pod)
        node.master_id, node.keys, node.slots = node_of(world, "redis-master-0").node_id, {}, NO_SLOTS
    world.sleep(100)
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)


def test_a_master_that_goes_hands_over_to_its_replica_that_stays() -> None:
    world, _ = formed(3, 1)
    world.promote(node_of(world, "redis-replica-0-1"), node_of(world, "redis-master-1"))
    world.gossip()
    smaller = topology(3, 0)
    before = len(world.writes)
    run_killed(world, "release", smaller, [])
    assert_formed(world, smaller)
    assert {words[0] for _, words in world.writes[before:]} == {"CLUSTER"}, "keys were moved where a failover does"


def test_a_dns_failure_is_no_proof_that_there_is_no_cluster() -> None:
    world, desired = FakeCluster(), topology(3, 0, seeds=["redis.clients.test"])
    start_all(world, desired)
    world.names["redis.clients.test"] = None
    status, lines = run(world, "form", desired, 20)
    assert status is ExitStatus.NOT_IN_TIME
    assert any("redis.clients.test" in line for line in lines)
    assert not world.writes
    del world.names["redis.clients.test"]
    assert run(world, "form", desired)[0] is ExitStatus.DONE


def test_a_seed_that_resolves_but_does_not_answer_is_no_proof_either() -> None:
    world, desired = FakeCluster(), topology(3, 0, seeds=["redis.clients.test"])
    start_all(world, desired)
    world.names["redis.clients.test"] = "10.9.9.9"
    assert run(world, "form", desired, 20)[0] is ExitStatus.NOT_IN_TIME
    assert not world.writes


def test_without_a_majority_and_without_proof_nothing_is_forced() -> None:
    world, desired = formed(3, 1)
    before = len(world.writes)
    for pod in ("redis-master-0", "redis-master-1"):
        node_of(world, pod).alive = False
        del world.names[f"{pod}.test"]
    status, lines = run(world, "repair", desired, 60)
    assert status is ExitStatus.NOT_IN_TIME
    assert any("most masters do not answer" in line for line in lines)
    assert len(world.writes) == before


def test_a_master_comes_home_again_before_votes_may_repeat_and_writes_are_not_held_back_for_long() -> None:
    world, _ = formed(3, 1)
    home = topology(3, 1, bringHome=True)
    for _ in range(3):
        world.promote(node_of(world, "redis-replica-0-1"), node_of(world, "redis-master-1"))
        world.gossip()
        before_s = world.time_s
        status, lines = run(world, "repair", home)
        assert status is ExitStatus.DONE, lines
        assert node_of(world, "redis-master-1").slots
        assert world.time_s - before_s < 5, "Redis itself gave up the hand-over"
    assert [words[1:] for _, words in world.writes if words[1] == "FAILOVER"].count(("FAILOVER", "TAKEOVER")) == 2


def test_masters_come_home_one_at_a_time_and_only_when_asked() -> None:
    world, desired = formed(3, 1)
    for shard in (0, 2):
        world.promote(node_of(world, f"redis-replica-0-{shard}"), node_of(world, f"redis-master-{shard}"))
    world.gossip()
    before = len(world.writes)
    assert run(world, "repair", desired)[0] is ExitStatus.DONE
    assert len(world.writes) == before
    home = topology(3, 1, bringHome=True)
    status, lines = run(world, "repair", home)
    assert status is ExitStatus.DONE, lines
    assert [words[1] for _, words in world.writes[before:]] == ["FAILOVER", "FAILOVER"]
    assert all(node_of(world, f"redis-master-{shard}").slots for shard in range(3))
