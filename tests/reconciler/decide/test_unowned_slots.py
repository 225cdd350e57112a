"""Slots that nobody owns get an owner, when it is certain that nobody owns them."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.decide.actions import AssignSlots, TakeSlots
from reconciler.decide.unowned_slots import assign_unowned_slots, reclaim_disowned_slots
from reconciler.slots import NO_SLOTS, slot_range
from tests.reconciler.decide.cases import AWAY, SLOTS, Node, healthy, state_of, wanted

GAP = slot_range(0, 9)


def assigned(found: tuple[object, ...]) -> dict[str, tuple[int, bool]]:
    return {action.node: (action.slots, action.outrank) for action in found if isinstance(action, AssignSlots)}


def test_a_new_cluster_is_laid_out_evenly() -> None:
    nodes = healthy(**{f"m{n}": {"slots": NO_SLOTS} for n in range(3)})
    assert assigned(assign_unowned_slots(state_of(nodes)).actions) == {f"m{n}": (SLOTS[n], False) for n in range(3)}
    assert assign_unowned_slots(state_of(healthy())).done


def test_a_layout_that_was_cut_off_is_finished_as_it_was_begun() -> None:
    found = assign_unowned_slots(state_of(healthy(m0={"slots": SLOTS[0] & ~GAP}, m2={"slots": NO_SLOTS})))
    assert assigned(found.actions) == {"m0": (GAP, False), "m2": (SLOTS[2], False)}


@pytest.mark.parametrize(
    "change",
    [
        {"m1": {"slots": SLOTS[1] | 1 << 20}, "m0": {"slots": SLOTS[0] & ~GAP & ~(1 << 20)}},
        {"m1": {"slots": SLOTS[1] & ~(1 << 6000)}, "m0": {"slots": (SLOTS[0] & ~GAP) | 1 << 6000}},
    ],
)
def test_in_any_other_layout_the_shard_with_the_fewest_slots_gets_all_of_them(change: dict[str, Any]) -> None:
    found = assign_unowned_slots(state_of(healthy(**change)))
    fewest = "m0" if change["m0"]["slots"].bit_count() < change["m1"]["slots"].bit_count() else "m1"
    assert assigned(found.actions) == {fewest: (GAP, True)}


def test_of_shards_with_equally_few_slots_the_first_gets_them() -> None:
    # 16,384 slots are 5,461 and 5,462 and 5,461.
    change = {
        "m0": {"slots": SLOTS[0] & ~GAP & ~(1 << 20)},
        "m2": {"slots": (SLOTS[2] | 1 << 20) & ~slot_range(11000, 11011)},
    }
    found = assign_unowned_slots(state_of(healthy(**change)))
    assert list(assigned(found.actions)) == ["m0"]


def test_an_owner_outside_the_topology_means_that_the_layout_is_another() -> None:
    nodes = [*healthy(m0={"slots": NO_SLOTS}), Node("old", SLOTS[0] & ~GAP, epoch=9)]
    assert assigned(assign_unowned_slots(state_of(nodes)).actions) == {"m0": (GAP, True)}


def test_slots_are_assigned_only_when_every_pod_answers() -> None:
    found = assign_unowned_slots(state_of(healthy(m0={"slots": SLOTS[0] & ~GAP}, r2=AWAY)))
    assert not found.actions
    assert "when every pod answers" in found.waiting[0]


def test_slots_are_assigned_only_when_every_shard_has_a_master() -> None:
    nodes = healthy(m0={"slots": SLOTS[0] & ~GAP}, m2={"slots": NO_SLOTS, "master": "m0"}, r2={"master": "m0"})
    found = assign_unowned_slots(state_of(nodes))
    assert not found.actions
    assert "when every pod answers" in found.waiting[0]


def test_slots_are_assigned_only_when_all_nodes_agree() -> None:
    state = state_of(healthy(m0={"slots": SLOTS[0] & ~GAP}), seen={("m1", "r2"): None})
    found = assign_unowned_slots(state)
    assert not found.actions
    assert "when all nodes agree" in found.waiting[0]


def test_slots_that_somebody_believes_an_absent_node_to_own_are_not_assigned() -> None:
    nodes = [*healthy(m0={"slots": SLOTS[0] & ~GAP}), Node("gone", GAP, **AWAY)]
    assert assign_unowned_slots(state_of(nodes)).done


# Slots that all others ascribe to a master that disowns them.


def disowned(*blind: str) -> dict[tuple[str, str], dict[str, Any] | None]:
    """What others say of m0: that it owns all it had. Those named do not."""
    return {(name, "m0"): {"slots": SLOTS[0]} for name in ("m1", "m2") if name not in blind}


HOLE = healthy(m0={"slots": SLOTS[0] & ~GAP})


def test_slots_that_every_other_master_ascribes_to_one_are_its_own_again() -> None:
    (action,) = reclaim_disowned_slots(state_of(HOLE, seen=disowned())).actions
    assert isinstance(action, TakeSlots)
    assert (action.node, action.slots, action.former) == ("m0", GAP, "m1")


def test_one_master_that_disagrees_or_does_not_know_it_is_enough_to_leave_them() -> None:
    assert reclaim_disowned_slots(state_of(HOLE, seen=disowned("m2"))).done
    assert reclaim_disowned_slots(state_of(HOLE, seen={**disowned(), ("m2", "m0"): None})).done
    assert reclaim_disowned_slots(state_of(healthy())).done


@pytest.mark.parametrize("mark", [{"importing": {3: "m0"}}, {"migrating": {3: "m0"}}])
def test_slots_that_are_on_their_way_are_left_alone(mark: dict[str, Any]) -> None:
    nodes = healthy(m0={"slots": SLOTS[0] & ~GAP}, m1=mark)
    (action,) = reclaim_disowned_slots(state_of(nodes, seen=disowned())).actions
    assert isinstance(action, TakeSlots)
    assert action.slots == GAP & ~(1 << 3)


def test_slots_that_another_owns_are_not_reclaimed() -> None:
    nodes = healthy(m0={"slots": SLOTS[0] & ~GAP}, m1={"slots": SLOTS[1] | GAP})
    seen = {("m2", "m0"): {"slots": SLOTS[0]}, ("m1", "m0"): {"slots": SLOTS[0]}}
    assert reclaim_disowned_slots(state_of(nodes, seen={**seen})).done


def test_a_master_alone_reclaims_nothing() -> None:
    assert reclaim_disowned_slots(state_of([Node("m0", NO_SLOTS)], wanted())).done
