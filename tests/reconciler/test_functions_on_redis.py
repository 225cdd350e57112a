"""Libraries of functions on real redis-servers: every master that gets slots has them first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.reconciler.servers import Fleet, Server, assert_formed, await_sync

pytestmark = pytest.mark.redis

Reconcile = Callable[..., tuple[int, str]]

KEYS = 300


def code(name: str = "images", answer: str = "1") -> str:
    return (
        f"#!lua name={name}\n"
        f"redis.register_function('{name}_get', function(keys) return redis.call('GET', keys[1]) or '{answer}' end)\n"
    )


def load(servers: list[Server], text: str) -> None:
    for server in servers:
        server.call("FUNCTION", "LOAD", "REPLACE", text)


def names(server: Server) -> set[str]:
    """Of the libraries a server has."""
    return {entry[1].decode() for entry in server.call("FUNCTION", "LIST")}


def masters(fleet: Fleet) -> list[Server]:
    return [server for server in fleet.servers.values() if server.myself.is_master and server.myself.slots]


class Calls(threading.Thread):
    """Calls a function of keys in every shard through an ordinary cluster client, again and again."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(daemon=True)
        self._client: Any = fleet.client()
        self._end = threading.Event()
        self.failures: list[str] = []
        self.wrong = self.made = 0

    def __enter__(self) -> Calls:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self.join(30)
        self._client.close()

    def run(self) -> None:
        while not self._end.is_set():
            key = f"key:{self.made % KEYS}"
            self.made += 1
            try:
                answer = self._client.fcall("images_get", 1, key)
                self.wrong += answer.rstrip(b".") != str((self.made - 1) % KEYS).encode()
            except Exception as error:
                self.failures.append(f"{key}: {error!r}")


def is_excused(fleet: Fleet, failure: str) -> bool:
    """A Valkey 8 moves a slot in parts, and leads clients to a node that has no slot yet. redis-py knows none of these
    (redis/redis-py#4015)."""
    info = fleet.servers["redis-master-0"].info("server")
    return str(info.get("valkey_version", "")).startswith("8.") and "no attribute 'redis_connection'" in failure


@pytest.mark.parametrize("prefix", ["redis", "other"], ids=["more masters", "another pool"])
def test_no_call_fails_while_slots_move_to_masters_that_join(fleet: Fleet, reconcile: Reconcile, prefix: str) -> None:
    fleet.formed(3)
    load(masters(fleet), code())
    fleet.write(KEYS)
    if prefix == "redis":
        fleet.shards(2, first=3)
        wanted = fleet.topology(5)
    else:
        fleet.shards(3, prefix="other")
        wanted = fleet.topology(3, "other", seeds=[fleet.servers["redis-master-0"].ip])
    with Calls(fleet) as calls:
        status, output = reconcile("form", wanted)
    assert status == 0, output
    assert "LoadLibrary" in output
    assert [failure for failure in calls.failures if not is_excused(fleet, failure)] == []
    assert calls.wrong == 0
    assert calls.made > 100
    wanted_pods = [server for pod, server in fleet.servers.items() if pod.startswith(prefix)]
    assert all(names(server) == {"images"} for server in wanted_pods)


def test_a_repair_gives_the_functions_to_a_shard_that_came_back_empty(fleet: Fleet, reconcile: Reconcile) -> None:
    fleet.formed(3)
    load(masters(fleet), code())
    for pod in ("redis-master-1", "redis-replica-1"):
        fleet.servers[pod].kill()
    for pod in ("redis-master-1", "redis-replica-1"):
        fleet.servers[pod].start()
    status, output = reconcile("repair", fleet.topology(3))
    assert status == 0, output
    await_sync(fleet)
    assert_formed(fleet, 3)
    assert all(names(server) == {"images"} for server in masters(fleet))


def test_a_repair_changes_no_version_on_a_master_that_serves_and_names_it(fleet: Fleet, reconcile: Reconcile) -> None:
    fleet.formed(3)
    first, second, third = masters(fleet)
    load([first, second], code())
    load([third], code(answer="2"))
    status, output = reconcile("repair", fleet.topology(3))
    assert status == 0, output
    assert "0 actions" in output
    assert "has another version of the library images" in output
    with fleet.client() as client:
        assert {client.fcall("images_get", 1, f"nothing:{index}") for index in range(50)} == {b"1", b"2"}


def test_a_library_that_a_master_cannot_load_stops_form_before_any_slot_moves_and_the_reason_is_said(
    fleet: Fleet, reconcile: Reconcile
) -> None:
    fleet.formed(3)
    load(masters(fleet), code())
    fleet.shards(1, first=3)
    newcomer = fleet.servers["redis-master-3"]
    newcomer.call("CONFIG", "SET", "maxmemory", 1)
    status, output = reconcile("form", fleet.topology(4), "--deadline", "20")
    assert status == 1
    assert "redis-master-3 gets the library images" in output
    assert "command not allowed when used memory > 'maxmemory'" in output
    assert not newcomer.myself.slots
