"""Stack `local` with its exporters and a Prometheus, run for real in the sandbox."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from preview.command import overrides
from preview.evaluate import evaluate
from sandbox.control.client import Sandbox
from sandbox.control.up import app_password, up
from sandbox.monitoring.pushgateway import ADDRESS
from sandbox.monitoring.pushgateway import NAMESPACE as MONITORING
from tests.monitoring import load as load_program

POOL = "redis-256mb"
HURRY = 10.0
"""An alert that waits for five minutes fires after 30 s."""
WATCHED = ("monitoring.exporter=true", f"monitoring.pushgateway={ADDRESS}")
_ASK_TIMEOUT_S = 10


class Live:
    """A running stack and its Prometheus."""

    def __init__(self, sandbox: Sandbox, say: Callable[[str], None], hurry: float) -> None:
        self.sandbox, self._say, self._hurry = sandbox, say, hurry
        self.url = str(sandbox.status()["prometheus"])

    def watch(self, hurry: float) -> None:
        """Begins anew with another factor: Prometheus forgets what it has stored."""
        self._hurry = hurry
        self.url = self.sandbox.watch(namespace=MONITORING, hurry=hurry)

    def change(self, *settings: str) -> None:
        """`python -m sandbox up` with these settings besides. Raises SandboxError where the update fails."""
        up(self.sandbox, "local", [*WATCHED, *settings], self._say, hurry=self._hurry)

    def ask(self, path: str, **parameters: str) -> Any:
        """`data` of Prometheus's answer."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        # The address is this machine's own, and HTTP.
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}{query}", timeout=_ASK_TIMEOUT_S) as answer:  # noqa: S310
            return json.load(answer)["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series that an expression has now."""
        found: list[dict[str, Any]] = self.ask("query", query=expr)["result"]
        return found

    def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        return {item["labels"]["alertname"] for item in self.ask("alerts")["alerts"] if item["state"] == "firing"}

    def fired(self, since: float) -> set[str]:
        """Names of the alerts that have fired at some time since then, also for a moment."""
        found = self.query(f'count_over_time(ALERTS{{alertstate="firing"}}[{max(1, int(time.time() - since))}s])')
        return {item["metric"]["alertname"] for item in found}

    def pods(self, **labels: str) -> list[str]:
        """Names of the pods of the cache, or of those with labels."""
        return sorted(
            pod["name"]
            for pod in self.sandbox.status()["pods"]
            if {"app": "redis", **labels}.items() <= pod["labels"].items()
        )

    def redis(self, pod: str, *words: str) -> str:
        """What redis-cli in a pod says. Raises SandboxError where Redis answers with an error."""
        return self.sandbox.exec(pod, ["redis-cli", "-e", *words]).check().stdout

    def shell(self, pod: str, script: str) -> str:
        return self.sandbox.exec(pod, ["sh", "-c", script]).check().stdout

    def login(self) -> dict[str, str]:
        """As an application is given it."""
        evaluation = evaluate("local", overrides(WATCHED))
        return {"REDIS_USER": str(evaluation.outputs["user"]), "REDIS_PASSWORD": app_password(evaluation)}

    @contextlib.contextmanager
    def load(self, kind: str, *arguments: str) -> Iterator[None]:
        """A client inside the sandbox's network, as `tests.monitoring.load` has it, until the end of the block."""
        program = str(Path(load_program.__file__))
        script = [sys.executable, program, kind, *arguments]
        # A process of its own: `run` keeps its caller until the client ends.
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "--name", self.sandbox.name, "run", "--", *script],
            env={**os.environ, **self.login()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield
        except BaseException:
            _assert_runs(process)
            raise
        else:
            _assert_runs(process)
        finally:
            process.terminate()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()


def _assert_runs(process: subprocess.Popen[str]) -> None:
    """A client that has ended explains whatever else went wrong."""
    if process.poll() is not None and process.stderr is not None:
        raise AssertionError(f"the client has ended: {process.stderr.read()[-2000:]}")


@contextlib.contextmanager
def live(name: str, say: Callable[[str], None], settings: Sequence[str] = (), hurry: float = HURRY) -> Iterator[Live]:
    """Starts it; nothing is left at the end."""
    with Sandbox(name) as sandbox:
        up(sandbox, "local", [*WATCHED, *settings], say, hurry=hurry)
        yield Live(sandbox, say, hurry)


def eventually(condition: Callable[[], bool], within_s: float, what: str | Callable[[], str]) -> float:
    """Seconds until it came true. Fails with what did not happen."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within_s:
            raise AssertionError(f"not within {within_s:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.5)
    return time.monotonic() - began
