"""The Kubernetes objects of a pool beside its pod template and its Jobs. Pure: plan -> Kubernetes inputs."""

import json
from collections.abc import Mapping
from typing import Any

from components.config.settings import Settings
from components.config.units import kubernetes_quantity
from components.manifests import names
from components.manifests.pod import PodRefs, pod_template
from components.plan.placement import zone_of
from components.plan.plan import Plan

AWAITED_COUNTS = ("replicas", "updatedReplicas", "availableReplicas")
"""Of a StatefulSet's status, all to be the wanted number: no pod too many, none of an older revision, none unready."""
PRIORITY = 1_000_000
"""Above every workload that names no class (0), below the cluster's own system classes (2 billion)."""


def namespace_labels() -> dict[str, str]:
    """The pods meet the strictest Pod Security Standard, and the namespace holds them to it."""
    return {
        "pod-security.kubernetes.io/enforce": "restricted",
        "app.kubernetes.io/part-of": names.CLIENT_NAMESPACE,
    }


def priority_class() -> dict[str, Any]:
    """So that no pod without state pushes a shard's copy out."""
    return {"value": PRIORITY, "description": "Redis image cache: before pods that hold no state"}


def makes_storage_classes(settings: Settings) -> bool:
    """Whether the classes of the volumes are made here: on EKS, unless one is given."""
    return settings.eks is not None and settings.storage.class_name is None


def storage_class_name(zone: str | None) -> str:
    """`fast-ssd`, or the class of volumes of one zone."""
    return names.STORAGE_CLASS if zone is None else f"{names.STORAGE_CLASS}-{zone}"


def claim_class(settings: Settings, zone: str | None = None) -> str | None:
    """Class of the claims; None is the cluster's default."""
    return storage_class_name(zone) if makes_storage_classes(settings) else settings.storage.class_name


def storage_class(settings: Settings, zone: str | None = None) -> dict[str, Any]:
    """Encrypted gp3 by the EBS CSI driver; with a zone, volumes that can only be made there.

    Parameters are strings, as the driver reads them. Nothing on a volume outlives its pool (nodes.conf alone),
    so it goes with its claim.
    """
    storage = settings.storage
    chosen = {
        "iops": storage.iops,
        "throughput": storage.throughput_mib_per_second,
        "kmsKeyId": storage.kms_key_id,
    }
    body: dict[str, Any] = {
        "provisioner": "ebs.csi.aws.com",
        "parameters": {
            "type": "gp3",
            "encrypted": "true",
            "csi.storage.k8s.io/fstype": "ext4",
            **{key: str(value) for key, value in chosen.items() if value is not None},
        },
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Delete",
    }
    if zone is not None:
        body["allowedTopologies"] = [{"matchLabelExpressions": [{"key": names.ZONE_LABEL, "values": [zone]}]}]
    return body


def claim_spec(plan: Plan, class_name: str | None) -> dict[str, Any]:
    """Claim of one pod's volume; without a class, Kubernetes takes the cluster's default."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": kubernetes_quantity(plan.sizing.volume_mib)}},
    }
    return spec if class_name is None else spec | {"storageClassName": class_name}


def zone_claims(settings: Settings, plan: Plan) -> dict[str, str]:
    """Claim name -> zone, for every pod: made before the StatefulSets, which then find them by name. Empty where the
    classes are not ours, so that none allows a single zone."""
    zones = settings.zones
    if not makes_storage_classes(settings):
        return {}
    return {
        f"{names.VOLUME}-{names.set_name(copy)}-{ordinal}": zone_of(copy, ordinal, zones)
        for copy in range(plan.sizing.copies_per_shard)
        for ordinal in range(plan.sizing.masters)
    }


def headless_service(copy: int) -> dict[str, Any]:
    """The governing Service of one StatefulSet. It names pods before they are ready: peers must find each other
    while the whole cluster starts anew with other addresses."""
    return {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": names.set_labels(copy),
        "ports": [
            {"name": "redis", "port": names.REDIS_PORT, "targetPort": "redis"},
            {"name": "cluster-bus", "port": names.BUS_PORT, "targetPort": "cluster-bus"},
        ],
    }


def discovery_service() -> dict[str, Any]:
    """All ready pods of a pool under one name, for a cluster client's first connection."""
    return {
        "clusterIP": "None",
        "selector": names.APP_LABEL,
        "ports": [{"name": "redis", "port": names.REDIS_PORT, "targetPort": "redis"}],
    }


def client_service(pool: str) -> dict[str, Any]:
    """The stable name applications use; switching pools changes where it points, and nothing else."""
    return {"type": "ExternalName", "externalName": names.service_host(names.CLIENT_SERVICE, pool)}


def disruption_budget() -> dict[str, Any]:
    """One pod of the whole cache at a time: enough for a node to drain, pod by pod, and never both copies."""
    return {
        "maxUnavailable": 1,
        "selector": {"matchLabels": names.APP_LABEL},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


def network_policy(settings: Settings) -> dict[str, Any]:
    """Who reaches the pods: themselves, the reconciler, and (if namespaces are named) only theirs."""
    own: list[dict[str, Any]] = [{"podSelector": {}}]
    bus = {"from": _from_namespaces([]) + own, "ports": [{"port": names.BUS_PORT}]}
    allowed = list(settings.access.allow_from_namespaces)
    clients: dict[str, Any] = {"ports": [{"port": names.REDIS_PORT}]}
    if allowed:
        clients["from"] = own + _from_namespaces([*allowed, names.CLIENT_NAMESPACE])
    rules = [bus, clients]
    if settings.monitoring.exporter:
        rules.append({"ports": [{"port": names.EXPORTER_PORT}]})
    return {"podSelector": {"matchLabels": names.APP_LABEL}, "policyTypes": ["Ingress"], "ingress": rules}


def _from_namespaces(allowed: list[str]) -> list[dict[str, Any]]:
    pools = {"namespaceSelector": {"matchLabels": {"app.kubernetes.io/part-of": names.CLIENT_NAMESPACE}}}
    named = {
        "namespaceSelector": {
            "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": allowed}]
        }
    }
    return [pools, named] if allowed else [pools]


def stateful_set(settings: Settings, plan: Plan, copy: int, refs: PodRefs) -> dict[str, Any]:
    """The StatefulSet of the n-th copy of every shard."""
    labels = names.set_labels(copy)
    return {
        "serviceName": names.set_name(copy),
        "replicas": plan.sizing.masters,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": labels},
        "updateStrategy": {"type": "RollingUpdate"},
        "minReadySeconds": plan.tuning.min_ready_seconds,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
        "template": pod_template(settings, plan, copy, refs),
        "volumeClaimTemplates": [
            {
                "metadata": {"name": names.VOLUME, "labels": names.APP_LABEL},
                "spec": claim_spec(plan, claim_class(settings)),
            }
        ],
    }


def awaited_to_the_last_pod(plan: Plan) -> dict[str, str]:
    """Annotations with which an update of a StatefulSet ends when its last pod has rolled and is ready.

    Without them the Kubernetes provider reads the status before the controller has seen the edit, finds the old pods
    ready and goes on (pulumi-kubernetes #3329): all sets would roll at once, and an image that cannot be pulled would
    take both copies of a shard.
    """
    pods = plan.sizing.masters
    conditions = [f"jsonpath={{.status.{count}}}={pods}" for count in AWAITED_COUNTS]
    return {"pulumi.com/waitFor": json.dumps(conditions)}


def common_metadata(name: str | None, namespace: Any, labels: Mapping[str, str]) -> dict[str, Any]:
    """Metadata of an object; without a name Pulumi makes one up, and makes another when it must replace."""
    metadata: dict[str, Any] = {"labels": {"app.kubernetes.io/part-of": names.CLIENT_NAMESPACE, **labels}}
    if name is not None:
        metadata["name"] = name
    if namespace is not None:
        metadata["namespace"] = namespace
    return metadata
