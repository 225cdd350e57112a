"""Tests on another server than this machine's own: `TEST_SERVER="Valkey 8.1" pytest tests/pod_life`.

It holds for pod life, faults, the reconciler and resizes. `python -m tests.tested_server` runs all four on every server
that this machine has (`make test-servers`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from sandbox.host.images import PARTS_DIR
from sandbox.host.servers import PARTS, REDIS, ServerProgram, servers

VARIABLE = "TEST_SERVER"
TESTS = ("tests/pod_life", "tests/faults", "tests/reconciler", "tests/resize")
MARKED = "(redis or sandbox) and not second_look"


def tested_server() -> ServerProgram | None:
    """The server that the variable names by engine and version, or the beginning of it. None: this machine's own."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return None
    found = [server for server in servers() if f"{server.title}.".startswith(f"{wanted}.")]
    if not found:
        known = ", ".join(server.title for server in servers())
        raise ValueError(f'{VARIABLE} = "{wanted}": this machine has {known}; `make servers` fetches more')
    return found[-1]


def program() -> str:
    """The server that tests start themselves."""
    server = tested_server()
    return "redis-server" if server is None else server.path


def image_of(server: ServerProgram) -> str:
    """The image that such a server runs for in the sandbox."""
    place = "redis" if server.engine == REDIS else "valkey/valkey"
    return f"{place}:{server.version[0]}.{server.version[1]}-alpine"


@cache
def has_tls() -> bool:
    """Whether the server was built with TLS: one that was not refuses the option."""
    server = tested_server()
    if server is None:
        return True
    done = subprocess.run(
        [server.path, "--tls-port", "0", "--tls-cluster", "yes", "--port", "0", "--unixsocket", "/nowhere/socket"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return "finding TLS support" not in done.stdout + done.stderr


def program_in_pod(server: ServerProgram) -> bytes:
    """What stands in a pod under the name redis-server, where the parts of `make servers` are in PARTS_DIR."""
    content = Path(server.path).read_bytes()
    return content.replace(str(PARTS).encode(), PARTS_DIR.encode()) if server.brings_libraries else content


def main() -> int:
    own = servers()[0]
    failed = []
    for server in servers():
        if server == own:
            continue
        print(f"== {server.title}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-m", MARKED, *TESTS]
        if subprocess.run(command, env=os.environ | {VARIABLE: server.title}, check=False).returncode:
            failed.append(server.title)
    print(f"failed on: {', '.join(failed) or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
