"""Whole runs against the cluster of dictionaries: generated topologies and accidents, killed at generated moments."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler.act import Actor
from reconciler.actions import TakeSlots
from reconciler.link import Links
from reconciler.loop import Outcome, Run
from reconciler.observe import observe
from reconciler.slots import ALL_SLOTS, NO_SLOTS, SLOT_COUNT, members, take
from reconciler.topology import Desired, parse_topology
from tests.reconciler.fake_cluster import FakeCluster, Killed, Node

SIMULATED = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)

# Moves are sixteen thousand slots a time.
MOVING = settings(SIMULATED, max_examples=5)

key_sizes = st.sampled_from([100, 40 << 20])
"""Slots of one step, and slots of several."""

kills = st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=4)


def topology(shards: int, replicas: int, prefix: str = "redis", **more: Any) -> Desired:
    pods = [(f"{prefix}-master-{shard}", shard, "master") for shard in range(shards)]
    pods += [
        (f"{prefix}-replica-{copy}-{shard}", shard, "replica") for copy in range(replicas) for shard in range(shards)
    ]
    nodes = [{"pod": pod, "host": f"{pod}.test", "shard": shard, "role": role} for pod, shard, role in pods]
    return parse_topology(json.dumps({"pool": prefix, "nodes": nodes, **more}))


def start_all(world: FakeCluster, desired: Desired) -> None:
    taken = len(world.ever())
    for index, node in enumerate(desired.nodes):
        if node.host not in world.names:
            world.start(node.pod, f"10.0.{(taken + index) // 250}.{1 + (taken + index) % 250}")


def run(world: FakeCluster, phase: str, desired: Desired, deadline_s: float = 60) -> tuple[Outcome, list[str]]:
    lines: list[str] = []
    outcome = Run(phase, desired, world, lambda name: world, lines.append, deadline_s, sources_at_once=1).run()
    return outcome, lines


def run_killed(world: FakeCluster, phase: str, desired: Desired, moments: list[tuple[int, bool]]) -> list[str]:
    """Runs killed at the given counts of writes, before or after the write is done; then one that ends."""
    for after_writes, done in moments:
        world.kill_at, world.kill_after = len(world.writes) + after_writes, done
        try:
            run(world, phase, desired)
        except Killed:
            world.sleep(1)
    world.kill_at = None
    outcome, lines = run(world, phase, desired)
    assert outcome is Outcome.DONE, lines[-8:]
    return lines


def node_of(world: FakeCluster, pod: str) -> Node:
    return next(node for node in world.nodes.values() if node.hostname == f"{pod}.test")


def assert_formed(world: FakeCluster, desired: Desired) -> None:
    owned = NO_SLOTS
    for shard in range(desired.shard_count):
        nodes = [node_of(world, node.pod) for node in desired.shard(shard)]
        masters = [node for node in nodes if node.master_id is None]
        assert len(masters) == 1
        assert all(node.master_id == masters[0].node_id for node in nodes if node is not masters[0])
        assert not owned & masters[0].slots, "a slot has two owners"
        owned |= masters[0].slots
        assert not masters[0].migrating
        assert not masters[0].importing
    assert owned == ALL_SLOTS


def fill(world: FakeCluster, desired: Desired) -> None:
    for node in list(world.living()):
        for slot in list(members(node.slots))[::200]:
            node.keys[slot] = {f"{slot}:{index}".encode() for index in range(3)}
    world.gossip()
    world.precious = world.all_keys()


def slot_of(key: bytes) -> int:
    return int(key.split(b":")[0])


def formed(shards: int, replicas: int) -> tuple[FakeCluster, Desired]:
    world, desired = FakeCluster(), topology(shards, replicas)
    start_all(world, desired)
    run_killed(world, "form", desired, [])
    fill(world, desired)
    return world, desired


def test_the_same_run_twice_does_nothing_the_second_time() -> None:
    world, desired = formed(3, 1)
    before = len(world.writes)
    for phase in ("form", "repair", "release"):
        outcome, lines = run(world, phase, desired)
        assert outcome is Outcome.DONE, lines
    assert len(world.writes) == before


@SIMULATED
@given(st.integers(3, 6), st.integers(0, 2), kills)
def test_any_topology_is_formed_however_often_the_run_is_killed(
    shards: int, replicas: int, moments: list[tuple[int, bool]]
) -> None:
    world, desired = FakeCluster(), topology(shards, replicas)
    start_all(world, desired)
    run_killed(world, "form", desired, moments)
    assert_formed(world, desired)


@SIMULATED
@given(st.integers(3, 5), st.sets(st.integers(0, 9), max_size=3), st.booleans(), kills)
def test_pods_that_come_back_without_their_volume_are_taken_in_again(
    shards: int, lost: set[int], elected_first: bool, moments: list[tuple[int, bool]]
) -> None:
    world, desired = formed(shards, 1)
    pods = [desired.nodes[index % len(desired.nodes)] for index in sorted(lost)]
    for node in {pod.pod: pod for pod in pods}.values():
        node_of(world, node.pod).alive = False
    world.precious &= world.all_keys()
    if elected_first:
        world.sleep(3)
    for node in {pod.pod: pod for pod in pods}.values():
        world.start(node.pod, node_of(world, node.pod).ip)
    run_killed(world, "repair", desired, moments)
    assert_formed(world, desired)
    known = {node_id for node in world.living() for node_id in node.table}
    assert known <= {node.node_id for node in world.living()}, "a dead node is still remembered"


@MOVING
@given(st.integers(3, 5), st.integers(3, 8), key_sizes, kills)
def test_growing_moves_slots_with_their_keys(
    before: int, after: int, key_bytes: int, moments: list[tuple[int, bool]]
) -> None:
    world, _ = formed(before, 1)
    world.clients, world.key_bytes = True, key_bytes
    desired = topology(max(before, after), 1)
    start_all(world, desired)
    run_killed(world, "form", desired, [(writes * 40, done) for writes, done in moments])
    assert_formed(world, desired)
    counts = [node.slots.bit_count() for node in world.living() if node.slots]
    assert max(counts) - min(counts) <= 0.04 * sum(counts) / len(counts) + 2


@MOVING
@given(st.integers(3, 5), st.integers(3, 5), st.integers(0, 1), key_sizes, kills)
def test_a_new_pool_takes_every_slot_and_key_from_the_old_one(
    old: int, new: int, replicas: int, key_bytes: int, moments: list[tuple[int, bool]]
) -> None:
    world, _ = formed(old, replicas)
    world.key_bytes = key_bytes
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    desired = topology(new, replicas, "big", seeds=["redis.clients.test"])
    start_all(world, desired)
    run_killed(world, "form", desired, [(writes * 100, done) for writes, done in moments])
    assert_formed(world, desired)


@MOVING
@given(st.integers(4, 6), st.integers(0, 1), kills)
def test_release_empties_what_will_go_and_forgets_it(
    before: int, replicas: int, moments: list[tuple[int, bool]]
) -> None:
    world, _ = formed(before, replicas)
    smaller = topology(3, replicas)
    run_killed(world, "release", smaller, [(writes * 60, done) for writes, done in moments])
    staying = {node_of(world, node.pod).node_id for node in smaller.nodes}
    assert_formed(world, smaller)
    for node in world.living():
        if node.node_id in staying:
            assert set(node.table) | {node.node_id} == staying
        else:
            assert not node.slots
    outcome, lines = run(world, "form", smaller)
    assert outcome is Outcome.DONE, lines


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
    run_killed(world, "form", desired, [(writes * 40, done) for writes, done in moments])
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
        world.kill_at, world.kill_after = len(world.writes) + 40 * after_writes, done
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


@SIMULATED
@given(st.sampled_from(["form", "repair"]), st.integers(1, 200), st.integers(0, 16000))
def test_slots_that_all_others_give_to_a_master_that_does_not_own_them_are_its_own_again(
    phase: str, number: int, first: int
) -> None:
    # As when the source of a slot raises its config epoch just as the target has taken it, and is told it is gone.
    world, desired = formed(3, 1)
    world.precious = set()
    owner = next(node for node in world.living() if node.slots >> first & 1)
    former = next(node for node in world.living() if node.slots and node is not owner)
    lost = take(owner.slots & ~((1 << first) - 1), number)
    owner.slots &= ~lost
    owner.table[former.node_id].slots |= lost
    run_killed(world, phase, desired, [])
    assert owner.slots & lost == lost
    assert_formed(world, desired)


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


def test_slots_another_owns_by_now_are_not_taken() -> None:
    world, desired = formed(3, 1)
    owner, taker = node_of(world, "redis-master-0"), node_of(world, "redis-master-1")
    links = Links(world)
    observed = observe(links, desired, "reconciler-mover:00000000", look_for_movers=False)
    taking = TakeSlots(taker.node_id, take(owner.slots, 3), owner.node_id, "as it seemed")
    before = owner.slots
    failures = Actor(links, observed).perform([taking])
    links.close()
    assert len(failures) == 1
    assert "owned by" in failures[0]
    assert owner.slots == before
    assert not taker.slots & before


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


def test_expire_drops_no_more_keys_per_second_than_the_budget_allows() -> None:
    world, _ = formed(3, 1)
    world.precious = set()
    budget = 4
    desired = topology(4, 1, move={"mode": "expire", "extraMissesPerSecond": budget})
    for node in world.living():
        node.keys = {}
        for slot in members(node.slots & ~take(node.slots, node.slots.bit_count() - 20)):
            node.keys[slot] = {f"{slot}:{index}".encode() for index in range(2)}
    start_all(world, desired)
    start = world.time_s
    outcome, lines = run(world, "form", desired, 600)
    assert outcome is Outcome.DONE, lines
    assert_formed(world, desired)
    assert len(world.dropped) == 3 * 20 * 2
    for when, _ in world.dropped:
        so_far = sum(1 for earlier, _ in world.dropped if earlier <= when)
        assert so_far <= budget * (when - start) + 3 * 16


def test_a_pod_of_another_pool_that_is_only_away_is_not_forgotten() -> None:
    world, old = formed(3, 1)
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    new = topology(3, 1, "big", seeds=["redis.clients.test"])
    start_all(world, new)
    run_killed(world, "form", new, [])
    away = node_of(world, "big-replica-0-1")
    away.alive = False
    world.sleep(30)
    outcome, lines = run(world, "repair", old)
    assert outcome is Outcome.DONE, lines
    assert all(away.node_id in node.table for node in world.living())
    del world.names[away.hostname]
    run(world, "repair", old)
    assert not any(away.node_id in node.table for node in world.living())


def test_slots_of_a_lost_shard_are_given_up_only_when_everything_in_it_has_expired() -> None:
    world, desired = formed(3, 1)
    world.precious = set()
    for pod in ("redis-master-1", "redis-replica-0-1"):
        node_of(world, pod).alive = False
    world.start("redis-replica-0-1", node_of(world, "redis-replica-0-1").ip)
    world.names["redis-replica-0-1.test"] = node_of(world, "redis-replica-0-1").ip
    outcome, lines = run(world, "repair", desired, 60)
    assert outcome is Outcome.NOT_IN_TIME
    assert not node_of(world, "redis-replica-0-1").slots
    world.sleep(desired.move.ttl_seconds)
    outcome, lines = run(world, "repair", desired, 60)
    assert outcome is Outcome.DONE, lines
    assert node_of(world, "redis-replica-0-1").slots


def test_a_shard_whose_pods_all_copy_others_gets_a_master_again() -> None:
    world, desired = formed(4, 1)
    # As after a shrink under cluster-allow-replica-migration: the emptied pair follows another master, then comes back.
    smaller = topology(3, 1)
    run_killed(world, "release", smaller, [])
    world.check()
    for pod in ("redis-master-3", "redis-replica-0-3"):
        node = node_of(world, pod)
        node.master_id, node.keys, node.slots = node_of(world, "redis-master-0").node_id, {}, NO_SLOTS
    world.sleep(100)
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)


def test_a_master_that_goes_hands_over_to_its_replica_that_stays() -> None:
    world, _ = formed(3, 1)
    world.promote(node_of(world, "redis-replica-0-1"), node_of(world, "redis-master-1"))
    world.gossip()
    smaller = topology(3, 0)
    before = len(world.writes)
    run_killed(world, "release", smaller, [])
    assert_formed(world, smaller)
    assert {words[0] for _, words in world.writes[before:]} == {"CLUSTER"}, "keys were moved where a failover does"


def test_a_target_that_clients_do_not_know_is_introduced_before_slots_are_half_moved() -> None:
    world, _ = formed(3, 1)
    world.clients = True
    desired = topology(4, 1)
    start_all(world, desired)
    newcomer = node_of(world, "redis-master-3").node_id
    before = len(world.writes)
    lines = run_killed(world, "form", desired, [])
    assert any("get to know redis-master-3" in line for line in lines)
    marks = [words[3] for _, words in world.writes[before:] if words[1] == "SETSLOT" and newcomer in words]
    # One slot on its own, all the way, before any is left half moved for longer.
    assert marks[:2] == ["MIGRATING", "NODE"]


@MOVING
@given(st.integers(0, 40), st.booleans())
def test_an_introduction_that_is_cut_off_is_finished(after_writes: int, done: bool) -> None:
    world, _ = formed(3, 1)
    world.clients = True
    desired = topology(4, 1)
    start_all(world, desired)
    while not any("MIGRATING" in words for _, words in world.writes):
        world.kill_at = len(world.writes) + 3
        try:
            run(world, "form", desired)
        except Killed:
            continue
    world.kill_at, world.kill_after = len(world.writes) + after_writes, done
    try:
        run(world, "form", desired)
    except Killed:
        world.sleep(1)
    world.kill_at = None
    outcome, lines = run(world, "repair", desired)
    assert outcome is Outcome.DONE, lines
    assert sum(node.slots.bit_count() for node in world.living() if node.master_id is None) == SLOT_COUNT
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)


def test_a_second_change_while_one_is_under_way_is_refused_and_a_repair_leaves_it_alone() -> None:
    world, _ = formed(3, 1)
    world.other_mover = True
    desired = topology(4, 1)
    start_all(world, desired)
    outcome, lines = run(world, "form", desired)
    assert outcome is Outcome.REFUSED
    assert "another run is moving slots" in lines[-1]
    source, target = node_of(world, "redis-master-0"), node_of(world, "redis-master-1")
    target.importing[0] = source.node_id
    source.migrating[0] = target.node_id
    before = len(world.writes)
    outcome, lines = run(world, "repair", desired, 20)
    assert outcome is Outcome.NOT_IN_TIME
    assert len(world.writes) == before
    world.other_mover = False
    assert run(world, "repair", desired)[0] is Outcome.DONE
    assert run(world, "form", desired)[0] is Outcome.DONE
    assert_formed(world, desired)


def test_a_dns_failure_is_no_proof_that_there_is_no_cluster() -> None:
    world, desired = FakeCluster(), topology(3, 0, seeds=["redis.clients.test"])
    start_all(world, desired)
    world.names["redis.clients.test"] = None
    outcome, lines = run(world, "form", desired, 20)
    assert outcome is Outcome.NOT_IN_TIME
    assert any("redis.clients.test" in line for line in lines)
    assert not world.writes
    del world.names["redis.clients.test"]
    assert run(world, "form", desired)[0] is Outcome.DONE


def test_a_seed_that_resolves_but_does_not_answer_is_no_proof_either() -> None:
    world, desired = FakeCluster(), topology(3, 0, seeds=["redis.clients.test"])
    start_all(world, desired)
    world.names["redis.clients.test"] = "10.9.9.9"
    assert run(world, "form", desired, 20)[0] is Outcome.NOT_IN_TIME
    assert not world.writes


def test_a_pool_that_cannot_hold_the_data_is_refused_and_nothing_moves() -> None:
    world, _ = formed(3, 0)
    owners = {node.node_id: node.slots for node in world.living() if node.slots}
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    desired = topology(3, 0, "small", seeds=["redis.clients.test"])
    start_all(world, desired)
    for node in desired.nodes:
        node_of(world, node.pod).max_bytes = 500
    outcome, lines = run(world, "form", desired)
    assert outcome is Outcome.REFUSED
    assert "maxmemory" in lines[-1]
    assert {node.node_id: node.slots for node in world.living() if node.slots} == owners


def test_without_a_majority_and_without_proof_nothing_is_forced() -> None:
    world, desired = formed(3, 1)
    before = len(world.writes)
    for pod in ("redis-master-0", "redis-master-1"):
        node_of(world, pod).alive = False
        del world.names[f"{pod}.test"]
    outcome, lines = run(world, "repair", desired, 60)
    assert outcome is Outcome.NOT_IN_TIME
    assert any("most masters do not answer" in line for line in lines)
    assert len(world.writes) == before


def test_a_master_comes_home_again_before_votes_may_repeat_and_writes_are_not_held_back_for_long() -> None:
    world, _ = formed(3, 1)
    home = topology(3, 1, bringHome=True)
    for _ in range(3):
        world.promote(node_of(world, "redis-replica-0-1"), node_of(world, "redis-master-1"))
        world.gossip()
        before_s = world.time_s
        outcome, lines = run(world, "repair", home)
        assert outcome is Outcome.DONE, lines
        assert node_of(world, "redis-master-1").slots
        assert world.time_s - before_s < 5, "Redis itself gave up the hand-over"
    assert [words[1:] for _, words in world.writes if words[1] == "FAILOVER"].count(("FAILOVER", "TAKEOVER")) == 2


def test_masters_come_home_one_at_a_time_and_only_when_asked() -> None:
    world, desired = formed(3, 1)
    for shard in (0, 2):
        world.promote(node_of(world, f"redis-replica-0-{shard}"), node_of(world, f"redis-master-{shard}"))
    world.gossip()
    before = len(world.writes)
    assert run(world, "repair", desired)[0] is Outcome.DONE
    assert len(world.writes) == before
    home = topology(3, 1, bringHome=True)
    outcome, lines = run(world, "repair", home)
    assert outcome is Outcome.DONE, lines
    assert [words[1] for _, words in world.writes[before:]] == ["FAILOVER", "FAILOVER"]
    assert all(node_of(world, f"redis-master-{shard}").slots for shard in range(3))
