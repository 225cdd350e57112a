"""Makes a volume for each claim once the scheduler has chosen a node, and removes it after the claim.

On a real node the volume is a directory (as kind's provisioner has it); on nodes that run nothing it has the form of an
EBS volume, which only nodes of its zone can use.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from tests.e2e.harness.kube import ApiError, Kube, Mirror, Object

CLASS = "standard"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_ZONE_LABEL = "topology.kubernetes.io/zone"
_AGAIN_AFTER_S = 2.0


class Provisioner:
    """Watches claims and volumes."""

    def __init__(self, kube: Kube, directory: Path | None) -> None:
        self._kube, self._directory = kube, directory
        self._changed = threading.Event()
        self._claims = Mirror(kube, "/api/v1/persistentvolumeclaims", self._changed.set)
        self._volumes = Mirror(kube, "/api/v1/persistentvolumes", self._changed.set)

    def run(self) -> None:
        if self._directory is not None:
            self._kube.ensure("/apis/storage.k8s.io/v1/storageclasses", _storage_class())
        while True:
            # Woken by every change, and in any case after a while: a claim whose volume failed is tried again.
            self._changed.wait(_AGAIN_AFTER_S)
            self._changed.clear()
            try:
                for claim in list(self._claims.objects.values()):
                    node = claim["metadata"].get("annotations", {}).get(_SELECTED_NODE)
                    if node and not claim["spec"].get("volumeName"):
                        self._provide(claim, node)
                for (_, name), volume in list(self._volumes.objects.items()):
                    if volume["status"].get("phase") in ("Released", "Failed"):
                        self._kube.delete(f"/api/v1/persistentvolumes/{name}")
            except (ApiError, OSError) as error:
                print(f"volumes: {error!r}", flush=True)
                time.sleep(_AGAIN_AFTER_S)

    def _provide(self, claim: Object, node_name: str) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        name = f"pv-{metadata['uid']}"
        if ("", name) in self._volumes.objects:
            return
        source, label, value = self._source(name, node_name)
        term = {"matchExpressions": [{"key": label, "operator": "In", "values": [value]}]}
        self._kube.ensure(
            "/api/v1/persistentvolumes",
            {
                "metadata": {"name": name},
                "spec": {
                    "capacity": spec["resources"]["requests"],
                    "accessModes": spec["accessModes"],
                    "storageClassName": spec["storageClassName"],
                    "persistentVolumeReclaimPolicy": "Delete",
                    "claimRef": {key: metadata[key] for key in ("namespace", "name", "uid")},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
                    **source,
                },
            },
        )

    def _source(self, name: str, node_name: str) -> tuple[Object, str, Any]:
        """(the volume itself, label and value of the nodes that can use it)."""
        if self._directory is not None:
            path = self._directory / name
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o777)
            return {"local": {"path": str(path)}}, "kubernetes.io/hostname", node_name
        node = self._kube.get(f"/api/v1/nodes/{node_name}")
        driver = {"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": name}}
        return driver, _ZONE_LABEL, node["metadata"]["labels"][_ZONE_LABEL]


def _storage_class() -> Object:
    return {
        "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "e2e.local/directory",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
    }
