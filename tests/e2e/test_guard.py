"""Who may give a namespace the mark of a pool, which opens the cluster bus: asked of a real API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from components.manifests import names
from components.manifests.guard import pool_guard
from components.manifests.manifest import Manifest
from tests.e2e.harness.given import Ground
from tests.e2e.harness.kube import ApiError, Kube, Object
from tests.e2e.harness.local import eventually

NAMESPACES = "/api/v1/namespaces"
RIGHTS = "/apis/rbac.authorization.k8s.io/v1"
GUARD = "/apis/admissionregistration.k8s.io/v1"
DEPLOYER, TEAM = "guard-deployer", "guard-team"
POOL, OTHER = "guard-pool", "guard-other"
MARKED: Object = {"metadata": {"labels": names.CLUSTER_LABEL}}
IN_FORCE_WITHIN_S = 30.0
TRY = "?dryRun=All"
"""Everything is judged, and nothing is kept."""


def namespace(name: str, **metadata: Object) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **metadata}}


def allow(kube: Kube, user: str, *rules: Object) -> None:
    """Gives a user rights in the whole cluster."""
    kube.ensure(f"{RIGHTS}/clusterroles", {"metadata": {"name": user}, "rules": list(rules)})
    binding = {
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    kube.ensure(f"{RIGHTS}/clusterrolebindings", binding)


def path_of(item: Manifest) -> str:
    return f"{GUARD}/{'validatingadmissionpolicybindings' if item.after else 'validatingadmissionpolicies'}"


@pytest.fixture(scope="module")
def guarded(ground: Ground) -> Iterator[Kube]:
    """The guard as it is rendered, two users who may both make and edit namespaces, and two namespaces."""
    kube = ground.kube
    made = []
    for item in pool_guard():
        name = item.body["metadata"]["name"]
        # A stack that is up has made it already.
        if kube.find(f"{path_of(item)}/{name}") is None:
            kube.create(path_of(item), dict(item.body))
            made.append(f"{path_of(item)}/{name}")
    own: Object = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "create", "update", "patch"]}
    policies: Object = {
        "apiGroups": ["networking.k8s.io"],
        "resources": ["networkpolicies"],
        "verbs": ["create"],
    }
    allow(kube, TEAM, own)
    allow(kube, DEPLOYER, own, policies)
    kube.ensure(NAMESPACES, namespace(OTHER))
    try:
        # The API server takes up a new policy, and new rights, a moment after it was told of them.
        eventually("the guard is in force", lambda: bool(refusal(kube, TEAM, OTHER)), IN_FORCE_WITHIN_S)
        yield kube
    finally:
        for name in (POOL, OTHER):
            kube.delete(f"{NAMESPACES}/{name}")
        for user in (TEAM, DEPLOYER):
            kube.delete(f"{RIGHTS}/clusterrolebindings/{user}")
            kube.delete(f"{RIGHTS}/clusterroles/{user}")
        for path in reversed(made):
            kube.delete(path)


def refusal(kube: Kube, user: str, name: str) -> str:
    """What the guard says to a user who marks a namespace that is there; empty where it lets the user."""
    try:
        kube.acting_as(user).patch(f"{NAMESPACES}/{name}{TRY}", MARKED)
    except ApiError as error:
        if error.code == 403 and "ValidatingAdmissionPolicy" in str(error):
            return str(error)
        if error.code != 403:
            raise
        # Its rights are not in force yet.
        return ""
    return ""


def test_who_deploys_the_cache_may_mark_a_namespace_and_nobody_else(guarded: Kube) -> None:
    deployer, team = guarded.acting_as(DEPLOYER), guarded.acting_as(TEAM)
    said = refusal(guarded, TEAM, OTHER)
    assert "only who may create NetworkPolicies in namespace redis-image-cache may set it" in said
    with pytest.raises(ApiError, match="ValidatingAdmissionPolicy"):
        team.create(NAMESPACES + TRY, namespace("guard-new", labels=names.CLUSTER_LABEL))

    deployer.patch(f"{NAMESPACES}/{OTHER}{TRY}", MARKED)
    deployer.create(NAMESPACES + TRY, namespace("guard-new", labels=names.CLUSTER_LABEL))


def test_other_edits_of_namespaces_are_nobodys_business(guarded: Kube) -> None:
    team = guarded.acting_as(TEAM)
    guarded.acting_as(DEPLOYER).create(NAMESPACES, namespace(POOL, labels=names.CLUSTER_LABEL))
    noted: Object = {"metadata": {"annotations": {"team": "a note"}}}
    team.patch(f"{NAMESPACES}/{POOL}{TRY}", noted)
    team.patch(f"{NAMESPACES}/{OTHER}{TRY}", noted)
    team.patch(f"{NAMESPACES}/{OTHER}{TRY}", {"metadata": {"labels": {"redis-image-cache/cluster": "another"}}})
    team.create(NAMESPACES + TRY, namespace("guard-new", labels={"team": "a"}))
