"""Nodes leave only when nothing is lost by it: their slots go first, and what restarts first is no only copy."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.decide.actions import Failover, Forget
from reconciler.decide.leaving import (
    await_second_copies,
    drain_leaving_nodes,
    fail_over_to_staying_replicas,
    finish_unless_nodes_leave,
    forget_leaving_nodes,
    leaving_nodes,
)
from reconciler.decide.phases import next_step
from reconciler.slots import ALL_SLOTS, NO_SLOTS, count, even_split, slot_range
from tests.reconciler.decide.cases import (
    AWAY,
    EMPTY,
    MIB,
    SLOTS,
    Node,
    after,
    healthy,
    moves_of,
    state_of,
    strangers,
    wanted,
)


def shrinking(**changes: dict[str, Any]) -> list[Node]:
    """Four shards, of which the last one leaves."""
    return healthy(4, **changes)


def test_members_that_the_topology_does_not_have_leave() -> None:
    assert [report.node_id for report in leaving_nodes(state_of(shrinking()))] == ["m3", "r3"]
    apart = strangers(["m3"], ["m0", "m1", "m2", "r0", "r1", "r2"])
    assert [report.node_id for report in leaving_nodes(state_of(shrinking(), seen=apart))] == ["r3"]


def test_a_release_has_nothing_to_do_unless_nodes_leave() -> None:
    assert not finish_unless_nodes_leave(state_of(shrinking())).finished
    assert finish_unless_nodes_leave(state_of(healthy())).finished
    assert finish_unless_nodes_leave(state_of(healthy(r1=AWAY))).finished, "all who leave would be known"
    fresh = healthy(**{f"m{n}": EMPTY for n in range(3)})
    assert "owns a slot" in finish_unless_nodes_leave(state_of(fresh)).notes[0]
    old = [Node(f"old{n}", SLOTS[n]) for n in range(3)]
    assert "no pod of this topology runs yet" in finish_unless_nodes_leave(state_of(old)).notes[0]


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param(healthy(r1={**AWAY, "hostname": ""}), id="a node without a name"),
        pytest.param([*healthy(r1=AWAY), Node("m3", **AWAY)], id="a node of another name"),
        pytest.param(healthy(m1=AWAY), id="an owner of slots"),
        pytest.param(healthy(r1=AWAY, m0={"slots": SLOTS[0] & ~1}), id="a slot without an owner"),
    ],
)
def test_while_a_pod_is_missing_a_release_ends_only_if_all_who_leave_would_be_known(nodes: list[Node]) -> None:
    found = finish_unless_nodes_leave(state_of(nodes))
    assert not found.finished
    assert not found.notes


PROMOTED: dict[str, Any] = {"master": None, "slots": SLOTS[1]}


@pytest.mark.parametrize("the_other", [AWAY, {"master": "r1", "slots": NO_SLOTS, "link_up": False}])
def test_a_promoted_replica_without_a_copy_in_sync_does_not_restart(the_other: dict[str, Any]) -> None:
    nodes = healthy(r1=PROMOTED, m1={"slots": NO_SLOTS, **the_other})
    (reason,) = await_second_copies(state_of(nodes)).waiting
    assert reason == "r1 has the only copy of 5462 slots (5461-10922) and would restart first"
    assert next_step("release", state_of(nodes).observation, wanted()).waiting == (reason,)


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param(healthy(r1=PROMOTED, m1={"master": "r1", "slots": NO_SLOTS}), id="its old master is in sync"),
        pytest.param(healthy(r1=AWAY), id="a master alone restarts after the replicas are in sync"),
        pytest.param([*healthy(r1=PROMOTED, m1=AWAY), Node("s1", master="r1")], id="another replica is in sync"),
    ],
)
def test_a_roll_begins_where_another_copy_is_left(nodes: list[Node]) -> None:
    assert await_second_copies(state_of(nodes)).done


def test_slots_of_nodes_that_leave_go_to_those_that_stay() -> None:
    layout = {f"m{n}": slots for n, slots in enumerate(even_split(4))}
    moves = moves_of(drain_leaving_nodes(state_of(shrinking())))
    result = after(layout, moves)
    assert result["m3"] == NO_SLOTS
    assert sorted(count(result[f"m{n}"]) for n in range(3)) == [5461, 5461, 5462]
    assert drain_leaving_nodes(state_of(healthy())).done
    assert drain_leaving_nodes(state_of([*healthy(), Node("m3", epoch=9)])).done


def test_a_replica_that_leaves_gives_nothing_whatever_it_claims() -> None:
    nodes = [*healthy(), Node("r3", slot_range(0, 3), master="m0", epoch=1)]
    assert drain_leaving_nodes(state_of(nodes)).done


def test_where_nothing_leaves_the_number_of_owners_does_not_matter() -> None:
    assert drain_leaving_nodes(state_of(healthy(m1=EMPTY, m2=EMPTY))).done


def test_fewer_than_three_masters_that_stay_are_refused() -> None:
    layout = even_split(4)
    nodes = shrinking(m2=EMPTY, m3={"slots": layout[2] | layout[3]})
    found = drain_leaving_nodes(state_of(nodes))
    assert found.refused is not None
    assert "only 2 of the masters that stay own slots" in found.refused
    assert "Nothing was moved" in found.refused


def test_a_shard_without_slots_is_left_to_form() -> None:
    layout = even_split(4)
    nodes = [
        *(Node(f"m{n}", layout[n], epoch=n + 1) for n in range(3)),
        Node("m3", epoch=8),
        Node("gone3", layout[3], epoch=9),
    ]
    moves = moves_of(drain_leaving_nodes(state_of(nodes, wanted(4, 0))))
    assert {move.target for move in moves} == {"m0", "m1", "m2"}
    assert after({node.name: node.slots for node in nodes}, moves)["gone3"] == NO_SLOTS


def test_a_second_owner_in_a_shard_gives_its_slots_too() -> None:
    part = slot_range(0, 9)
    nodes = shrinking(m0={"slots": even_split(4)[0] & ~part}, r0={"master": None, "slots": part, "epoch": 9})
    moves = moves_of(drain_leaving_nodes(state_of(nodes)))
    layout = {node.name: node.slots for node in nodes if node.slots}
    result = after(layout, moves)
    assert result["r0"] == NO_SLOTS
    assert result["m3"] == NO_SLOTS
    assert result["m0"] | result["m1"] | result["m2"] == ALL_SLOTS


def test_what_leaves_is_refused_when_the_rest_cannot_hold_it() -> None:
    nodes = shrinking(m3={"dataset": 300 * MIB}, **{f"m{n}": {"used": 50 * MIB, "limit": 100 * MIB} for n in range(3)})
    assert "Nothing was moved" in str(drain_leaving_nodes(state_of(nodes)).refused)


# Failing over to a replica that stays.


def exchange(**changes: dict[str, Any]) -> list[Node]:
    """The master of shard 1 leaves, and its replica r1 stays."""
    nodes = [node for node in healthy() if node.name not in ("m1", "r1")]
    going = {"slots": SLOTS[1], "epoch": 2} | changes.get("old", {})
    staying = {"master": "old", "epoch": 2} | changes.get("r1", {})
    return [
        *nodes,
        Node("old", **going),
        Node("r1", **staying),
        *([Node("m1", **changes["m1"])] if "m1" in changes else []),
    ]


def test_a_replica_that_stays_takes_over_from_a_master_that_leaves() -> None:
    (action,) = fail_over_to_staying_replicas(state_of(exchange())).actions
    assert isinstance(action, Failover)
    assert (action.node, action.mode) == ("r1", "")
    assert fail_over_to_staying_replicas(state_of(healthy())).done
    assert fail_over_to_staying_replicas(state_of(shrinking())).done, "its replica leaves too"


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({"old": {"online": 0}}, True),
        ({"old": {"slots": NO_SLOTS}}, False),
        ({"r1": {"link_up": False}}, False),
        ({"m1": {"slots": 1, "epoch": 8}}, False),
    ],
    ids=["lags", "nothing to hand over", "not in sync", "its shard owns slots"],
)
def test_a_replica_that_lags_or_is_of_no_use_does_not_take_over(changes: dict[str, Any], waits: bool) -> None:
    found = fail_over_to_staying_replicas(state_of(exchange(**changes)))
    assert not found.actions
    assert bool(found.waiting) == waits
    if waits:
        assert "r1, which stays, has not caught up with it yet" in found.waiting[0]


def test_a_shard_with_an_empty_master_beside_the_replica_does_not_keep_it_from_taking_over() -> None:
    assert fail_over_to_staying_replicas(state_of(exchange(m1={"epoch": 8}))).actions


def test_a_node_that_leaves_and_is_a_replica_hands_nothing_over() -> None:
    nodes = exchange(old={"master": "m0"})
    assert fail_over_to_staying_replicas(state_of(nodes)).done


# Forgetting.


def test_nodes_that_leave_are_forgotten_by_those_that_stay_and_know_them() -> None:
    nodes = shrinking(m3=EMPTY)
    found = forget_leaving_nodes(state_of(nodes, seen={("r1", "m3"): None}))
    assert [(a.gone, a.nodes) for a in found.actions if isinstance(a, Forget)] == [
        ("m3", ("m0", "m1", "m2", "r0", "r2")),
        ("r3", ("m0", "m1", "m2", "r0", "r1", "r2")),
    ]
    assert forget_leaving_nodes(state_of(healthy())).done


def test_owners_of_slots_and_replicas_of_masters_that_stay_are_not_forgotten() -> None:
    found = forget_leaving_nodes(state_of(shrinking(r3={"master": "m0"})))
    assert found.done
