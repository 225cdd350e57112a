"""Runs a command inside namespaces of its own, of which nothing is left when it ends or is killed.

Processes, mounts, network and temporary files live in namespaces that end with their first process (`inside.py`); that
one is killed when its parent dies. Control groups are the exception (`cgroups.py`).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.e2e.harness import cgroups

_NAMESPACES = ("--cgroup", "--net", "--mount", "--pid", "--ipc", "--uts")
_CONTROLLERS = {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"}


class CannotSupervise(Exception):
    """This machine cannot hold a cluster of its own."""


class Supervised:
    """One command in namespaces of its own."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], output: int | None = None) -> None:
        self._groups = cgroups.make(name)
        self._held = cgroups.start_sweeper(self._groups)
        enter = "; ".join(f"echo $$ >{shlex.quote(str(group))}/cgroup.procs" for group in self._groups)
        # The shell enters the groups before it makes the namespaces, so that the groups are the namespace's root. When
        # this process dies, unshare is killed (setpriv), with it the namespace's first process (--kill-child), and with
        # that one the kernel kills everything in the namespace.
        start = ["setpriv", "--pdeathsig", "KILL", "unshare", *_NAMESPACES, "--fork", "--kill-child", "--mount-proc"]
        inside = [*start, sys.executable, "-m", "tests.e2e.harness.inside", *command]
        self._process = subprocess.Popen(
            ["sh", "-ec", f"{enter}; exec {shlex.join(inside)}"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def poll(self) -> int | None:
        """The command's exit status once it has ended."""
        return self._process.poll()

    def output(self) -> Iterable[bytes]:
        """What it prints, line by line, where it was started with a pipe."""
        assert self._process.stdout is not None
        return self._process.stdout

    def end(self) -> list[Path]:
        """Kills what still runs and removes the control groups; those that would not go are returned."""
        self._process.kill()
        self._process.wait()
        left = cgroups.remove(self._groups)
        os.close(self._held)
        return left


def check() -> None:
    """Raises CannotSupervise with the reason."""
    if os.geteuid() != 0:
        raise CannotSupervise("a cluster of its own needs root; KUBECONFIG=FILE make e2e runs on a cluster you have")
    found = {option for hierarchy in cgroups.hierarchies() for option in hierarchy.options.split(",")}
    if not found >= _CONTROLLERS:
        raise CannotSupervise(
            "a cluster of its own needs these cgroup v1 controllers mounted and writable in /sys/fs/cgroup: "
            f"{', '.join(sorted(_CONTROLLERS - found))}; KUBECONFIG=FILE make e2e runs on a cluster you have"
        )
