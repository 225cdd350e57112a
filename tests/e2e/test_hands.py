"""What a hand or another controller has changed in a living stack `local`: the runbook's "What a hand has changed"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from components.manifests import names
from tests.e2e.harness.kube import APPLY_PATCH, Object
from tests.e2e.harness.local import POOL, LocalStack, eventually

pytestmark = pytest.mark.e2e_long
_REPLICAS = f"/apis/apps/v1/namespaces/{POOL}/statefulsets/redis-replica"
_NAMESPACED = {
    "Service": f"/api/v1/namespaces/{POOL}/services",
    "PodDisruptionBudget": f"/apis/policy/v1/namespaces/{POOL}/poddisruptionbudgets",
    "NetworkPolicy": f"/apis/networking.k8s.io/v1/namespaces/{POOL}/networkpolicies",
    "CronJob": f"/apis/batch/v1/namespaces/{POOL}/cronjobs",
    "RoleBinding": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{POOL}/rolebindings",
    "Role": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{POOL}/roles",
}
"""Kinds whose objects no running pod needs at once."""
_MOUNTED = {"ConfigMap": f"/api/v1/namespaces/{POOL}/configmaps", "Secret": f"/api/v1/namespaces/{POOL}/secrets"}
_PART_OF = f"labelSelector=app.kubernetes.io%2Fpart-of%3D{names.CLIENT_NAMESPACE}"


def ids(local: LocalStack) -> dict[str, str]:
    """Pod -> its id."""
    return {name: pod["metadata"]["uid"] for name, pod in local.pods().items()}


def ours(local: LocalStack, path: str) -> list[Object]:
    """The stack's objects of a kind."""
    return local.kube.items(f"{path}?{_PART_OF}")


@pytest.mark.parametrize("hand", ["kubectl", "an-autoscaler"])
def test_a_number_of_pods_that_a_hand_or_an_autoscaler_has_set_is_taken_back(local: LocalStack, hand: str) -> None:
    scale(local, 2, hand)
    try:
        local.engine.up(refresh=True).ok()
        eventually("the pods are back", lambda: available(local) == 3, 120)
    finally:
        scale(local, 3, hand)
    assert local.engine.up(refresh=True).ok().changes == []


def scale(local: LocalStack, replicas: int, hand: str) -> None:
    """As `kubectl scale` does it, and a HorizontalPodAutoscaler."""
    local.kube.patch(f"{_REPLICAS}/scale?fieldManager={hand}", {"spec": {"replicas": replicas}})
    eventually(f"there are {replicas} available pods", lambda: available(local) == replicas, 120)


def available(local: LocalStack) -> int:
    """Pods of the replicas' StatefulSet that are available, 0 while their number is on its way."""
    found = local.kube.get(_REPLICAS)
    status = found["status"]
    settled = status["replicas"] == found["spec"]["replicas"]
    return int(status.get("availableReplicas", 0)) if settled else 0


def test_a_field_that_kubectl_has_edited_is_taken_back_and_what_it_added_goes(local: LocalStack) -> None:
    """The provider takes over what kubectl has set on an object that it updates, and drops what is not its own."""
    before = ids(local)
    wanted = local.kube.get(_REPLICAS)["spec"]["minReadySeconds"]
    edit = {"metadata": {"annotations": {"team": "a note"}}, "spec": {"minReadySeconds": wanted + 7}}
    local.kube.patch(f"{_REPLICAS}?fieldManager=kubectl-edit", edit)

    local.engine.up(refresh=True).ok()

    found = local.kube.get(_REPLICAS)
    assert found["spec"]["minReadySeconds"] == wanted
    assert "team" not in found["metadata"]["annotations"]
    assert ids(local) == before
    assert local.engine.up(refresh=True).ok().changes == []


def test_an_annotation_and_a_label_on_what_is_not_otherwise_changed_stay(local: LocalStack) -> None:
    added = {"annotations": {"team": "a note"}, "labels": {"cost-centre": "42"}}
    local.kube.patch(f"{_REPLICAS}?fieldManager=kubectl-annotate", {"metadata": added})
    assert local.engine.up(refresh=True).ok().changes == []
    assert_has(local.kube.get(_REPLICAS), added)


def test_a_field_that_another_manager_has_applied_by_force_is_taken_back_and_what_it_added_stays(
    local: LocalStack,
) -> None:
    before = ids(local)
    wanted = local.kube.get(_REPLICAS)["spec"]["minReadySeconds"]
    added = {"annotations": {"agent": "was here"}, "labels": {"agent": "yes"}}
    body = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "redis-replica", **added},
        "spec": {"minReadySeconds": wanted + 9},
    }
    local.kube.patch(f"{_REPLICAS}?fieldManager=agent&force=true", body, APPLY_PATCH)

    local.engine.up(refresh=True).ok()

    found = local.kube.get(_REPLICAS)
    assert found["spec"]["minReadySeconds"] == wanted
    assert_has(found, added)
    assert ids(local) == before
    assert local.engine.up(refresh=True).ok().changes == []


def assert_has(found: Object, added: Mapping[str, Mapping[str, str]]) -> None:
    for section, entries in added.items():
        assert entries.items() <= found["metadata"][section].items()


def test_objects_that_a_hand_has_deleted_are_made_anew_and_no_pod_is_touched(local: LocalStack) -> None:
    before = ids(local)
    there = {kind: sorted(item["metadata"]["name"] for item in ours(local, path)) for kind, path in _NAMESPACED.items()}
    assert all(there.values()), there
    with local.load() as load:
        for kind, path in _NAMESPACED.items():
            for name in there[kind]:
                local.kube.delete(f"{path}/{name}")
        local.engine.up(refresh=True).ok()
        load.end().is_whole()

    assert {kind: len(ours(local, path)) for kind, path in _NAMESPACED.items()} == {
        kind: len(found) for kind, found in there.items()
    }
    assert ids(local) == before
    assert local.engine.up(refresh=True).ok().changes == []


def test_what_pods_mount_and_a_hand_has_deleted_is_made_anew_and_the_pods_roll(local: LocalStack) -> None:
    before = ids(local)
    with local.load() as load:
        for path in _MOUNTED.values():
            for item in ours(local, path):
                local.kube.delete(f"{path}/{item['metadata']['name']}")
        local.engine.up(refresh=True).ok()
        load.end().is_whole()

    assert before.keys() == ids(local).keys()
    assert not set(before.values()) & set(ids(local).values())


@pytest.mark.parametrize("how", ["rollout restart", "an agent's sidecar"])
def test_what_a_hand_has_added_to_the_pods_stays(local: LocalStack, how: str) -> None:
    template: dict[str, Any]
    if how == "rollout restart":
        template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}}
    else:
        image = next(iter(local.images().values()))
        template = {"spec": {"containers": [sidecar(image)]}}
    body = {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"template": template}}
    with local.load() as load:
        local.kube.patch(f"{_REPLICAS}?fieldManager={how.split()[0]}", body, APPLY_PATCH)
        eventually("the pods have rolled", lambda: has_rolled(local), 200)
        after = ids(local)

        assert local.engine.up(refresh=True).ok().changes == []
        load.end().is_whole()

    assert ids(local) == after


def sidecar(image: str) -> Object:
    """A container that the pool's Pod Security Standard lets in."""
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    command = ["sh", "-c", "sleep 86400 & wait"]
    return {"name": "agent", "image": image, "command": command, "securityContext": context}


def has_rolled(local: LocalStack) -> bool:
    """Whether the last pod runs the set's last revision and is available."""
    found = local.kube.get(_REPLICAS)
    status = found["status"]
    counts = {status["replicas"], status.get("updatedReplicas", 0), status.get("availableReplicas", 0)}
    return status["observedGeneration"] == found["metadata"]["generation"] and counts == {3}
