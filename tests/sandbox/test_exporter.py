"""The exporter's image: what it shows of the Redis in its own pod."""

from __future__ import annotations

import pytest

from sandbox.control.client import Sandbox
from tests.sandbox.conftest import eventually
from tests.sandbox.manifests import pod_spec, stateful_set

pytestmark = pytest.mark.sandbox


def test_the_exporter_shows_the_redis_beside_it(sandbox: Sandbox) -> None:
    exporter = {
        "name": "exporter",
        "image": "oliver006/redis_exporter:v1.92.1",
        "env": [{"name": "REDIS_ADDR", "value": "redis://127.0.0.1:6379"}],
        "securityContext": {"readOnlyRootFilesystem": True},
    }
    sandbox.apply([stateful_set("cache", pod_spec({"name": "redis", "image": "redis:7.4-alpine"}, exporter))])

    def shown() -> str:
        return sandbox.exec("cache-0", ["wget", "-qO-", "http://127.0.0.1:9121/metrics"], container="redis").stdout

    eventually(lambda: "\nredis_up 1\n" in shown(), 20, "the exporter shows a Redis that is up")
    assert "\nredis_connected_clients " in shown()
