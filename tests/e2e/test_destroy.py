"""The end of stack `local`, after the tests that ran on it."""

from __future__ import annotations

from tests.e2e.harness.local import LocalStack, eventually


def test_destroy_leaves_nothing(local: LocalStack) -> None:
    local.engine.destroy().ok()

    assert local.engine.resources() == []
    eventually("the namespaces are gone", lambda: local.pools() == [], 60)
    claims = [item["metadata"]["name"] for item in local.kube.items("/api/v1/persistentvolumeclaims")]
    assert [name for name in claims if name.startswith("redis-data")] == []
    classes = [item["metadata"]["name"] for item in local.kube.items("/apis/scheduling.k8s.io/v1/priorityclasses")]
    assert [name for name in classes if not name.startswith("system-")] == []
