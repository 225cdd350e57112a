"""Functions (FUNCTION LOAD) in a stack that changes: none is lost, and no call fails meanwhile."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import pytest

from sandbox.control.client import Completed
from sandbox.errors import SandboxError
from tests.resize.harness import Stack, stack

WHY = "the test calls functions"
pytestmark = pytest.mark.sandbox

LIBRARY = """#!lua name=images
redis.register_function('images_get', function(keys) return redis.call('GET', keys[1]) end)
redis.register_function('images_put', function(keys, args) return redis.call('SET', keys[1], args[1], 'EX', 3600) end)
"""

_CALLS = """
import json, os, sys, time
from redis.cluster import RedisCluster
host, port, stop, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], 300
login = {"username": os.environ["REDIS_USER"], "password": os.environ["REDIS_PASSWORD"]}
client = RedisCluster(host=host, port=port, dynamic_startup_nodes=False, **login)
for number in range(count):
    client.fcall("images_put", 1, f"image:{number}", f"value {number}")
open(stop + ".ready", "w").close()
made, wrong, failed = 0, 0, []
while not os.path.exists(stop):
    number = made % count
    made += 1
    try:
        wrong += client.fcall("images_get", 1, f"image:{number}") != f"value {number}".encode()
        client.fcall("images_put", 1, f"image:{number}", f"value {number}")
    except Exception as error:
        failed.append(repr(error))
    time.sleep(0.005)
print(json.dumps({"made": made, "wrong": wrong, "failed": failed}))
"""


def load(living: Stack) -> None:
    """As an application does: on every master that serves."""
    for name in living.masters():
        namespace, _, pod = name.partition("/")
        command = ["redis-cli", "-x", "FUNCTION", "LOAD"]
        living.sandbox.exec(pod, command, namespace=namespace, stdin=LIBRARY.encode()).check()


def libraries(living: Stack, pod: str) -> str:
    """What a pod of the pool that serves has; empty while it does not answer."""
    try:
        return living.sandbox.exec(pod, ["redis-cli", "FUNCTION", "LIST"], namespace=living.deployment.namespace).stdout
    except SandboxError:
        return ""


class Calls:
    """Calls of both functions about 300 keys, from the sandbox's network, until `end`."""

    def __init__(self, living: Stack, stop: str) -> None:
        host, _, port = living.deployment.endpoint.rpartition(":")
        self._stop = stop
        self._done: Completed | None = None

        def run() -> None:
            self._done = living.deployment.run(
                [sys.executable, "-c", _CALLS, host, port, stop],
                timeout_s=400,
                env=living.deployment.login,
            )

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert living.deployment.until(Path(f"{stop}.ready").exists, 60) is not None, self._done

    def end(self) -> dict[str, object]:
        Path(self._stop).touch()
        self._thread.join(60)
        assert self._done is not None
        result: dict[str, object] = json.loads(self._done.check().stdout)
        return result


@pytest.mark.second_look
def test_functions_are_there_before_the_slots_in_a_scale_out_and_in_a_change_of_pools(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    stop = str(tmp_path_factory.mktemp("calls") / "stop")
    with stack("resize-functions", podMemory="64MB", totalMemory="192MB", access__scripts=WHY) as living:
        load(living)
        calls = Calls(living, stop)
        living.edit(totalMemory="256MB")
        assert len(living.masters()) == 4
        living.edit(podMemory="128MB", totalMemory="512MB")
        assert len(living.masters()) == 4
        result = calls.end()
        assert int(str(result["made"])) > 300
        assert result["failed"] == []
        assert result["wrong"] == 0
        # And a pod that comes back empty: it gets the functions with its master's data.
        living.sandbox.fault("kill-process", pod="redis-master-0")
        assert living.deployment.until(lambda: "images" in libraries(living, "redis-master-0"), 60) is not None
        pods = [pod["name"] for pod in living.sandbox.status()["pods"] if pod["owner"]["kind"] == "StatefulSet"]
        assert all("images_get" in libraries(living, pod) for pod in pods)
