"""Changes that cannot be made are refused in words, and leave the cluster as it was."""

from __future__ import annotations

import sys

import pytest

from sandbox.errors import ApplyError
from tests.resize.harness import Stack, stack

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("resize")]

_FILL = """
import os, sys
from redis.cluster import RedisCluster
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = RedisCluster(host=host, port=port, password=os.environ["REDIS_PASSWORD"])
value = os.urandom(500_000)
for number in range(count):
    client.set(f"image:{number}", value)
print(sum(client.exists(f"image:{number}") for number in range(count)))
"""


def fill(living: Stack, count: int) -> int:
    """Writes values of 500 kB; how many of them are there afterwards."""
    host, _, port = living.deployment.endpoint.rpartition(":")
    done = living.sandbox.run(
        [sys.executable, "-c", _FILL, host, port, str(count)],
        timeout_s=60,
        env={"REDIS_PASSWORD": living.deployment.password},
    )
    return int(done.check().stdout)


def test_a_shrink_to_masters_that_cannot_hold_the_content_is_refused_and_moves_nothing() -> None:
    with stack("resize-refused", podMemory="48MB", totalMemory="192MB") as living:
        # 4 masters of 48 MB; 140 MB would leave each of 3 without room for anything else.
        assert fill(living, 280) == 280
        before = living.masters()
        assert len(before) == 4

        with pytest.raises(ApplyError) as refused:
            living.edit(totalMemory="144MB")

        assert "PodFailurePolicy after 1 failure" in str(refused.value)
        assert "maxmemory" in str(refused.value)
        assert "Nothing was moved" in str(refused.value)
        assert living.masters() == before
        assert sum(pod["ready"] for pod in living.deployment.pods().values()) == 8

        living.edit(totalMemory="192MB")
        assert living.masters() == before
