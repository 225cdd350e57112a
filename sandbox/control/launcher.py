"""Starts and stops the supervisor, and checks what this machine must have for it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from sandbox.control.protocol import PROJECT_DIR, address
from sandbox.errors import SandboxError
from sandbox.host.process import descendants, process_tree
from sandbox.kubernetes.controllers.scheduler import Node
from sandbox.kubernetes.nodes import nodes_to_json

_TOOLS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
    "tc": "iproute2",
    "bwrap": "bubblewrap",
    "busybox": "busybox",
    "ldd": "libc-bin",
    "redis-server": "redis-server",
    "redis-cli": "redis-tools",
}
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_READY_TIMEOUT_S = 30.0
_GONE_TIMEOUT_S = 15.0


def check_machine() -> None:
    """Raises SandboxError listing everything this machine lacks, with what to do."""
    lacking = []
    if not sys.platform.startswith("linux"):
        raise SandboxError(f"the sandbox needs Linux (namespaces); this is {sys.platform}")
    if os.geteuid() != 0:
        lacking.append("root: pods get namespaces and users of their own; run it with sudo")
    missing = sorted({package for tool, package in _TOOLS.items() if shutil.which(tool, path=_SYSTEM_PATH) is None})
    if missing:
        lacking.append(f"programs: apt-get install {' '.join(missing)}")
    if "overlay" not in Path("/proc/filesystems").read_text():
        lacking.append("the overlay file system: modprobe overlay")
    if lacking:
        raise SandboxError("this machine cannot run the sandbox; it lacks " + "; ".join(lacking))


def launch(name: str, *, die_with_parent: bool, nodes: Sequence[Node] = ()) -> subprocess.Popen[bytes]:
    """Starts a supervisor and returns once it answers. With `die_with_parent` it ends with this process, and with
    this thread when that is the main one; without, it outlives the caller. `nodes` replace the usual six."""
    check_machine()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(address(name))
    except OSError:
        listener.close()
        raise SandboxError(
            f"a sandbox named {name!r} is running already; stop it with: python -m sandbox down"
        ) from None
    listener.listen(64)
    ready_read, ready_write = os.pipe()
    # The supervisor reads; nobody ever writes. Its end of file is the end of this process.
    alive_read, alive_write = os.pipe()
    inherited = [listener.fileno(), ready_write, *([alive_read] if die_with_parent else [])]
    argv = ["unshare", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
    argv += ["--pid", "--mount", "--net", "--uts", "--ipc", "--", sys.executable, "-m", "sandbox.control.supervisor"]
    argv += ["--name", name, "--listen-fd", str(listener.fileno()), "--ready-fd", str(ready_write)]
    if nodes:
        argv += ["--nodes", nodes_to_json(nodes)]
    if die_with_parent:
        argv += ["--parent-fd", str(alive_read)]
        if threading.current_thread() is threading.main_thread():
            argv = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=None if die_with_parent else subprocess.DEVNULL,
        pass_fds=inherited,
        start_new_session=True,
        cwd=PROJECT_DIR,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(PROJECT_DIR), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    for fd in (ready_write, alive_read):
        os.close(fd)
    listener.close()
    if not die_with_parent:
        os.close(alive_write)
    _until_ready(process, ready_read)
    return process


def _until_ready(process: subprocess.Popen[bytes], fd: int) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    os.set_blocking(fd, False)
    text = b""
    try:
        while time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                chunk = os.read(fd, 4096)
                text += chunk
                if text == b"ready\n":
                    return
                if not chunk:
                    break
            time.sleep(0.01)
    finally:
        os.close(fd)
    process.kill()
    process.wait()
    raise SandboxError(f"the sandbox did not start: {text.decode(errors='replace') or 'no reason given'}")


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
