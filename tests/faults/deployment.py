"""A cluster in a sandbox, ours or the sizing document's, with what faults and measurements need of both."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.config.settings import Images
from components.manifests.users import APP
from preview.resources import Resource
from sandbox.control.client import Completed, Sandbox
from sandbox.control.place import IN_DEFAULT, Place
from sandbox.errors import NotFoundError, SandboxError
from sandbox.host.servers import REDIS, server_for
from tests.faults.measure import Measurement, measure
from tests.tested_server import tested_server

SHARDS = 3
SLOTS = 16384
_LOAD = Path(__file__).parent / "load.py"
_SURVEY = "redis-cli CLUSTER INFO; redis-cli INFO replication; echo; redis-cli CLUSTER NODES"
_POLL_S = 0.2
_READY_WITHIN_S = 60.0
_REPORT_WITHIN_S = 90.0


@dataclass(frozen=True)
class View:
    """One node's view: CLUSTER INFO and INFO replication as maps, and the rows of CLUSTER NODES."""

    info: dict[str, str]
    nodes: tuple[tuple[str, ...], ...]

    @property
    def myself(self) -> tuple[str, ...]:
        return next(row for row in self.nodes if "myself" in row[2])

    @property
    def is_master(self) -> bool:
        return self.info.get("role") == "master"

    @property
    def slots(self) -> set[int]:
        """Slots this node says it serves."""
        owned: set[int] = set()
        for part in self.myself[8:]:
            if not part.startswith("["):
                first, _, last = part.partition("-")
                owned |= set(range(int(first), int(last or first) + 1))
        return owned

    @property
    def is_whole(self) -> bool:
        """All slots served, nobody failing, and itself in sync if it is a replica."""
        return (
            self.info.get("cluster_state") == "ok"
            and self.info.get("cluster_slots_ok") == str(SLOTS)
            and not any("fail" in row[2] or "noaddr" in row[2] for row in self.nodes)
            and (self.is_master or self.info.get("master_link_status") == "up")
        )


def parse_view(text: str) -> View:
    """Reads what `_SURVEY` prints."""
    pairs, rows = {}, []
    for line in text.splitlines():
        words = tuple(line.split())
        if len(words) >= 8:
            rows.append(words)
        elif ":" in line:
            key, _, value = line.strip().partition(":")
            pairs[key] = value
    return View(pairs, tuple(rows))


@dataclass(frozen=True)
class Load:
    """What the load generator is asked for. Rates are for each shard."""

    requests_per_second: float = 25
    write_share: float = 0.2
    value_bytes: int = 100_000
    keys_per_shard: int = 60
    seed: int = 1
    prefix: str = ""
    """Of its keys: two loads at once each know what they wrote only where nobody else writes it."""


class RunningLoad:
    """The load generator as a process of the sandbox's network; `end` gives what it measured."""

    def __init__(self, deployment: Deployment, load: Load, folder: Path) -> None:
        self._folder = folder
        self._report = folder / "report.json"
        self.fault_at = time.monotonic()
        config = {
            "endpoint": deployment.endpoint,
            "services": deployment.services,
            "shards": SHARDS,
            "keys_per_shard": load.keys_per_shard,
            "value_bytes": load.value_bytes,
            "requests_per_second_per_shard": load.requests_per_second,
            "write_share": load.write_share,
            "seed": load.seed,
            "prefix": load.prefix,
            "ready": str(folder / "ready"),
            "stop": str(folder / "stop"),
            "report": str(self._report),
            "longest_s": 300,
        }
        (folder / "config.json").write_text(json.dumps(config))
        self._done: Completed | Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(deployment,), daemon=True)
        self._thread.start()
        self._until(lambda: (folder / "ready").exists(), _READY_WITHIN_S, "the load did not begin")

    def _run(self, deployment: Deployment) -> None:
        try:
            self._done = deployment.run(
                [sys.executable, str(_LOAD), str(self._folder / "config.json")],
                timeout_s=500,
                env=deployment.login,
            )
        except (SandboxError, TimeoutError, OSError) as error:
            self._done = error

    def _until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            if self._done is not None or time.monotonic() > deadline:
                raise SandboxError(f"{what}: {self._done}")
            time.sleep(0.02)

    def mark(self) -> None:
        """The fault comes now."""
        self.fault_at = time.monotonic()

    def end(self) -> Measurement:
        (self._folder / "stop").touch()
        self._thread.join(_REPORT_WITHIN_S)
        if not self._report.exists():
            raise SandboxError(f"the load left no report: {self._done}")
        report = json.loads(self._report.read_text())
        if report["died"]:
            raise SandboxError(f"a part of the load died, so what it did not see says nothing: {report['died'][0]}")
        return measure(report, self.fault_at)


@dataclass
class Deployment:
    """A formed cluster of 3 masters and 3 replicas in a sandbox of its own."""

    name: str
    sandbox: Sandbox
    endpoint: str
    services: list[str]
    password: str = field(repr=False)
    namespace: str = "default"
    resources: tuple[Resource, ...] = ()
    pods_wanted: int = 2 * SHARDS
    clients: Place = IN_DEFAULT
    """Where those stand in the network whom the deployment lets in."""
    user: str = APP
    """Empty for a client that gives the password alone."""
    ca_file: str = ""
    """The authority that a client with TLS trusts; empty for one without TLS."""

    @property
    def login(self) -> dict[str, str]:
        """As an application is given it; the document's deployment lets everybody in."""
        tls = {"REDIS_CA_FILE": self.ca_file} if self.ca_file else {}
        return ({"REDIS_USER": self.user, "REDIS_PASSWORD": self.password} if self.password else {}) | tls

    def run(
        self, command: Sequence[str], *, timeout_s: float | None = None, env: dict[str, str] | None = None
    ) -> Completed:
        """Runs a command of this machine as a client of the deployment."""
        return self.sandbox.run(command, place=self.clients, timeout_s=timeout_s, env=env)

    def pods(self) -> dict[str, dict[str, Any]]:
        """Name -> status of every Redis pod of the cluster."""
        found = self.sandbox.pods().values()
        return {
            pod["name"]: pod
            for pod in found
            if pod["namespace"] == self.namespace and pod["owner"]["kind"] == "StatefulSet"
        }

    def view(self, pod: str) -> View | None:
        """None when the pod or its Redis does not answer."""
        try:
            done = self.sandbox.exec(pod, ["sh", "-c", _SURVEY], namespace=self.namespace, timeout_s=5)
        except (NotFoundError, TimeoutError, SandboxError):
            return None
        view = parse_view(done.stdout)
        return view if view.nodes and any("myself" in row[2] for row in view.nodes) else None

    def views(self) -> dict[str, View]:
        """Of the pods that answer and are not lost."""
        pods = [name for name, pod in self.pods().items() if pod["state"] != "Lost"]
        return {name: view for name in pods if (view := self.view(name)) is not None}

    def copies(self, shard: int) -> tuple[str, list[str]]:
        """The pod that serves the middle of a shard's slots, and the pods that replicate it."""
        middle = (2 * shard + 1) * SLOTS // (2 * SHARDS)
        views = self.views()
        master = next(name for name, view in views.items() if view.is_master and middle in view.slots)
        master_id = views[master].myself[0]
        return master, [name for name, view in views.items() if view.myself[3] == master_id]

    def is_whole(self) -> bool:
        views = self.views()
        return (
            len(views) == self.pods_wanted
            and all(view.is_whole for view in views.values())
            and {len(view.nodes) for view in views.values()} == {self.pods_wanted}
        )

    def until(self, condition: Callable[[], bool], within_s: float) -> float | None:
        """Seconds until `condition` came true; None if it did not in time."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > within_s:
                return None
            time.sleep(_POLL_S)
        return time.monotonic() - began

    def wait_whole(self, within_s: float = 120.0) -> float:
        """Seconds until every pod is ready and every node finds the cluster whole. Raises SandboxError with what is
        missing."""
        took = self.until(lambda: all(pod["ready"] for pod in self.pods().values()) and self.is_whole(), within_s)
        if took is None:
            raise SandboxError(f"{self.name} is not whole after {within_s:.0f} s:\n{self.explain()}")
        return took

    def explain(self) -> str:
        lines = []
        for name, pod in self.pods().items():
            view = self.view(name)
            state = "does not answer" if view is None else f"{view.info.get('role')} {view.info.get('cluster_state')}"
            lines.append(f"{name} {pod['ip']} {pod['state']} ready={pod['ready']} {state}")
            if view is not None:
                lines += ["    " + " ".join(row) for row in view.nodes]
        return "\n".join(lines)

    @contextmanager
    def load(self, load: Load | None = None) -> Iterator[RunningLoad]:
        """Load on the cluster while the block runs. The block must call `end` for the figures."""
        with tempfile.TemporaryDirectory(prefix="fault-load-") as folder:
            running = RunningLoad(self, load or Load(), Path(folder))
            try:
                yield running
            finally:
                (Path(folder) / "stop").touch()
                running._thread.join(_REPORT_WITHIN_S)

    def fault(self, verb: str, **arguments: Any) -> str:
        return self.sandbox.fault(verb, **arguments)


def machine() -> str:
    """What the figures were measured on: processors, memory, kernel and the server of the pods, without the machine's
    name."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown processor",
    )
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    server = tested_server() or server_for(REDIS, Images().redis.partition(":")[2])
    if server is None:
        raise SandboxError("this machine has no server of Redis; `make up` installs one")
    kernel = ".".join(os.uname().release.split(".")[:2])
    return f"{os.cpu_count()} × {cpu}, {memory_gib:.0f} GiB, Linux {kernel}, {server.title}"


def names_of(pods: Sequence[str]) -> str:
    return ", ".join(pods) or "none"
