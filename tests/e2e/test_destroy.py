"""The end of stack `local`, after the tests that ran on it."""

from __future__ import annotations

import pytest

from tests.e2e.harness.local import LocalStack, eventually


@pytest.fixture
def local(stack: LocalStack) -> LocalStack:
    """As the tests before have left it: no edit is undone first, which would take minutes."""
    if not stack.engine.resources():
        stack.as_committed()
    return stack


def test_destroy_leaves_nothing(local: LocalStack) -> None:
    local.engine.destroy().ok()

    assert local.engine.resources() == []
    eventually("the namespaces are gone", lambda: local.pools() == [], 60)
    claims = [item["metadata"]["name"] for item in local.kube.items("/api/v1/persistentvolumeclaims")]
    assert [name for name in claims if name.startswith("redis-data")] == []
    classes = [item["metadata"]["name"] for item in local.kube.items("/apis/scheduling.k8s.io/v1/priorityclasses")]
    assert [name for name in classes if not name.startswith("system-")] == []
