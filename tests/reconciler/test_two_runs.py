"""Two runs at once: no phase changes anything while another run is at work, and nothing is left undone after it."""

from __future__ import annotations

import pytest

from reconciler.act.run_lock import RunLock
from reconciler.connection import Connections
from reconciler.exit_status import ExitStatus
from reconciler.observe.observer import observe
from reconciler.slots import take
from tests.reconciler.fake_cluster import OTHER_RUN, FakeCluster
from tests.reconciler.simulation import assert_formed, formed, node_of, run, start_all, topology

pytestmark = pytest.mark.usefixtures("few_slots")

BUSY = "another run is moving slots"


def with_a_slot_on_its_way(world: FakeCluster) -> None:
    """As a second run may find it: nobody owns the slot while its source has given it and its target not taken it."""
    source, target = node_of(world, "redis-master-0"), node_of(world, "redis-master-1")
    slot = take(source.slots, 1)
    for key in source.keys.pop(slot.bit_length() - 1, set()):
        world.precious.discard(key)
    for node in world.living():
        if source.node_id in node.table:
            node.table[source.node_id].slots &= ~slot
    source.slots &= ~slot

    def arrive() -> None:
        target.epoch = 1 + max(node.epoch for node in world.living())
        target.slots |= slot
        world.other_run_ends()

    world.events.append((world.time_s + 30, arrive))


@pytest.mark.parametrize("phase", ["form", "release"])
def test_form_and_release_wait_for_another_run_without_any_action_and_then_go_on(phase: str) -> None:
    world, _ = formed(4, 1)
    desired = topology(4 if phase == "form" else 3, 1)
    world.other_run_begins()
    with_a_slot_on_its_way(world)
    before, writes_while_busy = len(world.writes), list[int]()
    world.events.append((world.time_s + 29, lambda: writes_while_busy.append(len(world.writes))))

    status, lines = run(world, phase, desired, 300)

    assert status is ExitStatus.DONE, lines
    assert writes_while_busy == [before]
    assert BUSY in lines[0]
    assert OTHER_RUN in lines[0]
    assert_formed(world, desired)


def test_a_run_that_waits_in_vain_says_what_for_when_its_deadline_ends() -> None:
    world, _ = formed(3, 1)
    desired = topology(4, 1)
    start_all(world, desired)
    world.other_run_begins()
    before = len(world.writes)

    status, lines = run(world, "form", desired, 60)

    assert status is ExitStatus.NOT_IN_TIME
    assert len(world.writes) == before
    assert any(BUSY in line for line in lines[-2:]), lines


def test_a_repair_leaves_everything_to_the_next_one_while_another_run_is_at_work() -> None:
    world, desired = formed(3, 1)
    world.other_run_begins()
    with_a_slot_on_its_way(world)
    before = len(world.writes)

    status, lines = run(world, "repair", desired)

    assert status is ExitStatus.DONE
    assert len(world.writes) == before
    assert any(BUSY in line for line in lines)
    assert "done, 0 actions" in lines[-1]
    world.sleep(40)
    assert run(world, "repair", desired)[0] is ExitStatus.DONE
    assert_formed(world, desired)


def test_a_repair_that_has_nothing_to_do_asks_nobody_for_its_clients() -> None:
    world, desired = formed(3, 1)
    world.other_run_begins()
    status, lines = run(world, "repair", desired)
    assert status is ExitStatus.DONE
    assert not any(BUSY in line for line in lines)


def test_another_run_that_begins_after_the_observation_is_noticed_before_the_first_action() -> None:
    world, _ = formed(3, 1)
    desired = topology(4, 1)
    start_all(world, desired)
    # The first name is taken between the look at the nodes and the lock.
    begun: list[int] = []
    connect = world.named

    def named(name: str) -> object:
        network = connect(name)
        original = network.connect

        def connect_late(address: tuple[str, int]) -> object:
            if not begun:
                begun.append(len(world.writes))
                world.other_run_begins()
                world.events.append((world.time_s + 20, lambda: begun.append(len(world.writes))))
                world.events.append((world.time_s + 20, world.other_run_ends))
            return original(address)

        network.connect = connect_late  # type: ignore[method-assign, assignment]
        return network

    world.named = named  # type: ignore[method-assign, assignment]
    status, lines = run(world, "form", desired, 300)
    assert status is ExitStatus.DONE, lines
    assert begun[0] == begun[1], "something was changed while another run held the lock"
    assert_formed(world, desired)


def lock_of(world: FakeCluster, name: str) -> RunLock:
    return RunLock(world.named(name), name)


def test_of_two_runs_that_want_the_lock_at_most_one_gets_it_and_it_is_free_after_that() -> None:
    world, desired = formed(3, 1)
    connections = Connections(world, in_threads=False)
    reports = observe(connections, desired).reports
    connections.close()
    first, second = lock_of(world, "reconciler-mover:form:a"), lock_of(world, "reconciler-mover:form:b")
    for one, other in ((first, second), (second, first)):
        assert one.acquire(reports)
        before_s = world.time_s
        assert not other.acquire(reports)
        assert world.time_s - before_s < 3
        assert one.is_held
        assert not other.is_held
        one.release()
        assert not one.is_held
    assert not +world.named_connections


def test_of_two_runs_that_see_each_other_the_one_whose_name_sorts_first_gets_the_lock() -> None:
    world, desired = formed(3, 1)
    connections = Connections(world, in_threads=False)
    reports = observe(connections, desired).reports
    connections.close()
    # The other has named its connections too, sees this one, and gives way a moment later.
    world.other_run_begins()
    world.events.append((world.time_s + 0.5, world.other_run_ends))
    assert not lock_of(world, "reconciler-mover:form:1").acquire(reports), "two would wait for each other"
    assert lock_of(world, "reconciler-mover:a").acquire(reports)


def test_a_master_that_went_away_does_not_keep_a_run_from_the_lock() -> None:
    world, desired = formed(3, 1)
    connections = Connections(world, in_threads=False)
    reports = observe(connections, desired).reports
    connections.close()
    node_of(world, "redis-master-0").alive = False
    assert lock_of(world, "reconciler-mover:form:a").acquire(reports)
