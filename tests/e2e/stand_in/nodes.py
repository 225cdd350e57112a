"""Nodes without a kubelet, made from the account's node groups.

`python -m tests.e2e.stand_in.nodes KUBECONFIG ACCOUNT`

The scheduler places pods on them by labels, taints and what they can hold. A pod placed there is called ready, and one
of a Job ended well; a rollout Job's program is run for real (`rollout_pods.py`). One more node, without taints, takes
what is no Redis.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path
from typing import Any

from components.plan.nodes.catalogue import NODE_ROOT_VOLUME_GIB, InstanceType, load_catalogue
from tests.e2e.harness.kube import STRATEGIC_PATCH, ApiError, Kube, Mirror, Object
from tests.e2e.stand_in.account import SUBNETS, Account
from tests.e2e.stand_in.rollout_pods import Ended, RolloutPods, is_rollout

OWN_LABEL = "e2e/without-kubelet"
SYSTEM_NODE = "system-1"
"""What carries the pods of Jobs."""
_NOT_READY = "node.kubernetes.io/not-ready"
_TICK_S = 0.3
_EFFECTS = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}


class FakeNodes:
    """Keeps nodes as the account's groups want them, and their pods' status as a kubelet would."""

    def __init__(self, kube: Kube, account: Account) -> None:
        self._kube, self._account = kube, account
        self._nodes = Mirror(kube, "/api/v1/nodes")
        self._pods = Mirror(kube, "/api/v1/pods")
        self._rollouts = RolloutPods(kube)
        self._types = {kind.name: kind for kind in load_catalogue().types}
        self._addresses = (f"10.128.{third}.{fourth}" for third, fourth in itertools.product(range(256), range(1, 255)))

    def run(self) -> None:
        while True:
            try:
                self._follow_groups()
                self._follow_pods()
            except (ApiError, OSError) as error:
                print(f"nodes: {error!r}", flush=True)
            time.sleep(_TICK_S)

    def _follow_groups(self) -> None:
        wanted = self._account.nodes()
        living = {name: node for (_, name), node in list(self._nodes.objects.items())}
        system = {"zone": sorted(SUBNETS.values())[0], "labels": {}, "taints": []}
        for name, group in {**wanted, SYSTEM_NODE: system}.items():
            if name not in living:
                self._make(name, group)
            elif _NOT_READY in {taint["key"] for taint in living[name]["spec"].get("taints", [])}:
                self._call_ready(name, group)
        for name in living.keys() - wanted.keys() - {SYSTEM_NODE}:
            self._kube.delete(f"/api/v1/nodes/{name}")

    def _make(self, name: str, group: dict[str, Any]) -> None:
        labels = {
            "kubernetes.io/hostname": name,
            "topology.kubernetes.io/zone": group["zone"],
            OWN_LABEL: "yes",
            **group["labels"],
        }
        taints = [{**taint, "effect": _EFFECTS[taint["effect"]]} for taint in group["taints"]]
        self._kube.ensure("/api/v1/nodes", {"metadata": {"name": name, "labels": labels}, "spec": {"taints": taints}})
        self._call_ready(name, group)

    def _call_ready(self, name: str, group: dict[str, Any]) -> None:
        holds = _allocatable(self._types.get(group.get("instanceType", "")))
        condition = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": _now()}
        status = {"capacity": holds, "allocatable": holds, "conditions": [condition]}
        self._kube.patch(f"/api/v1/nodes/{name}/status", {"status": status}, STRATEGIC_PATCH)

    def _follow_pods(self) -> None:
        for pod in list(self._pods.objects.values()):
            metadata, status = pod["metadata"], pod["status"]
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
            if not pod["spec"].get("nodeName"):
                continue
            if metadata.get("deletionTimestamp"):
                self._kube.delete(f"{path}?gracePeriodSeconds=0")
            elif status.get("phase") == "Pending":
                self._set_status(path, _running(pod, next(self._addresses)))
            elif status.get("phase") == "Running" and "batch.kubernetes.io/job-name" in metadata.get("labels", {}):
                ended = self._rollouts.ended(pod) if is_rollout(pod) else Ended(0, "")
                if ended is not None:
                    self._set_status(path, _ended(pod, ended))

    def _set_status(self, path: str, status: Object) -> None:
        try:
            self._kube.patch(f"{path}/status", {"status": status}, STRATEGIC_PATCH)
        except ApiError as error:
            # It was deleted meanwhile.
            if error.code not in (404, 409):
                raise


def _allocatable(kind: InstanceType | None) -> Object:
    """What a node's pods may ask for; the node of no group has room for Jobs."""
    if kind is None:
        return {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "50Gi"}
    return {
        "cpu": f"{kind.allocatable_cpu_millicores}m",
        "memory": f"{kind.allocatable_memory_mib}Mi",
        "pods": str(kind.max_pods),
        "ephemeral-storage": f"{NODE_ROOT_VOLUME_GIB}Gi",
    }


def _containers(pod: Object, state: Object, ready: bool) -> list[Object]:
    return [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": container["image"],
            "restartCount": 0,
            "ready": ready,
            "started": ready,
            "state": state,
        }
        for container in pod["spec"]["containers"]
    ]


def _running(pod: Object, address: str) -> Object:
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": _now()}
        for kind in ("Initialized", "ContainersReady", "Ready")
    ]
    return {
        "phase": "Running",
        "startTime": _now(),
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": conditions,
        "containerStatuses": _containers(pod, {"running": {"startedAt": _now()}}, True),
    }


def _ended(pod: Object, ended: Ended) -> Object:
    terminated = {
        "exitCode": ended.status,
        "reason": "Error" if ended.status else "Completed",
        "message": ended.last_words,
        "startedAt": _now(),
        "finishedAt": _now(),
    }
    return {
        "phase": "Failed" if ended.status else "Succeeded",
        "conditions": [{"type": "Ready", "status": "False", "reason": "PodCompleted", "lastTransitionTime": _now()}],
        "containerStatuses": _containers(pod, {"terminated": terminated, "running": None}, False),
    }


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


if __name__ == "__main__":
    FakeNodes(Kube(Path(sys.argv[1])), Account(Path(sys.argv[2]))).run()
