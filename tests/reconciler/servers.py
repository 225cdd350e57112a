"""Real redis-servers for tests: own loopback addresses, no file left behind, gone with the test process.

Each server runs in a mount namespace of its own with a tmpfs as its directory, so that its nodes.conf vanishes with the
process however that ends, and gets PR_SET_PDEATHSIG, so that it does not outlive a killed test.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.cluster import ClusterNode

from reconciler.observe.cluster_nodes import NodeEntry, parse_cluster_nodes
from reconciler.observe.native_jobs import NativeWay, native_way
from reconciler.slots import ALL_SLOTS, even_split, ranges
from tests.tested_server import program as tested_program

PORT = 6379
START_TIMEOUT_S = 15.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
# The tmpfs hides /mnt for this one process only.
_START = (
    "mount -t tmpfs -o size=16m,mode=700 redis /mnt && cd /mnt && cat > nodes.conf && "
    'printf %s "$SERVER_CONF" > server.conf && exec "$0" server.conf "$@" </dev/null'
)


def die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def eventually(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def value_of(index: int, size_bytes: int) -> bytes:
    return str(index).ljust(size_bytes, ".").encode()


class Server:
    """One redis-server in cluster mode at its own loopback address."""

    def __init__(
        self,
        ip: str,
        port: int = PORT,
        options: Sequence[str] = (),
        password: str | None = None,
        nodes_conf: bytes = b"",
        ca_file: Path | None = None,
        program: str = "redis-server",
    ) -> None:
        self.ip = ip
        self.program = program
        self.port = port
        self.options = list(options)
        self.password = password
        self.ca_file = ca_file
        self.process: subprocess.Popen[bytes] | None = None
        self.start(nodes_conf)

    @property
    def client(self) -> redis.Redis:
        tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": self.ca_file, "ssl_check_hostname": False}
        more = tls if self.ca_file else {}
        return redis.Redis(self.ip, self.port, password=self.password, socket_timeout=10, protocol=2, **more)

    def start(self, nodes_conf: bytes = b"") -> None:
        arguments = ["--bind", self.ip, "--port", str(self.port), "--save", "", "--appendonly", "no"]
        arguments += ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-announce-ip", self.ip]
        arguments += ["--cluster-require-full-coverage", "no", "--cluster-allow-replica-migration", "no"]
        arguments += ["--maxmemory", "200mb", "--repl-diskless-sync-delay", "0", "--loglevel", "warning"]
        arguments += ["--rdbcompression", "no", "--protected-mode", "no"]
        command = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", _START, self.program]
        self.process = subprocess.Popen(
            [*command, *arguments, *self.options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"SERVER_CONF": self._passwords()},
            preexec_fn=die_with_parent,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(nodes_conf)
        self.process.stdin.close()
        self.wait_until_up()

    def _passwords(self) -> str:
        """In the form that every server reads alike: of what stands among its arguments a Valkey takes quotes apart."""
        quoted = "".join(f"\\x{byte:02x}" for byte in (self.password or "").encode())
        return f'requirepass "{quoted}"\nmasterauth "{quoted}"\n' if self.password else ""

    def wait_until_up(self) -> None:
        end = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                with self.client as client:
                    client.ping()
                return
            except (redis.ConnectionError, redis.TimeoutError):
                if time.monotonic() > end or (self.process and self.process.poll() is not None):
                    raise
                time.sleep(0.02)

    def kill(self) -> bytes:
        """SIGKILL; returns the nodes.conf it leaves, for a restart that keeps the volume."""
        assert self.process is not None
        kept = (
            Path(f"/proc/{self.process.pid}/root/mnt/nodes.conf").read_bytes() if self.process.poll() is None else b""
        )
        self.process.kill()
        self.process.wait()
        return kept

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def call(self, *arguments: str | bytes | int) -> Any:
        """One command; the answer as Redis gives it, bytes for strings."""
        with self.client as client:
            client.response_callbacks.clear()
            return client.execute_command(*arguments)

    def entries(self) -> dict[str, NodeEntry]:
        """CLUSTER NODES by IP."""
        entries = parse_cluster_nodes(self.call("CLUSTER", "NODES").decode())
        return {entry.ip or self.ip: entry for entry in entries}

    @property
    def myself(self) -> NodeEntry:
        return next(entry for entry in self.entries().values() if "myself" in entry.flags)

    def info(self, section: str = "everything") -> dict[str, object]:
        with self.client as client:
            return dict(client.info(section))

    @property
    def native_way(self) -> NativeWay | None:
        """How the server moves slots by itself; None where it does not."""
        return native_way({key: str(value) for key, value in self.info("server").items()})


class Addresses:
    """A block of loopback addresses 127.a.b.0/24 that no other test process uses, held by a bound socket."""

    def __init__(self) -> None:
        for _ in range(200):
            self.block = f"127.{random.randint(64, 250)}.{random.randint(1, 250)}"
            self._held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                self._held.bind((f"{self.block}.254", 6380))
                return
            except OSError:
                self._held.close()
        raise RuntimeError("no free block of loopback addresses found")

    def __getitem__(self, index: int) -> str:
        return f"{self.block}.{index + 1}"

    def close(self) -> None:
        self._held.close()


class Fleet:
    """The servers of one test, by pod name, and the topology that wants them. Without a program they are what
    TEST_SERVER says."""

    def __init__(self, program: str | None = None) -> None:
        self.program = program or tested_program()
        self.addresses = Addresses()
        self.servers: dict[str, Server] = {}
        self.children: list[subprocess.Popen[str]] = []
        self._next = 0

    def add(self, pod: str, *options: str, password: str | None = None, ca_file: Path | None = None) -> Server:
        server = Server(
            self.addresses[self._next], options=options, password=password, ca_file=ca_file, program=self.program
        )
        self._next += 1
        self.servers[pod] = server
        return server

    def shards(
        self, count: int, *options: str, first: int = 0, prefix: str = "redis", password: str | None = None
    ) -> None:
        """`count` masters-to-be and as many replicas-to-be."""
        for role in ("master", "replica"):
            for index in range(first, first + count):
                self.add(f"{prefix}-{role}-{index}", *options, password=password)

    def formed(self, count: int, *options: str, prefix: str = "redis", password: str | None = None) -> None:
        """`count` shards of a master and a replica that form a cluster from the start: their nodes.conf says so."""
        pods = [f"{prefix}-{role}-{index}" for role in ("master", "replica") for index in range(count)]
        ids = [random.randbytes(20).hex() for _ in pods]
        lines = []
        for index, node_id in enumerate(ids):
            shard = index % count
            first, last = next(ranges(even_split(count)[shard]))
            role = f"master - 0 0 {shard + 1} connected {first}-{last}"
            if index >= count:
                role = f"slave {ids[shard]} 0 0 {shard + 1} connected"
            lines.append(f"{node_id} {self.addresses[self._next + index]}:{PORT}@{PORT + 10000} {role}")
        for index, pod in enumerate(pods):
            mine = [
                line.replace(" master", " myself,master").replace(" slave", " myself,slave") for line in [lines[index]]
            ]
            text = "\n".join(
                [*lines[:index], *mine, *lines[index + 1 :], f"vars currentEpoch {count} lastVoteEpoch 0", ""]
            )
            server = Server(
                self.addresses[self._next + index],
                options=options,
                password=password,
                nodes_conf=text.encode(),
                program=self.program,
            )
            self.servers[pod] = server
        self._next += len(pods)
        servers = [self.servers[pod] for pod in pods]
        eventually(lambda: all(all(entry.connected for entry in server.entries().values()) for server in servers))
        eventually(lambda: all(b"cluster_state:ok" in server.call("CLUSTER", "INFO") for server in servers))
        eventually(lambda: all(server.info("replication")["master_link_status"] == "up" for server in servers[count:]))

    def topology(self, count: int, prefix: str = "redis", **more: object) -> dict[str, object]:
        nodes = [
            {"pod": pod, "host": self.servers[pod].ip, "port": self.servers[pod].port, "shard": index, "role": role}
            for role in ("master", "replica")
            for index in range(count)
            if (pod := f"{prefix}-{role}-{index}") in self.servers
        ]
        return {"pool": prefix, "nodes": nodes, "nodeTimeoutMs": 2000, "deadlineSeconds": 60, **more}

    def client(self) -> redis.RedisCluster:
        """An ordinary cluster client."""
        servers = list(self.servers.values())
        cluster_node: Any = ClusterNode
        nodes = [cluster_node(server.ip, server.port) for server in servers]
        return redis.RedisCluster(startup_nodes=nodes, password=servers[0].password, protocol=2)

    def write(self, count: int, size_bytes: int = 8) -> None:
        with self.client() as client:
            for index in range(count):
                client.set(f"key:{index}", value_of(index, size_bytes))

    def read(self, count: int) -> int:
        """How many of the keys `write` wrote are there, with their values."""
        with self.client() as client:
            values = [client.get(f"key:{index}") for index in range(count)]
        return sum(
            1
            for index, value in enumerate(values)
            if isinstance(value, bytes) and value.rstrip(b".") == str(index).encode()
        )

    def spawn(
        self,
        phase: str,
        file: Path,
        *extra: str,
        password: str | None = None,
        credentials: Path | None = None,
        module: str = "reconciler",
    ) -> subprocess.Popen[str]:
        env = {key: value for key, value in os.environ.items() if key != "REDISCLI_AUTH"}
        if password:
            env["REDISCLI_AUTH"] = password
        if credentials:
            env["REDIS_CREDENTIALS"] = str(credentials)
        child = subprocess.Popen(
            [sys.executable, "-m", module, phase, "--topology", str(file), *extra],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
            cwd=Path(__file__).resolve().parents[2],
            preexec_fn=die_with_parent,
        )
        self.children.append(child)
        return child

    def close(self) -> None:
        for child in self.children:
            child.kill()
            child.wait()
            if child.stdout:
                child.stdout.close()
        for server in self.servers.values():
            if server.process:
                server.process.kill()
        for server in self.servers.values():
            if server.process:
                server.process.wait()
        self.addresses.close()


def await_sync(fleet: Fleet) -> None:
    """Repair ends when every replica follows its master. Its data comes after that: on a Valkey that takes a moment.
    The other nodes hear of it by the replica's next ping."""

    def in_sync(server: Server) -> bool:
        info = server.info("replication")
        return info["role"] == "master" or info["master_link_status"] == "up"

    def is_known(server: Server) -> bool:
        followed = server.myself.master_id
        return all(other.entries()[server.ip].master_id == followed for other in fleet.servers.values())

    eventually(lambda: all(in_sync(server) and is_known(server) for server in fleet.servers.values()))


def assert_formed(fleet: Fleet, shards: int, prefix: str = "redis") -> None:
    """Every node agrees: each shard has one master among its pods, the others follow it, every slot is owned once."""
    pods = [f"{prefix}-{role}-{shard}" for role in ("master", "replica") for shard in range(shards)]
    pods = [pod for pod in pods if pod in fleet.servers]
    for pod in pods:
        table = fleet.servers[pod].entries()
        covered = 0
        for shard in range(shards):
            own = [table[fleet.servers[other].ip] for other in pods if other.endswith(f"-{shard}")]
            masters = [entry for entry in own if entry.is_master]
            assert len(masters) == 1, (pod, shard)
            assert all(entry.master_id == masters[0].node_id for entry in own if not entry.is_master)
            assert not covered & masters[0].slots
            covered |= masters[0].slots
        assert covered == ALL_SLOTS
        assert not any(entry.suspected for entry in table.values())
        info = fleet.servers[pod].info("replication")
        assert info["role"] == "master" or info["master_link_status"] == "up"
