"""One cluster, every pod in it, and nobody in it who is gone for good."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.decide.actions import Forget, Meet, SetEpoch
from reconciler.decide.membership import (
    await_every_member,
    await_every_pod,
    await_seeds,
    finish_unless_formed,
    forget_failed_nodes,
    meet,
    name_missing_pods,
    refuse_two_clusters,
    refuse_unexpected_keys,
    set_config_epochs,
)
from reconciler.observe.observation import SeedAnswer
from reconciler.slots import NO_SLOTS, slot_range
from tests.reconciler.decide.cases import AWAY, PORT, SLOTS, Node, healthy, state_of, strangers, wanted

FAIL = frozenset({"fail"})
ALL = ["m0", "m1", "m2", "r0", "r1", "r2"]


def unformed(**changes: dict[str, Any]) -> list[Node]:
    """Six pods that have just started."""
    return healthy(**{name: {"slots": NO_SLOTS, "master": None, "epoch": 0} | changes.get(name, {}) for name in ALL})


NOBODY_MET = {(a, b): None for a in ALL for b in ALL if a != b}


# Two clusters.


def test_two_clusters_that_both_have_slots_are_never_joined() -> None:
    nodes = [*healthy(), Node("old", slot_range(0, 9))]
    found = refuse_two_clusters(state_of(nodes, seen=strangers(["old"], ALL)))
    assert found.refused is not None
    assert "2 different clusters" in found.refused
    assert "m0, m1, m2, r0, r1, r2 with 16384 slots" in found.refused
    assert "ip-old:6379 with 10 slots (0-9)" in found.refused


@pytest.mark.parametrize("slots", [NO_SLOTS, slot_range(0, 9)])
def test_a_cluster_without_slots_or_one_that_was_met_is_no_second_cluster(slots: int) -> None:
    met = {} if slots else strangers(["old"], ALL)
    assert refuse_two_clusters(state_of([*healthy(), Node("old", slots)], seen=met)).done


def test_slots_that_a_group_only_knows_of_count_too() -> None:
    # The masters of the old cluster do not answer now, and their replica does.
    nodes = [*healthy(), Node("old", slot_range(0, 9), **AWAY), Node("old-replica", master="old")]
    found = refuse_two_clusters(state_of(nodes, seen=strangers(["old", "old-replica"], ALL)))
    assert found.refused is not None


# Pods and seeds.


def test_form_waits_for_every_pod_and_a_repair_only_names_those_that_are_missing() -> None:
    state = state_of(healthy(r1=AWAY))
    assert await_every_pod(state).waiting == ("r1: nothing answers",)
    assert await_every_pod(state_of(healthy())).done
    assert name_missing_pods(state).notes == ("r1 does not answer: nothing answers",)
    assert not name_missing_pods(state).waiting


def test_a_repair_does_not_create_a_cluster() -> None:
    assert not finish_unless_formed(state_of(healthy())).finished
    found = finish_unless_formed(state_of(unformed()))
    assert found.finished
    assert found.done
    assert found.notes
    found = finish_unless_formed(state_of(unformed(m0=AWAY)))
    assert found.finished
    assert found.waiting, "a pod that is missing may own slots"


OPEN = SeedAnswer("seed", False, "DNS did not answer")


def test_no_cluster_is_created_while_a_seed_may_lead_to_one() -> None:
    assert await_seeds(state_of(unformed(), seeds=(OPEN,))).waiting == ("seed DNS did not answer",)
    assert await_seeds(state_of(unformed(), seeds=(SeedAnswer("seed", True, "no such name"),))).done
    assert await_seeds(state_of(healthy(), seeds=(OPEN,))).done, "it is formed already"


# Keys of somebody else.


@pytest.mark.parametrize(
    ("keys", "slots", "alone", "formed", "is_refused"),
    [
        (1, NO_SLOTS, True, True, True),
        (0, NO_SLOTS, True, True, False),
        (1, slot_range(0, 9), True, True, False),
        (1, NO_SLOTS, False, True, False),
        (1, NO_SLOTS, False, False, True),
    ],
)
def test_nobody_takes_a_node_that_holds_keys_of_somebody_else(
    keys: int, slots: int, alone: bool, formed: bool, is_refused: bool
) -> None:
    nodes = healthy() if formed else unformed()
    nodes = [node for node in nodes if node.name != "r2"] + [Node("r2", slots, keys=keys)]
    found = refuse_unexpected_keys(state_of(nodes, seen=strangers(["r2"], ALL[:5]) if alone else {}))
    assert (found.refused is not None) == is_refused
    if is_refused:
        assert "r2 holds 1 keys" in str(found.refused)


# Forgetting.


def test_a_failed_node_that_no_pod_has_any_more_is_forgotten_by_all_that_know_it() -> None:
    gone = Node("gone", hostname="gone.test", **AWAY)
    (action,) = forget_failed_nodes(state_of([*healthy(), gone], seen={("r1", "gone"): None})).actions
    assert isinstance(action, Forget)
    assert (action.gone, action.nodes) == ("gone", ("m0", "m1", "m2", "r0", "r2"))


@pytest.mark.parametrize(
    "more",
    [
        {"flags": frozenset({"fail?"})},
        {"slots": slot_range(0, 1)},
        {"hostname": "other.test"},
    ],
    ids=["not agreed", "has slots", "in DNS"],
)
def test_a_node_that_may_matter_is_not_forgotten(more: dict[str, Any]) -> None:
    gone = Node("gone", **({"hostname": "gone.test"} | AWAY | more))
    assert forget_failed_nodes(state_of([*healthy(), gone], other_hosts=("other.test",))).done


def test_the_master_of_a_replica_is_not_forgotten() -> None:
    gone = Node("gone", hostname="gone.test", **AWAY)
    assert forget_failed_nodes(state_of([*healthy(r1={"master": "gone"}), gone])).done


def test_slots_that_a_single_node_ascribes_to_it_keep_a_node_from_being_forgotten() -> None:
    gone = Node("gone", hostname="gone.test", **AWAY)
    assert forget_failed_nodes(state_of([*healthy(), gone], seen={("m0", "gone"): {"slots": 1}})).done


# Forming.


def test_each_new_node_gets_a_config_epoch_of_its_own() -> None:
    actions = set_config_epochs(state_of(unformed(), seen={**NOBODY_MET})).actions
    epochs = {action.node: action.config_epoch for action in actions if isinstance(action, SetEpoch)}
    assert epochs == {name: index + 1 for index, name in enumerate(ALL)}


def test_a_node_that_knows_another_or_has_an_epoch_or_a_cluster_gets_none() -> None:
    met = {**NOBODY_MET, ("m0", "m1"): {}}
    nodes = unformed(m2={"epoch": 7})
    actions = set_config_epochs(state_of(nodes, seen=met)).actions  # type: ignore[arg-type]
    assert [action.node for action in actions if isinstance(action, SetEpoch)] == ["m1", "r0", "r1", "r2"]
    lone = [node for node in healthy() if node.name != "r2"] + [Node("r2")]
    assert set_config_epochs(state_of(lone, seen=strangers(["r2"], ALL[:5]))).done
    assert set_config_epochs(state_of(unformed(m0=AWAY), seen={**NOBODY_MET})).actions


def meets(found: tuple[object, ...]) -> list[tuple[str, str]]:
    return [(action.node, action.other) for action in found if isinstance(action, Meet)]


def test_new_pods_are_met_by_one_of_them_and_gossip_tells_the_others() -> None:
    found = meet(state_of(unformed(), seen={**NOBODY_MET}))
    assert meets(found.actions) == [("m0", name) for name in ALL[1:]]
    first = found.actions[0]
    assert isinstance(first, Meet)
    assert (first.ip, first.port) == ("ip-m1", PORT)
    assert meet(state_of(healthy())).done


def test_a_newcomer_is_met_by_an_owner_of_slots() -> None:
    nodes = [node for node in healthy(m0={"slots": NO_SLOTS}) if node.name != "r2"] + [Node("r2")]
    assert meets(meet(state_of(nodes, seen=strangers(["r2"], ALL[:5]))).actions) == [("m1", "r2")]


def test_a_new_pool_is_met_by_the_cluster_that_serves() -> None:
    old = [Node(f"old{n}", SLOTS[n], epoch=n + 1) for n in range(3)]
    nodes = [*old, *unformed()]
    seen = {**NOBODY_MET, **strangers(["old0", "old1", "old2"], ALL)}
    assert meets(meet(state_of(nodes, seen=seen)).actions) == [("old0", name) for name in ALL]


def test_a_newcomer_with_keys_is_left_alone_and_said_so() -> None:
    nodes = [node for node in healthy() if node.name != "r2"] + [Node("r2", keys=4)]
    found = meet(state_of(nodes, seen=strangers(["r2"], ALL[:5])))
    assert not found.actions
    assert "holds 4 keys: it is left alone" in found.notes[0]


HANDSHAKE = {"flags": frozenset({"handshake"}), "node_id": "made-up"}


def test_a_meeting_under_way_is_not_begun_anew() -> None:
    nodes = [node for node in healthy() if node.name != "r2"] + [Node("r2")]
    apart = strangers(["r2"], ALL[:5])
    assert meet(state_of(nodes, seen={**apart, ("m0", "r2"): HANDSHAKE})).done
    # One with another address, or with another node than the one that meets, is no such meeting.
    elsewhere = {**HANDSHAKE, "ip": "old-ip"}
    assert meets(meet(state_of(nodes, seen={**apart, ("m0", "r2"): elsewhere})).actions) == [("m0", "r2")]
    assert meets(meet(state_of(nodes, seen={**apart, ("m1", "r2"): HANDSHAKE})).actions) == [("m0", "r2")]


def test_members_that_lost_each_others_address_meet_directly() -> None:
    found = meet(
        state_of(healthy(), seen={("m1", "r2"): {"ip": "old"}, ("r0", "m2"): {"flags": frozenset({"noaddr"})}})
    )
    assert meets(found.actions) == [("m1", "r2"), ("r0", "m2")]
    assert "m1 knows an old address of r2" in found.actions[0].why
    assert meet(state_of(healthy(), seen={("m1", "r2"): {"ip": "ip-r2", **HANDSHAKE}, ("r2", "m1"): {}})).done
    port = meet(state_of(healthy(), seen={("m1", "r2"): {"port": 7000}}))
    assert meets(port.actions) == [("m1", "r2")]


def test_two_members_that_never_heard_of_each_other_are_left_to_gossip_unless_it_cannot_reach_them() -> None:
    apart = {("m1", "r2"): None}
    assert meet(state_of(healthy(), seen={**apart})).done
    for broken in (("m1", "m0"), ("m0", "m1"), ("r2", "m0"), ("m0", "r2")):
        found = meets(meet(state_of(healthy(), seen={**apart, broken: {"ip": "old"}})).actions)
        assert ("m1", "r2") in found, broken
    found = meet(state_of(healthy(), seen={**apart, ("m1", "m0"): {"ip": "old"}}))
    assert any("m1 knows nothing of r2" in action.why for action in found.actions)


def test_nobody_is_met_where_nobody_answers() -> None:
    assert meet(state_of([])).done


def test_a_node_that_does_not_know_its_own_address_is_met_where_it_was_reached() -> None:
    nodes = [node for node in healthy() if node.name != "r2"] + [Node("r2")]
    state = state_of(nodes, seen=strangers(["r2"], ALL[:5]))
    report = state.by_pod["r2"]
    object.__setattr__(report.entries[0], "ip", "")
    (action,) = meet(state).actions
    assert isinstance(action, Meet)
    assert action.ip == "ip-r2"


# Leaving.


@pytest.mark.parametrize(
    ("more", "waits"),
    [
        ({"flags": FAIL}, False),
        ({"flags": frozenset({"fail?"})}, True),
        ({"flags": FAIL, "slots": slot_range(0, 4)}, True),
    ],
)
def test_before_nodes_leave_every_member_answers_or_has_failed_without_slots(more: dict[str, Any], waits: bool) -> None:
    nodes = healthy(m0={"slots": SLOTS[0] & ~slot_range(0, 4)})
    gone = Node("gone", hostname="gone.test", answers=False, **more)
    found = await_every_member(state_of([*nodes, gone]))
    assert bool(found.waiting) == waits


def test_before_nodes_leave_a_missing_pod_is_waited_for_unless_it_was_never_created() -> None:
    nodes = [node for node in healthy() if node.name != "r2"]
    assert await_every_member(state_of(nodes)).waiting == ("r2: nothing answers",)
    assert await_every_member(state_of(nodes, no_such_name=("r2",))).done


def test_a_wanted_pod_that_dns_does_not_lead_to_is_not_taken_for_one_that_leaves() -> None:
    nodes = [node for node in healthy() if node.name != "r2"]
    hidden = Node("r2-id", pod="hidden", hostname="r2.test", master="m2")
    found = await_every_member(state_of([*nodes, hidden], no_such_name=("r2",)))
    assert found.waiting == ("ip-r2-id:6379 announces r2.test, which DNS does not lead to",)


def test_wanted_covers_second_replicas() -> None:
    assert [node.pod for node in wanted(3, 2).shard(1)] == ["m1", "r1", "s1"]
