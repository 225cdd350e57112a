"""The Python side of a sandbox: start one, apply resources, look, run commands, break things."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from preview.resources import Resource
from sandbox.control.launcher import launch
from sandbox.control.place import IN_DEFAULT, Place
from sandbox.control.protocol import Connection, Message, default_name
from sandbox.control.scratch import scratch_file, text_of
from sandbox.control.waiting import wait_with
from sandbox.errors import NotFoundError, SandboxError
from sandbox.host.addresses import USUAL_NETWORK, ClusterNetwork
from sandbox.host.machine import members, wait_ended
from sandbox.kubernetes.nodes import Node

_END_TIMEOUT_S = 15.0
PROMETHEUS_PORT = 9090


@dataclass(frozen=True)
class Completed:
    """A finished command: exit status, and its output as text."""

    exit: int
    stdout: str
    stderr: str

    def check(self) -> Completed:
        """Itself. Raises SandboxError with the command's output unless it succeeded."""
        if self.exit != 0:
            raise SandboxError(f"exit status {self.exit}: {(self.stderr or self.stdout).strip()}")
        return self


class Sandbox:
    """A running sandbox, by name; as a context manager it is started on entry and stopped on exit.

    Start it from the main thread: with `die_with_parent` the kernel ends it with the starting thread. `nodes` are
    the machines pods are placed on, where the usual two in each of three zones will not do. `network` is how the
    cluster is made: with IPv4 and the domain cluster.local, unless given.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        die_with_parent: bool = True,
        nodes: Sequence[Node] = (),
        network: ClusterNetwork = USUAL_NETWORK,
    ) -> None:
        self.name = name or default_name()
        self._die_with_parent = die_with_parent
        self._nodes = tuple(nodes)
        self.network = network
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Raises SandboxError when one of this name runs already, or the machine lacks something."""
        self._process = launch(
            self.name, die_with_parent=self._die_with_parent, network=self.network, nodes=self._nodes
        )

    @property
    def is_running(self) -> bool:
        try:
            self.hello()
        except NotFoundError:
            return False
        return True

    def hello(self) -> Message:
        result: Message = self._call("hello")
        return result

    def stop(self) -> None:
        """Ends it and returns once no process is left in any of its namespaces. No sandbox running is no error."""
        with contextlib.suppress(NotFoundError):
            processes = members(self.hello()["namespaces"])
            # The supervisor may be gone before its answer is.
            with contextlib.suppress(SandboxError, ConnectionError):
                self._call("stop")
            wait_ended(processes)
        if self._process is not None:
            self._process.wait(timeout=_END_TIMEOUT_S)
            self._process = None

    def _call(self, operation: str, on_progress: Callable[[str], None] = lambda text: None, **arguments: Any) -> Any:
        with Connection(self.name) as connection:
            connection.send({"operation": operation, "arguments": arguments})
            return connection.result(on_progress)

    def apply(
        self, resources: Iterable[Resource], on_progress: Callable[[str], None] = lambda text: None
    ) -> dict[str, int]:
        """What `pulumi up` would do with these resources; count of each kind of change. Raises ApplyError."""
        items = [resource.to_json() for resource in resources]
        result: dict[str, int] = self._call("apply", on_progress, resources=items)
        return result

    def status(self) -> Message:
        result: Message = self._call("status")
        return result

    def pods(self) -> dict[str, Message]:
        """Name -> status entry of every pod (`namespace/name` where a name is used twice)."""
        entries = self.status()["pods"]
        names = [entry["name"] for entry in entries]
        return {
            entry["name"] if names.count(entry["name"]) == 1 else f"{entry['namespace']}/{entry['name']}": entry
            for entry in entries
        }

    def events(self) -> list[tuple[float, str, str, str]]:
        """(time, subject, reason, message), oldest first."""
        return [tuple(event) for event in self._call("events")]

    def logs(self, pod: str, container: str | None = None, namespace: str | None = None, previous: bool = False) -> str:
        parts: list[str] = []
        self._call("logs", parts.append, pod=pod, container=container, namespace=namespace, previous=previous)
        return "".join(parts)

    def read_logs(self, write: Callable[[str], None], **given: Any) -> int:
        """Of one `pod` or of all with the labels of a `selector`; how many containers there were. Arguments as those of
        the operation `logs`; with `follow` it returns when the last container's run ends."""
        found: int = self._call("logs", write, **given)
        return found

    def follow_logs(self, pod: str, write: Callable[[str], None]) -> None:
        """Returns when the run of the pod's first container ends."""
        self.read_logs(write, pod=pod, follow=True)

    def delete(self, kind: str, name: str, namespace: str, *, now: bool = False) -> None:
        """A pod (`pods`) or a Job (`jobs`). Raises NotFoundError."""
        self._call("delete", kind=kind, name=name, namespace=namespace, now=now)

    def trigger(self, cronjob: str, namespace: str | None = None, wait: bool = False) -> Message:
        """Starts a Job of the CronJob now; with `wait`, its condition and last output."""
        result: Message = self._call("trigger", cronjob=cronjob, namespace=namespace, wait=wait)
        return result

    def renew(self, certificate: str, namespace: str | None = None) -> str:
        """Has a certificate issued anew, as cert-manager does when it is about to end."""
        result: str = self._call("renew", certificate=certificate, namespace=namespace)
        return result

    def watch(self, *, namespace: str, hurry: float = 1.0) -> str:
        """Runs Prometheus in a namespace, unless it runs already; where its pages are on this machine's loopback.

        With `hurry` every alert waits, and every query looks back, for so much less. Raises SandboxError.
        """
        with Connection(self.name) as connection, _loopback_listener() as listener:
            connection.send(
                {"operation": "watch", "arguments": {"namespace": namespace, "hurry": hurry}}, [listener.fileno()]
            )
            return str(connection.result())

    def dashboards(self) -> list[str]:
        """The Grafana dashboards of what runs, as JSON."""
        found: list[str] = self._call("dashboards")
        return found

    def unwatch(self) -> None:
        """Ends the sandbox's Prometheus. None running is no error."""
        self._call("unwatch")

    def fault(self, verb: str, **arguments: Any) -> str:
        """Breaks something; one line on what was done. Verbs and arguments as `python -m sandbox fault --help`."""
        result: str = self._call("fault", verb=verb, given=arguments)
        return result

    def exec(
        self,
        pod: str,
        command: Sequence[str],
        *,
        container: str | None = None,
        namespace: str | None = None,
        stdin: bytes = b"",
        timeout_s: float | None = 60.0,
    ) -> Completed:
        """Runs a command in a container, as `kubectl exec`. Raises TimeoutError, and ends the command then."""
        with contextlib.ExitStack() as stack:
            given, out, err = (scratch_file(stack, data) for data in (stdin, b"", b""))
            connection = stack.enter_context(Connection(self.name))
            connection.sock.settimeout(timeout_s)
            fds = [file.fileno() for file in (given, out, err)]
            return Completed(
                self._exec(connection, pod, command, container, namespace, fds), text_of(out), text_of(err)
            )

    def exec_here(
        self, pod: str, command: Sequence[str], *, container: str | None = None, namespace: str | None = None
    ) -> int:
        """Runs a command in a container on this process's own stdin, stdout and stderr; its exit status."""
        with Connection(self.name) as connection:
            interrupted = signal.signal(signal.SIGINT, lambda number, frame: connection.send({"signal": number}))
            try:
                return self._exec(connection, pod, command, container, namespace, [0, 1, 2])
            finally:
                signal.signal(signal.SIGINT, interrupted)

    @staticmethod
    def _exec(
        connection: Connection,
        pod: str,
        command: Sequence[str],
        container: str | None,
        namespace: str | None,
        fds: Sequence[int],
    ) -> int:
        arguments = {"pod": pod, "container": container, "namespace": namespace, "command": list(command)}
        connection.send({"operation": "exec", "arguments": arguments}, fds)
        return int(connection.result()["exit"])

    def run(
        self,
        command: Sequence[str],
        *,
        place: Place = IN_DEFAULT,
        timeout_s: float | None = None,
        env: dict[str, str] | None = None,
    ) -> Completed:
        """Runs a command of this machine inside the sandbox's network, or in that of a pod, with its DNS; captures its
        output."""
        with contextlib.ExitStack() as stack:
            out, err = (scratch_file(stack) for _ in range(2))
            code = self._run(command, place, (out, err), timeout_s, env)
            return Completed(code, text_of(out), text_of(err))

    def run_here(self, command: Sequence[str], place: Place = IN_DEFAULT) -> int:
        """As `run`, on this process's own stdin, stdout and stderr."""
        return self._run(command, place, (None, None), None, None)

    def _run(
        self,
        command: Sequence[str],
        place: Place,
        outputs: tuple[BinaryIO | None, BinaryIO | None],
        timeout_s: float | None,
        env: dict[str, str] | None,
    ) -> int:
        with Connection(self.name) as connection, contextlib.ExitStack() as stack:
            connection.send({"operation": "network", "arguments": asdict(place)})
            resolv_conf = connection.receive_good()["resolvConf"]
            netns = connection.fds[0]
            texts = {
                "/etc/resolv.conf": resolv_conf,
                "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
            }
            # bubblewrap gives the command these two files, a pid namespace to be ended with, and nothing else.
            argv = ["nsenter", f"--net=/proc/self/fd/{netns}", "--", "bwrap", "--dev-bind", "/", "/"]
            argv += ["--unshare-pid", "--die-with-parent", "--proc", "/proc", "--chdir", os.getcwd()]
            fds = [netns]
            for path, text in texts.items():
                fds.append(scratch_file(stack, text.encode()).fileno())
                argv += ["--ro-bind-data", str(fds[-1]), os.path.realpath(path)]
            search = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
            process = subprocess.Popen(
                [*argv, "--", *command],
                stdout=outputs[0],
                stderr=outputs[1],
                pass_fds=fds,
                env={**os.environ, "PATH": search, **(env or {})},
            )
            return wait_with(process, connection.sock, timeout_s)


def _loopback_listener() -> socket.socket:
    """At the port that Prometheus usually has, or at another if something else has that one."""
    try:
        return socket.create_server(("127.0.0.1", PROMETHEUS_PORT))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))
