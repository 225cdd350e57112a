"""Clusters of masters without replicas, on loopback."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.plan.calibrate import wait_until

SLOTS = 16384


@dataclass
class Cluster:
    """`nodes` share the slots evenly, in their order."""

    nodes: list[redis.Redis]
    ports: list[int]
    processes: list[subprocess.Popen[bytes]]
    ip: str = "127.0.0.1"

    @property
    def endpoint(self) -> str:
        return f"[{self.ip}]:{self.ports[0]}" if ":" in self.ip else f"{self.ip}:{self.ports[0]}"

    def id_of(self, number: int) -> str:
        return self.text(number, "CLUSTER", "MYID")

    def text(self, number: int, *words: object) -> str:
        answer = self.nodes[number].execute_command(*words)  # type: ignore[no-untyped-call]
        return answer.decode() if isinstance(answer, bytes) else str(answer)


def free_port() -> int:
    """The bus of a cluster listens 10,000 above."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1]) % 20_000 + 20_000


@contextmanager
def cluster_of(count: int, folder: Path, *options: str, ip: str = "127.0.0.1") -> Iterator[Cluster]:
    """Each node ends with the block, or with this process."""
    with ExitStack() as stack:
        ports, processes, nodes = [], [], []
        for number in range(count):
            port = free_port()
            home = folder / f"node-{number}"
            home.mkdir()
            command = ["setpriv", "--pdeathsig", "KILL", "redis-server", "--port", f"{port}", "--bind", ip]
            command += ["--cluster-enabled", "yes", "--cluster-announce-ip", ip, "--save", "", "--dir", home]
            command += ["--cluster-require-full-coverage", "no", *options]
            process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
            client = redis.Redis(ip, port, socket_timeout=5)
            stack.callback(client.close)
            ports.append(port)
            processes.append(process)
            nodes.append(client)
        found = Cluster(nodes, ports, processes, ip)

        def answers() -> bool:
            try:
                return all(node.ping() for node in nodes)
            except redis.ConnectionError:
                return False

        def serves() -> bool:
            states = [str(node.execute_command("CLUSTER INFO")) for node in nodes]  # type: ignore[no-untyped-call]
            # redis-py gives a map, or the text, as its version has it.
            wanted = (r"cluster_state\W+ok", rf"cluster_known_nodes\W+{count}\b")
            return all(re.search(pattern, state) for state in states for pattern in wanted)

        wait_until(answers)
        for number, node in enumerate(nodes):
            first, last = number * SLOTS // count, (number + 1) * SLOTS // count - 1
            node.execute_command("CLUSTER ADDSLOTSRANGE", first, last)  # type: ignore[no-untyped-call]
            node.execute_command("CLUSTER MEET", ip, ports[0])  # type: ignore[no-untyped-call]
        wait_until(serves)
        yield found


MakeCluster = Callable[..., Cluster]


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[MakeCluster]:
    with ExitStack() as stack:
        yield lambda count, *options, **at: stack.enter_context(cluster_of(count, tmp_path, *options, **at))
