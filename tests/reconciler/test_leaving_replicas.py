"""A second replica of every shard goes: nobody forgets it while it may still be needed, and it never keeps a shard."""

from __future__ import annotations

import pytest

from reconciler.exit_status import ExitStatus
from tests.reconciler.simulation import assert_formed, formed, node_of, run, topology

pytestmark = pytest.mark.usefixtures("few_slots")


def test_a_replica_that_goes_stays_known_until_it_is_dead() -> None:
    world, _ = formed(3, 2)
    fewer = topology(3, 1)

    assert run(world, "release", fewer)[0] is ExitStatus.DONE

    going = [f"redis-replica-1-{shard}" for shard in range(3)]
    staying = [node_of(world, f"redis-master-{shard}") for shard in range(3)]
    for pod in going:
        assert all(node_of(world, pod).node_id in node.table for node in staying)


def test_a_shard_whose_master_goes_falls_to_the_replica_that_stays_without_a_key_moved() -> None:
    world, _ = formed(3, 2)
    fewer = topology(3, 1)
    assert run(world, "release", fewer)[0] is ExitStatus.DONE
    # A master rolled in between, and the replica that will go was the first to take over.
    world.promote(node_of(world, "redis-replica-1-1"), node_of(world, "redis-master-1"))
    world.gossip()
    before = len(world.writes)

    assert run(world, "form", fewer)[0] is ExitStatus.DONE

    assert {words[0] for _, words in world.writes[before:]} == {"CLUSTER"}
    assert not node_of(world, "redis-replica-1-1").slots
    assert_formed(world, fewer)
