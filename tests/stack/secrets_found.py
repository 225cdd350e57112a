"""Looks for secrets where they must not be: in the arguments, environments and logs of every process of a sandbox."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from components.manifests import users
from preview.evaluate import Evaluation
from sandbox.control.client import Sandbox
from sandbox.errors import NotFoundError
from sandbox.host.process import descendants

_SAMPLE_S = 0.05
_PHASE = re.compile(r"-(release|form|repair|validation|check|rollout)-")


def passwords(evaluation: Evaluation) -> dict[str, str]:
    """User -> password, of every user that the rendered Secret has."""
    (values,) = (resource.inputs["stringData"] for resource in evaluation.resources if resource.kind == "Secret")
    (metrics,) = set(json.loads(values[users.METRICS_KEY]).values())
    found = {
        users.APP: values[users.PASSWORD_KEY],
        users.OPERATOR: values[users.OPERATOR_KEY],
        users.METRICS: metrics,
        users.REPLICA: re.findall(r'^masterauth "(.*)"$', values[users.USERS_CONF_KEY], re.MULTILINE)[0],
    }
    assert all(item["password"] in found.values() for item in json.loads(values[users.CREDENTIALS_KEY]))
    assert all(len(password) >= 40 for password in found.values())
    return found


class Search:
    """Looks at all processes of a sandbox many times a second while the block runs, from when the sandbox is there.

    A process is told by its pod: `redis` for those of the StatefulSets, else the phase of its Job.
    """

    def __init__(self, sandbox: Sandbox, secrets: Mapping[str, str]) -> None:
        self._sandbox = sandbox
        self._secrets = {name: value.encode() for name, value in secrets.items()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failed: list[Exception] = []
        self.seen: dict[str, int] = {}
        """Pod's kind -> how many command lines of its processes were looked at."""
        self.in_arguments: set[tuple[str, str]] = set()
        """(Pod's kind, whose secret)."""
        self.in_environments: set[tuple[str, str, str]] = set()
        """(Pod's kind, variable, whose secret)."""
        self._known: set[tuple[int, bytes]] = set()

    def __enter__(self) -> Search:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._failed and error is None:
            raise self._failed[0]

    def _run(self) -> None:
        try:
            first = self._supervisor()
            while not self._stop.is_set():
                for pid in descendants(first):
                    self._look_at(pid)
                self._stop.wait(_SAMPLE_S)
        except Exception as error:
            self._failed.append(error)

    def _supervisor(self) -> int:
        """The sandbox's first process, as this machine numbers it, once it is there."""
        while not self._stop.is_set():
            try:
                namespace = self._sandbox.hello()["namespaces"][0]
            except NotFoundError:
                time.sleep(_SAMPLE_S)
                continue
            (first,) = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_first(pid, namespace)]
            return first
        return os.getpid()

    def _look_at(self, pid: int) -> None:
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
            if (pid, arguments) in self._known:
                return
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            # It has ended.
            return
        self._known.add((pid, arguments))
        variables = dict(entry.split(b"=", 1) for entry in environment.split(b"\0") if b"=" in entry)
        where = _kind_of(variables.get(b"HOSTNAME", b"").decode())
        self.seen[where] = self.seen.get(where, 0) + 1
        for name, secret in self._secrets.items():
            if secret in arguments:
                self.in_arguments.add((where, name))
            for variable, value in variables.items():
                if secret in value:
                    self.in_environments.add((where, variable.decode(), name))


def _is_first(pid: int, namespace: str) -> bool:
    try:
        if os.readlink(f"/proc/{pid}/ns/pid") != namespace:
            return False
        numbers = re.findall(r"^NSpid:(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[0]
    except OSError:
        # It has ended.
        return False
    return bool(numbers.split()[-1] == "1")


def _kind_of(pod: str) -> str:
    if not pod:
        return "the sandbox itself"
    phase = _PHASE.search(pod)
    return phase[1] if phase else "redis" if pod.startswith("redis-") else pod


def in_logs(sandbox: Sandbox, secrets: Mapping[str, str]) -> set[tuple[str, str]]:
    """(Pod's kind, whose secret) of everything that any container there is has written."""
    found = set()
    for pod in sandbox.status()["pods"]:
        for text in _logs(sandbox, pod["name"], pod["namespace"], pod["containers"]):
            found |= {(_kind_of(pod["name"]), name) for name, secret in secrets.items() if secret in text}
    return found


def _logs(sandbox: Sandbox, pod: str, namespace: str, containers: Iterable[str]) -> list[str]:
    texts = []
    for container in containers:
        for previous in (False, True):
            try:
                texts.append(sandbox.logs(pod, container, namespace, previous))
            except NotFoundError:
                # It has not run, or not twice.
                continue
    return texts
