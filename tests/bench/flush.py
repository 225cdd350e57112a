"""Takes every key of a cluster, as an application may: `python -m tests.bench.flush HOST:PORT`."""

from __future__ import annotations

import os
import sys

from redis.cluster import RedisCluster

_AT_ONCE = 500


def main(endpoint: str) -> int:
    host, _, port = endpoint.rpartition(":")
    user, password = (os.environ.get(name) or None for name in ("REDIS_USER", "REDISCLI_AUTH"))
    client = RedisCluster(host=host, port=int(port), username=user, password=password)
    keys = list(client.scan_iter(count=_AT_ONCE))
    for key in keys:
        client.unlink(key)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
