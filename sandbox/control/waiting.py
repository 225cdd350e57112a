"""Waits for a program that runs in the sandbox's network, and for the sandbox."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess

from sandbox.errors import SandboxError


def wait_with(process: subprocess.Popen[bytes], sock: socket.socket, timeout_s: float | None) -> int:
    """Exit status of the process; it is ended when the sandbox goes, the time is up, or on an interrupt."""
    pidfd = os.pidfd_open(process.pid)
    try:
        readable, _, _ = select.select([pidfd, sock.fileno()], [], [], timeout_s)
        if pidfd not in readable:
            process.kill()
            process.wait()
            raise SandboxError("the sandbox ended") if readable else TimeoutError(f"no end within {timeout_s} s")
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    finally:
        os.close(pidfd)
    status = process.wait()
    return status if status >= 0 else 128 - status
