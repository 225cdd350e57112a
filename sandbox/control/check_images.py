"""Writes and reads 1 MB images through a Redis Cluster endpoint; run inside the sandbox's network.

usage: check_images.py HOST:PORT   (user and password are taken from REDIS_USER and REDIS_PASSWORD)

Where REDIS_CA_FILE is set, connections have TLS: a node's certificate must be of that authority and have the node's
name. REDIS_CERT_FILE and REDIS_KEY_FILE are shown to nodes that want to see a certificate.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from redis.cluster import RedisCluster
from redis.exceptions import RedisError

_IMAGES = 48
_IMAGE_BYTES = 1_000_000
_TTL_S = 300


def _tls(environment: Mapping[str, str]) -> dict[str, Any]:
    if "REDIS_CA_FILE" not in environment:
        return {}
    return {
        "ssl": True,
        "ssl_ca_certs": environment["REDIS_CA_FILE"],
        "ssl_certfile": environment.get("REDIS_CERT_FILE"),
        "ssl_keyfile": environment.get("REDIS_KEY_FILE"),
    }


def main(endpoint: str) -> int:
    """0 when every image came back as written, with its TTL, from more than one master; else 1 with the reason."""
    host, _, port = endpoint.rpartition(":")
    try:
        user, password = os.environ.get("REDIS_USER") or None, os.environ.get("REDIS_PASSWORD") or None
        client = RedisCluster(host=host, port=int(port), username=user, password=password, **_tls(os.environ))
        images = {f"sandbox-check:{number}": os.urandom(_IMAGE_BYTES) for number in range(_IMAGES)}
        latencies_ms = []
        for key, image in images.items():
            began = time.perf_counter()
            client.set(key, image, ex=_TTL_S)
            latencies_ms.append((time.perf_counter() - began) * 1000)
        for key, image in images.items():
            began = time.perf_counter()
            answer = client.get(key)
            latencies_ms.append((time.perf_counter() - began) * 1000)
            if answer != image:
                sys.stderr.write(f"{key} did not come back as it was written\n")
                return 1
            if not 0 < int(client.ttl(key)) <= _TTL_S:
                sys.stderr.write(f"{key} has no time to live\n")
                return 1
        owners = {client.nodes_manager.get_node_from_slot(client.keyslot(key)).name for key in images}
        client.delete(*images)
    except RedisError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    p95 = sorted(latencies_ms)[int(len(latencies_ms) * 0.95)]
    print(f"checked: {_IMAGES} images of 1 MB written and read over {len(owners)} masters, p95 {p95:.1f} ms")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.stderr.write(__doc__ or "")
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
