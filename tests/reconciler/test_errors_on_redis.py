"""A node that answers with an error lives: no phase takes it for lost."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import redis

from tests.reconciler.servers import Fleet, Server, eventually

pytestmark = pytest.mark.redis

Reconcile = Callable[..., tuple[int, str]]


@contextmanager
def all_connections_taken(server: Server) -> Iterator[None]:
    server.call("CONFIG", "SET", "maxclients", 30)
    held = [socket.create_connection((server.ip, server.port)) for _ in range(60)]

    def refused() -> bool:
        # A refused connection is answered before anything is asked.
        with socket.create_connection((server.ip, server.port), timeout=0.2) as connection, suppress(TimeoutError):
            return b"max number of clients" in connection.recv(200)
        return False

    eventually(refused)
    try:
        yield
    finally:
        for connection in held:
            connection.close()


@contextmanager
def busy(server: Server) -> Iterator[None]:
    server.call("CONFIG", "SET", "busy-reply-threshold", 50)

    def run() -> None:
        with suppress(redis.RedisError):
            server.call("EVAL", "while true do end", 0)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def is_busy() -> bool:
        try:
            server.call("PING")
        except redis.RedisError as error:
            return "BUSY" in str(error)
        return False

    eventually(is_busy)
    try:
        yield
    finally:
        server.call("SCRIPT", "KILL")
        thread.join(10)


STATES = {
    "max clients": (all_connections_taken, "clients have taken all its connections (maxclients)"),
    "BUSY": (busy, "it runs a script or a function and answers nobody else"),
}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("phase", ["repair", "form"])
def test_a_master_that_answers_with_an_error_keeps_its_slots_and_the_log_says_what_to_do(
    fleet: Fleet, reconcile: Reconcile, name: str, phase: str
) -> None:
    fleet.formed(3)
    master, replica = fleet.servers["redis-master-0"], fleet.servers["redis-replica-0"]
    slots = master.myself.slots
    state, reason = STATES[name]
    with state(master):
        status, output = reconcile(phase, fleet.topology(3, bringHome=True), "--deadline", "8")
    assert status == 1, output
    assert reason in output
    if phase == "repair":
        assert "redis-master-0 lives, but answered with an error" in output
    for action in ("Failover", "Forget", "TakeSlots", "AssignSlots", "Replicate"):
        assert f"{phase}: {action}:" not in output
    assert master.myself.slots == slots
    assert not replica.myself.is_master
    status, output = reconcile(phase, fleet.topology(3, bringHome=True))
    assert status == 0, output


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("CONFIG", "SET", "requirepass", "another"), "REDISCLI_AUTH"),
        (("ACL", "SETUSER", "default", "-info", "-cluster|nodes"), "permissions"),
    ],
    ids=["NOAUTH", "NOPERM"],
)
def test_a_master_that_lets_nobody_in_is_not_taken_for_lost(
    fleet: Fleet, reconcile: Reconcile, command: tuple[str, ...], reason: str
) -> None:
    fleet.formed(3)
    fleet.servers["redis-master-0"].call(*command)
    status, output = reconcile("repair", fleet.topology(3), "--deadline", "6")
    assert status == 1, output
    assert reason in output
    assert "redis-master-0 lives, but answered with an error" in output
    assert "Failover:" not in output
    assert not fleet.servers["redis-replica-0"].myself.is_master
