"""Starts the supervisor in namespaces of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from sandbox.control.protocol import PROJECT_DIR, address
from sandbox.errors import SandboxError
from sandbox.host.addresses import ClusterNetwork
from sandbox.host.machine import check_machine
from sandbox.host.process import SYSTEM_PATH
from sandbox.kubernetes.nodes import Node, nodes_to_json

_READY_TIMEOUT_S = 30.0


def launch(
    name: str, *, die_with_parent: bool, network: ClusterNetwork, nodes: Sequence[Node] = ()
) -> subprocess.Popen[bytes]:
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
    argv += ["--ip-family", network.family.name, "--cluster-domain", network.domain]
    if nodes:
        argv += ["--nodes", nodes_to_json(nodes)]
    if die_with_parent:
        argv += ["--parent-fd", str(alive_read)]
        if threading.current_thread() is threading.main_thread():
            argv = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"
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
