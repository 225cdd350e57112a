"""What EKS does to the nodes of a managed node group that is made or changed (docs/reference/aws.md)."""

from __future__ import annotations

import time
from typing import Any

from tests.e2e.harness.kube import ApiError, Kube
from tests.e2e.stand_in.account import Account, is_node_of, node_name

_READY_WITHIN_S = 60.0
_DRAINED_WITHIN_S = 15 * 60.0
_TOO_MANY_REQUESTS = 429
"""The API server's answer to an eviction that a disruption budget does not allow now."""


def update_group(kube: Kube, account: Account, name: str, inputs: dict[str, Any]) -> None:
    """Makes the group's nodes what its inputs want, and waits for them: by number, then by version of the template.

    With another version a node is added before one is drained and ended, one after the other. Raises TimeoutError when
    a node's pods do not go, as EKS fails with PodEvictionFailure.
    """
    version = str(inputs["launchTemplate"]["version"]).removesuffix(".0")
    wanted = int(inputs["scalingConfig"]["desiredSize"])
    nodes = [(number, old) for number, old in account.all("groups").get(name, {}).get("nodes", [])]

    def put() -> None:
        account.put("groups", name, {**inputs, "nodes": nodes})

    numbers = {number for number, _ in nodes}
    nodes = nodes[:wanted] + [(n, version) for n in range(wanted) if n not in numbers][: max(0, wanted - len(nodes))]
    put()
    _await_nodes(kube, account, name)
    for number, old in [node for node in nodes if node[1] != version]:
        nodes.append((number, version))
        put()
        _await_nodes(kube, account, name)
        _drain(kube, name, node_name(name, number, old))
        nodes.remove((number, old))
        put()


def _await_nodes(kube: Kube, account: Account, group: str) -> None:
    """EKS calls a group active once its nodes are ready."""
    wanted = {node for node in account.nodes() if is_node_of(node, group)}
    deadline = time.monotonic() + _READY_WITHIN_S
    while not wanted <= {node["metadata"]["name"] for node in kube.items("/api/v1/nodes")}:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the nodes of {group} did not join the cluster")
        time.sleep(0.2)


def _drain(kube: Kube, group: str, node: str) -> None:
    """Cordons a node and evicts its Redis pods, as the disruption budgets allow."""
    kube.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": True}})
    deadline = time.monotonic() + _DRAINED_WITHIN_S
    while pods := redis_pods(kube, group, node):
        if time.monotonic() > deadline:
            raise TimeoutError(f"PodEvictionFailure: {node} still has {pods}")
        for pod in pods:
            namespace, name = pod.split("/")
            try:
                kube.evict(namespace, name)
            except ApiError as error:
                # It is gone, or its budget says: not now.
                if error.code not in (404, _TOO_MANY_REQUESTS):
                    raise
        time.sleep(0.5)


def redis_pods(kube: Kube, group: str, node: str | None = None) -> list[str]:
    """NAMESPACE/NAME of the Redis pods on a group's nodes, or on one of them."""
    found = []
    for pod in kube.items("/api/v1/pods?labelSelector=app%3Dredis"):
        place = pod["spec"].get("nodeName", "")
        if is_node_of(place, group) and node in (None, place):
            found.append(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")
    return sorted(found)
