"""Child processes of the supervisor.

The supervisor is process 1 of its pid namespace, so it also inherits and must reap every orphan.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.errors import SandboxError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where system programs are, also for a user whose PATH lacks the directories of the administrator."""
_TOOL_ENV = {"PATH": SYSTEM_PATH, "LC_ALL": "C"}

_own_children: set[int] = set()


class Process:
    """A running child; `wait()` gives its exit status, 128 + signal number when a signal ended it (as a shell says)."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self.pid = popen.pid
        _own_children.add(self.pid)
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = loop.create_future()
        # A pidfd tells the loop of the child's end without threads and without a global signal handler.
        self._pidfd = os.pidfd_open(self.pid)
        loop.add_reader(self._pidfd, self._on_end)

    def _on_end(self) -> None:
        status = self._popen.wait()
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        _own_children.discard(self.pid)
        if not self._ended.done():
            self._ended.set_result(status if status >= 0 else 128 - status)

    @property
    def running(self) -> bool:
        return not self._ended.done()

    async def wait(self, timeout_s: float | None = None) -> int:
        """Raises TimeoutError; the child goes on then."""
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self._ended)

    def kill(self, signal_number: int = signal.SIGKILL) -> None:
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)

    def kill_tree(self) -> None:
        """SIGKILL to the child and its descendants: `nsenter` leaves the program it started behind otherwise."""
        if self.running:
            for pid in (*descendants(self.pid), self.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Starts `argv` in a session of its own with exactly `env` (the supervisor's environment when None)."""
    return Process(
        subprocess.Popen(
            list(argv),
            env=None if env is None else dict(env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
            cwd="/",
        )
    )


def run_tool(argv: Sequence[str], input_text: str | None = None) -> str:
    """Output of a short system tool (`ip`, `mount`, `tc`). Raises SandboxError with what it said."""
    try:
        done = subprocess.run(
            list(argv),
            input=input_text,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env={"PATH": SYSTEM_PATH, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxError(f"cannot run {argv[0]}: {error}") from error
    if done.returncode != 0:
        raise SandboxError(f"{' '.join(argv)} failed ({done.returncode}): {(done.stderr or done.stdout).strip()}")
    return done.stdout


def process_tree() -> dict[int, list[int]]:
    """Parent -> children, of all processes there are now."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                # The command name may hold spaces and parentheses; the parent is the second field after it.
                parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    return children


def descendants(pid: int, tree: Mapping[int, Sequence[int]] | None = None) -> list[int]:
    """All processes below `pid`, deepest last."""
    children = process_tree() if tree is None else tree
    found = list(children.get(pid, ()))
    for child in found:
        found.extend(children.get(child, ()))
    return found


async def reap_orphans() -> None:
    """Collects what was re-parented to the supervisor. Runs for ever."""
    while True:
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            # The supervisor's own children are collected by `Process`; they only hide orphans for an instant.
            if ended is None or ended.si_pid in _own_children:
                break
            with contextlib.suppress(ChildProcessError):
                os.waitpid(ended.si_pid, os.WNOHANG)
        await asyncio.sleep(1)
