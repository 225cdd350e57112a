"""What is read out of a load's report."""

from __future__ import annotations

import threading
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from redis.crc import key_slot
from redis.exceptions import AuthenticationError

from tests.faults import load
from tests.faults.load import Worker, shard_keys, value_of, version_in
from tests.faults.measure import Gap, longest_gap, measure

moments = st.lists(st.integers(0, 1000), min_size=2, unique=True).map(lambda times: [t / 10 for t in sorted(times)])


@given(moments)
def test_the_longest_gap_is_one_between_neighbours(acks: list[float]) -> None:
    gap = longest_gap(acks, since=-1.0, until=acks[-1])
    assert gap.seconds == max(later - earlier for earlier, later in pairwise(acks))
    assert gap.ended


@given(moments, st.integers(11, 1000))
def test_a_gap_that_never_ends_is_told_from_one_that_did(acks: list[float], more: int) -> None:
    open_s = more / 10
    gap = longest_gap(acks, since=-1.0, until=acks[-1] + open_s)
    widest = max(later - earlier for earlier, later in pairwise(acks))
    assume(abs(widest - open_s) > 0.01)
    assert gap.ended == (widest > open_s)
    assert gap.seconds == pytest.approx(max(widest, open_s))


@given(moments, st.floats(0, 100))
def test_what_was_over_before_the_fault_does_not_count(acks: list[float], fault_at: float) -> None:
    gap = longest_gap(acks, since=fault_at, until=acks[-1])
    assert gap.seconds <= max([0.0, *(later - earlier for earlier, later in pairwise(acks) if later > fault_at)])


@given(moments, st.floats(0, 100), st.floats(0, 20))
def test_a_stall_of_the_measuring_process_never_makes_a_gap_longer(
    acks: list[float], begin: float, length: float
) -> None:
    plain = longest_gap(acks, -1.0, acks[-1])
    assert longest_gap(acks, -1.0, acks[-1], [(begin, begin + length)]).seconds <= plain.seconds


def test_a_stall_inside_a_gap_is_not_counted() -> None:
    assert longest_gap([0, 5], -1, 5, [(1, 3), (4.5, 9)]) == Gap(2.5)


@given(st.integers(0, 10_000), st.integers(20, 300))
def test_a_value_tells_its_version_and_no_other_does(version: int, size: int) -> None:
    value = value_of("key", version, size)
    assert len(value) == size
    assert version_in("key", value, size) == version
    assert version_in("key", value[:-1], size) is None
    assert version_in("other", value, size) is None
    assert version_in("key", None, size) is None


@given(st.integers(1, 8))
def test_keys_lie_in_the_shard_they_are_made_for(shards: int) -> None:
    for shard in range(shards):
        for key in shard_keys(shard, shards, "x", 3):
            assert key_slot(key.encode()) * shards // 16384 == shard


def report(found: int | None, **more: Any) -> dict[str, Any]:
    """A key acknowledged as version 1 (before a fault at 10), 2 and 3 (after it), and tried as 4."""
    shard = {
        "requests": [[9.0, 9.1, "set", "ok"], [10.0, 12.0, "get", "ConnectionError"], [12.0, 12.1, "get", "ok"]],
        "acks": [9.0, 12.5],
        "acknowledged": {"key": [[1, 9.0], [2, 11.0], [3, 12.0]]},
        "tried": {"key": 4},
        "found": {"key": found},
        "unreadable": [],
        "sent_again": 0,
        "tracebacks": [],
    }
    return {"ended": 13.0, "stalls": [], "shards": [shard | more]}


@pytest.mark.parametrize(
    ("found", "lost", "before", "after"),
    [(4, 0, 0, 0), (3, 0, 0, 0), (2, 0, 0, 1), (1, 0, 0, 1), (0, 0, 1, 1), (None, 1, 0, 0), (5, 1, 0, 0)],
)
def test_lost_keys_and_lost_updates_are_told_apart(found: int | None, lost: int, before: int, after: int) -> None:
    measured = measure(report(found), fault_at=10.0)
    assert (measured.lost_keys, measured.lost_updates_before, measured.lost_updates_after) == (lost, before, after)


def test_a_key_nobody_could_read_is_not_called_lost() -> None:
    measured = measure(report(None, unreadable=["key"]), fault_at=10.0)
    assert (measured.lost_keys, measured.unreadable) == (0, 1)


def test_failures_are_counted_by_the_error_that_reached_the_caller() -> None:
    measured = measure(report(3), fault_at=10.0)
    assert (measured.requests, measured.failed, measured.errors) == (3, 1, {"ConnectionError": 1})
    assert measured.write_gap == Gap(3.5)


def test_the_last_lost_acknowledgement_is_dated_from_the_fault() -> None:
    assert measure(report(1), fault_at=10.0).shards[0].last_lost_ack_s == 2.0


class SlowClient:
    """A client that takes so many seconds of a made-up clock for each answer, and after some only errors."""

    def __init__(self, seconds: float, answers: int) -> None:
        self.now, self._seconds, self._left = 0.0, seconds, answers

    def get(self, key: str) -> bytes:
        self.now += self._seconds
        if self._left == 0:
            raise AuthenticationError("invalid username-password pair")
        self._left -= 1
        return value_of(key, 1, 100)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("answers", "unreadable"), [(1000, 0), (1, 159), (0, 160)])
def test_keys_that_are_slow_to_read_are_readable_and_those_that_are_not_come_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, answers: int, unreadable: int
) -> None:
    client = SlowClient(1.0, answers)
    monkeypatch.setattr(load, "cluster_client", lambda _: client)
    monkeypatch.setattr(load, "time", SimpleNamespace(monotonic=lambda: client.now, sleep=client.sleep))
    config = {"value_bytes": 100, "seed": 1, "shards": 1, "prefix": "", "keys_per_shard": 80, "endpoint": ""}
    worker = Worker(config, 0, threading.Event())
    worker.acknowledged = {key: [(1, 0.0)] for key in (*worker.old, *worker.new)}
    found = worker.check()
    assert len(found["unreadable"]) == unreadable
    assert len(found["found"]) == 160 - unreadable
    assert ("invalid username-password pair" in "".join(worker.tracebacks)) == bool(unreadable)
    # All that cannot be read are given up together.
    assert client.now < 160 + 2 * load._CHECK_DEADLINE_S


UNKNOWN_NODE = "'NoneType' object has no attribute 'redis_connection'"


@pytest.mark.parametrize(
    ("errors", "outcome", "sent_again"),
    [
        ([], "ok", 0),
        ([AttributeError(UNKNOWN_NODE)], "ok", 1),
        ([AttributeError(UNKNOWN_NODE)] * 2, "AttributeError", 1),
        ([AttributeError("another")], "AttributeError", 0),
        ([AuthenticationError()], "AuthenticationError", 0),
    ],
)
def test_a_request_that_was_led_to_an_unknown_node_is_sent_again_once_and_counted(
    monkeypatch: pytest.MonkeyPatch, errors: list[Exception], outcome: str, sent_again: int
) -> None:
    left = iter(errors)

    def get(key: str) -> bytes:
        for error in left:
            raise error
        return value_of(key, 1, 100)

    monkeypatch.setattr(load, "cluster_client", lambda _: SimpleNamespace(get=get))
    config = {"value_bytes": 100, "seed": 1, "shards": 1, "prefix": "", "keys_per_shard": 1, "endpoint": ""}
    worker = Worker(config, 0, threading.Event())
    worker._timed("get", worker.old[0])
    assert [request[-1] for request in worker.requests] == [outcome]
    assert worker.sent_again == sent_again
