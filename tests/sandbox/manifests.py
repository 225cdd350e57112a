"""Small Kubernetes objects written by hand, as resources the sandbox can be given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from preview.resources import Resource

SHELL = "busybox:1.36"


def resource(kind: str, name: str, spec: dict[str, Any] | None = None, /, **more: Any) -> Resource:
    """A Kubernetes resource; `depends_on` takes resources, everything else becomes inputs."""
    group = {
        "StatefulSet": "apps/v1",
        "Job": "batch/v1",
        "CronJob": "batch/v1",
        "PodDisruptionBudget": "policy/v1",
        "NetworkPolicy": "networking.k8s.io/v1",
        "Role": "rbac.authorization.k8s.io/v1",
        "RoleBinding": "rbac.authorization.k8s.io/v1",
    }.get(kind, "core/v1")
    depends_on: Sequence[Resource] = more.pop("depends_on", ())
    metadata = {"name": name, **more.pop("metadata", {})}
    inputs = {"apiVersion": group.removeprefix("core/"), "kind": kind, "metadata": metadata, **more}
    if spec is not None:
        inputs["spec"] = spec
    return Resource(
        urn=f"urn:pulumi:test::test::kubernetes:{group}:{kind}::{metadata.get('namespace', 'default')}/{name}",
        type=f"kubernetes:{group}:{kind}",
        name=name,
        depends_on=tuple(item.urn for item in depends_on),
        provider="kubernetes",
        inputs=inputs,
    )


def container(script: str, **more: Any) -> dict[str, Any]:
    """One container that runs a shell script."""
    return {"name": "main", "image": SHELL, "command": ["sh", "-c", script], **more}


def pod_spec(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"terminationGracePeriodSeconds": 1, "containers": list(containers), **more}


def awaited(count: int, **more: str) -> dict[str, str]:
    """Annotations with which the provider waits for an edit of a StatefulSet of `count` pods."""
    fields = ("replicas", "updatedReplicas", "availableReplicas")
    return {"pulumi.com/waitFor": json.dumps([f"jsonpath={{.status.{name}}}={count}" for name in fields]), **more}


def stateful_set(
    name: str, spec: dict[str, Any], *, replicas: int = 1, labels: dict[str, str] | None = None, **more: Any
) -> Resource:
    """A StatefulSet of `spec` pods whose headless Service would have its own name; its edits are awaited, unless it is
    given other annotations."""
    labels = {"app": name, **(labels or {})}
    annotations = more.pop("annotations", awaited(replicas))
    place = {"namespace": more.pop("namespace")} if "namespace" in more else {}
    return resource(
        "StatefulSet",
        name,
        {
            "replicas": replicas,
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": labels}, "spec": spec},
            **more,
        },
        metadata={"annotations": annotations, **place},
    )


def headless(name: str, **spec: Any) -> Resource:
    return resource("Service", name, {"clusterIP": "None", "selector": {"app": name}, **spec})


def job(name: str, spec: dict[str, Any], **more: Any) -> Resource:
    return resource("Job", name, {"template": {"spec": {"restartPolicy": "Never", **spec}}, **more})


def claim_template(name: str, size: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }


SLEEP = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"
"""A shell that lives until it is told to end."""
