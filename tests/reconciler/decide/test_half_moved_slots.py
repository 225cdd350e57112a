"""Slots that a run left half moved go to the side that has keys, and marks that mean nothing go away."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.decide.actions import Move, SetSlotStable, TakeSlots
from reconciler.decide.half_moved_slots import finish_half_moved_slots
from reconciler.decide.state import ClusterState
from reconciler.slots import slot_range
from tests.reconciler.decide.cases import AWAY, SLOTS, Node, healthy, state_of

SLOT = 5
"""Owned by m0."""


def only(state: ClusterState) -> Any:
    found = finish_half_moved_slots(state)
    assert not found.waiting
    (action,) = found.actions
    return action


def reason(state: ClusterState) -> str:
    found = finish_half_moved_slots(state)
    assert not found.actions
    return found.waiting[0]


def test_a_cluster_without_marks_needs_nothing() -> None:
    assert finish_half_moved_slots(state_of(healthy())).done


@pytest.mark.parametrize("keys", [0, 3])
def test_a_slot_that_both_sides_mark_is_moved_on(keys: int) -> None:
    state = state_of(
        healthy(m0={"migrating": {SLOT: "m1"}}, m1={"importing": {SLOT: "m0"}, "moved_keys": {SLOT: keys}})
    )
    move = only(state)
    assert isinstance(move, Move)
    assert (move.source, move.target, move.slots, move.mode) == ("m0", "m1", 1 << SLOT, "copy")


def test_slots_of_one_pair_are_one_move() -> None:
    state = state_of(healthy(m0={"migrating": {5: "m1", 7: "m1"}}, m1={"importing": {5: "m0", 7: "m0"}}))
    assert only(state).slots == 1 << 5 | 1 << 7


def test_the_side_that_has_keys_gets_the_slot_whatever_the_marks_say() -> None:
    state = state_of(
        healthy(
            m0={"migrating": {SLOT: "m1"}},
            m1={"importing": {SLOT: "m0"}, "moved_keys": {SLOT: 2}},
            m2={"importing": {SLOT: "m0"}, "moved_keys": {SLOT: 3}},
        )
    )
    assert only(state).target == "m2"
    # The owner's own keys do not count as a target's.
    state = state_of(
        healthy(
            m0={"migrating": {SLOT: "m1"}, "moved_keys": {SLOT: 9}},
            m1={"importing": {SLOT: "m0"}, "moved_keys": {SLOT: 0}},
        )
    )
    assert (only(state).source, only(state).target) == ("m0", "m1")


def test_a_mark_on_one_side_only_is_taken_away_when_no_key_has_moved() -> None:
    for change in ({"m0": {"migrating": {SLOT: "m1"}}}, {"m1": {"importing": {SLOT: "m0"}}}):
        action = only(state_of(healthy(**change)))
        assert isinstance(action, SetSlotStable)
        assert (action.node, action.slot) == (next(iter(change)), SLOT)
        assert "no key has moved" in action.why


def test_a_target_that_another_node_imports_for_is_none() -> None:
    # m0 migrates to m1, but m2 imports: nothing of the kind is under way.
    state = state_of(healthy(m0={"migrating": {SLOT: "m1"}}, m2={"importing": {SLOT: "m0"}}))
    assert isinstance(only(state), SetSlotStable)


@pytest.mark.parametrize(
    ("change", "node"),
    [
        ({"m0": {"importing": {SLOT: "m1"}}}, "m0"),
        ({"m1": {"migrating": {SLOT: "m0"}}}, "m1"),
    ],
    ids=["the owner imports", "another migrates"],
)
def test_a_mark_on_the_wrong_side_is_stale(change: dict[str, Any], node: str) -> None:
    action = only(state_of(healthy(**change)))
    assert isinstance(action, SetSlotStable)
    assert action.node == node
    assert "which m0 owns" in action.why


def test_a_stale_mark_goes_before_the_slot_moves_on() -> None:
    state = state_of(
        healthy(
            m0={"migrating": {SLOT: "m1"}},
            m1={"importing": {SLOT: "m0"}, "moved_keys": {SLOT: 2}},
            m2={"migrating": {SLOT: "m1"}},
        )
    )
    action = only(state)
    assert isinstance(action, SetSlotStable)
    assert action.node == "m2"


def test_a_mark_that_a_replica_alone_has_is_taken_away_by_its_master() -> None:
    action = only(state_of(healthy(r1={"importing": {SLOT: "m0"}})))
    assert isinstance(action, SetSlotStable)
    assert action.node == "m1"
    assert "r1 is a replica of m1" in action.why


def test_a_mark_that_a_replica_alone_has_stays_while_its_master_does_not_answer() -> None:
    assert "its master does not answer" in reason(state_of(healthy(m1=AWAY, r1={"importing": {SLOT: "m0"}})))


@pytest.mark.parametrize("replica", ["r0", "r1", "r2"])
def test_the_marks_of_replicas_do_not_keep_a_slot_from_being_moved_on(replica: str) -> None:
    """A Valkey's replicas have the marks of their master."""
    nodes = healthy(
        m0={"migrating": {SLOT: "m1"}}, m1={"importing": {SLOT: "m0"}}, **{replica: {"migrating": {SLOT: "m1"}}}
    )
    move = only(state_of(nodes))
    assert (move.source, move.target) == ("m0", "m1")


def test_a_slot_with_two_owners_is_left_until_that_is_settled() -> None:
    state = state_of(healthy(m0={"migrating": {SLOT: "m1"}}, m1={"slots": SLOTS[1] | 1 << SLOT}))
    assert "two nodes own it" in reason(state)
    # Another slot being disputed makes no difference.
    state = state_of(healthy(m0={"migrating": {SLOT: "m1"}}, m1={"slots": SLOTS[1] | 1 << (SLOT + 1)}))
    assert finish_half_moved_slots(state).actions


def test_slots_do_not_go_to_a_node_that_does_not_accept_commands_yet() -> None:
    marks: dict[str, Any] = {"m0": {"migrating": {SLOT: "m1"}}, "m1": {"importing": {SLOT: "m0"}, "cluster_ok": False}}
    assert "m1 does not accept commands" in reason(state_of(healthy(**marks)))
    # Marks that are only taken away need not wait.
    marks["m2"] = {"importing": {9: "m0"}}
    found = finish_half_moved_slots(state_of(healthy(**marks)))
    assert [type(action) for action in found.actions] == [SetSlotStable]
    assert found.waiting


# The owner does not answer, or there is none.

WITHOUT = SLOTS[0] & ~(1 << SLOT)


def test_a_slot_that_nobody_owns_goes_to_the_node_that_imports_it_with_the_most_keys() -> None:
    state = state_of(
        healthy(
            m0={"slots": WITHOUT},
            m1={"importing": {SLOT: "m0"}, "moved_keys": {SLOT: 1}},
            m2={"importing": {SLOT: "m1"}, "moved_keys": {SLOT: 2}},
        )
    )
    action = only(state)
    assert isinstance(action, TakeSlots)
    assert (action.node, action.slots, action.former) == ("m2", 1 << SLOT, "m1")


def test_a_slot_that_nobody_owns_and_nobody_imports_waits() -> None:
    # A migrating mark on a node that does not own the slot: it lost it a moment ago.
    assert "nobody owns it" in reason(state_of(healthy(m0={"slots": WITHOUT, "migrating": {SLOT: "m1"}})))


@pytest.mark.parametrize(
    ("owner", "replica", "is_taken"),
    [
        (AWAY, AWAY, True),
        (AWAY, {}, False),
        ({"answers": False, "flags": frozenset({"fail?"})}, AWAY, False),
    ],
    ids=["lost", "its replica lives", "not agreed"],
)
def test_the_slot_of_an_owner_that_is_away_goes_to_the_importing_node_only_when_the_owner_is_lost(
    owner: dict[str, Any], replica: dict[str, Any], is_taken: bool
) -> None:
    state = state_of(healthy(m0=owner, r0=replica, m1={"importing": {SLOT: "m2"}}))
    if is_taken:
        action = only(state)
        assert (action.node, action.former) == ("m1", "m0")
    else:
        assert "m0.test (id m0) does not answer yet" in reason(state)


def test_only_the_owner_of_the_very_slot_is_waited_for() -> None:
    # m2 is away, and m1 imports a slot that nobody owns.
    state = state_of(healthy(m0={"slots": WITHOUT}, m1={"importing": {SLOT: "m0"}}, m2=AWAY))
    action = only(state)
    assert (action.node, action.former) == ("m1", "m0")


def test_a_node_outside_the_topology_counts_too() -> None:
    nodes = [*healthy(m0={"slots": SLOTS[0] & ~slot_range(0, 9)}), Node("old", slot_range(0, 9), epoch=9)]
    old = Node("old", slot_range(0, 9), epoch=9, migrating={SLOT: "m1"})
    state = state_of([*nodes[:-1], old])
    assert isinstance(only(state), SetSlotStable)
