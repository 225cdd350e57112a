"""Slots that a run, a failover or a client's write catches half moved, in the cluster of dictionaries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.slots import members, take
from tests.reconciler.fake_node import Killed
from tests.reconciler.simulation import (
    MOVING,
    SIMULATED,
    assert_formed,
    formed,
    kills,
    node_of,
    run,
    run_killed,
    slot_of,
    start_all,
    topology,
)

pytestmark = pytest.mark.usefixtures("few_slots")


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
