"""Slots on the move in the cluster of dictionaries: generated changes of size, killed at generated moments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.plan.resize import DISCOVERY_SECONDS, DISCOVERY_SECONDS_MAX
from reconciler.act.client_discovery import HEARD_WAIT_S, LAST_WAIT_S, ROUND_WAIT_S, SLOTS_BY_ROUND
from reconciler.act.slot_mover import one_to_each_target
from reconciler.decide.actions import Move
from reconciler.exit_status import ExitStatus
from reconciler.slots import SLOT_COUNT, members, take
from tests.reconciler.fake_node import Killed
from tests.reconciler.simulation import (
    MOVING,
    SIMULATED,
    assert_formed,
    formed,
    key_sizes,
    kills,
    node_of,
    run,
    run_killed,
    slot_of,
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
@given(st.integers(0, 2), st.floats(0.5, 6))
def test_slots_wait_until_every_node_that_a_client_may_ask_has_heard_of_their_target(shard: int, late_s: float) -> None:
    """A client that asks a node for the topology would forget a target that this node has not heard of."""
    world, _ = formed(3, 1)
    world.clients = True
    desired = topology(4, 1)
    start_all(world, desired)
    late = node_of(world, f"redis-replica-0-{shard}")
    target = node_of(world, "redis-master-3")
    late.deaf = True
    began_s: list[float] = []
    ahead: list[int] = []

    def look() -> None:
        if target.slots and not began_s:
            began_s.append(world.time_s)
        if began_s and world.time_s >= began_s[0] + late_s:
            ahead.append(target.slots.bit_count())
            late.deaf = False
        else:
            world.events.append((world.time_s, look))

    world.events.append((world.time_s, look))
    status, lines = run(world, "form", desired)
    assert status is ExitStatus.DONE, lines
    assert len(ahead) == 1
    assert ahead[0] <= SLOTS_BY_ROUND[0], "many slots moved before everybody had heard"
    assert_formed(world, desired)


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


@SIMULATED
@given(st.data())
def test_half_moved_slots_are_finished_without_losing_a_key(data: st.DataObject) -> None:
    world, desired = formed(3, 1)
    masters = [node for node in world.living() if node.slots]
    for _ in range(data.draw(st.integers(1, 4))):
        source, target = data.draw(st.permutations(masters))[:2]
        slot = data.draw(st.sampled_from([*sorted(source.keys)[:2], *members(take(source.slots, 2))]))
        if data.draw(st.booleans()):
            target.importing[slot] = source.node_id
        if data.draw(st.booleans()):
            source.migrating[slot] = target.node_id
        if slot in target.importing and slot in source.migrating:
            going = set(data.draw(st.lists(st.sampled_from(sorted(source.keys.get(slot) or {b""})), unique=True))) - {
                b""
            }
            source.keys[slot] = source.keys.get(slot, set()) - going
            target.keys.setdefault(slot, set()).update(going)
    run_killed(world, "repair", desired, data.draw(kills))
    assert_formed(world, desired)


@MOVING
@given(st.integers(1, 5), kills)
def test_slots_whose_keys_change_while_they_are_copied_are_moved_all_the_same(
    times: int, moments: list[tuple[int, bool]]
) -> None:
    world, _ = formed(3, 1)
    world.key_bytes = 40 << 20
    world.changing = dict.fromkeys(sorted(world.all_keys())[::5], times)
    desired = topology(4, 1)
    start_all(world, desired)
    run_killed(world, "form", desired, [(writes * 5, done) for writes, done in moments])
    assert_formed(world, desired)


@MOVING
@given(st.sampled_from([1, 3, 7]), kills)
def test_a_key_that_is_deleted_while_its_slot_is_copied_does_not_come_back(
    every: int, moments: list[tuple[int, bool]]
) -> None:
    world, _ = formed(3, 1)
    world.key_bytes = 40 << 20
    chosen = sorted(world.all_keys())[::every]
    world.deleting = set(chosen[::2])
    counting: set[int] = set()
    desired = topology(4, 1)
    start_all(world, desired)
    for after_writes, done in moments:
        world.kill_at, world.kill_after = len(world.writes) + 5 * after_writes, done
        try:
            run(world, "form", desired)
        except Killed:
            # For two round trips what the target has counts, and the source serves still. A run that is killed just
            # then keeps both, also a key that was deleted a moment before.
            counting |= {
                slot for node in world.living() for slot, former in node.importing.items() if former != node.node_id
            }
            for key in chosen[1::2][: after_writes % 5]:
                if slot_of(key) not in counting:
                    world.delete(key)
            world.sleep(1)
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)
    assert node_of(world, "redis-master-3").slots
    assert not {key for key in world.all_keys() & world.deleted if slot_of(key) not in counting}


def test_copies_that_a_killed_run_has_left_behind_are_outdated() -> None:
    world, _ = formed(3, 1)
    world.key_bytes, world.kill_at_word = 40 << 20, "COPY"
    desired = topology(4, 1)
    start_all(world, desired)
    with pytest.raises(Killed):
        run(world, "form", desired)
    world.kill_at_word = None
    key = world.writes[-1][1][-1].encode()
    assert key in node_of(world, "redis-master-3").all_keys()
    world.delete(key)
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)
    assert key not in world.all_keys()


@pytest.mark.parametrize("half_moved", [False, True])
def test_no_slot_is_given_by_a_master_that_shares_its_config_epoch_with_another(half_moved: bool) -> None:
    world, desired = formed(3, 1)
    first, second = node_of(world, "redis-master-0"), node_of(world, "redis-master-1")
    if half_moved:
        slot = next(members(first.slots))
        second.importing[slot], first.migrating[slot] = first.node_id, second.node_id
    else:
        desired = topology(4, 1)
        start_all(world, desired)
    world.epochs_settle_s = world.time_s + 20
    first.epoch = second.epoch
    world.gossip()
    # The fake cluster fails where a slot is marked as going too early.
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)
    assert world.time_s >= world.epochs_settle_s


def test_keys_only_the_target_has_are_kept_although_the_source_was_replaced_by_its_replica() -> None:
    world, desired = formed(3, 1)
    source, target = node_of(world, "redis-master-0"), node_of(world, "redis-master-1")
    slot = next(slot for slot, keys in source.keys.items() if keys)
    # As when the source dies right after the transaction: its replica knows that the keys are gone, and of no mark.
    target.importing[slot], target.keys[slot], source.keys[slot] = source.node_id, source.keys[slot], set()
    world.gossip()
    source.alive = False
    world.sleep(5)
    assert node_of(world, "redis-replica-0-0").slots
    run(world, "form", topology(4, 1), 5)
    world.check()
    world.start("redis-master-0", "10.9.9.9")
    run_killed(world, "repair", desired, [])
    world.check()
    assert target.slots >> slot & 1


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


def test_a_target_that_clients_do_not_know_is_introduced_before_slots_are_half_moved() -> None:
    world, _ = formed(3, 1)
    world.clients = True
    desired = topology(4, 1)
    start_all(world, desired)
    newcomer = node_of(world, "redis-master-3").node_id
    before = len(world.writes)
    lines = run_killed(world, "form", desired, [])
    assert any("get to know redis-master-3" in line for line in lines)
    marks = [words[3] for _, words in world.writes[before:] if words[1] == "SETSLOT" and newcomer in words]
    # One slot on its own, all the way, before any is left half moved for longer.
    assert marks[:2] == ["MIGRATING", "NODE"]


@MOVING
@given(st.integers(0, 40), st.booleans())
def test_an_introduction_that_is_cut_off_is_finished(after_writes: int, done: bool) -> None:
    world, _ = formed(3, 1)
    world.clients = True
    desired = topology(4, 1)
    start_all(world, desired)
    while not any("MIGRATING" in words for _, words in world.writes):
        world.kill_at = len(world.writes) + 3
        try:
            run(world, "form", desired)
        except Killed:
            world.end_process()
    world.kill_at, world.kill_after = len(world.writes) + after_writes, done
    try:
        run(world, "form", desired)
    except Killed:
        world.sleep(1)
    world.kill_at = None
    status, lines = run(world, "repair", desired)
    assert status is ExitStatus.DONE, lines
    assert sum(node.slots.bit_count() for node in world.living() if node.master_id is None) == SLOT_COUNT
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)


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


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("defg")), unique=True, min_size=1))
def test_every_target_gets_known_once_and_from_a_source_that_gives_it_slots(pairs: list[tuple[str, str]]) -> None:
    moves = [Move(source, target, 1 << number, "copy", "test") for number, (source, target) in enumerate(pairs)]
    by_source = one_to_each_target(moves)
    assert {source: {move.source for move in mine} for source, mine in by_source.items()} == {s: {s} for s in by_source}
    chosen = [move for mine in by_source.values() for move in mine]
    assert sorted(move.target for move in chosen) == sorted({target for _, target in pairs})
    assert all(move in moves for move in chosen)


def test_the_plan_counts_the_longest_that_clients_are_waited_for() -> None:
    rounds_s = (len(SLOTS_BY_ROUND) - 1) * ROUND_WAIT_S + LAST_WAIT_S
    # Who has come is waited for as long again.
    assert DISCOVERY_SECONDS < HEARD_WAIT_S + 2 * rounds_s <= DISCOVERY_SECONDS_MAX
