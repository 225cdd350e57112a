"""valkey-py under load (see paced.py)."""

from __future__ import annotations

from typing import Any

import paced

# settings: begin
import os
import time
from collections.abc import Callable

from valkey.backoff import NoBackoff
from valkey.cluster import ValkeyCluster
from valkey.exceptions import ClusterDownError, ConnectionError, TimeoutError, ValkeyClusterException
from valkey.retry import Retry

PATIENCE_S = float(os.environ.get("REDIS_PATIENCE_S", "2"))  # 2 outlasts a crash, 15 a failover


def connect(host: str, port: int, password: str) -> Any:
    return ValkeyCluster(
        host=host,
        port=port,
        username="app",
        password=password,
        socket_connect_timeout=0.25,  # the default is none: a lost node is waited for until the kernel gives up
        socket_timeout=1,  # the default is none: an answer that never comes is waited for, for ever
        cluster_error_retry_attempts=0,  # answered() tries again; after each failure the nodes are learned anew
        retry=Retry(NoBackoff(), 0),  # these retries would ask the same node again
    )


# What a request gives. One that fails is sent again while there is patience: by then the client has learned the nodes
# anew. Its own retries do not wait. When it is led to a node that it has not heard of, it raises an AttributeError
# (redis/redis-py#4015).
def answered(send: Callable[[], Any]) -> Any:
    until, pause_s = time.monotonic() + PATIENCE_S, 0.1
    while True:
        try:
            return send()
        except (ConnectionError, TimeoutError, ClusterDownError, ValkeyClusterException, AttributeError):
            if time.monotonic() >= until:
                raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 1)  # learning the nodes is work for all, and for DNS


# use: image = answered(lambda: cache.get(key))
# settings: end


def by_defaults(host: str, port: int, password: str) -> Any:
    return ValkeyCluster(host=host, port=port, username="app", password=password)


if __name__ == "__main__":
    paced.drive(connect, answered, by_defaults)
