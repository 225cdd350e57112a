"""redis-py under load (see paced.py)."""

from __future__ import annotations

from typing import Any

import paced

# settings: begin
from redis.backoff import ExponentialWithJitterBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry


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


# settings: end


def by_defaults(host: str, port: int, password: str) -> Any:
    return RedisCluster(host=host, port=port, username="app", password=password)


if __name__ == "__main__":
    paced.drive(connect, by_defaults)
