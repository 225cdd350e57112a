"""Elections come late or never, replicas lag, DNS is stale: nothing is forced early, and nothing is lost."""

from __future__ import annotations

import pytest

from reconciler.exit_status import ExitStatus
from tests.reconciler.fake_cluster import FakeCluster
from tests.reconciler.fake_node import ELECTION_PATIENCE_S
from tests.reconciler.simulation import assert_formed, fill, formed, node_of, run, start_all, topology

pytestmark = pytest.mark.usefixtures("few_slots")

NODE_TIMEOUT_S = 5.0
FORCED_AFTER_S = 4 * NODE_TIMEOUT_S + 5
NEVER = 1e9


def failovers(world: FakeCluster) -> list[tuple[str, ...]]:
    return [words[2:] for _, words in world.writes if words[1] == "FAILOVER"]


def kill(world: FakeCluster, *pods: str) -> None:
    for pod in pods:
        node_of(world, pod).alive = False
        del world.names[f"{pod}.test"]


@pytest.mark.parametrize("elects_after_s", [0.0, 3.0, ELECTION_PATIENCE_S - 0.5])
def test_an_election_that_comes_late_is_waited_for_and_not_disturbed(elects_after_s: float) -> None:
    world, desired = formed(3, 1)
    world.fails_after_s, world.elects_after_s = NODE_TIMEOUT_S, elects_after_s
    kill(world, "redis-master-1")

    run(world, "repair", desired, 40)

    assert failovers(world) == []
    assert node_of(world, "redis-replica-0-1").slots
    world.check()


def test_an_election_that_never_comes_is_forced_when_it_had_its_time() -> None:
    world, desired = formed(3, 1)
    world.fails_after_s, world.elects_after_s = NODE_TIMEOUT_S, NEVER
    kill(world, "redis-master-1")
    died_s = world.time_s

    run(world, "repair", desired, FORCED_AFTER_S - 1)
    assert failovers(world) == []
    run(world, "repair", desired, 30)

    assert failovers(world) == [("FORCE",)]
    assert node_of(world, "redis-replica-0-1").slots
    assert world.time_s - died_s >= FORCED_AFTER_S
    world.check()


def test_of_two_replicas_the_one_that_received_the_last_writes_takes_over() -> None:
    world, desired = formed(3, 2)
    world.fails_after_s, world.elects_after_s = NODE_TIMEOUT_S, NEVER
    node_of(world, "redis-replica-0-1").stalled = True
    slot = next(iter(node_of(world, "redis-master-1").keys))
    world.write(f"{slot}:last".encode())
    world.gossip()
    world.precious = world.all_keys()
    kill(world, "redis-master-1")

    run(world, "repair", desired, 60)

    assert failovers(world) == [("FORCE",)]
    assert node_of(world, "redis-replica-1-1").slots
    world.check()


def test_a_master_that_lags_behind_its_replica_does_not_become_master_again_before_it_has_caught_up() -> None:
    world, _ = formed(3, 1)
    home = topology(3, 1, bringHome=True)
    world.promote(node_of(world, "redis-replica-0-1"), node_of(world, "redis-master-1"))
    world.gossip()
    world.sleep(2)
    initial = node_of(world, "redis-master-1")
    initial.stalled = True
    slot = next(iter(node_of(world, "redis-replica-0-1").keys))
    world.write(f"{slot}:late".encode())
    world.precious = world.all_keys()

    status, lines = run(world, "repair", home, 20)

    assert status is ExitStatus.NOT_IN_TIME
    assert any("the replica lags" in line for line in lines)
    assert failovers(world) == []
    initial.stalled = False
    assert run(world, "repair", home)[0] is ExitStatus.DONE
    assert initial.slots
    world.check()


@pytest.mark.parametrize("phase", ["form", "repair"])
def test_stale_dns_that_leads_to_another_pod_is_waited_out(phase: str) -> None:
    world, desired = formed(3, 1)
    one, other = node_of(world, "redis-replica-0-1"), node_of(world, "redis-replica-0-2")
    one_ip, other_ip = one.ip, other.ip
    world.dns_ttl_s = 20
    for node in (one, other):
        node.alive = False
        del world.nodes[node.ip]
    # Both come back without their volumes, each at the other's address.
    world.start("redis-replica-0-1", other_ip)
    world.start("redis-replica-0-2", one_ip)
    started_s = world.time_s

    status, lines = run(world, phase, desired, 15)

    assert any("DNS of redis-replica-0-1.test leads to redis-replica-0-2.test" in line for line in lines), lines
    assert world.time_s - started_s < world.dns_ttl_s
    status, lines = run(world, phase, desired, 60)
    assert status is ExitStatus.DONE or phase == "repair", lines
    world.sleep(world.dns_ttl_s)
    status, lines = run(world, phase, desired, 60)
    assert status is ExitStatus.DONE, lines
    assert_formed(world, desired)
    world.check()


def test_a_new_cluster_is_not_formed_while_dns_leads_two_names_to_one_pod() -> None:
    world, desired = FakeCluster(), topology(3, 0)
    start_all(world, desired)
    names = [node.host for node in desired.nodes]
    right_ip = world.names[names[1]]
    world.names[names[1]] = world.names[names[0]]

    status, _ = run(world, "form", desired, 10)

    assert status is ExitStatus.NOT_IN_TIME
    assert not world.writes
    world.names[names[1]] = right_ip
    assert run(world, "form", desired)[0] is ExitStatus.DONE
    fill(world, desired)
    assert_formed(world, desired)
