"""Slots move to even shares and away from nodes that leave, only where they fit, and as few as possible."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.decide.actions import Failover, Forget, Move
from reconciler.decide.balance import (
    await_second_copies,
    drain_leaving_nodes,
    even_out_slots,
    even_shares,
    fail_over_to_staying_replicas,
    finish_unless_nodes_leave,
    forget_leaving_nodes,
    leaving,
    reason_not_to_fit,
)
from reconciler.decide.phases import next_step
from reconciler.slots import ALL_SLOTS, NO_SLOTS, SLOT_COUNT, count, even_split, slot_range
from tests.reconciler.decide.cases import MIB, SLOTS, Node, healthy, state_of, strangers, wanted

EMPTY: dict[str, Any] = {"slots": NO_SLOTS}
AWAY: dict[str, Any] = {"answers": False, "flags": frozenset({"fail"})}


def moves_of(found: Any) -> list[Move]:
    assert all(isinstance(action, Move) for action in found.actions)
    return list(found.actions)


def after(slots: dict[str, int], moves: list[Move]) -> dict[str, int]:
    result = dict(slots)
    for move in moves:
        assert move.slots
        assert move.slots & result[move.source] == move.slots
        result[move.source] &= ~move.slots
        result[move.target] = result.get(move.target, NO_SLOTS) | move.slots
    return result


# Even shares.


def test_an_even_cluster_and_one_that_is_even_within_two_percent_stay_as_they_are() -> None:
    assert even_out_slots(state_of(healthy())).done
    # 2 % of a share of three are 109 slots.
    shift = slot_range(0, 107)
    nodes = healthy(m0={"slots": SLOTS[0] & ~shift}, m1={"slots": SLOTS[1] | shift})
    assert even_out_slots(state_of(nodes)).done


@pytest.mark.parametrize(("moved", "is_balanced"), [(109, True), (110, False)])
def test_the_tolerance_is_two_percent_of_a_share(moved: int, is_balanced: bool) -> None:
    # Shares are 5,462, 5,461 and 5,461: the largest owner has the one that is larger.
    shift = slot_range(0, moved - 1)
    nodes = healthy(m0={"slots": SLOTS[0] & ~shift}, m1={"slots": SLOTS[1]}, m2={"slots": SLOTS[2] | shift})
    shares = even_shares(state_of(nodes).masters)
    assert shares == {"m2": 5462, "m1": 5461, "m0": 5461}
    assert even_out_slots(state_of(nodes)).done == is_balanced


@pytest.mark.parametrize(("extra", "is_balanced"), [(1, True), (2, False)])
def test_with_very_many_shards_one_slot_is_always_tolerated(extra: int, is_balanced: bool) -> None:
    shards = 400
    layout = even_split(shards)
    # Shares are 41 for the first 384 and 40 for the others.
    changes: dict[str, dict[str, Any]] = {}
    owners = sorted(range(shards), key=lambda shard: -count(layout[shard]))
    rich, poor = owners[-1], owners[-2]
    shift = slot_range(
        (layout[poor] & -layout[poor]).bit_length() - 1, (layout[poor] & -layout[poor]).bit_length() - 2 + extra
    )
    changes[f"m{rich}"] = {"slots": layout[rich] | shift}
    changes[f"m{poor}"] = {"slots": layout[poor] & ~shift}
    nodes = [node for node in healthy(shards, **changes) if node.master is None]
    state = state_of(nodes, wanted(shards, 0), unmet=True)
    shares = even_shares(state.masters)
    deviation = max(abs(count(report.myself.slots) - shares[report.node_id]) for report in state.masters)
    assert even_out_slots(state).done == (deviation <= 1)
    assert (deviation <= 1) == is_balanced


def test_a_new_shard_gets_an_even_share_from_all_others() -> None:
    layout = {f"m{n}": SLOTS[n] for n in range(3)}
    nodes = [*healthy(), Node("m3", epoch=9), Node("r3", master="m3", epoch=9)]
    moves = moves_of(even_out_slots(state_of(nodes, wanted(4))))
    assert {move.target for move in moves} == {"m3"}
    assert {move.mode for move in moves} == {"copy"}
    result = after(layout, moves)
    assert {count(slots) for slots in result.values()} == {4096}
    assert len(moves) == 3, "few pairs"
    # The highest slots of each go, so that what stays is one range.
    assert result["m0"] == slot_range(0, 4095)


def test_the_mode_of_the_topology_is_the_mode_of_the_moves() -> None:
    nodes = [*healthy(), Node("m3", epoch=9)]
    moves = moves_of(even_out_slots(state_of(nodes, wanted(4, move={"mode": "expire"}))))
    assert {move.mode for move in moves} == {"expire"}


def test_owners_outside_the_topology_give_everything_even_within_the_tolerance() -> None:
    nodes = [*healthy(m0={"slots": SLOTS[0] & ~1}), Node("old", 1, epoch=9)]
    (move,) = moves_of(even_out_slots(state_of(nodes)))
    assert (move.source, move.slots) == ("old", 1)


def test_a_whole_pool_moves_to_another_and_every_share_is_even() -> None:
    old = [Node(f"old{n}", SLOTS[n], epoch=n + 1) for n in range(3)]
    new = [Node(f"m{n}", epoch=n + 10) for n in range(4)]
    moves = moves_of(even_out_slots(state_of([*old, *new], wanted(4, 0))))
    result = after({node.name: node.slots for node in old}, moves)
    assert all(result[node.name] == NO_SLOTS for node in old)
    assert {count(result[node.name]) for node in new} == {4096}
    assert len(moves) <= 6


def test_the_larger_shares_go_to_the_masters_that_own_most() -> None:
    shares = even_shares(state_of(healthy(m1={"slots": SLOTS[1]}, m0={"slots": NO_SLOTS})).masters)
    assert shares == {"m1": 5462, "m2": 5461, "m0": 5461}
    assert sum(shares.values()) == SLOT_COUNT


def test_slots_wait_for_targets_that_do_not_serve_yet() -> None:
    nodes = [*healthy(), Node("m3", epoch=9, cluster_ok=False)]
    found = even_out_slots(state_of(nodes, wanted(4, 0)))
    assert not found.actions
    assert "m3 does not accept commands of clients yet" in found.waiting[0]


# What fits.


@pytest.mark.parametrize(
    ("used", "limit", "is_refused"),
    [
        (0, 100 * MIB, False),
        (26, 100 * MIB, False),
        (28, 100 * MIB, True),
        (0, 70 * MIB, True),
        (10**6, 0, False),
    ],
)
def test_a_target_must_hold_what_it_uses_and_what_it_gets(used: int, limit: int, is_refused: bool) -> None:
    # Three quarters of a shard of 100 MiB each stay; a quarter of each comes to the new one: about 75 MiB.
    nodes = healthy(**{f"m{n}": {"dataset": 100 * MIB, "used": 100 * MIB} for n in range(3)})
    nodes = [*nodes, Node("m3", epoch=9, used=used * MIB, limit=limit)]
    found = even_out_slots(state_of(nodes, wanted(4, 0)))
    assert (found.refused is not None) == is_refused
    if is_refused:
        assert found.refused is not None
        assert "m3 uses" in found.refused
        assert "and would get 75 MiB more. Nothing was moved" in found.refused
        assert not found.actions


def test_what_a_source_gives_is_counted_by_its_share_of_slots() -> None:
    state = state_of(healthy(m0={"dataset": 1000 * MIB}, m1={"limit": 102 * MIB}))
    tenth = Move("m0", "m1", slot_range(0, 545), "copy", "")
    assert reason_not_to_fit(state, [tenth]) is None
    assert reason_not_to_fit(state, [tenth, Move("m0", "m1", slot_range(1000, 1100), "copy", "")]) is not None
    assert reason_not_to_fit(state, [tenth, Move("m0", "m2", slot_range(1000, 1100), "copy", "")]) is None


# Leaving.


def shrinking(**changes: dict[str, Any]) -> list[Node]:
    """Four shards, of which the last one leaves."""
    return healthy(4, **changes)


def test_members_that_the_topology_does_not_have_leave() -> None:
    assert [report.node_id for report in leaving(state_of(shrinking()))] == ["m3", "r3"]
    apart = strangers(["m3"], ["m0", "m1", "m2", "r0", "r1", "r2"])
    assert [report.node_id for report in leaving(state_of(shrinking(), seen=apart))] == ["r3"]


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
