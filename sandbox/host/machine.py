"""This machine: what it must have to run a sandbox, and what a sandbox has left on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.host.process import SYSTEM_PATH, descendants, process_tree

_TOOLS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
    "tc": "iproute2",
    "nft": "nftables",
    "bwrap": "bubblewrap",
    "busybox": "busybox",
    "ldd": "libc-bin",
    "redis-server": "redis-server",
    "redis-cli": "redis-tools",
}
_GONE_TIMEOUT_S = 15.0


def check_machine() -> None:
    """Raises SandboxError listing everything this machine lacks, with what to do."""
    lacking = []
    if not sys.platform.startswith("linux"):
        raise SandboxError(f"the sandbox needs Linux (namespaces); this is {sys.platform}")
    if not hasattr(os, "pidfd_open"):
        lacking.append("Linux 5.3 or newer (pidfd_open)")
    if os.geteuid() != 0:
        lacking.append("root: pods get namespaces and users of their own; run it with sudo")
    missing = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool, path=SYSTEM_PATH) is None})
    if missing:
        lacking.append(f"programs: apt-get install {' '.join(missing)}")
    if "overlay" not in Path("/proc/filesystems").read_text():
        lacking.append("the overlay file system: modprobe overlay")
    if lacking:
        raise SandboxError("this machine cannot run the sandbox; it lacks " + "; ".join(lacking))


def members(namespaces: Iterable[str]) -> frozenset[tuple[int, str]]:
    """(pid, start time) of every process in any of these namespaces (`pid:[4026…]`), and of those below them: pods
    have namespaces of their own, but the supervisor is their ancestor."""
    wanted = set(namespaces)
    inside = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # A process may end while it is looked at.
            with contextlib.suppress(OSError):
                if any(os.readlink(entry / "ns" / kind) in wanted for kind in ("pid", "net", "mnt")):
                    inside.add(int(entry.name))
    tree = process_tree()
    below = {child for pid in inside for child in descendants(pid, tree)}
    return frozenset((pid, started) for pid in inside | below if (started := _start_time(pid)))


def wait_ended(processes: Iterable[tuple[int, str]]) -> None:
    """Returns once all of these are gone; with its last process a namespace, its links and its mounts are gone too.

    Processes, not namespaces, are waited for: the kernel gives a namespace's number to the next one at once.
    Raises SandboxError naming what is left.
    """
    left = set(processes)
    deadline = time.monotonic() + _GONE_TIMEOUT_S
    while True:
        left = {(pid, started) for pid, started in left if _start_time(pid) == started}
        if not left:
            return
        if time.monotonic() >= deadline:
            raise SandboxError(f"processes of the sandbox are left: {', '.join(str(pid) for pid, _ in sorted(left))}")
        time.sleep(0.02)


def _start_time(pid: int) -> str:
    """Clock ticks from boot to the start of a process; empty when it is gone or only waits to be collected."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]
