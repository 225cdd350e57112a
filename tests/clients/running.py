"""Drivers under way in a sandbox's network, beside a prober of every shard, and the phases they go through."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError
from tests.clients.drivers import PATIENCE, Client
from tests.clients.figures import Figures, Request, figures, outage_end, requests
from tests.faults.deployment import SHARDS, Deployment

REQUESTS_PER_S = 20.0
VALUE_BYTES = 20_000
WATCH_S = 10.0
"""How long the clients are watched after a fault, beyond its failover."""
_STARTED_WITHIN_S = 60.0
_ENDED_WITHIN_S = 20.0
_LONGEST_S = 3600.0


@dataclass(frozen=True)
class Phase:
    """A stretch of the measurement, in seconds of the wall clock."""

    key: str
    begin: float
    end: float


class Running:
    """The drivers, from when each has had an answer until the block of `drivers_on` ends."""

    def __init__(
        self, deployment: Deployment, clients: Sequence[Client], mode: str, folder: Path, watch_s: float
    ) -> None:
        self.deployment = deployment
        self.clients = tuple(clients)
        self.phases: list[Phase] = []
        self._folder = folder
        self._watch_s = watch_s
        self._failed: dict[str, str] = {}
        self._threads: list[threading.Thread] = []
        self._ended_at: float | None = None
        host, _, port = deployment.endpoint.rpartition(":")
        config = {"services": deployment.services, "shards": SHARDS, "stop": str(folder / "stop")}
        (folder / "prober.json").write_text(json.dumps({**config, "report": str(folder / "acks.json")}))
        self._start("prober", [sys.executable, "-m", "tests.clients.prober", str(folder / "prober.json")], {})
        for client in clients:
            given = [mode, host, port, str(REQUESTS_PER_S), str(VALUE_BYTES), str(folder)]
            self._start(client.name, [*client.command, *given], {PATIENCE: f"{client.patience_s:g}"})

    def _start(self, name: str, command: Sequence[str], environment: dict[str, str]) -> None:
        def run() -> None:
            try:
                done = self.deployment.run(
                    # A shell writes to a file as it comes: what is measured does not wait for the program's end.
                    ["sh", "-c", f"exec {shlex.join(command)} >{shlex.quote(str(self._output(name)))}"],
                    timeout_s=_LONGEST_S,
                    env=self.deployment.login | environment,
                )
                if done.exit != 0:
                    self._failed[name] = f"exit status {done.exit}: {done.stderr[-2000:]}"
            except (SandboxError, TimeoutError, OSError) as error:
                self._failed[name] = str(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _output(self, name: str) -> Path:
        return self._folder / f"{name}.jsonl"

    def wait_answered(self) -> None:
        """Until each client has had an answer. Raises SandboxError with the program's own words when one ends."""
        deadline = time.monotonic() + _STARTED_WITHIN_S
        for client in self.clients:
            while not any(request.error is None for request in self._requests(client)):
                if self._failed or time.monotonic() > deadline:
                    raise SandboxError(f"{client.name} got no answer: {self._failed}")
                time.sleep(0.2)

    @contextmanager
    def phase(self, key: str) -> Iterator[None]:
        begin = time.time()
        yield
        self.phases.append(Phase(key, begin, time.time()))

    def watch(self) -> None:
        """For a while nothing is done to the cluster."""
        time.sleep(self._watch_s)

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """The clients send nothing while the block runs."""
        (self._folder / "asleep").touch()
        try:
            yield
        finally:
            (self._folder / "asleep").unlink()

    def end(self) -> None:
        """Ends the drivers. Raises SandboxError when one ended before."""
        self._ended_at = time.time()
        failed = dict(self._failed)
        (self._folder / "stop").touch()
        deadline = time.monotonic() + _ENDED_WITHIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if failed:
            raise SandboxError(f"a client's program ended on its own: {failed}")

    def _requests(self, client: Client) -> list[Request]:
        if not self._output(client.name).exists():
            return []
        return requests(self._output(client.name).read_text().splitlines(), self._ended_at or time.time())

    def figures(self) -> dict[str, dict[str, Figures]]:
        """Phase -> client -> what it saw. After `end`."""
        acks = json.loads((self._folder / "acks.json").read_text())
        by_client = {client.name: self._requests(client) for client in self.clients}
        found: dict[str, dict[str, Figures]] = {}
        for phase in self.phases:
            over_at = outage_end(acks, phase.begin, phase.end)
            found[phase.key] = {
                name: figures(sent, phase.begin, phase.end, over_at) for name, sent in by_client.items()
            }
        return found

    def outages(self) -> dict[str, float]:
        """Phase -> seconds from its begin until every shard took writes again; 0 where none was out."""
        acks = json.loads((self._folder / "acks.json").read_text())
        return {phase.key: outage_end(acks, phase.begin, phase.end) - phase.begin for phase in self.phases}


@contextmanager
def drivers_on(
    deployment: Deployment, clients: Sequence[Client], mode: str, watch_s: float = WATCH_S
) -> Iterator[Running]:
    """Each client sends requests while the block runs; no process of theirs outlives it."""
    with tempfile.TemporaryDirectory(prefix="clients-") as folder:
        running = Running(deployment, clients, mode, Path(folder), watch_s)
        try:
            running.wait_answered()
            yield running
        finally:
            if running._ended_at is None:
                # The block failed already: that is what is told.
                with contextlib.suppress(SandboxError):
                    running.end()
