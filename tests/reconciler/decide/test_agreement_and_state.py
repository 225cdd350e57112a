"""What is so in a cluster of which every node has a table of its own, and when the nodes agree."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.decide.agreement import (
    await_agreement,
    await_cluster_ok,
    disagreements,
    reasons_not_to_move,
    unsettled_epochs,
)
from reconciler.decide.other_runs import await_other_runs, leave_to_other_runs
from reconciler.decide.state import first_few
from reconciler.slots import ALL_SLOTS, NO_SLOTS, slot_range
from tests.reconciler.decide.cases import AWAY, SLOTS, Node, healthy, state_of, strangers, wanted

ALL = ["m0", "m1", "m2", "r0", "r1", "r2"]


# Agreement.


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (None, "m1 does not know m0 yet"),
        ({"flags": frozenset({"master", "fail?"})}, "m1 is not connected to m0 yet"),
        ({"connected": False}, "m1 is not connected to m0 yet"),
        ({"slots": SLOTS[0] & ~1}, "m1 believes that m0 owns"),
        ({"slots": SLOTS[0] | 1 << 16383}, "m1 believes that m0 owns"),
        ({"flags": frozenset({"slave"})}, "m1 does not know yet whether m0 is a master"),
    ],
)
def test_nodes_agree_when_each_knows_each_other_as_it_is(change: dict[str, Any] | None, reason: str) -> None:
    state = state_of(healthy(), seen={("m1", "m0"): change})
    (found,) = disagreements(state)
    assert reason in found
    assert await_agreement(state).waiting == (found,)


def test_a_healthy_cluster_agrees_and_strangers_do_not_matter() -> None:
    assert await_agreement(state_of(healthy())).done
    nodes = [*healthy(), Node("old", **AWAY)]
    assert not disagreements(state_of(nodes))
    assert not disagreements(state_of([*healthy(), Node("old")], seen=strangers(["old"], ALL)))


def test_a_node_may_not_know_the_owner_of_a_slot_that_it_imports() -> None:
    seen = {("m1", "m0"): {"slots": SLOTS[0] & ~(1 << 5)}}
    assert not disagreements(state_of(healthy(m1={"importing": {5: "m0"}}), seen={**seen}))
    assert disagreements(state_of(healthy(m1={"importing": {6: "m0"}}), seen={**seen}))


def test_slots_that_are_still_ascribed_to_a_replica_are_a_disagreement() -> None:
    found = disagreements(state_of(healthy(), seen={("m1", "r0"): {"slots": 1}}))
    assert "m1 believes that r0 owns 1 slot (0), and it owns no slots" in found[0]


def test_a_slot_with_two_owners_is_a_disagreement() -> None:
    found = disagreements(state_of(healthy(m0={"slots": SLOTS[0] | 1 << 16383})))
    assert found == ["more than one node owns 1 slot (16383)"]


def test_slots_move_only_to_nodes_that_serve_and_between_epochs_that_are_settled() -> None:
    assert reasons_not_to_move(state_of(healthy()), ["m0", "m1"]) == ()
    state = state_of(healthy(m1={"cluster_ok": False}))
    assert reasons_not_to_move(state, ["m0", "m1"]) == ("m1 does not accept commands of clients yet",)
    assert reasons_not_to_move(state, ["m0"]) == ()
    assert reasons_not_to_move(state, ["gone"]) == ("id gone does not accept commands of clients yet",)
    state = state_of(healthy(m1={"epoch": 1}))
    assert reasons_not_to_move(state, ["m2"]) == (
        "m0 and m1 have the same config epoch; m1 and m0 have the same config epoch",
    )


def test_epochs_are_settled_when_every_owner_has_its_own_and_every_master_knows_it() -> None:
    assert unsettled_epochs(state_of(healthy())) == []
    assert unsettled_epochs(state_of(healthy(), seen={("m1", "m0"): {"config_epoch": 7}})) == [
        "m1 does not know the config epoch of m0 yet"
    ]
    assert unsettled_epochs(state_of(healthy(), seen={("m1", "m0"): None})) == []
    # Of masters without slots it does not matter, unless an owner shares theirs; replicas have their master's.
    empty = [*healthy(), Node("m3", epoch=0), Node("m4", epoch=0)]
    assert unsettled_epochs(state_of(empty)) == []
    assert unsettled_epochs(state_of([*healthy(), Node("m3", epoch=1)])) == [
        "m0 and ip-m3:6379 have the same config epoch"
    ]
    assert unsettled_epochs(state_of(empty, seen={("m3", "m0"): {"config_epoch": 9}})) == [
        "ip-m3:6379 does not know the config epoch of m0 yet"
    ]


def test_form_ends_when_every_pod_serves_and_every_slot_has_an_owner() -> None:
    assert await_cluster_ok(state_of(healthy())).done
    found = await_cluster_ok(state_of(healthy(r1={"cluster_ok": False}, m0={"slots": SLOTS[0] & ~1})))
    assert found.waiting == ("r1 does not report cluster_state ok yet", "nobody owns 1 slot (0)")


# Other runs.


def test_a_run_waits_for_others_and_not_for_itself() -> None:
    nodes = healthy(m0={"runs": frozenset({"mine", "theirs"})})
    found = await_other_runs(state_of(nodes, own_run="mine"))
    assert not found.done
    assert "another run is moving slots" in found.waiting[0]
    assert "(theirs)" in found.waiting[0]
    alone = healthy(m0={"runs": frozenset({"mine"})})
    assert await_other_runs(state_of(alone, own_run="mine")).done
    assert not leave_to_other_runs(state_of(alone, own_run="mine")).finished
    left = leave_to_other_runs(state_of(nodes, own_run="mine"))
    assert left.finished
    assert left.done
    assert "another run is moving slots" in left.notes[0]


# The state.


def test_owners_are_believed_about_themselves_and_others_about_owners_that_are_away() -> None:
    nodes = healthy(m1={"answers": False, "slots": SLOTS[1] | slot_range(0, 9)})
    state = state_of(nodes)
    assert state.slots_by_owner == {"m0": SLOTS[0], "m2": SLOTS[2]}
    assert state.slots_of_unreachable == {"m1": SLOTS[1]}, "what m0 claims is not m1's"
    assert state.unowned_slots == NO_SLOTS
    assert state.unreachable_ids == ("m1",)
    assert state_of(healthy(m1={"answers": False, "slots": NO_SLOTS})).slots_of_unreachable == {}
    assert state_of(healthy(m0={"slots": SLOTS[0] & ~7})).unowned_slots == 7


def test_slots_that_a_replica_seems_to_have_are_not_owned() -> None:
    assert "r0" not in state_of(healthy(r0={"slots": 1})).slots_by_owner


@pytest.mark.parametrize(("slots", "is_formed"), [(NO_SLOTS, False), (1, True)])
def test_a_cluster_is_formed_when_anybody_owns_a_slot(slots: int, is_formed: bool) -> None:
    nodes = healthy(m0={"slots": slots}, m1={"slots": NO_SLOTS}, m2={"slots": NO_SLOTS})
    state = state_of(nodes)
    assert state.is_formed == is_formed
    assert (state.unowned_slots == ALL_SLOTS) != is_formed


@pytest.mark.parametrize(
    ("shards", "lost", "expected"), [(3, 1, True), (3, 2, False), (4, 2, False), (4, 1, True), (5, 2, True)]
)
def test_a_majority_is_more_than_half_of_the_masters_with_slots(shards: int, lost: int, expected: bool) -> None:
    nodes = healthy(shards, **{f"m{n}": AWAY for n in range(lost)})
    assert state_of(nodes, wanted(shards)).has_majority == expected


def test_a_master_without_slots_has_no_vote() -> None:
    nodes = [*healthy(m0=AWAY, m1=AWAY), Node("x"), Node("y")]
    assert not state_of(nodes).has_majority


def test_names_are_for_people() -> None:
    nodes = [
        *healthy(),
        Node("0123456789", hostname="old.test", **AWAY),
        Node("9876543210", hostname="", **AWAY),
        Node("stranger"),
    ]
    state = state_of(nodes)
    assert state.name("m0") == "m0"
    assert state.name("stranger") == "ip-stranger:6379"
    assert state.name("0123456789") == "old.test (id 01234567)"
    assert state.name("9876543210") == "ip-9876543210:6379 (id 98765432)"
    assert state.name("aaaaaaaaaaaa") == "id aaaaaaaa"


def test_groups_of_nodes_that_know_each_other_are_clusters() -> None:
    nodes = [*healthy(), Node("a"), Node("b"), Node("c")]
    apart = strangers(["a", "b", "c"], ALL) | {("a", "b"): None, ("a", "c"): None, ("c", "a"): None}
    apart |= {("b", "c"): None, ("c", "b"): None}
    # Only b knows a; that is enough. Nobody knows c.
    clusters = {frozenset(cluster) for cluster in state_of(nodes, seen=apart).clusters}
    assert clusters == {frozenset(ALL), frozenset({"a", "b"}), frozenset({"c"})}
    # One node that knows both groups makes them one.
    bridge = {**apart, ("c", "a"): {}, ("c", "m0"): {}}
    assert len(state_of(nodes, seen=bridge).clusters) == 1  # type: ignore[arg-type]


def test_others_join_the_cluster_with_slots_else_the_one_with_most_pods_else_that_of_the_first_pod() -> None:
    slotless = {f"m{n}": {"slots": NO_SLOTS} for n in range(3)}
    two_groups = strangers(["m0", "r0"], ["m1", "m2", "r1", "r2"])
    assert state_of(healthy(**slotless), seen=two_groups).main_cluster == {"m1", "m2", "r1", "r2"}
    even = strangers(["m1", "r0", "r1"], ["m0", "m2", "r2"])
    assert state_of(healthy(**slotless), seen=even).main_cluster == {"m0", "m2", "r2"}
    late = [*reversed(healthy(**slotless))]
    assert state_of(late, seen=even).main_cluster == {"m0", "m2", "r2"}
    with_slots = healthy(m1={"slots": NO_SLOTS}, m2={"slots": NO_SLOTS})
    assert state_of(with_slots, seen=two_groups).main_cluster == {"m0", "r0"}
    nobody = [Node("x"), Node("y")]
    assert state_of(nobody, seen={("x", "y"): None, ("y", "x"): None}).main_cluster in ({"x"}, {"y"})
    assert state_of([]).main_cluster == frozenset()


def test_the_master_of_a_shard_is_who_owns_most_slots_else_the_initial_one_else_any() -> None:
    def master(**changes: dict[str, Any]) -> str | None:
        report = state_of(healthy(**changes)).shard_masters.get(0)
        return report.node_id if report else None

    free: dict[str, Any] = {"slots": NO_SLOTS}
    assert master() == "m0"
    assert master(r0={"master": None}) == "m0"
    assert master(m0=free, r0={"master": None, "slots": SLOTS[0]}) == "r0"
    assert master(m0={"slots": 1}, r0={"master": None, "slots": 6}) == "r0"
    assert master(m0={"slots": 6}, r0={"master": None, "slots": 1}) == "m0"
    assert master(m0=free, r0={"master": None}) == "m0"
    assert master(m0={**free, "master": "m1"}, r0={"master": None}) == "r0"
    assert master(m0={**free, "master": "m1"}) is None
    assert master(m0=AWAY) is None


def test_replicas_of_a_master_come_with_the_most_advanced_first() -> None:
    nodes = [*healthy(r0={"offset": 5}), Node("s0", master="m0", offset=9), Node("x", master="m0", offset=7, **AWAY)]
    assert [replica.node_id for replica in state_of(nodes).replicas_of("m0")] == ["s0", "r0"]
    assert state_of(healthy(r0={"master": None})).replicas_of("m0") == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"r0": {"link_up": False}}, False),
        ({"m0": {"online": 0}}, False),
        ({"m0": {"online": 2}}, True),
        ({"m0": AWAY}, False),
    ],
)
def test_a_replica_has_caught_up_when_it_confirms_what_its_living_master_sends(
    changes: dict[str, Any], expected: bool
) -> None:
    state = state_of(healthy(**changes))
    assert state.is_caught_up(state.by_pod["r0"]) == expected


def test_a_host_without_a_name_is_nobodys() -> None:
    state = state_of(healthy())
    assert state.node_of_host("") is None
    assert state.node_of_host("else") is None
    found = state.node_of_host("r1.test")
    assert found is not None
    assert found.pod == "r1"


@pytest.mark.parametrize(
    ("number", "said"), [(2, "0; 1"), (3, "0; 1; 2"), (4, "0; 1; 2 and 1 more"), (9, "0; 1; 2 and 6 more")]
)
def test_of_many_texts_a_few_are_shown(number: int, said: str) -> None:
    assert first_few(map(str, range(number))) == said
