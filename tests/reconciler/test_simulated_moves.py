"""Changes of size and of pools in the cluster of dictionaries: generated, killed at generated moments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.exit_status import ExitStatus
from reconciler.slots import members, take
from tests.reconciler.simulation import (
    MOVING,
    assert_formed,
    formed,
    key_sizes,
    kills,
    node_of,
    run,
    run_killed,
    start_all,
    topology,
)

pytestmark = pytest.mark.usefixtures("few_slots")


@MOVING
@given(st.integers(3, 5), st.integers(3, 8), key_sizes, kills)
def test_growing_moves_slots_with_their_keys(
    before: int, after: int, key_bytes: int, moments: list[tuple[int, bool]]
) -> None:
    world, _ = formed(before, 1)
    world.clients, world.key_bytes = True, key_bytes
    desired = topology(max(before, after), 1)
    start_all(world, desired)
    run_killed(world, "form", desired, [(writes * 5, done) for writes, done in moments])
    assert_formed(world, desired)
    counts = [node.slots.bit_count() for node in world.living() if node.slots]
    assert max(counts) - min(counts) <= 0.04 * sum(counts) / len(counts) + 2


@MOVING
@given(st.integers(3, 5), st.integers(3, 5), st.integers(0, 1), key_sizes, kills)
def test_a_new_pool_takes_every_slot_and_key_from_the_old_one(
    old: int, new: int, replicas: int, key_bytes: int, moments: list[tuple[int, bool]]
) -> None:
    world, _ = formed(old, replicas)
    world.key_bytes = key_bytes
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    desired = topology(new, replicas, "big", seeds=["redis.clients.test"])
    start_all(world, desired)
    run_killed(world, "form", desired, [(writes * 10, done) for writes, done in moments])
    assert_formed(world, desired)


@MOVING
@given(st.integers(3, 4), st.booleans(), kills)
def test_no_slot_goes_to_a_master_that_lacks_a_library_of_functions(
    shards: int, another_pool: bool, moments: list[tuple[int, bool]]
) -> None:
    world, _ = formed(3, 1)
    world.functions = {"one", "two"}
    for node in world.living():
        node.libraries = {name: f"#!lua name={name}\n" for name in world.functions}
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    desired = topology(shards + 1, 1, "big" if another_pool else "redis", seeds=["redis.clients.test"])
    start_all(world, desired)
    run_killed(world, "form", desired, [(writes * 5, done) for writes, done in moments])
    assert_formed(world, desired)
    assert all(set(node_of(world, node.pod).libraries) == world.functions for node in desired.nodes)


@MOVING
@given(st.integers(4, 6), st.integers(0, 1), kills)
def test_release_empties_what_will_go_and_forgets_it(
    before: int, replicas: int, moments: list[tuple[int, bool]]
) -> None:
    world, _ = formed(before, replicas)
    smaller = topology(3, replicas)
    run_killed(world, "release", smaller, [(writes * 5, done) for writes, done in moments])
    staying = {node_of(world, node.pod).node_id for node in smaller.nodes}
    assert_formed(world, smaller)
    for node in world.living():
        if node.node_id in staying:
            assert set(node.table) | {node.node_id} == staying
        else:
            assert not node.slots
    status, lines = run(world, "form", smaller)
    assert status is ExitStatus.DONE, lines


def test_expire_drops_no_more_keys_per_second_than_the_budget_allows() -> None:
    world, _ = formed(3, 1)
    world.precious = set()
    budget = 4
    desired = topology(4, 1, move={"mode": "expire", "extraMissesPerSecond": budget})
    for node in world.living():
        node.keys = {}
        for slot in members(node.slots & ~take(node.slots, node.slots.bit_count() - 20)):
            node.keys[slot] = {f"{slot}:{index}".encode() for index in range(2)}
    start_all(world, desired)
    start = world.time_s
    status, lines = run(world, "form", desired, 600)
    assert status is ExitStatus.DONE, lines
    assert_formed(world, desired)
    assert len(world.dropped) == 3 * 20 * 2
    for when, _ in world.dropped:
        so_far = sum(1 for earlier, _ in world.dropped if earlier <= when)
        assert so_far <= budget * (when - start) + 3 * 16


def test_a_pool_that_cannot_hold_the_data_is_refused_and_nothing_moves() -> None:
    world, _ = formed(3, 0)
    owners = {node.node_id: node.slots for node in world.living() if node.slots}
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    desired = topology(3, 0, "small", seeds=["redis.clients.test"])
    start_all(world, desired)
    for node in desired.nodes:
        node_of(world, node.pod).max_bytes = 500
    status, lines = run(world, "form", desired)
    assert status is ExitStatus.REFUSED
    assert "maxmemory" in lines[-1]
    assert {node.node_id: node.slots for node in world.living() if node.slots} == owners


@MOVING
@given(st.integers(3, 5), st.integers(3, 5), key_sizes, kills, st.booleans())
def test_a_valkey_is_never_asked_to_mark_a_slot_in_a_transaction(
    before: int, after: int, key_bytes: int, moments: list[tuple[int, bool]], another_pool: bool
) -> None:
    world, _ = formed(before, 1)
    world.is_valkey, world.clients, world.key_bytes = True, True, key_bytes
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    pool = "big" if another_pool else "redis"
    desired = topology(after if another_pool else max(before, after), 1, pool, seeds=["redis.clients.test"])
    start_all(world, desired)
    run_killed(world, "form", desired, [(writes * 5, done) for writes, done in moments])
    assert_formed(world, desired)
