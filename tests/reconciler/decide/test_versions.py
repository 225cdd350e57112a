"""Servers that cannot read the data of those that serve are refused before anything changes."""

from __future__ import annotations

from itertools import product

import pytest

from components.config.engines import LINES, Line, can_follow, can_share_bus, can_take_keys
from components.manifests.topology import wanted_server
from reconciler.decide.phases import next_step
from reconciler.decide.state import ClusterState
from reconciler.decide.versions import refuse_what_cannot_be_read
from reconciler.slots import NO_SLOTS
from tests.reconciler.decide.cases import SLOTS, Node, healthy, state_of, wanted

PAIRS = list(product(LINES, LINES))


def runs(line: Line) -> tuple[str, tuple[int, int]]:
    return line.engine.value, (line.major, line.minor)


def roll(before: Line, after: Line) -> ClusterState:
    nodes = healthy(**{name: {"server": runs(before)} for name in ("m0", "m1", "m2", "r0", "r1", "r2")})
    return state_of(nodes, wanted(server=wanted_server(after)))


def other_pool(before: Line, after: Line, mode: str = "copy") -> ClusterState:
    nodes = [Node(f"old{shard}", SLOTS[shard], server=runs(before)) for shard in range(3)]
    return state_of(nodes, wanted(server=wanted_server(after), move={"mode": mode}))


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=lambda line: line.title)
def test_a_roll_is_refused_where_the_new_server_could_not_follow_the_old_one(before: Line, after: Line) -> None:
    refused = refuse_what_cannot_be_read(roll(before, after)).refused
    assert (refused is None) == can_follow(after, before)


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=lambda line: line.title)
def test_a_pool_is_refused_that_could_not_read_the_keys_of_the_old_one(before: Line, after: Line) -> None:
    refused = refuse_what_cannot_be_read(other_pool(before, after)).refused
    assert (refused is None) == can_take_keys(after, before)
    without_keys = refuse_what_cannot_be_read(other_pool(before, after, "expire")).refused
    assert (without_keys is None) == can_share_bus(after, before)


def test_what_stays_as_it_is_is_never_refused() -> None:
    assert all(can_follow(line, line) and can_take_keys(line, line) for line in LINES)


@pytest.mark.parametrize("phase", ["form", "release"])
def test_the_refusal_comes_before_any_action_and_says_what_to_do(phase: str) -> None:
    old, new = (
        next(line for line in LINES if line.title == "Redis 7.4"),
        next(line for line in LINES if line.title == "Valkey 9.1"),
    )
    for state, last in ((roll(old, new), "or later"), (other_pool(old, new), "resize.mode to expire")):
        step = next_step(phase, state.observation, state.desired)
        assert not step.actions
        assert step.refused is not None
        assert "runs Redis 7.4, and Valkey 9.1 cannot read its data (at most 7.2 of that engine)" in step.refused
        assert last in step.refused


def test_redis_8_and_valkey_are_kept_apart_whichever_comes_first_and_however_the_slots_move() -> None:
    redis, valkey = (next(line for line in LINES if line.title == title) for title in ("Redis 8.2", "Valkey 8.0"))
    for before, after in ((redis, valkey), (valkey, redis)):
        for state in (roll(before, after), other_pool(before, after), other_pool(before, after, "expire")):
            refused = refuse_what_cannot_be_read(state).refused or ""
            assert f"runs {before.title}, and {after.title} cannot be in one cluster with it" in refused


def test_only_what_serves_counts() -> None:
    later = ("redis", (8, 6))
    desired = wanted(server=wanted_server(next(line for line in LINES if line.title == "Redis 7.2")))
    nodes = [*healthy(), Node("stray", NO_SLOTS, server=later)]
    assert refuse_what_cannot_be_read(state_of(nodes, desired)).refused is None
    assert refuse_what_cannot_be_read(state_of(healthy(r0={"server": later}), desired)).refused is None
    assert refuse_what_cannot_be_read(state_of(healthy(m0={"server": later}), desired)).refused is not None
