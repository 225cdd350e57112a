"""Network namespaces of Linux: made, entered by a thread, and programs run in them."""

import ctypes
import os
import subprocess
import threading

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *args: int) -> None:
    """A function of the C library that gives 0. Raises OSError."""
    if getattr(_libc, name)(*args) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def namespace_of_this_thread() -> int:
    """A file descriptor of it."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def new_namespace() -> int:
    """A file descriptor of a network namespace that nobody is in yet."""
    made: list[int] = []

    def make() -> None:
        call("unshare", CLONE_NEWNET)
        made.append(namespace_of_this_thread())

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


def run(*command: str, given: str = "", pass_fds: tuple[int, ...] = (), namespace: int | None = None) -> None:
    """Runs a program with `given` as its standard input, in a namespace if there is one. Raises RuntimeError with what
    it said."""

    def enter() -> None:
        if namespace is not None:
            call("setns", namespace, CLONE_NEWNET)

    done = subprocess.run(
        command,
        input=given,
        pass_fds=pass_fds,
        preexec_fn=enter,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
