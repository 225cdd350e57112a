"""Stack `local` from its first `up` to its end, and what somebody's hand changed in between."""

from __future__ import annotations

import pytest

from tests.e2e.harness.local import POOL, LocalStack, eventually

SIX_PODS = sorted(f"redis-{role}-{shard}" for role in ("master", "replica") for shard in range(3))


def test_up_makes_a_cluster_that_an_ordinary_client_can_use(local: LocalStack) -> None:
    with local.load() as load:
        load.end().is_whole()

    assert sorted(local.pods()) == SIX_PODS
    assert local.pools() == [POOL, "redis-image-cache"]


def test_a_second_preview_shows_no_change(local: LocalStack) -> None:
    assert local.engine.preview().ok().changes == []


def test_a_refresh_shows_no_change(local: LocalStack) -> None:
    assert local.engine.refresh().ok().changes == []


def test_jobs_deleted_by_hand_are_made_anew_and_end_well(local: LocalStack) -> None:
    phases = ("release", "rollout-redis-replica", "rollout-redis-master", "form")
    old = {phase: local.jobs(phase) for phase in phases}
    for phase, jobs in old.items():
        assert len(jobs) == 1, phase
        local.kube.delete(f"/apis/batch/v1/namespaces/{POOL}/jobs/{jobs[0]}?propagationPolicy=Background")

    assert len(local.engine.refresh().ok().changes) == len(phases)
    made = local.engine.up().ok()

    assert sorted(made.changes) == sorted(f"create Job images-{POOL}-{phase}" for phase in phases)
    assert all(len(local.jobs(phase)) == 1 and local.jobs(phase) != old[phase] for phase in phases)


def test_a_scale_by_hand_is_taken_back(local: LocalStack) -> None:
    scale(local, "redis-replica", 2)
    try:
        local.engine.refresh().ok()
        local.engine.up().ok()
        assert sorted(local.pods()) == SIX_PODS
    finally:
        scale(local, "redis-replica", 3)
        local.engine.refresh()


def scale(local: LocalStack, name: str, replicas: int) -> None:
    """As `kubectl scale` does it, under kubectl's name."""
    path = f"/apis/apps/v1/namespaces/{POOL}/statefulsets/{name}"
    local.kube.patch(f"{path}/scale?fieldManager=kubectl", {"spec": {"replicas": replicas}})

    def is_so() -> bool:
        status = local.kube.get(path)["status"]
        return status["replicas"] == replicas and status.get("availableReplicas", 0) == replicas

    eventually(f"{name} has {replicas} available pods", is_so, 120)


@pytest.mark.e2e_long
def test_a_statefulset_deleted_by_hand_comes_back_and_its_pods_rejoin_the_cluster(local: LocalStack) -> None:
    with local.load() as load:
        path = f"/apis/apps/v1/namespaces/{POOL}/statefulsets/redis-replica"
        local.kube.delete(f"{path}?propagationPolicy=Foreground")
        eventually("the StatefulSet is gone", lambda: local.kube.find(path) is None, 120)

        local.engine.refresh().ok()
        local.engine.up().ok()
        load.end().is_whole()

    assert sorted(local.pods()) == SIX_PODS
    # Ready means in sync; *repair* has put the new pods into the old ones' places by then.
    eventually("all pods are ready", lambda: all(is_ready(pod) for pod in local.pods().values()), 90)
    assert local.engine.preview().ok().changes == []


def is_ready(pod: dict[str, object]) -> bool:
    """Whether Kubernetes calls the pod ready."""
    conditions = pod["status"].get("conditions", [])  # type: ignore[attr-defined]
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def test_destroy_leaves_nothing(local: LocalStack) -> None:
    local.engine.destroy().ok()

    assert local.engine.resources() == []
    eventually("the namespaces are gone", lambda: local.pools() == [], 60)
    claims = [item["metadata"]["name"] for item in local.kube.items("/api/v1/persistentvolumeclaims")]
    assert [name for name in claims if name.startswith("redis-data")] == []
    classes = [item["metadata"]["name"] for item in local.kube.items("/apis/scheduling.k8s.io/v1/priorityclasses")]
    assert [name for name in classes if not name.startswith("system-")] == []
