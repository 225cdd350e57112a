"""Clients get to know the target of a move before slots are half moved, in the cluster of dictionaries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.plan.resize import DISCOVERY_SECONDS, DISCOVERY_SECONDS_MAX
from reconciler.act.client_discovery import HEARD_WAIT_S, LAST_WAIT_S, ROUND_WAIT_S, SLOTS_BY_ROUND
from reconciler.act.slot_mover import one_to_each_target
from reconciler.decide.actions import Move
from reconciler.exit_status import ExitStatus
from reconciler.slots import SLOT_COUNT
from tests.reconciler.fake_node import Killed
from tests.reconciler.simulation import (
    MOVING,
    assert_formed,
    formed,
    node_of,
    run,
    run_killed,
    start_all,
    topology,
)

pytestmark = pytest.mark.usefixtures("few_slots")


@MOVING
@given(st.integers(0, 2), st.floats(0.5, 6))
def test_slots_wait_until_every_node_that_a_client_may_ask_has_heard_of_their_target(shard: int, late_s: float) -> None:
    """A client that asks a node for the topology would forget a target that this node has not heard of."""
    world, _ = formed(3, 1)
    world.clients = True
    desired = topology(4, 1)
    start_all(world, desired)
    late = node_of(world, f"redis-replica-0-{shard}")
    target = node_of(world, "redis-master-3")
    late.deaf = True
    began_s: list[float] = []
    ahead: list[int] = []

    def look() -> None:
        if target.slots and not began_s:
            began_s.append(world.time_s)
        if began_s and world.time_s >= began_s[0] + late_s:
            ahead.append(target.slots.bit_count())
            late.deaf = False
        else:
            world.events.append((world.time_s, look))

    world.events.append((world.time_s, look))
    status, lines = run(world, "form", desired)
    assert status is ExitStatus.DONE, lines
    assert len(ahead) == 1
    assert ahead[0] <= SLOTS_BY_ROUND[0], "many slots moved before everybody had heard"
    assert_formed(world, desired)


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
            world.end_process()
    world.kill_at, world.kill_after = len(world.writes) + after_writes, done
    try:
        run(world, "form", desired)
    except Killed:
        world.sleep(1)
    world.kill_at = None
    status, lines = run(world, "repair", desired)
    assert status is ExitStatus.DONE, lines
    assert sum(node.slots.bit_count() for node in world.living() if node.master_id is None) == SLOT_COUNT
    run_killed(world, "form", desired, [])
    assert_formed(world, desired)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("defg")), unique=True, min_size=1))
def test_every_target_gets_known_once_and_from_a_source_that_gives_it_slots(pairs: list[tuple[str, str]]) -> None:
    moves = [Move(source, target, 1 << number, "copy", "test") for number, (source, target) in enumerate(pairs)]
    by_source = one_to_each_target(moves)
    assert {source: {move.source for move in mine} for source, mine in by_source.items()} == {s: {s} for s in by_source}
    chosen = [move for mine in by_source.values() for move in mine]
    assert sorted(move.target for move in chosen) == sorted({target for _, target in pairs})
    assert all(move in moves for move in chosen)


def test_the_plan_counts_the_longest_that_clients_are_waited_for() -> None:
    rounds_s = (len(SLOTS_BY_ROUND) - 1) * ROUND_WAIT_S + LAST_WAIT_S
    # Who has come is waited for as long again.
    assert DISCOVERY_SECONDS < HEARD_WAIT_S + 2 * rounds_s <= DISCOVERY_SECONDS_MAX
