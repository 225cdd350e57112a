"""Clients find the cluster again by its nodes' names (docs/adr/0015-nodes-are-named-to-clients.md)."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.deployment import Deployment
from tests.faults.stacks import ours

pytestmark = pytest.mark.sandbox

_REQUESTS = 100
_HOPELESS_REQUESTS = 5
"""Each waits for every old address in turn, several times over."""
_CLIENT = Path(__file__).parent / "sleeping_client.py"


@pytest.fixture(scope="module")
def announced_by_address() -> Iterator[Deployment]:
    with ours("test-names-ip", ("access.nodeEndpoint", "ip")) as deployment:
        yield deployment


def answered_after_a_restart_of_all(deployment: Deployment, requests: int) -> int:
    """Requests that were answered to an ordinary redis-py client, which was idle while all pods got new addresses."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as threads:
        ready, awake = Path(folder, "ready"), Path(folder, "awake")
        host, _, port = deployment.endpoint.rpartition(":")
        client = threads.submit(
            deployment.run,
            [sys.executable, str(_CLIENT), host, port, str(ready), str(awake), str(requests)],
            timeout_s=300,
            env=deployment.login,
        )
        deadline = time.monotonic() + 30
        while not ready.exists() and not client.done() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert ready.exists(), "it did not connect to every node"
        before = {pod["ip"] for pod in deployment.pods().values()}
        deployment.fault("restart-all")
        deployment.until(lambda: not before & {pod["ip"] for pod in deployment.pods().values()}, 30)
        deployment.wait_whole()
        awake.touch()
        report = json.loads(client.result().check().stdout)
        print(report)
        return int(report["answered"])


def test_a_client_that_slept_while_all_pods_got_new_addresses_is_served(stack: Deployment) -> None:
    assert answered_after_a_restart_of_all(stack, _REQUESTS) == _REQUESTS


@pytest.mark.second_look
def test_announced_by_address_it_is_never_served_again_as_the_key_s_description_says(
    announced_by_address: Deployment,
) -> None:
    assert answered_after_a_restart_of_all(announced_by_address, _HOPELESS_REQUESTS) == 0
