"""Pulumi's engine on this checkout, by the Automation API: an inline program needs no language plugin.

The stack's config is what the CLI would take: the defaults of Pulumi.yaml, the stack's file, and what a test sets.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation as auto
from pulumi.automation import events

from tests.e2e.harness import given
from tests.e2e.harness.report import say

CHECKOUT = Path(__file__).resolve().parents[3]
PROJECT = "redis-image-cache"
_ENDS_WITHIN_S = 60.0
_CHANGES = {"create", "update", "delete", "replace", "create-replacement", "delete-replaced"}


@dataclass
class Step:
    """One resource operation as the engine's event log has it."""

    operation: str
    type: str
    name: str
    """The logical name."""
    began: int
    """Place of its beginning in the event log."""
    ended: int | None = None
    """Place of its success in the event log; None when it failed or was cut off."""
    is_refresh: bool = False
    """It only looked, and noted what it found."""

    def __str__(self) -> str:
        return f"{self.operation} {self.type.rpartition(':')[2]} {self.name}"


@dataclass
class Run:
    """What one engine operation did and said."""

    verb: str
    succeeded: bool = False
    output: str = ""
    steps: list[Step] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def changes(self) -> list[str]:
        """What was changed, or would be by a preview; of a refresh by itself, what it found changed."""
        looked = self.verb == "refresh"
        return [str(step) for step in self.steps if step.operation in _CHANGES and step.is_refresh == looked]

    def of(self, operation: str, resource: str) -> Step:
        """The one step of that operation on the resource `Type::name`."""
        return self.of_any((operation,), resource)

    def of_any(self, operations: tuple[str, ...], resource: str) -> Step:
        """The same, of one of several operations."""
        found = [
            step
            for step in self.steps
            if step.operation in operations and f"{step.type.rpartition(':')[2]}::{step.name}" == resource
        ]
        assert len(found) == 1, f"{operations} {resource}: {[str(step) for step in found]} of {self.changes}"
        return found[0]

    def ok(self) -> Run:
        """Itself; fails the test with the engine's output when the operation failed."""
        assert self.succeeded, f"pulumi {self.verb} failed:\n{self.output[-6000:]}"
        return self


class Stack:
    """One stack in a local backend of its own."""

    def __init__(self, home: Path, name: str, path: str, kubeconfig: Path, settings: Mapping[str, Any]) -> None:
        self.name = name
        self._home = home
        (home / "state").mkdir(parents=True, exist_ok=True)
        env = {
            "PATH": path,
            "HOME": os.environ["HOME"],
            "PULUMI_HOME": str(home / "pulumi"),
            "PULUMI_BACKEND_URL": f"file://{home}/state",
            "PULUMI_CONFIG_PASSPHRASE": "e2e",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "KUBECONFIG": str(kubeconfig),
        }
        if given.is_own():
            # Providers come from PATH; there is no network to get them from.
            env["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
        self._declared = _declared(name)
        self.settings: dict[str, Any] = dict(settings)
        self._stack = auto.create_or_select_stack(
            stack_name=name,
            project_name=PROJECT,
            program=_program,
            opts=auto.LocalWorkspaceOptions(work_dir=str(_made(home / "work")), env_vars=env),
        )
        self._configured: dict[str, Any] | None = None
        self._started: Future[Run] | None = None

    def set(self, **settings: Any) -> None:
        """Changes keys of the stack's config; None gives a key back its value in the stack's file."""
        for key, value in settings.items():
            if value is None:
                self.settings.pop(key, None)
            else:
                self.settings[key] = value

    def up(self, continue_on_error: bool = False, refresh: bool = False) -> Run:
        options = {"continue_on_error": continue_on_error or None, "refresh": refresh or None}
        return self._run("up", self._stack.up, **options)

    def preview(self) -> Run:
        return self._run("preview", self._stack.preview)

    def refresh(self) -> Run:
        return self._run("refresh", self._stack.refresh)

    def destroy(self) -> Run:
        # What guards a pool asks the program before anything goes.
        return self._run("destroy", self._stack.destroy, run_program=True)

    def cancel(self) -> None:
        """Clears the lock that a killed CLI left."""
        for lock in (self._home / "state/.pulumi/locks").rglob("*.json"):
            say(f"lock of the killed CLI: {lock.name}")
        self._stack.cancel()

    def start_up(self) -> Future[Run]:
        """`up` in a thread, for what happens meanwhile."""
        result: Future[Run] = Future()
        self._started = result

        def run() -> None:
            try:
                result.set_result(self.up())
            except BaseException as error:
                result.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return result

    def interrupt(self, update: Future[Run], within_s: float = _ENDS_WITHIN_S) -> None:
        """Ctrl-C to the CLI unless the update has ended by itself; waits until it has ended."""
        if not update.done():
            say("Ctrl-C")
            self.signal_cli()
        wait([update], within_s)

    def signal_cli(self) -> None:
        """Ctrl-C: the CLI lets steps under way end, or ends them, and begins no other."""
        for pid in _processes():
            if _is_pulumi(pid) and _name(pid) == "pulumi":
                os.kill(pid, signal.SIGINT)

    def settle(self) -> None:
        """Ends an update that a failed test left behind, so that the next test can begin."""
        if self._started is not None and not self._started.done():
            self.interrupt(self._started)
            if not self._started.done():
                self.kill_cli()
                wait([self._started], _ENDS_WITHIN_S)
                self.cancel()

    def kill_cli(self) -> None:
        """SIGKILL to the CLI and the providers it started, as when the machine it runs on goes away."""
        killed = [pid for pid in _processes() if _is_pulumi(pid)]
        assert killed, "no pulumi process runs"
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        say(f"killed {len(killed)} processes of pulumi")

    def kill_provider(self, package: str) -> int:
        """SIGKILL to a provider's processes. Returns how many there were."""
        killed = [pid for pid in _processes() if _is_pulumi(pid) and package in _command(pid)]
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(killed)

    def resources(self) -> list[str]:
        """Types of what the state holds, without the stack itself and its providers."""
        deployment = self._stack.export_stack().deployment or {}
        return [
            resource["type"]
            for resource in deployment.get("resources", [])
            if not resource["type"].startswith("pulumi:")
        ]

    def _configure(self) -> None:
        config = self._declared | self._flat(self.settings)
        if config == self._configured:
            return
        values = {
            key: auto.ConfigValue(
                json.dumps(value) if isinstance(value, dict | list | bool) else str(value), key.endswith(":access")
            )
            for key, value in config.items()
        }
        self._stack.set_all_config(values)
        self._configured = config

    def _flat(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """A map's keys are laid over those of the stack's file."""
        flat = {}
        for key, value in settings.items():
            full = f"{PROJECT}:{key}"
            declared = self._declared.get(full)
            flat[full] = declared | value if isinstance(declared, dict) and isinstance(value, dict) else value
        return flat

    def _run(self, verb: str, operation: Callable[..., Any], **options: Any) -> Run:
        self._configure()
        run = Run(verb)
        lines: list[str] = []
        log = _EventLog(run.steps)

        def on_output(line: str) -> None:
            lines.append(line)
            with (self._home / "output.log").open("a") as file:
                file.write(f"{line}\n")

        began = time.monotonic()
        try:
            operation(on_output=on_output, on_event=log.take, color="never", **options)
            run.succeeded = True
        except auto.CommandError as error:
            lines.append(str(error))
        run.seconds = time.monotonic() - began
        run.output = "\n".join(lines)
        outcome = "ended well" if run.succeeded else "failed"
        if verb == "refresh":
            run.steps = [step for step in run.steps if step.ended is not None]
        say(f"pulumi {verb} --stack {self.name} {outcome} after {run.seconds:.0f} s, {len(run.changes)} changes")
        return run


class _EventLog:
    """Turns the engine's events into steps."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps
        self._place = 0
        self._open: dict[tuple[str, str], Step] = {}

    def take(self, event: events.EngineEvent) -> None:
        self._place += 1
        if event.resource_pre_event is not None:
            metadata = event.resource_pre_event.metadata
            _, _, kind, name = metadata.urn.split("::", 3)
            step = Step(str(metadata.op.value), kind.rpartition("$")[2], name, self._place)
            self._open[(metadata.urn, step.operation)] = step
            self._steps.append(step)
        elif event.res_outputs_event is not None:
            metadata = event.res_outputs_event.metadata
            operation = str(metadata.op.value)
            done = self._open.get((metadata.urn, operation)) or self._open.get((metadata.urn, "refresh"))
            if done is not None:
                # A refresh begins as such and ends as what it found: same, update or delete.
                done.is_refresh = done.operation == "refresh"
                done.operation = operation
                done.ended = self._place


def _program() -> None:
    runpy.run_path(str(CHECKOUT / "__main__.py"), run_name="__main__")


def _declared(stack: str) -> dict[str, Any]:
    """Full key -> value, from Pulumi.yaml's defaults and the stack's file."""
    project = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())
    config = {f"{PROJECT}:{key}": entry["default"] for key, entry in project["config"].items() if "default" in entry}
    return config | yaml.safe_load((CHECKOUT / f"Pulumi.{stack}.yaml").read_text())["config"]


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _command(pid: int) -> str:
    """The program's path or name, as it was started."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()


def _is_pulumi(pid: int) -> bool:
    """Whether it is a CLI or a provider that this process started, directly or not."""
    try:
        name = _name(pid)
        while name.startswith("pulumi") and pid > 1:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            if pid == os.getpid():
                return True
    except OSError:
        pass
    return False


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory
