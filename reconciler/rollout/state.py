"""A StatefulSet and its pods as the API server tells of them, reduced to what decides about a rollout."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

REVISION_LABEL = "controller-revision-hash"


@dataclass(frozen=True)
class StatefulSet:
    """What is wanted of the set, and what its controller has counted."""

    name: str
    selector: Mapping[str, str]
    wanted: int
    generation: int
    """Grows with every edit."""
    observed_generation: int
    """Of the edit whose counts these are: while it is smaller, the counts are those of before the edit."""
    replicas: int
    updated: int
    available: int
    update_revision: str
    """What pods of the edited template carry in their label."""
    current_revision: str = ""
    """The same of the template before the edit; until every pod is replaced the two differ."""


@dataclass(frozen=True)
class Pod:
    """One pod of the set, and what it waits for or why it ended last, if anything."""

    name: str
    uid: str
    revision: str
    is_ready: bool
    is_ending: bool
    """Deleted, and not gone yet."""
    is_missing: bool = False
    """Wanted, and not made yet. `warning` then says why Kubernetes refused to make it, if it did."""
    unschedulable: str = ""
    """Why no node takes it."""
    waiting_reason: str = ""
    """Of its first container that does not run: ErrImagePull, CrashLoopBackOff, …"""
    waiting_message: str = ""
    restarts: int = 0
    last_end: str = ""
    """How its container ended last, with its last words."""
    warning: str = ""
    """Kubernetes' latest warning about it or its volume claim: a probe that fails, a volume that is not mounted."""


def read_stateful_set(body: Mapping[str, Any]) -> StatefulSet:
    """From the API server's JSON; counts that are 0 are left out there."""
    spec, status = body["spec"], body.get("status", {})
    return StatefulSet(
        name=body["metadata"]["name"],
        selector=spec["selector"]["matchLabels"],
        wanted=spec.get("replicas", 1),
        generation=body["metadata"].get("generation", 0),
        observed_generation=status.get("observedGeneration", 0),
        replicas=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        available=status.get("availableReplicas", 0),
        update_revision=status.get("updateRevision", ""),
        current_revision=status.get("currentRevision", status.get("updateRevision", "")),
    )


def read_pod(body: Mapping[str, Any]) -> Pod:
    """From the API server's JSON."""
    metadata, status = body["metadata"], body.get("status", {})
    conditions = {item["type"]: item for item in status.get("conditions", ())}
    scheduled = conditions.get("PodScheduled", {})
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    states: list[Mapping[str, Any]] = [container.get("state", {}) for container in containers]
    waiting: Mapping[str, Any] = next((state["waiting"] for state in states if "waiting" in state), {})
    return Pod(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        revision=metadata.get("labels", {}).get(REVISION_LABEL, ""),
        is_ready=conditions.get("Ready", {}).get("status") == "True",
        is_ending="deletionTimestamp" in metadata,
        unschedulable=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        restarts=sum(item.get("restartCount", 0) for item in containers),
        last_end=_last_end(containers),
    )


def _last_end(containers: list[Mapping[str, Any]]) -> str:
    for container in containers:
        ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
        if ended is not None and ended.get("exitCode", 0) != 0:
            words = " ".join(str(ended.get("message", "")).split())
            end = f"{ended.get('reason', 'Error')}, exit status {ended['exitCode']}"
            return f"{end}: {words}" if words else end
    return ""


_REFUSED_POD = re.compile(r" Pod (\S+) in StatefulSet ")
"""In the event of a StatefulSet whose pod could not be made, or the volume claim of that pod."""


@dataclass(frozen=True)
class Warnings:
    """Kubernetes' latest warnings."""

    of_pods: Mapping[str, str]
    """By the pod's id: another pod of the same name has other troubles."""
    of_claims: Mapping[str, str]
    """By the claim's name, which ends with the pod's."""
    refusals: Mapping[str, str]
    """By the name of a pod that could not be made."""

    def about(self, pod: Pod) -> str:
        """The one that says most; empty when there is none."""
        if pod.is_missing:
            return self.refusals.get(pod.name, "")
        claims = (text for name, text in self.of_claims.items() if name.endswith(f"-{pod.name}"))
        return self.of_pods.get(pod.uid, "") or next(claims, "")


def read_warnings(events: Iterable[Mapping[str, Any]]) -> Warnings:
    """From the API server's events of type Warning."""
    of_pods, of_claims, refusals = dict[str, str](), dict[str, str](), dict[str, str]()
    for event in sorted(events, key=_seen_last):
        about, message = event["involvedObject"], str(event.get("message", ""))
        refused = _REFUSED_POD.search(message)
        if about.get("kind") == "StatefulSet" and refused:
            refusals[refused[1]] = message
        elif about.get("kind") == "Pod":
            of_pods[about.get("uid", "")] = message
        elif about.get("kind") == "PersistentVolumeClaim":
            of_claims[about["name"]] = message
    return Warnings(of_pods, of_claims, refusals)


def _seen_last(event: Mapping[str, Any]) -> str:
    """Times as the API server writes them sort as texts do."""
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or "")


def with_warnings(found: StatefulSet, pods: Sequence[Pod], warnings: Warnings) -> tuple[Pod, ...]:
    """The pods with their warnings, and those that are wanted and not there."""
    there = {pod.name for pod in pods}
    names = [f"{found.name}-{ordinal}" for ordinal in range(found.wanted)]
    missing = (
        Pod(name, "", found.update_revision, is_ready=False, is_ending=False, is_missing=True)
        for name in names
        if name not in there
    )
    return tuple(replace(pod, warning=warnings.about(pod)) for pod in (*pods, *missing))
