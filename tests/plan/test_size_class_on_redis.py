"""The allocator's size classes, asked of a real Redis."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from components.plan.working_set import size_class_bytes

SIZES = (1000, 20_000, 65_535, 65_536, 100_000, 900_000, 1_000_000, 1_048_566, 1_048_567, 1_310_720, 3_000_000)
OF_THE_KEY_BYTES = 160
"""Entry, object and name of a short key, at most."""

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["redis.Redis"]:
    # A socket in a short path, no port: nothing to collide with. It dies with this process.
    folder = tmp_path_factory.mktemp("r")
    socket = folder / "s"
    command = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command, "--logfile", str(folder / "log")])
    try:
        client = connected(socket)
        yield client
        client.close()
    finally:
        process.kill()
        process.wait(timeout=10)


def connected(socket: Path) -> "redis.Redis":
    client = redis.Redis(unix_socket_path=str(socket))
    deadline = time.monotonic() + 10
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return client


@pytest.mark.parametrize("size", SIZES)
def test_a_value_takes_its_size_class(server: "redis.Redis", size: int) -> None:
    server.set("image", b"x" * size, ex=300)
    taken = server.memory_usage("image")
    assert isinstance(taken, int)
    assert 0 < taken - size_class_bytes(size) <= OF_THE_KEY_BYTES
