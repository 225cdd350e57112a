"""redis-py under load (see paced.py)."""

from __future__ import annotations

from typing import Any

import paced

# settings: begin
import time
from collections.abc import Callable

from redis.backoff import ExponentialWithJitterBackoff
from redis.cluster import RedisCluster
from redis.exceptions import ClusterDownError, ConnectionError, RedisClusterException, TimeoutError
from redis.retry import Retry

TRIED_FOR_S = 1.5  # a server that crashed is back, or replaced, by then
QUICKLY_S = 0.5


def connect(host: str, port: int, password: str) -> Any:
    return RedisCluster(
        host=host,
        port=port,
        username="app",
        password=password,
        socket_connect_timeout=0.25,  # a lost node does not refuse; when all are lost, each is waited for in turn
        socket_timeout=1,  # for each attempt
        retry=Retry(ExponentialWithJitterBackoff(base=0.1, cap=0.5), retries=1),  # each learns the nodes anew
    )


def answered(send: Callable[[], Any]) -> Any:
    """What a request gives. One that fails at once is sent again: its server restarts, and redis-py's own retries do
    not wait. One that got no answer is not."""
    until = time.monotonic() + TRIED_FOR_S
    while True:
        sent = time.monotonic()
        try:
            return send()
        except (ConnectionError, TimeoutError, ClusterDownError, RedisClusterException):
            now = time.monotonic()
            if now >= until or now - sent > QUICKLY_S:
                raise
            time.sleep(0.1)


# use: image = answered(lambda: cache.get(key))
# settings: end


def by_defaults(host: str, port: int, password: str) -> Any:
    return RedisCluster(host=host, port=port, username="app", password=password)


if __name__ == "__main__":
    paced.drive(connect, answered, by_defaults)
