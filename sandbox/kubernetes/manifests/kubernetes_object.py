"""What all object kinds have in common."""

from __future__ import annotations

from sandbox.kubernetes.manifests.base import Manifest
from sandbox.kubernetes.manifests.metadata import ObjectMeta
from sandbox.kubernetes.manifests.pod import PodTemplate


class KubernetesObject(Manifest):
    api_version: str
    kind: str
    metadata: ObjectMeta

    @property
    def key(self) -> tuple[str, str, str]:
        """(kind, namespace, name)."""
        return self.kind, self.metadata.namespace, self.metadata.name

    @property
    def pod_template(self) -> PodTemplate | None:
        """What its pods are made from; None for an object that has none."""
        return None
