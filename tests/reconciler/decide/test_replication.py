"""Each shard has one master and its other pods replicate it; no sync is interrupted, and no last copy is dropped."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.decide.actions import Failover, Replicate, Reset
from reconciler.decide.replication import (
    attach_replicas,
    await_replicas_in_sync,
    give_every_shard_a_master,
    restore_initial_masters,
)
from reconciler.slots import slot_range
from tests.reconciler.decide.cases import AWAY, EMPTY, SLOTS, Node, healthy, state_of, wanted

# A master for every shard.


def test_a_shard_whose_pods_all_replicate_others_gets_a_master() -> None:
    nodes = healthy(m1={**EMPTY, "master": "m0"}, r1={"master": "m0"})
    (action,) = give_every_shard_a_master(state_of(nodes)).actions
    assert isinstance(action, Reset)
    assert action.node == "m1"
    assert give_every_shard_a_master(state_of(healthy())).done


@pytest.mark.parametrize(
    "changes",
    [
        {"m1": {**EMPTY, "master": "m0", "syncing": True}, "r1": {"master": "m0"}},
        {"m1": {**EMPTY, "master": "gone"}, "r1": {"master": "gone"}},
        {"m1": {**EMPTY, "master": "r0"}, "r1": {"master": "r0"}},
        {"m1": {**EMPTY, "master": "m0"}, "r1": {"master": None}},
        {"m1": AWAY, "r1": AWAY},
    ],
    ids=["syncing", "its master is gone", "its master is a replica", "the shard has a master", "nobody answers"],
)
def test_a_replica_whose_data_may_be_the_last_copy_is_not_reset(changes: dict[str, Any]) -> None:
    assert give_every_shard_a_master(state_of(healthy(**changes))).done


# Attaching replicas.


def test_pods_of_a_shard_replicate_its_master() -> None:
    nodes = healthy(r1={"master": None}, r2={"master": "m0"})
    actions = attach_replicas(state_of(nodes)).actions
    assert [(a.node, a.master) for a in actions if isinstance(a, Replicate)] == [("r1", "m1"), ("r2", "m2")]
    assert attach_replicas(state_of(healthy())).done


def test_after_a_failover_the_former_master_replicates_the_new_one() -> None:
    nodes = healthy(m1=EMPTY, r1={"master": None, "slots": SLOTS[1]})
    assert [(a.node, a.master) for a in attach_replicas(state_of(nodes)).actions if isinstance(a, Replicate)] == [
        ("m1", "r1")
    ]


@pytest.mark.parametrize(
    ("changes", "seen", "reason"),
    [
        ({"r1": {"master": None}}, {("r1", "m1"): None}, "does not know m1 as a master yet"),
        (
            {"r1": {"master": None}},
            {("r1", "m1"): {"flags": frozenset({"slave"})}},
            "does not know m1 as a master yet",
        ),
        ({"r1": {"master": None, "slots": slot_range(0, 2)}, "m0": {"slots": SLOTS[0] & ~7}}, {}, "r1 owns 3 slots"),
        ({"r1": {"master": None, "keys": 2}}, {}, "holds 2 keys"),
        ({"r1": {"master": "m0", "syncing": True}}, {}, "is syncing with another master"),
        ({"r1": {"master": "m2"}, "m2": AWAY}, {}, "has the data of a master that does not answer"),
    ],
)
def test_a_pod_is_not_attached_while_something_would_be_lost(
    changes: dict[str, Any], seen: dict[Any, Any], reason: str
) -> None:
    found = attach_replicas(state_of(healthy(**changes), seen=seen))
    assert not found.actions
    assert len(found.waiting) == 1
    assert reason in found.waiting[0]


def test_a_replica_of_a_dead_master_without_slots_is_attached_and_its_keys_do_not_matter() -> None:
    nodes = [*healthy(r1={"master": "gone", "keys": 5}), Node("gone", **AWAY)]
    assert attach_replicas(state_of(nodes)).actions


def test_nothing_is_attached_while_two_masters_claim_a_slot() -> None:
    nodes = healthy(m0={"slots": SLOTS[0] | 1 << 16383}, r1={"master": None})
    found = attach_replicas(state_of(nodes))
    assert not found.actions
    assert "more than one node owns 1 slot (16383)" in found.waiting[0]


def test_slots_move_only_when_every_replica_is_in_sync() -> None:
    found = await_replicas_in_sync(state_of(healthy(r1={"link_up": False})))
    assert found.waiting == ("r1 is not in sync with its master yet",)
    assert await_replicas_in_sync(state_of(healthy(m1={"link_up": False}))).done


# Initial masters again.

FAILED_OVER: dict[str, Any] = {"m1": {**EMPTY, "master": "r1"}, "r1": {"master": None, "slots": SLOTS[1]}}
HOME = wanted(bringHome=True)


def failed_over(**changes: dict[str, Any]) -> list[Node]:
    return healthy(**{name: FAILED_OVER.get(name, {}) | changes.get(name, {}) for name in {*FAILED_OVER, *changes}})


def test_an_initial_master_that_has_caught_up_is_master_again() -> None:
    (action,) = restore_initial_masters(state_of(failed_over(), HOME)).actions
    assert isinstance(action, Failover)
    assert (action.node, action.mode) == ("m1", "")
    assert restore_initial_masters(state_of(healthy(), HOME)).done


def test_initial_masters_are_restored_one_at_a_time() -> None:
    nodes = failed_over(m0={**EMPTY, "master": "r0"}, r0={"master": None, "slots": SLOTS[0]})
    assert [action.node for action in restore_initial_masters(state_of(nodes, HOME)).actions] == ["m0"]


@pytest.mark.parametrize(
    "changes",
    [
        {"r1": {"online": 0}},
        {"r0": {"link_up": False}, "m1": {}},
    ],
)
def test_an_initial_master_that_lags_is_waited_for_or_left(changes: dict[str, Any]) -> None:
    found = restore_initial_masters(state_of(failed_over(**changes), HOME))
    assert not found.actions
    assert bool(found.waiting) == ("r1" in changes)
    if found.waiting:
        assert "m1 is to be master again when it has caught up with r1" in found.waiting[0]


@pytest.mark.parametrize(
    ("changes", "seen", "desired"),
    [
        ({}, {}, wanted()),
        ({"r2": AWAY}, {}, HOME),
        ({"m0": {"slots": SLOTS[0] & ~1}}, {}, HOME),
        ({}, {("r0", "m2"): None}, HOME),
        ({"r2": {"cluster_ok": False}}, {}, HOME),
        ({"m2": {"cluster_ok": False}}, {}, HOME),
        ({"m1": {"syncing": True}}, {}, HOME),
        ({"m1": {"master": "m0"}}, {}, HOME),
        ({"m1": {"link_up": False}}, {}, HOME),
    ],
    ids=["not wanted", "pod away", "no owner", "disagree", "not ok", "master not ok", "syncing", "elsewhere", "link"],
)
def test_a_cluster_that_is_not_healthy_otherwise_is_left_as_it_is(
    changes: dict[str, Any], seen: dict[Any, Any], desired: Any
) -> None:
    found = restore_initial_masters(state_of(failed_over(**changes), desired, seen=seen))
    assert found.done


def test_no_initial_master_is_restored_while_a_master_outside_the_topology_is_away() -> None:
    nodes = [*failed_over(m0={"slots": SLOTS[0] & ~1}), Node("old", 1, **AWAY)]
    assert restore_initial_masters(state_of(nodes, HOME)).done


def test_a_second_replica_that_lags_makes_the_initial_master_wait() -> None:
    nodes = [*failed_over(), *[Node(f"s{n}", master="r1" if n == 1 else f"m{n}", epoch=n + 1) for n in range(3)]]
    both = wanted(replicas=2, bringHome=True)
    assert restore_initial_masters(state_of(nodes, both)).actions
    lagging = [*failed_over(r1={"online": 1}), *nodes[6:]]
    assert restore_initial_masters(state_of(lagging, both)).waiting
