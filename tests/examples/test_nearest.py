"""Which copy of a shard the application in Python reads from. `zones.py` shows it of all four, with real pods."""

from __future__ import annotations

import importlib.util
import itertools
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import ConnectionError, TimeoutError

from tests.examples.programs import EXAMPLES

KEY = "image:1.jpg"
LIMIT = 2


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("nearest", EXAMPLES / "redis-py/nearest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NEAREST = _module()
MASTER, NEAR, FAR = (ClusterNode(f"redis-{name}", 6379) for name in ("master", "near", "far"))


@pytest.fixture
def client() -> Any:
    """A client that knows one shard, and whose thread does not run."""
    made = NEAREST.NearestCluster.__new__(NEAREST.NearestCluster)
    made._answers, made._seconds = {}, {}
    made._turns, made._commands_per_node = {}, LIMIT
    slot = RedisCluster.keyslot(SimpleNamespace(encoder=SimpleNamespace(encode=str.encode)), KEY)
    manager = SimpleNamespace(
        slots_cache={slot: [MASTER, NEAR, FAR]}, get_node_from_slot=lambda *_: MASTER, nodes_cache={}
    )
    made.nodes_manager = manager
    made.determine_slot = lambda *_: slot
    made.read_from_replicas, made.load_balancing_strategy = False, None
    return made


def answered(client: Any, monkeypatch: pytest.MonkeyPatch, node: ClusterNode, *seconds: float) -> None:
    """PINGs that took so long."""
    for took in seconds:
        now = itertools.count(0, took)
        monkeypatch.setattr(NEAREST.time, "monotonic", lambda now=now: next(now))
        client.get_redis_connection = lambda _: SimpleNamespace(ping=lambda: True)
        client._ask(node)


def reads_from(client: Any) -> ClusterNode:
    (found,) = client.get_nodes_from_slot("GET", "GET", KEY)
    assert isinstance(found, ClusterNode)
    return found


def test_until_somebody_has_answered_the_master_is_read(client: Any) -> None:
    assert reads_from(client) is MASTER


def test_the_shortest_answer_decides_and_not_the_last(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(client, monkeypatch, MASTER, 1.2, 1.1)
    answered(client, monkeypatch, FAR, 1.3)
    answered(client, monkeypatch, NEAR, 0.4, 9.0)
    assert reads_from(client) is NEAR


def test_an_answer_of_long_ago_is_forgotten(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(client, monkeypatch, MASTER, 1.0)
    answered(client, monkeypatch, NEAR, 0.4, *[2.0] * NEAREST.ANSWERS)
    assert reads_from(client) is MASTER
    assert client._answers[NEAR.name] == deque([2.0] * NEAREST.ANSWERS)


def test_writes_go_to_the_master(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(client, monkeypatch, NEAR, 0.4)
    assert client.get_nodes_from_slot("SET", "SET", KEY, b"") == [MASTER]


@pytest.mark.parametrize("error", [ConnectionError, TimeoutError])
def test_after_a_read_without_an_answer_the_retry_goes_to_another_copy(
    client: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    answered(client, monkeypatch, NEAR, 0.4)
    answered(client, monkeypatch, FAR, 1.2)

    def fails(*_: Any, **__: Any) -> None:
        raise error("gone")

    monkeypatch.setattr(RedisCluster, "_execute_command", fails)
    with pytest.raises(error):
        client._execute_command(NEAR, "GET", KEY)
    assert reads_from(client) is FAR


def test_a_ping_without_an_answer_takes_a_copy_out_until_the_next_one(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(client, monkeypatch, MASTER, 1.2)
    answered(client, monkeypatch, NEAR, 0.4)

    def silent(_: ClusterNode) -> None:
        raise ConnectionError("nobody")

    client.get_redis_connection = silent
    client._ask(NEAR)
    assert reads_from(client) is MASTER
    answered(client, monkeypatch, NEAR, 0.5)
    assert reads_from(client) is NEAR


def test_who_waits_for_a_lost_node_keeps_nobody_from_another_and_waits_for_a_turn_no_longer_than_for_an_answer(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NEAREST, "TURN_WITHIN_S", 0.1)
    waiting, told = threading.Semaphore(0), threading.Event()

    def sent(_: Any, node: ClusterNode, *__: Any) -> str:
        if node is FAR:
            waiting.release()
            told.wait(10)
        return node.name

    monkeypatch.setattr(RedisCluster, "_execute_command", sent)
    with ThreadPoolExecutor(LIMIT) as threads:
        lost = [threads.submit(client._execute_command, FAR, "SET", KEY, b"") for _ in range(LIMIT)]
        try:
            assert all(waiting.acquire(timeout=10) for _ in lost)
            assert client._execute_command(NEAR, "GET", KEY) == NEAR.name
            with pytest.raises(TimeoutError, match="redis-far:6379 is busy"):
                client._execute_command(FAR, "GET", KEY)
        finally:
            told.set()
        assert [item.result() for item in lost] == [FAR.name] * LIMIT
    assert client._execute_command(FAR, "GET", KEY) == FAR.name
