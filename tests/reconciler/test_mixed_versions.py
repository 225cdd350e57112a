"""Servers of different versions and engines in one cluster: during a roll, and while a pool takes over from another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
from _pytest.mark.structures import ParameterSet

from components.config.engines import LINES, Line, can_follow, can_share_bus, can_take_keys
from components.manifests.topology import wanted_server
from sandbox.host.servers import REDIS, VALKEY, ServerProgram, servers
from tests.reconciler.load import Load
from tests.reconciler.servers import Fleet, Server, assert_formed, eventually

pytestmark = [pytest.mark.redis, pytest.mark.second_look]

Reconcile = Callable[..., tuple[int, str]]
KEYS = 300

Version = tuple[str, int, int]
OLD_REDIS, REDIS_7_4, NEW_REDIS, REDIS_8_6 = (REDIS, 7, 0), (REDIS, 7, 4), (REDIS, 8, 2), (REDIS, 8, 6)
VALKEY_8, NEW_VALKEY = (VALKEY, 8, 1), (VALKEY, 9, 1)


def found(*wanted: Version) -> list[ServerProgram]:
    """Those that this machine has."""
    return [one for version in wanted for one in servers() if (one.engine, *one.version[:2]) == version]


def case(*wanted: Version, after: Version | None = None) -> ParameterSet:
    """A parameter for each server, and one for what is asked for beside them. Skipped where this machine lacks a
    server."""
    names = [
        f"{engine.capitalize()} {major}.{minor}" for engine, major, minor in (*wanted, *([after] if after else []))
    ]
    programs = found(*wanted)
    lacking = len(programs) < len(wanted)
    skip = pytest.mark.skip(
        reason=f"not all of {', '.join(names[: len(wanted)])} are here; `make servers` fetches more"
    )
    given = [*(wanted if lacking else programs), *([after] if after else [])]
    return pytest.param(*given, marks=[skip] if lacking else [], id=" to ".join(names))


def line_of(program: ServerProgram) -> Line:
    return next(line for line in LINES if (line.engine.value, (line.major, line.minor)) == _numbers(program))


def _numbers(program: ServerProgram) -> tuple[str, tuple[int, int]]:
    # Debian's Redis is of a line before the first that is accepted, and reads and is read as that one is.
    major, minor = max(program.version[:2], (7, 2))
    return program.engine, (major, minor)


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
    [
        case(OLD_REDIS, NEW_REDIS),
        case(OLD_REDIS, VALKEY_8),
        case(OLD_REDIS, NEW_VALKEY),
        case(REDIS_7_4, NEW_REDIS),
        case(NEW_REDIS, REDIS_7_4),
        case(NEW_REDIS, REDIS_8_6),
        case(VALKEY_8, NEW_VALKEY),
        case(NEW_VALKEY, VALKEY_8),
        case(VALKEY_8, REDIS_7_4),
        case(NEW_VALKEY, REDIS_7_4),
    ],
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
    ("before", "after"),
    [
        case(OLD_REDIS, VALKEY_8),
        case(OLD_REDIS, NEW_VALKEY),
        case(REDIS_7_4, NEW_REDIS),
        case(NEW_REDIS, REDIS_7_4),
        case(NEW_REDIS, REDIS_8_6),
        case(VALKEY_8, NEW_VALKEY),
        case(VALKEY_8, REDIS_7_4),
        case(NEW_VALKEY, NEW_VALKEY),
    ],
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


@pytest.mark.parametrize(("before", "after"), [case(NEW_VALKEY, NEW_REDIS)])
def test_a_redis_8_in_a_cluster_of_valkey_keeps_the_next_one_from_starting(
    fleet: Fleet, before: ServerProgram, after: ServerProgram
) -> None:
    """Why such a roll is refused."""
    assert not can_share_bus(line_of(after), line_of(before))
    fleet.formed(3)
    first, second = (fleet.servers[f"redis-replica-{shard}"] for shard in (0, 1))
    replace(first, after)
    eventually(partial(in_sync, first), 20)
    eventually(lambda: b"client-ipv4=" in saved(second), 20)
    with pytest.raises(redis.ConnectionError):
        replace(second, after)


def saved(server: Server) -> bytes:
    """What a nodes.conf has of what a server knows now."""
    server.call("CLUSTER", "SAVECONFIG")
    assert server.process is not None
    return Path(f"/proc/{server.process.pid}/root/mnt/nodes.conf").read_bytes()


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        case(REDIS_7_4, after=(REDIS, 7, 2)),
        case(REDIS_7_4, after=VALKEY_8),
        case(REDIS_7_4, after=NEW_VALKEY),
        case(NEW_REDIS, after=(REDIS, 7, 2)),
        case(NEW_REDIS, after=NEW_VALKEY),
        case(REDIS_8_6, after=NEW_REDIS),
        case(VALKEY_8, after=NEW_REDIS),
        case(NEW_VALKEY, after=NEW_REDIS),
        case(NEW_VALKEY, after=REDIS_7_4),
        case(NEW_VALKEY, after=VALKEY_8),
    ],
)
def test_what_cannot_be_read_is_refused_and_nothing_changes(
    fleet: Fleet, reconcile: Reconcile, before: ServerProgram, wanted: Version
) -> None:
    after = next(line for line in LINES if (line.engine.value, line.major, line.minor) == wanted)
    assert not (can_follow(after, line_of(before)) and can_take_keys(after, line_of(before)))
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
