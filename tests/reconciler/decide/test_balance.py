"""Slots move to even shares, only where they fit, and as few as possible."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.decide.actions import Move
from reconciler.decide.balance import even_out_slots, even_shares, reason_not_to_fit
from reconciler.slots import NO_SLOTS, SLOT_COUNT, count, even_split, slot_range
from tests.reconciler.decide.cases import MIB, SLOTS, Node, after, healthy, moves_of, state_of, wanted

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
