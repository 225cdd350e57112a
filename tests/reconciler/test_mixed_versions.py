"""Servers of different versions and engines in one cluster: during a roll, and while a pool takes over from another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import redis

from components.config.engines import LINES, Engine, Line, can_follow, can_share_bus, can_take_keys
from components.manifests.topology import wanted_server
from sandbox.host.servers import REDIS, VALKEY, ServerProgram, servers
from tests.reconciler.load import Load
from tests.reconciler.servers import Fleet, Server, assert_formed, eventually

pytestmark = [pytest.mark.redis, pytest.mark.second_look]

Reconcile = Callable[..., tuple[int, str]]
KEYS = 300


def server(engine: str, *version: int) -> ServerProgram:
    return next(found for found in servers() if (found.engine, found.version[: len(version)]) == (engine, version))


def line_of(program: ServerProgram) -> Line:
    return next(line for line in LINES if (line.engine.value, (line.major, line.minor)) == _numbers(program))


def _numbers(program: ServerProgram) -> tuple[str, tuple[int, int]]:
    # Debian's Redis is of a line before the first that is accepted, and reads and is read as that one is.
    major, minor = max(program.version[:2], (7, 2))
    return program.engine, (major, minor)


OLD_REDIS, NEW_REDIS, NEW_VALKEY = server(REDIS, 7, 0), server(REDIS, 8, 2), server(VALKEY, 9)


@pytest.fixture
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Of the first server of the test's pair."""
    fleet = Fleet(request.getfixturevalue("before").path)
    try:
        yield fleet
    finally:
        fleet.close()


def in_sync(server: Server) -> bool:
    return server.info("replication").get("master_link_status") == "up"


def have_swapped(master: Server, replica: Server) -> bool:
    return replica.myself.is_master and not master.myself.is_master


def replace(server: Server, program: ServerProgram) -> None:
    """The pod's container starts anew from another image, with its volume."""
    kept = server.kill()
    server.program = program.path
    server.start(kept)


@pytest.mark.parametrize(
    ("before", "after"),
    [(OLD_REDIS, NEW_REDIS), (OLD_REDIS, NEW_VALKEY)],
    ids=lambda program: program.title,
)
def test_a_roll_to_a_server_that_can_follow_loses_no_key(
    fleet: Fleet, reconcile: Reconcile, before: ServerProgram, after: ServerProgram
) -> None:
    assert can_follow(line_of(after), line_of(before))
    fleet.formed(3)
    fleet.write(KEYS)
    topology = fleet.topology(3, server=wanted_server(line_of(after)))
    status, output = reconcile("release", topology)
    assert status == 0, output
    with Load(fleet, KEYS) as load:
        for shard in range(3):
            replica = fleet.servers[f"redis-replica-{shard}"]
            replace(replica, after)
            eventually(partial(in_sync, replica), 20)
        for shard in range(3):
            master, replica = (fleet.servers[f"redis-{role}-{shard}"] for role in ("master", "replica"))
            replica.call("CLUSTER", "FAILOVER")
            eventually(partial(have_swapped, master, replica), 20)
            replace(master, after)
            eventually(partial(in_sync, master), 20)
    status, output = reconcile("form", topology)
    assert status == 0, output
    assert_formed(fleet, 3)
    assert load.misses == 0
    assert fleet.read(KEYS) == KEYS


@pytest.mark.parametrize(
    ("before", "after"), [(OLD_REDIS, NEW_VALKEY), (NEW_VALKEY, NEW_VALKEY)], ids=lambda program: program.title
)
def test_a_pool_of_another_server_that_can_read_the_keys_joins_and_takes_over(
    fleet: Fleet, reconcile: Reconcile, before: ServerProgram, after: ServerProgram
) -> None:
    assert can_take_keys(line_of(after), line_of(before))
    fleet.formed(3)
    fleet.write(KEYS)
    fleet.program = after.path
    fleet.shards(3, prefix="big")
    seed = fleet.servers["redis-master-0"].ip
    topology = fleet.topology(3, prefix="big", seeds=[seed], deadlineSeconds=110, server=wanted_server(line_of(after)))
    with Load(fleet, KEYS) as load:
        status, output = reconcile("form", topology)
    assert status == 0, output
    assert_formed(fleet, 3, "big")
    assert load.misses == 0
    assert load.failures == []
    assert fleet.read(KEYS) == KEYS


@pytest.mark.parametrize("before", [NEW_VALKEY], ids=lambda program: program.title)
def test_a_redis_8_in_a_cluster_of_valkey_keeps_the_next_one_from_starting(fleet: Fleet, before: ServerProgram) -> None:
    """Why such a roll is refused."""
    assert not can_share_bus(line_of(NEW_REDIS), line_of(before))
    fleet.formed(3)
    first, second = (fleet.servers[f"redis-replica-{shard}"] for shard in (0, 1))
    replace(first, NEW_REDIS)
    eventually(partial(in_sync, first), 20)
    eventually(lambda: b"client-ipv4=" in saved(second), 20)
    with pytest.raises(redis.ConnectionError):
        replace(second, NEW_REDIS)


def saved(server: Server) -> bytes:
    """What a nodes.conf has of what a server knows now."""
    server.call("CLUSTER", "SAVECONFIG")
    assert server.process is not None
    return Path(f"/proc/{server.process.pid}/root/mnt/nodes.conf").read_bytes()


@pytest.mark.parametrize(
    ("before", "wanted"),
    [(NEW_REDIS, (Engine.REDIS, 7, 2)), (NEW_REDIS, (Engine.VALKEY, 9, 1)), (NEW_VALKEY, (Engine.REDIS, 8, 2))],
    ids=str,
)
def test_what_cannot_be_read_is_refused_and_nothing_changes(
    fleet: Fleet, reconcile: Reconcile, before: ServerProgram, wanted: tuple[Engine, int, int]
) -> None:
    after = next(line for line in LINES if (line.engine, line.major, line.minor) == wanted)
    fleet.formed(3)
    tables = {pod: server.myself for pod, server in fleet.servers.items()}
    if can_follow(after, line_of(before)):
        seed = fleet.servers["redis-master-0"].ip
        old = fleet.topology(3)
        # The new pool's pods are not made yet.
        nodes = [
            {**node, "pod": f"big-{node['pod']}", "host": f"big-{number}.invalid"}
            for number, node in enumerate(old["nodes"])
        ]  # type: ignore[call-overload]
        topology = {**old, "pool": "big", "nodes": nodes, "seeds": [seed]}
    else:
        topology = fleet.topology(3)
    status, output = reconcile("release", {**topology, "server": wanted_server(after)})
    assert status == 2, output
    reason = "read its data" if can_share_bus(after, line_of(before)) else "be in one cluster with it"
    assert f"and {after.title} cannot {reason}" in output
    assert {pod: server.myself for pod, server in fleet.servers.items()} == tables
