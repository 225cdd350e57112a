"""What a provider does with a changed resource: update it in place, or make another one and delete the first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from preview.resources import Resource

_METADATA = (("metadata", "name"), ("metadata", "namespace"))
_FORCE_NEW: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "ConfigMap": (("data",), ("binaryData",)),
    "Service": (("spec", "clusterIP"),),
    "PersistentVolumeClaim": (("spec",),),
    "StorageClass": (("parameters",), ("provisioner",)),
    "RoleBinding": (("roleRef",),),
    "Job": (("spec", "completions"), ("spec", "parallelism"), ("spec", "selector"), ("spec", "template")),
    "NodeGroup": tuple(
        (field,) for field in ("clusterName", "nodeGroupName", "nodeRoleArn", "subnetIds", "amiType", "capacityType")
    ),
    "StatefulSet": (
        ("spec", "podManagementPolicy"),
        ("spec", "revisionHistoryLimit"),
        ("spec", "selector"),
        ("spec", "serviceName"),
        ("spec", "volumeClaimTemplates"),
    ),
}
"""Fields whose change replaces the object (pulumi-kubernetes 4, provider/pkg/provider/diff.go). Those of a node group
stand in no call of the EKS API that updates one."""
_IMMUTABLE_SECRET = (("type",), ("stringData",), ("data",))
"""The same of a Secret that says it is immutable. Others change in place: the program's provider is told so
(`components/resources/stack.py`)."""


def prune(value: Any) -> Any:
    """The value without nulls: to the API server a null field and an absent one are the same."""
    if isinstance(value, Mapping):
        return {key: prune(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [prune(item) for item in value]
    return value


def identity(resource: Resource) -> tuple[str, str, str]:
    """Type, namespace and name: what two objects cannot share."""
    metadata = resource.inputs.get("metadata") or {}
    return resource.type, metadata.get("namespace", "default"), metadata.get("name", "")


def force_new(old: Resource, new: Resource) -> tuple[str, ...]:
    """The changed fields that make the provider replace rather than update."""
    if old.type != new.type:
        return ("type",)
    paths = (*_METADATA, *_FORCE_NEW.get(new.kind, ()))
    if new.kind == "Secret" and new.inputs.get("immutable"):
        paths += _IMMUTABLE_SECRET
    before, after = prune(old.inputs), prune(new.inputs)
    return tuple(".".join(path) for path in paths if _at(before, path) != _at(after, path))


def _at(value: Any, path: Sequence[str]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def changed_paths(before: Any, after: Any, prefix: str = "") -> tuple[str, ...]:
    """Paths of the leaves that differ, for people."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        found: list[str] = []
        for key in sorted({*before, *after}):
            found += changed_paths(before.get(key), after.get(key), f"{prefix}.{key}" if prefix else str(key))
        return tuple(found)
    return () if before == after else (prefix,)
