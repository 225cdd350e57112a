"""Clients that an application would not want to be: `python load.py KIND [ARGUMENTS]`, inside the sandbox's network.

    images [N]             reads N images for ever, and writes those that are not there
    fill                   writes images without a TTL for ever
    misses                 reads one image that is there, and three that are not, for ever
    connections HOST N     opens N connections and keeps them, without logging in
    write HOST KEY         writes one value again and again, to one server, waiting for it as long as it takes

User and password are taken from REDIS_USER and REDIS_PASSWORD.
"""

from __future__ import annotations

import itertools
import os
import random
import resource
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError

ENDPOINT = "redis.redis-image-cache.svc.cluster.local"
PORT = 6379
IMAGE = os.urandom(1_000_000)
_AT_ONCE = 100
_SILENT_S = 30.0
"""Less than a minute: a crowded pod closes those that are idle for longer. Nor all the time: one that has just spoken
holds most memory, and Redis closes some when all together hold too much (maxmemory-clients)."""


def _login() -> dict[str, str]:
    return {"username": os.environ["REDIS_USER"], "password": os.environ["REDIS_PASSWORD"]}


def for_ever(step: Callable[[Any, int], None]) -> None:
    """Does steps by one client, and goes on where one fails: what is provoked may hit this client too."""
    client = None
    for number in itertools.count():
        try:
            client = client or RedisCluster(host=ENDPOINT, port=PORT, **_login(), socket_timeout=5)
            step(client, number)
        except (RedisError, RedisClusterException, OSError):
            time.sleep(0.2)


def images(count: str = "20") -> None:
    chosen = random.Random(1)

    def step(client: Any, _: int) -> None:
        # As an application uses a cache: the first images are asked for most, and what is not there is put there.
        name = f"image:{int(int(count) * chosen.random() ** 2)}"
        if client.get(name) is None:
            client.set(name, IMAGE, ex=300)
        time.sleep(0.01)

    for_ever(step)


def fill() -> None:
    for_ever(lambda client, number: client.set(f"fill:{number}", IMAGE))


def misses() -> None:
    def step(client: Any, number: int) -> None:
        if number % 100 == 0:
            client.set("popular", IMAGE)
        client.get("popular")
        for other in range(3):
            client.get(f"nobody-has-written-this:{number}:{other}")
        time.sleep(0.01)

    for_ever(step)


def connections(host: str, count: str) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(count) + 100, int(count) + 100))
    held: deque[tuple[socket.socket, float]] = deque()
    while True:
        # The one that has been silent for longest stands first.
        while held and time.monotonic() - held[0][1] > _SILENT_S:
            connection, _ = held.popleft()
            if _lives(connection):
                held.append((connection, time.monotonic()))
        opened = filter(None, (_connected(host) for _ in range(min(_AT_ONCE, int(count) - len(held)))))
        held += [(connection, time.monotonic()) for connection in opened]
        time.sleep(0.5)


def _connected(host: str) -> socket.socket | None:
    try:
        connection = socket.create_connection((host, PORT), timeout=5)
    except OSError:
        return None
    connection.setblocking(False)
    return connection


def _lives(connection: socket.socket) -> bool:
    """Says something, whatever the answer: a pod that is crowded closes the connections that say nothing."""
    try:
        connection.send(b"PING\r\n")
        return bool(connection.recv(4096))
    except BlockingIOError:
        return True
    except OSError:
        return False


def write(host: str, key: str) -> None:
    while True:
        try:
            Redis(host=host, port=PORT, **_login()).set(key, b"x")
        except RedisError:
            # It is cut off, is no master any more, or is ending: exactly what it is asked about.
            time.sleep(0.2)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
