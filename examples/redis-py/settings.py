"""How this application talks to the cache. The time-outs and retries are those of docs/clients.md."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nearest import LimitedCluster, NearestCluster
from redis.backoff import NoBackoff
from redis.cluster import LoadBalancingStrategy
from redis.credentials import CredentialProvider
from redis.exceptions import ClusterDownError, ConnectionError, RedisClusterException, TimeoutError
from redis.retry import Retry

READS_FROM = os.environ.get("REDIS_READS_FROM", "nearest")
"""`nearest` copy of a shard, which can be a moment behind: a miss, or an image that was replaced just now. `master` is
for images that are replaced under their name and must never be the old ones."""
PATIENCE_S = float(os.environ.get("REDIS_PATIENCE_S", "2"))
USER = os.environ.get("REDIS_USER", "app")
PASSWORD_FILE = Path(os.environ.get("REDIS_PASSWORD_FILE", "/etc/redis-cache/password"))
CA_FILE = Path(os.environ.get("REDIS_CA_FILE", "/etc/redis-cache/ca.crt"))
COMMANDS_PER_NODE = 32
"""At a time. Others wait for their turn, within the patience."""


class PasswordFile(CredentialProvider):
    """Kubernetes renews the file when the Secret changes; every new connection reads it anew."""

    def get_credentials(self) -> tuple[str, str]:
        return USER, PASSWORD_FILE.read_text()


def connect(host: str, port: int) -> Any:
    made, strategy = (
        # A strategy other than None makes connections that replicas answer. NearestCluster chooses by itself.
        (NearestCluster, LoadBalancingStrategy.ROUND_ROBIN) if READS_FROM == "nearest" else (LimitedCluster, None)
    )
    return made(
        host=host,
        port=port,
        credential_provider=PasswordFile(),
        **({"ssl": True, "ssl_ca_certs": str(CA_FILE)} if CA_FILE.exists() else {}),
        socket_connect_timeout=0.25,
        socket_timeout=1,
        retry=Retry(NoBackoff(), 0),
        load_balancing_strategy=strategy,
        commands_per_node=COMMANDS_PER_NODE,
        # More than there are commands: one is for the PINGs, and a command may be led here that has its turn elsewhere.
        max_connections=2 * COMMANDS_PER_NODE,
    )


def answered(send: Callable[[], Any]) -> Any:
    """What a request gives. One that fails is sent again while there is patience: a read to another copy. When redis-py
    is led to a node that it has not heard of, it raises an AttributeError (redis/redis-py#4015)."""
    until, pause_s = time.monotonic() + PATIENCE_S, 0.1
    while True:
        try:
            return send()
        except (ConnectionError, TimeoutError, ClusterDownError, RedisClusterException, AttributeError):
            if time.monotonic() >= until:
                raise
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 1)  # learning the nodes is work for all, and for DNS
