"""Changes that cannot be made are refused in words, and leave the cluster as it was."""

from __future__ import annotations

import sys
import threading

import pytest

from sandbox.errors import ApplyError
from tests.resize.harness import Stack, stack, until_done

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("resize")]

_FILL = """
import os, sys
from redis.cluster import RedisCluster
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = RedisCluster(host=host, port=port, password=os.environ["REDIS_PASSWORD"])
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
    done = living.sandbox.run(
        [sys.executable, "-c", _FILL, host, port, str(count), str(writes)],
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


def test_a_second_change_moves_nothing_until_the_first_has_ended() -> None:
    """An update is cut off, as by Ctrl-C twice: its Job goes on alone, and the next update has another config."""
    with stack("resize-second", podMemory="64MB", totalMemory="192MB", resize__maxMibPerSecond="1") as living:
        assert fill(living, 120) == 120
        before = set(living.jobs("form"))

        def moving() -> set[str]:
            return {pod for pod in living.jobs("form") if pod not in before and "Move:" in living.says(pod)}

        living.cut_off(lambda: bool(moving()), within_s=90, totalMemory="256MB")
        (first,) = moving()
        heard: list[str] = []
        listener = threading.Thread(target=living.sandbox.follow_logs, args=(first, heard.append), daemon=True)
        listener.start()
        until_done(lambda: living.edit(totalMemory="320MB"), attempts=10, pause_s=5)
        listener.join(30)

        assert len(living.masters()) == 5
        second = [pod for pod in living.jobs("form") if pod not in before | {first}]
        began = min(line.split()[0] for pod in second for line in living.says(pod).splitlines() if "Move:" in line)
        ended = max(line.split()[0] for line in "".join(heard).splitlines() if " move: " in line)
        assert began >= ended
        assert there(living, 120) == 120
