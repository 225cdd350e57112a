"""Servers of the same bytes, each started in the network of one Redis pod, so that all are asked over the same link."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox.control.place import ON_A_NODE
from sandbox.errors import SandboxError
from tests.bench.client import IMAGE_BYTES, IMAGES, key
from tests.faults.deployment import Deployment

COPY_PORT, MEMCACHED_PORT, NGINX_PORT = 7001, 7002, 7003
_COPYING = Path(__file__).parent / "copying.py"
_UP_WITHIN_S = 120.0


def network_of(deployment: Deployment, pod: str) -> str:
    """The pod's network namespace, as a path of this machine."""
    told = deployment.sandbox.exec(pod, ["readlink", "/proc/self/ns/net"], namespace=deployment.namespace).check()
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            # Of the server itself: a probe would be gone before the path is used.
            is_server = path.parents[1].joinpath("comm").read_text().strip() == "redis-server"
            if is_server and os.readlink(path) == told.stdout.strip():
                return str(path)
        except OSError:
            # It ended meanwhile, as processes do.
            continue
    raise SandboxError(f"no process of {pod} is found")


@contextmanager
def serving(network: str, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server in that network until the block ends, or this process does."""
    argv = ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={network}", "--", *command]
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield server
    finally:
        server.kill()
        server.wait()


def copying() -> list[str]:
    """One core that does nothing but send: what the link and this machine carry."""
    return ["taskset", "-c", "0", sys.executable, str(_COPYING), str(COPY_PORT)]


def memcached() -> list[str]:
    return ["memcached", "-u", "nobody", "-l", "0.0.0.0", "-p", str(MEMCACHED_PORT), "-U", "0", "-m", "256", "-I", "2m"]


@contextmanager
def nginx(tag: str) -> Iterator[list[str]]:
    """Its command; the images are files, as nginx serves them best."""
    with tempfile.TemporaryDirectory(prefix="bench-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for number in range(IMAGES):
            (folder / key(tag, number).decode()).write_bytes(os.urandom(IMAGE_BYTES))
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; user root; error_log stderr; pid {folder}/pid;\n"
            "events {}\n"
            f"http {{ access_log off; sendfile on; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; "
            f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; "
            f"keepalive_requests 1000000; server {{ listen {NGINX_PORT}; root {folder}; }} }}\n"
        )
        yield ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]


def until_up(deployment: Deployment, host: str, port: int, server: subprocess.Popen[bytes]) -> None:
    """Raises SandboxError with the server's own words when it does not listen in time."""
    check = f"import socket; socket.create_connection(({host!r}, {port}), timeout=1)"
    deadline = time.monotonic() + _UP_WITHIN_S
    while deployment.sandbox.run([sys.executable, "-c", check], place=ON_A_NODE, timeout_s=60).exit != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            server.kill()
            raise SandboxError(f"nobody listens at port {port}: {server.communicate()[1].decode()[-500:]}")
        time.sleep(0.2)
