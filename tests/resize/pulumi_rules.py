"""What an edit would do to a living stack: rendered resources before and after, by the rules of Pulumi, the Kubernetes
API and EKS. Pure; says what breaks the promise that nothing which holds slots is replaced, shrunk or emptied."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from preview.changes import force_new
from preview.evaluate import Evaluation
from preview.resources import Resource
from sandbox.kubernetes.engine.changes import Applied, Step, Verb, plan_changes

STATEFUL_SET_MUTABLE = {
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
}
"""Every other field of a StatefulSet's spec is refused by the API server."""

IMMUTABLE: Mapping[str, tuple[str, ...]] = {
    "PersistentVolumeClaim": ("spec",),
    "StorageClass": ("reclaimPolicy", "volumeBindingMode", "allowedTopologies"),
    "PriorityClass": ("value", "preemptionPolicy"),
    "Namespace": ("metadata.name",),
}
"""Fields the API server refuses to change, beside those for which the provider replaces the object."""

MADE_ANEW = {"ConfigMap", "Secret", "Job"}
"""Objects that may be replaced: Pulumi makes the new one under another name before the old one goes."""

PODS = ("StatefulSet", "Job", "CronJob")
"""Kinds that have pods, which may mount a ConfigMap."""

NODE_GROUP_REPLACING = ("clusterName", "nodeGroupName", "nodeRoleArn", "subnetIds", "amiType", "capacityType")
"""aws.eks.NodeGroup: these are in no UpdateNodegroup… call of the EKS API."""


def faults(before: Evaluation, after: Evaluation) -> list[str]:
    """What is wrong with the step from one state to the other; empty when it is safe."""
    applied = {resource.urn: Applied(resource) for resource in before.resources}
    changes = plan_changes(applied, after.resources)
    old = {resource.urn: resource for resource in before.resources}
    found: list[str] = []
    for step in changes.steps:
        if step.resource.urn in old:
            found += _kept(old[step.resource.urn], step, after)
    new_urns = {resource.urn for resource in after.resources}
    gone = [resource for resource in before.resources if resource.urn not in new_urns]
    for resource in gone:
        found += _deleted(resource, before, after)
    order = {resource.urn: position for position, resource in enumerate(changes.deletes)}
    pods = [order[resource.urn] for resource in gone if resource.kind == "StatefulSet"]
    nodes = [order[resource.urn] for resource in gone if resource.kind == "NodeGroup"]
    if pods and nodes and max(pods) > min(nodes):
        found.append("a node group goes before the pods on it")
    found += _released_first(before, after)
    found += _moved_first(before, after)
    return found


def _at(resource: Resource, path: str) -> Any:
    value: Any = resource.inputs
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _kept(old: Resource, step: Step, after: Evaluation) -> Iterator[str]:
    new = step.resource
    if old.options.get("protect") and step.verb is Verb.REPLACE:
        yield f"{new.name} is protected, so Pulumi refuses to replace it"
    for path in IMMUTABLE.get(new.kind, ()):
        if _at(old, path) != _at(new, path):
            yield f"{new.kind} {new.name}: {path} cannot be changed"
    if new.kind == "StatefulSet":
        spec, former = new.inputs["spec"], old.inputs["spec"]
        changed = {key for key in {*spec, *former} if spec.get(key) != former.get(key)} - STATEFUL_SET_MUTABLE
        if changed:
            yield f"StatefulSet {new.name}: {', '.join(sorted(changed))} cannot be changed"
    if new.is_kubernetes and step.verb is Verb.REPLACE:
        yield from _replaced(step, after)
    if new.kind == "NodeGroup":
        for field in NODE_GROUP_REPLACING:
            if old.inputs.get(field) != new.inputs.get(field):
                yield f"NodeGroup {new.name}: {field} would replace it under its pods"
        if new.inputs["scalingConfig"]["desiredSize"] < old.inputs["scalingConfig"]["desiredSize"]:
            yield f"NodeGroup {new.name}: it shrinks, and EKS ends nodes whatever runs there"


def _replaced(step: Step, after: Evaluation) -> Iterator[str]:
    new = step.resource
    if new.kind in MADE_ANEW and not step.deletes_first:
        return
    if new.kind in ("StorageClass", "ConfigMap") and step.deletes_first:
        # It goes first, and Pulumi takes along whatever has an output of it among its inputs.
        yield from (f"{item.name} would go with {new.name}" for item in after.resources if new.urn in item.needs)
        name = new.inputs["metadata"].get("name")
        yield from (
            f"{new.name} goes while {item.name} mounts it"
            for item in after.resources
            if new.kind == "ConfigMap" and item.kind in PODS and f'"{name}"' in json.dumps(item.inputs)
        )
        return
    yield f"{new.kind} {new.name} is replaced for {', '.join(step.because)}"


def _deleted(resource: Resource, before: Evaluation, after: Evaluation) -> Iterator[str]:
    if resource.options.get("protect"):
        yield f"{resource.name} is protected, so Pulumi refuses to delete it"
    same_pool = before.plan.pool == after.plan.pool
    if resource.kind == "StatefulSet" and same_pool:
        if resource.inputs["metadata"]["name"] in ("redis-master", "redis-replica"):
            yield f"StatefulSet {resource.name} is deleted"
        if not _runs_anew(before, after, "form"):
            yield f"StatefulSet {resource.name} goes, and nobody takes its pods' slots and names out of the cluster"
    if resource.kind in ("Namespace", "Service", "PodDisruptionBudget", "NetworkPolicy") and same_pool:
        yield from [f"{resource.kind} {resource.name} is deleted under its pods"] if _needed(resource, after) else []
    if resource.kind == "NodeGroup" and same_pool:
        label = resource.inputs["labels"]
        for set_ in _stateful_sets(after):
            wanted = set_.inputs["spec"]["template"]["spec"]["nodeSelector"]
            if wanted.items() <= label.items():
                yield f"NodeGroup {resource.name} goes with pods of {set_.name} on it"


def _needed(resource: Resource, after: Evaluation) -> bool:
    """Whether pods that stay have use for it: all of a pool's objects but the Service of a set that goes."""
    sets = {set_.inputs["spec"]["serviceName"] for set_ in _stateful_sets(after)}
    return resource.kind != "Service" or resource.inputs["metadata"]["name"] in sets


def _stateful_sets(evaluation: Evaluation) -> list[Resource]:
    return [resource for resource in evaluation.resources if resource.kind == "StatefulSet"]


def _job(evaluation: Evaluation, phase: str) -> Resource:
    (found,) = (item for item in evaluation.resources if item.kind == "Job" and item.name.endswith(f"-{phase}"))
    return found


def _runs_anew(before: Evaluation, after: Evaluation, phase: str) -> bool:
    old, new = _job(before, phase), _job(after, phase)
    return old.urn != new.urn or bool(force_new(old, new))


def _released_first(before: Evaluation, after: Evaluation) -> Iterator[str]:
    """Fewer pods of a pool: their slots are released before, and the cluster is told after."""
    former = {set_.urn: set_.inputs["spec"]["replicas"] for set_ in _stateful_sets(before)}
    release = _job(after, "release")
    for set_ in _stateful_sets(after):
        if set_.inputs["spec"]["replicas"] < former.get(set_.urn, 0):
            if not _runs_anew(before, after, "release") or release.urn not in set_.depends_on:
                yield f"StatefulSet {set_.name} shrinks before its slots are released"
            if not _runs_anew(before, after, "form"):
                yield f"StatefulSet {set_.name} shrinks and the cluster is not told"


def _moved_first(before: Evaluation, after: Evaluation) -> Iterator[str]:
    """Another pool: its form Job finds the living cluster by the client Service, which is turned only after it."""
    if before.plan.pool == after.plan.pool:
        return
    form = _job(after, "form")
    (client,) = (item for item in after.resources if item.kind == "Service" and item.name.endswith("-client"))
    if form.urn not in client.depends_on:
        yield "clients are sent to the new pool before it is formed"
    topologies = [
        json.loads(text)
        for item in after.resources
        if item.kind == "ConfigMap"
        for key, text in (item.inputs.get("data") or {}).items()
        if key == "topology.json"
    ]
    where = client.inputs["metadata"]
    host = f"{where['name']}.{where['namespace']}.svc.{after.settings.cluster_domain}"
    if not topologies or any(host not in topology["seeds"] for topology in topologies):
        yield "the new pool does not know where the living cluster is"
