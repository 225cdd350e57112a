"""valkey-py under load (see paced.py)."""

from __future__ import annotations

from typing import Any

import paced

# settings: begin
from valkey.backoff import NoBackoff
from valkey.cluster import ValkeyCluster
from valkey.retry import Retry


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


# settings: end


def by_defaults(host: str, port: int, password: str) -> Any:
    return ValkeyCluster(host=host, port=port, username="app", password=password)


if __name__ == "__main__":
    paced.drive(connect, by_defaults)
