"""Stack `local` from its first `up` on, and Jobs and StatefulSets that somebody's hand deleted."""

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


@pytest.mark.e2e_long
def test_jobs_deleted_by_hand_are_made_anew_and_end_well(local: LocalStack) -> None:
    phases = ("check", "release", "rollout-redis-replica", "rollout-redis-master", "form")
    old = {phase: local.jobs(phase) for phase in phases}
    for phase, jobs in old.items():
        assert len(jobs) == 1, phase
        local.kube.delete(f"/apis/batch/v1/namespaces/{POOL}/jobs/{jobs[0]}?propagationPolicy=Background")

    assert len(local.engine.refresh().ok().changes) == len(phases)
    made = local.engine.up().ok()

    assert sorted(made.changes) == sorted(f"create Job images-{POOL}-{phase}" for phase in phases)
    assert all(len(local.jobs(phase)) == 1 and local.jobs(phase) != old[phase] for phase in phases)


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
