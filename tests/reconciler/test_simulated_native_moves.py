"""Slots that servers move themselves, in the cluster of dictionaries: killed, failing, cancelled, with older nodes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.act import move_natively
from reconciler.act.endpoint import Endpoint
from reconciler.act.rate import JobSize
from reconciler.connection import ReplyError
from reconciler.exit_status import ExitStatus
from reconciler.observe.cluster_nodes import NodeEntry
from reconciler.observe.native_jobs import NativeWay
from reconciler.slots import members, take
from reconciler.topology import Topology
from tests.reconciler.fake_cluster import FakeCluster
from tests.reconciler.fake_node import Killed
from tests.reconciler.simulation import (
    MOVING,
    assert_formed,
    formed,
    kills,
    node_of,
    run,
    run_killed,
    start_all,
    topology,
)

pytestmark = pytest.mark.usefixtures("few_slots")

ways = st.sampled_from(NativeWay)
both = pytest.mark.parametrize("way", NativeWay)


def commands(world: FakeCluster, *words: str) -> int:
    return sum(1 for _, written in world.writes if set(words) & set(written))


@MOVING
@given(ways, st.integers(3, 5), st.integers(3, 6), st.booleans(), kills, st.floats(0.1, 3))
def test_every_slot_and_key_goes_and_no_slot_is_marked_wherever_the_run_is_killed(
    way: NativeWay, before: int, after: int, another_pool: bool, moments: list[tuple[int, bool]], job_s: float
) -> None:
    world, _ = formed(before, 1)
    world.native_way, world.job_s = way, job_s
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    pool = "big" if another_pool else "redis"
    desired = topology(after if another_pool else max(before, after), 1, pool, seeds=["redis.clients.test"])
    start_all(world, desired)
    status, _ = run(world, "form", desired, 12)
    run_killed(world, "form", desired, moments)
    assert status in (ExitStatus.DONE, ExitStatus.NOT_IN_TIME)
    assert_formed(world, desired)
    assert not commands(world, "MIGRATING", "IMPORTING", "MIGRATE")


@MOVING
@given(ways, st.integers(4, 6), kills)
def test_release_empties_what_will_go(way: NativeWay, before: int, moments: list[tuple[int, bool]]) -> None:
    world, _ = formed(before, 1)
    world.native_way = way
    smaller = topology(3, 1)
    run_killed(world, "release", smaller, moments)
    assert_formed(world, smaller)
    assert not commands(world, "MIGRATING", "MIGRATE")


@both
def test_a_job_that_fails_is_tried_again(way: NativeWay) -> None:
    world, _ = formed(3, 1)
    world.native_way, world.failing_jobs = way, ["Connection lost to target."] * 2
    desired = topology(4, 1)
    start_all(world, desired)
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)
    assert not commands(world, "MIGRATE")


@both
@pytest.mark.parametrize("refuses", [True, False])
def test_where_servers_do_not_do_it_the_keys_are_sent(way: NativeWay, refuses: bool) -> None:
    world, _ = formed(3, 1)
    world.native_way, world.clients = way, True
    if refuses:
        world.refuses_jobs = "Slot migration is not supported when modules are loaded."
    else:
        world.failing_jobs = ["Failed to process command during slot migration."] * 40
    desired = topology(4, 1)
    start_all(world, desired)
    status, lines = run(world, "form", desired, 600)
    assert status is ExitStatus.DONE, lines[-5:]
    assert_formed(world, desired)
    assert commands(world, "MIGRATE")
    assert any("do not move slots by themselves" in line for line in lines)
    assert any("get to know redis-master-3" in line for line in lines)
    assert not [job for job in world.jobs if job.runs]


@both
def test_a_full_target_is_named_and_the_slots_stay(way: NativeWay) -> None:
    world, _ = formed(3, 1)
    world.native_way, world.failing_jobs = way, ["Ran out of memory (OOM) during slot import"] * 1000
    desired = topology(4, 1)
    start_all(world, desired)
    before = {node.node_id: node.slots for node in world.living()}
    status, lines = run(world, "form", desired, 5)
    assert status is ExitStatus.NOT_IN_TIME
    assert any("redis-master-3 has no memory left" in line for line in lines)
    assert {node.node_id: node.slots for node in world.living()} == before
    assert not commands(world, "MIGRATE")


@both
@pytest.mark.parametrize("older", ["redis-master-3", "redis-replica-0-3", "redis-replica-0-0"])
def test_nodes_that_are_older_get_and_give_slots_in_the_old_way(way: NativeWay, older: str) -> None:
    world, _ = formed(3, 1)
    world.native_way = way
    desired = topology(4, 1)
    start_all(world, desired)
    node_of(world, older).is_older = True
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)
    assert commands(world, "MIGRATE")


@both
def test_a_slot_that_was_left_half_moved_in_the_old_way_is_finished_in_it(way: NativeWay) -> None:
    world, desired = formed(3, 1)
    world.native_way = way
    source, target = node_of(world, "redis-master-0"), node_of(world, "redis-master-1")
    slot = next(members(take(source.slots, 1)))
    target.importing[slot], source.migrating[slot] = source.node_id, target.node_id
    desired = topology(4, 1)
    start_all(world, desired)
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)
    assert commands(world, "IMPORT", "MIGRATESLOTS")


@both
@pytest.mark.parametrize("phase", ["form", "repair"])
def test_a_job_that_does_not_get_on_is_cancelled_and_done_anew(way: NativeWay, phase: str) -> None:
    world, _ = formed(3, 1)
    world.native_way, world.job_s = way, 10**6
    desired = topology(4, 1)
    start_all(world, desired)
    world.kill_at_word = "IMPORT" if way is NativeWay.MIGRATION else "MIGRATESLOTS"
    run_until_killed(world, desired)
    world.kill_at_word, world.job_s = None, 1.0
    status, lines = run(world, phase, desired if phase == "form" else topology(3, 1), 600)
    assert status is ExitStatus.DONE, lines[-5:]
    assert any("which does not get on" in line for line in lines)
    assert not [job for job in world.jobs if job.runs]
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)


def run_until_killed(world: FakeCluster, desired: Topology) -> None:
    with pytest.raises(Killed):
        run(world, "form", desired)
    world.end_process()


@both
def test_the_bytes_of_jobs_stay_within_the_limit(way: NativeWay) -> None:
    world, _ = formed(3, 1)
    world.native_way, world.job_s = way, 0.01
    desired = topology(4, 1, move={"bytesPerSecond": 100})
    start_all(world, desired)
    start = world.time_s
    status, lines = run(world, "form", desired, 3600)
    assert status is ExitStatus.DONE, lines[-5:]
    moved_bytes = 100 * len(node_of(world, "redis-master-3").all_keys())
    # What may go at once is what the limit gives in five seconds.
    assert world.time_s - start >= moved_bytes / 100 - 5
    assert len(world.jobs) > 3


def test_a_job_whose_target_was_busy_with_another_is_not_taken_for_a_slow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three sources give to one target, and a Redis takes part in one job at a time: each of them waits for two."""
    start_job, took_s, refused = move_natively.start_job, list[float](), list[str]()

    def busy_at_first(way: NativeWay, source: Endpoint, target: Endpoint, slots: int) -> str:
        if len(refused) % 21 < 20:
            refused.append(source.name)
            raise ReplyError(f"ERR {move_natively.BUSY}")
        refused.append("")
        return start_job(way, source, target, slots)

    monkeypatch.setattr(move_natively, "start_job", busy_at_first)
    monkeypatch.setattr(JobSize, "adapt", lambda self, carried_bytes, seconds: took_s.append(seconds))
    world, _ = formed(3, 1)
    world.native_way, world.job_s = NativeWay.MIGRATION, 1.0
    desired = topology(4, 1)
    start_all(world, desired)
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)
    assert len(took_s) >= 3
    assert max(took_s) < 1.5


@both
def test_the_last_slots_of_a_source_wait_until_it_has_heard_of_the_job_before(
    way: NativeWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that hears of two jobs in one message loses all its slots at once, and becomes the target's replica."""
    start_job, myself = move_natively.start_job, Endpoint.myself
    not_heard: dict[str, tuple[int, int]] = {}
    """Node -> slots that it still takes for its own, and how often it says so."""
    begun: list[str] = []

    def started(way: NativeWay, source: Endpoint, target: Endpoint, slots: int) -> str:
        assert not not_heard.get(source.name, (0, 0))[1]
        begun.append(source.name)
        not_heard[source.name] = (slots, 5)
        return start_job(way, source, target, slots)

    def late(endpoint: Endpoint) -> NodeEntry:
        entry = myself(endpoint)
        slots, times = not_heard.get(endpoint.name, (0, 0))
        if not times:
            return entry
        not_heard[endpoint.name] = (slots, times - 1)
        return replace(entry, slots=entry.slots | slots)

    monkeypatch.setattr(move_natively, "start_job", started)
    monkeypatch.setattr(Endpoint, "myself", late)
    world, _ = formed(3, 0)
    world.native_way, world.job_s = way, 0.2
    world.names["redis.clients.test"] = node_of(world, "redis-master-0").ip
    desired = topology(3, 0, "big", seeds=["redis.clients.test"])
    start_all(world, desired)
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)
    assert all(begun.count(source) >= 2 for source in begun)
