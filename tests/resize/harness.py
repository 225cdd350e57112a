"""Changing a living stack in the sandbox, under load, with the Jobs killed at seeded moments."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from preview.evaluate import Evaluation
from sandbox.control.client import Sandbox
from sandbox.control.protocol import Connection
from sandbox.errors import ApplyError, NotFoundError, SandboxError
from tests.faults.deployment import Deployment, Load
from tests.faults.measure import Measurement
from tests.faults.stacks import local_stack, ours

LOAD = Load(requests_per_second=20, write_share=0.2, value_bytes=20_000, keys_per_shard=80)
"""Small values: what is tested is that nothing is lost, not how fast."""

SLOW_MIB_PER_SECOND = "1"
"""A bound on the copy rate so low that even a few megabytes are still moving when a kill comes."""


@dataclass
class Stack:
    """A stack `local` in a sandbox of its own, and the config it was last brought to."""

    deployment: Deployment
    overrides: dict[str, str]
    log: list[str] = field(default_factory=list)

    @property
    def sandbox(self) -> Sandbox:
        return self.deployment.sandbox

    def edit(self, **overrides: str | None) -> Evaluation:
        """A config edit and `pulumi up`. Keys as for `--set`, with two underscores for a dot; None takes a key out."""
        for key, value in overrides.items():
            self.overrides.pop(key.replace("__", "."), None)
            if value is not None:
                self.overrides[key.replace("__", ".")] = value
        return self.up()

    def up(self) -> Evaluation:
        evaluation = local_stack(*sorted(self.overrides.items()))
        self.sandbox.apply(evaluation.resources, self.log.append)
        self.deployment.namespace = evaluation.plan.pool
        self.deployment.services = list(evaluation.outputs["discoveryAddresses"])
        return evaluation

    def cut_off(self, when: Callable[[], bool], within_s: float, **overrides: str) -> None:
        """A config edit whose `pulumi up` is ended by force once `when` is true; its Jobs run on."""
        self.overrides |= {key.replace("__", "."): value for key, value in overrides.items()}
        evaluation = local_stack(*sorted(self.overrides.items()))
        with Connection(self.sandbox.name) as connection:
            resources = [resource.to_json() for resource in evaluation.resources]
            connection.send({"operation": "apply", "arguments": {"resources": resources}})
            assert self.deployment.until(when, within_s) is not None, "the update did not get that far"

    def jobs(self, phase: str) -> list[str]:
        """Pods of the phase's Jobs, whatever became of them."""
        pods = self.sandbox.status()["pods"]
        return [pod["name"] for pod in pods if pod["owner"]["kind"] == "Job" and f"-{phase}-" in pod["name"]]

    def says(self, pod: str) -> str:
        """The pod's log; empty while it has none."""
        try:
            return self.sandbox.logs(pod)
        except NotFoundError:
            return ""

    def masters(self) -> dict[str, int]:
        """Slots of every pod, in any pool, that serves some."""
        found = {}
        for pod in self.sandbox.status()["pods"]:
            if pod["owner"]["kind"] == "StatefulSet":
                nodes = self.sandbox.exec(pod["name"], ["redis-cli", "CLUSTER", "NODES"], namespace=pod["namespace"])
                mine = next(line for line in nodes.check().stdout.splitlines() if "myself" in line)
                slots = sum(_slots(part) for part in mine.split()[8:])
                if slots:
                    found[f"{pod['namespace']}/{pod['name']}"] = slots
        return found

    def copies_agree(self) -> bool:
        """Whether every replica has as many keys as its master."""
        views = self.deployment.views()
        keys = {name: self._exec(name, "DBSIZE") for name in views}
        master_of = {view.myself[0]: name for name, view in views.items()}
        return all(view.is_master or keys[name] == keys[master_of[view.myself[3]]] for name, view in views.items())

    def _exec(self, pod: str, *command: str) -> str:
        done = self.sandbox.exec(pod, ["redis-cli", *command], namespace=self.deployment.namespace)
        return done.check().stdout.strip()

    def denied(self) -> dict[str, list[str]]:
        """What nodes have refused for want of a right since their start: pod -> user and command."""
        found = {}
        for pod in self.deployment.pods():
            lines = self._exec(pod, "ACL", "LOG").splitlines()
            entries = [
                dict(zip(lines[start::2], lines[start + 1 :: 2], strict=False))
                for start, line in enumerate(lines)
                if line == "count"
            ]
            refused = [f"{entry['username']}: {entry['object']}" for entry in entries if entry["reason"] != "auth"]
            if refused:
                found[pod] = refused
        return found

    def namespaces(self) -> set[str]:
        """Of the pools that have pods."""
        pods = self.sandbox.status()["pods"]
        return {pod["namespace"] for pod in pods if pod["owner"]["kind"] == "StatefulSet"}


def _slots(part: str) -> int:
    if part.startswith("["):
        return 0
    first, _, last = part.partition("-")
    return int(last or first) - int(first) + 1


@contextmanager
def stack(name: str, **overrides: str) -> Iterator[Stack]:
    config = {key.replace("__", "."): value for key, value in overrides.items()}
    with ours(name, *sorted(config.items())) as deployment:
        yield Stack(deployment, config)


_CHANGING = ("release", "form")


class Killer(threading.Thread):
    """Kills the process of the running Job at seeded moments while a change is under way.

    Only a Job that changes the cluster, not one that waits for pods. Each kill ends an update."""

    def __init__(self, sandbox: Sandbox, seed: int, times: int) -> None:
        super().__init__(daemon=True)
        self._sandbox = sandbox
        self._random = random.Random(seed)
        self._left = times
        self._ended = threading.Event()
        self.killed: list[str] = []

    def __enter__(self) -> Killer:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self.join(30)

    def run(self) -> None:
        delay_s = self._random.uniform(0.3, 3.0)
        while self._left and not self._ended.wait(0.05):
            name = self._running_job()
            if name is None:
                continue
            if self._ended.wait(delay_s):
                return
            try:
                self.killed.append(self._sandbox.fault("kill-process", pod=name))
            except SandboxError:
                # The Job ended by itself in the meantime: the next one it is.
                continue
            self._left -= 1
            delay_s = self._random.uniform(0.3, 3.0)

    def _running_job(self) -> str | None:
        running = [
            pod["name"]
            for pod in self._sandbox.status()["pods"]
            if pod["owner"]["kind"] == "Job" and pod["state"] == "Running" and pod["labels"]["phase"] in _CHANGING
        ]
        return running[0] if running else None


def until_done(change: Callable[[], Evaluation], attempts: int, pause_s: float = 0.0) -> Evaluation:
    """The change, run again as a person would when it fails because its Job was killed too often, or refused."""
    for _ in range(attempts - 1):
        try:
            return change()
        except ApplyError as error:
            if not str(error).startswith("Job "):
                raise
            time.sleep(pause_s)
    return change()


def assert_nothing_lost(measured: Measurement, requests_at_least: int) -> None:
    """No key lost, no failed request, and the hit rate as before, of a load that really ran."""
    assert measured.errors == {}, measured.tracebacks
    # A client that was led to an unknown node learns all nodes. Each shard has one client.
    assert measured.sent_again <= len(measured.shards)
    assert measured.lost_keys == 0
    assert measured.lost_updates_before == 0
    assert measured.lost_updates_after == 0
    assert measured.unreadable == 0, measured.tracebacks
    assert measured.requests >= requests_at_least
    # Every key is there before the change, so the hit rate before is 1.
    assert sum(shard.misses for shard in measured.shards) <= measured.requests * 0.01


def wait_settled(seconds: float) -> None:
    """The load goes on for a moment after the change, so that what shows late is seen."""
    time.sleep(seconds)
