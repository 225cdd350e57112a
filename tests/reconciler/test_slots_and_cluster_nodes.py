"""Slot sets and the reading of CLUSTER NODES."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.observe.cluster_nodes import parse_cluster_nodes
from reconciler.slots import ALL_SLOTS, SLOT_COUNT, count, describe, even_split, members, ranges, slot_set, take

slot_sets = st.frozensets(st.integers(0, SLOT_COUNT - 1), max_size=40) | st.builds(
    lambda first, length: frozenset(range(first, min(SLOT_COUNT, first + length))),
    st.integers(0, SLOT_COUNT - 1),
    st.integers(0, 3000),
)


@given(slot_sets)
def test_a_slot_set_is_the_set_it_was_made_of(slots: frozenset[int]) -> None:
    made = slot_set(slots)
    assert set(members(made)) == slots
    assert count(made) == len(slots)
    spans = list(ranges(made))
    assert all(following[0] > span[1] + 1 for span, following in itertools.pairwise(spans))


@given(slot_sets, st.integers(0, 50))
def test_taking_gives_the_lowest_slots(slots: frozenset[int], wanted: int) -> None:
    assert list(members(take(slot_set(slots), wanted))) == sorted(slots)[:wanted]


@given(st.integers(1, 1000))
def test_an_even_split_gives_every_slot_once_and_differs_by_one_at_most(shards: int) -> None:
    parts = even_split(shards)
    assert sum(parts) == ALL_SLOTS
    assert sum(map(count, parts)) == SLOT_COUNT
    assert max(map(count, parts)) - min(map(count, parts)) <= 1
    assert all(len(list(ranges(part))) == 1 for part in parts)


def test_three_shards_are_split_where_redis_cli_splits_them() -> None:
    assert [next(ranges(part)) for part in even_split(3)] == [(0, 5460), (5461, 10922), (10923, 16383)]


def test_slots_are_described_for_people() -> None:
    assert describe(0) == "no slots"
    assert describe(slot_set([7])) == "1 slot (7)"
    assert describe(slot_set([1, 2, 3, 9])) == "4 slots (1-3,9)"


NODES = """\
aaa 10.0.0.1:6379@16379,redis-master-0.test,shard-id=5f5a myself,master - 0 0 3 connected 0-99 200 [7->-bbb] [300-<-ccc]
bbb 10.0.0.2:6379@16379 master,fail? - 1700000000000 1700000001000 2 disconnected 100-199
ccc :0@0 master,fail,noaddr - 1 1 1 disconnected
ddd fd00::5:6379@16379,? slave aaa 0 1700000004000 3 connected
eee 10.0.0.9:6379@16379 handshake - 0 0 0 disconnected
"""


def test_every_form_of_a_line_of_cluster_nodes_is_read() -> None:
    mine, suspect, gone, replica, stranger = parse_cluster_nodes(NODES, clock_ms=1_700_000_005_000)
    assert (mine.ip, mine.port, mine.hostname, mine.config_epoch) == ("10.0.0.1", 6379, "redis-master-0.test", 3)
    assert set(members(mine.slots)) == {*range(100), 200}
    assert (mine.migrating, mine.importing) == (((7, "bbb"),), ((300, "ccc"),))
    assert suspect.suspected
    assert not suspect.failed
    assert suspect.silent_ms == 4000
    assert gone.failed
    assert "noaddr" in gone.flags
    assert gone.ip == ""
    assert (replica.ip, replica.master_id, replica.is_master, replica.hostname) == ("fd00::5", "aaa", False, "")
    assert stranger.in_handshake


def test_a_line_of_another_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match="CLUSTER NODES"):
        parse_cluster_nodes("what is this")
