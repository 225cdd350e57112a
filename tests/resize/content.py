"""Known values in a stack, written and looked for by an ordinary cluster client in the sandbox's network."""

from __future__ import annotations

import sys

from tests.resize.harness import Stack

_FILL = """
import os, sys
from redis.cluster import RedisCluster
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = RedisCluster(host=host, port=port, username=os.environ["REDIS_USER"], password=os.environ["REDIS_PASSWORD"])
value = os.urandom(500_000)
for number in range(int(sys.argv[4])):
    client.set(f"image:{number}", value)
print(sum(client.exists(f"image:{number}") for number in range(count)))
"""


def fill(living: Stack, count: int) -> int:
    """Writes values of 500 kB; how many of them are there afterwards."""
    return _run(living, count, count)


def there(living: Stack, count: int) -> int:
    """How many of the values that `fill` wrote are there."""
    return _run(living, count, 0)


def _run(living: Stack, count: int, writes: int) -> int:
    host, _, port = living.deployment.endpoint.rpartition(":")
    done = living.deployment.run(
        [sys.executable, "-c", _FILL, host, port, str(count), str(writes)],
        timeout_s=60,
        env=living.deployment.login,
    )
    return int(done.check().stdout)
