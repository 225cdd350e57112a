"""valkey-py under load (see paced.py)."""

from __future__ import annotations

from typing import Any

import paced

# settings: begin
import time
from collections.abc import Callable

from valkey.backoff import NoBackoff
from valkey.cluster import ValkeyCluster
from valkey.exceptions import ClusterDownError, ConnectionError, TimeoutError, ValkeyClusterException
from valkey.retry import Retry

TRIED_FOR_S = 1.5  # a server that crashed is back, or replaced, by then
QUICKLY_S = 0.5


def connect(host: str, port: int, password: str) -> Any:
    return ValkeyCluster(
        host=host,
        port=port,
        username="app",
        password=password,
        socket_connect_timeout=0.25,  # the default is none: a lost node is waited for until the kernel gives up
        socket_timeout=1,  # the default is none: an answer that never comes is waited for, for ever
        cluster_error_retry_attempts=1,  # the retry that helps: it learns the nodes anew
        retry=Retry(NoBackoff(), 0),  # no other retries: they would ask the same node again
    )


def answered(send: Callable[[], Any]) -> Any:
    """What a request gives. One that fails at once is sent again: its server restarts, and valkey-py's own retries do
    not wait. One that got no answer is not."""
    until = time.monotonic() + TRIED_FOR_S
    while True:
        sent = time.monotonic()
        try:
            return send()
        except (ConnectionError, TimeoutError, ClusterDownError, ValkeyClusterException):
            now = time.monotonic()
            if now >= until or now - sent > QUICKLY_S:
                raise
            time.sleep(0.1)


# use: image = answered(lambda: cache.get(key))
# settings: end


def by_defaults(host: str, port: int, password: str) -> Any:
    return ValkeyCluster(host=host, port=port, username="app", password=password)


if __name__ == "__main__":
    paced.drive(connect, answered, by_defaults)
