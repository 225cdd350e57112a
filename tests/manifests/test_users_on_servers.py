"""What each user may do, on every server that this machine has."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from components.config.settings import Access
from components.manifests import users
from sandbox.host.servers import ServerProgram, servers
from tests.reconciler.servers import Addresses, Server, eventually

pytestmark = pytest.mark.redis

PASSWORD = "päss \"quoted\" 'word' $HOME `id` \\ #1\nnext line" + "x" * 470
SECRET = "a service secret"  # noqa: S105
PREFIX = "img:"

CACHE = """
GET img:a | SET img:a b EX 300 | MGET img:a img:a | DEL img:a | UNLINK img:a | EXPIRE img:a 3 | TTL img:a |
EXISTS img:a | SETEX img:a 3 b | GETRANGE img:a 0 1 | STRLEN img:a | HSET img:h f v | HGETALL img:h | INCR img:n |
SADD img:s m | TYPE img:a | MULTI | DISCARD | WATCH img:a | UNWATCH | GETDEL img:a | LPUSH img:l x |
ZADD img:z 1 m | XADD img:x * f v | TOUCH img:a
"""
CLIENT = """
PING | ECHO x | CLUSTER SLOTS | CLUSTER SHARDS | CLUSTER NODES | CLUSTER MYID | CLUSTER INFO | CLUSTER KEYSLOT x |
READONLY | READWRITE | ASKING | CLIENT SETNAME x | CLIENT ID | CLIENT GETNAME | CLIENT INFO | COMMAND COUNT |
HELLO 3 | HELLO 2 | INFO | TIME
"""
ALL_KEYS = "SCAN 0 | RANDOMKEY | DBSIZE"
OTHER_KEYS = """
GET other | SET other x | DEL img:a other | MGET img:a other | EXISTS other | TYPE other | RENAME img:a other |
OBJECT ENCODING other | COPY img:a other | TOUCH other | MEMORY USAGE other | DUMP other
"""
DANGEROUS = """
FLUSHALL | FLUSHDB | CONFIG GET * | CONFIG SET timeout 0 | SHUTDOWN NOSAVE | DEBUG SLEEP 0 | KEYS * | MONITOR |
SAVE | BGSAVE | ACL LIST | ACL SETUSER app +@all | REPLICAOF NO ONE | CLUSTER RESET | CLUSTER FAILOVER |
CLUSTER FORGET x | CLUSTER MEET 127.0.0.1 1 | CLUSTER ADDSLOTS 1 | CLUSTER GETKEYSINSLOT 1 1 | CLIENT LIST |
CLIENT KILL ID 1 | CLIENT PAUSE 1 | SLOWLOG GET | LATENCY LATEST | MODULE LIST | PSYNC ? -1 | SYNC |
REPLCONF ACK 0 | MIGRATE 127.0.0.1 1 img:a 0 1 | RESTORE img:a 0 x | SORT img:l | SWAPDB 0 1 | PUBLISH x y |
SUBSCRIBE x | FUNCTION FLUSH | SCRIPT FLUSH | SCRIPT KILL | FUNCTION KILL | FUNCTION DELETE x | BGREWRITEAOF |
ROLE
"""
SCRIPTS = "EVAL 'return 0' 0 | EVALSHA x 0 | SCRIPT LOAD x | FCALL x 0 | FUNCTION LIST"
REPLICATION = "PSYNC ? -1 | REPLCONF ACK 0 | PING"
METRICS = "INFO | CLUSTER INFO | SLOWLOG LEN | SLOWLOG GET | LATENCY LATEST | DBSIZE | PING | CLIENT SETNAME x"
SECRETS = "CONFIG GET masterauth | ACL LIST | ACL GETUSER app"

FAMILIES = {
    name: {command.strip() for command in text.split("|")}
    for name, text in {
        "cache": CACHE,
        "client": CLIENT,
        "every key": ALL_KEYS,
        "other keys": OTHER_KEYS,
        "dangerous": DANGEROUS,
        "scripts": SCRIPTS,
        "replication": REPLICATION,
        "metrics": METRICS,
        "secrets": SECRETS,
    }.items()
}
MAY: dict[str, set[str]] = {
    "app": {"cache", "client"},
    "app of every key": {"cache", "client", "every key", "other keys"},
    "app with scripts": {"cache", "client", "scripts"},
    "replica": {"replication"},
    "metrics": {"metrics"},
}
"""User -> the families whose every command it may run. Of all others it may run none that no family of its own has."""
EVERYBODYS = {"HELLO 2", "HELLO 3"}
"""Redis lets everybody run what has to come before anybody is known."""
ACCESS: dict[str, dict[str, str]] = {
    "app of every key": {},
    "app with scripts": {"keyPrefix": PREFIX, "scripts": "a test needs them"},
}


@pytest.fixture(scope="module", params=servers(), ids=lambda server: server.title)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    program: ServerProgram = request.param
    addresses = Addresses()
    server = Server(addresses[0], program=program.path)
    try:
        server.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        eventually(lambda: b"cluster_state:ok" in server.call("CLUSTER", "INFO"))
        yield server
    finally:
        server.kill()
        addresses.close()


def make_users(server: Server, access: Access) -> None:
    """From the lines of redis.conf. The user default stays, by whom the test asks."""
    values = users.secret_values(access, PASSWORD, SECRET)
    for line in values[users.USERS_CONF_KEY].splitlines():
        word, *rules = line.split()
        if word == "user" and rules[0] != users.DEFAULT:
            server.call("ACL", "SETUSER", rules[0], "reset", *rules[1:])


def refused(server: Server, user: str, commands: Iterable[str]) -> set[str]:
    """Those that the rules of the user do not let through. None is run: what SHUTDOWN does is known."""
    with server.client as client:
        return {
            command
            for command in commands
            if client.execute_command("ACL", "DRYRUN", user, *shlex.split(command)) not in (b"OK", "OK")
        }


@pytest.mark.parametrize("name", MAY)
def test_a_user_may_run_what_its_families_have_and_nothing_else(server: Server, name: str) -> None:
    user = name.partition(" ")[0]
    make_users(server, Access.model_validate(ACCESS.get(name, {"keyPrefix": PREFIX})))
    own = {command for family in MAY[name] for command in FAMILIES[family]}
    others = {command for family in FAMILIES.values() for command in family} - own

    assert refused(server, user, own) == set()
    assert others - refused(server, user, others) <= EVERYBODYS
    password = PASSWORD if user == users.APP else users.service_password(SECRET, user, PASSWORD)
    once = Retry(NoBackoff(), 0)
    with redis.Redis(server.ip, server.port, username=user, password=password, retry=once) as client:
        assert client.ping()
    other = redis.Redis(server.ip, server.port, username=user, password=f"{password} ", retry=once)
    with other, pytest.raises(redis.AuthenticationError):
        other.ping()


def test_a_command_that_is_refused_changes_nothing_and_says_which_right_is_missing(server: Server) -> None:
    make_users(server, Access.model_validate({"keyPrefix": PREFIX}))
    server.call("SET", "{x}other", "kept")
    with redis.Redis(server.ip, server.port, username=users.APP, password=PASSWORD) as client:
        for command in ("FLUSHALL", "DEL {x}other", "GET {x}other", "EVAL 'return 1' 0", "KEYS *"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*shlex.split(command))
    assert server.call("GET", "{x}other") == b"kept"
