"""What becomes of the slots of a master that does not answer: nothing is forced too early, and nothing is given up."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.decide.actions import Failover, TakeSlots
from reconciler.decide.failed_owners import replace_failed_owners
from reconciler.slots import NO_SLOTS, slot_range, take
from tests.reconciler.decide.cases import SLOTS, Node, healthy, state_of, wanted

FAIL = frozenset({"fail"})
SUSPECTED = frozenset({"fail?"})
PATIENCE_MS = 4 * 5000 + 5000
TTL_MS = 300_000


def dead(silent_ms: float = PATIENCE_MS, flags: frozenset[str] = FAIL, **more: Any) -> dict[str, Any]:
    return {"answers": False, "flags": flags, "silent_ms": silent_ms, **more}


def test_a_healthy_cluster_needs_nothing() -> None:
    result = replace_failed_owners(state_of(healthy()))
    assert result.done


def test_a_master_that_others_do_not_miss_yet_is_left_alone() -> None:
    found = replace_failed_owners(state_of(healthy(m1=dead(flags=frozenset()))))
    assert not found.actions
    (reason,) = found.waiting
    assert "do not miss it yet" in reason


def test_one_node_that_still_hears_a_master_is_enough_to_leave_it_alone() -> None:
    state = state_of(healthy(m1=dead()), seen={("m2", "m1"): {"flags": frozenset({"master"})}})
    found = replace_failed_owners(state)
    assert not found.actions
    (reason,) = found.waiting
    assert "do not miss it yet" in reason


@pytest.mark.parametrize(
    ("silent_ms", "flags", "is_forced"),
    [
        (PATIENCE_MS, FAIL, True),
        (PATIENCE_MS - 1, FAIL, False),
        (10 * PATIENCE_MS, SUSPECTED, False),
        (10 * PATIENCE_MS, frozenset({"noaddr"}), True),
        (0, FAIL, False),
    ],
)
def test_a_failover_is_forced_only_after_an_election_had_its_time(
    silent_ms: float, flags: frozenset[str], is_forced: bool
) -> None:
    found = replace_failed_owners(state_of(healthy(m1=dead(silent_ms, flags))))
    if is_forced:
        assert [(action.node, action.mode) for action in found.actions if isinstance(action, Failover)] == [
            ("r1", "FORCE")
        ]
        assert not found.waiting
    else:
        assert not found.actions
        assert "r1 is about to be elected" in found.waiting[0]


def test_the_patience_grows_with_the_node_timeout() -> None:
    slow = wanted(nodeTimeoutMs=10_000)
    assert not replace_failed_owners(state_of(healthy(m1=dead(44_999)), slow)).actions
    assert replace_failed_owners(state_of(healthy(m1=dead(45_000)), slow)).actions


def test_the_last_one_to_hear_of_a_master_says_for_how_long_it_is_silent() -> None:
    state = state_of(healthy(m1=dead(10 * PATIENCE_MS)), seen={("m2", "m1"): {"silent_ms": 100}})
    assert not replace_failed_owners(state).actions
    # Nodes that never heard of it do not count.
    state = state_of(healthy(m1=dead()), seen={("m2", "m1"): {"silent_ms": 0}})
    assert replace_failed_owners(state).actions


def test_the_replica_that_received_most_is_promoted() -> None:
    nodes = [*healthy(m1=dead(), r1={"offset": 10}), Node("s1", master="m1", offset=20)]
    found = replace_failed_owners(state_of(nodes, wanted(replicas=2)))
    assert [action.node for action in found.actions] == ["s1"]


@pytest.mark.parametrize("shards", [4, 5])
def test_half_of_the_masters_is_no_majority(shards: int) -> None:
    lost = {f"m{shard}": dead() for shard in range(shards // 2)}
    found = replace_failed_owners(state_of(healthy(shards, **lost), wanted(shards)))
    if shards == 4:
        assert not found.actions
        assert all("most masters do not answer" in reason for reason in found.waiting)
        assert "CLUSTER FAILOVER TAKEOVER" in found.waiting[0]
    else:
        assert {action.mode for action in found.actions if isinstance(action, Failover)} == {"FORCE"}


def test_without_a_majority_replicas_take_over_only_if_every_lost_master_is_replaced() -> None:
    lost = healthy(m0=dead(), m1=dead())
    back = [Node("new-m0", pod="m0"), Node("new-m1", pod="m1")]
    one = replace_failed_owners(state_of([*lost, back[0]]))
    assert not one.actions
    both = replace_failed_owners(state_of([*lost, *back]))
    assert [(action.node, action.mode) for action in both.actions if isinstance(action, Failover)] == [
        ("r0", "TAKEOVER"),
        ("r1", "TAKEOVER"),
    ]


# No replica is left.


def lost_shard(m1: dict[str, Any], r1: dict[str, Any], *back: Node) -> list[Node]:
    return [*healthy(m1=m1, r1=r1), *back]


NEW_MASTER = Node("new-m1", pod="m1")
NEW_REPLICA = Node("new-r1", pod="r1")


def test_a_shard_whose_pods_all_came_back_empty_gets_its_slots_again() -> None:
    found = replace_failed_owners(state_of(lost_shard(dead(), dead(), NEW_MASTER, NEW_REPLICA)))
    (taking,) = found.actions
    assert isinstance(taking, TakeSlots)
    assert (taking.node, taking.slots, taking.former) == ("new-m1", SLOTS[1], "m1")
    assert not found.waiting


def test_slots_wait_until_all_pods_of_the_shard_answer() -> None:
    found = replace_failed_owners(state_of(lost_shard(dead(), dead(), NEW_MASTER)))
    assert not found.actions
    # The old replica may be behind the pod that is missing.
    assert "r1.test (id r1) does not answer either, but may come back with the data" in found.waiting[0]
    found = replace_failed_owners(state_of(lost_shard(dead(), dead(hostname="", flags=FAIL), NEW_MASTER)))
    assert not found.actions
    # Once the replica's data has expired, the master, of which less is known, still waits for all pods.
    nodes = lost_shard(dead(), dead(TTL_MS), NEW_MASTER)
    found = replace_failed_owners(state_of(nodes))
    assert "when all its pods answer" in found.waiting[0]


@pytest.mark.parametrize(
    ("silent_ms", "flags", "is_taken"),
    [(TTL_MS, FAIL, True), (TTL_MS - 1, FAIL, False), (10 * TTL_MS, SUSPECTED, False)],
)
def test_a_master_that_may_come_back_is_given_up_when_all_its_keys_have_expired(
    silent_ms: float, flags: frozenset[str], is_taken: bool
) -> None:
    found = replace_failed_owners(state_of(lost_shard(dead(silent_ms, flags), dead(TTL_MS), NEW_REPLICA)))
    if is_taken:
        assert [(type(action), action.node) for action in found.actions] == [(TakeSlots, "new-r1")]
    else:
        assert not found.actions
        assert "given up after 300 s" in found.waiting[0]


@pytest.mark.parametrize(("silent_ms", "is_taken"), [(TTL_MS, True), (TTL_MS - 1, False)])
def test_a_replica_that_may_come_back_with_the_data_is_waited_for_as_long(silent_ms: float, is_taken: bool) -> None:
    nodes = lost_shard(dead(TTL_MS), dead(silent_ms), NEW_MASTER)
    assert bool(replace_failed_owners(state_of(nodes)).actions) == is_taken


def test_replicas_of_other_masters_have_no_say() -> None:
    nodes = [
        *healthy(m1=dead(TTL_MS), r1=dead(TTL_MS), r0={"answers": False, "flags": FAIL, "silent_ms": 1}),
        NEW_MASTER,
    ]
    assert replace_failed_owners(state_of(nodes)).actions


def test_a_pod_with_keys_but_without_slots_does_not_take_slots() -> None:
    nodes = lost_shard(dead(), dead(), Node("new-m1", pod="m1", keys=3), NEW_REPLICA)
    found = replace_failed_owners(state_of(nodes))
    assert not found.actions
    assert "holds 3 keys although it owns no slot" in found.waiting[0]
    # One that owns slots already has keys of its own.
    half = take(SLOTS[1], 100)
    nodes = [
        *healthy(m1=dead(slots=SLOTS[1] & ~half), r1=dead()),
        Node("new-m1", half, pod="m1", keys=3, epoch=9),
        NEW_REPLICA,
    ]
    assert replace_failed_owners(state_of(nodes)).actions


def test_a_replica_cannot_take_slots() -> None:
    nodes = lost_shard(dead(), dead(), Node("new-m1", pod="m1", master="m0"), Node("new-r1", pod="r1", master="m0"))
    found = replace_failed_owners(state_of(nodes))
    assert not found.actions
    assert "is a master that could take the slots" in found.waiting[0]


def test_a_taker_names_any_other_master_when_it_does_not_know_the_former_owner() -> None:
    nodes = lost_shard(dead(), dead(), NEW_MASTER, NEW_REPLICA)
    (taking,) = replace_failed_owners(state_of(nodes, seen={("new-m1", "m1"): None})).actions
    assert isinstance(taking, TakeSlots)
    assert taking.former == "m0"
    nobody = {("new-m1", node.name): None for node in nodes}
    found = replace_failed_owners(state_of(nodes, seen={**nobody}))
    assert not found.actions
    assert "does not know the cluster yet" in found.waiting[0]
    # A replica cannot be named.
    only_replicas = {("new-m1", name): None for name in ("m0", "m1", "m2", "new-r1")}
    found = replace_failed_owners(state_of(nodes, seen={**only_replicas}))
    assert not found.actions


def test_without_announced_names_the_slots_go_to_the_shard_that_lacks_them() -> None:
    names = healthy(m1=dead(hostname=""), r1=dead(hostname=""))
    back = [Node("new-m1", pod="m1", hostname="", ip="ip-m1"), Node("new-r1", pod="r1", hostname="", ip="ip-r1")]
    (taking,) = replace_failed_owners(state_of([*names, *back])).actions
    assert taking.node == "new-m1"


def anonymous(name: str, slots: int = NO_SLOTS, **more: Any) -> Node:
    return Node(name, slots, hostname="", ip=f"ip-{name}", **more)


@pytest.mark.parametrize(("own", "expected"), [(2729, "m0"), (2730, "m1")])
def test_of_shards_without_names_only_those_with_less_than_half_a_share_lack_slots(own: int, expected: str) -> None:
    # m0 has almost half of its share (2,730 is half), m1 nothing; the lost slots fall to shard 0 in an even layout.
    lost = slot_range(4000, 5000)
    nodes = [
        anonymous("m0", slot_range(0, own - 1), epoch=1),
        anonymous("m1", epoch=2),
        anonymous("m2", SLOTS[2], epoch=3),
        anonymous("gone", lost, **dead(TTL_MS)),
    ]
    (taking,) = replace_failed_owners(state_of(nodes, wanted(replicas=0))).actions
    assert taking.node == expected


def test_of_shards_that_lack_slots_equally_the_emptier_takes_them() -> None:
    lost = slot_range(12000, 12100)
    nodes = [
        anonymous("m0", slot_range(0, 9), epoch=1),
        anonymous("m1", slot_range(5500, 5504), epoch=2),
        anonymous("m2", slot_range(13000, 16383), epoch=3),
        anonymous("gone", lost, **dead(TTL_MS)),
    ]
    (taking,) = replace_failed_owners(state_of(nodes, wanted(replicas=0))).actions
    assert taking.node == "m1"


def test_when_no_shard_lacks_slots_all_of_them_are_candidates() -> None:
    nodes = [
        anonymous("m0", SLOTS[0] & ~slot_range(0, 99), epoch=1),
        anonymous("m1", SLOTS[1], epoch=2),
        anonymous("m2", SLOTS[2], epoch=3),
        anonymous("gone", slot_range(0, 99), **dead(TTL_MS)),
    ]
    (taking,) = replace_failed_owners(state_of(nodes, wanted(replicas=0))).actions
    assert taking.node == "m0"


def test_when_no_pod_of_the_topology_answers_nobody_takes_slots() -> None:
    nodes = [
        Node("old-0", SLOTS[0], epoch=1, hostname=""),
        Node("old-1", SLOTS[1], epoch=2, hostname=""),
        Node("old-2", SLOTS[2], hostname="", **dead(TTL_MS)),
    ]
    found = replace_failed_owners(state_of(nodes))
    assert not found.actions
    assert "no pod of this topology answers" in found.waiting[0]


def test_several_lost_masters_are_judged_one_by_one() -> None:
    found = replace_failed_owners(state_of(healthy(5, m0=dead(), m1=dead(1)), wanted(5)))
    assert [action.node for action in found.actions] == ["r0"]
    assert [reason.split(" ")[0] for reason in found.waiting] == ["m1.test"]
